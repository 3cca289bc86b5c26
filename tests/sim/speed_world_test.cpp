#include "sim/speed_world.hpp"

#include <gtest/gtest.h>

#include <random>

#include "support/rounds.hpp"

namespace shoal::sim {
namespace {

TEST(SpeedWorld, ComputesTheBoundOfTheCoursesThirds) {
  // 30 chunks: alice's, both's, bob's; speeds 100 and 60. Together 160, and no single set is slower.
  std::vector<std::uint32_t> owners;
  for (int i = 0; i < 30; ++i) owners.push_back(i < 10 ? 1u : i < 20 ? 3u : 2u);
  EXPECT_DOUBLE_EQ(shortest_time_s(owners, 16.0, {100.0, 60.0}), 30 * 16.0 / 160.0);
  // A bob of 10 is the bound by himself: his own third.
  EXPECT_DOUBLE_EQ(shortest_time_s(owners, 16.0, {100.0, 10.0}), 10 * 16.0 / 10.0);
}

// Virtual time, so this is a property of the choices made and not of this machine.
TEST(SpeedWorld, FinishesNearTheBoundForRandomOwnerships) {
  const SpeedSummary summary = measure_speed(std::random_device{}(), rounds_of(100));
  EXPECT_LE(summary.median, 1.02) << "worst seed " << summary.worst_seed;
  EXPECT_LE(summary.worst, 1.10) << "worst seed " << summary.worst_seed;
}

}  // namespace
}  // namespace shoal::sim
