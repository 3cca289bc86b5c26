#include "roles/token_bucket.hpp"

#include <gtest/gtest.h>

namespace shoal::roles {
namespace {

using namespace std::chrono_literals;
using base::Instant;

constexpr Instant kStart{1h};

// Moves `each` bytes whenever that is allowed.
std::uint64_t moved_within(base::Duration time, std::uint64_t rate, std::uint64_t each) {
  TokenBucket bucket(rate);
  Instant now = kStart;
  std::uint64_t moved = 0;
  while (now <= kStart + time) {
    if (bucket.available(now) > 0) {
      bucket.take(each, now);
      moved += each;
    } else {
      now = bucket.available_at(now);
    }
  }
  return moved;
}

TEST(TokenBucket, LetsEverythingThroughWithoutALimit) {
  TokenBucket bucket(0);
  bucket.take(1u << 30, kStart);
  EXPECT_GT(bucket.available(kStart), 1u << 30);
  EXPECT_EQ(bucket.available_at(kStart), kStart);
}

TEST(TokenBucket, KeepsToItsRateForSmallAndForBigPieces) {
  for (const std::uint64_t rate : {1'000ull, 50'000ull, 5'000'000ull}) {
    for (const std::uint64_t each : {100ull, 16'384ull, 262'144ull}) {
      const double moved = static_cast<double>(moved_within(5s, rate, each));
      const double allowed = 5.0 * static_cast<double>(rate);
      const double burst = std::max(static_cast<double>(rate) / 4, 16'384.0) + static_cast<double>(each);
      EXPECT_LE(moved, allowed + burst) << rate << ' ' << each;
      EXPECT_GE(moved, allowed * 0.9) << rate << ' ' << each;
    }
  }
}

TEST(TokenBucket, SavesUpNoMoreThanABurst) {
  TokenBucket bucket(1'000'000);
  EXPECT_LE(bucket.available(kStart + 24h), 250'000u);
}

TEST(TokenBucket, SaysWhenThereWillBeSomething) {
  TokenBucket bucket(1'000);
  bucket.take(1'000'000, kStart);
  const Instant when = bucket.available_at(kStart);
  EXPECT_EQ(bucket.available(when - 1ms), 0u);
  EXPECT_GT(bucket.available(when), 0u);
}

}  // namespace
}  // namespace shoal::roles
