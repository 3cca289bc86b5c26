#include "discovery/finder.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "support/texts.hpp"

namespace shoal::discovery {
namespace {

using testing::address;
using testing::endpoint;
using namespace std::chrono_literals;
using base::Bytes;
using base::Endpoint;
using base::Instant;

Bytes tracker_info(std::string_view tracker, std::string_view name = "tracker") {
  return course::encode_tracker_info({endpoint(tracker), std::string(name)});
}
Bytes first_bytes(const Bytes& bytes, std::size_t count) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)};
}
Bytes from_byte(const Bytes& bytes, std::size_t offset) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(offset), bytes.end()};
}

class FinderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    finder_.start(now_);
    take();
  }
  void take() {
    for (const seam::Action& action : finder_.take_actions()) {
      if (const auto* open = std::get_if<seam::OpenDatagram>(&action)) opened_.push_back(*open);
      if (const auto* send = std::get_if<seam::SendDatagram>(&action)) sent_.push_back(*send);
      if (std::holds_alternative<seam::CloseDatagram>(action)) ++closed_;
    }
  }
  void answer(std::string_view from, Bytes bytes) {
    finder_.on_datagram({seam::SocketId(1), endpoint(from), address("10.0.0.5"), std::move(bytes)}, now_);
    take();
  }
  void pass(base::Duration duration) {
    const Instant end = now_ + duration;
    while (finder_.next_deadline() && *finder_.next_deadline() <= end) {
      now_ = std::max(now_, *finder_.next_deadline());
      finder_.on_deadline(now_);
      take();
    }
    now_ = end;
  }
  // The endpoint of the next tracker, "" when there is none.
  std::string next() {
    const auto found = finder_.take_next();
    return found ? found->tracker.to_string() : "";
  }

  Finder finder_{{.interfaces = {{address("10.0.0.5"), address("10.0.0.255")}, {address("127.0.0.1"), std::nullopt}},
                  .port = 9100,
                  .timeout = 3s}};
  Instant now_{};
  std::vector<seam::OpenDatagram> opened_;
  std::vector<seam::SendDatagram> sent_;
  int closed_ = 0;
};

TEST_F(FinderTest, BroadcastsFromEveryAddressToEveryBroadcastAddress) {
  ASSERT_EQ(opened_.size(), 2u);
  EXPECT_EQ(opened_[0].local, address("10.0.0.5"));
  EXPECT_EQ(opened_[1].local, address("127.0.0.1"));
  EXPECT_NE(opened_[0].socket, opened_[1].socket);
  ASSERT_EQ(sent_.size(), 3u);
  EXPECT_EQ(sent_[0].to, endpoint("255.255.255.255:9100"));
  EXPECT_EQ(sent_[1].to, endpoint("10.0.0.255:9100"));
  EXPECT_EQ(sent_[2].to, endpoint("255.255.255.255:9100"));
  EXPECT_EQ(sent_[2].socket, opened_[1].socket);
  const Bytes exact = base::ByteWriter().u32(0x01000000).u32(2).take();
  for (const auto& send : sent_) EXPECT_EQ(send.bytes, exact);
}

TEST_F(FinderTest, RepeatsAFewTimesCloselyAndThenOnceASecond) {
  pass(900ms);
  EXPECT_EQ(sent_.size(), 4u * 3u);
  pass(950ms);
  EXPECT_EQ(sent_.size(), 4u * 3u);
  pass(100ms);
  EXPECT_EQ(sent_.size(), 5u * 3u);
  pass(1s);
  EXPECT_EQ(sent_.size(), 6u * 3u);
}

TEST_F(FinderTest, EndsAtItsDeadlineWithNothingOpen) {
  pass(2950ms);
  EXPECT_FALSE(finder_.is_over());
  pass(100ms);
  EXPECT_TRUE(finder_.is_over());
  EXPECT_EQ(closed_, 2);
  EXPECT_EQ(next(), "");
  EXPECT_FALSE(finder_.next_deadline());
}

TEST_F(FinderTest, GivesTheFirstToAnswerAfterAShortTimeToCollect) {
  answer("10.0.0.7:9100", tracker_info("10.0.0.7:8000"));
  answer("10.0.0.6:9100", tracker_info("10.0.0.6:8000", "another name"));
  EXPECT_EQ(next(), "");
  pass(30ms);
  EXPECT_EQ(finder_.found(), 2u);
  EXPECT_EQ(next(), "10.0.0.7:8000");
  EXPECT_EQ(next(), "10.0.0.6:8000");
  EXPECT_EQ(next(), "");
}

