// What a peer can give. Looked up by hash at each request, because files come and go under a running peer.
// Three kinds: a folder of <40 hex>.bin files (chunk_directory.hpp), a torrent (torrent_store.hpp), and memory for the
// simulator.
#pragma once

#include <optional>

#include "base/sha1.hpp"
#include "seam/storage_types.hpp"

namespace shoal::storage {

// Safe to call from several threads at once.
class PieceLibrary {
 public:
  virtual ~PieceLibrary() = default;

  // The answer when it needs no hashing: the piece when this version of it was verified before, null when it is not
  // there or known to be wrong; nothing when look_up() has to be asked. Quick.
  virtual std::optional<seam::ReadablePiecePtr> look_up_verified(const base::Sha1Hash& hash) = 0;
  // The piece, verified against its name once for each version of the file; null when it is not there, unreadable, not
  // a plain file of this folder, or does not match its name. May hash.
  virtual seam::ReadablePiecePtr look_up(const base::Sha1Hash& hash) = 0;
};

}  // namespace shoal::storage
