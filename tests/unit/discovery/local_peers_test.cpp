#include "discovery/local_peers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "support/texts.hpp"

namespace shoal::discovery {
namespace {

using base::Endpoint;
using base::Instant;
using base::Ipv4Address;
using testing::address;
using testing::endpoint;
using namespace std::chrono_literals;

base::Sha1Hash share(std::uint8_t number) {
  base::Sha1Hash hash;
  hash.bytes.fill(std::byte{number});
  return hash;
}
bool is_search(const seam::Action& action) {
  return std::holds_alternative<seam::SendDatagram>(action);
}

class LocalPeersTest : public ::testing::Test {
 protected:
  // How many searches it sends, each of them to all interfaces.
  std::size_t sent() {
    const auto actions = peers_.take_actions();
    return static_cast<std::size_t>(std::ranges::count_if(actions, is_search)) / 2;
  }
  std::size_t sent_within(base::Duration duration) {
    std::size_t count = 0;
    const Instant end = now_ + duration;
    while (peers_.next_deadline() && *peers_.next_deadline() <= end) {
      now_ = *peers_.next_deadline();
      peers_.on_deadline(now_);
      count += sent();
    }
    now_ = end;
    return count;
  }
  bool hear(std::string_view from, const wire::LocalSearch& search, std::uint32_t socket = kFirstLocalSocket) {
    return hear(from, wire::encode(search), socket);
  }
  bool hear(std::string_view from, base::Bytes bytes, std::uint32_t socket = kFirstLocalSocket) {
    return peers_.on_event(seam::DatagramArrived{.socket = seam::SocketId(socket),
                                                 .from = endpoint(from),
                                                 .local = address("10.0.0.5"),
                                                 .bytes = std::move(bytes)},
                           now_);
  }
  wire::LocalSearch search_for(std::uint8_t number, std::uint16_t port = 7000) {
    return {.port = port, .info_hashes = {share(number)}, .cookie = "other"};
  }
  void start() {
    peers_.start(now_);
    sent();
  }

  LocalPeers peers_{{.interfaces = {address("10.0.0.5"), address("127.0.0.1")}, .info_hash = share(1), .port = 6881},
                    base::Rng(1)};
  Instant now_ = Instant{} + 1h;
};

TEST_F(LocalPeersTest, SearchesOnEveryInterfaceAtOnce) {
  peers_.start(now_);
  std::vector<seam::OpenDatagram> opened;
  std::vector<seam::SendDatagram> sent;
  for (const seam::Action& action : peers_.take_actions()) {
    if (const auto* open = std::get_if<seam::OpenDatagram>(&action)) opened.push_back(*open);
    if (const auto* send = std::get_if<seam::SendDatagram>(&action)) sent.push_back(*send);
  }
  ASSERT_EQ(opened.size(), 2u);
  EXPECT_EQ(opened[0].local, address("10.0.0.5"));
  EXPECT_EQ(opened[1].local, address("127.0.0.1"));
  EXPECT_EQ(opened[0].group, endpoint("239.192.152.143:6771"));
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].socket, opened[0].socket);
  EXPECT_EQ(sent[1].socket, opened[1].socket);
  EXPECT_EQ(sent[1].to, endpoint("239.192.152.143:6771"));
  const auto search = wire::parse_local_search(sent[1].bytes);
  ASSERT_TRUE(search);
  EXPECT_EQ(search->port, 6881);
  EXPECT_EQ(search->info_hashes, std::vector{share(1)});
  EXPECT_FALSE(search->cookie.empty());
}

TEST_F(LocalPeersTest, RepeatsItselfWithinASecondAndThenSeldom) {
  start();
  EXPECT_EQ(sent_within(1s), kQuickSearches - 1);
  EXPECT_EQ(sent_within(kSearchEvery - 1s), 0u);
  EXPECT_EQ(sent_within(kSearchEvery), 1u);
  EXPECT_EQ(sent_within(kSearchEvery * 3), 3u);
}

