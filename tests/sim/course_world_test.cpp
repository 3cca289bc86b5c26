#include "sim/course_world.hpp"

#include <gtest/gtest.h>

#include <random>

#include "sim/course_plan.hpp"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kWorlds = 300;

// A fixed range would walk the same paths for ever; a failure names its seed.
std::uint64_t fresh_seed() {
  return std::random_device{}();
}

TEST(CourseWorld, EndsWithTheFileOrWithWhatNobodyHonestHas) {
  const std::uint64_t first = fresh_seed();
  for (std::uint64_t seed = first; seed < first + kWorlds; ++seed) {
    const CoursePlan plan = draw_course_plan(seed);
    const CourseRunResult result = run_course_world(plan, {});
    ASSERT_EQ(result.failure, "") << plan.describe() << "repeat it: shoal-sim --seed " << seed << " --verbose";
  }
}

TEST(CourseWorld, GivesTheSameRunForTheSameSeed) {
  const std::uint64_t first = fresh_seed();
  for (std::uint64_t seed = first; seed < first + 30; ++seed) {
    const CoursePlan plan = draw_course_plan(seed);
    ASSERT_EQ(run_course_world(plan, {}).trace_hash, run_course_world(plan, {}).trace_hash) << "seed " << seed;
  }
}

TEST(CourseWorld, NoticesAStoreThatAcceptsUnverifiedPieces) {
  const CourseRunOptions broken{.broken_rule = BrokenRule::accepts_unverified_pieces, .log = nullptr};
  const std::uint64_t first = fresh_seed();
  bool is_noticed = false;
  for (std::uint64_t seed = first; seed < first + kWorlds && !is_noticed; ++seed) {
    is_noticed = !run_course_world(draw_course_plan(seed), broken).failure.empty();
  }
  EXPECT_TRUE(is_noticed) << "from seed " << first;
}

}  // namespace
}  // namespace shoal::sim