TEST_F(FinderTest, KeepsCollectingForFallbacks) {
  answer("10.0.0.7:9100", tracker_info("10.0.0.7:8000"));
  pass(1s);
  EXPECT_EQ(next(), "10.0.0.7:8000");
  answer("10.0.0.6:9100", tracker_info("10.0.0.6:8000"));
  EXPECT_EQ(next(), "10.0.0.6:8000");
}

TEST_F(FinderTest, CountsATrackerThatAnswersSeveralTimesOnce) {
  answer("10.0.0.7:9100", tracker_info("10.0.0.7:8000"));
  answer("10.0.0.7:9100", tracker_info("10.0.0.7:8000"));
  answer("10.0.0.8:9100", tracker_info("10.0.0.7:8000"));
  pass(1s);
  EXPECT_EQ(next(), "10.0.0.7:8000");
  EXPECT_EQ(next(), "");
}

TEST_F(FinderTest, LooksAgainForTrackersThatHaveNotAnsweredBefore) {
  answer("10.0.0.7:9100", tracker_info("10.0.0.7:8000"));
  pass(4s);
  EXPECT_EQ(next(), "10.0.0.7:8000");
  finder_.start(now_);
  take();
  EXPECT_EQ(opened_.size(), 4u);
  answer("10.0.0.7:9100", tracker_info("10.0.0.7:8000"));
  answer("10.0.0.8:9100", tracker_info("10.0.0.8:8000"));
  EXPECT_EQ(next(), "10.0.0.8:8000");
  EXPECT_EQ(next(), "");
  pass(4s);
  EXPECT_TRUE(finder_.is_over());
  EXPECT_EQ(closed_, 4);
}

TEST_F(FinderTest, ReplacesAnAddressThatCannotBeMeantForUs) {
  answer("10.0.0.7:9100", tracker_info("0.0.0.0:8000"));
  answer("10.0.0.8:9100", tracker_info("127.0.0.1:8000"));
  answer("10.0.0.9:9100", tracker_info("10.0.0.66:8000"));
  pass(1s);
  EXPECT_EQ(next(), "10.0.0.7:8000");
  EXPECT_EQ(next(), "10.0.0.8:8000");
  EXPECT_EQ(next(), "10.0.0.66:8000");
}

TEST_F(FinderTest, KeepsALoopbackAddressFromThisHost) {
  answer("127.0.0.1:9100", tracker_info("127.0.0.1:8000"));
  answer("10.0.0.5:9100", tracker_info("127.0.0.1:8001"));
  answer("127.0.0.1:9100", tracker_info("0.0.0.0:8002"));
  pass(1s);
  EXPECT_EQ(next(), "127.0.0.1:8000");
  EXPECT_EQ(next(), "127.0.0.1:8001");
  EXPECT_EQ(next(), "127.0.0.1:8002");
}

TEST_F(FinderTest, TakesAnAnswerSplitIntoHeaderAndBody) {
  const Bytes whole = tracker_info("10.0.0.7:8000");
  answer("10.0.0.7:9100", first_bytes(whole, 8));
  answer("10.0.0.8:9100", tracker_info("10.0.0.8:8000"));  // somebody else in between
  answer("10.0.0.7:9100", from_byte(whole, 8));
  pass(1s);
  EXPECT_EQ(next(), "10.0.0.8:8000");
  EXPECT_EQ(next(), "10.0.0.7:8000");
}

TEST_F(FinderTest, TakesAWholeAnswerAfterALoneHeader) {
  const Bytes whole = tracker_info("10.0.0.7:8000");
  answer("10.0.0.7:9100", first_bytes(whole, 8));
  answer("10.0.0.7:9100", whole);
  answer("10.0.0.7:9100", from_byte(whole, 8));  // what split-replies sends behind it
  pass(1s);
  EXPECT_EQ(next(), "10.0.0.7:8000");
  EXPECT_EQ(next(), "");
}

TEST_F(FinderTest, DoesNotTakeABodyFromAnotherSource) {
  const Bytes whole = tracker_info("10.0.0.7:8000");
  answer("10.0.0.7:9100", first_bytes(whole, 8));
  answer("10.0.0.7:9101", from_byte(whole, 8));
  pass(1s);
  EXPECT_EQ(next(), "");
}

