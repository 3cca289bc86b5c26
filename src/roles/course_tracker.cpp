#include "roles/course_tracker.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "discovery/responder.hpp"
#include "roles/server_connections.hpp"
#include "tracker/file_info_answers.hpp"

namespace shoal::roles {
namespace {

// The body of an encoded message, shared by all that are being sent it: many slow askers cost one copy.
class SharedBody final : public seam::ReadablePiece {
 public:
  explicit SharedBody(std::shared_ptr<const base::Bytes> message) : message_(std::move(message)) {}

  std::uint64_t size_bytes() const override { return body().size(); }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    if (offset >= body().size()) return 0;
    const base::ByteView from = body().subspan(static_cast<std::size_t>(offset));
    const std::size_t count = std::min(from.size(), target.size());
    std::ranges::copy(from.first(count), target.begin());
    return count;
  }

 private:
  base::ByteView body() const { return base::ByteView(*message_).subspan(course::kHeaderBytes); }

  std::shared_ptr<const base::Bytes> message_;
};

swarm::Answer make_answer(const std::shared_ptr<const base::Bytes>& message) {
  return {.head = base::Bytes(message->begin(), message->begin() + course::kHeaderBytes),
          .rest = std::make_shared<const SharedBody>(message)};
}

// Ties accepted connections and datagrams to what the tracker says: the decisions are in swarm::CourseServer,
// tracker::FileInfoAnswers and discovery::Responder.
class CourseTracker final : public seam::Machine {
 public:
  CourseTracker(CourseTrackerOptions options, tracker::ShareProvider& share)
      : connections_(
            {.server = {.serves = course::MessageType::get_file_info, .message_timeout = options.message_timeout},
             .connections_max = options.connections_max}),
        answers_(share, {.validity = options.probe_validity, .timeout = options.probe_timeout}),
        responder_({.name = std::move(options.name),
                    .listening = options.listening,
                    .splits_replies = options.splits_replies}) {}

  void start(base::Instant) override {}

  void on_event(seam::Event&& event, base::Instant now) override {
    if (is_finished_) return;
    now_ = now;
    std::visit(*this, std::move(event));
    if (!connections_.is_stopping()) answer_questions();
    if (connections_.is_stopped(now)) {
      is_finished_ = true;
      connections_.actions().emplace_back(seam::Finish{});
    }
  }

  seam::ReadTargets next_read(seam::ConnId conn) override { return connections_.next_read(conn); }
  std::optional<base::Instant> next_deadline() const override {
    if (is_finished_) return std::nullopt;
    const auto ours = connections_.next_deadline();
    const auto probes = answers_.next_deadline();
    return ours && probes ? std::min(*ours, *probes) : ours.or_else([&] { return probes; });
  }
  seam::Actions take_actions() override { return std::exchange(connections_.actions(), {}); }

  void operator()(const seam::Accepted& event) { connections_.on_accepted(event); }
  void operator()(const seam::BytesArrived& event) { connections_.on_bytes_arrived(event, now_); }
  void operator()(const seam::InputEnded& event) { connections_.on_input_ended(event, now_); }
  void operator()(const seam::OutputDrained& event) { connections_.on_output_drained(event, now_); }
  void operator()(const seam::ConnectionLost& event) { connections_.on_connection_lost(event); }
  void operator()(const seam::StopRequested&) { connections_.on_stop_requested(now_); }
  void operator()(const seam::Connected& event) { answers_.on_connected(event, now_, connections_.actions()); }
  void operator()(const seam::ConnectFailed& event) { answers_.on_connect_failed(event, now_, connections_.actions()); }
  void operator()(const seam::DeadlineReached&) {
    connections_.on_deadline_reached(now_);
    answers_.on_deadline_reached(now_, connections_.actions());
  }
  void operator()(const seam::DatagramArrived& event) {
    if (!connections_.is_stopping()) answer_datagram(event);
  }
  // A tracker stores nothing and looks no piece up.
  template <typename Other>
  void operator()(const Other&) {}

 private:
  // An answer makes room on its connection for the next question.
  void answer_questions() {
    for (bool is_more = true; is_more;) {
      for (const Question& question : connections_.take_questions()) {
        answers_.on_asked({question.request.conn, question.request.number.value}, question.asker, now_,
                          connections_.actions());
      }
      const auto answers = answers_.take_answers();
      for (const tracker::FileInfoAnswer& answer : answers) {
        const RequestId request{answer.ask.conn, swarm::CourseServer::RequestNumber(answer.ask.request)};
        connections_.on_answer_ready(request, make_answer(answer.message), now_);
      }
      is_more = !answers.empty();
    }
  }

  void answer_datagram(const seam::DatagramArrived& event) {
    discovery::Reply reply = responder_.respond(event.bytes, {event.from.address, event.local});
    const std::string asked(reply.asked ? course::to_string(*reply.asked) : "malformed");
    tell(seam::MessageDirection::received, event.from, asked, reply.asked ? "" : reply.detail);
    if (reply.answered) {
      tell(seam::MessageDirection::sent, event.from, std::string(course::to_string(*reply.answered)), reply.detail);
    }
    for (base::Bytes& datagram : reply.datagrams) {
      connections_.actions().emplace_back(seam::SendDatagram{event.socket, event.from, std::move(datagram)});
    }
  }

  void tell(seam::MessageDirection direction, base::Endpoint remote, std::string message, std::string detail) {
    connections_.actions().emplace_back(seam::Tell{seam::MessageTrace{.direction = direction,
                                                                      .is_datagram = true,
                                                                      .remote = remote,
                                                                      .message = std::move(message),
                                                                      .detail = std::move(detail)}});
  }

  ServerConnections connections_;
  tracker::FileInfoAnswers answers_;
  discovery::Responder responder_;
  base::Instant now_;
  bool is_finished_ = false;
};

}  // namespace

std::unique_ptr<seam::Machine> make_course_tracker(CourseTrackerOptions options, tracker::ShareProvider& share) {
  return std::make_unique<CourseTracker>(std::move(options), share);
}

}  // namespace shoal::roles
