#include "roles/course_client.hpp"

#include <iterator>
#include <utility>

#include "base/check.hpp"
#include "roles/course_client_download.hpp"
#include "roles/course_client_search.hpp"

namespace shoal::roles {
namespace {

using base::Instant;
using Result = seam::Finish::Result;

// The flow: search (steps 2 and 3) -> open the store -> download -> make the file -> finish. In step 3 a download that
// ends incomplete leads back to the search, for the next tracker.
class CourseClient final : public seam::Machine {
 public:
  CourseClient(CourseClientOptions options, base::BufferPool& buffers, base::Rng rng)
      : options_(std::move(options)), buffers_(buffers), rng_(std::move(rng)) {}

  void start(Instant now) override {
    if (options_.file_info) {
      begin_with_own_file();
      return;
    }
    search_.emplace(options_, ids_);
    search_->start(now);
    advance_search();
  }

  void on_event(seam::Event&& event, Instant now) override {
    if (phase_ == Phase::over) return;
    if (std::holds_alternative<seam::StopRequested>(event)) {
      stop();
    } else if (auto* failed = std::get_if<seam::StoreFailed>(&event)) {
      finish({.result = Result::disk, .message = std::move(failed->error.message), .missing = {}, .path = ""});
    } else if (phase_ == Phase::searching) {
      search_->on_event(event, now);
      advance_search();
    } else if (auto* opened = std::get_if<seam::StoreOpened>(&event)) {
      if (phase_ == Phase::opening) begin_download(std::move(opened->held), now);
    } else if (auto* made = std::get_if<seam::StoreFinished>(&event)) {
      path_ = std::move(made->path);
      advance_download(now);
    } else if (download_) {
      download_->on_event(std::move(event), now);
      advance_download(now);
    }
  }

  seam::ReadTargets next_read(seam::ConnId conn) override {
    if (phase_ == Phase::over) return {};
    if (phase_ == Phase::searching) return search_->next_read(conn);
    return download_ ? download_->next_read(conn) : seam::ReadTargets{};
  }

  std::optional<Instant> next_deadline() const override {
    switch (phase_) {
      case Phase::searching:
        return search_->next_deadline();
      case Phase::downloading:
      case Phase::finishing:
        return download_->next_deadline();
      case Phase::opening:
      case Phase::over:
        return std::nullopt;
    }
    return std::nullopt;
  }

  seam::Actions take_actions() override { return std::exchange(actions_, {}); }

 private:
  enum class Phase : std::uint8_t { searching, opening, downloading, finishing, over };

  void begin_with_own_file() {
    auto name = course::safe_file_name(options_.file_info->filename);
    if (!name) {
      finish({.result = Result::nothing_found,
              .message = "the configured file name cannot be used for a file; correct it in file.ini",
              .missing = {},
              .path = ""});
      return;
    }
    open_store(*options_.file_info, std::move(*name),
               {.tracker = std::nullopt, .is_tracker_on_this_host = true, .extra_peers = options_.extra_peers});
  }

  void advance_search() {
    collect(search_->take_actions());
    auto& result = search_->result();
    if (!result) return;
    if (!*result) {
      finish(std::move(best_failure_ ? *best_failure_ : result->error()));
      return;
    }
    const FoundFile found = std::move(**result);
    open_store(found.file, found.name,
               {.tracker = found.tracker,
                .is_tracker_on_this_host = found.is_tracker_on_this_host,
                .extra_peers = options_.extra_peers});
  }

  void open_store(const course::FileInfo& file, std::string name, const CoursePlanContext& context) {
    plan_ = make_course_plan(file, std::move(name), context);
    if (plan_.has_dropped_sources) {
      tell(seam::NoteTrace{seam::NoteTrace::Level::warning,
                           "more than " + std::to_string(kSourcesMax) + " peers are listed; the others are not asked"});
    }
    phase_ = Phase::opening;
    actions_.push_back(seam::OpenStore{plan_.manifest});
  }

  void begin_download(std::vector<seam::HeldPiece> held, Instant now) {
    const std::uint32_t count = plan_.manifest.piece_count();
    tell(seam::ManifestTrace{.name = plan_.manifest.name,
                             .piece_count = count,
                             .pieces_wanted = count,
                             .pieces_held = static_cast<std::uint32_t>(held.size())});
    download_.emplace(CourseDownload::Parts{options_, plan_, held, buffers_, ids_}, rng_.fork());
    phase_ = Phase::downloading;
    download_->start(now);
    advance_download(now);
  }

  void advance_download(Instant now) {
    collect(download_->take_actions());  // first: what is abandoned must be so before the file is made
    if (phase_ == Phase::downloading) {
      const auto state = download_->state();
      if (state != CourseDownload::State::running) {
        phase_ = Phase::finishing;
        if (state == CourseDownload::State::complete) {
          actions_.push_back(seam::FinishStore{});
        } else {
          failure_ = make_incomplete_finish({.name = plan_.manifest.name,
                                             .piece_count = plan_.manifest.piece_count(),
                                             .missing = download_->missing(),
                                             .sources = download_->source_records(),
                                             .first_of = plan_.first_of});
        }
        download_->close(now);
        collect(download_->take_actions());
      }
    }
    if (phase_ != Phase::finishing || download_->is_anything_open()) return;
    if (failure_) {
      end_incomplete(now);
    } else if (path_) {
      finish({.result = Result::done, .message = "got " + plan_.manifest.name, .missing = {}, .path = *path_});
    }
  }

  void end_incomplete(Instant now) {
    if (!best_failure_ || failure_->missing.size() < best_failure_->missing.size()) best_failure_ = std::move(failure_);
    failure_.reset();
    if (!search_ || !search_->can_go_on()) {
      finish(std::move(*best_failure_));
      return;
    }
    download_.reset();
    phase_ = Phase::searching;
    search_->go_on(now);
    advance_search();
  }

  void stop() {
    if (download_) {
      download_->abandon();
      collect(download_->take_actions());
    }
    finish({.result = Result::interrupted,
            .message = "interrupted; the pieces that have arrived are kept, run this again to go on",
            .missing = {},
            .path = ""});
  }

  void finish(seam::Finish finish) {
    phase_ = Phase::over;
    actions_.push_back(std::move(finish));
  }

  void tell(seam::Trace trace) { actions_.push_back(seam::Tell{std::move(trace)}); }

  void collect(seam::Actions actions) {
    actions_.insert(actions_.end(), std::make_move_iterator(actions.begin()), std::make_move_iterator(actions.end()));
  }

  const CourseClientOptions options_;
  base::BufferPool& buffers_;
  base::Rng rng_;
  swarm::ConnIds ids_;
  Phase phase_ = Phase::searching;
  std::optional<CourseSearch> search_;
  CoursePlan plan_;
  std::optional<CourseDownload> download_;
  std::optional<seam::Finish> failure_;       // how the download ends once nothing is open any more
  std::optional<seam::Finish> best_failure_;  // of those that ended, the first with the fewest missing
  std::optional<std::string> path_;           // of the finished file
  seam::Actions actions_;
};

}  // namespace

std::unique_ptr<seam::Machine> make_course_client(CourseClientOptions options, base::BufferPool& buffers,
                                                  base::Rng rng) {
  const int beginnings = (options.file_info ? 1 : 0) + (options.tracker ? 1 : 0) + (options.interfaces.empty() ? 0 : 1);
  SHOAL_CHECK(beginnings <= 1);  // none: step 3 on a host without a network
  return std::make_unique<CourseClient>(std::move(options), buffers, std::move(rng));
}

}  // namespace shoal::roles
