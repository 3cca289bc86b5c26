#include "tracker/swarms.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "unit/tracker/hosts.hpp"

namespace shoal::tracker {
namespace {

using base::Endpoint;
using base::Instant;
using base::Ipv4Address;
using course::Asker;
using std::chrono::minutes;
using std::chrono::seconds;
using wire::AnnounceEvent;
using wire::AnnounceRequest;

constexpr Ipv4Address kPublic{0x08080808};  // 8.8.8.8

wire::PeerId numbered_peer(unsigned number) {
  wire::PeerId id{};
  id[0] = static_cast<std::byte>(number);
  id[1] = static_cast<std::byte>(number >> 8);
  return id;
}

Ipv4Address host(unsigned number) {
  return {0xc0a80000 + number};
}

struct AnnounceTracker {
  explicit AnnounceTracker(SwarmsOptions options = {}) : swarms(std::move(options), base::Rng(1)) {}

  wire::AnnounceReply announce(unsigned number, std::uint64_t left, AnnounceEvent event = AnnounceEvent::none) {
    return announce(request(number, left, event), {host(number), kUs});
  }
  wire::AnnounceReply announce(const AnnounceRequest& asked, const Asker& asker) {
    const auto reply = swarms.announce(asked, asker, now);
    EXPECT_TRUE(reply) << reply.error();
    return reply.value_or(wire::AnnounceReply{});
  }
  static AnnounceRequest request(unsigned number, std::uint64_t left, AnnounceEvent event = AnnounceEvent::none) {
    return {.info_hash = kShare,
            .peer_id = numbered_peer(number),
            .port = 6881,
            .left = left,
            .event = event,
            .key = number};
  }

