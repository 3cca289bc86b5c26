#include "swarm/rate_meter.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

base::Instant at(double seconds) {
  return base::Instant{} + base::from_seconds(seconds);
}

// Payload at a steady rate in small parts; gives the time at its end.
double stream(RateMeter& meter, double from_s, double until_s, double rate, double every_s = 0.01) {
  double time_s = from_s + every_s;
  for (; time_s <= until_s + 1e-9; time_s += every_s) {
    meter.on_payload(static_cast<std::uint64_t>(rate * every_s), at(time_s));
  }
  return time_s - every_s;
}

TEST(RateMeter, KnowsNothingBeforeAnythingArrived) {
  RateMeter meter;
  EXPECT_EQ(meter.rate_bytes_per_s(at(1)), 0);
  meter.on_busy(at(1));
  EXPECT_EQ(meter.rate_bytes_per_s(at(2)), 0);
  EXPECT_FALSE(meter.is_warm());
}

TEST(RateMeter, ShowsASteadyRate) {
  RateMeter meter;
  meter.on_busy(at(0));
  stream(meter, 0, 0.1, 1e6);
  EXPECT_TRUE(meter.is_warm());
  EXPECT_NEAR(meter.rate_bytes_per_s(at(0.1)), 1e6, 0.1e6);
  stream(meter, 0.1, 5, 1e6);
  EXPECT_NEAR(meter.rate_bytes_per_s(at(5)), 1e6, 0.02e6);
}

TEST(RateMeter, ForgetsAFirstBurstWithinASecond) {
  RateMeter meter;
  meter.on_busy(at(0));
  meter.on_payload(512 * 1024, at(0.001));
  EXPECT_GT(meter.rate_bytes_per_s(at(0.002)), 100e6);
  stream(meter, 0.001, 1, 1e6);
  EXPECT_NEAR(meter.rate_bytes_per_s(at(1)), 1e6, 0.1e6);
}

TEST(RateMeter, FollowsAChangeWithinTwoSeconds) {
  RateMeter meter;
  meter.on_busy(at(0));
  const double time_s = stream(meter, 0, 10, 1e6);
  stream(meter, time_s, time_s + 2, 5e6);
  EXPECT_NEAR(meter.rate_bytes_per_s(at(time_s + 2)), 5e6, 0.4e6);
}

TEST(RateMeter, DoesNotCountIdleTime) {
  RateMeter meter;
  meter.on_busy(at(0));
  stream(meter, 0, 2, 1e6);
  meter.on_idle(at(2));
  EXPECT_NEAR(meter.rate_bytes_per_s(at(100)), 1e6, 0.05e6);
  meter.on_busy(at(100));
  stream(meter, 100, 100.5, 1e6);
  EXPECT_NEAR(meter.rate_bytes_per_s(at(100.5)), 1e6, 0.05e6);
}

TEST(RateMeter, CountsTheDelayOfAnswersOfSmallPieces) {
  RateMeter meter;
  for (int piece = 0; piece < 40; ++piece) {  // 1,000 bytes after 0.2 s each time: 5,000 bytes/s
    meter.on_busy(at(piece * 0.2));
    meter.on_payload(1000, at(piece * 0.2 + 0.2));
    meter.on_idle(at(piece * 0.2 + 0.2));
  }
  EXPECT_NEAR(meter.rate_bytes_per_s(at(8)), 5000, 1500);
}

TEST(RateMeter, FallsInSilenceAndIsBackWhenItEnds) {
  RateMeter meter;
  meter.on_busy(at(0));
  stream(meter, 0, 3, 1e6);
  EXPECT_LT(meter.rate_bytes_per_s(at(4)), 0.01e6);
  meter.on_payload(10000, at(4));
  EXPECT_GT(meter.rate_bytes_per_s(at(4)), 0.1e6);
}

}  // namespace
}  // namespace shoal::swarm
