#include "tracker/swarms.hpp"

#include <algorithm>
#include <list>
#include <unordered_map>
#include <utility>

#include "base/check.hpp"
#include "tracker/swarm_state.hpp"

namespace shoal::tracker {
namespace {

using base::Endpoint;
using base::Instant;
using base::Sha1Hash;
using course::Asker;

constexpr std::uint32_t kPeersWantedUsually = 50;

std::uint32_t seconds_of(base::Duration duration) {
  return static_cast<std::uint32_t>(base::to_seconds(duration));
}

// Whether somebody else can use it: neither nowhere, this very host, its own link, a group, nor IPv4 in disguise.
bool is_worth_telling(const wire::Ipv6Endpoint& peer) {
  const auto byte = [&peer](std::size_t at) { return std::to_integer<unsigned>(peer.address[at]); };
  const bool is_short = std::ranges::all_of(peer.address.begin(), peer.address.begin() + 10,
                                            [](std::byte part) { return part == std::byte{0}; });
  const bool is_on_link = byte(0) == 0xfe && (byte(1) & 0xc0) == 0x80;
  return peer.port != 0 && !is_short && !is_on_link && byte(0) != 0xff;
}

bool is_of_any(const std::vector<base::Network>& networks, base::Ipv4Address address) {
  return std::ranges::any_of(networks, [address](const base::Network& one) { return one.contains(address); });
}

}  // namespace

class Swarms::Impl {
 public:
  Impl(SwarmsOptions options, base::Rng rng)
      : options_(std::move(options)), rng_(std::move(rng)), hash_{rng_.next()}, swarms_(0, hash_) {}

  std::expected<wire::AnnounceReply, std::string> announce(const wire::AnnounceRequest& request, const Asker& asker,
                                                           Instant now);
  wire::ScrapeEntry scrape(const Sha1Hash& info_hash);
  wire::ScrapeEntry counts(const Sha1Hash& info_hash) const;
  void allow(const Sha1Hash& info_hash, Instant now);
  std::optional<Instant> empty_since(const Sha1Hash& info_hash) const;
  void forbid(const Sha1Hash& info_hash);
  void visit(const Sha1Hash& info_hash, const std::function<void(const SwarmMember&)>& look);
  std::vector<SwarmMember> members(const Sha1Hash& info_hash) const;
  bool is_internal(base::Ipv4Address address) const;
  bool is_near(base::Ipv4Address address) const;
  bool is_reachable(Endpoint peer, const Asker& asker) const;
  bool are_alike(const Asker& one, const Asker& other) const;
  std::uint64_t generation(const Sha1Hash& info_hash) const;
  void expire(Instant now);
  Totals totals() const;
  base::Bytes save(Instant now) const;
  bool restore(base::ByteView saved, Instant now, base::Duration age);

 private:
  struct Entry {
    Swarm swarm;
    std::list<Sha1Hash>::iterator silence;  // its place in silent_; at the end when it is published
    bool is_published = false;
    std::uint32_t downloads = 0;
    Instant last_announce{};
    std::uint64_t generation = 0;
  };
  using Entries = std::unordered_map<Sha1Hash, Entry, KeyedHash>;

  Entry* find_or_make(const Sha1Hash& info_hash);
  Entries::iterator erase(Entries::iterator found);
  // In the sums over all swarms: taken out before a change of its members, and put in again behind it.
  void count(const Swarm& swarm, bool is_there);
  // False when there is no room for one more.
  bool put(Entry& entry, Swarm::Member member);
  void remove(Entry& entry, Endpoint endpoint);
  bool make_room(Entry& entry, const Swarm::Member& newcomer);
  [[nodiscard]] Endpoint endpoint_of(const wire::AnnounceRequest& request, const Asker& asker) const;
  [[nodiscard]] wire::AnnounceReply without_peers(const Swarm& swarm) const;
  [[nodiscard]] wire::AnnounceReply reply_to(const wire::AnnounceRequest& request, const Asker& asker,
                                             const Entry& entry, Endpoint self);
  [[nodiscard]] std::unexpected<std::string> refuse(std::string why);

