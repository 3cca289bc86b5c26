#include "swarm/request_window.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

// A link of some speed and round trip, asked for exactly what the window says, block by block.
struct Link {
  double bytes_per_s;
  base::Duration round_trip;
};

struct Outcome {
  double share;                // of what the link could have carried
  std::uint64_t window_bytes;  // in the end
};

Outcome run(const Link& link, base::Duration time) {
  RequestWindow window;
  base::Instant now{};
  base::Instant line_free{};
  std::vector<std::pair<base::Instant, base::Instant>> under_way;  // asked at, arrives at; in this order
  std::size_t first = 0;
  std::uint64_t arrived = 0;
  const auto block_time = base::from_seconds(wire::kBlockBytes / link.bytes_per_s);
  window.on_busy(now);
  while (now < base::Instant(time)) {
    while ((under_way.size() - first) * wire::kBlockBytes < window.bytes(now)) {
      line_free = std::max(line_free, now + link.round_trip) + block_time;
      under_way.emplace_back(now, line_free);
    }
    const auto& [asked_at, arrives_at] = under_way[first++];
    now = arrives_at;
    window.on_answer(now - block_time - asked_at);
    window.on_payload(wire::kBlockBytes, now);
    arrived += wire::kBlockBytes;
  }
  const double possible = link.bytes_per_s * base::to_seconds(time - link.round_trip);
  return {static_cast<double>(arrived) / possible, window.bytes(now)};
}

TEST(RequestWindow, BeginsWithFourBlocks) {
  const RequestWindow window;
  EXPECT_EQ(window.bytes({}), 4 * wire::kBlockBytes);
  EXPECT_EQ(window.rate_bytes_per_s({}), 0);
}

TEST(RequestWindow, FillsEveryLink) {
  for (const Link& link : {Link{1e5, 50ms}, Link{1e6, 300ms}, Link{1e7, 20ms}, Link{1.2e8, 1ms}, Link{1.2e9, 200us},
                           Link{1.2e9, 30ms}, Link{5e9, 20us}}) {
    const auto time = std::max<base::Duration>(1s, 100 * link.round_trip);
    EXPECT_GT(run(link, time).share, 0.85) << link.bytes_per_s << " bytes/s, " << base::to_seconds(link.round_trip);
  }
}

TEST(RequestWindow, AsksANeighbourForATenthOfASecondAndOthersForASecond) {
  for (const auto& [link, seconds] :
       {std::pair{Link{1e7, 500us}, 0.1}, {Link{1e8, 1ms}, 0.1}, {Link{1e6, 40ms}, 1.0}, {Link{1e6, 500ms}, 2.0}}) {
    const Outcome outcome = run(link, 20s);
    EXPECT_LT(static_cast<double>(outcome.window_bytes), 1.3 * seconds * link.bytes_per_s);
    EXPECT_GT(static_cast<double>(outcome.window_bytes), 0.7 * seconds * link.bytes_per_s);
  }
}

TEST(RequestWindow, GrowsByWhatArrivesSoThatAShortBurstDoesNotFoolIt) {
  RequestWindow window;
  window.on_busy({});
  const base::Instant now(10ms);
  window.on_answer(10ms);
  window.on_payload(4 * wire::kBlockBytes, now);
  EXPECT_EQ(window.bytes(now), 8 * wire::kBlockBytes);
}

TEST(RequestWindow, ShrinksWhenThePeerSlowsDown) {
  RequestWindow window;
  base::Instant now{};
  window.on_busy(now);
  window.on_answer(100ms);
  for (int i = 0; i < 1000; ++i) window.on_payload(wire::kBlockBytes, now += 1ms);
  EXPECT_GT(window.bytes(now), 10'000'000u);
  for (int i = 0; i < 100; ++i) window.on_payload(wire::kBlockBytes, now += 100ms);
  EXPECT_LT(window.bytes(now), 300'000u);
}

}  // namespace
}  // namespace shoal::swarm
