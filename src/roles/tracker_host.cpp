#include "roles/tracker_host.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <variant>

#include "discovery/responder.hpp"
#include "roles/http_connections.hpp"
#include "roles/server_connections.hpp"
#include "tracker/file_info_answers.hpp"
#include "tracker/http_answers.hpp"
#include "tracker/share_list.hpp"
#include "tracker/swarm_share.hpp"
#include "tracker/udp_answers.hpp"
#include "wire/http.hpp"

namespace shoal::roles {
namespace {

constexpr std::size_t kFirstBytes = 4096;  // of a connection whose protocol is not known yet
constexpr base::Duration kExpireEvery = std::chrono::seconds(10);

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

template <typename... Deadlines>
std::optional<base::Instant> earliest(Deadlines... deadlines) {
  std::optional<base::Instant> first;
  for (const std::optional<base::Instant>& one : {deadlines...}) {
    if (one && (!first || *one < *first)) first = one;
  }
  return first;
}

// Ties connections and datagrams to what the tracker says; the decisions are in swarm::CourseServer,
// tracker::FileInfoAnswers, HttpAnswers and UdpAnswers, and in discovery::Responder.
class TrackerHost final : public seam::Machine {
 public:
  TrackerHost(TrackerHostOptions options, tracker::ShareProvider* configured, base::Rng rng)
      : options_(std::move(options)),
        rng_(std::move(rng)),
        swarms_(options_.swarms, rng_.fork()),
        share_(shares_, swarms_, configured, options_.course_share),
        connections_(
            {.server = {.serves = course::MessageType::get_file_info, .message_timeout = options_.message_timeout},
             .connections_max = options_.connections_max}),
        file_infos_(share_, {.validity = options_.probe_validity, .timeout = options_.probe_timeout}),
        http_answers_({.tracker_name = options_.name, .token = options_.token, .port = options_.listening.port},
                      swarms_, shares_),
        http_(http_answers_, connections_.actions()),
        udp_answers_(swarms_, rng_),
        responder_({.name = options_.name,
                    .listening = options_.listening,
                    .splits_replies = options_.splits_replies,
                    .speaks_bittorrent = !options_.is_course_only}) {}

  void start(base::Instant now) override {
    shares_.restore(options_.saved_shares);
    for (const auto& share : shares_.all()) swarms_.allow(share->torrent.info_hash);
    swarms_.restore(options_.saved_swarms, now);
    saved_announces_ = swarms_.totals().announces;
    if (!options_.is_course_only) next_upkeep_ = now + kExpireEvery;
  }

  void on_event(seam::Event&& event, base::Instant now) override {
    if (is_finished_) return;
    now_ = now;
    share_.set_now(now);
    std::visit(*this, std::move(event));
    if (http_answers_.take_is_changed()) save_shares();
    if (!connections_.is_stopping()) answer_questions();
    if (connections_.is_stopped(now)) {
      is_finished_ = true;
      actions().emplace_back(seam::Finish{});
    }
  }

  seam::ReadTargets next_read(seam::ConnId conn) override {
    if (http_.owns(conn)) return http_.next_read(conn);
    if (newcomers_.contains(conn)) return {{std::span(first_bytes_), {}}};
    return connections_.next_read(conn);
  }
  std::optional<base::Instant> next_deadline() const override {
    if (is_finished_) return std::nullopt;
    if (connections_.is_stopping()) return connections_.next_deadline();
    return earliest(connections_.next_deadline(), file_infos_.next_deadline(), http_.next_deadline(), next_upkeep_);
  }
  seam::Actions take_actions() override { return std::exchange(actions(), {}); }

  void operator()(const seam::Accepted& event) {
    const bool is_full = newcomers_.size() + connections_.size() + http_.size() >= options_.connections_max;
    // Those of a course client only, and those too many, are the connections' business.
    if (options_.is_course_only || connections_.is_stopping() || is_full) return connections_.on_accepted(event);
    newcomers_.emplace(event.conn, event);
  }
  void operator()(const seam::BytesArrived& event) {
    if (http_.owns(event.conn)) return http_.on_bytes_arrived(event, now_);
    if (const auto found = newcomers_.find(event.conn); found != newcomers_.end()) {
      const seam::Accepted accepted = found->second;
      newcomers_.erase(found);
      return tell_apart(accepted, base::ByteView(first_bytes_).first(event.count));
    }
    connections_.on_bytes_arrived(event, now_);
  }
  void operator()(const seam::InputEnded& event) {
    if (http_.owns(event.conn)) return http_.on_input_ended(event, now_);
    if (newcomers_.erase(event.conn) > 0) {
      actions().emplace_back(seam::Close{event.conn});
      return;
    }
    connections_.on_input_ended(event, now_);
  }
  void operator()(const seam::OutputDrained& event) {
    if (http_.owns(event.conn)) return http_.on_output_drained(event, now_);
    connections_.on_output_drained(event, now_);
  }
  void operator()(const seam::ConnectionLost& event) {
    newcomers_.erase(event.conn);
    http_.on_connection_lost(event);
    connections_.on_connection_lost(event);
  }
  void operator()(const seam::StopRequested&) {
    for (const auto& [conn, accepted] : newcomers_) actions().emplace_back(seam::Close{conn});
    newcomers_.clear();
    http_.close_all();
    if (!options_.is_course_only) save_swarms();
    connections_.on_stop_requested(now_);
  }
  void operator()(const seam::Connected& event) { file_infos_.on_connected(event, now_, actions()); }
  void operator()(const seam::ConnectFailed& event) { file_infos_.on_connect_failed(event, now_, actions()); }
  void operator()(const seam::DeadlineReached&) {
    connections_.on_deadline_reached(now_);
    http_.on_deadline_reached(now_);
    file_infos_.on_deadline_reached(now_, actions());
    if (next_upkeep_ && now_ >= *next_upkeep_) keep_up();
  }
  void operator()(const seam::DatagramArrived& event) {
    if (connections_.is_stopping()) return;
    if (event.socket == seam::kTrackerSocket) return answer_announce(event);
    answer_discovery(event);
  }
  // A tracker stores nothing and looks no piece up.
  template <typename Other>
  void operator()(const Other&) {}