  SwarmsOptions options_;
  base::Rng rng_;
  KeyedHash hash_;
  Entries swarms_;
  std::list<Sha1Hash> silent_;  // those nobody published, the longest silent first
  Totals totals_;               // but for `swarms`
  std::uint64_t held_bytes_ = 0;
  std::uint64_t generations_ = 0;
};

Swarms::Impl::Entry* Swarms::Impl::find_or_make(const Sha1Hash& info_hash) {
  if (const auto found = swarms_.find(info_hash); found != swarms_.end()) return &found->second;
  if (swarms_.size() >= options_.swarms_max) {
    if (silent_.empty()) return nullptr;
    erase(swarms_.find(silent_.front()));
  }
  const auto made = swarms_.emplace(info_hash, Entry{.swarm = Swarm(hash_), .silence = silent_.end()}).first;
  made->second.silence = silent_.insert(silent_.end(), info_hash);
  made->second.generation = ++generations_;
  return &made->second;
}

Swarms::Impl::Entries::iterator Swarms::Impl::erase(Entries::iterator found) {
  Entry& entry = found->second;
  count(entry.swarm, false);
  if (entry.silence != silent_.end()) silent_.erase(entry.silence);
  return swarms_.erase(found);
}

void Swarms::Impl::count(const Swarm& swarm, bool is_there) {
  totals_.seeds = is_there ? totals_.seeds + swarm.seeds() : totals_.seeds - swarm.seeds();
  totals_.leechers = is_there ? totals_.leechers + swarm.leechers() : totals_.leechers - swarm.leechers();
  held_bytes_ = is_there ? held_bytes_ + swarm.held_bytes() : held_bytes_ - swarm.held_bytes();
}

bool Swarms::Impl::make_room(Entry& entry, const Swarm::Member& newcomer) {
  Swarm& swarm = entry.swarm;
  if (swarm.find(newcomer.about.endpoint) != nullptr) return true;
  const base::Ipv4Address from = newcomer.about.endpoint.address;
  if (!from.is_loopback() && swarm.count_at(from) >= kPortsPerAddressMax) {
    remove(entry, swarm.oldest_at(from)->about.endpoint);
  }
  if (swarm.size() >= kPeersPerSwarmMax) remove(entry, swarm.oldest()->about.endpoint);
  while (totals_.seeds + totals_.leechers >= options_.peers_max) {
    if (!silent_.empty() && silent_.begin() != entry.silence) {
      erase(swarms_.find(silent_.front()));
    } else if (swarm.size() > 0) {
      remove(entry, swarm.oldest()->about.endpoint);
    } else {
      return false;
    }
  }
  return true;
}

bool Swarms::Impl::put(Entry& entry, Swarm::Member member) {
  if (!make_room(entry, member)) return false;
  const Swarm::Member* known = entry.swarm.find(member.about.endpoint);
  const std::uint64_t freed = known == nullptr ? 0 : known->about.held.size();
  const std::size_t held = member.about.held.size();
  if (held > kHeldBytesMax || held_bytes_ - freed + held > kHeldBytesInAllMax) member.about.held.clear();
  count(entry.swarm, false);
  if (entry.swarm.put(std::move(member), rng_)) entry.generation = ++generations_;
  count(entry.swarm, true);
  return true;
}

void Swarms::Impl::remove(Entry& entry, Endpoint endpoint) {
  count(entry.swarm, false);
  if (entry.swarm.remove(endpoint)) entry.generation = ++generations_;
  count(entry.swarm, true);
}

void Swarms::Impl::allow(const Sha1Hash& info_hash, Instant now) {
  Entry* entry = find_or_make(info_hash);
  SHOAL_CHECK(entry != nullptr);  // there are fewer shares than there may be swarms
  entry->last_announce = std::max(entry->last_announce, now);
  if (!std::exchange(entry->is_published, true)) silent_.erase(std::exchange(entry->silence, silent_.end()));
}

std::optional<Instant> Swarms::Impl::empty_since(const Sha1Hash& info_hash) const {
  const auto found = swarms_.find(info_hash);
  if (found == swarms_.end()) return Instant::min();
  return found->second.swarm.size() > 0 ? std::nullopt : std::optional(found->second.last_announce);
}

void Swarms::Impl::forbid(const Sha1Hash& info_hash) {
  const auto found = swarms_.find(info_hash);
  if (found == swarms_.end()) return;
  Entry& entry = found->second;
  if (!std::exchange(entry.is_published, false)) return;
  entry.silence = silent_.insert(silent_.end(), info_hash);
  if (!options_.serves_unknown) erase(found);
}

bool Swarms::Impl::is_internal(base::Ipv4Address address) const {
  return is_of_any(options_.internal_networks, address);
}

bool Swarms::Impl::is_near(base::Ipv4Address address) const {
  return address.is_local() || is_of_any(options_.local_networks, address);
}

// Where the asker can be reached, as far as it can be known.
Endpoint Swarms::Impl::endpoint_of(const wire::AnnounceRequest& request, const Asker& asker) const {
  const bool is_told = request.address && asker.address.is_local() && request.address->is_local() &&
                       (asker.is_on_this_host() || !request.address->is_loopback());
  Endpoint endpoint{is_told ? *request.address : asker.address, request.port};
  // This host by its address on a network of its own: others know it by another one.
  if (asker.is_on_this_host() && endpoint.address == asker.local && is_internal(endpoint.address)) {
    endpoint.address = base::Ipv4Address::loopback();
  }
  return endpoint;
}

std::unexpected<std::string> Swarms::Impl::refuse(std::string why) {
  ++totals_.refused;
  return std::unexpected(std::move(why));
}

std::expected<wire::AnnounceReply, std::string> Swarms::Impl::announce(const wire::AnnounceRequest& request,
                                                                       const Asker& asker, Instant now) {
  ++totals_.announces;
  const Endpoint self = endpoint_of(request, asker);
  const auto found = swarms_.find(request.info_hash);
  Entry* entry = found == swarms_.end() ? nullptr : &found->second;
  if (entry == nullptr && !options_.serves_unknown) return refuse("this tracker does not know that info_hash");
  if (request.event == wire::AnnounceEvent::stopped) {
    if (entry == nullptr) return without_peers(Swarm(hash_));
    // Somebody else may have the address by now.
    const Swarm::Member* known = entry->swarm.find(self);
    if (known != nullptr && known->about.peer_id == request.peer_id) remove(*entry, self);
    return without_peers(entry->swarm);
  }
  if (request.port == 0) return refuse("port 0: nobody can connect to it");
  if (entry == nullptr) entry = find_or_make(request.info_hash);
  if (entry == nullptr) return refuse("this tracker has as many swarms as it has room for");
  entry->last_announce = now;
  if (!entry->is_published) silent_.splice(silent_.end(), silent_, entry->silence);
  if (request.event == wire::AnnounceEvent::started && request.key != 0) {
    // The same host at another address: the old one leads nowhere.
    const Swarm::Member* former = entry->swarm.find(request.peer_id, request.key);
    if (former != nullptr && former->about.endpoint != self) remove(*entry, Endpoint(former->about.endpoint));
  }
  const Swarm::Member* known = entry->swarm.find(self);
  const bool was_seed = known != nullptr && known->about.is_seed();
  const bool is_download = request.event == wire::AnnounceEvent::completed && request.left == 0 && !was_seed;
  const bool is_v6_believed = request.ipv6 && is_near(asker.address) && is_worth_telling(*request.ipv6);
  if (!put(*entry,
           {.about = {.endpoint = self, .peer_id = request.peer_id, .left_bytes = request.left, .held = request.held},
            .ipv6 = is_v6_believed ? request.ipv6 : std::nullopt,
            .key = request.key,
            .seen = now})) {
    return refuse("this tracker has as many peers as it has room for");
  }
  if (is_download) ++entry->downloads;
  return reply_to(request, asker, *entry, self);
}

bool Swarms::Impl::is_reachable(Endpoint peer, const Asker& asker) const {
  if (asker.is_on_this_host()) return true;
  if (course::endpoint_for(asker, peer).address.is_local() && !asker.address.is_local()) return false;
  return std::ranges::all_of(options_.internal_networks, [&](const base::Network& network) {
    return !network.contains(peer.address) || network.contains(asker.address);
  });
}

bool Swarms::Impl::are_alike(const Asker& one, const Asker& other) const {
  if (one.is_on_this_host() || other.is_on_this_host()) return one.is_on_this_host() == other.is_on_this_host();
  return one.address.is_local() == other.address.is_local() &&
         std::ranges::all_of(options_.internal_networks, [&](const base::Network& network) {
           return network.contains(one.address) == network.contains(other.address);
         });
}

wire::AnnounceReply Swarms::Impl::without_peers(const Swarm& swarm) const {
  return {.interval_s = seconds_of(options_.interval),
          .min_interval_s = seconds_of(options_.min_interval),
          .seeds = swarm.seeds(),
          .leechers = swarm.leechers()};
}

wire::AnnounceReply Swarms::Impl::reply_to(const wire::AnnounceRequest& request, const Asker& asker, const Entry& entry,
                                           Endpoint self) {
  wire::AnnounceReply reply = without_peers(entry.swarm);
  const std::size_t wanted = std::min(request.peers_wanted.value_or(kPeersWantedUsually), kPeersGivenMax);
  const std::size_t count = entry.swarm.size();
  const std::size_t looks = std::min(count, kPeersLookedAtMax);
  // Some programs that have a magnet link and nothing else yet begin with nothing left, like a seed.
  const bool is_seed = request.left == 0 && !(request.event == wire::AnnounceEvent::started && request.downloaded == 0);
  const bool wants_ids = !request.is_compact && !request.omits_peer_ids;
  std::size_t place = rng_.below(count);  // the asker is there
  reply.peers.reserve(std::min(wanted, looks));
  for (std::size_t i = 0; i < looks && reply.peers.size() < wanted; ++i, place = place + 1 == count ? 0 : place + 1) {
    const Swarm::Member& member = entry.swarm.at(place);
    const SwarmMember& about = member.about;
    if (about.endpoint == self || about.peer_id == request.peer_id) continue;
    if (is_seed && about.is_seed()) continue;
    if (!is_reachable(about.endpoint, asker)) continue;
    reply.peers.push_back({.endpoint = course::endpoint_for(asker, about.endpoint),
                           .peer_id = wants_ids ? std::optional(about.peer_id) : std::nullopt});
    if (member.ipv6 && is_near(asker.address)) reply.peers6.push_back(*member.ipv6);
  }
  return reply;
}

wire::ScrapeEntry Swarms::Impl::scrape(const Sha1Hash& info_hash) {
  ++totals_.scrapes;
  return counts(info_hash);
}

wire::ScrapeEntry Swarms::Impl::counts(const Sha1Hash& info_hash) const {
  const auto found = swarms_.find(info_hash);
  if (found == swarms_.end()) return {.info_hash = info_hash};
  const Entry& entry = found->second;
  return {.info_hash = info_hash,
          .seeds = entry.swarm.seeds(),
          .downloads = entry.downloads,
          .leechers = entry.swarm.leechers()};
}

void Swarms::Impl::visit(const Sha1Hash& info_hash, const std::function<void(const SwarmMember&)>& look) {
  const auto found = swarms_.find(info_hash);
  if (found == swarms_.end()) return;
  const Swarm& swarm = found->second.swarm;
  const std::size_t count = swarm.size();
  const std::size_t first = count == 0 ? 0 : rng_.below(count);
  for (std::size_t i = 0; i < count; ++i) look(swarm.at((first + i) % count).about);
}

std::vector<SwarmMember> Swarms::Impl::members(const Sha1Hash& info_hash) const {
  std::vector<SwarmMember> all;
  const auto found = swarms_.find(info_hash);
  if (found == swarms_.end()) return all;
  const Swarm& swarm = found->second.swarm;
  all.reserve(swarm.size());
  for (std::size_t i = 0; i < swarm.size(); ++i) all.push_back(swarm.at(i).about);
  return all;
}

std::uint64_t Swarms::Impl::generation(const Sha1Hash& info_hash) const {
  const auto found = swarms_.find(info_hash);
  return found == swarms_.end() ? 0 : found->second.generation;
}

void Swarms::Impl::expire(Instant now) {
  for (auto found = swarms_.begin(); found != swarms_.end();) {
    Entry& entry = found->second;
    while (entry.swarm.size() > 0 && now - entry.swarm.oldest()->seen > options_.expiry) {
      remove(entry, Endpoint(entry.swarm.oldest()->about.endpoint));
    }
    const bool is_kept = entry.is_published || entry.swarm.size() > 0 || now - entry.last_announce <= options_.expiry;
    found = is_kept ? std::next(found) : erase(found);
  }
}

Swarms::Totals Swarms::Impl::totals() const {
  Totals all = totals_;
  all.swarms = swarms_.size();
  return all;
}

base::Bytes Swarms::Impl::save(Instant now) const {
  SwarmStateWriter writer(now);
  for (const auto& [info_hash, entry] : swarms_) writer.add(info_hash, entry.downloads, entry.swarm);
  return writer.take();
}

bool Swarms::Impl::restore(base::ByteView saved, Instant now, base::Duration age) {
  auto swarms = parse_swarm_state(saved, now - age);
  if (!swarms) return false;
  for (SavedSwarm& one : *swarms) {
    const auto found = swarms_.find(one.info_hash);
    if (found == swarms_.end() && (!options_.serves_unknown || swarms_.size() >= options_.swarms_max)) continue;
    Entry* entry = find_or_make(one.info_hash);
    entry->downloads = one.downloads;
    entry->last_announce = now;
    for (Swarm::Member& member : one.members) (void)put(*entry, std::move(member));
  }
  expire(now);
  return true;
}

Swarms::Swarms(SwarmsOptions options, base::Rng rng)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(rng))) {}
Swarms::~Swarms() = default;

