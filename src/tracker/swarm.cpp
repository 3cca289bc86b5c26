#include "tracker/swarm.hpp"

#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace shoal::tracker {
namespace {

// Any change of a bit changes every other one half of the time; different numbers stay different.
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace

std::size_t KeyedHash::operator()(base::Endpoint endpoint) const noexcept {
  return mix(secret ^ ((std::uint64_t{endpoint.address.value} << 16) | endpoint.port));
}

std::size_t KeyedHash::operator()(std::uint64_t number) const noexcept {
  return mix(secret ^ number);
}

std::uint64_t KeyedHash::of(const std::array<std::byte, 20>& bytes, std::uint32_t key) const noexcept {
  std::uint64_t words[2];
  std::uint32_t rest = 0;
  std::memcpy(words, bytes.data(), sizeof words);
  std::memcpy(&rest, bytes.data() + sizeof words, sizeof rest);
  return mix(mix(mix(secret ^ words[0]) ^ words[1]) ^ ((std::uint64_t{key} << 32) | rest));
}

Swarm::Swarm(KeyedHash hash) : hash_(hash), places_(0, hash), identities_(0, hash), addresses_(0, hash) {}

bool Swarm::put(Member member, base::Rng& rng) {
  count(member, true);
  if (const auto found = places_.find(member.about.endpoint); found != places_.end()) {
    const Place place = found->second;
    Member& known = slots_[place].member;
    count(known, false);
    unlist_identity(place);
    const bool is_changed = member.about != known.about;
    known = std::move(member);
    list_identity(place);
    unlink(place);
    make_youngest(place);
    return is_changed;
  }
  const auto last = static_cast<Place>(slots_.size());
  const auto place = static_cast<Place>(rng.below(slots_.size() + 1));
  slots_.emplace_back();
  if (place != last) move_slot(place, last);
  slots_[place] = {.member = std::move(member)};
  places_.emplace(slots_[place].member.about.endpoint, place);
  list_identity(place);
  make_youngest(place);
  return true;
}

bool Swarm::remove(base::Endpoint endpoint) {
  const auto found = places_.find(endpoint);
  if (found == places_.end()) return false;
  const Place place = found->second;
  count(slots_[place].member, false);
  unlist_identity(place);
  unlink(place);
  places_.erase(found);
  const auto last = static_cast<Place>(slots_.size() - 1);
  if (place != last) move_slot(last, place);
  slots_.pop_back();
  return true;
}

const Swarm::Member* Swarm::find(base::Endpoint endpoint) const {
  const auto found = places_.find(endpoint);
  return found == places_.end() ? nullptr : &slots_[found->second].member;
}

const Swarm::Member* Swarm::find(const wire::PeerId& peer_id, std::uint32_t key) const {
  SHOAL_CHECK(key != 0);
  const auto found = identities_.find(hash_.of(peer_id, key));
  if (found == identities_.end()) return nullptr;
  const Member& member = slots_[found->second].member;
  return member.about.peer_id == peer_id && member.key == key ? &member : nullptr;
}

void Swarm::count(const Member& member, bool is_there) {
  const std::uint32_t seed = member.about.is_seed() ? 1 : 0;
  seeds_ = is_there ? seeds_ + seed : seeds_ - seed;
  const std::uint64_t held = member.about.held.size();
  held_bytes_ = is_there ? held_bytes_ + held : held_bytes_ - held;
}

const Swarm::Member* Swarm::oldest_at(base::Ipv4Address address) const {
  const auto found = addresses_.find(address.value);
  return found == addresses_.end() ? nullptr : &slots_[found->second.oldest].member;
}

std::size_t Swarm::count_at(base::Ipv4Address address) const {
  const auto found = addresses_.find(address.value);
  return found == addresses_.end() ? 0 : found->second.size;
}

void Swarm::make_youngest(Place place) {
  append(ages_, &Slot::age, place);
  append(addresses_[slots_[place].member.about.endpoint.address.value], &Slot::here, place);
}

void Swarm::append(Chain& chain, Links Slot::* links, Place place) {
  slots_[place].*links = {.older = chain.youngest, .younger = kNobody};
  (chain.youngest == kNobody ? chain.oldest : (slots_[chain.youngest].*links).younger) = place;
  chain.youngest = place;
  ++chain.size;
}

void Swarm::unlink(Place place) {
  cut(ages_, &Slot::age, place);
  const auto here = addresses_.find(slots_[place].member.about.endpoint.address.value);
  cut(here->second, &Slot::here, place);
  if (here->second.size == 0) addresses_.erase(here);
}

void Swarm::cut(Chain& chain, Links Slot::* links, Place place) {
  const Links& ends = slots_[place].*links;
  (ends.older == kNobody ? chain.oldest : (slots_[ends.older].*links).younger) = ends.younger;
  (ends.younger == kNobody ? chain.youngest : (slots_[ends.younger].*links).older) = ends.older;
  --chain.size;
}

void Swarm::move_slot(Place from, Place to) {
  slots_[to] = std::move(slots_[from]);
  const Slot& slot = slots_[to];
  const auto point_at = [this, &slot, to](Chain& chain, Links Slot::* links) {
    const Links& ends = slot.*links;
    (ends.older == kNobody ? chain.oldest : (slots_[ends.older].*links).younger) = to;
    (ends.younger == kNobody ? chain.youngest : (slots_[ends.younger].*links).older) = to;
  };
  point_at(ages_, &Slot::age);
  point_at(addresses_.find(slot.member.about.endpoint.address.value)->second, &Slot::here);
  places_[slot.member.about.endpoint] = to;
  if (slot.member.key == 0) return;
  const auto found = identities_.find(identity_of(slot.member));
  if (found != identities_.end() && found->second == from) found->second = to;
}

void Swarm::list_identity(Place place) {
  const Member& member = slots_[place].member;
  if (member.key != 0) identities_[identity_of(member)] = place;
}

void Swarm::unlist_identity(Place place) {
  const Member& member = slots_[place].member;
  if (member.key == 0) return;
  const auto found = identities_.find(identity_of(member));
  if (found != identities_.end() && found->second == place) identities_.erase(found);
}

std::uint64_t Swarm::identity_of(const Member& member) const {
  return hash_.of(member.about.peer_id, member.key);
}

}  // namespace shoal::tracker