TEST_F(FinderTest, IgnoresDatagramsThatMakeNoSense) {
  const Bytes whole = tracker_info("10.0.0.7:8000");
  Bytes wrong_version = whole;
  wrong_version[0] = std::byte{2};
  Bytes wrong_type = whole;
  wrong_type[1] = std::byte{3};
  Bytes long_name = whole;
  long_name[14] = std::byte{0xff};
  Bytes lying = whole;
  lying[4] = std::byte{0xff};
  Bytes no_length = whole;
  no_length[7] = std::byte{0};
  for (const Bytes& bytes :
       {Bytes{}, first_bytes(whole, 3), first_bytes(whole, 13), from_byte(whole, 8), wrong_version, wrong_type,
        long_name, lying, no_length, course::encode_error(course::ErrorCode::invalid_request),
        course::encode_discover_tracker(), tracker_info("10.0.0.7:0")}) {
    answer("10.0.0.7:9100", bytes);
  }
  pass(1s);
  EXPECT_EQ(next(), "");
  answer("10.0.0.7:9100", whole);
  pass(1s);
  EXPECT_EQ(next(), "10.0.0.7:8000");
}

TEST_F(FinderTest, RemembersALimitedNumberOfTrackers) {
  for (std::uint16_t port = 1; port <= 2 * kTrackersMax; ++port) {
    answer("10.0.0.7:9100", course::encode_tracker_info({{address("10.0.0.7"), port}, "tracker"}));
  }
  EXPECT_EQ(finder_.found(), kTrackersMax);
}

// Which trackers say that they speak BitTorrent, of answers that carry these reserved fields.
std::vector<bool> speakers(bool asks, const std::vector<std::uint16_t>& reserved, bool in_two_datagrams = false) {
  Finder finder({.interfaces = {{address("10.0.0.5"), std::nullopt}}, .asks_for_bittorrent = asks});
  finder.start({});
  std::uint16_t port = 8000;
  for (const std::uint16_t each : reserved) {
    const Bytes whole = course::encode_tracker_info({{address("10.0.0.7"), ++port}, "tracker"}, each);
    const auto hear = [&](Bytes bytes) {
      finder.on_datagram({seam::SocketId(2), endpoint("10.0.0.7:9000"), address("10.0.0.5"), std::move(bytes)}, {});
    };
    if (in_two_datagrams) {
      hear(first_bytes(whole, 8));
      hear(from_byte(whole, 8));
    } else {
      hear(whole);
    }
  }
  finder.on_deadline(Instant{} + 30ms);
  std::vector<bool> speak;
  while (const auto found = finder.take_next()) speak.push_back(found->speaks_bittorrent);
  return speak;
}

TEST(Finder, AsksForBitTorrentWhenItIsToldTo) {
  Finder finder({.interfaces = {{address("10.0.0.5"), std::nullopt}}, .asks_for_bittorrent = true});
  finder.start({});
  const auto actions = finder.take_actions();
  const auto is_send = [](const auto& action) { return std::holds_alternative<seam::SendDatagram>(action); };
  const auto send = std::ranges::find_if(actions, is_send);
  ASSERT_NE(send, actions.end());
  EXPECT_EQ(std::get<seam::SendDatagram>(*send).bytes, base::ByteWriter().u32(0x01000002).u32(2).take());
}

TEST(Finder, TellsWhichTrackersSpeakBitTorrent) {
  const std::vector<std::uint16_t> reserved = {0, 2, 1, 0xffff};
  EXPECT_EQ(speakers(true, reserved), (std::vector<bool>{false, true, false, true}));
  EXPECT_EQ(speakers(true, reserved, true), (std::vector<bool>{false, true, false, true}));
}

TEST(Finder, TakesTheBitForNothingWhenItDidNotAsk) {
  EXPECT_EQ(speakers(false, {0, 2, 0xffff}), (std::vector<bool>{false, false, false}));
}

TEST(Finder, EndsAtOnceOnAHostWithoutANetwork) {
  Finder finder({.interfaces = {}});
  finder.start({});
  EXPECT_TRUE(finder.is_over());
}

}  // namespace
}  // namespace shoal::discovery
