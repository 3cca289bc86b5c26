// A store whose pieces are also written to a stream (a pipe, standard output) in the order of the file, as soon as the
// next one is verified: `get --stdout`. Everything else is the inner store's business, which keeps the pieces for
// others.
//
// Always holds: nothing reaches the stream before its hash was verified; each byte is written once, in order; a stream
// that takes its time holds up the thread that writes, and so the download, until stop_waiting(); finish() returns when
// everything was written.
#pragma once

#include <mutex>
#include <set>
#include <unordered_map>

#include "storage/torrent_store.hpp"
#include "storage/unique_fd.hpp"

namespace shoal::storage {

class StreamingStore final : public PieceStore {
 public:
  // Both must outlive it; `stream` is a file descriptor, which others may use, too.
  StreamingStore(TorrentStore& inner, int stream);

  StoreResult<std::vector<seam::HeldPiece>> open(const metainfo::Manifest& manifest) override;
  StoreResult<void> begin(seam::WriteId write, std::vector<base::PieceIndex> places, std::uint64_t size_bytes) override;
  StoreResult<void> put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) override;
  StoreResult<bool> complete(seam::WriteId write) override;
  void abandon(seam::WriteId write) override;
  StoreResult<std::string> finish() override;
  void stop_waiting() override;

 private:
  StoreResult<void> write_what_is_next();
  StoreResult<void> write_piece(base::PieceIndex piece);
  StoreResult<void> write_out(base::ByteView bytes);

  TorrentStore& inner_;
  const UniqueFd own_pipe_;  // the stream once more, where that is a pipe
  const int stream_;
  const std::size_t room_bytes_;  // what poll() says there is room for, without waiting for more
  const UniqueFd stop_;           // readable: nothing waits any more
  std::mutex mutex_;              // guards what follows; also held while writing, so that the order is kept
  metainfo::Manifest manifest_;
  std::unordered_map<seam::WriteId, std::vector<base::PieceIndex>> places_;
  std::set<base::PieceIndex> verified_;  // and not written yet
  std::uint32_t next_ = 0;
};

}  // namespace shoal::storage
