// All HTTP connections of a tracker: collects requests, has each answered, sends the answers in order. Used by
// roles::TrackerHost, which finds out that a connection speaks HTTP and hands it over with what arrived so far.
//
// Always holds: at most kHttpConnectionsMax connections, each with one head and one body at most in memory, of which
// the bodies together take kBodiesBytesMax; the next request of a connection is only looked at when the answer before
// it has left; a head that takes longer than kHttpHeadTimeout, a body slower than kBodyPace, an answer nobody reads and
// a connection idle for kHttpIdleTimeout end it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "course/asker.hpp"
#include "roles/tracker_host.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "seam/machine.hpp"
#include "tracker/http_answers.hpp"
#include "wire/http.hpp"

namespace shoal::roles {

inline constexpr std::uint64_t kBodiesBytesMax = 256u << 20;
inline constexpr base::Duration kHttpBodyTimeout = std::chrono::seconds(60);
inline constexpr base::Duration kHttpAnswerTimeout = std::chrono::seconds(60);

class HttpConnections {
 public:
  // Both must outlive it.
  HttpConnections(tracker::HttpAnswers& answers, seam::Actions& actions);

  // `first` is what arrived already.
  void adopt(seam::ConnId conn, const course::Asker& asker, base::ByteView first, base::Instant now);
  [[nodiscard]] bool owns(seam::ConnId conn) const { return connections_.contains(conn); }
  void on_bytes_arrived(const seam::BytesArrived& event, base::Instant now);
  void on_input_ended(const seam::InputEnded& event, base::Instant now);
  void on_output_drained(const seam::OutputDrained& event, base::Instant now);
  void on_connection_lost(const seam::ConnectionLost& event);
  void on_deadline_reached(base::Instant now);
  void close_all();

  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId conn);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] std::size_t size() const { return connections_.size(); }

 private:
  struct Connection {
    course::Asker asker;
    base::Bytes received;                     // not answered yet
    std::optional<wire::ParsedHead> awaited;  // a request whose body is arriving
    std::uint64_t body_reserved = 0;
    bool is_answering = false;  // until it drained
    bool is_last = false;       // closed after this answer
    bool is_input_ended = false;
    bool is_reading_paused = false;
    std::optional<base::Instant> deadline;
  };
  using Connections = std::unordered_map<seam::ConnId, Connection>;

  void advance(Connections::iterator found, base::Instant now);
  // True when a request was answered, or the connection waits for nothing more of what is there.
  bool take_request(seam::ConnId conn, Connection& connection, base::Instant now);
  void respond(seam::ConnId conn, Connection& connection, const wire::HttpResponse& response, bool is_head);
  void respond_with_problem(seam::ConnId conn, Connection& connection, const wire::HttpProblem& problem);
  void release_body(Connection& connection);
  void set_deadline(seam::ConnId conn, Connection& connection, std::optional<base::Instant> deadline);
  void close(Connections::iterator found);

  tracker::HttpAnswers& answers_;
  seam::Actions& actions_;
  Connections connections_;
  std::set<std::pair<base::Instant, seam::ConnId>> deadlines_;
  std::uint64_t bodies_bytes_ = 0;
  std::unique_ptr<std::byte[]> scratch_;
};

}  // namespace shoal::roles
