#include "sim/swarm_world.hpp"

#include <gtest/gtest.h>

#include <random>

#include "sim/swarm_plan.hpp"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kWorlds = 100;

// A fixed range would walk the same paths for ever; a failure names its seed.
std::uint64_t fresh_seed() {
  return std::random_device{}();
}

TEST(SwarmWorld, EndsWithEveryByteAtEverybody) {
  const std::uint64_t first = fresh_seed();
  for (std::uint64_t seed = first; seed < first + kWorlds; ++seed) {
    const SwarmPlan plan = draw_swarm_plan(seed);
    const SwarmRunResult result = run_swarm_world(plan, {});
    ASSERT_EQ(result.failure, "") << plan.describe() << "repeat it: shoal-sim --swarm --seed " << seed << " --verbose";
  }
}

TEST(SwarmWorld, GivesTheSameRunForTheSameSeed) {
  const std::uint64_t first = fresh_seed();
  for (std::uint64_t seed = first; seed < first + 10; ++seed) {
    const SwarmPlan plan = draw_swarm_plan(seed);
    ASSERT_EQ(run_swarm_world(plan, {}).trace_hash, run_swarm_world(plan, {}).trace_hash) << "seed " << seed;
  }
}

}  // namespace
}  // namespace shoal::sim
