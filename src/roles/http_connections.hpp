// All HTTP connections of a tracker: collects requests, has each answered, sends the answers in order. Used by
// roles::TrackerHost, which finds out that a connection speaks HTTP and hands it over with what arrived so far.
//
// Always holds: at most connections_max connections; when they are that many, the one that has been idle the longest
// makes room, else the one that is nearest to its deadline. Each has one head and one body at most in memory, of which
// the bodies together take kBodiesBytesMax; the next request of a connection is only looked at when the answer before
// it has left, and what follows it waits in the kernel. A head that takes longer than kHttpHeadTimeout, a body or an
// answer slower than kHttpBytesPerSecondMin, a body of which nothing comes for kHttpGrace, and a connection idle for
// kHttpIdleTimeout end it. An idle connection holds no buffer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "course/asker.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "seam/machine.hpp"
#include "tracker/http_answers.hpp"
#include "wire/http.hpp"

namespace shoal::roles {

inline constexpr std::size_t kHttpConnectionsMax = 10'000;
inline constexpr std::uint64_t kBodiesBytesMax = 256u << 20;
inline constexpr base::Duration kHttpHeadTimeout = std::chrono::seconds(10);
inline constexpr base::Duration kHttpIdleTimeout = std::chrono::seconds(60);
// An answer has this much, and the time it takes at the rate; a body is never more than this much behind the rate.
inline constexpr base::Duration kHttpGrace = std::chrono::seconds(10);
inline constexpr std::uint64_t kHttpBytesPerSecondMin = 64u << 10;

class HttpConnections {
 public:
  // `answers` and `actions` must outlive it.
  HttpConnections(tracker::HttpAnswers& answers, seam::Actions& actions, std::size_t connections_max);

  // `first` is what arrived already.
  void adopt(seam::ConnId conn, const course::Asker& asker, base::ByteView first, base::Instant now);
  [[nodiscard]] bool owns(seam::ConnId conn) const { return connections_.contains(conn); }
  void on_bytes_arrived(const seam::BytesArrived& event, base::Instant now);
  void on_input_ended(const seam::InputEnded& event);
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
    base::Bytes received;                       // of requests that are not answered yet
    std::unique_ptr<wire::ParsedHead> awaited;  // a request whose body is arriving
    bool is_answering = false;                  // until it drained
    bool is_last = false;                       // closed after this answer
    bool is_input_ended = false;
    bool is_reading_paused = false;
    bool is_idle = false;  // of the two sets of deadlines, which one has it
    base::Instant deadline{};

    [[nodiscard]] std::uint64_t body_bytes() const { return awaited == nullptr ? 0 : awaited->request.body_bytes; }
    [[nodiscard]] std::uint64_t awaited_bytes() const { return awaited->head_bytes + body_bytes(); }
  };
  using Connections = std::unordered_map<seam::ConnId, Connection>;
  using Deadlines = std::set<std::pair<base::Instant, seam::ConnId>>;

  void make_room();
  // Looks whether a request is complete now, and answers it.
  void advance(Connections::iterator found, base::Instant now);
  // True when the next request's head is complete, and right, and awaited now.
  bool take_head(Connections::iterator found, base::Instant now);
  void await_body(Connections::iterator found, base::Instant now);
  void answer(Connections::iterator found, base::Instant now);
  void respond(Connections::iterator found, tracker::HttpAnswer answer, bool is_head, base::Instant now);
  void respond_with_problem(Connections::iterator found, const wire::HttpProblem& problem, base::Instant now);
  void forget_request(Connection& connection);
  void set_deadline(Connections::iterator found, base::Instant deadline, bool is_idle = false);
  void forget(Connections::iterator found);
  void close(Connections::iterator found);

  tracker::HttpAnswers& answers_;
  seam::Actions& actions_;
  std::size_t connections_max_;
  Connections connections_;
  Deadlines idle_;  // of those that wait for the first byte of a request; each connection is in one of the two
  Deadlines busy_;
  std::uint64_t bodies_bytes_ = 0;
  std::unique_ptr<std::byte[]> scratch_;
};

}  // namespace shoal::roles
