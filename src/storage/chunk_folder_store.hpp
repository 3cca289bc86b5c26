// A download into the course's layout: DIR/chunks/<client>/<40 hex>.bin for each piece, and at the end the whole file
// DIR/chunks/<client>/<name> beside them with a file.ini that the course's own scripts can merge and check.
//
// Pieces stream into a temporary of the same folder and are renamed once verified. A lock file keeps a second download
// out of the folder; temporaries of downloads that died are removed by the next one.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/chunk_folder.hpp"
#include "storage/files.hpp"
#include "storage/piece_store.hpp"

namespace shoal::storage {

struct ChunkFolderStoreOptions {
  std::filesystem::path directory;  // DIR
  std::string client = "charlie";
  // The text of file.ini; without it none is written.
  std::function<std::string(const metainfo::Manifest&)> ini_text;
};

class ChunkFolderStore final : public PieceStore {
 public:
  explicit ChunkFolderStore(ChunkFolderStoreOptions options);
  ~ChunkFolderStore() override;

  StoreResult<std::vector<seam::HeldPiece>> open(const metainfo::Manifest& manifest) override;
  StoreResult<void> begin(seam::WriteId write, std::vector<base::PieceIndex> places, std::uint64_t size_bytes) override;
  StoreResult<void> put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) override;
  StoreResult<bool> complete(seam::WriteId write) override;
  void abandon(seam::WriteId write) override;
  StoreResult<std::string> finish() override;

 private:
  struct Write;

  StoreResult<void> prepare_folder();
  StoreResult<void> check_held();
  void merge_early(const Write& write);
  [[nodiscard]] bool is_result_there(const std::vector<ByteRange>& places, std::uint64_t total_bytes) const;
  StoreResult<void> merge(const std::vector<ByteRange>& places, std::uint64_t total_bytes);
  StoreResult<void> copy_piece(base::PieceIndex piece, ByteRange place, int target) const;
  StoreResult<void> write_ini();
  [[nodiscard]] bool is_last(base::PieceIndex piece) const { return piece.value + 1 == manifest_.piece_count(); }

  const ChunkFolderStoreOptions options_;
  std::unique_ptr<ChunkFolder> folder_;
  metainfo::Manifest manifest_;

  std::mutex mutex_;  // guards what follows
  std::unordered_map<seam::WriteId, std::shared_ptr<Write>> writes_;
  std::unordered_map<base::Sha1Hash, FileVersion> verified_;  // the version of <hash>.bin that was hashed
  // The whole file while it is being made: see merge_early().
  std::shared_ptr<TemporaryFile> merged_;
  bool merges_early_ = true;
  std::uint64_t usual_bytes_ = 0;  // of the first verified chunk that is not the last; 0: none yet
  std::vector<bool> is_merged_;    // copied to index * usual_bytes_
};

}  // namespace shoal::storage
