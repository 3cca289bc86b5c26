#include "base/strong.hpp"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace shoal::base {
namespace {

using Apples = Strong<struct ApplesTag>;
using Pears = Strong<struct PearsTag>;

// Numbers of one kind become another kind, or a plain number, only when somebody says so.
static_assert(!std::is_convertible_v<Apples, Pears>);
static_assert(!std::is_constructible_v<Apples, Pears>);
static_assert(!std::is_convertible_v<std::uint32_t, Apples>);
static_assert(!std::is_convertible_v<Apples, std::uint32_t>);
static_assert(sizeof(Apples) == sizeof(std::uint32_t));

TEST(Strong, BeginsAtZeroAndComparesAsItsNumber) {
  EXPECT_EQ(Apples().value, 0u);
  EXPECT_EQ(Apples(3), Apples(3));
  EXPECT_LT(Apples(2), Apples(10));
}

TEST(Strong, CanBeKeptInASet) {
  const std::unordered_set<Apples> known = {Apples(1), Apples(2), Apples(1)};
  EXPECT_EQ(known.size(), 2u);
}

}  // namespace
}  // namespace shoal::base