TEST_F(LocalPeersTest, TakesAPeerAtItsSourceAddressAndThePortItNames) {
  start();
  EXPECT_TRUE(hear("10.0.0.7:6771", search_for(1)));
  EXPECT_TRUE(hear("10.0.0.7:6771", search_for(1), kFirstLocalSocket + 1));  // on the other interface, too
  EXPECT_TRUE(hear("127.0.0.1:6771", search_for(1, 7001), kFirstLocalSocket + 1));
  EXPECT_EQ(peers_.take_peers(), (std::vector{endpoint("10.0.0.7:7000"), endpoint("127.0.0.1:7001")}));
  EXPECT_TRUE(peers_.take_peers().empty());
}

TEST_F(LocalPeersTest, FindsOurShareAmongMany) {
  start();
  hear("10.0.0.7:6771", {.port = 7000, .info_hashes = {share(2), share(1), share(3)}, .cookie = ""});
  EXPECT_EQ(peers_.take_peers(), std::vector{endpoint("10.0.0.7:7000")});
}

TEST_F(LocalPeersTest, IgnoresOtherSharesItselfAndNonsense) {
  peers_.start(now_);
  base::Bytes own;
  for (const seam::Action& action : peers_.take_actions()) {
    if (const auto* send = std::get_if<seam::SendDatagram>(&action)) own = send->bytes;
  }
  EXPECT_TRUE(hear("10.0.0.5:6771", own));
  EXPECT_TRUE(hear("10.0.0.7:6771", search_for(2)));
  EXPECT_TRUE(hear("10.0.0.7:6771", base::Bytes{}));
  EXPECT_TRUE(hear("10.0.0.7:6771", base::Bytes(1000)));
  EXPECT_TRUE(peers_.take_peers().empty());
  EXPECT_EQ(sent_within(1min), kQuickSearches - 1) << "nobody was answered";
}

TEST_F(LocalPeersTest, LeavesTheEventsOfOthersAlone) {
  start();
  EXPECT_FALSE(hear("10.0.0.7:6771", search_for(1), kFirstLocalSocket - 1));
  EXPECT_FALSE(hear("10.0.0.7:6771", search_for(1), kFirstLocalSocket + 2));
  EXPECT_FALSE(peers_.on_event(seam::StopRequested{}, now_));
  EXPECT_TRUE(peers_.take_peers().empty());
}

TEST_F(LocalPeersTest, AnswersASearchAtOnceButNotOftenerThanOnceASecond) {
  start();
  sent_within(1min);
  hear("10.0.0.7:6771", search_for(1));
  EXPECT_EQ(sent(), 1u);
  hear("10.0.0.8:6771", search_for(1));
  hear("10.0.0.9:6771", search_for(1));
  EXPECT_EQ(sent(), 0u);
  EXPECT_EQ(sent_within(kAnswerPause + kSpread), 1u) << "one for both";
}

TEST_F(LocalPeersTest, AnswersTheSameSearcherAFewTimesOnly) {
  start();
  sent_within(1min);
  std::size_t answers = 0;
  for (int i = 0; i < 100; ++i) {
    hear("10.0.0.7:6771", search_for(1));
    answers += sent() + sent_within(kAnswerPause);
  }
  EXPECT_EQ(answers, kAnswersMax);
  auto restarted = search_for(1);
  restarted.cookie = "another";
  hear("10.0.0.7:6771", restarted);
  EXPECT_EQ(sent() + sent_within(kSpread), 1u);
  sent_within(kSearchEvery + 1min);
  hear("10.0.0.7:6771", search_for(1));
  EXPECT_EQ(sent(), 1u) << "it was forgotten";
}

TEST_F(LocalPeersTest, LeavesTheAnswerToOthersWhereEnoughGiveOne) {
  start();
  sent_within(1min);
  hear("10.0.0.7:6771", search_for(1));
  EXPECT_EQ(sent(), 1u);
  hear("10.0.0.8:6771", search_for(1));
  for (int i = 0; i < 5; ++i) hear("10.0.0.8:6771", search_for(1));
  hear("10.0.0.9:6771", search_for(1));
  EXPECT_EQ(sent_within(kAnswerPause + 2 * kSpread), 1u) << "who asks again has not answered";
  hear("10.0.0.10:6771", search_for(1));
  hear("10.0.0.8:6771", search_for(1));
  hear("10.0.0.9:6771", search_for(1));
  EXPECT_EQ(sent_within(1min), 0u);
}

