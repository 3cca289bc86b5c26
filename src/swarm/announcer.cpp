#include "swarm/announcer.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "swarm/tracker_link.hpp"

namespace shoal::swarm {
namespace {

using base::Endpoint;
using base::Instant;
using wire::AnnounceEvent;

constexpr std::size_t kTextBytesMax = 200;  // of what a tracker says to a user
// Some trackers read a signed number.
constexpr std::uint64_t kLeftToldMax = std::numeric_limits<std::int64_t>::max();

// A tracker's words on their way to a terminal.
std::string harmless(std::string_view text) {
  std::string shown(text.substr(0, kTextBytesMax));
  std::ranges::replace_if(shown, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, '?');
  return shown;
}

// As many whole ranges as there is room for.
std::string shortened(const std::string& ranges) {
  if (ranges.size() <= kHeldTextBytesMax) return ranges;
  const std::size_t comma = ranges.rfind(',', kHeldTextBytesMax);
  return comma == std::string::npos ? "" : ranges.substr(0, comma);
}

base::Duration interval_of(std::uint32_t seconds, base::Duration if_not_told) {
  if (seconds == 0) return if_not_told;
  return std::clamp<base::Duration>(std::chrono::seconds(seconds), kIntervalMin, kIntervalMax);
}

struct Tracker {
  Tracker(TrackerUrl url, std::size_t its_tier, base::Rng rng) : link(std::move(url), rng), tier(its_tier) {}

  TrackerLink link;
  std::size_t tier;
  Announcer::TrackerStatus status;
  Instant asked_at{};
  AnnounceEvent asked_event = AnnounceEvent::none;
  bool asked_when_complete = false;
  bool has_heard_started = false;
  bool knows_we_are_complete = false;
  int failures = 0;
  Instant retry_at{};
  base::Duration min_interval = kMinIntervalDefault;
  std::string tracker_id;
  std::string warning;
};

struct Tier {
  std::vector<std::size_t> order;      // of trackers; the one that answered last in front
  std::optional<std::size_t> awaited;  // whose answer decides what is next
  std::optional<Instant> next_at;      // when one is asked again, or another
};

}  // namespace

class Announcer::Impl {
 public:
  Impl(AnnouncerOptions options, base::Rng rng)
      : options_(std::move(options)), rng_(rng), ids_{options_.first_fetch, options_.first_fetch} {
    for (const auto& urls : options_.tiers) add_tier(urls);
  }

  void start(const AnnounceStatus& status, Instant now) {
    status_ = status;
    is_complete_ = status.left == 0;
    is_started_ = true;
    for (Tier& tier : tiers_) ask_next(tier, now);
    settle(now);
  }

  void add_tracker(const std::string& url, Instant now) {
    if (is_stopping_ || !add_tier({url}) || !is_started_) return;
    ask_next(tiers_.back(), now);
    settle(now);
  }

  void on_status(const AnnounceStatus& status) { status_ = status; }

  void on_completed(Instant now) {
    if (!is_started_ || is_stopping_ || std::exchange(is_complete_, true)) return;
    for (Tier& tier : tiers_) tell_completed(tier, now);
    settle(now);
  }

  void announce_soon(AnnounceReason reason, Instant now) {
    if (!is_started_ || is_stopping_) return;
    for (Tier& tier : tiers_) {
      const Tracker& front = trackers_[tier.order.front()];
      if (!front.status.is_working || front.link.is_under_way() || !tier.next_at) continue;
      if (reason == AnnounceReason::pieces_changed && front.min_interval > kEagerMinInterval) continue;
      tier.next_at = std::min(*tier.next_at, std::max(now, front.asked_at + front.min_interval));
    }
    on_deadline(now);
  }

  void stop(Instant now) {
    if (is_stopping_) return;
    is_stopping_ = true;
    stop_ends_ = now + kStopPatience;
    completed_ends_ = now + kCompletedPatience;
    for (Tier& tier : tiers_) {
      tier.next_at.reset();
      tier.awaited.reset();
    }
    for (std::size_t index = 0; index < trackers_.size(); ++index) {
      if (!is_to_hear_completed(index)) say_stopped(trackers_[index], now);
    }
    end_when_stopped();
  }

