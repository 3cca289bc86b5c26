#include "storage/folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace shoal::storage {
namespace {

constexpr std::size_t kSiblingBytesMax = 250;  // file systems take 255
constexpr int kLockAttemptsMax = 100;

}  // namespace

StoreResult<FolderPtr> Folder::open(const std::filesystem::path& path, Missing missing) {
  const std::filesystem::path real = path.empty() ? std::filesystem::path(".") : path;
  if (missing == Missing::is_created) {
    std::error_code error;
    std::filesystem::create_directories(real, error);
    if (error) return std::unexpected(store_error(error.value(), "create folder", real.native()));
  }
  UniqueFd fd(::open(real.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open()) return std::unexpected(store_error(errno, "open folder", real.native()));
  return FolderPtr(new Folder(path, std::move(fd)));
}

SysResult<FolderPtr> Folder::open_inner(const std::string& name, Missing missing) const {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd fd(::openat(fd_.get(), name.c_str(), kFlags));
  if (!fd.is_open() && errno == ENOENT && missing == Missing::is_created) {
    if (::mkdirat(fd_.get(), name.c_str(), 0777) != 0 && errno != EEXIST) return std::unexpected(errno);
    fd = UniqueFd(::openat(fd_.get(), name.c_str(), kFlags));
  }
  if (!fd.is_open()) return std::unexpected(errno);
  return FolderPtr(new Folder(path_ / name, std::move(fd)));
}

std::string Folder::path_of(std::string_view name) const {
  return (path_ / name).native();
}

Folder::EntryKind Folder::kind_of(const std::string& name) const {
  struct stat status{};
  if (::fstatat(fd_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return EntryKind::none;
  if (S_ISREG(status.st_mode)) return EntryKind::plain_file;
  if (S_ISDIR(status.st_mode)) return EntryKind::folder;
  return S_ISLNK(status.st_mode) ? EntryKind::link : EntryKind::other;
}

std::vector<std::string> Folder::names() const {
  std::vector<std::string> names;
  const int copy = ::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = copy >= 0 ? ::fdopendir(copy) : nullptr;
  if (listing == nullptr) {
    if (copy >= 0) ::close(copy);
    return names;
  }
  while (const dirent* entry = ::readdir(listing)) names.emplace_back(entry->d_name);
  ::closedir(listing);
  return names;
}

SysResult<PlainFile> Folder::open_plain(const std::string& name, int flags) const {
  return open_plain_file(fd_.get(), name.c_str(), flags);
}

StoreResult<UniqueFd> Folder::create(const std::string& name) const {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd fd(::openat(fd_.get(), name.c_str(), kFlags, 0666));
  if (!fd.is_open() && errno == EEXIST) {
    remove(name);
    fd = UniqueFd(::openat(fd_.get(), name.c_str(), kFlags, 0666));
  }
  if (!fd.is_open()) return std::unexpected(store_error(errno, "create", path_of(name)));
  return fd;
}

StoreResult<UniqueFd> Folder::create_nameless() const {
  UniqueFd fd(::openat(fd_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd.is_open()) return fd;
  const bool is_unsupported = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
  if (!is_unsupported) return std::unexpected(store_error(errno, "write in", path_.native()));
  std::string name = ".shoal-XXXXXX";
  // Without O_TMPFILE: under a name that exists for a moment. mkostemp takes paths only.
  std::string path = path_of(name);
  fd = UniqueFd(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd.is_open()) return std::unexpected(store_error(errno, "write in", path_.native()));
  ::unlink(path.c_str());
  return fd;
}

StoreResult<void> Folder::rename(const std::string& from, const std::string& to) const {
  if (::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) != 0) {
    return std::unexpected(store_error(errno, "write", path_of(to)));
  }
  return {};
}

SysResult<void> Folder::rename_to_free(const std::string& from, const Folder& folder, const std::string& to) const {
  if (::renameat2(fd_.get(), from.c_str(), folder.fd(), to.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno != EINVAL && errno != ENOSYS) return std::unexpected(errno);
  // A file system that cannot promise it: looking first leaves a moment for somebody else.
  if (folder.kind_of(to) != EntryKind::none) return std::unexpected(EEXIST);
  if (::renameat(fd_.get(), from.c_str(), folder.fd(), to.c_str()) != 0) return std::unexpected(errno);
  return {};
}

void Folder::remove(const std::string& name) const {
  ::unlinkat(fd_.get(), name.c_str(), 0);
}

SysResult<void> Folder::sync() const {
  // EINVAL: a file system whose folders need none.
  if (::fsync(fd_.get()) != 0 && errno != EINVAL) return std::unexpected(errno);
  return {};
}

bool Folder::tells_case_apart() const {
  const std::string small = ".shoal-case-probe-" + std::to_string(::getpid());
  std::string large = small;
  large[1] = 'S';
  if (!create(small)) return true;
  const bool is_apart = kind_of(large) == EntryKind::none;
  remove(small);
  return is_apart;
}

StoreResult<TemporaryFile> TemporaryFile::create(FolderPtr folder, std::string name) {
  auto fd = folder->create(name);
  if (!fd) return std::unexpected(std::move(fd.error()));
  return TemporaryFile(std::move(folder), std::move(name), *std::move(fd));
}

TemporaryFile::TemporaryFile(FolderPtr folder, std::string name, UniqueFd fd)
    : folder_(std::move(folder)), name_(std::move(name)), fd_(std::move(fd)) {}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : folder_(std::move(other.folder_)),
      name_(std::exchange(other.name_, {})),
      fd_(std::move(other.fd_)),
      written_bytes_(other.written_bytes_) {}

TemporaryFile::~TemporaryFile() {
  if (!name_.empty()) folder_->remove(name_);
}

StoreResult<void> TemporaryFile::write(base::ByteView bytes) {
  if (const auto written = write_all_at(fd_.get(), bytes, written_bytes_); !written) {
    return std::unexpected(store_error(written.error(), "write", folder_->path_of(name_)));
  }
  written_bytes_ += bytes.size();
  return {};
}

StoreResult<FileVersion> TemporaryFile::rename_to(const std::string& name) {
  if (const auto settled = settle_writes(fd_.get()); !settled) {
    return std::unexpected(store_error(settled.error(), "write", folder_->path_of(name)));
  }
  if (auto renamed = folder_->rename(name_, name); !renamed) return std::unexpected(std::move(renamed.error()));
  name_.clear();
  const auto version = version_of(fd_.get());
  if (!version) return std::unexpected(store_error(version.error(), "examine", folder_->path_of(name)));
  return *version;
}

StoreResult<LockFile> LockFile::acquire(const FolderPtr& folder, const std::string& name, std::string_view guarded) {
  for (int attempt = 0; attempt < kLockAttemptsMax; ++attempt) {
    UniqueFd fd(::openat(folder->fd(), name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!fd.is_open()) return std::unexpected(store_error(errno, "create", folder->path_of(name)));
    // Other errors: a file system without locks, where nobody can hold one.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) break;
    // The last holder may have removed the file between our opening and locking it: then a new one is the lock.
    LockFile lock(folder, name, std::move(fd));
    if (lock.bears_its_name()) return lock;
  }
  return std::unexpected(seam::StoreError{
      seam::StoreErrorKind::in_use, std::string(guarded) + " is in use by another command that is still running"});
}

LockFile::LockFile(FolderPtr folder, std::string name, UniqueFd fd)
    : folder_(std::move(folder)), name_(std::move(name)), fd_(std::move(fd)) {}

bool LockFile::bears_its_name() const {
  struct stat named{};
  struct stat held{};
  return ::fstatat(folder_->fd(), name_.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 && ::fstat(fd_.get(), &held) == 0 &&
         named.st_dev == held.st_dev && named.st_ino == held.st_ino;
}

LockFile::~LockFile() {
  if (fd_.is_open() && bears_its_name()) folder_->remove(name_);
}

std::string sibling_name(const std::string& name, std::string_view suffix) {
  std::string sibling = "." + name;
  if (sibling.size() + suffix.size() > kSiblingBytesMax) {
    const std::string digest = base::sha1(base::view_of(name)).to_hex();
    sibling = sibling.substr(0, kSiblingBytesMax - suffix.size() - digest.size()) + digest;
  }
  return sibling.append(suffix);
}

}  // namespace shoal::storage
