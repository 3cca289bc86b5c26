#include "sim/course_world.hpp"

#include <gtest/gtest.h>

#include "sim/course_plan.hpp"
#include "support/fresh_seed.hpp"

namespace shoal::sim {
namespace {

constexpr std::uint64_t kCourseWorlds = 300;

TEST(CourseWorld, EndsWithTheFileOrWithWhatNobodyHonestHas) {
  const std::uint64_t first = fresh_seed();
  for (std::uint64_t seed = first; seed < first + kCourseWorlds; ++seed) {
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
  for (std::uint64_t seed = first; seed < first + kCourseWorlds && !is_noticed; ++seed) {
    is_noticed = !run_course_world(draw_course_plan(seed), broken).failure.empty();
  }
  EXPECT_TRUE(is_noticed) << "from seed " << first;
}

}  // namespace
}  // namespace shoal::sim
