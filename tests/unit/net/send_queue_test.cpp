#include "net/send_queue.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <array>

#include "unit/net/fake_machine.hpp"
#include "unit/net/fake_piece.hpp"

namespace shoal::net {
namespace {

// A queue on one end of a connection, and what came out of the other.
class SendQueueTest : public ::testing::Test {
 protected:
  SendQueueTest() : scratch_(kSendScratchBytes) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    near_ = UniqueFd(ends[0]);
    far_ = UniqueFd(ends[1]);
  }

  static OutgoingMessage message(std::string_view head, seam::ReadablePiecePtr piece, std::uint32_t padding = 0) {
    const std::uint64_t size = piece ? piece->size_bytes() : 0;
    return {.head = bytes_of(head), .piece = std::move(piece), .piece_bytes = size, .padding_bytes = padding};
  }
  FlushResult flush() { return queue_.flush(near_.get(), scratch_); }
  // One read of what is there.
  void read_once(std::size_t count = 1u << 20) {
    std::string bytes(count, '\0');
    const ssize_t result = ::recv(far_.get(), bytes.data(), bytes.size(), 0);
    if (result > 0) arrived_.append(bytes, 0, static_cast<std::size_t>(result));
  }
  void flush_all() {
    for (int turns = 0; turns < 100'000; ++turns) {
      const FlushResult result = flush();
      ASSERT_NE(result, FlushResult::failed);
      const std::size_t before = arrived_.size();
      read_once();
      if (result == FlushResult::drained && arrived_.size() == before) return;
    }
    FAIL() << "never drained";
  }

  std::vector<std::byte> scratch_;
  UniqueFd near_;
  UniqueFd far_;
  SendQueue queue_;
  std::string arrived_;
};

TEST_F(SendQueueTest, SendsMessagesInOrder) {
  queue_.push(message("one", nullptr));
  queue_.push(message("two", std::make_shared<MemoryPiece>("piece"), 3));
  queue_.push(message("three", nullptr));
  flush_all();
  EXPECT_EQ(arrived_, std::string("onetwopiece\0\0\0three", 19));
  EXPECT_TRUE(queue_.is_empty());
}

TEST_F(SendQueueTest, SendsASmallPieceWithItsHeaderAndPaddingInOneWrite) {
  // A datagram socket keeps writes apart.
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends.data()), 0);
  near_ = UniqueFd(ends[0]);
  far_ = UniqueFd(ends[1]);
  queue_.push(message("headhead", std::make_shared<FilePiece>("content"), 1));
  EXPECT_EQ(flush(), FlushResult::drained);
  read_once();
  EXPECT_EQ(arrived_, std::string("headheadcontent\0", 16));
}

TEST_F(SendQueueTest, SendsABigFileFromItsPlaceInTheFile) {
  const std::string content = noise(5'000'001);
  queue_.push(message("headhead", std::make_shared<FilePiece>(content, 4711), 3));
  queue_.push(message("next", nullptr));
  flush_all();
  EXPECT_TRUE(arrived_ == "headhead" + content + std::string(3, '\0') + "next");
}

TEST_F(SendQueueTest, SendsABigPieceFromMemory) {
  const std::string content = noise(3'000'003);
  queue_.push(message("headhead", std::make_shared<MemoryPiece>(content), 1));
  flush_all();
  EXPECT_TRUE(arrived_ == "headhead" + content + std::string(1, '\0'));
}

TEST_F(SendQueueTest, CompletesAMessageWithZerosWhenItsFileIsCutShortUnderWay) {
  const std::string content = noise(3'000'000);
  const auto piece = std::make_shared<FilePiece>(content);
  queue_.push(message("headhead", piece, 2));
  queue_.push(message("next", nullptr));
  EXPECT_EQ(flush(), FlushResult::blocked);
  piece->truncate(2'000'000);
  flush_all();
  EXPECT_TRUE(arrived_ == "headhead" + content.substr(0, 2'000'000) + std::string(1'000'002, '\0') + "next");
}

TEST_F(SendQueueTest, SendsAnEmptyPiece) {
  queue_.push(message("headhead", std::make_shared<FilePiece>("")));
  flush_all();
  EXPECT_EQ(arrived_, "headhead");
}

TEST_F(SendQueueTest, LetsGoOfAPieceOnceItIsSent) {
  const auto piece = std::make_shared<MemoryPiece>("piece");
  queue_.push(message("head", piece));
  EXPECT_EQ(piece.use_count(), 2);
  flush_all();
  EXPECT_EQ(piece.use_count(), 1);
}

TEST_F(SendQueueTest, KeepsOnlyTheMessageUnderWayWhenTheRestIsDropped) {
  const std::string content = noise(2'000'000);
  queue_.push(message("headhead", std::make_shared<FilePiece>(content)));
  queue_.push(message("never", nullptr));
  EXPECT_EQ(flush(), FlushResult::blocked);
  queue_.drop_not_begun();
  flush_all();
  EXPECT_TRUE(arrived_ == "headhead" + content);
}

TEST_F(SendQueueTest, DropsEverythingWhenNothingWasBegun) {
  queue_.push(message("never", nullptr));
  queue_.drop_not_begun();
  EXPECT_TRUE(queue_.is_empty());
}

TEST_F(SendQueueTest, ReportsABrokenConnection) {
  far_ = UniqueFd();
  queue_.push(message("lost", nullptr));
  EXPECT_EQ(flush(), FlushResult::failed);
  EXPECT_EQ(errno, EPIPE);
}

}  // namespace
}  // namespace shoal::net
