#include "storage/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

namespace shoal::storage {
namespace {

constexpr std::size_t kThreadsMax = 256;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileVersion version_from(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .size_bytes = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

// Of something that should be a regular file and is none.
int kind_error(mode_t mode) {
  if (S_ISLNK(mode)) return ELOOP;
  return S_ISDIR(mode) ? EISDIR : EINVAL;
}

std::size_t buffer_size_for(std::uint64_t bytes) {
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(bytes, 1, kReadBytes));
}

SysResult<void> copy_through_memory(int from, ByteRange range, int to, std::uint64_t to_offset) {
  const std::size_t buffer_bytes = buffer_size_for(range.size_bytes);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
  std::uint64_t done = 0;
  while (done < range.size_bytes) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_bytes, range.size_bytes - done));
    const std::span<std::byte> bytes(buffer.get(), count);
    if (read_at(from, bytes, range.offset + done) != count) return std::unexpected(ENODATA);
    if (const auto written = write_all_at(to, bytes, to_offset + done); !written) return written;
    done += count;
  }
  return {};
}

// Errors that say "not between these two files" rather than "the copy failed".
bool is_copy_unsupported(int error_number) {
  return error_number == EXDEV || error_number == EINVAL || error_number == ENOSYS || error_number == EOPNOTSUPP ||
         error_number == EPERM;
}

}  // namespace

SysResult<PlainFile> open_plain_file(int folder, const char* name, int flags) {
  // O_NONBLOCK: opening a pipe must not wait for its other end. It means nothing to a regular file.
  UniqueFd fd(::openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd.is_open()) return std::unexpected(errno);
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return std::unexpected(errno);
  if (!S_ISREG(status.st_mode)) return std::unexpected(kind_error(status.st_mode));
  return PlainFile{std::move(fd), version_from(status)};
}

SysResult<FileVersion> version_of(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return std::unexpected(errno);
  return version_from(status);
}

SysResult<FileVersion> version_of(int folder, const char* name) {
  struct stat status{};
  if (::fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return std::unexpected(errno);
  if (!S_ISREG(status.st_mode)) return std::unexpected(kind_error(status.st_mode));
  return version_from(status);
}

SysResult<void> write_all_at(int fd, base::ByteView bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(errno);
    if (count == 0) return std::unexpected(EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

std::size_t read_at(int fd, std::span<std::byte> target, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < target.size()) {
    const ssize_t count = ::pread(fd, target.data() + done, target.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

SysResult<void> copy_range(int from, ByteRange range, int to, std::uint64_t to_offset) {
  auto source = static_cast<off64_t>(range.offset);
  auto target = static_cast<off64_t>(to_offset);
  std::uint64_t left = range.size_bytes;
  while (left > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(left, 1u << 30));
    const ssize_t count = ::copy_file_range(from, &source, to, &target, wanted, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && !is_copy_unsupported(errno)) return std::unexpected(errno);
    // Some file systems answer 0 where they mean "not supported": reading finds out whether the source really ends.
    if (count <= 0) {
      const ByteRange rest{static_cast<std::uint64_t>(source), left};
      return copy_through_memory(from, rest, to, static_cast<std::uint64_t>(target));
    }
    left -= static_cast<std::uint64_t>(count);
  }
  return {};
}

std::optional<base::Sha1Hash> hash_range(int fd, ByteRange range) {
  const std::size_t buffer_bytes = buffer_size_for(range.size_bytes);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
  base::Sha1Hasher hasher;
  std::uint64_t done = 0;
  while (done < range.size_bytes) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_bytes, range.size_bytes - done));
    const std::span<std::byte> bytes(buffer.get(), count);
    if (read_at(fd, bytes, range.offset + done) != count) return std::nullopt;
    hasher.update(bytes);
    done += count;
  }
  return hasher.finish();
}

bool is_settled(const FileVersion& version, std::chrono::nanoseconds since) {
  using std::chrono::file_clock;
  const auto now = std::chrono::nanoseconds(file_clock::to_sys(file_clock::now()).time_since_epoch());
  return std::chrono::abs(now - std::chrono::nanoseconds(version.changed_ns)) > since;
}

SysResult<void> settle_writes(int fd) {
  // Closing any descriptor of the file makes such a file system report; this one stays open.
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0 || ::close(copy) != 0) return std::unexpected(errno);
  return {};
}

std::unexpected<seam::StoreError> unwritable(const std::string& path, std::string_view why) {
  return std::unexpected(
      seam::StoreError{seam::StoreErrorKind::unwritable, "cannot write " + path + ": " + std::string(why)});
}

std::string describe_errno(int error_number) {
  const char* text = ::strerrordesc_np(error_number);
  return text != nullptr ? text : "error " + std::to_string(error_number);
}

seam::StoreError store_error(int error_number, std::string_view tried, std::string_view path) {
  using seam::StoreErrorKind;
  StoreErrorKind kind = StoreErrorKind::failed;
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      kind = StoreErrorKind::disk_full;
      break;
    case EMFILE:
    case ENFILE:
      kind = StoreErrorKind::no_descriptor;
      break;
    case EFBIG:  // no waiting makes room for it
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ENOTEMPTY:
    case ELOOP:
    case ENAMETOOLONG:
    case ETXTBSY:
      kind = StoreErrorKind::unwritable;
      break;
    default:
      break;
  }
  std::string message = "cannot ";
  message.append(tried).append(" ").append(path).append(": ").append(describe_errno(error_number));
  if (error_number == EFBIG) message += " for the file system, or for ulimit -f; choose another place";
  return {kind, std::move(message)};
}

void run_in_parallel(std::size_t count, const std::function<void(std::size_t)>& task) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) task(i);
  };
  const std::size_t processors = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t helpers = std::min({processors, kThreadsMax, std::max<std::size_t>(count, 1)}) - 1;
  std::vector<std::jthread> threads;
  threads.reserve(helpers);
  for (std::size_t i = 0; i < helpers; ++i) {
    try {
      threads.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: this one does what is left
    }
  }
  work();
}

}  // namespace shoal::storage
