#include "swarm/tracker_query.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;
using base::Bytes;
using base::Instant;

const course::FileInfo kFile{"hello.txt", {{base::sha1({}), {{base::Ipv4Address::loopback(), 8001}}}}};

Bytes header(std::uint8_t version, std::uint8_t type, std::uint32_t dwords) {
  return base::ByteWriter().u8(version).u8(type).u16(0).u32(dwords).take();
}

class TrackerQueryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    query_.start(now_);
    take();
  }
  void take() {
    for (const seam::Action& action : query_.take_actions()) {
      if (std::holds_alternative<seam::Dial>(action)) ++dials_;
      if (const auto* send = std::get_if<seam::Send>(&action)) sent_.push_back(send->bytes);
      if (std::holds_alternative<seam::Close>(action)) ++closes_;
    }
  }
  void connect() {
    query_.on_connected(base::Ipv4Address::loopback(), now_);
    take();
  }
  void receive(base::ByteView bytes, std::size_t read_bytes_max = 1 << 20) {
    for (std::size_t given = 0; given < bytes.size() && !query_.result();) {
      const std::span<std::byte> target = query_.next_read().spans[0];
      const std::size_t count = std::min({target.size(), bytes.size() - given, read_bytes_max});
      ASSERT_GT(count, 0u);
      std::memcpy(target.data(), bytes.data() + given, count);
      given += count;
      query_.on_bytes(count, now_);
      take();
    }
  }
  // Lets time pass up to each deadline, for `duration` at most.
  void pass(base::Duration duration) {
    const Instant end = now_ + duration;
    while (query_.next_deadline() && *query_.next_deadline() <= end) {
      now_ = std::max(now_, *query_.next_deadline());
      query_.on_deadline(now_);
      take();
    }
    now_ = end;
  }
  [[nodiscard]] std::optional<QueryFailure> failure() const {
    if (!query_.result() || *query_.result()) return std::nullopt;
    return query_.result()->error().failure;
  }

  ConnIds ids_;
  TrackerQuery query_{{.tracker = {base::Ipv4Address::loopback(), 8000}, .file_info_bytes_max = 1 << 20}, ids_};
  Instant now_{};
  int dials_ = 0;
  int closes_ = 0;
  std::vector<Bytes> sent_;
};

TEST_F(TrackerQueryTest, AsksReadsTheWholeAnswerAndClosesAtOnce) {
  connect();
  EXPECT_EQ(sent_, std::vector<Bytes>{course::encode_get_file_info()});
  receive(course::encode_file_info(kFile), 1);
  ASSERT_TRUE(query_.result() && *query_.result());
  EXPECT_EQ((*query_.result())->file, kFile);
  EXPECT_EQ((*query_.result())->local, base::Ipv4Address::loopback());
  EXPECT_EQ(closes_, 1);
  EXPECT_FALSE(query_.next_deadline());
}

TEST_F(TrackerQueryTest, TakesAnAnswerOfTheOldType) {
  connect();
  Bytes answer = course::encode_file_info(kFile);
  answer[1] = std::byte{5};
  receive(answer);
  ASSERT_TRUE(query_.result() && *query_.result());
  EXPECT_EQ((*query_.result())->file, kFile);
}

TEST_F(TrackerQueryTest, TakesHeaderAndBodyThatArriveApart) {
  connect();
  const Bytes answer = course::encode_file_info(kFile);
  receive(base::ByteView(answer).first(8));
  pass(40ms);
  receive(base::ByteView(answer).subspan(8));
  EXPECT_TRUE(query_.result() && *query_.result());
}

TEST_F(TrackerQueryTest, TakesAnAnswerOfManyChunks) {
  connect();
  course::FileInfo big{"big", {}};
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    big.chunks.push_back({base::sha1(base::view_of(std::to_string(i))), {{base::Ipv4Address::loopback(), 8001}}});
  }
  receive(course::encode_file_info(big), 1448);
  ASSERT_TRUE(query_.result() && *query_.result());
  EXPECT_EQ((*query_.result())->file, big);
}

TEST_F(TrackerQueryTest, RetriesARefusedConnectionForTwoToThreeSeconds) {
  const Instant began = now_;
  while (!query_.result()) {
    query_.on_connect_failed(seam::NetError::refused, now_);
    take();
    pass(250ms);
  }
  EXPECT_EQ(failure(), QueryFailure::refused);
  EXPECT_GE(now_ - began, 2s);
  EXPECT_LE(now_ - began, 3s);
  EXPECT_GT(dials_, 4);
}

