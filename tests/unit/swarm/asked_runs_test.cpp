#include "swarm/asked_runs.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

wire::BlockRange blocks(std::uint32_t piece, std::uint32_t first, std::uint32_t count) {
  return {base::PieceIndex(piece), first * wire::kBlockBytes, count * wire::kBlockBytes};
}
wire::BlockRange block(std::uint32_t piece, std::uint32_t number) {
  return blocks(piece, number, 1);
}

TEST(RunBlocks, CutsTheLastOneShort) {
  const wire::BlockRange run{base::PieceIndex(1), wire::kBlockBytes, wire::kBlockBytes + 5};
  EXPECT_EQ(block_count(run), 2u);
  EXPECT_EQ(block_at(run, 0), block(1, 1));
  const wire::BlockRange last{base::PieceIndex(1), 2 * wire::kBlockBytes, 5};
  EXPECT_EQ(block_at(run, 1), last);
  EXPECT_EQ(number_of(run, last), 1u);
}

TEST(RunBlocks, KnowsOnlyItsOwn) {
  const wire::BlockRange run = blocks(1, 2, 3);
  EXPECT_EQ(number_of(run, block(1, 4)), 2u);
  EXPECT_EQ(number_of(run, block(1, 1)), std::nullopt);
  EXPECT_EQ(number_of(run, block(1, 5)), std::nullopt);
  EXPECT_EQ(number_of(run, block(2, 2)), std::nullopt);
  EXPECT_EQ(number_of(run, {base::PieceIndex(1), 2 * wire::kBlockBytes + 1, wire::kBlockBytes}), std::nullopt);
  EXPECT_EQ(number_of(run, {base::PieceIndex(1), 2 * wire::kBlockBytes, wire::kBlockBytes - 1}), std::nullopt);
}

TEST(RunBlocks, JoinsNeighbours) {
  const wire::BlockRange run = blocks(1, 0, 6);
  EXPECT_EQ(parts_of(run, 0b110101),
            (std::vector<wire::BlockRange>{blocks(1, 0, 1), blocks(1, 2, 1), blocks(1, 4, 2)}));
  EXPECT_TRUE(parts_of(run, 0).empty());
  EXPECT_EQ(blocks_in(run, {base::PieceIndex(1), wire::kBlockBytes + 1, wire::kBlockBytes}), 0b110u);
}

TEST(AskedRuns, AsksInOrderAndNoMoreThanThePeerTakes) {
  AskedRuns asked;
  asked.add(blocks(1, 0, 2));
  asked.add(blocks(2, 0, 2));
  EXPECT_EQ(asked.take_unsent(3, {}), (std::vector{block(1, 0), block(1, 1), block(2, 0)}));
  EXPECT_TRUE(asked.take_unsent(3, {}).empty());
  EXPECT_FALSE(asked.settle(block(1, 1)));
  EXPECT_EQ(asked.take_unsent(3, {}), std::vector{block(2, 1)});
  EXPECT_TRUE(asked.settle(block(1, 0)));
  EXPECT_EQ(asked.awaited_blocks(), 2u);
  EXPECT_EQ(asked.bytes(), 2 * wire::kBlockBytes);
  asked.audit();
}

TEST(AskedRuns, AwaitsOnlyWhatWasSent) {
  AskedRuns asked;
  asked.add(blocks(1, 0, 2));
  EXPECT_EQ(asked.find_awaited(block(1, 0)), nullptr);
  (void)asked.take_unsent(1, base::Instant(5s));
  ASSERT_NE(asked.find_awaited(block(1, 0)), nullptr);
  EXPECT_EQ(asked.find_awaited(block(1, 0))->run, blocks(1, 0, 2));
  EXPECT_EQ(asked.find_awaited(block(1, 0))->sent_at, base::Instant(5s));
  EXPECT_EQ(asked.find_awaited(block(1, 1)), nullptr);
  // The second request does not make the first one younger.
  (void)asked.take_unsent(2, base::Instant(6s));
  EXPECT_EQ(asked.find_awaited(block(1, 1))->sent_at, base::Instant(5s));
}

TEST(AskedRuns, WithdrawsARangeAcrossRuns) {
  AskedRuns asked;
  asked.add(blocks(1, 0, 4));
  asked.add(blocks(1, 4, 4));
  (void)asked.take_unsent(6, {});
  EXPECT_FALSE(asked.settle(block(1, 3)));
  const AskedRuns::Withdrawn withdrawn = asked.withdraw(blocks(1, 2, 5));
  EXPECT_EQ(withdrawn.parts, (std::vector{blocks(1, 2, 1), blocks(1, 4, 3)}));
  EXPECT_EQ(withdrawn.awaited, (std::vector{block(1, 2), block(1, 4), block(1, 5)}));
  EXPECT_EQ(asked.awaited_blocks(), 2u);
  EXPECT_EQ(asked.unsent_blocks(), 1u);
  asked.audit();
}

TEST(AskedRuns, WithdrawsWhatIsNotSentOrAll) {
  AskedRuns asked;
  asked.add(blocks(1, 0, 3));
  (void)asked.take_unsent(1, {});
  EXPECT_EQ(asked.withdraw_unsent().parts, std::vector{blocks(1, 1, 2)});
  EXPECT_TRUE(asked.has_some_of(blocks(1, 0, 3)));
  EXPECT_EQ(asked.withdraw_all().awaited, std::vector{block(1, 0)});
  EXPECT_TRUE(asked.is_empty());
  EXPECT_FALSE(asked.has_some_of(blocks(1, 0, 3)));
  EXPECT_EQ(asked.bytes(), 0u);
}

TEST(LateAnswers, AreExpectedForAWhileAndOnce) {
  LateAnswers late;
  EXPECT_FALSE(late.take(block(1, 0), {}));
  late.expect(block(1, 0), {});
  late.expect(block(1, 1), base::Instant(30s));
  EXPECT_TRUE(late.take(block(1, 0), base::Instant(59s)));
  EXPECT_FALSE(late.take(block(1, 0), base::Instant(59s)));
  EXPECT_FALSE(late.is_empty(base::Instant(89s)));
  EXPECT_TRUE(late.is_empty(base::Instant(90s)));
  EXPECT_FALSE(late.take(block(1, 1), base::Instant(90s)));
}

TEST(LateAnswers, ForgetTheOldestWhenThereAreTooMany) {
  LateAnswers late;
  for (std::uint32_t i = 0; i <= LateAnswers::kBlocksMax; ++i) late.expect(block(i, 0), {});
  EXPECT_FALSE(late.take(block(0, 0), {}));
  EXPECT_TRUE(late.take(block(1, 0), {}));
}

}  // namespace
}  // namespace shoal::swarm
