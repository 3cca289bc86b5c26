#include "swarm/announcer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/swarm/announcer_world.hpp"

namespace shoal::swarm {
namespace {

using Tiers = std::vector<std::vector<std::string>>;
using wire::AnnounceEvent;
using namespace std::chrono_literals;

constexpr auto kStarted = AnnounceEvent::started;
constexpr auto kCompleted = AnnounceEvent::completed;
constexpr auto kStopped = AnnounceEvent::stopped;
constexpr auto kNone = AnnounceEvent::none;

class AnnouncerTest : public ::testing::Test, protected AnnouncerWorld {
 protected:
  // Of a tier of two, the one that is asked first, and the other.
  std::pair<std::string, std::string> first_and_second() {
    EXPECT_EQ(asked().size(), 1u);
    return asked() == std::set<std::string>{"http://a/"} ? std::pair("http://a/", "http://b/")
                                                         : std::pair("http://b/", "http://a/");
  }
};

TEST_F(AnnouncerTest, TellsWhoWeAreAndWhatWeHave) {
  start({{"http://a/announce"}}, {.uploaded = 1, .downloaded = 2, .left = 3, .held = "0-4,7"});
  const wire::AnnounceRequest request = last_request("http://a/announce");
  EXPECT_EQ(request.info_hash, options_.info_hash);
  EXPECT_EQ(request.peer_id, options_.peer_id);
  EXPECT_EQ(request.port, 6881);
  EXPECT_EQ(request.key, 77u);
  EXPECT_EQ(request.uploaded, 1u);
  EXPECT_EQ(request.downloaded, 2u);
  EXPECT_EQ(request.left, 3u);
  EXPECT_EQ(request.held, "0-4,7");
  EXPECT_EQ(request.event, kStarted);
  EXPECT_EQ(request.peers_wanted, kPeersWanted);
}

TEST_F(AnnouncerTest, TellsNoNumberThatATrackerCannotReadBeforeTheMetadataCame) {
  start({{"http://a/"}}, {.left = wire::kLeftUnknown});
  EXPECT_EQ(last_request("http://a/").left, 0x7fffffffffffffffu);
}

TEST_F(AnnouncerTest, TellsAsManyRangesAsFitIntoAUrl) {
  std::string held;
  for (int piece = 0; piece < 4000; piece += 2) held += (piece == 0 ? "" : ",") + std::to_string(piece);
  start({{"http://a/"}}, {.left = 1, .held = held});
  const std::string told = last_request("http://a/").held;
  EXPECT_LE(told.size(), kHeldTextBytesMax);
  EXPECT_GE(told.size(), kHeldTextBytesMax - 10);
  EXPECT_TRUE(held.starts_with(told + ","));
}

TEST_F(AnnouncerTest, AnnouncesToAllTiersSideBySideAndToOneOfEach) {
  start({{"http://a/", "http://b/"}, {"http://c/"}, {"udp://10.0.0.1:1/x"}});
  EXPECT_EQ(asked().size(), 2u);
  EXPECT_TRUE(asked().contains("http://c/"));
  EXPECT_EQ(datagrams_.size(), 1u);
}

TEST_F(AnnouncerTest, DrawsTheOrderOfATier) {
  std::set<std::string> first;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    AnnouncerWorld world;
    world.start({{"http://a/", "http://b/", "http://c/"}}, {.left = 1}, seed);
    first.insert(*world.asked().begin());
  }
  EXPECT_EQ(first.size(), 3u);
}

TEST_F(AnnouncerTest, AsksTheNextOfATierAtOnceWhenOneFails) {
  start({{"http://a/", "http://b/"}});
  const auto [first, second] = first_and_second();
  fail(first);
  EXPECT_EQ(asked(), std::set<std::string>{second});
  EXPECT_EQ(last_request(second).event, kStarted);
}

TEST_F(AnnouncerTest, KeepsToTheTrackerOfATierThatAnswered) {
  start({{"http://a/", "http://b/"}});
  const auto [first, second] = first_and_second();
  fail(first);
  answer(second, {.interval_s = 600});
  pass(599s);
  EXPECT_TRUE(asked().empty());
  pass(1s);
  EXPECT_EQ(asked(), std::set<std::string>{second}) << "it is in front now";
  EXPECT_EQ(last_request(second).event, kNone);
}

TEST_F(AnnouncerTest, AsksTheNextOfATierWhenOneIsSilent) {
  start({{"udp://10.0.0.1:1", "udp://10.0.0.2:1"}});
  EXPECT_EQ(datagrams_.size(), 1u);
  const base::Endpoint first = datagrams_[0].to;
  pass(kSlowTracker - 1ms);
  EXPECT_EQ(datagrams_.size(), 1u);
  pass(1ms);
  std::set<base::Endpoint> asked_now;
  for (const auto& datagram : datagrams_) asked_now.insert(datagram.to);
  EXPECT_EQ(asked_now.size(), 2u);
  const base::Endpoint second = first.address.value == 0x0a000001 ? endpoint("10.0.0.2:1") : endpoint("10.0.0.1:1");
  answer_udp(second, {.interval_s = 600});
  datagrams_.clear();
  pass(500s);
  EXPECT_TRUE(datagrams_.empty()) << "the silent one is left alone";
}

TEST_F(AnnouncerTest, TriesAgainAfterPausesThatDouble) {
  start({{"http://a/"}});
  base::Duration expected = kRetryFirst;
  for (int failure = 0; failure < 15; ++failure) {
    fail("http://a/");
    pass(expected - 1ms);
    EXPECT_TRUE(asked().empty()) << failure;
    pass(expected / 4 + 2ms);
    EXPECT_EQ(asked().size(), 1u) << failure;
    expected = std::min<base::Duration>(expected * 2, kRetryMax);
  }
  answer("http://a/", {.interval_s = 600});
  pass(600s);
  fail("http://a/");
  pass(kRetryFirst * 5 / 4);
  EXPECT_EQ(asked().size(), 1u) << "an answer makes up for all failures";
}

TEST_F(AnnouncerTest, GoesRoundATierWhoseTrackersAllFail) {
  start({{"http://a/", "http://b/"}});
  const auto [first, second] = first_and_second();
  fail(first);
  fail(second);
  EXPECT_TRUE(asked().empty());
  pass(kRetryFirst * 5 / 4);
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(AnnouncerTest, KeepsTheIntervalWithinBounds) {
  const auto waits = [](std::uint32_t interval_s, std::uint32_t min_interval_s) {
    AnnouncerWorld world;
    world.start({{"http://a/"}}, {.left = 1});
    world.answer("http://a/", {.interval_s = interval_s, .min_interval_s = min_interval_s});
    return world.announcer_->next_deadline().value() - world.now_;
  };
  EXPECT_EQ(waits(1000, 0), 1000s);
  EXPECT_EQ(waits(1, 0), std::max(kIntervalMin, kMinIntervalDefault));
  EXPECT_EQ(waits(1, 1), kIntervalMin);
  EXPECT_EQ(waits(0, 0), kIntervalDefault);
  EXPECT_EQ(waits(~0u, 0), kIntervalMax);
  EXPECT_EQ(waits(100, 200), 200s);
  EXPECT_EQ(waits(100, ~0u), kIntervalMax);
}

TEST_F(AnnouncerTest, AnnouncesSoonerWhenPeersAreNeededButKeepsTheMinInterval) {
  start({{"http://a/"}});
  announcer_->announce_soon(AnnounceReason::peers_needed, now_);
  carry_out();
  answer("http://a/", {.interval_s = 1800, .min_interval_s = 120});
  announcer_->announce_soon(AnnounceReason::peers_needed, now_);
  carry_out();
  EXPECT_TRUE(asked().empty());
  pass(119s);
  EXPECT_TRUE(asked().empty());
  pass(1s);
  EXPECT_EQ(asked().size(), 1u);
  answer("http://a/", {.interval_s = 1800, .min_interval_s = 120});
  pass(200s);
  EXPECT_TRUE(asked().empty());
  announcer_->announce_soon(AnnounceReason::peers_needed, now_);
  carry_out();
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(AnnouncerTest, LeavesFailedTrackersTheirPauseWhenPeersAreNeeded) {
  start({{"http://a/"}});
  fail("http://a/");
  for (int i = 0; i < 100; ++i) announcer_->announce_soon(AnnounceReason::peers_needed, now_);
  carry_out();
  EXPECT_TRUE(asked().empty());
}

TEST_F(AnnouncerTest, SaysStartedUntilItWasHeard) {
  start({{"http://a/"}});
  fail("http://a/");
  pass(10s);
  EXPECT_EQ(last_request("http://a/").event, kStarted);
  answer("http://a/");
  pass(kIntervalMax);
  EXPECT_EQ(last_request("http://a/").event, kNone);
}

TEST_F(AnnouncerTest, SaysCompletedOnce) {
  start({{"http://a/"}, {"http://b/"}});
  answer("http://a/", {.interval_s = 600});
  complete();
  EXPECT_EQ(last_request("http://a/").event, kCompleted);
  EXPECT_EQ(last_request("http://a/").left, 0u);
  complete();
  answer("http://a/", {.interval_s = 600});
  EXPECT_FALSE(asked().contains("http://a/"));
  pass(600s);
  EXPECT_EQ(last_request("http://a/").event, kNone);
}

TEST_F(AnnouncerTest, SaysCompletedOnceTheAnswerUnderWayIsThere) {
  start({{"http://a/"}});
  complete();
  EXPECT_EQ(last_request("http://a/").event, kStarted);
  answer("http://a/");
  EXPECT_EQ(last_request("http://a/").event, kCompleted);
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(AnnouncerTest, SaysCompletedAgainWhenItWasNotHeard) {
  start({{"http://a/"}});
  answer("http://a/");
  complete();
  fail("http://a/");
  pass(10s);
  EXPECT_EQ(last_request("http://a/").event, kCompleted);
}

TEST_F(AnnouncerTest, NeverSaysCompletedToThoseWhoHeardStartedFromASeed) {
  start({{"http://a/"}}, {.left = 0});
  complete();
  answer("http://a/", {.interval_s = 60});
  EXPECT_TRUE(asked().empty());
  pass(60s);
  EXPECT_EQ(last_request("http://a/").event, kNone);

  AnnouncerWorld later;
  later.start({{"http://a/"}}, {.left = 1});
  later.fail("http://a/");
  later.complete();
  later.pass(10s);
  EXPECT_EQ(later.last_request("http://a/").event, kStarted);
  later.answer("http://a/");
  EXPECT_TRUE(later.asked().empty());
}

TEST_F(AnnouncerTest, SaysStoppedToThoseThatHeardStarted) {
  start({{"http://a/"}, {"http://b/"}, {"http://c/"}});
  answer("http://a/");
  fail("http://b/");
  stop();
  EXPECT_FALSE(announcer_->is_stopped());
  EXPECT_EQ(asked(), (std::set<std::string>{"http://a/", "http://c/"})) << "c may have heard it";
  EXPECT_EQ(last_request("http://a/").event, kStopped);
  EXPECT_EQ(last_request("http://c/").event, kStopped);
  EXPECT_EQ(last_request("http://a/").peers_wanted, 0u);
  answer("http://a/");
  EXPECT_FALSE(announcer_->is_stopped());
  fail("http://c/");
  EXPECT_TRUE(announcer_->is_stopped());
  EXPECT_FALSE(announcer_->next_deadline());
  pass(24h);
  EXPECT_TRUE(asked().empty());
}

TEST_F(AnnouncerTest, StopsWithinItsPatience) {
  start({{"http://a/"}, {"udp://10.0.0.1:1"}});
  answer("http://a/");
  answer_udp(endpoint("10.0.0.1:1"), {});
  stop();
  pass(kStopPatience - 1ms);
  EXPECT_FALSE(announcer_->is_stopped());
  pass(1ms);
  EXPECT_TRUE(announcer_->is_stopped());
  EXPECT_TRUE(asked().empty()) << "cancelled";
  EXPECT_FALSE(is_socket_open_);
  EXPECT_FALSE(announcer_->next_deadline());
}

// A `get` stops in the moment in which it is complete.
TEST_F(AnnouncerTest, SaysCompletedBeforeStopped) {
  start({{"http://a/"}});
  answer("http://a/");
  complete();
  stop();
  EXPECT_EQ(last_request("http://a/").event, kCompleted);
  answer("http://a/");
  EXPECT_EQ(last_request("http://a/").event, kStopped);
  EXPECT_FALSE(announcer_->is_stopped());
  answer("http://a/");
  EXPECT_TRUE(announcer_->is_stopped());
}

TEST_F(AnnouncerTest, SaysCompletedAtTheEndAfterWhatItWasSayingWhenItCompleted) {
  start({{"http://a/"}, {"http://b/"}});
  answer("http://b/", {.interval_s = 60});
  pass(60s);
  EXPECT_EQ(last_request("http://a/").event, kStarted);
  EXPECT_EQ(last_request("http://b/").event, kNone);
  complete();
  stop();
  for (const std::string tracker : {"http://a/", "http://b/"}) {
    EXPECT_NE(last_request(tracker).event, kStopped);
    answer(tracker);
    EXPECT_EQ(last_request(tracker).event, kCompleted);
    fail(tracker);
    EXPECT_EQ(last_request(tracker).event, kStopped) << "it may have been heard";
    answer(tracker);
  }
  EXPECT_TRUE(announcer_->is_stopped());
}

TEST_F(AnnouncerTest, SaysStoppedToATrackerThatDoesNotAnswerToCompleted) {
  start({{"http://a/"}});
  answer("http://a/");
  complete();
  stop();
  pass(kCompletedPatience);
  EXPECT_EQ(last_request("http://a/").event, kStopped);
  EXPECT_FALSE(announcer_->is_stopped());
  pass(kStopPatience - kCompletedPatience);
  EXPECT_TRUE(announcer_->is_stopped());
  EXPECT_TRUE(asked().empty());
}

TEST_F(AnnouncerTest, StopsAtOnceWhenNobodyHeardOfUs) {
  start({{"http://a/"}, {"udp://tracker.example:1"}});
  fail("http://a/");
  stop();
  EXPECT_TRUE(announcer_->is_stopped());

  AnnouncerWorld never;
  never.make({{"http://a/"}});
  never.stop();
  EXPECT_TRUE(never.announcer_->is_stopped());
  never.announcer_->add_tracker("http://b/", never.now_);
  never.announcer_->on_completed(never.now_);
  never.announcer_->announce_soon(AnnounceReason::peers_needed, never.now_);
  never.carry_out();
  EXPECT_TRUE(never.asked().empty());
}

TEST_F(AnnouncerTest, SaysStoppedOverUdpWithTheConnectionItHas) {
  start({{"udp://10.0.0.1:1"}});
  answer_udp(endpoint("10.0.0.1:1"), {});
  pass(30s);
  datagrams_.clear();
  stop();
  ASSERT_EQ(datagrams_.size(), 1u);
  const auto request = wire::parse_udp_request(datagrams_[0].bytes);
  ASSERT_TRUE(request && std::holds_alternative<wire::UdpAnnounce>(*request));
  EXPECT_EQ(std::get<wire::UdpAnnounce>(*request).request.event, kStopped);
  answer_udp(endpoint("10.0.0.1:1"), {});
  EXPECT_TRUE(announcer_->is_stopped());
  EXPECT_FALSE(is_socket_open_);
}

TEST_F(AnnouncerTest, OpensItsSocketOnlyForUdp) {
  start({{"http://a/"}});
  EXPECT_FALSE(is_socket_open_);
  announcer_->add_tracker("udp://10.0.0.1:1", now_);
  carry_out();
  EXPECT_TRUE(is_socket_open_);
}

TEST_F(AnnouncerTest, IsAloneWhenNoTrackerAnswers) {
  start({{"http://a/"}, {"udp://10.0.0.1:1"}});
  EXPECT_FALSE(announcer_->is_alone()) << "nobody has had the time to answer";
  fail("http://a/");
  EXPECT_FALSE(announcer_->is_alone());
  pass(kUdpFirstWait);
  fail("http://a/");
  EXPECT_TRUE(announcer_->is_alone());
  answer_udp(endpoint("10.0.0.1:1"), {.interval_s = 1800});
  EXPECT_FALSE(announcer_->is_alone());

  AnnouncerWorld without;
  without.start({});
  EXPECT_TRUE(without.announcer_->is_alone());
}

TEST_F(AnnouncerTest, IsAloneAgainWhenTheTrackerDies) {
  start({{"http://a/"}});
  answer("http://a/", {.interval_s = 60});
  pass(60s);
  fail("http://a/");
  EXPECT_TRUE(announcer_->is_alone());
}

TEST_F(AnnouncerTest, AnnouncesToATrackerFoundOnTheWay) {
  start({{"http://a/"}});
  announcer_->add_tracker("http://b/", now_);
  announcer_->add_tracker("http://b/", now_);
  announcer_->add_tracker("nonsense", now_);
  carry_out();
  EXPECT_EQ(asked(), (std::set<std::string>{"http://a/", "http://b/"}));
  EXPECT_EQ(announcer_->trackers().size(), 2u);
}

TEST_F(AnnouncerTest, LeavesOutWhatCannotBeAskedAndWhatIsThereTwice) {
  start({{"ftp://a/", "http://a/"}, {"http://a/", "udp://x"}, {}, {"wss://b/"}});
  EXPECT_EQ(announcer_->trackers().size(), 1u);
  EXPECT_EQ(asked(), std::set<std::string>{"http://a/"});
  EXPECT_EQ(notes_.size(), 3u);
}

TEST_F(AnnouncerTest, HasALimitedNumberOfTrackers) {
  Tiers tiers;
  for (int n = 0; n < 1000; ++n) tiers.push_back({"http://" + std::to_string(n) + "/"});
  start(tiers);
  EXPECT_EQ(asked().size(), kTrackersMax);
}

TEST_F(AnnouncerTest, AsksAnotherWhenAnAddressIsNoneAtAll) {
  start({{"udp://0.0.0.0:1"}, {"udp://255.255.255.255:1", "udp://224.0.0.1:1"}});
  EXPECT_TRUE(datagrams_.empty());
  EXPECT_TRUE(announcer_->is_alone());
  pass(1h);
  EXPECT_TRUE(datagrams_.empty());
}

TEST_F(AnnouncerTest, TakesEveryOtherIdAndLeavesTheEventsOfOthersAlone) {
  options_.first_fetch = 11;
  start({{"http://a/"}, {"http://b/"}, {"udp://tracker.example:1"}});
  EXPECT_EQ(fetch_ids(), (std::set<std::uint64_t>{11, 13}));
  EXPECT_FALSE(hear(seam::Fetched{.fetch = seam::FetchId(12), .status = 200}));
  EXPECT_FALSE(hear(seam::Fetched{.fetch = seam::FetchId(15), .status = 200}));
  EXPECT_FALSE(hear(seam::FetchFailed{.fetch = seam::FetchId(9), .reason = ""}));
  EXPECT_FALSE(hear(seam::NameResolved{.resolve = seam::ResolveId(13), .addresses = {}}));
  EXPECT_FALSE(hear(seam::DatagramArrived{.socket = seam::SocketId(2), .bytes = {}}));
  EXPECT_FALSE(hear(seam::StopRequested{}));
  EXPECT_TRUE(hear(seam::NameResolved{.resolve = seam::ResolveId(11), .addresses = {}}));
  fail("http://a/");
  EXPECT_TRUE(hear(seam::FetchFailed{.fetch = seam::FetchId(11), .reason = "late"}));
}

// Trackers of all kinds come and go for a day: promises hold, and nobody is asked more often than is fair.
TEST(Announcer, KeepsItsPromisesAmongTrackersOfAllKinds) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    base::Rng rng(seed);
    Tiers tiers(1 + rng.below(4));
    for (auto& tier : tiers) {
      for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) {
        const std::string host = "10.0." + std::to_string(&tier - tiers.data()) + "." + std::to_string(n);
        tier.push_back(rng.chance(0.5) ? "http://" + host + "/announce" : "udp://" + host + ":1/announce");
      }
    }
    AnnouncerWorld world;
    world.start(tiers, {.left = 1}, seed);
    const base::Instant end = world.now_ + 24h;
    const base::Instant completes = world.now_ + std::chrono::minutes(rng.below(2000));
    bool is_completed = false;
    while (world.now_ < end && world.announcer_->next_deadline()) {
      world.answer_at_random(rng);
      if (rng.chance(0.01)) world.announcer_->announce_soon(AnnounceReason::peers_needed, world.now_);
      if (!std::exchange(is_completed, is_completed || world.now_ >= completes) && is_completed) world.complete();
      world.pass(std::max<base::Duration>(
          1ms, std::min<base::Duration>(10s, *world.announcer_->next_deadline() - world.now_)));
    }
    world.check_events();
    world.stop();
    world.pass(kStopPatience);
    EXPECT_TRUE(world.announcer_->is_stopped());
    EXPECT_FALSE(world.is_socket_open_);
    EXPECT_TRUE(world.asked().empty());
  }
}

}  // namespace
}  // namespace shoal::swarm
