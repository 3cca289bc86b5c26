// A store whose pieces are also written to a stream (a pipe, standard output) in the order of the file, as soon as the
// next one is verified: `get --stdout`. Everything else is the inner store's business, which keeps the pieces for
// others.
//
// Always holds: nothing reaches the stream before its hash was verified; each byte is written once, in order; a stream
// that takes its time holds up the thread that writes, and so the download; finish() returns when everything was
// written.
#pragma once

#include <mutex>
#include <set>
#include <unordered_map>

#include "storage/torrent_store.hpp"

namespace shoal::storage {

class StreamingStore final : public PieceStore {
 public:
  // Both must outlive it; `stream` is a file descriptor that blocks.
  StreamingStore(TorrentStore& inner, int stream) : inner_(inner), stream_(stream) {}

  StoreResult<std::vector<seam::HeldPiece>> open(const metainfo::Manifest& manifest) override;
  StoreResult<void> begin(seam::WriteId write, std::vector<base::PieceIndex> places, std::uint64_t size_bytes) override;
  StoreResult<void> put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) override;
  StoreResult<bool> complete(seam::WriteId write) override;
  void abandon(seam::WriteId write) override;
  StoreResult<std::string> finish() override;

 private:
  StoreResult<void> write_what_is_next();
  StoreResult<void> write_piece(base::PieceIndex piece);

  TorrentStore& inner_;
  const int stream_;
  std::mutex mutex_;  // guards what follows; also held while writing, so that the order is kept
  metainfo::Manifest manifest_;
  std::unordered_map<seam::WriteId, std::vector<base::PieceIndex>> places_;
  std::set<base::PieceIndex> verified_;  // and not written yet
  std::uint32_t next_ = 0;
};

}  // namespace shoal::storage
