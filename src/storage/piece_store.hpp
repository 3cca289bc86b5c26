// Where a download's verified pieces go. Three kinds for files (the course layout, one output file, a torrent) and one
// in memory for the simulator. A runner calls it from its pool, on behalf of the store actions of seam/actions.hpp.
//
// Always holds: a piece is visible to others, and counted as held by a later open(), only after its hash was verified;
// nothing half-written ever bears a final name, whenever the process ends.
//
// Threads: open() and finish() alone. begin/put/complete/abandon of one WriteId come in that order, one at a time;
// those of different WriteIds may run at once on different threads. stop_waiting() at any time.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "metainfo/manifest.hpp"
#include "seam/ids.hpp"
#include "seam/storage_types.hpp"

namespace shoal::storage {

template <typename Value>
using StoreResult = std::expected<Value, seam::StoreError>;

class PieceStore {
 public:
  virtual ~PieceStore() = default;

  // Prepares for this manifest and gives the pieces that are there already, each one hashed now. Creates folders.
  virtual StoreResult<std::vector<seam::HeldPiece>> open(const metainfo::Manifest& manifest) = 0;

  // After open(): a .torrent file, kept beside what is not finished for a later run that finds nobody to tell it.
  virtual StoreResult<void> keep_torrent(base::ByteView /*torrent*/) { return {}; }

  // `places`: every index this content fills, all with the same hash. size_bytes: exact.
  virtual StoreResult<void> begin(seam::WriteId write, std::vector<base::PieceIndex> places,
                                  std::uint64_t size_bytes) = 0;
  // Bytes of the piece from `offset_bytes` on. Stores that do not know how their pieces are laid out (no layout in the
  // manifest) want them in order, without gaps; after an error nothing more of this write.
  virtual StoreResult<void> put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) = 0;
  // true: verified and in place. false: the hash differs; nothing of it remains.
  virtual StoreResult<bool> complete(seam::WriteId write) = 0;
  virtual void abandon(seam::WriteId write) = 0;

  // Every piece is verified: makes the file under its final name and gives its path.
  virtual StoreResult<std::string> finish() = 0;

  // The program ends: what waits for somebody else, and may do so for ever, fails.
  virtual void stop_waiting() {}
};

}  // namespace shoal::storage
