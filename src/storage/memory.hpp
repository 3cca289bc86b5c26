// The store and the library of the simulated world: pieces in memory, with faults that a script chooses. They keep the
// same contracts as the ones on disk and run the same conformance tests.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/piece_library.hpp"
#include "storage/piece_store.hpp"

namespace shoal::storage {

// put()s are counted from 1, over the whole life of the store.
struct MemoryStoreFaults {
  std::optional<std::uint64_t> disk_full_from_put;  // this one and all later ones, until make_room()
  std::set<std::uint64_t> flipped_puts;             // one bit of these changes on its way: complete() will mismatch
};

// Also the library of what it holds: what was verified can be looked up, and again once it is opened after a crash.
class MemoryPieceStore final : public PieceStore, public PieceLibrary {
 public:
  explicit MemoryPieceStore(MemoryStoreFaults faults = {});

  StoreResult<std::vector<seam::HeldPiece>> open(const metainfo::Manifest& manifest) override;
  StoreResult<void> begin(seam::WriteId write, std::vector<base::PieceIndex> places, std::uint64_t size_bytes) override;
  StoreResult<void> put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) override;
  StoreResult<bool> complete(seam::WriteId write) override;
  void abandon(seam::WriteId write) override;
  StoreResult<std::string> finish() override;

  std::optional<seam::ReadablePiecePtr> look_up_verified(const base::Sha1Hash& hash) override;
  seam::ReadablePiecePtr look_up(const base::Sha1Hash& hash) override;

  // A piece that an earlier run left; held from the next open() on.
  void leave_behind(base::Bytes content);
  // The host dies: pieces under way are gone, and of the verified pieces at `torn` only the first half is left.
  // Then open() again.
  void crash(std::span<const base::PieceIndex> torn = {});
  void make_room();

  // The finished file; nothing before finish().
  [[nodiscard]] std::optional<base::Bytes> file() const;
  [[nodiscard]] bool is_finished() const;
  [[nodiscard]] std::size_t writes_under_way() const;

 private:
  struct Write {
    base::Sha1Hash hash;
    std::uint64_t size_bytes = 0;
    base::Bytes bytes;
  };
  struct DiskPiece {
    std::shared_ptr<const base::Bytes> content;
    bool is_verified = false;  // since the last crash
  };

  mutable std::mutex mutex_;
  MemoryStoreFaults faults_;
  std::uint64_t puts_ = 0;
  metainfo::Manifest manifest_;
  std::unordered_map<seam::WriteId, Write> writes_;
  std::map<base::Sha1Hash, DiskPiece> disk_;  // outlives a crash
  std::optional<base::Bytes> file_;
};

class MemoryPieceLibrary final : public PieceLibrary {
 public:
  std::optional<seam::ReadablePiecePtr> look_up_verified(const base::Sha1Hash& hash) override;
  seam::ReadablePiecePtr look_up(const base::Sha1Hash& hash) override;

  // The content under its own hash, which is returned.
  base::Sha1Hash add(base::Bytes content);
  // The content under a name of the caller's choice, as a damaged file is. Replaces what was there.
  void add_as(const base::Sha1Hash& name, base::Bytes content);
  void remove(const base::Sha1Hash& name);

 private:
  struct Entry {
    std::shared_ptr<const base::Bytes> content;
    std::optional<bool> is_right;  // nothing: not hashed yet
  };

  std::mutex mutex_;
  std::unordered_map<base::Sha1Hash, Entry> entries_;
};

}  // namespace shoal::storage
