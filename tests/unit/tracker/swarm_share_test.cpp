#include "tracker/swarm_share.hpp"

#include <gtest/gtest.h>

#include <set>

#include "unit/tracker/hosts.hpp"
#include "unit/tracker/torrents.hpp"

namespace shoal::tracker {
namespace {

using base::Endpoint;
using base::Ipv4Address;
using std::chrono::seconds;

struct World {
  explicit World(SwarmsOptions options = {}) : swarms(std::move(options), base::Rng(1)) {}

  void announce(Ipv4Address from, std::uint64_t left, std::string held = {}, std::string_view client = "-SH0100-") {
    wire::AnnounceRequest request{
        .info_hash = make_torrent("disk.img").info_hash, .port = 6881, .left = left, .held = std::move(held)};
    std::ranges::copy(base::view_of(client), request.peer_id.begin());
    request.peer_id.back() = static_cast<std::byte>(from.value);
    EXPECT_TRUE(swarms.announce(request, {from, kUs}, now));
    now += seconds(1);
    share.set_now(now);
  }
  std::vector<std::vector<Endpoint>> owners() {
    std::vector<std::vector<Endpoint>> found;
    for (const course::ChunkRecord& chunk : share.current()->chunks) found.push_back(chunk.peers);
    return found;
  }

