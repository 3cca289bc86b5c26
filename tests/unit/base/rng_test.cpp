#include "base/rng.hpp"

#include <gtest/gtest.h>

#include <set>

namespace shoal::base {
namespace {

TEST(Rng, GivesTheSameNumbersForTheSameSeed) {
  Rng one(7);
  Rng two(7);
  Rng other(8);
  bool is_other_different = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t number = one.next();
    EXPECT_EQ(two.next(), number);
    is_other_different = is_other_different || other.next() != number;
  }
  EXPECT_TRUE(is_other_different);
}

TEST(Rng, AForkGoesItsOwnWayAndIsRepeatable) {
  Rng one(7);
  Rng two(7);
  Rng fork_of_one = one.fork();
  Rng fork_of_two = two.fork();
  EXPECT_EQ(fork_of_one.next(), fork_of_two.next());
  EXPECT_NE(fork_of_one.next(), one.next());
}

TEST(Rng, StaysWithinItsBounds) {
  Rng rng(7);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.insert(rng.below(5));
    const double unit = rng.unit();
    EXPECT_TRUE(unit >= 0 && unit < 1);
  }
  EXPECT_EQ(seen, (std::set<std::uint64_t>{0, 1, 2, 3, 4}));
}

TEST(Rng, KnowsNeverAndAlways) {
  Rng rng(7);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(rng.chance(0));
    EXPECT_TRUE(rng.chance(1));
  }
}

TEST(RngDeathTest, RefusesToDrawFromNothing) {
  EXPECT_DEATH(static_cast<void>(Rng(7).below(0)), "internal error");
}

}  // namespace
}  // namespace shoal::base
