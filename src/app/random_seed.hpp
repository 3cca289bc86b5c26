// Where the random numbers of a run begin. Used by the commands that make machines.
#pragma once

#include <cstdint>
#include <random>

namespace shoal::app {

// All 64 bits of it: what a tracker's connection ids are made of is not to be found by trying.
inline std::uint64_t random_seed() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | random();
}

}  // namespace shoal::app
