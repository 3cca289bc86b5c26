#include "storage/placement.hpp"

#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {
namespace {

using base::PieceIndex;
using Where = Placement::Where;

class PlacementTest : public ::testing::Test {
 protected:
  static Placement::Spot part(std::uint64_t offset) { return {Where::part, offset}; }
  void expect_aside(const Placement::Region& region) { EXPECT_EQ(region.spot.where, Where::side); }

  const CutFile file_ = CutFile::regular(5, 1000, 700);
  Placement placement_{file_.manifest};
};

TEST_F(PlacementTest, PutsPiecesWhereTheFirstOneSaysTheyBelong) {
  EXPECT_EQ(placement_.reserve(PieceIndex(2), 1000).spot, part(2000));
  EXPECT_EQ(placement_.reserve(PieceIndex(0), 1000).spot, part(0));
  EXPECT_EQ(placement_.reserve(PieceIndex(3), 1000).spot, part(3000));
}

TEST_F(PlacementTest, PutsTheLastPieceAsideUntilTheUsualSizeIsProven) {
  expect_aside(placement_.reserve(PieceIndex(4), 700));
  const auto region = placement_.reserve(PieceIndex(0), 1000);
  expect_aside(placement_.reserve(PieceIndex(4), 700));
  EXPECT_TRUE(placement_.accept(region).is_usual_proven);
  EXPECT_EQ(placement_.reserve(PieceIndex(4), 700).spot, part(4000));
}

TEST_F(PlacementTest, PutsASecondWriterOfAPlaceAside) {
  const auto first = placement_.reserve(PieceIndex(1), 1000);
  expect_aside(placement_.reserve(PieceIndex(1), 1000));
  placement_.release(first);
  EXPECT_EQ(placement_.reserve(PieceIndex(1), 1000).spot, part(1000));
}

TEST_F(PlacementTest, NeverGivesAwayAPlaceThatHoldsItsPiece) {
  ASSERT_FALSE(placement_.accept(placement_.reserve(PieceIndex(1), 1000)).exchanges_part);
  expect_aside(placement_.reserve(PieceIndex(1), 1000));
}

TEST_F(PlacementTest, ForgetsASizeThatNobodyProved) {
  placement_.release(placement_.reserve(PieceIndex(1), 4000));
  EXPECT_EQ(placement_.reserve(PieceIndex(2), 1000).spot, part(2000));
}

TEST_F(PlacementTest, ExchangesThePartFileWhenAVerifiedPieceDisprovesTheFirstSize) {
  const auto liar = placement_.reserve(PieceIndex(1), 4000);
  const auto honest = placement_.reserve(PieceIndex(2), 1000);
  expect_aside(honest);
  const auto accepted = placement_.accept(honest);
  EXPECT_TRUE(accepted.exchanges_part);
  EXPECT_EQ(accepted.places_to_copy, std::vector{PieceIndex(2)});
  EXPECT_EQ(accepted.home, honest.spot);
  placement_.fill(PieceIndex(2));
  EXPECT_EQ(placement_.find(PieceIndex(2))->spot, part(2000));
  // The liar's place in the old file is nobody's in the new one.
  EXPECT_EQ(placement_.reserve(PieceIndex(1), 1000).spot, part(1000));
  placement_.release(liar);
}

TEST_F(PlacementTest, RescuesAVerifiedPieceFromAnExchangedPartFile) {
  const auto odd = placement_.reserve(PieceIndex(1), 4000);
  ASSERT_TRUE(placement_.accept(placement_.reserve(PieceIndex(2), 1000)).exchanges_part);
  const auto accepted = placement_.accept(odd);
  EXPECT_TRUE(accepted.needs_rescue);
  EXPECT_EQ(accepted.home.where, Where::side);
  EXPECT_EQ(placement_.find(PieceIndex(1))->spot, accepted.home);
  EXPECT_FALSE(placement_.is_regular());
}

TEST_F(PlacementTest, BelievesNoUnprovenSizeThatReachesTooFar) {
  expect_aside(placement_.reserve(PieceIndex(3), std::uint64_t{1} << 40));
}

TEST_F(PlacementTest, UsesTheSideFileAgainOnceNothingIsInIt) {
  const auto first = placement_.reserve(PieceIndex(4), 700);
  EXPECT_EQ(placement_.reserve(PieceIndex(4), 700).spot.offset, 700u);
  placement_.release(first);
  placement_.release(first);
  EXPECT_EQ(placement_.reserve(PieceIndex(4), 700).spot.offset, 0u);
}

TEST_F(PlacementTest, GoesOnWhereAnEarlierDownloadEnded) {
  placement_.restore_usual(1000);
  placement_.restore(PieceIndex(1), {part(1000), 1000});
  placement_.restore(PieceIndex(3), {{Where::side, 200}, 1000});
  EXPECT_EQ(placement_.find(PieceIndex(1))->spot, part(1000));
  EXPECT_EQ(placement_.find(PieceIndex(3))->spot, (Placement::Spot{Where::side, 200}));
  EXPECT_EQ(placement_.reserve(PieceIndex(4), 700).spot, part(4000));
  EXPECT_EQ(placement_.reserve(PieceIndex(1), 1000).spot, (Placement::Spot{Where::side, 1200}));
}

}  // namespace
}  // namespace shoal::storage::testing
