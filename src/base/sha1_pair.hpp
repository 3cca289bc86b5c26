// SHA-1 of two streams of one length at once. A round of SHA-1 waits for the one before it; with a second stream the
// core has something to do meanwhile, so that two take hardly longer than one where the processor has instructions for
// SHA-1. Elsewhere it is two hashers one after the other. Used where many pieces are hashed in a row.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/sha1.hpp"

namespace shoal::base {

class Sha1Pair {
 public:
  enum class Way : std::uint8_t { one_after_the_other, at_once };

  explicit Sha1Pair(Way way = best_way());
  ~Sha1Pair();
  Sha1Pair(Sha1Pair&&) noexcept;
  Sha1Pair& operator=(Sha1Pair&&) noexcept;

  // The next bytes of each, as many of one as of the other.
  void update(ByteView first, ByteView second);
  // Once. Both hashes.
  [[nodiscard]] std::array<Sha1Hash, 2> finish();

  // At once where this processor can; asking for more than it can is a bug.
  [[nodiscard]] static Way best_way();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace shoal::base
