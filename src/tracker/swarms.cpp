#include "tracker/swarms.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/check.hpp"
#include "bencode/bencode.hpp"

namespace shoal::tracker {
namespace {

using base::Endpoint;
using base::Instant;
using base::Sha1Hash;
using course::Asker;

constexpr std::uint32_t kPeersWantedUsually = 50;
constexpr std::size_t kHeldBytesMax = 4096;
constexpr std::size_t kEndpointBytes = 6;
constexpr std::int64_t kSaveVersion = 1;

struct Member {
  SwarmMember about;
  std::optional<wire::Ipv6Endpoint> ipv6;
  std::uint32_t key = 0;
  Instant seen{};
};

struct Swarm {
  std::vector<Member> members;  // in no order; a newcomer takes a random place, so that any stretch is a random choice
  std::unordered_map<Endpoint, std::size_t> places;
  std::set<std::pair<Instant, Endpoint>> by_age;
  std::uint32_t downloads = 0;
  std::uint32_t seeds = 0;
  bool is_published = false;
  Instant last_announce{};
  std::uint64_t generation = 0;
};

// Where the asker can be reached, as far as it can be known.
Endpoint endpoint_of(const wire::AnnounceRequest& request, const Asker& asker) {
  const bool is_told = request.address && asker.address.is_local() && request.address->is_local() &&
                       (asker.is_on_this_host() || !request.address->is_loopback());
  return {is_told ? *request.address : asker.address, request.port};
}

}  // namespace

class Swarms::Impl {
 public:
  Impl(SwarmsOptions options, base::Rng rng) : options_(std::move(options)), rng_(std::move(rng)) {}

  std::expected<wire::AnnounceReply, std::string> announce(const wire::AnnounceRequest& request, const Asker& asker,
                                                           Instant now);
  wire::ScrapeEntry scrape(const Sha1Hash& info_hash) const;
  void allow(const Sha1Hash& info_hash) { swarms_[info_hash].is_published = true; }
  std::vector<SwarmMember> members(const Sha1Hash& info_hash) const;
  std::uint64_t generation(const Sha1Hash& info_hash) const;
  void expire(Instant now);
  Totals totals() const;
  base::Bytes save(Instant now) const;
  void restore(base::ByteView saved, Instant now);
  void count_scrape() const { ++scrapes_; }

 private:
  Swarm* find_or_make(const Sha1Hash& info_hash);
  static void remove(Swarm& swarm, Endpoint endpoint);
  void put(Swarm& swarm, Member member);
  static void forget_former(Swarm& swarm, const wire::AnnounceRequest& request, Endpoint endpoint);
  wire::AnnounceReply reply_to(const wire::AnnounceRequest& request, const Asker& asker, const Swarm& swarm,
                               Endpoint self);
  [[nodiscard]] bool is_reachable(Endpoint peer, const Asker& asker) const;
  void restore_swarm(const bencode::Value& saved, Instant now);

