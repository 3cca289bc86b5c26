#include "swarm/udp_tracker.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace shoal::swarm {
namespace {

using base::Endpoint;
using base::Instant;
using namespace std::chrono_literals;

Endpoint endpoint(std::string_view text) {
  return Endpoint::parse(text).value();
}

const Endpoint kTracker = endpoint("10.0.0.1:6969");
const Endpoint kOther = endpoint("10.0.0.2:6969");
constexpr std::size_t kConnectBytes = 16;
constexpr std::size_t kAnnounceBytes = 98;
constexpr std::uint64_t kId = 0x1122334455667788;

class UdpTrackerTest : public ::testing::Test {
 protected:
  void announce(std::vector<Endpoint> addresses = {kTracker}) {
    wire::AnnounceRequest request;
    request.port = 6881;
    request.left = 5;
    request.event = wire::AnnounceEvent::started;
    tracker_.announce(std::move(addresses), request, now_);
  }
  // The one datagram that was sent.
  UdpTracker::Datagram sent() {
    auto datagrams = tracker_.take_datagrams();
    EXPECT_EQ(datagrams.size(), 1u);
    return datagrams.empty() ? UdpTracker::Datagram{} : datagrams.front();
  }
  static std::uint32_t transaction(const UdpTracker::Datagram& datagram) {
    return base::ByteReader(base::ByteView(datagram.bytes).subspan(12)).u32();
  }
  static std::uint64_t connection(const UdpTracker::Datagram& datagram) {
    return base::ByteReader(datagram.bytes).u64();
  }
  static bool is_connect(const UdpTracker::Datagram& datagram) { return datagram.bytes.size() == kConnectBytes; }

  void answer(const wire::UdpReply& reply, Endpoint from = kTracker) { tracker_.on_reply(from, reply, now_); }
  void connect(const UdpTracker::Datagram& asked, std::uint64_t id = kId) {
    answer(wire::UdpConnected{.transaction = transaction(asked), .connection = id}, asked.to);
  }
  static wire::UdpAnnounced announced(std::uint32_t transaction) {
    wire::UdpAnnounced reply{.transaction = transaction, .reply = {}};
    reply.reply.interval_s = 1800;
    return reply;
  }
  // To the next deadline; how long that was.
  base::Duration wait() {
    const Instant before = now_;
    now_ = tracker_.next_deadline().value();
    tracker_.on_deadline(now_);
    return now_ - before;
  }
  bool has_answer() {
    const auto result = tracker_.take_result();
    return result && std::holds_alternative<wire::AnnounceReply>(*result);
  }

