#include "swarm/rarity_order.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>

namespace shoal::swarm::test {
namespace {

using base::PieceIndex;

TEST(RarityOrder, AnswersLikeOneThatLooksAtEverything) {
  constexpr std::uint32_t count = 150;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    base::Rng rng(seed);
    RarityOrder order(count, rng.fork());
    std::map<PieceIndex, std::uint32_t> levels;
    base::Bitfield members(count);
    for (int step = 0; step < 2000; ++step) {
      const PieceIndex piece(static_cast<std::uint32_t>(rng.below(count)));
      const std::uint64_t drawn = rng.below(4);
      if (drawn == 0 && !members.test(piece)) {
        order.add(piece);
        members.set(piece);
      } else if (drawn == 1 && members.test(piece)) {
        order.remove(piece);
        members.reset(piece);
      } else if (drawn == 2) {
        order.raise(piece);
        ++levels[piece];
      } else if (levels[piece] > 0) {
        order.lower(piece);
        --levels[piece];
      }
      if (step % 20 != 0) continue;
      order.audit();
      base::Bitfield has(count);
      for (std::uint64_t i = rng.below(count); i > 0; --i)
        has.set(PieceIndex(static_cast<std::uint32_t>(rng.below(count))));
      std::optional<std::uint32_t> rarest;
      std::optional<PieceIndex> lowest;
      for (PieceIndex each; each.value < count; ++each.value) {
        if (!members.test(each) || !has.test(each)) continue;
        if (!lowest) lowest = each;
        if (!rarest || levels[each] < *rarest) rarest = levels[each];
      }
      std::uint32_t floor = 0;
      const auto found = order.rarest(has, floor);
      ASSERT_EQ(found.has_value(), rarest.has_value());
      EXPECT_EQ(order.lowest(has), lowest);
      if (!found) continue;
      EXPECT_TRUE(has.test(*found) && members.test(*found));
      EXPECT_EQ(levels[*found], *rarest);
      EXPECT_EQ(floor, *rarest);
    }
  }
}

TEST(RarityOrder, EqualsAreAboutEquallyLikely) {
  constexpr std::uint32_t count = 512;
  std::map<PieceIndex, int> drawn;
  base::Bitfield has(count);
  for (const std::uint32_t piece : {3U, 100U, 101U, 102U, 400U}) has.set(PieceIndex(piece));
  for (std::uint64_t seed = 0; seed < 5000; ++seed) {
    RarityOrder order(count, base::Rng(seed));
    for (PieceIndex piece; piece.value < count; ++piece.value) order.add(piece);
    std::uint32_t floor = 0;
    ++drawn[*order.rarest(has, floor)];
  }
  ASSERT_EQ(drawn.size(), 5U);
  for (const auto& [piece, times] : drawn) {
    EXPECT_GT(times, 700) << piece.value;
    EXPECT_LT(times, 1300) << piece.value;
  }
}

TEST(RarityOrder, TheFloorSkipsWhatIsKnownToHaveNothing) {
  RarityOrder order(3, base::Rng(1));
  for (PieceIndex piece; piece.value < 3; ++piece.value) order.add(piece);
  order.raise(PieceIndex(2));
  base::Bitfield has(3);
  has.set(PieceIndex(2));
  std::uint32_t floor = 0;
  EXPECT_EQ(order.rarest(has, floor), PieceIndex(2));
  EXPECT_EQ(floor, 1U);
  order.remove(PieceIndex(2));
  EXPECT_EQ(order.rarest(has, floor), std::nullopt);
  EXPECT_GT(floor, 1U);
}

}  // namespace
}  // namespace shoal::swarm::test