TEST_F(LocalPeersTest, SurvivesAFlood) {
  start();
  sent_within(1min);
  std::size_t answers = 0;
  for (std::uint32_t n = 0; n < 20'000; ++n) {
    const Endpoint from{Ipv4Address{0x0a000000 + n}, 6771};
    hear(from.to_string(), search_for(1));
    answers += sent() + sent_within(1ms);
  }
  EXPECT_LE(answers, 21u);
  EXPECT_EQ(peers_.take_peers().size(), kLocalPeersHeardMax);
}

TEST_F(LocalPeersTest, IsSilentAndDeafOnceStopped) {
  start();
  peers_.stop();
  std::size_t closed = 0;
  for (const seam::Action& action : peers_.take_actions()) {
    if (std::holds_alternative<seam::CloseDatagram>(action)) ++closed;
  }
  EXPECT_EQ(closed, 2u);
  EXPECT_TRUE(hear("10.0.0.7:6771", search_for(1)));
  peers_.on_deadline(now_ + 1h);
  peers_.stop();
  EXPECT_TRUE(peers_.take_peers().empty());
  EXPECT_TRUE(peers_.take_actions().empty());
  EXPECT_FALSE(peers_.next_deadline());
}

TEST(LocalPeers, UsesALimitedNumberOfInterfaces) {
  LocalPeers peers({.interfaces = std::vector<Ipv4Address>(1000), .info_hash = share(1), .port = 1}, base::Rng(1));
  peers.start({});
  EXPECT_EQ(peers.take_actions().size(), 2 * kLocalInterfacesMax);
}

// Hosts on one network: what one multicasts, all hear a moment later, itself too, unless it is lost.
class Lan {
 public:
  void add(base::Duration starts_after) {
    const auto number = static_cast<std::uint32_t>(hosts_.size());
    const Ipv4Address own{0x0a000001 + number};
    hosts_.push_back(
        {std::make_unique<LocalPeers>(LocalPeersOptions{.interfaces = {own}, .info_hash = share(1), .port = 6881},
                                      base::Rng(number)),
         own,
         now_ + starts_after,
         {}});
  }
  void lose_next(int datagrams) { lost_ = datagrams; }

  void run_for(base::Duration duration) {
    for (const Instant end = now_ + duration; now_ < end; now_ += 5ms) {
      for (Host& host : hosts_) {
        if (host.starts_at == now_) host.peers->start(now_);
        host.peers->on_deadline(now_);
      }
      std::vector<std::pair<Ipv4Address, base::Bytes>> sent;
      for (Host& host : hosts_) {
        for (seam::Action& action : host.peers->take_actions()) {
          if (auto* send = std::get_if<seam::SendDatagram>(&action)) sent.emplace_back(host.own, send->bytes);
        }
        for (const Endpoint peer : host.peers->take_peers()) host.found.push_back(peer);
      }
      datagrams_ += sent.size();
      for (const auto& [from, bytes] : sent) deliver(from, bytes);
    }
  }
  [[nodiscard]] bool has_found(std::size_t one, std::size_t other) const {
    return std::ranges::find(hosts_[one].found, Endpoint{hosts_[other].own, 6881}) != hosts_[one].found.end();
  }
  [[nodiscard]] std::size_t datagrams() const { return datagrams_; }
  // One of two is enough: it dials.
  [[nodiscard]] bool have_met(std::size_t one, std::size_t other) const {
    return has_found(one, other) || has_found(other, one);
  }

 private:
  struct Host {
    std::unique_ptr<LocalPeers> peers;
    Ipv4Address own;
    Instant starts_at;
    std::vector<Endpoint> found;
  };
  void deliver(Ipv4Address from, const base::Bytes& bytes) {
    if (lost_ > 0) {
      --lost_;
      return;
    }
    for (Host& host : hosts_) {
      host.peers->on_event(
          seam::DatagramArrived{
              .socket = seam::SocketId(kFirstLocalSocket), .from = {from, 6771}, .local = host.own, .bytes = bytes},
          now_);
    }
  }

