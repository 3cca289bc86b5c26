// The hashes of all pieces of what lies on the disk, on all processors, on each two at a time. Used to hash what is
// going to be shared and to check what is there.
//
// Each piece is read once, in order, in big reads; memory does not grow with pieces, files or their sizes. Padding is
// zeros and is on no disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <vector>

#include "metainfo/manifest.hpp"
#include "storage/files.hpp"

namespace shoal::storage {

// The parts of a piece: which of the layout's files, and what of it. Files without bytes have no part in any.
struct PiecePart {
  std::size_t file = 0;
  ByteRange range;  // in the file
};
[[nodiscard]] std::vector<PiecePart> parts_of(const metainfo::Manifest& manifest, base::PieceIndex piece);

// Told now and then how many bytes were read so far, by whichever thread it is; never by two at once.
using ReadProgress = std::function<void(std::uint64_t bytes)>;

struct PieceHashing {
  const metainfo::Manifest* manifest = nullptr;  // with a layout; its hashes are not looked at
  // A file of the layout, for reading; nothing when that is not possible. From several threads.
  std::function<std::optional<UniqueFd>(std::size_t file)> open;
  // Once for each piece: its hash, or the file that did not have its part. From several threads.
  std::function<void(base::PieceIndex, std::expected<base::Sha1Hash, std::size_t>)> on_hashed;
  ReadProgress progress;  // may be empty
};
void hash_pieces(const PieceHashing& hashing);

}  // namespace shoal::storage
