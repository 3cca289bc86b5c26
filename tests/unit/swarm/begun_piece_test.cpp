#include "swarm/begun_piece.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace shoal::swarm::test {
namespace {

constexpr SourceId kOne(1);
constexpr SourceId kTwo(2);
constexpr SourceId kThree(3);

BegunPiece make(std::uint32_t blocks) {
  return BegunPiece(base::PieceIndex(7), blocks * wire::kBlockBytes);
}

TEST(BegunPiece, CountsWhatIsOpenAskedAndHere) {
  BegunPiece piece = make(4);
  EXPECT_TRUE(piece.is_untouched());
  EXPECT_EQ(piece.ask({0, 3}, kOne), 3U);
  EXPECT_EQ(piece.open_count(), 1U);
  EXPECT_TRUE(piece.is_coming());
  EXPECT_EQ(piece.arrive(0, {kOne, {}}), std::nullopt);
  EXPECT_EQ(piece.release({0, 4}, kOne), 2U);
  EXPECT_EQ(piece.open_count(), 3U);
  EXPECT_FALSE(piece.is_coming());
  EXPECT_EQ(piece.ask(piece.all(), kTwo), 3U) << "what is here is not asked for";
  for (std::uint32_t block = 1; block < 4; ++block) piece.arrive(block, {kTwo, {}});
  EXPECT_TRUE(piece.is_whole());
  EXPECT_EQ(piece.givers(), (std::vector<Giver>{{kOne, {}}, {kTwo, {}}}));
  piece.audit();
}

TEST(BegunPiece, ABlockHasTwoHoldersAtMost) {
  BegunPiece piece = make(1);
  EXPECT_EQ(piece.ask({0, 1}, kOne), 1U);
  EXPECT_EQ(piece.ask({0, 1}, kOne), 0U);
  EXPECT_TRUE(piece.has_place_in_all(kTwo));
  EXPECT_FALSE(piece.has_place_in_all(kOne));
  EXPECT_EQ(piece.ask({0, 1}, kTwo), 1U);
  EXPECT_FALSE(piece.has_place_in_all(kThree));
  EXPECT_EQ(piece.ask({0, 1}, kThree), 0U);
  EXPECT_EQ(piece.arrive(0, {kOne, {}}), kTwo) << "who need not bring it any more";
  EXPECT_TRUE(piece.holders(0).empty());
}

TEST(BegunPiece, FindsTheFirstOpenRow) {
  BegunPiece piece = make(8);
  EXPECT_EQ(piece.ask({0, 2}, kOne), 2U);
  EXPECT_EQ(piece.ask({5, 1}, kOne), 1U);
  EXPECT_EQ(piece.first_open(100)->first, 2U);
  EXPECT_EQ(piece.first_open(100)->count, 3U);
  EXPECT_EQ(piece.first_open(2)->count, 2U);
  EXPECT_EQ(piece.release({1, 1}, kOne), 1U);
  EXPECT_EQ(piece.first_open(100)->first, 1U);
  piece.ask(piece.all(), kTwo);
  EXPECT_FALSE(piece.first_open(100).has_value());
}

TEST(BegunPiece, FindsTheTailThatOnlyOneBrings) {
  BegunPiece piece = make(8);
  piece.ask({0, 7}, kOne);
  piece.ask({6, 1}, kTwo);
  const auto tail = piece.last_held_alone(kOne, 4);
  ASSERT_TRUE(tail.has_value());
  EXPECT_EQ(tail->first, 2U);
  EXPECT_EQ(tail->count, 4U);
  EXPECT_FALSE(piece.last_held_alone(kTwo, 4).has_value());
}

TEST(BegunPiece, FindsTheLongestRowThatIsHeld) {
  BegunPiece piece = make(8);
  piece.ask({0, 8}, kOne);
  piece.ask({2, 1}, kTwo);
  piece.arrive(2, {kTwo, {}});
  EXPECT_EQ(piece.longest_held(piece.all(), kOne).first, 3U);
  EXPECT_EQ(piece.longest_held(piece.all(), kOne).count, 5U);
  EXPECT_EQ(piece.longest_held({0, 4}, kOne).count, 2U);
  EXPECT_EQ(piece.longest_held(piece.all(), kTwo).count, 0U);
}

TEST(BegunPiece, WhatIsLostIsOpenAndWhoGaveItStaysKnown) {
  BegunPiece piece = make(2);
  piece.ask({0, 2}, kOne);
  piece.arrive(0, {kOne, {}});
  piece.lose();
  EXPECT_EQ(piece.open_count(), 1U);
  EXPECT_TRUE(piece.is_held(1, kOne));
  EXPECT_EQ(piece.givers(), (std::vector<Giver>{{kOne, {}}}));
  piece.audit();
}

TEST(BegunPiece, RunsAndBlocksAreTheSameRange) {
  const BegunPiece piece(base::PieceIndex(0), 2 * wire::kBlockBytes + 5);
  EXPECT_EQ(piece.block_count(), 3U);
  EXPECT_EQ(piece.run_of({1, 2}), (swarm::Run{base::PieceIndex(0), wire::kBlockBytes, wire::kBlockBytes + 5}));
  EXPECT_EQ(piece.span_of(piece.run_of({1, 2})).first, 1U);
  EXPECT_EQ(piece.span_of(piece.run_of({1, 2})).count, 2U);
}

}  // namespace
}  // namespace shoal::swarm::test
