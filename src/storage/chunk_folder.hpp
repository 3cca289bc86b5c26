// A folder of chunks, <40 lower-case hex>.bin each, in the hands of one writer: a download or a split. What its writer
// has not finished bears a temporary name that the next writer removes; readers (chunk_directory.hpp) need no lock.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "storage/folder.hpp"

namespace shoal::storage {

class ChunkFolder {
 public:
  // Creates it where it is missing, locks it, and removes what dead writers left.
  static StoreResult<std::unique_ptr<ChunkFolder>> open(const std::filesystem::path& path);

  [[nodiscard]] static std::string file_name(const base::Sha1Hash& hash) { return hash.to_hex() + ".bin"; }
  // Names that this class keeps for itself.
  [[nodiscard]] static bool is_reserved(std::string_view name);

  [[nodiscard]] const Folder& folder() const { return *folder_; }
  // From any thread.
  [[nodiscard]] StoreResult<TemporaryFile> make_temporary();

 private:
  ChunkFolder(FolderPtr folder, LockFile lock) : folder_(std::move(folder)), lock_(std::move(lock)) {}

  FolderPtr folder_;
  LockFile lock_;
  std::atomic<std::uint64_t> temporaries_ = 0;
};

}  // namespace shoal::storage
