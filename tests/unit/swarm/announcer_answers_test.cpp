// What an announcer takes from the answers of trackers, and what it does not.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "swarm/announcer.hpp"
#include "tests/unit/swarm/announcer_world.hpp"

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

class AnnouncerAnswersTest : public ::testing::Test, protected AnnouncerWorld {};

TEST_F(AnnouncerAnswersTest, TakesPeersOverHttpAndUdp) {
  start({{"http://a/"}, {"udp://10.0.0.1:1"}});
  answer("http://a/", {.interval_s = 60, .peers = {{endpoint("10.0.0.7:1"), {}}, {endpoint("10.0.0.8:2"), {}}}});
  EXPECT_EQ(announcer_->take_peers(), (std::vector{endpoint("10.0.0.7:1"), endpoint("10.0.0.8:2")}));
  answer_udp(endpoint("10.0.0.1:1"), {.interval_s = 60, .peers = {{endpoint("10.0.0.9:3"), {}}}});
  EXPECT_EQ(announcer_->take_peers(), std::vector{endpoint("10.0.0.9:3")});
  EXPECT_TRUE(announcer_->take_peers().empty());
}

TEST_F(AnnouncerAnswersTest, CutsOffThousandsOfPeers) {
  wire::AnnounceReply reply{.interval_s = 60};
  for (std::uint32_t n = 1; n <= 10'000; ++n) reply.peers.push_back({{base::Ipv4Address{0x0a000000 + n}, 1}, {}});
  start({{"http://a/"}, {"http://b/"}, {"http://c/"}});
  answer("http://a/", reply);
  EXPECT_EQ(announcer_->take_peers().size(), wire::kAnnouncePeersMax);
  pass(kIntervalMin * 4);
  answer("http://a/", reply);
  answer("http://b/", reply);
  answer("http://c/", reply);
  EXPECT_EQ(announcer_->take_peers().size(), kPeersUntakenMax);
}

TEST_F(AnnouncerAnswersTest, TakesPeersOnLoopbackOnlyFromATrackerOnThisHost) {
  const wire::AnnounceReply reply{.interval_s = 60,
                                  .peers = {{endpoint("127.0.0.1:1"), {}}, {endpoint("10.0.0.8:2"), {}}}};
  start({{"http://a/"}, {"http://127.0.0.1:8000/announce"}, {"udp://127.0.0.2:1"}});
  answer("http://a/", reply);
  EXPECT_EQ(announcer_->take_peers(), std::vector{endpoint("10.0.0.8:2")});
  answer("http://127.0.0.1:8000/announce", reply);
  EXPECT_EQ(announcer_->take_peers(), (std::vector{endpoint("127.0.0.1:1"), endpoint("10.0.0.8:2")}));
  answer_udp(endpoint("127.0.0.2:1"), reply);
  EXPECT_EQ(announcer_->take_peers(), (std::vector{endpoint("127.0.0.1:1"), endpoint("10.0.0.8:2")}));
}

TEST_F(AnnouncerAnswersTest, SendsTheTrackerIdBack) {
  start({{"http://a/"}});
  answer("http://a/", {.interval_s = 60, .tracker_id = "abc"});
  pass(60s);
  EXPECT_EQ(last_request("http://a/").tracker_id, "abc");
  answer("http://a/", {.interval_s = 60});
  pass(60s);
  EXPECT_EQ(last_request("http://a/").tracker_id, "abc") << "until there is another";
  answer("http://a/", {.interval_s = 60, .tracker_id = std::string(kTrackerIdBytesMax + 1, 'x')});
  pass(60s);
  EXPECT_EQ(last_request("http://a/").tracker_id, "abc");
}

TEST_F(AnnouncerAnswersTest, AsksForPeersNoSoonerThanHalfAnIntervalWhereNoMinimumIsTold) {
  start({{"http://a/"}, {"udp://10.0.0.1:1"}});
  answer("http://a/", {.interval_s = 1800});
  answer_udp(endpoint("10.0.0.1:1"), {.interval_s = 100});
  datagrams_.clear();
  announcer_->announce_soon(AnnounceReason::peers_needed, now_);
  pass(59s);
  EXPECT_TRUE(datagrams_.empty());
  pass(1s);
  EXPECT_FALSE(datagrams_.empty()) << "a minute at least, and not the whole interval";
  pass(839s);
  EXPECT_TRUE(asked().empty());
  pass(1s);
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(AnnouncerAnswersTest, TellsChangedPiecesOnlyToTrackersThatWantToHearOften) {
  start({{"http://eager/"}, {"http://slow/"}, {"http://silent/"}, {"udp://10.0.0.1:1"}});
  answer("http://eager/", {.interval_s = 120, .min_interval_s = 15});
  answer("http://slow/", {.interval_s = 1800, .min_interval_s = 60});
  answer("http://silent/", {.interval_s = 120});
  answer_udp(endpoint("10.0.0.1:1"), {.interval_s = 120});
  datagrams_.clear();
  for (int i = 0; i < 11; ++i) {
    announcer_->announce_soon(AnnounceReason::pieces_changed, now_);
    carry_out();
    pass(10s);
  }
  EXPECT_EQ(asked(), std::set<std::string>{"http://eager/"});
  EXPECT_TRUE(datagrams_.empty());
}

TEST_F(AnnouncerAnswersTest, TellsAWarningOnceAndNothingThatHarmsATerminal) {
  start({{"http://a/"}});
  answer("http://a/", {.interval_s = 60, .warning = "over\x1b[31m quota"});
  EXPECT_EQ(notes_, std::vector<std::string>{"tracker http://a/ warns: over?[31m quota"});
  pass(60s);
  answer("http://a/", {.interval_s = 60, .warning = "over\x1b[31m quota"});
  EXPECT_EQ(notes_.size(), 1u);
  EXPECT_TRUE(announcer_->trackers()[0].is_working);
}

TEST_F(AnnouncerAnswersTest, TellsWhyATrackerFailsOnceForEachReason) {
  start({{"http://a/"}});
  refuse("http://a/", "not registered");
  EXPECT_EQ(announcer_->trackers()[0].trouble, "not registered");
  pass(20s);
  refuse("http://a/", "not registered");
  EXPECT_EQ(traces_, std::vector<std::string>{"failed http://a/: not registered"});
  pass(20s);
  respond("http://a/", 200, "<html>sign in</html>");
  pass(60s);
  answer("http://a/");
  EXPECT_EQ(traces_.back(), "chosen http://a/: answered");
  EXPECT_EQ(traces_.size(), 3u);
}

TEST_F(AnnouncerAnswersTest, TellsHowManyThereAre) {
  start({{"http://a/"}});
  answer("http://a/", {.interval_s = 60, .seeds = 5, .leechers = 7});
  const auto status = announcer_->trackers();
  ASSERT_EQ(status.size(), 1u);
  EXPECT_EQ(status[0].url, "http://a/");
  EXPECT_TRUE(status[0].is_working);
  EXPECT_EQ(status[0].seeds, 5u);
  EXPECT_EQ(status[0].leechers, 7u);
}

TEST_F(AnnouncerAnswersTest, ResolvesTheNameOfAUdpTrackerAndTriesItsAddressesInTurn) {
  start({{"udp://tracker.example:1"}});
  EXPECT_TRUE(datagrams_.empty());
  resolve({{0x0a000001}, {0x0a000002}});
  ASSERT_EQ(datagrams_.size(), 1u);
  EXPECT_EQ(datagrams_[0].to, endpoint("10.0.0.1:1"));
  pass(kUdpFirstWait);
  ASSERT_EQ(datagrams_.size(), 2u);
  EXPECT_EQ(datagrams_[1].to, endpoint("10.0.0.2:1"));
  answer_udp(endpoint("10.0.0.2:1"), {.interval_s = 60});
  EXPECT_TRUE(announcer_->trackers()[0].is_working);
}

TEST_F(AnnouncerAnswersTest, SurvivesDatagramsThatMakeNoSense) {
  start({{"udp://10.0.0.1:1"}});
  base::Rng rng(1);
  for (int i = 0; i < 1000; ++i) {
    base::Bytes bytes(rng.below(60));
    for (std::byte& each : bytes) each = static_cast<std::byte>(rng.below(4));
    EXPECT_TRUE(hear(seam::DatagramArrived{
        .socket = seam::kAnnouncerSocket, .from = endpoint("10.0.0.1:1"), .local = {}, .bytes = bytes}));
  }
  answer_udp(endpoint("10.0.0.1:1"), {.interval_s = 60});
  EXPECT_TRUE(announcer_->trackers()[0].is_working);
}

}  // namespace
}  // namespace shoal::swarm
