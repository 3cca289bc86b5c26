#include "sim/swarm_world.hpp"

#include <gtest/gtest.h>

#include <random>

#include "sim/swarm_plan.hpp"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kWorlds = 60;

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

// What is drawn has to matter, or the worlds show nothing.
TEST(SwarmWorld, LiarsAreMetAndFaultsComeInTheMiddle) {
  const std::uint64_t first = fresh_seed();
  int wrong_pieces = 0;
  int convictions = 0;
  int partitions = 0;
  int partitions_felt = 0;
  int tracker_kills = 0;
  int tracker_kills_felt = 0;
  constexpr int kEnough = 5;
  const auto is_enough = [&] {
    return wrong_pieces >= kEnough && convictions >= kEnough && partitions >= kEnough && tracker_kills >= kEnough;
  };
  for (std::uint64_t seed = first; seed < first + kWorlds && !is_enough(); ++seed) {
    const SwarmPlan plan = draw_swarm_plan(seed);
    const SwarmRunResult result = run_swarm_world(plan, {});
    wrong_pieces += static_cast<int>(result.wrong_pieces);
    convictions += static_cast<int>(result.convictions);
    partitions += plan.partition_at ? 1 : 0;
    partitions_felt += static_cast<int>(result.partitions_felt);
    tracker_kills += plan.has_tracker() ? static_cast<int>(plan.tracker_kills.size()) : 0;
    tracker_kills_felt += static_cast<int>(result.tracker_kills_felt);
  }
  EXPECT_TRUE(is_enough()) << "from seed " << first;
  EXPECT_GE(partitions_felt, 1) << "of " << partitions << " from seed " << first;
  EXPECT_GE(tracker_kills_felt, 1) << "of " << tracker_kills << " from seed " << first;
}

TEST(SwarmWorld, NoticesStoresThatAcceptUnverifiedPieces) {
  const SwarmRunOptions broken{.broken_rule = BrokenRule::accepts_unverified_pieces, .log = nullptr};
  const std::uint64_t first = fresh_seed();
  bool is_noticed = false;
  for (std::uint64_t seed = first; seed < first + kWorlds && !is_noticed; ++seed) {
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
