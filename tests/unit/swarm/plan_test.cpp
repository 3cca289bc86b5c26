#include "swarm/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/rng.hpp"

namespace shoal::swarm {
namespace {

// Sources 0, 1, ... that are ready and need this long for a piece.
void add_ready(Plan& plan, std::vector<double> piece_s) {
  for (const double pace : piece_s) {
    const SourceSlot slot = plan.add_source();
    plan.set_pace(slot, 0, pace);
    plan.set_ready(slot, true);
  }
}

std::vector<SourceSlot> slots(std::initializer_list<std::uint32_t> values) {
  std::vector<SourceSlot> result;
  for (const std::uint32_t value : values) result.emplace_back(value);
  return result;
}

TEST(Plan, GivesCommonPiecesToEachSourceByItsPace) {
  Plan plan;
  add_ready(plan, {1, 3});
  plan.put(plan.make_class(ClassKind::listed, slots({0, 1})), 400);
  EXPECT_EQ(plan.assigned(SourceSlot(0)), 300u);
  EXPECT_EQ(plan.assigned(SourceSlot(1)), 100u);
}

TEST(Plan, KeepsASourceThatWouldEndLastOutOfIt) {
  Plan plan;
  add_ready(plan, {1, 100});
  plan.put(plan.make_class(ClassKind::listed, slots({0, 1})), 50);
  EXPECT_EQ(plan.assigned(SourceSlot(0)), 50u);
  EXPECT_EQ(plan.end_s(), 50);
}

TEST(Plan, CountsWhatIsUnderWayAlready) {
  Plan plan;
  add_ready(plan, {1, 1});
  plan.set_pace(SourceSlot(0), 10, 1);
  plan.put(plan.make_class(ClassKind::listed, slots({0, 1})), 20);
  EXPECT_EQ(plan.assigned(SourceSlot(0)), 5u);
  EXPECT_EQ(plan.assigned(SourceSlot(1)), 15u);
}

TEST(Plan, HandsOverAlongAChain) {
  // 0 shares only with 1, and 1 only with 2: relief for 0 has to go through 1.
  Plan plan;
  add_ready(plan, {1, 1, 1});
  const ClassId left = plan.make_class(ClassKind::listed, slots({0, 1}));
  const ClassId right = plan.make_class(ClassKind::listed, slots({1, 2}));
  const ClassId own = plan.make_class(ClassKind::listed, slots({0}));
  plan.put(right, 6);
  plan.put(left, 6);
  plan.put(own, 9);
  EXPECT_TRUE(plan.rebalance(100));
  EXPECT_EQ(plan.assigned(SourceSlot(0)), 9u);
  EXPECT_EQ(plan.assigned(SourceSlot(1)), 6u);
  EXPECT_EQ(plan.assigned(SourceSlot(2)), 6u);
}

TEST(Plan, FollowsAChangeOfPace) {
  Plan plan;
  add_ready(plan, {1, 1});
  plan.put(plan.make_class(ClassKind::listed, slots({0, 1})), 60);
  plan.set_pace(SourceSlot(0), 0, 2);
  EXPECT_TRUE(plan.rebalance(100));
  EXPECT_EQ(plan.assigned(SourceSlot(0)), 20u);
  EXPECT_EQ(plan.assigned(SourceSlot(1)), 40u);
}

TEST(Plan, GoesOnLaterWhereItHadToStop) {
  Plan plan;
  add_ready(plan, std::vector<double>(40, 1));
  std::vector<SourceSlot> all;
  for (std::uint32_t slot = 0; slot < 40; ++slot) all.emplace_back(slot);
  plan.put(plan.make_class(ClassKind::listed, all), 4000);
  for (std::uint32_t slot = 0; slot < 20; ++slot) plan.set_pace(SourceSlot(slot), 0, 3);
  EXPECT_FALSE(plan.rebalance(3));
  while (!plan.rebalance(3)) {
  }
  EXPECT_EQ(plan.end_s(), 150);
}

TEST(Plan, TakesWhatOnlyThisSourceCanGiveFirst) {
  Plan plan;
  add_ready(plan, {1, 1});
  const ClassId common = plan.make_class(ClassKind::listed, slots({0, 1}));
  const ClassId own = plan.make_class(ClassKind::listed, slots({0}));
  plan.put(common, 10);
  plan.put(own, 1);
  EXPECT_EQ(plan.pick(SourceSlot(0)), own);
  plan.take(own, SourceSlot(0));
  EXPECT_EQ(plan.pick(SourceSlot(0)), common);
}

TEST(Plan, TakesFirstWhatItSharesWithASlowSource) {
  Plan plan;
  add_ready(plan, {1, 1, 5});
  const ClassId with_fast = plan.make_class(ClassKind::listed, slots({0, 1}));
  const ClassId with_slow = plan.make_class(ClassKind::listed, slots({0, 2}));
  plan.put(with_fast, 10);
  plan.put(with_slow, 10);
  EXPECT_EQ(plan.pick(SourceSlot(0)), with_slow);
}

TEST(Plan, TakesDoubledPiecesLast) {
  Plan plan;
  add_ready(plan, {1, 1});
  const ClassId doubled = plan.make_class(ClassKind::doubled, slots({0}));
  const ClassId common = plan.make_class(ClassKind::unlisted, slots({0, 1}));
  plan.put(doubled, 1);
  plan.put(common, 10);
  EXPECT_EQ(plan.pick(SourceSlot(0)), common);
}

TEST(Plan, LetsPiecesWaitWhileNoOwnerIsReady) {
  Plan plan;
  add_ready(plan, {1, 1});
  plan.set_ready(SourceSlot(1), false);
  const ClassId own = plan.make_class(ClassKind::listed, slots({1}));
  plan.put(own, 3);
  EXPECT_FALSE(plan.pick(SourceSlot(1)));
  plan.set_ready(SourceSlot(1), true);
  EXPECT_EQ(plan.pick(SourceSlot(1)), own);
  EXPECT_EQ(plan.assigned(SourceSlot(1)), 3u);
}

TEST(Plan, GivesTheWorkOfALostSourceToTheOthers) {
  Plan plan;
  add_ready(plan, {1, 1, 1});
  plan.put(plan.make_class(ClassKind::listed, slots({0, 1, 2})), 90);
  plan.set_ready(SourceSlot(2), false);
  EXPECT_EQ(plan.assigned(SourceSlot(0)), 45u);
  EXPECT_EQ(plan.assigned(SourceSlot(1)), 45u);
  EXPECT_EQ(plan.assigned(SourceSlot(2)), 0u);
}

// The least time in which whole pieces can be given: for each set of sources, what only they have.
double least_end_s(const std::vector<double>& piece_s,
                   const std::vector<std::pair<std::uint32_t, std::uint32_t>>& work) {
  const std::uint32_t sets = 1u << piece_s.size();
  std::vector<double> ends;  // every moment at which some source can have given one more piece
  const std::uint32_t total =
      std::transform_reduce(work.begin(), work.end(), 0u, std::plus{}, [](const auto& part) { return part.second; });
  for (const double pace : piece_s) {
    for (std::uint32_t count = 0; count <= total; ++count) ends.push_back(count * pace);
  }
  std::ranges::sort(ends);
  const auto is_enough = [&](double end_s) {
    for (std::uint32_t set = 1; set < sets; ++set) {
      double capacity = 0;
      for (std::size_t slot = 0; slot < piece_s.size(); ++slot) {
        if (set >> slot & 1) capacity += std::floor(end_s / piece_s[slot] + 1e-9);
      }
      double needed = 0;
      for (const auto& [owners, count] : work) needed += (owners & ~set) == 0 ? count : 0;
      if (capacity < needed) return false;
    }
    return true;
  };
  return *std::ranges::partition_point(ends, [&](double end_s) { return !is_enough(end_s); });
}

TEST(Plan, IsTheBestThereIsForRandomOwnersAndPaces) {
  base::Rng rng(7);
  for (int round = 0; round < 300; ++round) {
    const std::size_t sources = 2 + rng.below(4);
    Plan plan;
    std::vector<double> piece_s;
    for (std::size_t slot = 0; slot < sources; ++slot) piece_s.push_back(1 + 9 * rng.unit());
    add_ready(plan, piece_s);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> work;
    for (std::uint32_t set = 1; set < 1u << sources; ++set) {
      if (rng.chance(0.5)) continue;
      work.emplace_back(set, 1 + rng.below(12));
      std::vector<SourceSlot> owners;
      for (std::uint32_t slot = 0; slot < sources; ++slot) {
        if (set >> slot & 1) owners.emplace_back(slot);
      }
      plan.put(plan.make_class(ClassKind::listed, owners), work.back().second);
    }
    while (!plan.rebalance(10)) {
    }
    EXPECT_NEAR(plan.end_s(), least_end_s(piece_s, work), 1e-6) << "round " << round;
  }
}

}  // namespace
}  // namespace shoal::swarm
