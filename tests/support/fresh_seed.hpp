// A fixed range of seeds would walk the same paths for ever; a failure names its seed.
#pragma once

#include <cstdint>
#include <random>

namespace shoal::sim {

inline std::uint64_t fresh_seed() {
  return std::random_device{}();
}

}  // namespace shoal::sim
