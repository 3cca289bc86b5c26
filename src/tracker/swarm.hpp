// The members of one swarm: found by address and port, by identity and by age, each in constant time. Used by Swarms.
//
// Always holds: a member is known by its address and port; members stand in no order, a newcomer takes a random place,
// so that any stretch of them is a random choice.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/sha1.hpp"
#include "base/time.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::tracker {

struct SwarmMember {
  base::Endpoint endpoint;
  wire::PeerId peer_id{};
  std::uint64_t left_bytes = 0;
  std::string held;  // ranges of pieces, of Shoal hosts
  [[nodiscard]] bool is_seed() const { return left_bytes == 0; }
  friend bool operator==(const SwarmMember&, const SwarmMember&) = default;
};

// Keys come from outside. Nobody who does not know the secret can choose many that fall together.
struct KeyedHash {
  using is_avalanching = void;

  std::uint64_t secret = 0;

  [[nodiscard]] std::size_t operator()(base::Endpoint endpoint) const noexcept;
  [[nodiscard]] std::size_t operator()(const base::Sha1Hash& name) const noexcept { return of(name.bytes, 0); }
  [[nodiscard]] std::size_t operator()(std::uint64_t number) const noexcept;
  [[nodiscard]] std::uint64_t of(const std::array<std::byte, 20>& bytes, std::uint32_t key) const noexcept;
};

class Swarm {
 public:
  struct Member {
    SwarmMember about;
    std::optional<wire::Ipv6Endpoint> ipv6;
    std::uint32_t key = 0;  // 0: none
    base::Instant seen{};
  };

  explicit Swarm(KeyedHash hash);

  // Adds a member, or replaces that of the same address and port; it is the youngest now. Calls come in the order of
  // `seen`. True when what about() says of it changed.
  bool put(Member member, base::Rng& rng);
  bool remove(base::Endpoint endpoint);

  [[nodiscard]] const Member* find(base::Endpoint endpoint) const;
  // Who came with this peer id and key, which is not 0; the last when there are several.
  [[nodiscard]] const Member* find(const wire::PeerId& peer_id, std::uint32_t key) const;
  // Who has been silent the longest; null when the swarm is empty.
  [[nodiscard]] const Member* oldest() const {
    return ages_.oldest == kNobody ? nullptr : &slots_[ages_.oldest].member;
  }
  // The same of those at one address; and how many they are.
  [[nodiscard]] const Member* oldest_at(base::Ipv4Address address) const;
  [[nodiscard]] std::size_t count_at(base::Ipv4Address address) const;
  // All of them, the longest silent first.
  template <typename Look>
  void visit_by_age(Look look) const {
    for (Place place = ages_.oldest; place != kNobody; place = slots_[place].age.younger) look(slots_[place].member);
  }
  [[nodiscard]] const Member& at(std::size_t place) const { return slots_[place].member; }  // place < size()

  [[nodiscard]] std::size_t size() const { return slots_.size(); }
  [[nodiscard]] std::uint32_t seeds() const { return seeds_; }
  [[nodiscard]] std::uint32_t leechers() const { return static_cast<std::uint32_t>(slots_.size()) - seeds_; }
  [[nodiscard]] std::uint64_t held_bytes() const { return held_bytes_; }

 private:
  using Place = std::uint32_t;
  static constexpr Place kNobody = ~Place{0};
  struct Links {
    Place older = kNobody;
    Place younger = kNobody;
  };
  struct Slot {
    Member member;
    Links age;   // among all
    Links here;  // among those at its address
  };
  // Members by age, linked through their slots.
  struct Chain {
    Place oldest = kNobody;
    Place youngest = kNobody;
    std::uint32_t size = 0;
  };

  void count(const Member& member, bool is_there);
  void make_youngest(Place place);
  void append(Chain& chain, Links Slot::* links, Place place);
  void unlink(Place place);
  void cut(Chain& chain, Links Slot::* links, Place place);
  // Everything that points at a slot follows it.
  void move_slot(Place from, Place to);
  void list_identity(Place place);
  void unlist_identity(Place place);
  [[nodiscard]] std::uint64_t identity_of(const Member& member) const;

  KeyedHash hash_;
  std::vector<Slot> slots_;
  boost::unordered_flat_map<base::Endpoint, Place, KeyedHash> places_;
  boost::unordered_flat_map<std::uint64_t, Place, KeyedHash> identities_;  // of those with a key
  Chain ages_;
  boost::unordered_flat_map<std::uint64_t, Chain, KeyedHash> addresses_;
  std::uint32_t seeds_ = 0;
  std::uint64_t held_bytes_ = 0;
};

}  // namespace shoal::tracker
