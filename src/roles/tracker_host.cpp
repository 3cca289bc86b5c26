#include "roles/tracker_host.hpp"

#include <array>
#include <map>
#include <utility>
#include <variant>

#include "discovery/responder.hpp"
#include "roles/http_connections.hpp"
#include "roles/server_connections.hpp"
#include "roles/shared_body.hpp"
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

swarm::Answer make_answer(const std::shared_ptr<const base::Bytes>& message) {
  return {.head = base::Bytes(message->begin(), message->begin() + course::kHeaderBytes),
          .rest = std::make_shared<const SharedBody>(message, course::kHeaderBytes)};
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
        http_(http_answers_, connections_.actions(), options_.http_connections_max),
        udp_answers_(swarms_, rng_),
        responder_({.name = options_.name,
                    .listening = options_.listening,
                    .splits_replies = options_.splits_replies,
                    .speaks_bittorrent = !options_.is_course_only}) {}

  void start(base::Instant now) override {
    if (!options_.saved_shares.empty() && !shares_.restore(options_.saved_shares)) warn_of_state(kSharesState);
    for (const auto& share : shares_.all()) swarms_.allow(share->torrent.info_hash, now);
    if (!options_.saved_swarms.empty() && !swarms_.restore(options_.saved_swarms, now, options_.saved_swarms_age)) {
      warn_of_state(kSwarmsState);
    }
    options_.saved_shares = base::Bytes();
    options_.saved_swarms = base::Bytes();
    saved_announces_ = swarms_.totals().announces;
    next_swarm_save_ = now + kSaveEvery;
    if (!options_.is_course_only) next_upkeep_ = now + kExpireEvery;
  }

  void on_event(seam::Event&& event, base::Instant now) override {
    if (is_finished_) return;
    now_ = now;
    share_.set_now(now);
    http_answers_.set_counts({.silent = newcomers_.size(), .course = connections_.size(), .http = http_.size()});
    std::visit(*this, std::move(event));
    if (http_answers_.take_is_changed()) are_shares_saved_ = false;
    if (!are_shares_saved_ && now >= next_share_save_) save_shares();
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
    const auto share_save = are_shares_saved_ ? std::nullopt : std::optional(next_share_save_);
    return earliest(connections_.next_deadline(), file_infos_.next_deadline(), http_.next_deadline(), next_upkeep_,
                    share_save);
  }
  seam::Actions take_actions() override { return std::exchange(actions(), {}); }

  void operator()(const seam::Accepted& event) {
    if (options_.is_course_only || connections_.is_stopping()) return connections_.on_accepted(event);
    if (newcomers_.size() >= options_.silent_connections_max && !newcomers_.empty()) {
      actions().emplace_back(seam::Close{newcomers_.begin()->first});
      newcomers_.erase(newcomers_.begin());
    }
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
    if (http_.owns(event.conn)) return http_.on_input_ended(event);
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
    if (!are_shares_saved_) save_shares();
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
    if (now_ >= next_swarm_save_ && swarms_.totals().announces != saved_announces_) save_swarms();
  }
  void save_shares() {
    are_shares_saved_ = true;
    next_share_save_ = now_ + kSaveSharesEvery;
    actions().emplace_back(seam::SaveState{.name = kSharesState, .bytes = shares_.save()});
  }
  void save_swarms() {
    const tracker::Swarms::Totals totals = swarms_.totals();
    saved_announces_ = totals.announces;
    next_swarm_save_ = now_ + kSaveEvery + kSavePerPeer * (totals.seeds + totals.leechers);
    actions().emplace_back(seam::SaveState{.name = kSwarmsState, .bytes = swarms_.save(now_)});
  }
  void warn_of_state(const char* name) {
    actions().emplace_back(
        seam::Tell{seam::NoteTrace{.level = seam::NoteTrace::Level::warning,
                                   .text = std::string("what an earlier run saved as \"") + name +
                                           "\" cannot be read; this one begins without it, and will save over it"}});
  }

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
  std::map<seam::ConnId, seam::Accepted> newcomers_;  // have said nothing yet; runners number them as they come
  std::array<std::byte, kFirstBytes> first_bytes_;
  std::optional<base::Instant> next_upkeep_;
  bool are_shares_saved_ = true;
  base::Instant next_share_save_ = base::Instant::min();
  base::Instant next_swarm_save_{};
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
