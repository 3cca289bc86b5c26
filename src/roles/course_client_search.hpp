// Steps 2 and 3 of a course client up to the FILE_INFO: asks the given tracker, or discovers trackers and asks them in
// the order of their answers until one serves; goes on from there when what that one lists leads to nothing. Used by
// the course client only; events in, actions out.
//
// Always holds: one tracker is asked at a time, and none twice; it ends, with a FILE_INFO whose name can be used or
// with the reason why there is none; then nothing is open.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "discovery/finder.hpp"
#include "roles/course_client.hpp"
#include "seam/machine.hpp"
#include "swarm/conn_ids.hpp"
#include "swarm/tracker_query.hpp"

namespace shoal::roles {

struct FoundFile {
  course::FileInfo file;
  std::string name;  // safe
  base::Endpoint tracker;
  bool is_tracker_on_this_host = false;
};

class CourseSearch {
 public:
  // Both must outlive the search.
  CourseSearch(const CourseClientOptions& options, swarm::ConnIds& ids);

  void start(base::Instant now);
  // The file that was found cannot be had whole. In step 3 the search goes on with the next tracker.
  [[nodiscard]] bool can_go_on() const { return finder_.has_value() && !is_exhausted_; }
  void go_on(base::Instant now);
  void on_event(const seam::Event& event, base::Instant now);
  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId conn);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] seam::Actions take_actions();
  [[nodiscard]] std::optional<std::expected<FoundFile, seam::Finish>>& result() { return result_; }

 private:
  void advance(base::Instant now);
  void ask(const base::Endpoint& tracker, base::Instant now);
  void take_answer();
  [[nodiscard]] bool is_listing_anybody(const course::FileInfo& file) const;
  void note_failure(swarm::QueryFailure failure, std::string message);
  void give_up();
  void collect(seam::Actions actions);

  const CourseClientOptions& options_;
  swarm::ConnIds& ids_;
  std::optional<discovery::Finder> finder_;
  std::optional<swarm::TrackerQuery> query_;
  base::Endpoint asked_;
  std::vector<swarm::QueryFailure> failures_;  // at most one for each tracker found
  std::string failure_messages_;
  std::optional<FoundFile> last_resort_;  // a file nobody is listed for
  bool is_exhausted_ = false;             // every tracker that answered was asked
  std::optional<std::expected<FoundFile, seam::Finish>> result_;
  seam::Actions actions_;
};

}  // namespace shoal::roles