std::expected<wire::AnnounceReply, std::string> Swarms::announce(const wire::AnnounceRequest& request,
                                                                 const Asker& asker, Instant now) {
  return impl_->announce(request, asker, now);
}

wire::ScrapeEntry Swarms::scrape(const Sha1Hash& info_hash) {
  return impl_->scrape(info_hash);
}

wire::ScrapeEntry Swarms::counts(const Sha1Hash& info_hash) const {
  return impl_->counts(info_hash);
}

void Swarms::allow(const Sha1Hash& info_hash, Instant now) {
  impl_->allow(info_hash, now);
}

std::optional<Instant> Swarms::empty_since(const Sha1Hash& info_hash) const {
  return impl_->empty_since(info_hash);
}

void Swarms::forbid(const Sha1Hash& info_hash) {
  impl_->forbid(info_hash);
}

void Swarms::visit(const Sha1Hash& info_hash, const std::function<void(const SwarmMember&)>& look) {
  impl_->visit(info_hash, look);
}

std::vector<SwarmMember> Swarms::members(const Sha1Hash& info_hash) const {
  return impl_->members(info_hash);
}

bool Swarms::is_internal(base::Ipv4Address address) const {
  return impl_->is_internal(address);
}

bool Swarms::is_near(base::Ipv4Address address) const {
  return impl_->is_near(address);
}

bool Swarms::is_reachable(Endpoint peer, const Asker& asker) const {
  return impl_->is_reachable(peer, asker);
}

bool Swarms::are_alike(const Asker& one, const Asker& other) const {
  return impl_->are_alike(one, other);
}

std::uint64_t Swarms::generation(const Sha1Hash& info_hash) const {
  return impl_->generation(info_hash);
}

void Swarms::expire(Instant now) {
  impl_->expire(now);
}

Swarms::Totals Swarms::totals() const {
  return impl_->totals();
}

base::Bytes Swarms::save(Instant now) const {
  return impl_->save(now);
}

bool Swarms::restore(base::ByteView saved, Instant now, base::Duration age) {
  return impl_->restore(saved, now, age);
}

}  // namespace shoal::tracker