  SwarmsOptions options_;
  base::Rng rng_;
  std::unordered_map<Sha1Hash, Swarm> swarms_;
  std::uint64_t announces_ = 0;
  std::uint64_t refused_ = 0;
  mutable std::uint64_t scrapes_ = 0;
};

Swarm* Swarms::Impl::find_or_make(const Sha1Hash& info_hash) {
  if (const auto found = swarms_.find(info_hash); found != swarms_.end()) return &found->second;
  if (!options_.serves_unknown) return nullptr;
  if (swarms_.size() >= kSwarmsMax) {
    const auto oldest = std::ranges::min_element(swarms_, {}, [](const auto& entry) {
      return std::pair(entry.second.is_published, entry.second.last_announce);
    });
    if (oldest->second.is_published) return nullptr;
    swarms_.erase(oldest);
  }
  return &swarms_[info_hash];
}

void Swarms::Impl::remove(Swarm& swarm, Endpoint endpoint) {
  const auto found = swarm.places.find(endpoint);
  if (found == swarm.places.end()) return;
  const std::size_t place = found->second;
  const Member& member = swarm.members[place];
  swarm.by_age.erase({member.seen, endpoint});
  if (member.about.is_seed()) --swarm.seeds;
  swarm.places.erase(found);
  if (place + 1 != swarm.members.size()) {
    swarm.members[place] = std::move(swarm.members.back());
    swarm.places[swarm.members[place].about.endpoint] = place;
  }
  swarm.members.pop_back();
  ++swarm.generation;
}

void Swarms::Impl::put(Swarm& swarm, Member member) {
  const Endpoint endpoint = member.about.endpoint;
  if (const auto found = swarm.places.find(endpoint); found != swarm.places.end()) {
    Member& old = swarm.members[found->second];
    if (old.about.is_seed()) --swarm.seeds;
    if (member.about.is_seed()) ++swarm.seeds;
    if (member.about != old.about) ++swarm.generation;
    swarm.by_age.erase({old.seen, endpoint});
    swarm.by_age.insert({member.seen, endpoint});
    old = std::move(member);
    return;
  }
  if (swarm.members.size() >= kPeersPerSwarmMax) remove(swarm, swarm.by_age.begin()->second);
  swarm.by_age.insert({member.seen, endpoint});
  if (member.about.is_seed()) ++swarm.seeds;
  swarm.members.push_back(std::move(member));
  const std::size_t last = swarm.members.size() - 1;
  const std::size_t place = rng_.below(swarm.members.size());
  std::swap(swarm.members[place], swarm.members[last]);
  swarm.places[swarm.members[last].about.endpoint] = last;
  swarm.places[swarm.members[place].about.endpoint] = place;
  ++swarm.generation;
}

// The same host at another address: the old one leads nowhere.
void Swarms::Impl::forget_former(Swarm& swarm, const wire::AnnounceRequest& request, Endpoint endpoint) {
  if (request.event != wire::AnnounceEvent::started || request.key == 0) return;
  const auto former = std::ranges::find_if(swarm.members, [&](const Member& member) {
    return member.about.peer_id == request.peer_id && member.key == request.key && member.about.endpoint != endpoint;
  });
  if (former != swarm.members.end()) remove(swarm, former->about.endpoint);
}

std::expected<wire::AnnounceReply, std::string> Swarms::Impl::announce(const wire::AnnounceRequest& request,
                                                                       const Asker& asker, Instant now) {
  ++announces_;
  const auto refuse = [this](std::string why) {
    ++refused_;
    return std::unexpected(std::move(why));
  };
  const bool is_leaving = request.event == wire::AnnounceEvent::stopped;
  if (request.port == 0 && !is_leaving) return refuse("port 0: nobody can connect to it");
  Swarm* swarm = find_or_make(request.info_hash);
  if (swarm == nullptr) return refuse("this tracker does not know that info_hash");
  const Endpoint self = endpoint_of(request, asker);
  swarm->last_announce = now;
  if (is_leaving) {
    remove(*swarm, self);
    return wire::AnnounceReply{.interval_s = static_cast<std::uint32_t>(base::to_seconds(options_.interval)),
                               .min_interval_s = static_cast<std::uint32_t>(base::to_seconds(options_.min_interval)),
                               .seeds = swarm->seeds,
                               .leechers = static_cast<std::uint32_t>(swarm->members.size()) - swarm->seeds};
  }
  forget_former(*swarm, request, self);
  const auto known = swarm->places.find(self);
  const bool was_seed = known != swarm->places.end() && swarm->members[known->second].about.is_seed();
  if (request.event == wire::AnnounceEvent::completed && !was_seed) ++swarm->downloads;
  const bool is_v6_believed = request.ipv6 && asker.address.is_local();
  put(*swarm, {.about = {.endpoint = self,
                         .peer_id = request.peer_id,
                         .left_bytes = request.left,
                         .held = request.held.size() <= kHeldBytesMax ? request.held : std::string()},
               .ipv6 = is_v6_believed ? request.ipv6 : std::nullopt,
               .key = request.key,
               .seen = now});
  return reply_to(request, asker, *swarm, self);
}

bool Swarms::Impl::is_reachable(Endpoint peer, const Asker& asker) const {
  for (const base::Network& network : options_.internal_networks) {
    if (network.contains(peer.address) && !network.contains(asker.address) && !asker.is_on_this_host()) return false;
  }
  return true;
}

wire::AnnounceReply Swarms::Impl::reply_to(const wire::AnnounceRequest& request, const Asker& asker, const Swarm& swarm,
                                           Endpoint self) {
  wire::AnnounceReply reply{.interval_s = static_cast<std::uint32_t>(base::to_seconds(options_.interval)),
                            .min_interval_s = static_cast<std::uint32_t>(base::to_seconds(options_.min_interval)),
                            .seeds = swarm.seeds,
                            .leechers = static_cast<std::uint32_t>(swarm.members.size()) - swarm.seeds};
  const std::size_t wanted = std::min(request.peers_wanted.value_or(kPeersWantedUsually), kPeersGivenMax);
  const std::size_t count = swarm.members.size();
  const std::size_t first = count == 0 ? 0 : rng_.below(count);
  for (std::size_t i = 0; i < count && reply.peers.size() < wanted; ++i) {
    const Member& member = swarm.members[(first + i) % count];
    if (member.about.endpoint == self || member.about.peer_id == request.peer_id) continue;
    if (request.left == 0 && member.about.is_seed()) continue;
    if (!is_reachable(member.about.endpoint, asker)) continue;
    reply.peers.push_back({.endpoint = course::endpoint_for(asker, member.about.endpoint),
                           .peer_id = request.omits_peer_ids ? std::nullopt : std::optional(member.about.peer_id)});
    if (member.ipv6) reply.peers6.push_back(*member.ipv6);
  }
  return reply;
}

wire::ScrapeEntry Swarms::Impl::scrape(const Sha1Hash& info_hash) const {
  const auto found = swarms_.find(info_hash);
  if (found == swarms_.end()) return {.info_hash = info_hash};
  const Swarm& swarm = found->second;
  return {.info_hash = info_hash,
          .seeds = swarm.seeds,
          .downloads = swarm.downloads,
          .leechers = static_cast<std::uint32_t>(swarm.members.size()) - swarm.seeds};
}

std::vector<SwarmMember> Swarms::Impl::members(const Sha1Hash& info_hash) const {
  std::vector<SwarmMember> found;
  const auto swarm = swarms_.find(info_hash);
  if (swarm == swarms_.end()) return found;
  found.reserve(swarm->second.members.size());
  for (const Member& member : swarm->second.members) found.push_back(member.about);
  return found;
}

std::uint64_t Swarms::Impl::generation(const Sha1Hash& info_hash) const {
  const auto found = swarms_.find(info_hash);
  return found == swarms_.end() ? 0 : found->second.generation;
}

void Swarms::Impl::expire(Instant now) {
  for (auto entry = swarms_.begin(); entry != swarms_.end();) {
    Swarm& swarm = entry->second;
    while (!swarm.by_age.empty() && now - swarm.by_age.begin()->first > options_.expiry) {
      remove(swarm, swarm.by_age.begin()->second);
    }
    const bool is_kept = swarm.is_published || !swarm.members.empty() || now - swarm.last_announce <= options_.expiry;
    entry = is_kept ? std::next(entry) : swarms_.erase(entry);
  }
}

Swarms::Totals Swarms::Impl::totals() const {
  Totals sum{.swarms = swarms_.size(), .announces = announces_, .scrapes = scrapes_, .refused = refused_};
  for (const auto& [info_hash, swarm] : swarms_) {
    sum.seeds += swarm.seeds;
    sum.leechers += swarm.members.size() - swarm.seeds;
  }
  return sum;
}

// {"swarms": [{"h": info-hash, "n": downloads, "p": [[endpoint, peer id, left, age in s, held], ...]}], "v": 1}
base::Bytes Swarms::Impl::save(Instant now) const {
  bencode::Writer writer;
  writer.begin_dictionary().key("swarms").begin_list();
  for (const auto& [info_hash, swarm] : swarms_) {
    writer.begin_dictionary().key("h").string(base::ByteView(info_hash.bytes)).key("n").integer(swarm.downloads);
    writer.key("p").begin_list();
    for (const Member& member : swarm.members) {
      const base::Bytes endpoint =
          base::ByteWriter().u32(member.about.endpoint.address.value).u16(member.about.endpoint.port).take();
      const auto age_s = static_cast<std::int64_t>(base::to_seconds(now - member.seen));
      writer.begin_list().string(base::ByteView(endpoint)).string(base::ByteView(member.about.peer_id));
      writer.integer(static_cast<std::int64_t>(std::min<std::uint64_t>(member.about.left_bytes, INT64_MAX)))
          .integer(age_s)
          .string(member.about.held)
          .end();
    }
    writer.end().end();
  }
  return writer.end().key("v").integer(kSaveVersion).end().take();
}

void Swarms::Impl::restore(base::ByteView saved, Instant now) {
  const auto value = bencode::parse(saved);
  if (!value) return;
  const std::int64_t* version = value->find_integer("v");
  const bencode::List* swarms = value->find_list("swarms");
  if (version == nullptr || *version != kSaveVersion || swarms == nullptr) return;
  for (const bencode::Value& swarm : *swarms) {
    if (swarms_.size() < kSwarmsMax) restore_swarm(swarm, now);
  }
  expire(now);
}

void Swarms::Impl::restore_swarm(const bencode::Value& saved, Instant now) {
  const std::string_view* info_hash = saved.find_string("h");
  const std::int64_t* downloads = saved.find_integer("n");
  const bencode::List* members = saved.find_list("p");
  if (info_hash == nullptr || info_hash->size() != Sha1Hash::kSize || downloads == nullptr || members == nullptr)
    return;
  Swarm& swarm = swarms_[Sha1Hash::from_bytes(base::view_of(*info_hash))];
  swarm.downloads = static_cast<std::uint32_t>(std::clamp<std::int64_t>(*downloads, 0, UINT32_MAX));
  swarm.last_announce = now;
  for (const bencode::Value& one : *members) {
    const bencode::List* fields = one.list();
    if (fields == nullptr || fields->size() != 5) continue;
    const auto* endpoint = (*fields)[0].string();
    const auto* peer_id = (*fields)[1].string();
    const auto* left = (*fields)[2].integer();
    const auto* age_s = (*fields)[3].integer();
    const auto* held = (*fields)[4].string();
    if (endpoint == nullptr || endpoint->size() != kEndpointBytes || peer_id == nullptr || left == nullptr ||
        age_s == nullptr || held == nullptr || *left < 0 || *age_s < 0 || held->size() > kHeldBytesMax) {
      continue;
    }
    Member member;
    if (peer_id->size() != member.about.peer_id.size()) continue;
    base::ByteReader reader(base::view_of(*endpoint));
    member.about.endpoint.address.value = reader.u32();
    member.about.endpoint.port = reader.u16();
    std::ranges::copy(base::view_of(*peer_id), member.about.peer_id.begin());
    member.about.left_bytes = static_cast<std::uint64_t>(*left);
    member.about.held = *held;
    const std::int64_t oldest_s = static_cast<std::int64_t>(base::to_seconds(options_.expiry)) + 1;
    member.seen = now - std::chrono::seconds(std::min(*age_s, oldest_s));
    put(swarm, std::move(member));
  }
}

Swarms::Swarms(SwarmsOptions options, base::Rng rng)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(rng))) {}
Swarms::~Swarms() = default;

std::expected<wire::AnnounceReply, std::string> Swarms::announce(const wire::AnnounceRequest& request,
                                                                 const Asker& asker, Instant now) {
  return impl_->announce(request, asker, now);
}

wire::ScrapeEntry Swarms::scrape(const Sha1Hash& info_hash) const {
  impl_->count_scrape();
  return impl_->scrape(info_hash);
}

void Swarms::allow(const Sha1Hash& info_hash) {
  impl_->allow(info_hash);
}

std::vector<SwarmMember> Swarms::members(const Sha1Hash& info_hash) const {
  return impl_->members(info_hash);
}

std::uint64_t Swarms::generation(const base::Sha1Hash& info_hash) const {
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

void Swarms::restore(base::ByteView saved, Instant now) {
  impl_->restore(saved, now);
}

}  // namespace shoal::tracker