  bool on_event(const seam::Event& event, Instant now) {
    if (!is_ours(event)) return false;
    if (const auto* datagram = std::get_if<seam::DatagramArrived>(&event)) {
      const auto reply = wire::parse_udp_reply(datagram->bytes);
      for (Tracker& tracker : trackers_) {
        if (reply) tracker.link.on_datagram(datagram->from, *reply, now);
      }
    } else {
      for (Tracker& tracker : trackers_) tracker.link.on_event(event, now);
    }
    settle(now);
    return true;
  }

  void on_deadline(Instant now) {
    for (Tracker& tracker : trackers_) {
      const auto deadline = tracker.link.next_deadline();
      if (deadline && now >= *deadline) tracker.link.on_deadline(now);
      if (tracker.link.is_silent()) note_trouble(tracker, "does not answer");
    }
    settle(now);
    for (Tier& tier : tiers_) {
      if (tier.next_at && now >= *tier.next_at) ask_next(tier, now);
    }
    settle(now);
    if (is_stopping_ && now >= completed_ends_) {
      for (Tracker& tracker : trackers_) {
        if (tracker.link.is_under_way() && tracker.asked_event != AnnounceEvent::stopped) say_stopped(tracker, now);
      }
    }
    if (is_stopping_ && !is_stopped_ && now >= stop_ends_) {
      for (Tracker& tracker : trackers_) {
        tracker.link.cancel();
        drain(tracker);
      }
      end_when_stopped();
    }
  }

  [[nodiscard]] std::optional<Instant> next_deadline() const {
    std::optional<Instant> next;
    const auto at = [&](std::optional<Instant> instant) {
      if (instant) next = std::min(next.value_or(*instant), *instant);
    };
    for (const Tracker& tracker : trackers_) at(tracker.link.next_deadline());
    for (const Tier& tier : tiers_) at(tier.next_at);
    if (is_stopping_ && !is_stopped_) at(is_completed_awaited() ? completed_ends_ : stop_ends_);
    return next;
  }

  seam::Actions take_actions() { return std::exchange(actions_, {}); }
  std::vector<Endpoint> take_peers() { return std::exchange(peers_, {}); }
  [[nodiscard]] bool is_stopped() const { return is_stopped_; }

  [[nodiscard]] bool is_alone() const {
    return std::ranges::all_of(trackers_, [](const Tracker& tracker) {
      return !tracker.status.is_working && !tracker.status.trouble.empty();
    });
  }

  [[nodiscard]] std::vector<TrackerStatus> trackers() const {
    std::vector<TrackerStatus> all;
    for (const Tracker& tracker : trackers_) all.push_back(tracker.status);
    return all;
  }

 private:
  bool add_tier(const std::vector<std::string>& urls) {
    Tier tier;
    for (const std::string& url : urls) {
      auto parsed = parse_tracker_url(url);
      if (!parsed) {
        tell(seam::NoteTrace{.level = seam::NoteTrace::Level::info,
                             .text = "tracker " + harmless(url) +
                                     " is left out: not a URL of a tracker that can be "
                                     "asked over udp, http or https"});
        continue;
      }
      const auto is_same = [&](const Tracker& known) { return known.link.url().text == parsed->text; };
      if (trackers_.size() == kTrackersMax || std::ranges::any_of(trackers_, is_same)) continue;
      tier.order.push_back(trackers_.size());
      trackers_.emplace_back(std::move(*parsed), tiers_.size(), rng_.fork());
      trackers_.back().status.url = url;
    }
    if (tier.order.empty()) return false;
    for (std::size_t left = tier.order.size(); left > 1; --left) {
      std::swap(tier.order[left - 1], tier.order[rng_.below(left)]);
    }
    tiers_.push_back(std::move(tier));
    return true;
  }