  UdpTracker tracker_{"/announce?key=1", base::Rng(1)};
  Instant now_ = Instant{} + 1h;
};

TEST_F(UdpTrackerTest, ConnectsThenAnnounces) {
  announce();
  const auto hello = sent();
  EXPECT_EQ(hello.to, kTracker);
  EXPECT_EQ(connection(hello), 0x41727101980ull);
  ASSERT_EQ(hello.bytes.size(), kConnectBytes);
  EXPECT_FALSE(tracker_.has_announced());
  connect(hello);
  const auto request = sent();
  EXPECT_EQ(connection(request), kId);
  EXPECT_NE(transaction(request), transaction(hello));
  const auto parsed = wire::parse_udp_request(request.bytes);
  ASSERT_TRUE(parsed && std::holds_alternative<wire::UdpAnnounce>(*parsed));
  EXPECT_EQ(std::get<wire::UdpAnnounce>(*parsed).request.event, wire::AnnounceEvent::started);
  EXPECT_TRUE(tracker_.has_announced());
  answer(announced(transaction(request)));
  EXPECT_TRUE(has_answer());
  EXPECT_FALSE(tracker_.next_deadline());
}

TEST_F(UdpTrackerTest, TellsThePathAndQueryOfItsUrl) {
  announce();
  connect(sent());
  const auto request = sent();
  EXPECT_EQ(base::text_of(base::ByteView(request.bytes).subspan(kAnnounceBytes)), "\x02\x0f/announce?key=1");
}

TEST_F(UdpTrackerTest, TellsALongPathInSeveralParts) {
  const std::string path = "/" + std::string(299, 'a');
  tracker_ = UdpTracker(path, base::Rng(1));
  announce();
  connect(sent());
  const auto request = sent();
  EXPECT_EQ(base::text_of(base::ByteView(request.bytes).subspan(kAnnounceBytes)),
            "\x02\xff" + path.substr(0, 255) + "\x02\x2d" + path.substr(255));
}

TEST_F(UdpTrackerTest, HasNothingToTellOfAUrlWithoutAPath) {
  for (const char* path : {"", "/"}) {
    tracker_ = UdpTracker(path, base::Rng(1));
    announce();
    connect(sent());
    EXPECT_EQ(sent().bytes.size(), kAnnounceBytes);
  }
}

TEST_F(UdpTrackerTest, RepeatsAfterFifteenSecondsAndTwiceAsLongEachTime) {
  announce();
  const auto first = sent();
  base::Duration expected = 15s;
  for (int n = 0; n < kUdpRepeatsMax; ++n, expected *= 2) {
    EXPECT_EQ(wait(), expected);
    EXPECT_EQ(sent().bytes, first.bytes) << "the same question";
    EXPECT_EQ(tracker_.repeats(), n + 1);
  }
  EXPECT_EQ(wait(), 3840s);
  EXPECT_TRUE(tracker_.take_datagrams().empty());
  const auto result = tracker_.take_result();
  ASSERT_TRUE(result);
  EXPECT_TRUE(std::holds_alternative<wire::Failure>(*result));
  EXPECT_FALSE(tracker_.next_deadline());
}

TEST_F(UdpTrackerTest, BeginsAnewWithFifteenSecondsOnceSomethingWasHeard) {
  announce();
  const auto hello = sent();
  wait();
  wait();
  EXPECT_EQ(tracker_.take_datagrams().size(), 2u);
  connect(hello);
  EXPECT_EQ(tracker_.repeats(), 0);
  EXPECT_EQ(wait(), 15s);
}

TEST_F(UdpTrackerTest, TakesALateAnswerToARepeatedQuestion) {
  announce();
  connect(sent());
  const auto first = sent();
  wait();
  EXPECT_EQ(sent().bytes, first.bytes);
  answer(announced(transaction(first)));
  EXPECT_TRUE(has_answer());
}

TEST_F(UdpTrackerTest, ConnectsAgainWhenItsConnectionIsAMinuteOld) {
  announce();
  connect(sent());
  EXPECT_FALSE(is_connect(sent()));
  EXPECT_EQ(wait(), 15s);
  EXPECT_FALSE(is_connect(sent())) << "15 s";
  EXPECT_EQ(wait(), 30s);
  EXPECT_FALSE(is_connect(sent())) << "45 s";
  EXPECT_EQ(wait(), 60s);
  const auto hello = sent();
  EXPECT_TRUE(is_connect(hello)) << "105 s";
  connect(hello, 7);
  EXPECT_EQ(connection(sent()), 7u);
}

TEST_F(UdpTrackerTest, UsesAConnectionForTheNextAnnounceWithinAMinute) {
  announce();
  connect(sent());
  answer(announced(transaction(sent())));
  now_ += 59s;
  announce();
  const auto second = sent();
  EXPECT_FALSE(is_connect(second));
  answer(announced(transaction(second)));
  now_ += 1s;
  announce();
  EXPECT_TRUE(is_connect(sent()));
}

TEST_F(UdpTrackerTest, BelievesOnlyTheAddressItAsked) {
  announce();
  const auto hello = sent();
  for (const char* from : {"10.0.0.1:6970", "10.0.0.2:6969", "0.0.0.0:0"}) {
    answer(wire::UdpConnected{.transaction = transaction(hello), .connection = kId}, endpoint(from));
    answer(wire::UdpFailed{.transaction = transaction(hello), .reason = "no"}, endpoint(from));
  }
  EXPECT_TRUE(tracker_.take_datagrams().empty());
  EXPECT_FALSE(tracker_.take_result());
}

TEST_F(UdpTrackerTest, BelievesOnlyTheTransactionUnderWayAndAnswersThatFit) {
  announce();
  const auto hello = sent();
  answer(wire::UdpConnected{.transaction = transaction(hello) + 1, .connection = kId});
  answer(announced(transaction(hello)));
  answer(wire::UdpScraped{.transaction = transaction(hello), .entries = {}});
  answer(wire::UdpFailed{.transaction = transaction(hello) + 1, .reason = "no"});
  EXPECT_TRUE(tracker_.take_datagrams().empty());
  connect(hello);
  const auto request = sent();
  connect(hello, 99);  // once more
  answer(wire::UdpConnected{.transaction = transaction(request), .connection = 99});
  answer(announced(transaction(request) + 1));
  answer(announced(transaction(hello)));
  EXPECT_TRUE(tracker_.take_datagrams().empty());
  EXPECT_FALSE(tracker_.take_result());
  answer(announced(transaction(request)));
  EXPECT_TRUE(has_answer());
  answer(announced(transaction(request)));
  EXPECT_FALSE(tracker_.take_result());
}

TEST_F(UdpTrackerTest, GivesUpItsConnectionWhenTheTrackerRefuses) {
  announce();
  connect(sent());
  answer(wire::UdpFailed{.transaction = transaction(sent()), .reason = "connection id is old"});
  const auto result = tracker_.take_result();
  ASSERT_TRUE(result);
  EXPECT_EQ(std::get<wire::Failure>(*result).reason, "connection id is old");
  announce();
  EXPECT_TRUE(is_connect(sent()));
}

TEST_F(UdpTrackerTest, TriesTheAddressesOfANameInTurn) {
  announce({kTracker, kOther});
  const auto first = sent();
  EXPECT_EQ(first.to, kTracker);
  EXPECT_EQ(wait(), 15s);
  const auto second = sent();
  EXPECT_EQ(second.to, kOther);
  EXPECT_NE(transaction(second), transaction(first));
  connect(first);  // too late, and not who is asked
  EXPECT_TRUE(tracker_.take_datagrams().empty());
  connect(second);
  const auto request = sent();
  EXPECT_EQ(request.to, kOther);
  answer(announced(transaction(request)), kOther);
  EXPECT_TRUE(has_answer());
  announce({kTracker, kOther});
  const auto next = sent();
  EXPECT_EQ(next.to, kOther) << "the one that answered";
  EXPECT_FALSE(is_connect(next));
}

TEST_F(UdpTrackerTest, UsesAConnectionAtItsOwnAddressOnly) {
  announce({kTracker, kOther});
  connect(sent());
  EXPECT_FALSE(is_connect(sent()));
  wait();
  const auto elsewhere = sent();
  EXPECT_EQ(elsewhere.to, kOther);
  EXPECT_TRUE(is_connect(elsewhere));
}

TEST_F(UdpTrackerTest, DrawsTransactionsThatCannotBeGuessed) {
  std::set<std::uint32_t> transactions;
  for (int i = 0; i < 100; ++i) {
    announce();
    transactions.insert(transaction(sent()));
  }
  EXPECT_EQ(transactions.size(), 100u);
}

TEST_F(UdpTrackerTest, IsSilentOnceCancelled) {
  announce();
  const auto hello = sent();
  tracker_.cancel();
  connect(hello);
  tracker_.on_deadline(now_ + 1h);
  EXPECT_TRUE(tracker_.take_datagrams().empty());
  EXPECT_FALSE(tracker_.next_deadline());
}

}  // namespace
}  // namespace shoal::swarm
