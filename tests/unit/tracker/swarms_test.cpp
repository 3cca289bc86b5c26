#include "tracker/swarms.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

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

constexpr Ipv4Address kUs{0xc0a80001};      // 192.168.0.1
constexpr Ipv4Address kPublic{0x08080808};  // 8.8.8.8
const base::Sha1Hash kShare = base::sha1(base::view_of("a share"));

wire::PeerId peer_id(unsigned number) {
  wire::PeerId id{};
  id[0] = static_cast<std::byte>(number);
  id[1] = static_cast<std::byte>(number >> 8);
  return id;
}

Ipv4Address host(unsigned number) {
  return {0xc0a80000 + number};
}

struct Tracker {
  explicit Tracker(SwarmsOptions options = {}) : swarms(std::move(options), base::Rng(1)) {}

  wire::AnnounceReply announce(unsigned number, std::uint64_t left, AnnounceEvent event = AnnounceEvent::none) {
    return announce(request(number, left, event), {host(number), kUs});
  }
  wire::AnnounceReply announce(const AnnounceRequest& asked, const Asker& asker) {
    const auto reply = swarms.announce(asked, asker, now);
    EXPECT_TRUE(reply) << reply.error();
    return reply.value_or(wire::AnnounceReply{});
  }
  static AnnounceRequest request(unsigned number, std::uint64_t left, AnnounceEvent event = AnnounceEvent::none) {
    return {.info_hash = kShare, .peer_id = peer_id(number), .port = 6881, .left = left, .event = event, .key = number};
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
  Tracker tracker;
  EXPECT_TRUE(tracker.announce(2, 10, AnnounceEvent::started).peers.empty());
  EXPECT_EQ(endpoints(tracker.announce(3, 10, AnnounceEvent::started)), (std::set<Endpoint>{{host(2), 6881}}));
  EXPECT_EQ(endpoints(tracker.announce(2, 10)), (std::set<Endpoint>{{host(3), 6881}}));
}

TEST(Swarms, CountsSeedsAndLeechersAndDownloads) {
  Tracker tracker;
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
  Tracker tracker;
  tracker.announce(2, 0);
  tracker.announce(3, 5);
  EXPECT_EQ(endpoints(tracker.announce(4, 0)), (std::set<Endpoint>{{host(3), 6881}}));
}

TEST(Swarms, ForgetsWhoStopsAndWhoIsSilent) {
  Tracker tracker;
  tracker.announce(2, 5);
  tracker.announce(3, 5);
  EXPECT_TRUE(tracker.announce(3, 5, AnnounceEvent::stopped).peers.empty());
  EXPECT_EQ(tracker.swarms.members(kShare).size(), 1u);
  tracker.now += minutes(5) + seconds(1);
  tracker.announce(4, 5);
  tracker.swarms.expire(tracker.now);
  const auto members = tracker.swarms.members(kShare);
  ASSERT_EQ(members.size(), 1u);
  EXPECT_EQ(members[0].endpoint.address, host(4));
}

TEST(Swarms, RefusesPortZeroAndSwarmsThatNobodyPublishedWhenToldTo) {
  Tracker tracker({.serves_unknown = false});
  AnnounceRequest request = Tracker::request(2, 5);
  EXPECT_FALSE(tracker.swarms.announce(request, {host(2), kUs}, tracker.now));
  tracker.swarms.allow(kShare);
  EXPECT_TRUE(tracker.swarms.announce(request, {host(2), kUs}, tracker.now));
  request.port = 0;
  EXPECT_FALSE(tracker.swarms.announce(request, {host(2), kUs}, tracker.now));
  EXPECT_EQ(tracker.swarms.totals().refused, 2u);
}

TEST(Swarms, BelievesAnAddressOfTheLocalNetworkOnlyFromThere) {
  Tracker tracker;
  AnnounceRequest request = Tracker::request(2, 5);
  request.address = host(77);
  tracker.announce(request, {host(2), kUs});
  EXPECT_EQ(tracker.swarms.members(kShare)[0].endpoint.address, host(77));
  AnnounceRequest stranger = Tracker::request(3, 5);
  stranger.address = host(1);
  tracker.announce(stranger, {kPublic, kUs});
  const auto members = tracker.swarms.members(kShare);
  EXPECT_TRUE(std::ranges::any_of(members, [](const auto& member) { return member.endpoint.address == kPublic; }));
  EXPECT_FALSE(std::ranges::any_of(members, [](const auto& member) { return member.endpoint.address == host(1); }));
}

TEST(Swarms, AHostBehindTheTrackersOwnLoopbackIsHandedUnderTheAddressTheAskerReached) {
  Tracker tracker;
  tracker.announce(Tracker::request(2, 0), {Ipv4Address::loopback(), Ipv4Address::loopback()});
  EXPECT_EQ(endpoints(tracker.announce(3, 5)), (std::set<Endpoint>{{kUs, 6881}}));
  AnnounceRequest request = Tracker::request(4, 5);
  request.port = 6882;
  const auto local = tracker.announce(request, {Ipv4Address::loopback(), Ipv4Address::loopback()});
  EXPECT_TRUE(endpoints(local).contains({Ipv4Address::loopback(), 6881}));
}

TEST(Swarms, MembersInsideThisHostAreHandedToEachOtherAndToThisHostOnly) {
  const base::Network containers{{0xac110001}, 16};  // 172.17.0.1/16
  Tracker tracker({.internal_networks = {containers}});
  const Ipv4Address container{0xac110002};
  const Ipv4Address other_container{0xac110003};
  tracker.announce(Tracker::request(2, 0), {container, containers.address});
  EXPECT_TRUE(tracker.announce(3, 5).peers.empty());
  EXPECT_EQ(tracker.announce(Tracker::request(4, 5), {other_container, containers.address}).peers.size(), 2u);
  EXPECT_EQ(tracker.announce(Tracker::request(5, 5), {kUs, kUs}).peers.size(), 3u);
}

TEST(Swarms, AHostThatMovedIsKnownAtItsNewAddressOnly) {
  Tracker tracker;
  tracker.announce(Tracker::request(2, 5, AnnounceEvent::started), {host(2), kUs});
  tracker.announce(Tracker::request(2, 5, AnnounceEvent::started), {host(9), kUs});
  const auto members = tracker.swarms.members(kShare);
  ASSERT_EQ(members.size(), 1u);
  EXPECT_EQ(members[0].endpoint.address, host(9));
}

TEST(Swarms, GivesAsManyPeersAsWantedAndNeverMoreThanItsLimit) {
  Tracker tracker;
  for (unsigned i = 2; i < 602; ++i) tracker.announce(i, 5);
  AnnounceRequest request = Tracker::request(700, 5);
  EXPECT_EQ(tracker.announce(request, {host(700), kUs}).peers.size(), 50u);
  request.peers_wanted = 3;
  EXPECT_EQ(tracker.announce(request, {host(700), kUs}).peers.size(), 3u);
  request.peers_wanted = 0;
  EXPECT_TRUE(tracker.announce(request, {host(700), kUs}).peers.empty());
  request.peers_wanted = 100'000;
  EXPECT_EQ(tracker.announce(request, {host(700), kUs}).peers.size(), kPeersGivenMax);
}

TEST(Swarms, EverybodyIsHandedOutSoonerOrLater) {
  Tracker tracker;
  for (unsigned i = 2; i < 202; ++i) tracker.announce(i, 5);
  AnnounceRequest request = Tracker::request(700, 5);
  request.peers_wanted = 20;
  std::set<Endpoint> seen;
  for (int i = 0; i < 400; ++i) seen.merge(endpoints(tracker.announce(request, {host(700), kUs})));
  EXPECT_EQ(seen.size(), 200u);
}

TEST(Swarms, TheLongestSilentMakesRoomInAFullSwarm) {
  Tracker tracker;
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

TEST(Swarms, Ipv6AddressesFromTheLocalNetworkAreHandedOn) {
  Tracker tracker;
  AnnounceRequest request = Tracker::request(2, 5);
  request.ipv6 = wire::Ipv6Endpoint{.address = {std::byte{0xfd}}, .port = 6881};
  tracker.announce(request, {host(2), kUs});
  EXPECT_EQ(tracker.announce(3, 5).peers6, (std::vector<wire::Ipv6Endpoint>{*request.ipv6}));
  AnnounceRequest stranger = Tracker::request(4, 5);
  stranger.ipv6 = wire::Ipv6Endpoint{.address = {std::byte{0x20}}, .port = 1};
  tracker.announce(stranger, {kPublic, kUs});
  EXPECT_EQ(tracker.announce(3, 5).peers6.size(), 1u);
}

TEST(Swarms, SurviveARestart) {
  Tracker before;
  before.now += minutes(10);
  before.announce(2, 0);
  before.announce(3, 7);
  before.announce(3, 0, AnnounceEvent::completed);
  const base::Bytes saved = before.swarms.save(before.now);
  Tracker after;
  after.swarms.restore(saved, after.now);
  EXPECT_EQ(after.swarms.scrape(kShare), before.swarms.scrape(kShare));
  EXPECT_EQ(endpoints(after.announce(4, 5)), (std::set<Endpoint>{{host(2), 6881}, {host(3), 6881}}));
  after.now += minutes(6);
  after.swarms.expire(after.now);
  EXPECT_TRUE(after.swarms.members(kShare).empty());
}

TEST(Swarms, WhatWasSavedAndSpoiltIsNotBelieved) {
  Tracker before;
  before.announce(2, 0);
  const base::Bytes saved = before.swarms.save(before.now);
  for (std::size_t size = 0; size < saved.size(); ++size) {
    Tracker after;
    after.swarms.restore(base::ByteView(saved).first(size), after.now);
    EXPECT_TRUE(after.swarms.members(kShare).empty());
  }
}

TEST(Swarms, TheGenerationChangesWithTheMembersAndOnlyThen) {
  Tracker tracker;
  tracker.announce(2, 5);
  const auto first = tracker.swarms.generation(kShare);
  tracker.announce(2, 5);
  EXPECT_EQ(tracker.swarms.generation(kShare), first);
  tracker.announce(2, 4);
  EXPECT_NE(tracker.swarms.generation(kShare), first);
}

}  // namespace
}  // namespace shoal::tracker
