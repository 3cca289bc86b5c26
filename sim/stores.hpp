// The disk of a simulated client or swarm host: pieces in memory that outlive a crash, a disk that gets full, and, when
// a rule is broken on purpose, no comparison of hashes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "storage/memory.hpp"
#include "storage/piece_store.hpp"

namespace shoal::sim {

struct CheckedStoreOptions {
  bool accepts_unverified = false;
  std::optional<std::uint64_t> disk_full_from_put;
};

// A MemoryPieceStore, except that it can be told to believe whatever arrives: then it keeps such pieces itself.
class CheckedStore : public storage::PieceStore {
 public:
  explicit CheckedStore(CheckedStoreOptions options)
      : accepts_unverified_(options.accepts_unverified),
        honest_({.disk_full_from_put = options.disk_full_from_put, .flipped_puts = {}}) {}

  storage::StoreResult<std::vector<seam::HeldPiece>> open(const metainfo::Manifest& manifest) override;
  storage::StoreResult<void> begin(seam::WriteId write, std::vector<base::PieceIndex> places,
                                   std::uint64_t size_bytes) override;
  storage::StoreResult<void> put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) override;
  storage::StoreResult<bool> complete(seam::WriteId write) override;
  void abandon(seam::WriteId write) override;
  storage::StoreResult<std::string> finish() override;

  // A piece that an earlier run left; held from the next open() on.
  void leave_behind(base::Bytes content) { honest_.leave_behind(std::move(content)); }
  // What is verified, to be given to others.
  [[nodiscard]] storage::PieceLibrary& library() { return honest_; }
  void crash() { honest_.crash(); }
  void make_room() { honest_.make_room(); }
  [[nodiscard]] std::optional<base::Bytes> file() const;
  [[nodiscard]] bool is_finished() const { return accepts_unverified_ ? is_finished_ : honest_.is_finished(); }

 private:
  struct Believed {
    std::vector<base::PieceIndex> places;
    base::Bytes bytes;
  };

  bool accepts_unverified_;
  storage::MemoryPieceStore honest_;
  metainfo::Manifest manifest_;
  std::map<seam::WriteId, Believed> under_way_;
  std::map<base::PieceIndex, base::Bytes> believed_;
  bool is_finished_ = false;
};

}  // namespace shoal::sim
