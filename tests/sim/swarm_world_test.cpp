#include "sim/swarm_world.hpp"

#include <gtest/gtest.h>

#include "sim/swarm_plan.hpp"
#include "support/fresh_seed.hpp"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kSwarmWorlds = 60;

TEST(SwarmWorld, EndsWithEveryByteAtEverybody) {
  const std::uint64_t first = fresh_seed();
  for (std::uint64_t seed = first; seed < first + kSwarmWorlds; ++seed) {
    const SwarmPlan plan = draw_swarm_plan(seed);
    const SwarmRunResult result = run_swarm_world(plan, {});
    ASSERT_EQ(result.failure, "") << plan.describe() << "repeat it: shoal-sim --swarm --seed " << seed << " --verbose";
  }
}

// What is drawn has to matter, or the worlds show nothing.
TEST(SwarmWorld, LiarsAreMetAndFaultsComeInTheMiddle) {
  constexpr std::uint64_t kWorldsMax = 500;  // each of these happens in one of twenty at least
  const std::uint64_t first = fresh_seed();
  SwarmRunResult met;
  const auto is_everything_met = [&met] {
    return met.wrong_pieces > 0 && met.convictions > 0 && met.partitions_felt > 0 && met.tracker_kills_felt > 0;
  };
  for (std::uint64_t seed = first; seed < first + kWorldsMax && !is_everything_met(); ++seed) {
    const SwarmRunResult result = run_swarm_world(draw_swarm_plan(seed), {});
    met.wrong_pieces += result.wrong_pieces;
    met.convictions += result.convictions;
    met.partitions_felt += result.partitions_felt;
    met.tracker_kills_felt += result.tracker_kills_felt;
  }
  EXPECT_GT(met.wrong_pieces, 0u) << "from seed " << first;
  EXPECT_GT(met.convictions, 0u) << "from seed " << first;
  EXPECT_GT(met.partitions_felt, 0u) << "from seed " << first;
  EXPECT_GT(met.tracker_kills_felt, 0u) << "from seed " << first;
}

TEST(SwarmWorld, NoticesStoresThatAcceptUnverifiedPieces) {
  const SwarmRunOptions broken{.broken_rule = BrokenRule::accepts_unverified_pieces, .log = nullptr};
  const std::uint64_t first = fresh_seed();
  bool is_noticed = false;
  for (std::uint64_t seed = first; seed < first + kSwarmWorlds && !is_noticed; ++seed) {
    is_noticed = !run_swarm_world(draw_swarm_plan(seed), broken).failure.empty();
  }
  EXPECT_TRUE(is_noticed) << "from seed " << first;
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
