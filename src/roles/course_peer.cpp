#include "roles/course_peer.hpp"

#include <unordered_map>
#include <utility>
#include <variant>

#include "base/check.hpp"
#include "roles/server_connections.hpp"

namespace shoal::roles {
namespace {

// Ties accepted connections to the piece library. Everything about the protocol is in swarm::CourseServer.
class CoursePeer final : public seam::Machine {
 public:
  explicit CoursePeer(const CoursePeerOptions& options)
      : connections_({.server = {.serves = course::MessageType::get_chunk,
                                 .welcomes_pipelining = options.welcomes_pipelining,
                                 .requests_queued_max = options.requests_queued_max,
                                 .message_timeout = options.message_timeout},
                      .connections_max = options.connections_max}) {}

  void start(base::Instant) override {}

  void on_event(seam::Event&& event, base::Instant now) override {
    if (is_finished_) return;
    now_ = now;
    std::visit(*this, std::move(event));
    for (const Question& question : connections_.take_questions()) {
      const seam::LookupId lookup(++last_lookup_);
      asked_.emplace(lookup, question.request);
      connections_.actions().emplace_back(seam::LookUpPiece{lookup, question.hash});
    }
    if (connections_.is_stopped(now)) {
      is_finished_ = true;
      connections_.actions().emplace_back(seam::Finish{});
    }
  }

  seam::ReadTargets next_read(seam::ConnId conn) override { return connections_.next_read(conn); }
  std::optional<base::Instant> next_deadline() const override {
    return is_finished_ ? std::nullopt : connections_.next_deadline();
  }
  seam::Actions take_actions() override { return std::exchange(connections_.actions(), {}); }

  void operator()(const seam::Accepted& event) { connections_.on_accepted(event); }
  void operator()(const seam::BytesArrived& event) { connections_.on_bytes_arrived(event, now_); }
  void operator()(const seam::InputEnded& event) { connections_.on_input_ended(event, now_); }
  void operator()(const seam::OutputDrained& event) { connections_.on_output_drained(event, now_); }
  void operator()(const seam::ConnectionLost& event) { connections_.on_connection_lost(event); }
  void operator()(const seam::DeadlineReached&) { connections_.on_deadline_reached(now_); }
  void operator()(const seam::StopRequested&) { connections_.on_stop_requested(now_); }
  void operator()(const seam::PieceLookedUp& event) {
    const auto found = asked_.find(event.lookup);
    SHOAL_CHECK(found != asked_.end());
    const RequestId request = found->second;
    asked_.erase(found);
    connections_.on_piece_looked_up(request, event.piece, now_);
  }
  // A peer dials nobody, stores nothing and has no datagram socket.
  template <typename Other>
  void operator()(const Other&) {}

 private:
  ServerConnections connections_;
  // At most CourseServer::kQuestionsAheadMax for each connection, and those of lost ones until they are answered.
  std::unordered_map<seam::LookupId, RequestId> asked_;
  std::uint64_t last_lookup_ = 0;
  base::Instant now_;
  bool is_finished_ = false;
};

}  // namespace

std::unique_ptr<seam::Machine> make_course_peer(CoursePeerOptions options) {
  return std::make_unique<CoursePeer>(options);
}

}  // namespace shoal::roles