  // The first of a tier that is neither under way nor pausing after a failure.
  void ask_next(Tier& tier, Instant now) {
    tier.awaited.reset();
    tier.next_at.reset();
    for (const std::size_t index : tier.order) {
      Tracker& tracker = trackers_[index];
      if (tracker.link.is_under_way()) continue;
      if (tracker.retry_at > now) {
        tier.next_at = std::min(tier.next_at.value_or(tracker.retry_at), tracker.retry_at);
        continue;
      }
      tier.awaited = index;
      tier.next_at = now + kSlowTracker;
      announce(tracker, next_event(tracker), now);
      return;
    }
  }

  [[nodiscard]] AnnounceEvent next_event(const Tracker& tracker) const {
    if (!tracker.has_heard_started) return AnnounceEvent::started;
    return is_complete_ && !tracker.knows_we_are_complete ? AnnounceEvent::completed : AnnounceEvent::none;
  }

  // To the tracker that answers for its tier; another hears it when it comes to be that.
  void tell_completed(Tier& tier, Instant now) {
    Tracker& tracker = trackers_[tier.order.front()];
    if (tracker.link.is_under_way() || next_event(tracker) != AnnounceEvent::completed) return;
    tier.awaited = tier.order.front();
    tier.next_at = now + kSlowTracker;
    announce(tracker, AnnounceEvent::completed, now);
  }

  // Something is under way there, and "completed" is it or has to come after it. A `get` ends when it is complete: what
  // it says last must not cut off that it got everything.
  [[nodiscard]] bool is_to_hear_completed(std::size_t index) const {
    const Tracker& tracker = trackers_[index];
    const bool is_owed = is_complete_ && !tracker.knows_we_are_complete &&
                         (tracker.asked_event == AnnounceEvent::completed || !tracker.asked_when_complete);
    return is_owed && tiers_[tracker.tier].order.front() == index && tracker.link.is_under_way() &&
           !tracker.link.is_silent();
  }

  [[nodiscard]] bool is_completed_awaited() const {
    return std::ranges::any_of(trackers_, [](const Tracker& tracker) {
      return tracker.link.is_under_way() && tracker.asked_event != AnnounceEvent::stopped;
    });
  }

  // While stopping, what was under way came to its end.
  void on_last_but_one(Tracker& tracker, Instant now) {
    if (tracker.asked_event == AnnounceEvent::stopped) return;
    if (tracker.asked_event != AnnounceEvent::completed && next_event(tracker) == AnnounceEvent::completed) {
      announce(tracker, AnnounceEvent::completed, now);
    } else {
      say_stopped(tracker, now);
    }
  }

  void say_stopped(Tracker& tracker, Instant now) {
    const bool is_hearing = tracker.link.is_under_way() && tracker.link.may_have_been_heard() &&
                            !tracker.link.is_silent() && tracker.asked_event == AnnounceEvent::started;
    tracker.link.cancel();
    drain(tracker);
    if (tracker.has_heard_started || is_hearing) announce(tracker, AnnounceEvent::stopped, now);
  }

  void announce(Tracker& tracker, AnnounceEvent event, Instant now) {
    tracker.asked_at = now;
    tracker.asked_event = event;
    tracker.asked_when_complete = is_complete_;
    if (tracker.link.url().scheme == TrackerUrl::Scheme::udp && !std::exchange(is_socket_open_, true)) {
      actions_.push_back(seam::OpenDatagram{seam::kAnnouncerSocket, options_.local});
    }
    const bool is_last = event == AnnounceEvent::stopped;
    tracker.link.announce({.info_hash = options_.info_hash,
                           .peer_id = options_.peer_id,
                           .port = options_.port,
                           .uploaded = status_.uploaded,
                           .downloaded = status_.downloaded,
                           .left = std::min(status_.left, kLeftToldMax),
                           .event = event,
                           .key = options_.key,
                           .peers_wanted = is_last ? 0 : kPeersWanted,
                           .omits_peer_ids = true,
                           .tracker_id = tracker.tracker_id,
                           .held = shortened(status_.held)},
                          ids_, is_last ? kStopPatience : kSlowTracker, now);
    drain(tracker);
  }

