// Hosts that do not do what they should: a real machine whose actions are bent on their way out. What is bent is the
// wire, never the machine, so that the honest code under test stays the code that ships.
#pragma once

#include <memory>

#include "base/rng.hpp"
#include "seam/machine.hpp"

namespace shoal::sim {

enum class Oddity : std::uint8_t {
  none,
  wrong_bytes,   // CHUNKs of the right length with one bit flipped
  wrong_chunk,   // CHUNKs that answer for another hash
  silent,        // accepts, reads, never answers
  cut_short,     // ends the connection in the middle of a CHUNK, now and then
  garbage,       // answers with noise
  lying_length,  // headers with a length of 0, 1, 2^32-1 or little-endian
  refuses_all,   // CHUNK_NOT_FOUND to everything
  dribbles,      // stops in the middle of a CHUNK and stays connected
};
inline constexpr int kOddityCount = 9;

[[nodiscard]] std::string_view to_string(Oddity oddity);

[[nodiscard]] std::unique_ptr<seam::Machine> make_odd(std::unique_ptr<seam::Machine> honest, Oddity oddity,
                                                      base::Rng rng);

// A client of a peer or tracker that asks as fast as it can, never reads an answer, and mixes in noise.
[[nodiscard]] std::unique_ptr<seam::Machine> make_flooder(base::Endpoint target, base::Bytes request, base::Rng rng);

}  // namespace shoal::sim
