// The blocks of a run, by number: which bytes each of them is, and sets of them as bits. Used by swarm::PeerSession and
// what it is made of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "swarm/picker.hpp"

namespace shoal::swarm {

// Bit n stands for block n of a run.
using BlockSet = std::uint32_t;
inline constexpr std::uint32_t kRunBlocksMax = kRunBytesMax / wire::kBlockBytes;
static_assert(kRunBlocksMax < 32 && kRunBytesMax % wire::kBlockBytes == 0);

[[nodiscard]] constexpr std::uint32_t block_count(const Run& run) {
  return (run.size_bytes + wire::kBlockBytes - 1) / wire::kBlockBytes;
}
[[nodiscard]] constexpr BlockSet all_blocks(const Run& run) {
  return (BlockSet{1} << block_count(run)) - 1;
}
[[nodiscard]] constexpr wire::BlockRange block_at(const Run& run, std::uint32_t number) {
  const std::uint32_t begin = number * wire::kBlockBytes;
  return {run.piece, run.offset_bytes + begin, std::min(wire::kBlockBytes, run.size_bytes - begin)};
}
// Nothing when it is not exactly one of the run's.
[[nodiscard]] inline std::optional<std::uint32_t> number_of(const Run& run, const wire::BlockRange& block) {
  if (block.piece != run.piece || block.offset_bytes < run.offset_bytes) return std::nullopt;
  const std::uint32_t begin = block.offset_bytes - run.offset_bytes;
  if (begin >= run.size_bytes || begin % wire::kBlockBytes != 0) return std::nullopt;
  const std::uint32_t number = begin / wire::kBlockBytes;
  if (block_at(run, number) != block) return std::nullopt;
  return number;
}
[[nodiscard]] constexpr bool overlaps(const Run& run, const Run& other) {
  return run.piece == other.piece &&
         std::uint64_t{run.offset_bytes} < std::uint64_t{other.offset_bytes} + other.size_bytes &&
         std::uint64_t{other.offset_bytes} < std::uint64_t{run.offset_bytes} + run.size_bytes;
}
// The blocks of `run` that have bytes of `range`.
[[nodiscard]] constexpr BlockSet blocks_in(const Run& run, const Run& range) {
  BlockSet blocks = 0;
  for (std::uint32_t number = 0; number < block_count(run); ++number) {
    if (overlaps(block_at(run, number), range)) blocks |= BlockSet{1} << number;
  }
  return blocks;
}
// These blocks as few ranges, in their order.
[[nodiscard]] inline std::vector<Run> parts_of(const Run& run, BlockSet blocks) {
  std::vector<Run> parts;
  for (std::uint32_t number = 0; number < block_count(run); ++number) {
    if ((blocks >> number & 1) == 0) continue;
    const wire::BlockRange block = block_at(run, number);
    if (!parts.empty() && parts.back().offset_bytes + parts.back().size_bytes == block.offset_bytes) {
      parts.back().size_bytes += block.size_bytes;
    } else {
      parts.push_back(block);
    }
  }
  return parts;
}

}  // namespace shoal::swarm
