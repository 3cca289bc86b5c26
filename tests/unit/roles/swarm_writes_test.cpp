#include "roles/swarm_writes.hpp"

#include <gtest/gtest.h>

namespace shoal::roles {
namespace {

using base::PieceIndex;

constexpr std::uint32_t kBlock = wire::kBlockBytes;
constexpr std::uint32_t kPiece = 4 * kBlock;

class SwarmWritesTest : public ::testing::Test {
 protected:
  void store(std::uint32_t piece, std::uint32_t block) {
    writes.store({.part = {PieceIndex(piece), block * kBlock, kBlock},
                  .buffer = std::move(*pool.take()),
                  .piece_bytes = kPiece,
                  .from = {{1}, static_cast<std::uint16_t>(block)}},
                 actions);
  }
  template <typename Action>
  std::vector<Action> take() {
    std::vector<Action> found;
    for (seam::Action& action : actions) {
      if (auto* each = std::get_if<Action>(&action)) found.push_back(std::move(*each));
    }
    std::erase_if(actions, [](const seam::Action& action) { return std::holds_alternative<Action>(action); });
    return found;
  }
  void bring_home(std::vector<seam::StoreBlock> blocks) {
    for (seam::StoreBlock& block : blocks) {
      seam::BlockStored stored{block.write, std::move(block.buffer)};
      writes.on_block_stored(stored, actions);
    }
  }

  base::BufferPool pool{kPiece, 16};
  seam::Actions actions;
  SwarmWrites writes;
};

TEST_F(SwarmWritesTest, BeginsAPieceOnceAndStoresItsBlocksWhereTheyBelong) {
  store(7, 2);
  store(7, 0);
  store(8, 0);
  const auto begun = take<seam::BeginPiece>();
  ASSERT_EQ(begun.size(), 2u);
  EXPECT_EQ(begun.front().places, std::vector{PieceIndex(7)});
  EXPECT_EQ(begun.front().size_bytes, kPiece);
  auto blocks = take<seam::StoreBlock>();
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks.at(0).offset_bytes, 2 * kBlock);
  EXPECT_EQ(blocks.at(1).offset_bytes, 0u);
  EXPECT_EQ(blocks.at(0).write, blocks.at(1).write);
  EXPECT_NE(blocks.at(0).write, blocks.at(2).write);
}

TEST_F(SwarmWritesTest, CompletesAPieceOnceAllOfItCameHome) {
  for (std::uint32_t block = 0; block < 4; ++block) store(7, block);
  auto blocks = take<seam::StoreBlock>();
  seam::StoreBlock last = std::move(blocks.back());
  blocks.pop_back();
  bring_home(std::move(blocks));
  writes.complete(PieceIndex(7), actions);
  EXPECT_TRUE(take<seam::CompletePiece>().empty());
  seam::BlockStored stored{last.write, std::move(last.buffer)};
  writes.on_block_stored(stored, actions);
  EXPECT_EQ(take<seam::CompletePiece>().size(), 1u);
  EXPECT_EQ(pool.in_use(), 0u);
  const auto ended = writes.take_ended(last.write);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->piece, PieceIndex(7));
  EXPECT_EQ(ended->from.port, 3);
  EXPECT_TRUE(writes.is_idle());
  EXPECT_FALSE(writes.take_ended(last.write));
}

TEST_F(SwarmWritesTest, ForgetsEverythingWhenTheStoreTakesNothingMore) {
  store(9, 0);
  store(7, 0);
  const auto given_up = writes.give_up();
  ASSERT_EQ(given_up.size(), 2u);
  EXPECT_EQ(given_up[0].piece, PieceIndex(7));
  EXPECT_EQ(given_up[1].piece, PieceIndex(9));
  EXPECT_TRUE(writes.is_idle());
  bring_home(take<seam::StoreBlock>());  // they come home all the same
  EXPECT_EQ(pool.in_use(), 0u);
  store(7, 0);
  EXPECT_EQ(take<seam::BeginPiece>().size(), 3u);
}

TEST_F(SwarmWritesTest, AbandonsWhatIsHalfWrittenAndLeavesWhatIsBeingVerified) {
  store(7, 0);
  store(8, 0);
  bring_home(take<seam::StoreBlock>());
  writes.complete(PieceIndex(8), actions);
  const seam::WriteId verifying = take<seam::CompletePiece>().at(0).write;
  writes.abandon(actions);
  EXPECT_EQ(take<seam::AbandonPiece>().size(), 1u);
  EXPECT_FALSE(writes.is_idle());
  EXPECT_TRUE(writes.take_ended(verifying));
  EXPECT_TRUE(writes.is_idle());
}

}  // namespace
}  // namespace shoal::roles
