#include "storage/known_file.hpp"

#include <algorithm>
#include <atomic>

namespace shoal::storage {
namespace {

// How much of a file is hashed to find out the size of its pieces.
constexpr std::uint64_t kGuessBytesMax = 64u << 20;

// The multiple of the highest power of `base` that lies in [low, high].
std::uint64_t roundest(std::uint64_t low, std::uint64_t high, std::uint64_t base) {
  std::uint64_t best = low;
  for (std::uint64_t step = 1; step <= high; step *= base) {
    const std::uint64_t multiple = (low + step - 1) / step * step;
    if (multiple > high) break;
    best = multiple;
    if (step > high / base) break;
  }
  return best;
}

// Sizes a piece may have when `count` of them, the last one shorter or equal, make a file of this size. People cut at
// round numbers or in equal parts; all possible sizes are tried where that is little work.
std::vector<std::uint64_t> likely_piece_sizes(std::uint64_t size_bytes, std::uint64_t count) {
  if (count == 1) return {size_bytes};
  const std::uint64_t low = (size_bytes + count - 1) / count;
  const std::uint64_t high = (size_bytes - 1) / (count - 1);
  if (low > high) return {};
  std::vector<std::uint64_t> sizes = {roundest(low, high, 2), roundest(low, high, 10), low};
  if (high - low < kGuessBytesMax / high) {
    for (std::uint64_t size = low; size <= high; ++size) sizes.push_back(size);
  }
  return sizes;
}

}  // namespace

bool pieces_match(int fd, std::span<const ByteRange> places, const metainfo::Manifest& manifest) {
  std::atomic<bool> all_match = true;
  run_in_parallel(places.size(), [&](std::size_t i) {
    if (all_match && hash_range(fd, places[i]) != manifest.pieces[i]) all_match = false;
  });
  return all_match;
}

std::optional<std::vector<ByteRange>> recognise_file(int fd, std::uint64_t size_bytes,
                                                     const metainfo::Manifest& manifest) {
  std::vector<ByteRange> places(manifest.pieces.size());
  if (places.empty()) return size_bytes == 0 ? std::optional(places) : std::nullopt;
  if (size_bytes < places.size()) return std::nullopt;
  for (const std::uint64_t piece_bytes : likely_piece_sizes(size_bytes, places.size())) {
    if (hash_range(fd, {0, piece_bytes}) != manifest.pieces.front()) continue;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const std::uint64_t offset = i * piece_bytes;
      places[i] = {offset, std::min(piece_bytes, size_bytes - offset)};
    }
    return pieces_match(fd, places, manifest) ? std::optional(std::move(places)) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace shoal::storage
