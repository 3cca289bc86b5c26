// The trackers of an announcer under test: it runs in virtual time, its requests wait here until the test answers them,
// and what must hold at all times is checked on the way.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "swarm/announcer.hpp"
#include "swarm/udp_tracker.hpp"

namespace shoal::swarm {

inline base::Endpoint endpoint(std::string_view text) {
  return base::Endpoint::parse(text).value();
}

class AnnouncerWorld {
 public:
  void make(std::vector<std::vector<std::string>> tiers, std::uint64_t seed = 1) {
    options_.tiers = std::move(tiers);
    announcer_ = std::make_unique<Announcer>(options_, base::Rng(seed));
  }
  void start(std::vector<std::vector<std::string>> tiers, AnnounceStatus status = {.left = 1}, std::uint64_t seed = 1) {
    make(std::move(tiers), seed);
    announcer_->start(status, now_);
    carry_out();
  }

  // --- What it does ---
  void carry_out() {
    for (seam::Action& action : announcer_->take_actions()) {
      if (const auto* fetch = std::get_if<seam::Fetch>(&action)) {
        begin(*fetch);
      } else if (const auto* cancel = std::get_if<seam::CancelFetch>(&action)) {
        EXPECT_EQ(fetches_.erase(cancel->fetch.value), 1u);
      } else if (const auto* resolve = std::get_if<seam::Resolve>(&action)) {
        resolves_.push_back(*resolve);
      } else if (const auto* send = std::get_if<seam::SendDatagram>(&action)) {
        take(*send);
      } else if (std::holds_alternative<seam::OpenDatagram>(action)) {
        EXPECT_FALSE(std::exchange(is_socket_open_, true));
      } else if (std::holds_alternative<seam::CloseDatagram>(action)) {
        EXPECT_TRUE(std::exchange(is_socket_open_, false));
      } else {
        take(std::get<seam::Tell>(action).trace);
      }
    }
  }
  void pass(base::Duration duration) {
    const base::Instant end = now_ + duration;
    while (announcer_->next_deadline() && *announcer_->next_deadline() <= end) {
      ASSERT_GE(*announcer_->next_deadline(), now_);
      now_ = *announcer_->next_deadline();
      announcer_->on_deadline(now_);
      carry_out();
      ASSERT_TRUE(!announcer_->next_deadline() || *announcer_->next_deadline() > now_);
    }
    now_ = end;
  }
  bool hear(const seam::Event& event) {
    const bool is_its = announcer_->on_event(event, now_);
    carry_out();
    return is_its;
  }
  void complete() {
    announcer_->on_status({.left = 0});
    announcer_->on_completed(now_);
    carry_out();
  }
  void stop() {
    announcer_->stop(now_);
    carry_out();
  }

  // --- HTTP: trackers by URL ---
  [[nodiscard]] std::set<std::string> asked() const {
    std::set<std::string> urls;
    for (const auto& [id, fetch] : fetches_) urls.insert(tracker_of(fetch.url));
    return urls;
  }
  [[nodiscard]] std::set<std::uint64_t> fetch_ids() const {
    std::set<std::uint64_t> ids;
    for (const auto& [id, fetch] : fetches_) ids.insert(id);
    return ids;
  }
  [[nodiscard]] wire::AnnounceRequest last_request(const std::string& url) const { return requests_.at(url).back(); }
  void respond(const std::string& url, int status, std::string_view body) {
    const base::ByteView view = base::view_of(body);
    if (const auto id = take_fetch(url)) {
      hear(seam::Fetched{.fetch = *id, .status = status, .body = base::Bytes(view.begin(), view.end())});
    }
  }
  void answer(const std::string& url, const wire::AnnounceReply& reply = {.interval_s = 1800}) {
    const wire::AnnounceRequest request = last_request(url);
    respond(url, 200, base::text_of(wire::encode_http_announce_reply(reply, request)));
    note_heard(url, request.event, reply);
  }
  void refuse(const std::string& url, std::string_view reason) {
    respond(url, 200, base::text_of(wire::encode_http_failure(reason)));
  }
  void fail(const std::string& url) {
    if (const auto id = take_fetch(url)) hear(seam::FetchFailed{.fetch = *id, .reason = "cannot be reached"});
  }

  // --- UDP ---
  void resolve(std::vector<base::Ipv4Address> addresses) {
    ASSERT_FALSE(resolves_.empty());
    const seam::ResolveId id = resolves_.front().resolve;
    resolves_.erase(resolves_.begin());
    hear(seam::NameResolved{.resolve = id, .addresses = std::move(addresses)});
  }
  // Connects, when it is asked to, and answers the announce.
  void answer_udp(base::Endpoint tracker, const wire::AnnounceReply& reply) {
    for (int step = 0; step < 2; ++step) {
      const auto asked = udp_requests_.find(tracker);
      if (asked == udp_requests_.end()) return;
      const wire::UdpRequest request = asked->second;
      udp_requests_.erase(asked);
      if (const auto* connect = std::get_if<wire::UdpConnect>(&request)) {
        say(tracker, wire::UdpConnected{.transaction = connect->transaction, .connection = 5});
      } else if (const auto* announce = std::get_if<wire::UdpAnnounce>(&request)) {
        say(tracker, wire::UdpAnnounced{.transaction = announce->transaction, .reply = reply});
        note_heard(tracker.to_string(), announce->request.event, reply);
        return;
      }
    }
  }
  void say(base::Endpoint tracker, const wire::UdpReply& reply) {
    hear(seam::DatagramArrived{
        .socket = seam::kAnnouncerSocket, .from = tracker, .local = {}, .bytes = wire::encode(reply)});
  }

