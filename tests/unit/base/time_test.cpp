#include "base/time.hpp"

#include <gtest/gtest.h>

namespace shoal::base {
namespace {

using namespace std::chrono_literals;

TEST(Time, ConvertsSecondsBothWays) {
  EXPECT_DOUBLE_EQ(to_seconds(1500ms), 1.5);
  EXPECT_EQ(from_seconds(1.5), Duration(1500ms));
  EXPECT_EQ(from_seconds(-0.25), Duration(-250ms));
}

TEST(Time, ARunBeginsAtItsEpoch) {
  EXPECT_EQ(Instant().time_since_epoch(), Duration(0));
  EXPECT_EQ(Instant() + 2s - Instant(), Duration(2s));
}

}  // namespace
}  // namespace shoal::base
