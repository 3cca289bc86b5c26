#include "swarm/peer_book.hpp"

#include <algorithm>
#include <bit>
#include <deque>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace shoal::swarm {
namespace {

using base::Endpoint;
using base::Instant;
using base::Ipv4Address;

static_assert(std::accumulate(kPeersKnownOf.begin(), kPeersKnownOf.end(), std::size_t{0}) == kPeersKnownMax);
constexpr std::size_t kOrigins = kPeersKnownOf.size();
constexpr int kFailuresCounted = 16;
static_assert(kFirstPause * (1 << (kFailuresCounted - 1)) > kPauseMax);

std::size_t index_of(PeerOrigin origin) {
  return static_cast<std::size_t>(origin);
}

bool can_be_dialled(const Endpoint& peer) {
  const std::uint32_t first = peer.address.value >> 24;
  return peer.port != 0 && first != 0 && first < 224;  // above: multicast, reserved, broadcast
}

std::uint32_t crc32c(base::ByteView bytes) {
  std::uint32_t crc = ~0u;
  for (const std::byte each : bytes) {
    crc ^= std::to_integer<std::uint32_t>(each);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

// The least promising is at the end: many failures, never of use, a low priority.
struct Hope {
  bool is_pointless = false;  // neither it nor we take anything
  int failures = 0;
  bool is_unproven = true;
  std::uint32_t unlikeliness = 0;  // ~priority
  Endpoint endpoint;
  friend auto operator<=>(const Hope&, const Hope&) = default;
};

struct Record {
  PeerOrigin origin = PeerOrigin::tracker;
  PeerProtocol protocol = PeerProtocol::bittorrent;
  enum class State : std::uint8_t { idle, dialling, connected } state = State::idle;
  bool is_seed = false;
  bool was_useful = false;
  int failures = 0;
  std::uint32_t priority = 0;
  std::optional<Instant> left_at;  // when we last failed to reach it, or lost it
  Instant due{};
  bool is_ready = false;  // idle, and found to be due
};

}  // namespace

std::uint32_t peer_priority(Endpoint a, Endpoint b) {
  if (b < a) std::swap(a, b);
  base::ByteWriter hashed;
  const std::uint32_t differing = a.address.value ^ b.address.value;
  if (differing == 0) {
    hashed.u16(a.port).u16(b.port);
  } else {
    const std::uint32_t mask = (differing >> 16) != 0 ? 0xffff5555 : (differing >> 8) != 0 ? 0xffffff55 : 0xffffffff;
    const std::uint32_t one = a.address.value & mask;
    const std::uint32_t other = b.address.value & mask;
    hashed.u32(std::min(one, other)).u32(std::max(one, other));
  }
  return crc32c(hashed.take());
}

class PeerBook::Impl {
 public:
  Impl(PeerBookOptions options, base::Rng rng) : options_(options), rng_(rng) {}

  void add(const Endpoint& peer, PeerOrigin origin, Instant now, Ipv4Address teller) {
    if (!is_welcome(peer, origin, teller)) return;
    if (const auto known = records_.find(peer); known != records_.end()) {
      hear_again(*known, origin, now);
      return;
    }
    if (origin != PeerOrigin::user && !peer.address.is_loopback() && ports_of(peer.address) >= kPortsPerAddressMax)
      return;
    const std::uint32_t priority = priority_of(peer);
    const Hope hope{.unlikeliness = ~priority, .endpoint = peer};
    if (!make_room(origin, hope)) return;
    const auto [entry, is_new] = records_.emplace(peer, Record{.origin = origin, .priority = priority, .due = now});
    SHOAL_CHECK(is_new);
    ++known_of_[index_of(origin)];
    index(*entry);
  }

  void add_own(const Endpoint& self) {
    if (std::ranges::find(own_, self) != own_.end()) return;
    own_.push_back(self);
    if (const auto known = records_.find(self); known != records_.end()) forget(known);
    reindex([this](Entry& entry) { entry.second.priority = priority_of(entry.first); });
  }

  void on_ourselves(const Endpoint& peer) {
    if (std::ranges::find(ourselves_, peer) != ourselves_.end()) return;
    ourselves_.push_back(peer);
    if (ourselves_.size() > kOurselvesMax) ourselves_.pop_front();
    if (const auto known = records_.find(peer); known != records_.end()) forget(known);
  }

  std::optional<Next> next(Instant now) {
    while (!waiting_.empty() && waiting_.begin()->first <= now) {
      Entry& entry = *records_.find(waiting_.begin()->second);
      unindex(entry);
      entry.second.is_ready = true;
      index(entry);
    }
    const auto origin = next_origin();
    if (!origin) return std::nullopt;
    turn_ = *origin + 1;
    Entry& entry = *records_.find(ready_[*origin].begin()->endpoint);
    set_state(entry, Record::State::dialling);
    return Next{entry.first, entry.second.protocol};
  }

  void on_connected(const Endpoint& peer, Instant now) {
    add(peer, PeerOrigin::incoming, now, peer.address);
    if (const auto entry = records_.find(peer); entry != records_.end()) {
      set_state(*entry, Record::State::connected);
    }
  }

  void on_failed(const Endpoint& peer, Instant now) {
    const auto entry = records_.find(peer);
    if (entry == records_.end()) return;
    Record& record = entry->second;
    rest(*entry, std::min(record.failures + 1, kFailuresCounted), now);
    if (record.failures >= kFailuresMax && record.origin != PeerOrigin::user) forget(entry);
  }

  void on_ended(const Endpoint& peer, bool was_useful, Instant now) {
    if (!was_useful) {
      on_failed(peer, now);
      return;
    }
    const auto entry = records_.find(peer);
    if (entry == records_.end()) return;
    unindex(*entry);
    entry->second.was_useful = true;
    index(*entry);
    rest(*entry, 0, now);
  }

  void on_protocol(const Endpoint& peer, PeerProtocol protocol) {
    if (const auto entry = records_.find(peer); entry != records_.end()) entry->second.protocol = protocol;
  }

  void on_seed(const Endpoint& peer, bool is_seed) {
    const auto entry = records_.find(peer);
    if (entry == records_.end() || entry->second.is_seed == is_seed) return;
    unindex(*entry);
    entry->second.is_seed = is_seed;
    index(*entry);
  }

  void on_seed_told(const Endpoint& peer) {
    const auto entry = records_.find(peer);
    if (entry == records_.end() || entry->second.origin < PeerOrigin::exchange || entry->second.left_at) return;
    on_seed(peer, true);
  }

  void set_seeding(bool are_we) {
    if (std::exchange(are_we_seeding_, are_we) == are_we) return;
    reindex([](Entry&) {});
  }

  void ban(Ipv4Address address) {
    if (!banned_.insert(address.value).second) return;
    banned_in_order_.push_back(address.value);
    if (banned_in_order_.size() > kBannedMax) {
      banned_.erase(banned_in_order_.front());
      banned_in_order_.pop_front();
    }
    auto entry = records_.lower_bound({address, 0});
    while (entry != records_.end() && entry->first.address == address) forget(entry++);
  }

  void become_private() {
    options_ = {.uses_exchange = false, .uses_local = false};
    records_.clear();
    known_of_ = {};
    reindex([](Entry&) {});
  }

  [[nodiscard]] bool is_banned(Ipv4Address address) const { return banned_.contains(address.value); }

  [[nodiscard]] std::optional<Instant> next_deadline() const {
    if (const auto origin = next_origin()) return records_.at(ready_[*origin].begin()->endpoint).due;
    if (waiting_.empty()) return std::nullopt;
    return waiting_.begin()->first;
  }

  [[nodiscard]] std::size_t known() const { return records_.size(); }
  [[nodiscard]] std::size_t banned() const { return banned_.size(); }

 private:
  using Records = std::map<Endpoint, Record>;  // in the order of addresses: those of one host are neighbours
  using Entry = Records::value_type;

  [[nodiscard]] bool is_welcome(const Endpoint& peer, PeerOrigin origin, Ipv4Address teller) const {
    if (origin == PeerOrigin::exchange && !options_.uses_exchange) return false;
    if (origin == PeerOrigin::local && !options_.uses_local) return false;
    if (!can_be_dialled(peer) || is_banned(peer.address) || is_own(peer)) return false;
    return !peer.address.is_loopback() || origin != PeerOrigin::exchange || is_on_this_host(teller);
  }

  [[nodiscard]] bool is_own(const Endpoint& peer) const {
    return std::ranges::find(own_, peer) != own_.end() || std::ranges::find(ourselves_, peer) != ourselves_.end();
  }

  [[nodiscard]] bool is_on_this_host(Ipv4Address address) const {
    const auto is_it = [&](const Endpoint& own) { return own.address == address; };
    return address.is_loopback() || std::ranges::any_of(own_, is_it);
  }

  // Seen from our address that is nearest to the peer's.
  [[nodiscard]] std::uint32_t priority_of(const Endpoint& peer) const {
    const auto distance = [&](const Endpoint& own) { return std::bit_width(own.address.value ^ peer.address.value); };
    const auto nearest = std::ranges::min_element(own_, {}, distance);
    return peer_priority(nearest == own_.end() ? Endpoint{} : *nearest, peer);
  }

  void hear_again(Entry& entry, PeerOrigin origin, Instant now) {
    Record& record = entry.second;
    unindex(entry);
    const std::size_t stronger = index_of(origin);
    if (origin < record.origin && known_of_[stronger] < kPeersKnownOf[stronger]) {
      --known_of_[index_of(record.origin)];
      ++known_of_[stronger];
      record.origin = origin;
    }
    // It is there right now, or so says somebody who should know.
    const bool is_fresh = origin == PeerOrigin::user || origin == PeerOrigin::local || origin == PeerOrigin::incoming;
    if (is_fresh && record.left_at) {
      record.due = std::min(record.due, std::max(now, *record.left_at + kFirstPause));
    }
    const bool was_long_ago = !record.left_at || now - *record.left_at >= kSeedBelieved;
    if (origin < PeerOrigin::exchange && was_long_ago && record.protocol == PeerProtocol::bittorrent) {
      record.is_seed = false;
    }
    index(entry);
  }

  [[nodiscard]] std::size_t ports_of(Ipv4Address address) const {
    const auto first = records_.lower_bound({address, 0});
    return static_cast<std::size_t>(std::distance(first, records_.upper_bound({address, 65535})));
  }

  // Forgets the least promising of this origin when its share is used up; false when that is the new one.
  bool make_room(PeerOrigin origin, const Hope& newcomer) {
    if (known_of_[index_of(origin)] < kPeersKnownOf[index_of(origin)]) return true;
    const std::set<Hope>& idle = idle_[index_of(origin)];
    if (idle.empty() || *idle.rbegin() < newcomer) return false;
    forget(records_.find(idle.rbegin()->endpoint));
    return true;
  }

  // What the user named goes first; the others take turns.
  [[nodiscard]] std::optional<std::size_t> next_origin() const {
    const auto is_due = [this](std::size_t origin) {
      return !ready_[origin].empty() && !ready_[origin].begin()->is_pointless;
    };
    if (is_due(0)) return 0;
    for (std::size_t step = 0; step < kOrigins; ++step) {
      const std::size_t origin = (turn_ + step) % kOrigins;
      if (is_due(origin)) return origin;
    }
    return std::nullopt;
  }

  void set_state(Entry& entry, Record::State state) {
    unindex(entry);
    entry.second.state = state;
    entry.second.is_ready = false;
    index(entry);
  }

  void rest(Entry& entry, int failures, Instant now) {
    unindex(entry);
    Record& record = entry.second;
    record.state = Record::State::idle;
    record.is_ready = false;
    record.failures = failures;
    record.left_at = now;
    record.due = now + pause_after(std::max(failures, 1));
    index(entry);
  }

  base::Duration pause_after(int failures) {
    const base::Duration pause = std::min(kPauseMax, kFirstPause * (1 << (failures - 1)));
    // Up to a quarter more, so that two hosts that met once do not meet again and again.
    return pause + base::from_seconds(base::to_seconds(pause) * 0.25 * rng_.unit());
  }

  [[nodiscard]] Hope hope_of(const Entry& entry) const {
    const Record& record = entry.second;
    return {.is_pointless = record.is_seed && are_we_seeding_,
            .failures = record.failures,
            .is_unproven = !record.was_useful,
            .unlikeliness = ~record.priority,
            .endpoint = entry.first};
  }

  // An idle record is in idle_, and in one of ready_ and waiting_; others are in none. To be taken out before anything
  // of it changes.
  void index(Entry& entry) {
    Record& record = entry.second;
    if (record.state != Record::State::idle) return;
    const Hope hope = hope_of(entry);
    idle_[index_of(record.origin)].insert(hope);
    if (record.is_ready) {
      ready_[index_of(record.origin)].insert(hope);
    } else if (!hope.is_pointless) {
      waiting_.emplace(record.due, entry.first);
    }
  }
  void unindex(Entry& entry) {
    const Record& record = entry.second;
    if (record.state != Record::State::idle) return;
    const Hope hope = hope_of(entry);
    idle_[index_of(record.origin)].erase(hope);
    ready_[index_of(record.origin)].erase(hope);
    waiting_.erase({record.due, entry.first});
  }
  template <typename Change>
  void reindex(Change change) {
    for (std::size_t origin = 0; origin < kOrigins; ++origin) {
      idle_[origin].clear();
      ready_[origin].clear();
    }
    waiting_.clear();
    for (Entry& entry : records_) {
      change(entry);
      index(entry);
    }
  }

  void forget(Records::iterator entry) {
    unindex(*entry);
    --known_of_[index_of(entry->second.origin)];
    records_.erase(entry);
  }

  PeerBookOptions options_;
  base::Rng rng_;
  bool are_we_seeding_ = false;
  std::vector<Endpoint> own_;
  std::deque<Endpoint> ourselves_;  // where we met ourselves
  Records records_;
  std::array<std::size_t, kOrigins> known_of_{};
  std::array<std::set<Hope>, kOrigins> idle_;
  std::array<std::set<Hope>, kOrigins> ready_;
  std::set<std::pair<Instant, Endpoint>> waiting_;
  std::size_t turn_ = 1;
  std::unordered_set<std::uint32_t> banned_;
  std::deque<std::uint32_t> banned_in_order_;
};

PeerBook::PeerBook(PeerBookOptions options, base::Rng rng) : impl_(std::make_unique<Impl>(options, rng)) {}
PeerBook::~PeerBook() = default;

void PeerBook::add(Endpoint peer, PeerOrigin origin, Instant now, Ipv4Address teller) {
  impl_->add(peer, origin, now, teller);
}
void PeerBook::add_own(Endpoint self) {
  impl_->add_own(self);
}
void PeerBook::on_ourselves(Endpoint peer) {
  impl_->on_ourselves(peer);
}
std::optional<PeerBook::Next> PeerBook::next(Instant now) {
  return impl_->next(now);
}
void PeerBook::on_connected(Endpoint peer, Instant now) {
  impl_->on_connected(peer, now);
}
void PeerBook::on_failed(Endpoint peer, Instant now) {
  impl_->on_failed(peer, now);
}
void PeerBook::on_ended(Endpoint peer, bool was_useful, Instant now) {
  impl_->on_ended(peer, was_useful, now);
}
void PeerBook::on_protocol(Endpoint peer, PeerProtocol protocol) {
  impl_->on_protocol(peer, protocol);
}
void PeerBook::on_seed(Endpoint peer, bool is_seed) {
  impl_->on_seed(peer, is_seed);
}
void PeerBook::on_seed_told(Endpoint peer) {
  impl_->on_seed_told(peer);
}
void PeerBook::set_seeding(bool are_we) {
  impl_->set_seeding(are_we);
}
void PeerBook::ban(Ipv4Address address) {
  impl_->ban(address);
}
void PeerBook::become_private() {
  impl_->become_private();
}
bool PeerBook::is_banned(Ipv4Address address) const {
  return impl_->is_banned(address);
}
std::optional<Instant> PeerBook::next_deadline() const {
  return impl_->next_deadline();
}
std::size_t PeerBook::known() const {
  return impl_->known();
}
std::size_t PeerBook::banned() const {
  return impl_->banned();
}

}  // namespace shoal::swarm
