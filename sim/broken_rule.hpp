// Rules that can be broken on purpose, to see that a world notices.
#pragma once

#include <cstdint>

namespace shoal::sim {

enum class BrokenRule : std::uint8_t {
  none,
  accepts_unverified_pieces,  // stores do not compare hashes
};

}  // namespace shoal::sim