  // Takes what links have to say until none says anything; an address that is none fails at once.
  void settle(Instant now) {
    for (bool is_settled = false; !is_settled;) {
      is_settled = true;
      for (std::size_t index = 0; index < trackers_.size(); ++index) {
        Tracker& tracker = trackers_[index];
        drain(tracker);
        auto result = tracker.link.take_result();
        if (!result) continue;
        is_settled = false;
        if (auto* reply = std::get_if<wire::AnnounceReply>(&*result)) {
          on_answered(index, *reply, now);
        } else {
          on_failed(index, std::get<wire::Failure>(*result).reason, now);
        }
      }
    }
    end_when_stopped();
  }

  void on_answered(std::size_t index, wire::AnnounceReply& reply, Instant now) {
    Tracker& tracker = trackers_[index];
    if (is_stopping_) {
      tracker.has_heard_started = true;
      return on_last_but_one(tracker, now);
    }
    if (!tracker.status.is_working) trace(tracker, seam::TrackerTrace::What::chosen, "answered");
    tracker.status.is_working = true;
    tracker.status.trouble.clear();
    tracker.status.seeds = reply.seeds;
    tracker.status.leechers = reply.leechers;
    tracker.failures = 0;
    tracker.has_heard_started = true;
    tracker.knows_we_are_complete |= tracker.asked_when_complete;
    const base::Duration interval = interval_of(reply.interval_s, kIntervalDefault);
    tracker.min_interval = interval_of(reply.min_interval_s, std::max(interval / 2, kMinIntervalDefault));
    if (!reply.tracker_id.empty() && reply.tracker_id.size() <= kTrackerIdBytesMax) {
      tracker.tracker_id = std::move(reply.tracker_id);
    }
    if (!reply.warning.empty() && reply.warning != tracker.warning) {
      tracker.warning = std::move(reply.warning);
      tell(seam::NoteTrace{.level = seam::NoteTrace::Level::warning,
                           .text = "tracker " + harmless(tracker.status.url) + " warns: " + harmless(tracker.warning)});
    }
    take_peers_of(tracker, reply);

    Tier& tier = tiers_[tracker.tier];
    const auto place = std::ranges::find(tier.order, index);
    std::rotate(tier.order.begin(), place, place + 1);
    tier.awaited.reset();
    tier.next_at = now + std::max(interval, tracker.min_interval);
    for (const std::size_t other : tier.order) {
      if (trackers_[other].link.is_silent()) fail(trackers_[other], "does not answer", now);
    }
    tell_completed(tier, now);
  }

  void on_failed(std::size_t index, const std::string& reason, Instant now) {
    Tracker& tracker = trackers_[index];
    if (is_stopping_) return on_last_but_one(tracker, now);
    fail(tracker, reason, now);
    Tier& tier = tiers_[tracker.tier];
    if (tier.awaited == index || !tier.next_at) ask_next(tier, now);
  }

  void fail(Tracker& tracker, const std::string& reason, Instant now) {
    tracker.link.cancel();
    drain(tracker);
    note_trouble(tracker, reason);
    base::Duration pause = kRetryFirst;
    for (int failure = 0; failure < tracker.failures && pause < kRetryMax; ++failure) pause *= 2;
    ++tracker.failures;
    pause = std::min(pause, kRetryMax);
    // Up to a quarter more: those that lost a tracker together do not come back together.
    tracker.retry_at = now + pause + base::from_seconds(base::to_seconds(pause) * 0.25 * rng_.unit());
  }

  void note_trouble(Tracker& tracker, const std::string& reason) {
    const std::string shown = reason.empty() ? "refused without a reason" : harmless(reason);
    if (!tracker.status.is_working && tracker.status.trouble == shown) return;
    tracker.status.is_working = false;
    tracker.status.trouble = shown;
    trace(tracker, seam::TrackerTrace::What::failed, shown);
  }

  void take_peers_of(const Tracker& tracker, const wire::AnnounceReply& reply) {
    const bool may_name_this_host = tracker.link.is_on_this_host();
    for (std::size_t i = 0; i < std::min(reply.peers.size(), wire::kAnnouncePeersMax); ++i) {
      const Endpoint& peer = reply.peers[i].endpoint;
      if (peers_.size() == kPeersUntakenMax) return;
      if (peer.port != 0 && (may_name_this_host || !peer.address.is_loopback())) peers_.push_back(peer);
    }
  }