  Instant now_{};
  std::vector<Host> hosts_;
  int lost_ = 0;
  std::size_t datagrams_ = 0;
};

TEST(LocalPeers, TwoFindEachOtherWithinASecondWhenTheyStartTogether) {
  Lan lan;
  lan.add(0s);
  lan.add(0s);
  lan.run_for(1s);
  EXPECT_TRUE(lan.has_found(0, 1));
  EXPECT_TRUE(lan.has_found(1, 0));
}

TEST(LocalPeers, TwoFindEachOtherWithinASecondWheneverTheSecondStarts) {
  for (const auto later : {5ms, 400ms, 795ms, 1000ms, 10'000ms, 300'000ms}) {
    Lan lan;
    lan.add(0s);
    lan.add(later);
    lan.run_for(later + 1s + 10ms);
    EXPECT_TRUE(lan.has_found(0, 1)) << later.count();
    EXPECT_TRUE(lan.has_found(1, 0)) << later.count();
  }
}

TEST(LocalPeers, TwoFindEachOtherWhenDatagramsAreLost) {
  for (int lost = 1; lost < kQuickSearches; ++lost) {
    Lan lan;
    lan.add(0s);
    lan.run_for(1min);
    lan.add(0s);
    lan.lose_next(lost);
    lan.run_for(2s);
    EXPECT_TRUE(lan.has_found(0, 1));
    EXPECT_TRUE(lan.has_found(1, 0));
  }
}

TEST(LocalPeers, ManyMeetAllOthersAndFallSilent) {
  constexpr std::size_t kHosts = 30;
  Lan lan;
  for (std::size_t host = 0; host < kHosts; ++host) lan.add(5ms * static_cast<int>(host * 7 % 40));
  lan.run_for(1s);
  for (std::size_t one = 0; one < kHosts; ++one) {
    for (std::size_t other = 0; other < one; ++other) EXPECT_TRUE(lan.have_met(one, other));
  }
  lan.run_for(1min);
  const std::size_t before = lan.datagrams();
  EXPECT_LE(before, kHosts * (kQuickSearches + 1));
  lan.run_for(1min);
  EXPECT_EQ(lan.datagrams(), before) << "answers to answers come to an end";
}

// Transmission drops what comes beyond ten in a second.
TEST(LocalPeers, ManyThatStartTogetherSendAFewInASecond) {
  constexpr std::size_t kHosts = 100;
  Lan lan;
  for (std::size_t host = 0; host < kHosts; ++host) lan.add(5ms * static_cast<int>(host * 7 % 40));
  lan.run_for(300ms);
  EXPECT_LE(lan.datagrams(), kHosts + 10) << "one of each";
  for (int second = 0; second < 120; ++second) {
    const std::size_t before = lan.datagrams();
    lan.run_for(1s);
    EXPECT_LE(lan.datagrams() - before, 10u) << second;
  }
  EXPECT_GE(lan.datagrams(), kHosts * kQuickSearches * 8 / 10) << "nobody is lost for good to one datagram that is";
}

TEST(LocalPeers, ANewcomerIsAnsweredAtOnceAndByAFewOnly) {
  constexpr std::size_t kHosts = 50;
  Lan lan;
  for (std::size_t host = 0; host < kHosts; ++host) lan.add(5ms * static_cast<int>(host * 7 % 40));
  lan.run_for(2min);
  const std::size_t before = lan.datagrams();
  lan.add(0s);
  lan.run_for(3s);
  std::size_t found = 0;
  for (std::size_t other = 0; other < kHosts; ++other) {
    EXPECT_TRUE(lan.have_met(kHosts, other));
    found += lan.has_found(kHosts, other) ? 1 : 0;
  }
  EXPECT_GE(found, 1u);
  EXPECT_LE(lan.datagrams() - before, 12u);
}

}  // namespace
}  // namespace shoal::discovery
