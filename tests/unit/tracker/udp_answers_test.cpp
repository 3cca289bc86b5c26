#include "tracker/udp_answers.hpp"

#include <gtest/gtest.h>

#include "unit/tracker/hosts.hpp"

namespace shoal::tracker {
namespace {

using base::Endpoint;
using base::Ipv4Address;
using std::chrono::seconds;

constexpr Endpoint kAsker{{0xc0a80002}, 4000};

struct DatagramTracker {
  std::optional<wire::UdpReply> ask(const wire::UdpRequest& request, Endpoint from = kAsker) {
    const auto answer = answers.answer(wire::encode(request), from, kUs, now);
    return answer ? wire::parse_udp_reply(*answer) : std::nullopt;
  }
  std::uint64_t connect(Endpoint from = kAsker) {
    const auto reply = ask(wire::UdpConnect{.transaction = 7}, from);
    const auto* connected = reply ? std::get_if<wire::UdpConnected>(&*reply) : nullptr;
    EXPECT_TRUE(connected != nullptr && connected->transaction == 7);
    return connected == nullptr ? 0 : connected->connection;
  }
  static wire::UdpAnnounce announce(std::uint64_t connection, std::uint16_t port = 6881) {
    return {.connection = connection,
            .transaction = 8,
            .request = {.info_hash = kShare, .peer_id = {static_cast<std::byte>(port)}, .port = port, .left = 5}};
  }

  base::Rng rng{1};
  Swarms swarms{{}, base::Rng(2)};
  UdpAnswers answers{swarms, rng};
  base::Instant now{std::chrono::hours(1)};
};

TEST(UdpAnswers, AnAnnounceWithAConnectionIdIsAnswered) {
  DatagramTracker tracker;
  ASSERT_TRUE(tracker.ask(DatagramTracker::announce(tracker.connect())));
  const Endpoint other{{0xc0a80003}, 4000};
  const auto reply = tracker.ask(DatagramTracker::announce(tracker.connect(other), 6882), other);
  ASSERT_TRUE(reply);
  const auto* announced = std::get_if<wire::UdpAnnounced>(&*reply);
  ASSERT_NE(announced, nullptr);
  EXPECT_EQ(announced->transaction, 8u);
  EXPECT_EQ(announced->reply.leechers, 2u);
  ASSERT_EQ(announced->reply.peers.size(), 1u);
  EXPECT_EQ(announced->reply.peers[0].endpoint, (Endpoint{kAsker.address, 6881}));
}

TEST(UdpAnswers, AConnectionIdIsGoodForItsAddressAndForTwoMinutesAtLeast) {
  DatagramTracker tracker;
  const std::uint64_t connection = tracker.connect();
  EXPECT_FALSE(tracker.ask(DatagramTracker::announce(connection), {{0xc0a80003}, 4000})) << "a forged sender";
  EXPECT_FALSE(tracker.ask(DatagramTracker::announce(connection + 1)));
  tracker.now += seconds(120);
  EXPECT_TRUE(tracker.ask(DatagramTracker::announce(connection)));
  tracker.now += seconds(120);
  EXPECT_FALSE(tracker.ask(DatagramTracker::announce(connection)));
}

TEST(UdpAnswers, AConnectionIdIsGoodForTwoMinutesWheneverItWasGiven) {
  DatagramTracker tracker;
  for (int i = 0; i < 30; ++i) {
    tracker.now += seconds(7);
    const std::uint64_t connection = tracker.connect();
    const base::Instant given = tracker.now;
    tracker.now += seconds(120);
    EXPECT_TRUE(tracker.ask(DatagramTracker::announce(connection))) << base::to_seconds(given.time_since_epoch());
    tracker.now = given;
  }
}

TEST(UdpAnswers, AnAnswerIsNotLongerThanADatagramThatNoNetworkCuts) {
  DatagramTracker tracker;
  for (std::uint32_t host = 1; host <= 500; ++host) {
    const Endpoint from{{kAsker.address.value + host}, 4000};
    ASSERT_TRUE(tracker.ask(DatagramTracker::announce(tracker.connect(from), static_cast<std::uint16_t>(host)), from));
  }
  auto greedy = DatagramTracker::announce(tracker.connect(), 501);
  greedy.request.peers_wanted = 100'000;
  const auto answer = tracker.answers.answer(wire::encode(wire::UdpRequest(greedy)), kAsker, kUs, tracker.now);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->size(), 20 + 6 * kUdpPeersMax);
  EXPECT_LE(answer->size(), 1280u - 28);
}

TEST(UdpAnswers, AScrapeIsAnsweredInTheOrderAsked) {
  DatagramTracker tracker;
  ASSERT_TRUE(tracker.ask(DatagramTracker::announce(tracker.connect())));
  const auto reply = tracker.ask(wire::UdpScrape{
      .connection = tracker.connect(), .transaction = 9, .info_hashes = {base::sha1(base::view_of("none")), kShare}});
  ASSERT_TRUE(reply);
  const auto* scraped = std::get_if<wire::UdpScraped>(&*reply);
  ASSERT_NE(scraped, nullptr);
  ASSERT_EQ(scraped->entries.size(), 2u);
  EXPECT_EQ(scraped->entries[0].leechers, 0u);
  EXPECT_EQ(scraped->entries[1].leechers, 1u);
}

TEST(UdpAnswers, ARefusedAnnounceSaysWhy) {
  DatagramTracker tracker;
  const auto reply = tracker.ask(DatagramTracker::announce(tracker.connect(), 0));
  ASSERT_TRUE(reply);
  ASSERT_TRUE(std::holds_alternative<wire::UdpFailed>(*reply));
}

TEST(UdpAnswers, WhatIsNoRequestIsNotAnswered) {
  DatagramTracker tracker;
  const base::Bytes connect = wire::encode(wire::UdpRequest(wire::UdpConnect{.transaction = 7}));
  for (std::size_t size = 0; size < connect.size(); ++size) {
    EXPECT_FALSE(tracker.answers.answer(base::ByteView(connect).first(size), kAsker, kUs, tracker.now));
  }
}

}  // namespace
}  // namespace shoal::tracker
