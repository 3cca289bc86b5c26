#include "swarm/run_slabs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

wire::BlockRange blocks(std::uint32_t piece, std::uint32_t first, std::uint32_t count) {
  return {base::PieceIndex(piece), first * wire::kBlockBytes, count * wire::kBlockBytes};
}

class RunSlabsTest : public ::testing::Test {
 protected:
  // A block all of whose bytes are its number.
  bool put(const wire::BlockRange& run, std::uint32_t number, base::Instant now = {}) {
    const wire::BlockRange block = block_at(run, number);
    const auto room = slabs_.room_for(run, block, now);
    if (!room) return false;
    EXPECT_EQ(room->size(), block.size_bytes);
    std::ranges::fill(*room, static_cast<std::byte>(number));
    slabs_.on_block(run, block);
    return true;
  }
  // What was handed over, each with the number of its first block.
  std::vector<std::pair<wire::BlockRange, int>> arrived() {
    std::vector<std::pair<wire::BlockRange, int>> parts;
    RunSlabs::HandedOver handed_over = slabs_.take_handed_over();
    lost_ = handed_over.lost;
    for (const RunArrived& each : handed_over.arrived) {
      parts.emplace_back(each.part, std::to_integer<int>(each.buffer.bytes().front()));
    }
    return parts;
  }

  base::BufferPool pool_{kRunBytesMax, 3};
  RunSlabs slabs_{pool_};
  std::vector<wire::BlockRange> lost_;
};

TEST_F(RunSlabsTest, GathersARunInAnyOrder) {
  const auto run = blocks(1, 4, 3);
  EXPECT_TRUE(put(run, 2) && put(run, 0) && put(run, 1));
  EXPECT_EQ(pool_.in_use(), 1u);
  slabs_.hand_over(run);
  EXPECT_EQ(arrived(), (std::vector{std::pair{run, 0}}));
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(RunSlabsTest, HandsTheOldestOverWhenAThirdRunBegins) {
  EXPECT_TRUE(put(blocks(1, 0, 2), 0) && put(blocks(2, 0, 2), 0) && put(blocks(3, 0, 2), 0));
  EXPECT_EQ(arrived(), (std::vector{std::pair{blocks(1, 0, 1), 0}}));
  EXPECT_EQ(slabs_.runs(), (std::vector{blocks(2, 0, 2), blocks(3, 0, 2)}));
}

TEST_F(RunSlabsTest, HandsPartsBetweenGapsOverInBuffersOfTheirOwn) {
  const auto run = blocks(1, 0, 6);
  EXPECT_TRUE(put(run, 1) && put(run, 3) && put(run, 4));
  slabs_.hand_over(run);
  EXPECT_EQ(arrived(), (std::vector{std::pair{blocks(1, 1, 1), 1}, std::pair{blocks(1, 3, 2), 3}}));
  EXPECT_TRUE(lost_.empty());
}

TEST_F(RunSlabsTest, SaysWhatIsLostForWantOfABuffer) {
  const auto run = blocks(1, 0, 6);
  EXPECT_TRUE(put(run, 1) && put(run, 3));
  const std::array others{pool_.take(), pool_.take()};
  EXPECT_EQ(pool_.available(), 0u);
  slabs_.hand_over(run);
  EXPECT_EQ(arrived(), (std::vector{std::pair{blocks(1, 3, 1), 3}}));
  EXPECT_EQ(lost_, std::vector{blocks(1, 1, 1)});
}

TEST_F(RunSlabsTest, GivesUpWhatItHoldsWhenThereIsNoBuffer) {
  EXPECT_TRUE(put(blocks(1, 0, 2), 0));
  const std::array others{pool_.take(), pool_.take()};
  EXPECT_FALSE(put(blocks(2, 0, 2), 0));
  EXPECT_EQ(slabs_.size(), 0u);
  EXPECT_EQ(arrived(), (std::vector{std::pair{blocks(1, 0, 1), 0}}));
  EXPECT_TRUE(put(blocks(2, 0, 2), 0));
}

TEST_F(RunSlabsTest, HandsNothingOverOfARunOfWhichNothingCameWhole) {
  const auto run = blocks(1, 0, 2);
  EXPECT_TRUE(slabs_.room_for(run, block_at(run, 0), {}));
  slabs_.hand_over_all();
  EXPECT_TRUE(arrived().empty());
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(RunSlabsTest, KnowsSinceWhenItHoldsTheOldest) {
  EXPECT_EQ(slabs_.held_since(), std::nullopt);
  EXPECT_TRUE(put(blocks(1, 0, 2), 0, base::Instant(1s)) && put(blocks(2, 0, 2), 0, base::Instant(2s)));
  EXPECT_TRUE(put(blocks(1, 0, 2), 1, base::Instant(3s)));
  EXPECT_EQ(slabs_.held_since(), base::Instant(1s));
  slabs_.hand_over(blocks(1, 0, 2));
  EXPECT_EQ(slabs_.held_since(), base::Instant(2s));
}

}  // namespace
}  // namespace shoal::swarm
