// Asks one course tracker what the file is: connect, ask, read the whole answer, close at once (course-protocol 4.4),
// with the patience old trackers need. Events in, actions out; result() says how it ended.
//
// Called by roles/ (course_client), which hands it the events of conn() and carries its actions out.
//
// Always holds: one connection is read at a time, and those asked in vain stay open, unread, until there is a result;
// every wait has a deadline, so it ends; once there is a result nothing is open.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "course/messages.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "seam/machine.hpp"
#include "swarm/conn_ids.hpp"
#include "swarm/pace_guard.hpp"

namespace shoal::swarm {

struct TrackerQueryOptions {
  base::Endpoint tracker;
  std::uint32_t file_info_bytes_max = 64u << 20;
  base::Duration connect_timeout = std::chrono::seconds(5);
  base::Duration stall_timeout = std::chrono::seconds(10);
  base::Duration busy_wait = std::chrono::seconds(5);  // silence on an accepted connection before asking again
};

// A refused connection is tried again for this long (4.20): one existing tracker listens only after it was discovered.
inline constexpr base::Duration kRefusedRetryTime = std::chrono::milliseconds(2500);
inline constexpr base::Duration kRefusedRetryPause = std::chrono::milliseconds(250);
// An accepted connection that stays silent, or breaks before the whole answer, is tried this often in all.
inline constexpr int kAskTriesMax = 2;
inline constexpr base::Duration kAskRetryPause = std::chrono::milliseconds(500);

enum class QueryFailure : std::uint8_t {
  refused,
  unreachable,     // no route, or another failure to connect
  connect_silent,  // no answer to the attempt to connect
  silent,          // connected, but no answer: busy with somebody else, or dead
  stalled,         // the answer came to a halt
  closed,          // the connection ended before the whole answer
  error_answer,    // an ERROR
  malformed,       // not a FILE_INFO
};

[[nodiscard]] constexpr bool is_timeout(QueryFailure failure) {
  return failure == QueryFailure::connect_silent || failure == QueryFailure::silent || failure == QueryFailure::stalled;
}

struct QueryError {
  QueryFailure failure = QueryFailure::malformed;
  std::string message;  // for a user: "tracker 10.0.0.1:8000 refused the connection for 2.5 s"
};

struct TrackerAnswer {
  course::FileInfo file;
  base::Ipv4Address local;  // our address on the connection: equal to the tracker's when it runs on this host
};

class TrackerQuery {
 public:
  // `ids` must outlive the query.
  TrackerQuery(TrackerQueryOptions options, ConnIds& ids)
      : options_(options), ids_(ids), pace_(options.stall_timeout) {}

  void start(base::Instant now);
  void on_connected(base::Ipv4Address local, base::Instant now);
  void on_connect_failed(seam::NetError error, base::Instant now);
  [[nodiscard]] seam::ReadTargets next_read();
  void on_bytes(std::size_t count, base::Instant now);
  void on_input_ended(base::Instant now);
  void on_connection_lost(base::Instant now);
  void on_deadline(base::Instant now);

  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] seam::Actions take_actions() { return std::exchange(actions_, {}); }
  // The connection the events must belong to; changes with each try.
  [[nodiscard]] std::optional<seam::ConnId> conn() const { return conn_; }
  [[nodiscard]] const std::optional<std::expected<TrackerAnswer, QueryError>>& result() const { return result_; }

 private:
  enum class Phase : std::uint8_t { connecting, awaiting, receiving, pausing, over };

  void dial(base::Instant now);
  void close();
  void close_all();
  void pause(base::Duration duration, base::Instant now);
  void on_broken(base::Instant now);
  [[nodiscard]] bool take_header();
  void take_answer();
  void trace(seam::MessageDirection direction, course::MessageType type, std::string detail);
  void fail(QueryFailure failure, const std::string& what);

  TrackerQueryOptions options_;
  ConnIds& ids_;
  Phase phase_ = Phase::over;
  std::optional<seam::ConnId> conn_;
  std::vector<seam::ConnId> waiting_;  // asked before, still silent; not read, closed in the end
  base::Instant started_{};
  base::Instant deadline_{};  // of every phase but receiving
  int asked_ = 0;
  base::Ipv4Address local_;
  PaceGuard pace_;

  base::Bytes received_;  // grows with what arrives, not with what the header claims
  std::size_t filled_ = 0;
  std::optional<course::Header> header_;

  seam::Actions actions_;
  std::optional<std::expected<TrackerAnswer, QueryError>> result_;
};

}  // namespace shoal::swarm
