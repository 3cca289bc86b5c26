// A folder that is held open: what is in it is reached by name relative to it, so that nobody can exchange a part of
// the path meanwhile. Also the two things that make results appear whole: a temporary that becomes its final name by
// one rename, and a lock that keeps other processes away until its holder is done or dead.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/files.hpp"
#include "storage/piece_store.hpp"

namespace shoal::storage {

class Folder {
 public:
  enum class Missing : std::uint8_t { is_an_error, is_created };
  enum class EntryKind : std::uint8_t { none, plain_file, folder, link, other };

  // `path` may be empty: the current folder.
  static StoreResult<std::shared_ptr<const Folder>> open(const std::filesystem::path& path, Missing missing);
  // A folder in this one; a link in its place is ENOTDIR, wherever it leads.
  [[nodiscard]] SysResult<std::shared_ptr<const Folder>> open_inner(const std::string& name, Missing missing) const;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::string path_of(std::string_view name) const;  // for messages and results
  [[nodiscard]] EntryKind kind_of(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;

  [[nodiscard]] SysResult<PlainFile> open_plain(const std::string& name, int flags) const;
  // A new file under a name that the caller's lock makes its own: what bears it is removed first. Read and write.
  [[nodiscard]] StoreResult<UniqueFd> create(const std::string& name) const;
  // A new file without a name: it goes with its descriptor.
  [[nodiscard]] StoreResult<UniqueFd> create_nameless() const;
  [[nodiscard]] StoreResult<void> rename(const std::string& from, const std::string& to) const;
  // To a name in `folder`, which may be this one. Fails with EEXIST when something bears it.
  [[nodiscard]] SysResult<void> rename_to_free(const std::string& from, const Folder& folder,
                                               const std::string& to) const;
  void remove(const std::string& name) const;
  // What was created, renamed and removed here survives a power cut.
  [[nodiscard]] SysResult<void> sync() const;
  // Whether `a` and `A` are two names here. Tried out; true when that cannot be done.
  [[nodiscard]] bool tells_case_apart() const;

 private:
  Folder(std::filesystem::path path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::filesystem::path path_;
  UniqueFd fd_;
};
using FolderPtr = std::shared_ptr<const Folder>;

// A file on its way to its final name. Removed when it never gets there.
class TemporaryFile {
 public:
  static StoreResult<TemporaryFile> create(FolderPtr folder, std::string name);
  TemporaryFile(TemporaryFile&&) noexcept;
  TemporaryFile& operator=(TemporaryFile&&) noexcept = delete;
  ~TemporaryFile();

  [[nodiscard]] int fd() const { return fd_.get(); }
  // The next bytes.
  StoreResult<void> write(base::ByteView bytes);
  // Replaces what bears the name, in one step. Gives the version of the file as it is then.
  StoreResult<FileVersion> rename_to(const std::string& name);

 private:
  TemporaryFile(FolderPtr folder, std::string name, UniqueFd fd);

  FolderPtr folder_;
  std::string name_;  // empty: renamed
  UniqueFd fd_;
  std::uint64_t written_bytes_ = 0;
};

// Held by at most one holder of all processes. The file is removed with it; one left by a dead holder does not matter.
class LockFile {
 public:
  // `guarded`: what the lock stands for, in the error of the one who comes too late.
  static StoreResult<LockFile> acquire(const FolderPtr& folder, const std::string& name, std::string_view guarded);
  LockFile(LockFile&&) noexcept = default;
  LockFile& operator=(LockFile&&) noexcept = delete;
  ~LockFile();

 private:
  LockFile(FolderPtr folder, std::string name, UniqueFd fd);
  [[nodiscard]] bool bears_its_name() const;

  FolderPtr folder_;
  std::string name_;
  UniqueFd fd_;
};

// A name for a file beside `name`: ".name.shoal-part". Shortened when the file system would not take it.
[[nodiscard]] std::string sibling_name(const std::string& name, std::string_view suffix);

}  // namespace shoal::storage
