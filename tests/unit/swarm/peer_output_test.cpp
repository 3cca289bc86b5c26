#include "swarm/peer_output.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

class EmptyPiece : public seam::ReadablePiece {
 public:
  [[nodiscard]] std::uint64_t size_bytes() const override { return 1u << 20; }
  std::size_t read_at(std::uint64_t, std::span<std::byte> target) const override { return target.size(); }
};

class PeerOutputTest : public ::testing::Test {
 protected:
  static wire::BlockRange block(std::uint32_t number) {
    return {base::PieceIndex(0), number * wire::kBlockBytes, wire::kBlockBytes};
  }
  void send_block(std::uint32_t number) { output_.send_block(block(number), std::make_shared<EmptyPiece>(), {}); }
  // "send 5; block; tell request"
  std::string actions() {
    std::string words;
    for (const seam::Action& action : output_.take_actions()) {
      if (const auto* send = std::get_if<seam::Send>(&action)) {
        words += "send " + std::to_string(send->bytes.size()) + "; ";
      } else if (std::holds_alternative<seam::SendPiece>(action)) {
        words += "block; ";
      }
    }
    return words;
  }

  PeerOutput output_{seam::ConnId(1), {}};
};

TEST_F(PeerOutputTest, JoinsWhatIsSentAtOnce) {
  output_.send(wire::Interested{}, {});
  output_.send(wire::Request{block(0)}, {});
  EXPECT_EQ(actions(), "send 22; ");
  output_.send(wire::KeepAlive{}, {});
  EXPECT_EQ(actions(), "send 4; ");
  EXPECT_EQ(output_.unsent_bytes(), 26u);
}

TEST_F(PeerOutputTest, KeepsTheOrderOfMessagesAndBlocks) {
  output_.send(wire::Choke{}, {});
  send_block(0);
  output_.send(wire::Unchoke{}, {});
  output_.send(wire::Unchoke{}, {});
  EXPECT_EQ(actions(), "send 5; block; send 10; ");
}

TEST_F(PeerOutputTest, HasRoomForABoundedNumberOfBlocks) {
  std::uint32_t blocks = 0;
  for (; output_.has_room(); ++blocks) send_block(blocks % 16);
  EXPECT_EQ(blocks, 64u);
  (void)actions();
  output_.on_drained({});
  EXPECT_TRUE(output_.has_room());
  EXPECT_EQ(output_.unsent_bytes(), 0u);
}

TEST_F(PeerOutputTest, CountsWhatTheRunnerWasNotGivenYetAsUnsent) {
  send_block(0);
  output_.on_drained({});
  EXPECT_EQ(output_.unsent_bytes(), wire::kBlockBytes + wire::kPieceHeadBytes);
}

TEST_F(PeerOutputTest, LetsMessagesWaitWhenTheRunnerHasEnough) {
  for (std::size_t i = 0; i < kWritesMax; ++i) {
    output_.send(wire::KeepAlive{}, {});
    EXPECT_EQ(actions(), "send 4; ");
  }
  output_.send(wire::Choke{}, {});
  output_.send(wire::Unchoke{}, {});
  EXPECT_EQ(actions(), "");
  EXPECT_FALSE(output_.has_room());
  EXPECT_FALSE(output_.is_overrun());
  output_.on_drained({});
  EXPECT_EQ(actions(), "send 10; ");
}

TEST_F(PeerOutputTest, GivesTheRunnerOnlySoManyBytesOfMessages) {
  const base::Bytes bits(kUnsentBytesMax / 16 - 5);  // with length and id a sixteenth
  for (int i = 0; i < 16; ++i) {
    EXPECT_TRUE(output_.has_room());
    output_.send(wire::BitfieldMessage{bits}, {});
    EXPECT_EQ(actions(), "send 65536; ");
  }
  for (int i = 0; i < 20; ++i) output_.send(wire::BitfieldMessage{bits}, {});
  EXPECT_EQ(actions(), "");
  EXPECT_FALSE(output_.has_room());
  output_.on_drained({});
  EXPECT_FALSE(output_.has_room()) << "blocks would overtake what still waits";
  output_.send(wire::KeepAlive{}, {});
  EXPECT_EQ(actions(), "send 1048576; ");
  output_.on_drained({});
  EXPECT_EQ(actions(), "send 262148; ");
  EXPECT_TRUE(output_.has_room());
}

TEST_F(PeerOutputTest, SaysWhenTooMuchIsWaiting) {
  for (std::size_t i = 0; i < kWritesMax; ++i) {
    output_.send(wire::KeepAlive{}, {});
    (void)actions();
  }
  output_.send(wire::BitfieldMessage{base::Bytes(kWaitingBytesMax - 100)}, {});
  EXPECT_FALSE(output_.is_overrun());
  output_.send(wire::BitfieldMessage{base::Bytes(100)}, {});
  EXPECT_TRUE(output_.is_overrun());
}

TEST_F(PeerOutputTest, RemembersWhenItLastSent) {
  output_.send(wire::KeepAlive{}, base::Instant(5s));
  EXPECT_EQ(output_.last_sent(), base::Instant(5s));
}

}  // namespace
}  // namespace shoal::swarm
