// Seeds for tests that draw their examples: other ones in each run. A failure prints its seed (SCOPED_TRACE it), and
// SHOAL_SEED=<seed> repeats that one alone.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace shoal::course {

inline std::vector<std::uint64_t> draw_seeds(std::size_t count) {
  if (const char* chosen = std::getenv("SHOAL_SEED")) return {std::strtoull(chosen, nullptr, 10)};
  std::vector<std::uint64_t> seeds;
  std::random_device random;
  for (std::size_t i = 0; i < count; ++i) seeds.push_back(random());
  return seeds;
}

inline std::string repeat_with(std::uint64_t seed) {
  return "repeat with SHOAL_SEED=" + std::to_string(seed);
}

}  // namespace shoal::course
