// The random numbers of a machine. Each machine is given its own Rng with a seed, so a run can be repeated exactly.
#pragma once

#include <cstdint>
#include <random>

#include "base/check.hpp"

namespace shoal::base {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t next() { return engine_(); }
  // A number in [0, bound). bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    SHOAL_CHECK(bound > 0);
    return engine_() % bound;
  }
  // A number in [0, 1).
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }
  bool chance(double probability) { return unit() < probability; }
  // A new generator that goes its own way.
  Rng fork() { return Rng(engine_()); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace shoal::base