  Swarms swarms;
  Instant now{};
};

std::set<Endpoint> endpoints(const wire::AnnounceReply& reply) {
  std::set<Endpoint> found;
  for (const wire::AnnouncedPeer& peer : reply.peers) found.insert(peer.endpoint);
  return found;
}

TEST(Swarms, HandsEachTheOthersAndNobodyHimself) {
  AnnounceTracker tracker;
  EXPECT_TRUE(tracker.announce(2, 10, AnnounceEvent::started).peers.empty());
  EXPECT_EQ(endpoints(tracker.announce(3, 10, AnnounceEvent::started)), (std::set<Endpoint>{{host(2), 6881}}));
  EXPECT_EQ(endpoints(tracker.announce(2, 10)), (std::set<Endpoint>{{host(3), 6881}}));
}

TEST(Swarms, CountsSeedsAndLeechersAndDownloads) {
  AnnounceTracker tracker;
  tracker.announce(2, 0, AnnounceEvent::started);
  tracker.announce(3, 10, AnnounceEvent::started);
  const wire::AnnounceReply reply = tracker.announce(4, 10, AnnounceEvent::started);
  EXPECT_EQ(reply.seeds, 1u);
  EXPECT_EQ(reply.leechers, 2u);
  tracker.announce(3, 0, AnnounceEvent::completed);
  tracker.announce(3, 0, AnnounceEvent::completed);  // said twice, counted once
  EXPECT_EQ(tracker.swarms.scrape(kShare),
            (wire::ScrapeEntry{.info_hash = kShare, .seeds = 2, .downloads = 1, .leechers = 1}));
}

TEST(Swarms, DoesNotHandSeedsToSeeds) {
  AnnounceTracker tracker;
  tracker.announce(2, 0);
  tracker.announce(3, 5);
  EXPECT_EQ(endpoints(tracker.announce(4, 0)), (std::set<Endpoint>{{host(3), 6881}}));
}

TEST(Swarms, ForgetsWhoStopsAndWhoIsSilent) {
  AnnounceTracker tracker;
  tracker.announce(2, 5);
  tracker.announce(3, 5);
  EXPECT_TRUE(tracker.announce(3, 5, AnnounceEvent::stopped).peers.empty());
  EXPECT_EQ(tracker.swarms.members(kShare).size(), 1u);
  // Programs that keep to 10 minutes whatever they are told may lose an announce, and are still there.
  tracker.now += minutes(20);
  tracker.swarms.expire(tracker.now);
  EXPECT_EQ(tracker.swarms.members(kShare).size(), 1u);
  tracker.now += minutes(2) + seconds(1);
  tracker.announce(4, 5);
  tracker.swarms.expire(tracker.now);
  const auto members = tracker.swarms.members(kShare);
  ASSERT_EQ(members.size(), 1u);
  EXPECT_EQ(members[0].endpoint.address, host(4));
}

TEST(Swarms, NobodyStopsForSomebodyElse) {
  AnnounceTracker tracker;
  tracker.announce(2, 5);
  AnnounceRequest stranger = AnnounceTracker::request(9, 5, AnnounceEvent::stopped);
  tracker.announce(stranger, {host(2), kUs});
  EXPECT_EQ(tracker.swarms.members(kShare).size(), 1u) << "a new program on the old one's port";
}

TEST(Swarms, WhoStopsMakesNoSwarm) {
  AnnounceTracker tracker;
  tracker.announce(2, 5, AnnounceEvent::stopped);
  EXPECT_EQ(tracker.swarms.totals().swarms, 0u);
}

TEST(Swarms, ADownloadIsCountedWhenNothingIsLeft) {
  AnnounceTracker tracker;
  for (int i = 0; i < 3; ++i) tracker.announce(2, 5, AnnounceEvent::completed);
  EXPECT_EQ(tracker.swarms.counts(kShare).downloads, 0u);
  tracker.announce(2, 0, AnnounceEvent::completed);
  EXPECT_EQ(tracker.swarms.counts(kShare).downloads, 1u);
}

TEST(Swarms, WhoDoesNotKnowHowMuchIsLeftIsNoSeed) {
  AnnounceTracker tracker;
  tracker.announce(2, wire::kLeftUnknown);
  EXPECT_EQ(tracker.swarms.counts(kShare).leechers, 1u);
  EXPECT_EQ(tracker.announce(3, 0).peers.size(), 1u);
  AnnounceTracker after;
  ASSERT_TRUE(after.swarms.restore(tracker.swarms.save(tracker.now), after.now));
  EXPECT_TRUE(std::ranges::any_of(after.swarms.members(kShare),
                                  [](const auto& member) { return member.left_bytes == wire::kLeftUnknown; }));
}

TEST(Swarms, ScrapesAreCountedAndOtherLooksAreNot) {
  AnnounceTracker tracker;
  (void)tracker.swarms.counts(kShare);
  EXPECT_EQ(tracker.swarms.totals().scrapes, 0u);
  (void)tracker.swarms.scrape(kShare);
  EXPECT_EQ(tracker.swarms.totals().scrapes, 1u);
}

TEST(Swarms, RefusesPortZeroAndSwarmsThatNobodyPublishedWhenToldTo) {
  AnnounceTracker tracker({.serves_unknown = false});
  AnnounceRequest request = AnnounceTracker::request(2, 5);
  EXPECT_FALSE(tracker.swarms.announce(request, {host(2), kUs}, tracker.now));
  tracker.swarms.allow(kShare, {});
  EXPECT_TRUE(tracker.swarms.announce(request, {host(2), kUs}, tracker.now));
  request.port = 0;
  EXPECT_FALSE(tracker.swarms.announce(request, {host(2), kUs}, tracker.now));
  EXPECT_EQ(tracker.swarms.totals().refused, 2u);
}

TEST(Swarms, BelievesAnAddressOfTheLocalNetworkOnlyFromThere) {
  AnnounceTracker tracker;
  AnnounceRequest request = AnnounceTracker::request(2, 5);
  request.address = host(77);
  tracker.announce(request, {host(2), kUs});
  EXPECT_EQ(tracker.swarms.members(kShare)[0].endpoint.address, host(77));
  AnnounceRequest stranger = AnnounceTracker::request(3, 5);
  stranger.address = host(1);
  tracker.announce(stranger, {kPublic, kUs});
  const auto members = tracker.swarms.members(kShare);
  EXPECT_TRUE(std::ranges::any_of(members, [](const auto& member) { return member.endpoint.address == kPublic; }));
  EXPECT_FALSE(std::ranges::any_of(members, [](const auto& member) { return member.endpoint.address == host(1); }));
}

TEST(Swarms, AHostBehindTheTrackersOwnLoopbackIsHandedUnderTheAddressTheAskerReached) {
  AnnounceTracker tracker;
  tracker.announce(AnnounceTracker::request(2, 0), {Ipv4Address::loopback(), Ipv4Address::loopback()});
  EXPECT_EQ(endpoints(tracker.announce(3, 5)), (std::set<Endpoint>{{kUs, 6881}}));
  AnnounceRequest request = AnnounceTracker::request(4, 5);
  request.port = 6882;
  const auto local = tracker.announce(request, {Ipv4Address::loopback(), Ipv4Address::loopback()});
  EXPECT_TRUE(endpoints(local).contains({Ipv4Address::loopback(), 6881}));
}

TEST(Swarms, MembersInsideThisHostAreHandedToEachOtherAndToThisHostOnly) {
  const base::Network containers{{0xac110001}, 16};  // 172.17.0.1/16
  AnnounceTracker tracker({.internal_networks = {containers}});
  const Ipv4Address container{0xac110002};
  const Ipv4Address other_container{0xac110003};
  tracker.announce(AnnounceTracker::request(2, 0), {container, containers.address});
  EXPECT_TRUE(tracker.announce(3, 5).peers.empty());
  EXPECT_EQ(tracker.announce(AnnounceTracker::request(4, 5), {other_container, containers.address}).peers.size(), 2u);
  EXPECT_EQ(tracker.announce(AnnounceTracker::request(5, 5), {kUs, kUs}).peers.size(), 3u);
}

TEST(Swarms, ThisHostByAnInternalAddressIsHandedUnderTheAddressTheAskerReached) {
  const base::Network containers{{0xac110001}, 16};
  AnnounceTracker tracker({.internal_networks = {containers}});
  tracker.announce(AnnounceTracker::request(2, 0), {containers.address, containers.address});
  EXPECT_EQ(endpoints(tracker.announce(3, 5)), (std::set<Endpoint>{{kUs, 6881}}));
}

TEST(Swarms, LocalAddressesAreForTheLocalNetwork) {
  AnnounceTracker tracker;
  tracker.announce(2, 0);
  tracker.announce(AnnounceTracker::request(3, 0), {kPublic, kUs});
  tracker.announce(AnnounceTracker::request(4, 0), {Ipv4Address::loopback(), Ipv4Address::loopback()});
  const Ipv4Address other_public{0x08080404};
  EXPECT_EQ(endpoints(tracker.announce(AnnounceTracker::request(5, 5), {other_public, kUs})),
            (std::set<Endpoint>{{kPublic, 6881}}));
  EXPECT_EQ(tracker.announce(6, 5).peers.size(), 4u);
  const auto here = tracker.announce(AnnounceTracker::request(7, 5), {other_public, other_public});
  EXPECT_TRUE(endpoints(here).contains({Ipv4Address::loopback(), 6881})) << "however it came";
}

TEST(Swarms, AHostThatMovedIsKnownAtItsNewAddressOnly) {
  AnnounceTracker tracker;
  tracker.announce(AnnounceTracker::request(2, 5, AnnounceEvent::started), {host(2), kUs});
  tracker.announce(AnnounceTracker::request(2, 5, AnnounceEvent::started), {host(9), kUs});
  const auto members = tracker.swarms.members(kShare);
  ASSERT_EQ(members.size(), 1u);
  EXPECT_EQ(members[0].endpoint.address, host(9));
}

TEST(Swarms, GivesAsManyPeersAsWantedAndNeverMoreThanItsLimit) {
  AnnounceTracker tracker;
  for (unsigned i = 2; i < 602; ++i) tracker.announce(i, 5);
  AnnounceRequest request = AnnounceTracker::request(700, 5);
  EXPECT_EQ(tracker.announce(request, {host(700), kUs}).peers.size(), 50u);
  request.peers_wanted = 3;
  EXPECT_EQ(tracker.announce(request, {host(700), kUs}).peers.size(), 3u);
  request.peers_wanted = 0;
  EXPECT_TRUE(tracker.announce(request, {host(700), kUs}).peers.empty());
  request.peers_wanted = 100'000;
  EXPECT_EQ(tracker.announce(request, {host(700), kUs}).peers.size(), kPeersGivenMax);
}

TEST(Swarms, EverybodyIsHandedOutSoonerOrLater) {
  AnnounceTracker tracker;
  for (unsigned i = 2; i < 202; ++i) tracker.announce(i, 5);
  AnnounceRequest request = AnnounceTracker::request(700, 5);
  request.peers_wanted = 20;
  std::set<Endpoint> seen;
  for (int i = 0; i < 400; ++i) seen.merge(endpoints(tracker.announce(request, {host(700), kUs})));
  EXPECT_EQ(seen.size(), 200u);
}

TEST(Swarms, TheLongestSilentMakesRoomInAFullSwarm) {
  AnnounceTracker tracker;
  for (unsigned i = 0; i < kPeersPerSwarmMax; ++i) {
    tracker.now += std::chrono::microseconds(1);
    tracker.announce(i + 2, 5);
  }
  tracker.announce(2, 5);  // heard again: now the second is the oldest
  tracker.announce(60'000, 5);
  const auto members = tracker.swarms.members(kShare);
  EXPECT_EQ(members.size(), kPeersPerSwarmMax);
  const auto is_known = [&](unsigned number) {
    return std::ranges::any_of(members, [&](const auto& member) { return member.endpoint.address == host(number); });
  };
  EXPECT_TRUE(is_known(2));
  EXPECT_FALSE(is_known(3));
  EXPECT_TRUE(is_known(60'000));
}

TEST(Swarms, TheLongestSilentSwarmMakesRoomAndPublishedOnesNever) {
  AnnounceTracker tracker({.swarms_max = 3});
  const auto announce = [&](std::string_view share, unsigned number) {
    AnnounceRequest request = AnnounceTracker::request(number, 5);
    request.info_hash = base::sha1(base::view_of(share));
    tracker.now += seconds(1);
    return tracker.swarms.announce(request, {host(number), kUs}, tracker.now).has_value();
  };
  const auto is_known = [&](std::string_view share) {
    return !tracker.swarms.members(base::sha1(base::view_of(share))).empty();
  };
  tracker.swarms.allow(base::sha1(base::view_of("published")), {});
  EXPECT_TRUE(announce("published", 2) && announce("a", 3) && announce("b", 4) && announce("a", 5));
  EXPECT_TRUE(announce("c", 6));
  EXPECT_TRUE(is_known("published") && is_known("a") && is_known("c"));
  EXPECT_FALSE(is_known("b"));
  EXPECT_EQ(tracker.swarms.totals().leechers, 4u);
  tracker.swarms.allow(base::sha1(base::view_of("a")), {});
  tracker.swarms.allow(base::sha1(base::view_of("c")), {});
  EXPECT_FALSE(announce("d", 7)) << "nothing can go";
  tracker.swarms.forbid(base::sha1(base::view_of("a")));
  EXPECT_TRUE(announce("d", 7));
  EXPECT_FALSE(is_known("a"));
}

TEST(Swarms, WhenAllPlacesAreTakenTheLongestSilentSwarmGoesAndThenTheLongestSilentPeer) {
  AnnounceTracker tracker({.peers_max = 3});
  const base::Sha1Hash other = base::sha1(base::view_of("another"));
  AnnounceRequest request = AnnounceTracker::request(2, 5);
  request.info_hash = other;
  tracker.announce(request, {host(2), kUs});
  for (unsigned i = 3; i < 6; ++i) tracker.announce(i, 5);
  EXPECT_TRUE(tracker.swarms.members(other).empty());
  EXPECT_EQ(tracker.swarms.members(kShare).size(), 3u);
  tracker.announce(6, 5);
  EXPECT_EQ(tracker.swarms.totals().leechers, 3u);
  for (const SwarmMember& member : tracker.swarms.members(kShare)) EXPECT_NE(member.endpoint.address, host(3));
  tracker.swarms.allow(kShare, {});
  EXPECT_FALSE(tracker.swarms.announce(request, {host(2), kUs}, tracker.now)) << "all are of a published swarm";
}

TEST(Swarms, WhatPeersSayTheyHoldIsBounded) {
  AnnounceTracker tracker;
  AnnounceRequest request = AnnounceTracker::request(2, 5);
  request.held = std::string(kHeldBytesMax + 1, '1');
  tracker.announce(request, {host(2), kUs});
  EXPECT_TRUE(tracker.swarms.members(kShare)[0].held.empty());
  request.held.pop_back();
  constexpr std::size_t kFit = kHeldBytesInAllMax / kHeldBytesMax;
  for (unsigned i = 0; i < kFit + 10; ++i) tracker.announce(request, {host(1000 + i), kUs});
  std::size_t told = 0;
  tracker.swarms.visit(kShare, [&](const SwarmMember& member) { told += member.held.empty() ? 0 : 1; });
  EXPECT_EQ(told, kFit);
  tracker.announce(request, {host(1000), kUs});  // its own makes room for it
  request.held.clear();
  tracker.announce(request, {host(1001), kUs});
  request.held = "1";
  tracker.announce(request, {host(1000 + kFit), kUs});
  EXPECT_EQ(tracker.swarms.totals().leechers, kFit + 11);
}

TEST(Swarms, Ipv6AddressesThatLeadNowhereAreNotHandedOn) {
  AnnounceTracker tracker;
  unsigned number = 2;
  for (const char* nowhere : {"::", "::1", "fe80::1", "ff02::1", "::ffff:10.0.0.1"}) {
    AnnounceRequest request = AnnounceTracker::request(++number, 5);
    request.ipv6 = wire::Ipv6Endpoint{.address = *wire::parse_ipv6(nowhere), .port = 6881};
    tracker.announce(request, {host(number), kUs});
  }
  AnnounceRequest portless = AnnounceTracker::request(50, 5);
  portless.ipv6 = wire::Ipv6Endpoint{.address = *wire::parse_ipv6("fd00::1"), .port = 0};
  tracker.announce(portless, {host(50), kUs});
  EXPECT_TRUE(tracker.announce(51, 5).peers6.empty());
}

TEST(Swarms, Ipv6AddressesFromTheLocalNetworkAreHandedOn) {
  AnnounceTracker tracker;
  AnnounceRequest request = AnnounceTracker::request(2, 5);
  request.ipv6 = wire::Ipv6Endpoint{.address = {std::byte{0xfd}}, .port = 6881};
  tracker.announce(request, {host(2), kUs});
  EXPECT_EQ(tracker.announce(3, 5).peers6, (std::vector<wire::Ipv6Endpoint>{*request.ipv6}));
  AnnounceRequest stranger = AnnounceTracker::request(4, 5);
  stranger.ipv6 = wire::Ipv6Endpoint{.address = {std::byte{0x20}}, .port = 1};
  tracker.announce(stranger, {kPublic, kUs});
  EXPECT_EQ(tracker.announce(3, 5).peers6.size(), 1u);
}

// aria2 does: with a magnet link it has nothing, and knows of nothing that is left.
TEST(Swarms, WhoBeginsWithNothingLeftMayHaveNothingYet) {
  AnnounceTracker tracker;
  tracker.announce(2, 0);
  EXPECT_EQ(endpoints(tracker.announce(3, 0, AnnounceEvent::started)), (std::set<Endpoint>{{host(2), 6881}}));
  EXPECT_TRUE(tracker.announce(3, 0).peers.empty()) << "by now it would say how much is left";
}

TEST(Swarms, OneAddressWithManyPortsPushesNobodyElseOut) {
  AnnounceTracker tracker;
  tracker.announce(2, 0);
  AnnounceRequest request = AnnounceTracker::request(3, 5);
  request.key = 0;
  for (std::size_t n = 0; n < kPeersPerSwarmMax + 10; ++n) {
    request.port = static_cast<std::uint16_t>(1024 + n);
    tracker.announce(request, {host(3), kUs});
  }
  EXPECT_EQ(tracker.swarms.counts(kShare).seeds, 1u);
  EXPECT_EQ(tracker.swarms.counts(kShare).leechers, kPortsPerAddressMax);
  const auto last = static_cast<std::uint16_t>(1024 + kPeersPerSwarmMax + 9);
  for (const SwarmMember& member : tracker.swarms.members(kShare)) {
    EXPECT_TRUE(member.is_seed() || member.endpoint.port + kPortsPerAddressMax > last) << "its own oldest went";
  }
}

TEST(Swarms, ManyProgramsOfThisHostAreAllKept) {
  AnnounceTracker tracker;
  AnnounceRequest request = AnnounceTracker::request(3, 5);
  request.key = 0;
  for (std::size_t n = 0; n < 2 * kPortsPerAddressMax; ++n) {
    request.port = static_cast<std::uint16_t>(1024 + n);
    tracker.announce(request, {Ipv4Address::loopback(), Ipv4Address::loopback()});
  }
  EXPECT_EQ(tracker.swarms.counts(kShare).leechers, 2 * kPortsPerAddressMax);
}

TEST(Swarms, SurviveARestart) {
  AnnounceTracker before;
  before.now += minutes(10);
  before.announce(2, 0);
  before.announce(3, 7);
  before.announce(3, 0, AnnounceEvent::completed);
  const base::Bytes saved = before.swarms.save(before.now);
  AnnounceTracker after;
  EXPECT_TRUE(after.swarms.restore(saved, after.now));
  EXPECT_EQ(after.swarms.scrape(kShare), before.swarms.scrape(kShare));
  EXPECT_EQ(endpoints(after.announce(4, 5)), (std::set<Endpoint>{{host(2), 6881}, {host(3), 6881}}));
  after.now += minutes(23);
  after.swarms.expire(after.now);
  EXPECT_TRUE(after.swarms.members(kShare).empty());
}

TEST(Swarms, ARestartForgetsNothingOfAPeer) {
  AnnounceTracker before;
  AnnounceRequest request = AnnounceTracker::request(2, 7);
  request.held = "0-99,105";
  request.ipv6 = wire::Ipv6Endpoint{.address = {std::byte{0xfd}}, .port = 6881};
  before.announce(request, {host(2), kUs});
  before.now += seconds(30);
  AnnounceTracker after;
  ASSERT_TRUE(after.swarms.restore(before.swarms.save(before.now), after.now));
  EXPECT_EQ(after.swarms.members(kShare), before.swarms.members(kShare));
  EXPECT_EQ(after.announce(3, 5).peers6.size(), 1u);
  // Its key moves it, and its age is what it was.
  after.announce(AnnounceTracker::request(2, 7, AnnounceEvent::started), {host(9), kUs});
  EXPECT_EQ(after.swarms.members(kShare).size(), 2u);
  AnnounceTracker aged;
  ASSERT_TRUE(aged.swarms.restore(before.swarms.save(before.now), aged.now));
  aged.now += minutes(22) - seconds(30);
  aged.swarms.expire(aged.now);
  EXPECT_EQ(aged.swarms.members(kShare).size(), 1u);
  aged.now += seconds(1);
  aged.swarms.expire(aged.now);
  EXPECT_TRUE(aged.swarms.members(kShare).empty());
}

TEST(Swarms, TheTimeBetweenTwoRunsMakesPeersOlder) {
  AnnounceTracker before;
  before.announce(2, 0);
  before.now += minutes(10);
  before.announce(3, 0);
  const base::Bytes saved = before.swarms.save(before.now);
  AnnounceTracker soon;
  ASSERT_TRUE(soon.swarms.restore(saved, soon.now, minutes(12)));
  EXPECT_EQ(soon.swarms.members(kShare).size(), 2u);
  AnnounceTracker later;
  ASSERT_TRUE(later.swarms.restore(saved, later.now, minutes(13)));
  const auto members = later.swarms.members(kShare);
  ASSERT_EQ(members.size(), 1u);
  EXPECT_EQ(members[0].endpoint.address, host(3));
  AnnounceTracker next_day;
  ASSERT_TRUE(next_day.swarms.restore(saved, next_day.now, minutes(10 * 60)));
  EXPECT_TRUE(next_day.swarms.members(kShare).empty());
}

TEST(Swarms, OnlyPublishedSwarmsComeBackWhereOnlyThoseAreServed) {
  AnnounceTracker before;
  before.announce(2, 0);
  const base::Bytes saved = before.swarms.save(before.now);
  AnnounceTracker after({.serves_unknown = false});
  ASSERT_TRUE(after.swarms.restore(saved, after.now));
  EXPECT_EQ(after.swarms.totals().swarms, 0u);
  AnnounceTracker published({.serves_unknown = false});
  published.swarms.allow(kShare, {});
  ASSERT_TRUE(published.swarms.restore(saved, published.now));
  EXPECT_EQ(published.swarms.counts(kShare).seeds, 1u);
}

TEST(Swarms, WhatWasSavedAndSpoiltIsNotBelieved) {
  AnnounceTracker before;
  before.announce(2, 0);
  const base::Bytes saved = before.swarms.save(before.now);
  for (std::size_t size = 0; size < saved.size(); ++size) {
    AnnounceTracker after;
    EXPECT_FALSE(after.swarms.restore(base::ByteView(saved).first(size), after.now));
    EXPECT_TRUE(after.swarms.members(kShare).empty());
  }
}

TEST(Swarms, TheGenerationChangesWithTheMembersAndOnlyThen) {
  AnnounceTracker tracker;
  tracker.announce(2, 5);
  const auto first = tracker.swarms.generation(kShare);
  tracker.announce(2, 5);
  EXPECT_EQ(tracker.swarms.generation(kShare), first);
  tracker.announce(2, 4);
  EXPECT_NE(tracker.swarms.generation(kShare), first);
}

TEST(Swarms, ASwarmThatCameAgainIsNotTakenForTheOldOne) {
  AnnounceTracker tracker;
  tracker.announce(2, 5);
  const auto first = tracker.swarms.generation(kShare);
  tracker.now += minutes(23);
  tracker.swarms.expire(tracker.now);
  EXPECT_EQ(tracker.swarms.generation(kShare), 0u);
  tracker.announce(2, 5);
  EXPECT_NE(tracker.swarms.generation(kShare), first);
}

}  // namespace
}  // namespace shoal::tracker