  void end_when_stopped() {
    if (!is_stopping_ || is_stopped_) return;
    if (std::ranges::any_of(trackers_, [](const Tracker& tracker) { return tracker.link.is_under_way(); })) return;
    is_stopped_ = true;
    if (is_socket_open_) actions_.push_back(seam::CloseDatagram{seam::kAnnouncerSocket});
  }

  [[nodiscard]] bool is_ours(const seam::Event& event) const {
    const auto is_given_out = [this](std::uint64_t id, std::uint64_t next) {
      return id >= options_.first_fetch && id < next && (id - options_.first_fetch) % 2 == 0;
    };
    if (const auto* datagram = std::get_if<seam::DatagramArrived>(&event)) {
      return datagram->socket == seam::kAnnouncerSocket;
    }
    if (const auto* fetched = std::get_if<seam::Fetched>(&event)) {
      return is_given_out(fetched->fetch.value, ids_.next_fetch);
    }
    if (const auto* failed = std::get_if<seam::FetchFailed>(&event)) {
      return is_given_out(failed->fetch.value, ids_.next_fetch);
    }
    const auto* resolved = std::get_if<seam::NameResolved>(&event);
    return resolved != nullptr && is_given_out(resolved->resolve.value, ids_.next_resolve);
  }

  void drain(Tracker& tracker) {
    for (seam::Action& action : tracker.link.take_actions()) actions_.push_back(std::move(action));
  }
  void trace(const Tracker& tracker, seam::TrackerTrace::What what, std::string reason) {
    tell(seam::TrackerTrace{.what = what,
                            .tracker = tracker.link.endpoint(),
                            .name = harmless(tracker.status.url),
                            .reason = std::move(reason)});
  }
  void tell(seam::Trace trace) { actions_.push_back(seam::Tell{std::move(trace)}); }

  AnnouncerOptions options_;
  base::Rng rng_;
  WebIds ids_;
  AnnounceStatus status_;
  bool is_started_ = false;
  bool is_complete_ = false;
  bool is_stopping_ = false;
  bool is_stopped_ = false;
  bool is_socket_open_ = false;
  Instant stop_ends_{};
  Instant completed_ends_{};  // while stopping
  std::vector<Tracker> trackers_;
  std::vector<Tier> tiers_;
  std::vector<Endpoint> peers_;
  seam::Actions actions_;
};

Announcer::Announcer(AnnouncerOptions options, base::Rng rng)
    : impl_(std::make_unique<Impl>(std::move(options), rng)) {}
Announcer::~Announcer() = default;

void Announcer::start(const AnnounceStatus& status, Instant now) {
  impl_->start(status, now);
}
void Announcer::add_tracker(const std::string& url, Instant now) {
  impl_->add_tracker(url, now);
}
void Announcer::on_status(const AnnounceStatus& status) {
  impl_->on_status(status);
}
void Announcer::on_completed(Instant now) {
  impl_->on_completed(now);
}
void Announcer::announce_soon(AnnounceReason reason, Instant now) {
  impl_->announce_soon(reason, now);
}
void Announcer::stop(Instant now) {
  impl_->stop(now);
}
bool Announcer::on_event(const seam::Event& event, Instant now) {
  return impl_->on_event(event, now);
}
void Announcer::on_deadline(Instant now) {
  impl_->on_deadline(now);
}
std::optional<Instant> Announcer::next_deadline() const {
  return impl_->next_deadline();
}
seam::Actions Announcer::take_actions() {
  return impl_->take_actions();
}
std::vector<Endpoint> Announcer::take_peers() {
  return impl_->take_peers();
}
bool Announcer::is_stopped() const {
  return impl_->is_stopped();
}
bool Announcer::is_alone() const {
  return impl_->is_alone();
}
std::vector<Announcer::TrackerStatus> Announcer::trackers() const {
  return impl_->trackers();
}

}  // namespace shoal::swarm