  base::Instant now{};
  ShareList shares;
  Swarms swarms;
  SwarmShare share{shares, swarms, nullptr, std::nullopt};
};

constexpr Ipv4Address kSeed{0xc0a80002};
constexpr Ipv4Address kPartial{0xc0a80003};
constexpr Endpoint kSeedEnd{kSeed, 6881};
constexpr Endpoint kPartialEnd{kPartial, 6881};

TEST(SwarmShare, TellsWhoHasWhatNow) {
  World world;
  ASSERT_TRUE(world.shares.publish(torrent_file("disk.img")));
  world.announce(kSeed, 0);
  world.announce(kPartial, 100, "1-2");
  EXPECT_EQ(world.share.current()->filename, "disk.img");
  auto owners = world.owners();
  ASSERT_EQ(owners.size(), 3u);
  for (auto& one : owners) std::ranges::sort(one);
  EXPECT_EQ(owners[0], (std::vector<Endpoint>{kSeedEnd}));
  EXPECT_EQ(owners[1], (std::vector<Endpoint>{kSeedEnd, kPartialEnd}));
  EXPECT_EQ(owners[2], (std::vector<Endpoint>{kSeedEnd, kPartialEnd}));
}

TEST(SwarmShare, AShareThatNobodyHasDoesNotHideOneThatSomebodyHas) {
  World world;
  ASSERT_TRUE(world.shares.publish(torrent_file("disk.img")));
  ASSERT_TRUE(world.shares.publish(torrent_file("newer, and nobody is there")));
  EXPECT_EQ(world.share.current()->filename, "newer, and nobody is there");
  world.announce(kSeed, 0);
  EXPECT_EQ(world.share.current()->filename, "disk.img");
}

TEST(SwarmShare, LeavesOutThoseWhoDoNotSpeakTheCourseProtocol) {
  World world;
  ASSERT_TRUE(world.shares.publish(torrent_file("disk.img")));
  world.announce(kSeed, 0, {}, "-TR3000-");
  world.announce(kPartial, 100, "0");
  EXPECT_EQ(world.owners()[0], (std::vector<Endpoint>{kPartialEnd}));
  EXPECT_TRUE(world.owners()[1].empty());
}

TEST(SwarmShare, IsTheSameWhileNothingChangesAndFollowsTheSwarm) {
  World world;
  ASSERT_TRUE(world.shares.publish(torrent_file("disk.img")));
  world.announce(kSeed, 0);
  const auto first = world.share.current();
  EXPECT_EQ(world.share.current(), first);
  world.announce(kPartial, 0);
  EXPECT_NE(world.share.current(), first);
  EXPECT_EQ(world.owners()[0].size(), 2u);
}

TEST(SwarmShare, TheChosenShareIsToldInsteadOfTheNewest) {
  World world;
  SwarmShare chosen(world.shares, world.swarms, nullptr, "disk.img");
  ASSERT_TRUE(world.shares.publish(torrent_file("disk.img")));
  ASSERT_TRUE(world.shares.publish(torrent_file("newer")));
  EXPECT_EQ(chosen.current()->filename, "disk.img");
  EXPECT_EQ(world.share.current()->filename, "newer");
}

TEST(SwarmShare, WithoutAShareTheConfiguredOneIsToldOrAFileWithoutAName) {
  World world;
  EXPECT_TRUE(world.share.current()->filename.empty());
  struct Configured : ShareProvider {
    std::shared_ptr<const course::FileInfo> current() override { return info; }
    std::shared_ptr<const course::FileInfo> info =
        std::make_shared<const course::FileInfo>(course::FileInfo{.filename = "lecture.bin", .chunks = {}});
  } configured;
  SwarmShare with(world.shares, world.swarms, &configured, std::nullopt);
  EXPECT_EQ(with.current(), configured.info);
}

TEST(SwarmShare, AShareWithManyOwnersNamesAFewOfThemForEachChunkAndAllInTurn) {
  World world;
  ASSERT_TRUE(world.shares.publish(torrent_file("disk.img", 200)));
  wire::AnnounceRequest request{.info_hash = make_torrent("disk.img", 200).info_hash, .port = 6881, .left = 0};
  std::ranges::copy(base::view_of("-SH0100-"), request.peer_id.begin());
  for (std::uint32_t i = 0; i < 100; ++i) {
    request.peer_id.back() = static_cast<std::byte>(i);
    ASSERT_TRUE(world.swarms.announce(request, {{0xc0a80010 + i}, kUs}, world.now));
  }
  std::set<Endpoint> named;
  for (const auto& owners : world.owners()) {
    EXPECT_EQ(owners.size(), kOwnersMax);
    named.insert(owners.begin(), owners.end());
  }
  EXPECT_EQ(named.size(), 100u);
}

TEST(SwarmShare, AFolderIsNotForCourseClientsEvenWhenItWasChosen) {
  World world;
  SwarmShare chosen(world.shares, world.swarms, nullptr, "folder");
  ASSERT_TRUE(world.shares.publish(torrent_file("folder", 3, true)));
  EXPECT_TRUE(chosen.current()->filename.empty());
}

TEST(SwarmShare, NamesNoMoreOwnersThanCanBeProbedAtOnceAndSeedsFirst) {
  World world;
  ASSERT_TRUE(world.shares.publish(torrent_file("disk.img", 1000)));
  wire::AnnounceRequest request{.info_hash = make_torrent("disk.img", 1000).info_hash, .port = 6881};
  std::ranges::copy(base::view_of("-SH0100-"), request.peer_id.begin());
  for (std::uint32_t i = 0; i < 2000; ++i) {
    request.left = i < 10 ? 0 : 5;
    request.held = i < 10 ? "" : "0-500";
    request.peer_id[18] = static_cast<std::byte>(i >> 8);
    request.peer_id[19] = static_cast<std::byte>(i);
    ASSERT_TRUE(world.swarms.announce(request, {{0xc0a80010 + i}, kUs}, world.now));
  }
  std::set<Endpoint> named;
  const auto owners = world.owners();
  for (const auto& of_one : owners) named.insert(of_one.begin(), of_one.end());
  EXPECT_EQ(named.size(), kOwnersNamedMax);
  EXPECT_EQ(owners[999].size(), 10u) << "only the seeds have it";
}

constexpr base::Network kContainers{{0xac110001}, 16};
constexpr Endpoint kContainer{{0xac110002}, 6881};

// Whom an asker is told of for a share whose first chunk a container has, and somebody else, too, when there is one.
std::vector<Endpoint> told_to(World& world, const course::Asker& asker) {
  std::vector<Endpoint> told;
  const auto owners = world.owners();
  for (const Endpoint& owner : owners.at(0)) {
    if (world.share.may_tell(asker, owner)) told.push_back(course::endpoint_for(asker, owner));
  }
  return told;
}

TEST(SwarmShare, ThoseInsideThisHostAreForThisHostAndThatNetwork) {
  World world({.internal_networks = {kContainers}});
  const course::Asker outside{kPartial, kUs};
  const course::Asker here{kUs, kUs};
  const course::Asker inside{{0xac110003}, kContainers.address};
  ASSERT_TRUE(world.shares.publish(torrent_file("disk.img")));
  world.announce(kContainer.address, 0);
  EXPECT_TRUE(told_to(world, outside).empty()) << "also when there is nobody else";
  EXPECT_EQ(told_to(world, here), std::vector{kContainer});
  EXPECT_EQ(told_to(world, inside), std::vector{kContainer});
  world.announce(kSeed, 0);
  EXPECT_EQ(told_to(world, outside), std::vector{kSeedEnd});
  EXPECT_EQ(told_to(world, here), (std::vector{kSeedEnd, kContainer}));
  EXPECT_EQ(told_to(world, inside), (std::vector{kSeedEnd, kContainer}));
  EXPECT_FALSE(world.share.are_alike(outside, inside));
  EXPECT_FALSE(world.share.are_alike(outside, here));
  EXPECT_TRUE(world.share.are_alike(outside, {kSeed, kUs}));
}

TEST(SwarmShare, ManyInsideThisHostDoNotCrowdOutTheOthers) {
  World world({.internal_networks = {kContainers}});
  ASSERT_TRUE(world.shares.publish(torrent_file("disk.img")));
  wire::AnnounceRequest request{.info_hash = make_torrent("disk.img").info_hash, .port = 6881, .left = 0};
  std::ranges::copy(base::view_of("-SH0100-"), request.peer_id.begin());
  for (std::uint32_t i = 0; i < 2 * kOwnersNamedMax; ++i) {
    request.peer_id[17] = static_cast<std::byte>(1 + i / 256);
    request.peer_id[18] = static_cast<std::byte>(i);
    ASSERT_TRUE(world.swarms.announce(request, {{kContainer.address.value + i}, kContainers.address}, world.now));
  }
  world.announce(kSeed, 0);
  for (const auto& owners : world.owners()) {
    EXPECT_EQ(owners.size(), 1 + kOwnersMax);
    EXPECT_EQ(owners.front(), kSeedEnd);
  }
}

TEST(SwarmShare, WhomTheConfigurationNamesEverybodyIsToldOf) {
  World world({.internal_networks = {kContainers}});
  ASSERT_TRUE(world.share.current()->filename.empty());
  EXPECT_TRUE(world.share.may_tell({kPartial, kUs}, kContainer));
}

// A list for the most pieces there can be, of owners that lack most of them, costs little time and comes seldom.
TEST(SwarmShare, ABigShareIsDescribedLessOften) {
  World world;
  ASSERT_TRUE(world.shares.publish(torrent_file("disk.img", 65'535)));
  wire::AnnounceRequest request{
      .info_hash = make_torrent("disk.img", 65'535).info_hash, .port = 6881, .left = 5, .held = "65534"};
  std::ranges::copy(base::view_of("-SH0100-"), request.peer_id.begin());
  const auto announce = [&](std::uint32_t number) {
    request.peer_id.back() = static_cast<std::byte>(number);
    EXPECT_TRUE(world.swarms.announce(request, {{0xc0a80010 + number}, kUs}, world.now));
  };
  for (std::uint32_t i = 0; i < 100; ++i) announce(i);
  const auto first = world.share.current();
  EXPECT_EQ(first->chunks[65'534].peers.size(), kOwnersMax);
  announce(100);
  world.now += seconds(1);
  world.share.set_now(world.now);
  EXPECT_EQ(world.share.current(), first);
  world.now += seconds(1);
  world.share.set_now(world.now);
  EXPECT_NE(world.share.current(), first);
}

TEST(ParseHeld, ReadsRangesAndRefusesEverythingElse) {
  const auto held = parse_held("0-2,5,7-7", 8);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->count(), 5u);
  EXPECT_TRUE(held->test(base::PieceIndex(5)));
  EXPECT_FALSE(held->test(base::PieceIndex(3)));
  EXPECT_EQ(parse_held("6-4000000000", 8)->count(), 2u);
  EXPECT_TRUE(parse_held("", 8)->is_none());
  for (const char* wrong : {"x", "1-", "-1", "2-1", "1,,2", "1 2", "99999999999", "1,", ",1", "3,1", "0-2,2", "1,1"}) {
    EXPECT_FALSE(parse_held(wrong, 8)) << wrong;
  }
}

}  // namespace
}  // namespace shoal::tracker
