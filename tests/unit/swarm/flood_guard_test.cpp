#include "swarm/flood_guard.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

TEST(FloodGuard, AllowsABurstAndThenSoMuchASecond) {
  FloodGuard guard(10, 2);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(guard.take({}));
  EXPECT_FALSE(guard.take({}));
  EXPECT_FALSE(guard.take(base::Instant(400ms)));
  EXPECT_TRUE(guard.take(base::Instant(500ms)));
  EXPECT_FALSE(guard.take(base::Instant(500ms)));
}

TEST(FloodGuard, SavesUpNoMoreThanABurst) {
  FloodGuard guard(3, 100);
  EXPECT_TRUE(guard.take(base::Instant(1h), 3));
  EXPECT_FALSE(guard.take(base::Instant(1h)));
}

TEST(FloodGuard, WeighsWhatItIsTold) {
  FloodGuard guard(10, 1);
  EXPECT_FALSE(guard.take({}, 11));
  EXPECT_TRUE(guard.take({}, 10));
}

}  // namespace
}  // namespace shoal::swarm
