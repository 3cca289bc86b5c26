// How fast one core hashes what is in its cache: the floor that bench/make_speed measures against. Prints
// "sha1 <bytes per second>".
#include <fmt/format.h>

#include <chrono>

#include "base/sha1.hpp"

int main() {
  using Clock = std::chrono::steady_clock;
  constexpr auto kAtLeast = std::chrono::seconds(1);
  const shoal::base::Bytes block(256 * 1024, std::byte{0x5a});
  shoal::base::Sha1Hasher hasher;
  std::uint64_t bytes = 0;
  const Clock::time_point begin = Clock::now();
  Clock::time_point now = begin;
  for (; now - begin < kAtLeast; now = Clock::now()) {
    hasher.update(block);
    bytes += block.size();
  }
  const double seconds = std::chrono::duration<double>(now - begin).count();
  fmt::print("sha1 {:.0f}\n", static_cast<double>(bytes) / seconds);
  return hasher.finish() == shoal::base::Sha1Hash{} ? 1 : 0;  // so that the work is not left out
}
