// Plain files by descriptor: reading, writing, copying and hashing ranges of them. The stores and the library are built
// on these. Errors are errno values, because only the caller knows the path that a message should name.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/sha1.hpp"
#include "seam/storage_types.hpp"
#include "storage/unique_fd.hpp"

namespace shoal::storage {

// What is read at once, where a file is read from one end to the other.
inline constexpr std::size_t kReadBytes = 256 * 1024;

template <typename Value>
using SysResult = std::expected<Value, int>;  // error: an errno value

// Changes whenever the file does, as far as the file system can tell.
struct FileVersion {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;  // since 1970
  std::int64_t changed_ns = 0;
  friend bool operator==(const FileVersion&, const FileVersion&) = default;
};

// Nothing of it was changed for so long: a file can change twice within one tick of its file system's clock and bear
// the same times after both. Times to come are as good as old ones.
[[nodiscard]] bool is_settled(const FileVersion& version, std::chrono::nanoseconds since);

struct PlainFile {
  UniqueFd fd;
  FileVersion version;
};

struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
};

// Opens a regular file and nothing else: a symbolic link is ELOOP, a folder EISDIR, anything else EINVAL. Never blocks
// on a pipe. `flags`: O_RDONLY or O_RDWR.
[[nodiscard]] SysResult<PlainFile> open_plain_file(int folder, const char* name, int flags);
[[nodiscard]] SysResult<FileVersion> version_of(int fd);
// Of what bears the name, which must be a regular file (the same errors as opening it).
[[nodiscard]] SysResult<FileVersion> version_of(int folder, const char* name);

[[nodiscard]] SysResult<void> write_all_at(int fd, base::ByteView bytes, std::uint64_t offset);
// How many bytes were read: fewer than asked only at the end of the file or when reading fails.
[[nodiscard]] std::size_t read_at(int fd, std::span<std::byte> target, std::uint64_t offset);
// The range must be there: a source that ends before is ENODATA. Within the kernel where that is possible.
[[nodiscard]] SysResult<void> copy_range(int from, ByteRange range, int to, std::uint64_t to_offset);
// Nothing when the range is not all there or cannot be read. Reads 256 KiB at a time.
[[nodiscard]] std::optional<base::Sha1Hash> hash_range(int fd, ByteRange range);
// What a file system reports only when a file is closed (quotas, network file systems).
[[nodiscard]] SysResult<void> settle_writes(int fd);

// "cannot <tried> <path>: <what errno says>", with the kind that errno means for a store.
[[nodiscard]] seam::StoreError store_error(int error_number, std::string_view tried, std::string_view path);
// "cannot write <path>: <why>", of that kind.
[[nodiscard]] std::unexpected<seam::StoreError> unwritable(const std::string& path, std::string_view why);
[[nodiscard]] std::string describe_errno(int error_number);

// Runs task(0) ... task(count - 1), each once, on as many threads as there are processors; returns when all are done.
void run_in_parallel(std::size_t count, const std::function<void(std::size_t)>& task);

}  // namespace shoal::storage