  // Each question that waits is answered well, badly or, for now, not at all.
  void answer_at_random(base::Rng& rng) {
    const auto reply = [&] {
      return wire::AnnounceReply{.interval_s = static_cast<std::uint32_t>(rng.below(4000)),
                                 .min_interval_s = static_cast<std::uint32_t>(rng.below(100)),
                                 .seeds = ++answers_};
    };
    for (const std::string& url : asked()) {
      if (rng.chance(0.3)) {
        answer(url, reply());
      } else if (rng.chance(0.3)) {
        rng.chance(0.5) ? fail(url) : refuse(url, "no");
      } else if (rng.chance(0.3)) {
        respond(url, rng.chance(0.5) ? 404 : 200, "garbage");
      }
    }
    const auto waiting = udp_requests_;
    for (const auto& [tracker, request] : waiting) {
      if (rng.chance(0.3)) answer_udp(tracker, reply());
    }
  }
  // What each tracker heard: "started" first and once, then "completed" at most once. And nobody was asked too often.
  void check_events() const {
    for (const auto& [tracker, events] : heard_) {
      EXPECT_EQ(events.front(), wire::AnnounceEvent::started) << tracker;
      EXPECT_EQ(std::ranges::count(events, wire::AnnounceEvent::started), 1) << tracker;
      EXPECT_LE(std::ranges::count(events, wire::AnnounceEvent::completed), 1) << tracker;
    }
    for (const auto& [url, requests] : requests_) EXPECT_LE(requests.size(), 24u * 3600 / 5) << url;
  }

  AnnouncerOptions options_{.info_hash = base::sha1({}), .peer_id = {}, .port = 6881, .key = 77};
  std::unique_ptr<Announcer> announcer_;
  base::Instant now_ = base::Instant{} + std::chrono::hours(1);
  bool is_socket_open_ = false;
  std::vector<seam::SendDatagram> datagrams_;
  std::vector<std::string> notes_;
  std::vector<std::string> traces_;

 private:
  static std::string tracker_of(const std::string& url) { return url.substr(0, url.find('?')); }

  void begin(const seam::Fetch& fetch) {
    const std::string url = tracker_of(fetch.url);
    EXPECT_FALSE(asked().contains(url)) << "one announce per tracker at a time";
    EXPECT_TRUE(fetches_.emplace(fetch.fetch.value, fetch).second);
    const auto request = wire::parse_announce_query(fetch.url.substr(url.size() + 1));
    EXPECT_TRUE(request) << fetch.url;
    if (request) requests_[url].push_back(*request);
  }
  std::optional<seam::FetchId> take_fetch(const std::string& url) {
    for (const auto& [id, fetch] : fetches_) {
      if (tracker_of(fetch.url) != url) continue;
      const seam::FetchId found(id);
      fetches_.erase(id);
      return found;
    }
    ADD_FAILURE() << url << " was not asked";
    return std::nullopt;
  }
  // An answer counts that was awaited: of the random ones each has a number of its own, as the number of seeds.
  void note_heard(const std::string& tracker, wire::AnnounceEvent event, const wire::AnnounceReply& reply) {
    const auto took_it = [&](const auto& status) { return status.seeds == reply.seeds; };
    if (std::ranges::any_of(announcer_->trackers(), took_it)) heard_[tracker].push_back(event);
  }
  void take(const seam::SendDatagram& send) {
    EXPECT_TRUE(is_socket_open_);
    EXPECT_EQ(send.socket, seam::kAnnouncerSocket);
    datagrams_.push_back(send);
    if (const auto request = wire::parse_udp_request(send.bytes)) udp_requests_[send.to] = *request;
  }
  void take(const seam::Trace& trace) {
    if (const auto* note = std::get_if<seam::NoteTrace>(&trace)) notes_.push_back(note->text);
    if (const auto* tracker = std::get_if<seam::TrackerTrace>(&trace)) {
      const bool is_chosen = tracker->what == seam::TrackerTrace::What::chosen;
      traces_.push_back((is_chosen ? "chosen " : "failed ") + tracker->name + ": " + tracker->reason);
    }
  }

  std::map<std::uint64_t, seam::Fetch> fetches_;
  std::map<std::string, std::vector<wire::AnnounceRequest>> requests_;
  std::map<std::string, std::vector<wire::AnnounceEvent>> heard_;  // and answered
  std::uint32_t answers_ = 0;
  std::vector<seam::Resolve> resolves_;
  std::map<base::Endpoint, wire::UdpRequest> udp_requests_;
};

}  // namespace shoal::swarm