TEST_F(TrackerQueryTest, IsServedByATrackerThatListensLate) {
  query_.on_connect_failed(seam::NetError::refused, now_);
  pass(250ms);
  connect();
  receive(course::encode_file_info(kFile));
  EXPECT_TRUE(query_.result() && *query_.result());
}

TEST_F(TrackerQueryTest, AsksABusyTrackerAgainAndThenFails) {
  connect();
  pass(4900ms);
  EXPECT_EQ(dials_, 1);
  pass(200ms);
  EXPECT_EQ(dials_, 2);
  EXPECT_EQ(closes_, 0) << "the first connection stays: closed, a late answer to it would be reset";
  connect();
  EXPECT_EQ(sent_.size(), 2u);
  pass(6s);
  EXPECT_EQ(closes_, 2);
  EXPECT_EQ(failure(), QueryFailure::silent);
  EXPECT_TRUE(is_timeout(*failure()));
  EXPECT_NE(query_.result()->error().message.find("127.0.0.1:8000"), std::string::npos);
}

TEST_F(TrackerQueryTest, IsServedByATrackerThatWasBusyTheFirstTime) {
  connect();
  pass(5s);
  connect();
  receive(course::encode_file_info(kFile));
  EXPECT_TRUE(query_.result() && *query_.result());
}

TEST_F(TrackerQueryTest, FailsWhenNobodyAnswersTheAttemptToConnect) {
  pass(5s);
  EXPECT_EQ(failure(), QueryFailure::connect_silent);
  EXPECT_EQ(closes_, 1);
}

TEST_F(TrackerQueryTest, FailsAtAnError) {
  connect();
  receive(course::encode_error(course::ErrorCode::invalid_request));
  EXPECT_EQ(failure(), QueryFailure::error_answer);
  EXPECT_NE(query_.result()->error().message.find("INVALID_REQUEST"), std::string::npos);
}

TEST_F(TrackerQueryTest, TriesOnceMoreAfterAResetAndThenFails) {
  connect();
  query_.on_connection_lost(now_);
  EXPECT_FALSE(query_.result());
  pass(500ms);
  EXPECT_EQ(dials_, 2);
  connect();
  receive(base::ByteView(course::encode_file_info(kFile)).first(20));
  query_.on_input_ended(now_);
  EXPECT_EQ(failure(), QueryFailure::closed);
}

TEST_F(TrackerQueryTest, FailsWhenTheAnswerStops) {
  connect();
  receive(base::ByteView(course::encode_file_info(kFile)).first(20));
  pass(10s);
  EXPECT_EQ(failure(), QueryFailure::stalled);
}

struct BadAnswer {
  const char* what;
  Bytes bytes;
};

TEST(TrackerQuery, FailsAtAnAnswerThatMakesNoSense) {
  Bytes too_many_peers = course::encode_file_info(kFile);
  too_many_peers[too_many_peers.size() - 12] = std::byte{0xff};  // peers_count
  Bytes too_many_chunks = course::encode_file_info(kFile);
  too_many_chunks[8] = std::byte{0xff};
  Bytes long_name = course::encode_file_info(kFile);
  long_name[10] = std::byte{0xff};
  const std::vector<BadAnswer> cases = {
      {"length 0", header(1, 3, 0)},
      {"length 1", header(1, 3, 1)},
      {"length 2: no body", header(1, 3, 2)},
      {"length 2^32-1", header(1, 3, 0xffffffff)},
      {"little-endian length", header(1, 3, 0x20000000)},
      {"version 9", header(9, 3, 8)},
      {"type 1", header(1, 1, 8)},
      {"unknown type", header(1, 200, 8)},
      {"ERROR of a gigabyte", header(1, 6, 1 << 28)},
      {"peers_count overruns", too_many_peers},
      {"chunks_count overruns", too_many_chunks},
      {"filename_length overruns", long_name},
  };
  for (const BadAnswer& each : cases) {
    ConnIds ids;
    TrackerQuery query({.tracker = {base::Ipv4Address::loopback(), 8000}, .file_info_bytes_max = 1 << 20}, ids);
    query.start({});
    query.on_connected(base::Ipv4Address::loopback(), {});
    std::memcpy(query.next_read().spans[0].data(), each.bytes.data(), each.bytes.size());
    query.on_bytes(each.bytes.size(), {});
    ASSERT_TRUE(query.result() && !*query.result()) << each.what;
    EXPECT_EQ(query.result()->error().failure, QueryFailure::malformed) << each.what;
    EXPECT_FALSE(query.conn());
  }
}

}  // namespace
}  // namespace shoal::swarm
