#include <gtest/gtest.h>

#include "tests/unit/swarm/spreading.hpp"

namespace shoal::swarm::test {
namespace {

TEST(PickerSpreading, ManyHostsAreDoneSoonAfterTheSeedGaveEverythingOnce) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const Spreading spreading = SpreadingSwarm(16, 64, seed).play();
    ASSERT_GT(spreading.rounds, 0U);
    EXPECT_LE(spreading.factor(), 1.5) << "seed " << seed;
  }
}

TEST(PickerSpreading, AmongTwoHostsNothingIsGivenTwiceByTheSeed) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Spreading spreading = SpreadingSwarm(2, 100, seed).play();
    EXPECT_LE(spreading.rounds, spreading.least + 2) << "seed " << seed;
  }
}

}  // namespace
}  // namespace shoal::swarm::test
