// How many random rounds a test plays.
#pragma once

namespace shoal {

// All of them, or a fifth under the sanitizers: those look for wrong code, which the first rounds run as well as the
// rest. Limits of what the rounds measure together have to hold for a fifth, too.
template <typename Count>
constexpr Count rounds_of(Count all) {
#ifdef SHOAL_SANITIZED
  return (all + 4) / 5;
#else
  return all;
#endif
}

}  // namespace shoal
