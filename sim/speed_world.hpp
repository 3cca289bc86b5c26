// How close a download comes to the shortest possible time: honest peers of random speeds with random, overlapping
// ownership, the real client and peers, virtual time. The bound is, over all sets of peers, the bytes that only they
// have divided by their joint speed.
#pragma once

#include <cstdint>
#include <vector>

namespace shoal::sim {

struct SpeedSummary {
  double median = 0;
  double percentile_95 = 0;
  double worst = 0;
  std::uint64_t worst_seed = 0;
};

// Finishing time over the bound of one random world with 2-8 peers.
[[nodiscard]] double measure_speed_once(std::uint64_t seed);
[[nodiscard]] SpeedSummary measure_speed(std::uint64_t first_seed, std::uint64_t runs);

// max over non-empty sets S of peers of (sum of bytes of chunks whose owners all lie in S) / (sum of rates in S).
// owners: for each chunk the set of its owners, as bits.
[[nodiscard]] double shortest_time_s(const std::vector<std::uint32_t>& owners, double chunk_bytes,
                                     const std::vector<double>& rates_bytes_per_s);

}  // namespace shoal::sim
