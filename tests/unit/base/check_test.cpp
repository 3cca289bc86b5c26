#include "base/check.hpp"

#include <gtest/gtest.h>

namespace shoal::base {
namespace {

TEST(CheckDeathTest, EndsTheProgramWithThePlaceAndTheClaim) {
  EXPECT_DEATH(SHOAL_CHECK(1 + 1 == 3), "check_test.cpp:[0-9]+: internal error: 1 \\+ 1 == 3 does not hold");
}

TEST(Check, TestsItsClaimOnceAndGoesOnWhenItHolds) {
  int tested = 0;
  SHOAL_CHECK(++tested == 1);
  EXPECT_EQ(tested, 1);
}

}  // namespace
}  // namespace shoal::base
