#include "tracker/swarm.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace shoal::tracker {
namespace {

using base::Endpoint;
using base::Instant;
using std::chrono::seconds;

// Four of them at each address.
constexpr Endpoint at(std::uint32_t host) {
  return {{0x0a000000 + host / 4}, static_cast<std::uint16_t>(6881 + host % 4)};
}

wire::PeerId peer_id(unsigned number) {
  return {static_cast<std::byte>(number)};
}

// A swarm beside a plain map of what must be in it.
struct Checked {
  void put(std::uint32_t host, unsigned id, std::uint32_t key, std::uint64_t left) {
    now += seconds(1);
    Swarm::Member member{.about = {.endpoint = at(host), .peer_id = peer_id(id), .left_bytes = left, .held = "1"},
                         .key = key,
                         .seen = now};
    const auto known = wanted.find(at(host));
    const bool is_news = known == wanted.end() || known->second.about != member.about;
    wanted[at(host)] = member;
    EXPECT_EQ(swarm.put(member, rng), is_news);
  }
  void remove(std::uint32_t host) { EXPECT_EQ(swarm.remove(at(host)), wanted.erase(at(host)) > 0); }

  void check() const {
    ASSERT_EQ(swarm.size(), wanted.size());
    std::uint32_t seeds = 0;
    std::set<Endpoint> placed;
    for (std::size_t i = 0; i < swarm.size(); ++i) placed.insert(swarm.at(i).about.endpoint);
    EXPECT_EQ(placed.size(), wanted.size());
    for (const auto& [endpoint, member] : wanted) {
      const Swarm::Member* found = swarm.find(endpoint);
      ASSERT_NE(found, nullptr);
      EXPECT_EQ(found->about, member.about);
      seeds += member.about.is_seed() ? 1 : 0;
    }
    EXPECT_EQ(swarm.seeds(), seeds);
    EXPECT_EQ(swarm.leechers(), wanted.size() - seeds);
    EXPECT_EQ(swarm.held_bytes(), wanted.size());
    std::vector<Instant> ages;
    swarm.visit_by_age([&](const Swarm::Member& member) { ages.push_back(member.seen); });
    EXPECT_EQ(ages.size(), wanted.size());
    EXPECT_TRUE(std::ranges::is_sorted(ages));
    std::map<base::Ipv4Address, std::vector<Instant>> seen_at;
    for (const auto& [endpoint, member] : wanted) seen_at[endpoint.address].push_back(member.seen);
    for (const auto& [address, seen] : seen_at) {
      EXPECT_EQ(swarm.count_at(address), seen.size());
      ASSERT_NE(swarm.oldest_at(address), nullptr);
      EXPECT_EQ(swarm.oldest_at(address)->seen, std::ranges::min(seen));
    }
    EXPECT_EQ(swarm.count_at({0x0a0000ff}), 0u);
    EXPECT_EQ(swarm.oldest_at({0x0a0000ff}), nullptr);
  }

  base::Rng rng{1};
  Swarm swarm{KeyedHash{7}};
  std::map<Endpoint, Swarm::Member> wanted;
  Instant now{};
};

TEST(Swarm, KnowsItsMembersByAddressByIdentityAndByAgeWhateverHappens) {
  Checked checked;
  base::Rng rng(3);
  for (int i = 0; i < 2000; ++i) {
    const auto host = static_cast<std::uint32_t>(rng.below(40));
    if (rng.chance(0.3)) {
      checked.remove(host);
    } else {
      checked.put(host, static_cast<unsigned>(rng.below(30)), static_cast<std::uint32_t>(rng.below(3)), rng.below(2));
    }
    checked.check();
    for (unsigned id = 0; id < 30; ++id) {
      const Swarm::Member* found = checked.swarm.find(peer_id(id), 1);
      if (found == nullptr) continue;
      EXPECT_EQ(found->about.peer_id, peer_id(id));
      EXPECT_EQ(checked.wanted.at(found->about.endpoint).about, found->about);
    }
  }
}

TEST(Swarm, FindsWhoMovedByPeerIdAndKeyTogether) {
  Checked checked;
  checked.put(1, 5, 77, 1);
  checked.put(2, 5, 0, 1);
  ASSERT_NE(checked.swarm.find(peer_id(5), 77), nullptr);
  EXPECT_EQ(checked.swarm.find(peer_id(5), 77)->about.endpoint, at(1));
  EXPECT_EQ(checked.swarm.find(peer_id(5), 78), nullptr);
  EXPECT_EQ(checked.swarm.find(peer_id(6), 77), nullptr);
  checked.put(1, 6, 77, 1);  // another program at that address
  EXPECT_EQ(checked.swarm.find(peer_id(5), 77), nullptr);
}

TEST(Swarm, EverybodyStandsAnywhere) {
  std::set<Endpoint> first;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    base::Rng rng(seed);
    Swarm swarm(KeyedHash{seed});
    for (std::uint32_t host = 0; host < 4; ++host) swarm.put({.about = {.endpoint = at(host)}}, rng);
    first.insert(swarm.at(0).about.endpoint);
  }
  EXPECT_EQ(first.size(), 4u);
}

TEST(KeyedHash, SpreadsNamesThatDifferAnywhere) {
  const KeyedHash hash{1};
  std::set<std::size_t> low_bits;
  for (std::size_t at = 0; at < base::Sha1Hash::kSize; ++at) {
    for (int value = 0; value < 256; ++value) {
      base::Sha1Hash name;
      name.bytes[at] = static_cast<std::byte>(value);
      low_bits.insert(hash(name) & 0xffff);
    }
  }
  EXPECT_GT(low_bits.size(), 4500u) << "of 5101 names";
  EXPECT_NE(hash(base::Sha1Hash{}), KeyedHash{2}(base::Sha1Hash{}));
}

}  // namespace
}  // namespace shoal::tracker