 private:
  [[nodiscard]] seam::Actions& actions() { return connections_.actions(); }

  // The first byte says which protocol it is: a course message begins with its version.
  void tell_apart(const seam::Accepted& accepted, base::ByteView first) {
    const course::Asker asker{accepted.remote.address, accepted.local.address};
    if (wire::is_http_first_byte(first.front())) {
      http_.adopt(accepted.conn, asker, first, now_);
    } else {
      connections_.on_accepted(accepted);
      connections_.on_first_bytes(accepted.conn, first, now_);
    }
    http_answers_.set_counts({.course = connections_.size(), .http = http_.size()});
  }

  // An answer makes room on its connection for the next question.
  void answer_questions() {
    for (bool is_more = true; is_more;) {
      for (const Question& question : connections_.take_questions()) {
        file_infos_.on_asked({question.request.conn, question.request.number.value}, question.asker, now_, actions());
      }
      const auto answers = file_infos_.take_answers();
      for (const tracker::FileInfoAnswer& answer : answers) {
        const RequestId request{answer.ask.conn, swarm::CourseServer::RequestNumber(answer.ask.request)};
        connections_.on_answer_ready(request, make_answer(answer.message), now_);
      }
      is_more = !answers.empty();
    }
  }

  void answer_announce(const seam::DatagramArrived& event) {
    auto answer = udp_answers_.answer(event.bytes, event.from, event.local, now_);
    if (answer) actions().emplace_back(seam::SendDatagram{event.socket, event.from, std::move(*answer)});
  }

  void answer_discovery(const seam::DatagramArrived& event) {
    discovery::Reply reply = responder_.respond(event.bytes, {event.from.address, event.local});
    const std::string asked(reply.asked ? course::to_string(*reply.asked) : "malformed");
    tell(seam::MessageDirection::received, event.from, asked, reply.asked ? "" : reply.detail);
    if (reply.answered) {
      tell(seam::MessageDirection::sent, event.from, std::string(course::to_string(*reply.answered)), reply.detail);
    }
    for (base::Bytes& datagram : reply.datagrams) {
      actions().emplace_back(seam::SendDatagram{event.socket, event.from, std::move(datagram)});
    }
  }

  // What is due every few seconds.
  void keep_up() {
    next_upkeep_ = now_ + kExpireEvery;
    swarms_.expire(now_);
    http_answers_.set_counts({.course = connections_.size(), .http = http_.size()});
    const std::uint64_t announces = swarms_.totals().announces;
    if (std::exchange(saved_announces_, announces) != announces) save_swarms();
  }
  void save_shares() { actions().emplace_back(seam::SaveState{.name = kSharesState, .bytes = shares_.save()}); }
  void save_swarms() { actions().emplace_back(seam::SaveState{.name = kSwarmsState, .bytes = swarms_.save(now_)}); }

  void tell(seam::MessageDirection direction, base::Endpoint remote, std::string message, std::string detail) {
    actions().emplace_back(seam::Tell{seam::MessageTrace{.direction = direction,
                                                         .is_datagram = true,
                                                         .remote = remote,
                                                         .message = std::move(message),
                                                         .detail = std::move(detail)}});
  }

  TrackerHostOptions options_;
  base::Rng rng_;
  tracker::ShareList shares_;
  tracker::Swarms swarms_;
  tracker::SwarmShare share_;
  ServerConnections connections_;
  tracker::FileInfoAnswers file_infos_;
  tracker::HttpAnswers http_answers_;
  HttpConnections http_;
  tracker::UdpAnswers udp_answers_;
  discovery::Responder responder_;
  std::unordered_map<seam::ConnId, seam::Accepted> newcomers_;  // have said nothing yet; bounded by connections_max
  std::array<std::byte, kFirstBytes> first_bytes_;
  std::optional<base::Instant> next_upkeep_;
  std::uint64_t saved_announces_ = 0;
  base::Instant now_{};
  bool is_finished_ = false;
};

}  // namespace

std::unique_ptr<seam::Machine> make_tracker_host(TrackerHostOptions options, tracker::ShareProvider* configured,
                                                 base::Rng rng) {
  return std::make_unique<TrackerHost>(std::move(options), configured, std::move(rng));
}

}  // namespace shoal::roles
