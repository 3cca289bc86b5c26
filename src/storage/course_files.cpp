#include "storage/course_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "base/check.hpp"
#include "storage/chunk_folder.hpp"
#include "storage/files.hpp"
#include "storage/folder.hpp"

namespace shoal::storage {
namespace {

using Kind = CourseFileError::Kind;

constexpr const char* kEndedEarly = "it ended early or could not be read to its end";

CourseFileError file_error(Kind kind, std::string message) {
  return {.kind = kind, .message = std::move(message), .chunks = {}, .file_bytes = 0};
}

CourseFileError unreadable(const std::filesystem::path& path, const std::string& why) {
  return file_error(Kind::unreadable, "cannot read " + path.native() + ": " + why);
}

CourseFileError from_store(seam::StoreError error) {
  switch (error.kind) {
    case seam::StoreErrorKind::disk_full:
      return file_error(Kind::disk_full, std::move(error.message));
    case seam::StoreErrorKind::unwritable:
      return file_error(Kind::unwritable, std::move(error.message));
    case seam::StoreErrorKind::in_use:
      return file_error(Kind::in_use, std::move(error.message));
    case seam::StoreErrorKind::no_descriptor:
    case seam::StoreErrorKind::unfit:
    case seam::StoreErrorKind::failed:
      break;
  }
  return file_error(Kind::failed, std::move(error.message));
}

struct InputFile {
  std::filesystem::path path;
  PlainFile file;
};

// A file the user named. It may be a link.
CourseFileResult<InputFile> open_input(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if (!fd.is_open() || ::fstat(fd.get(), &status) != 0) return std::unexpected(unreadable(path, describe_errno(errno)));
  if (S_ISDIR(status.st_mode)) return std::unexpected(unreadable(path, "it is a folder"));
  if (!S_ISREG(status.st_mode)) return std::unexpected(unreadable(path, "it is not a plain file"));
  const auto version = version_of(fd.get());
  if (!version) return std::unexpected(unreadable(path, describe_errno(version.error())));
  return InputFile{path, {std::move(fd), *version}};
}

// The first error of several threads; after it they need not go on.
class SharedError {
 public:
  void set(CourseFileError error) {
    const std::lock_guard guard(mutex_);
    if (!error_) error_ = std::move(error);
    is_set_ = true;
  }
  [[nodiscard]] bool is_set() const { return is_set_; }
  [[nodiscard]] std::optional<CourseFileError> take() { return std::move(error_); }

 private:
  std::mutex mutex_;
  std::optional<CourseFileError> error_;
  std::atomic<bool> is_set_ = false;
};

class Splitter {
 public:
  Splitter(const SplitOptions& options, const InputFile& input) : options_(options), input_(input) {}

  CourseFileResult<SplitFile> run() {
    const std::uint64_t file_bytes = input_.file.version.size_bytes;
    const std::uint64_t count = (file_bytes + options_.chunk_bytes - 1) / options_.chunk_bytes;
    if (count > options_.chunks_max) {
      CourseFileError error =
          file_error(Kind::too_many_chunks, input_.path.native() + " makes " + std::to_string(count) + " chunks of " +
                                                std::to_string(options_.chunk_bytes) + " bytes; at most " +
                                                std::to_string(options_.chunks_max) + " are possible");
      error.file_bytes = file_bytes;
      return std::unexpected(std::move(error));
    }
    SplitFile split{.file_bytes = file_bytes, .chunks = {}, .owners = {}};
    for (std::uint32_t i = 0; i < count; ++i) {
      split.owners.push_back(options_.owners_of_chunk(i, static_cast<std::uint32_t>(count)));
      const auto exists = [this](std::size_t owner) { return owner < options_.peers.size(); };
      SHOAL_CHECK(std::ranges::all_of(split.owners.back(), exists));
    }
    for (const std::string& peer : options_.peers) {
      auto folder = ChunkFolder::open(options_.directory / "chunks" / peer);
      if (!folder) return std::unexpected(from_store(std::move(folder.error())));
      folders_.push_back(*std::move(folder));
    }
    split.chunks.resize(count);
    SharedError error;
    run_in_parallel(count, [&](std::size_t i) {
      if (error.is_set()) return;
      auto hash = write_chunk(i, split.owners[i]);
      if (!hash) return error.set(std::move(hash.error()));
      split.chunks[i] = *hash;
    });
    if (auto first = error.take()) return std::unexpected(*std::move(first));
    return split;
  }

 private:
  // Cuts chunk `index` out of the file, for each of its owners. Each gets a file of its own, not a link: what happens
  // to one owner's chunk must not happen to the other's.
  CourseFileResult<base::Sha1Hash> write_chunk(std::size_t index, const std::vector<std::size_t>& owners) {
    const std::uint64_t offset = index * options_.chunk_bytes;
    const ByteRange range{offset, std::min(options_.chunk_bytes, input_.file.version.size_bytes - offset)};
    std::vector<TemporaryFile> files;
    for (const std::size_t owner : owners) {
      auto file = folders_[owner]->make_temporary();
      if (!file) return std::unexpected(from_store(std::move(file.error())));
      files.push_back(*std::move(file));
    }
    auto hash = copy_hashed(range, files.empty() ? nullptr : &files.front());
    if (!hash) return hash;
    const std::string name = ChunkFolder::file_name(*hash);
    for (std::size_t i = 0; i < files.size(); ++i) {
      // Equal chunks are one file. Replacing it each time makes some file systems write every version to the disk.
      if (!is_first(owners[i], *hash)) continue;
      if (i > 0) {
        const auto copied = copy_range(files.front().fd(), {0, range.size_bytes}, files[i].fd(), 0);
        if (!copied) {
          const std::string path = folders_[owners[i]]->folder().path_of(name);
          return std::unexpected(from_store(store_error(copied.error(), "write", path)));
        }
      }
      if (auto renamed = files[i].rename_to(name); !renamed) {
        return std::unexpected(from_store(std::move(renamed.error())));
      }
    }
    return hash;
  }

  // Whether an owner had no such chunk from this run before.
  bool is_first(std::size_t owner, const base::Sha1Hash& hash) {
    const std::lock_guard guard(mutex_);
    return written_.emplace(owner, hash).second;
  }

  CourseFileResult<base::Sha1Hash> copy_hashed(ByteRange range, TemporaryFile* target) const {
    const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kReadBytes);
    base::Sha1Hasher hasher;
    for (std::uint64_t done = 0; done < range.size_bytes;) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, range.size_bytes - done));
      const std::span<std::byte> bytes(buffer.get(), count);
      if (read_at(input_.file.fd.get(), bytes, range.offset + done) != count) {
        return std::unexpected(unreadable(input_.path, kEndedEarly));
      }
      hasher.update(bytes);
      if (target != nullptr) {
        if (auto written = target->write(bytes); !written) {
          return std::unexpected(from_store(std::move(written.error())));
        }
      }
      done += count;
    }
    return hasher.finish();
  }

  const SplitOptions& options_;
  const InputFile& input_;
  std::vector<std::unique_ptr<ChunkFolder>> folders_;  // of options_.peers
  std::mutex mutex_;
  std::set<std::pair<std::size_t, base::Sha1Hash>> written_;  // owner and chunk
};

// "chunks/charlie/<hex>.bin (chunk 7) and 3 more <what>"
std::string describe_chunks(const Folder& folder, std::span<const base::Sha1Hash> hashes,
                            const std::vector<base::PieceIndex>& chunks, std::string_view what) {
  const base::PieceIndex first = chunks.front();
  std::string text = folder.path_of(ChunkFolder::file_name(hashes[first.value]));
  text.append(" (chunk ").append(std::to_string(first.value)).append(")");
  if (chunks.size() > 1) text.append(" and ").append(std::to_string(chunks.size() - 1)).append(" more");
  return text.append(" ").append(what);
}

class Merger {
 public:
  Merger(const Folder& folder, std::span<const base::Sha1Hash> hashes) : folder_(folder), hashes_(hashes) {}

  // Where each chunk will begin; an error that names all that are not there.
  CourseFileResult<std::uint64_t> measure() {
    std::vector<base::PieceIndex> missing;
    std::uint64_t total_bytes = 0;
    for (std::uint32_t i = 0; i < hashes_.size(); ++i) {
      const auto file = folder_.open_plain(ChunkFolder::file_name(hashes_[i]), O_RDONLY);
      const std::uint64_t size_bytes = file ? file->version.size_bytes : 0;
      if (!file) missing.emplace_back(i);
      ranges_.push_back({total_bytes, size_bytes});
      total_bytes += size_bytes;
    }
    if (missing.empty()) return total_bytes;
    CourseFileError error =
        file_error(Kind::missing_chunks, describe_chunks(folder_, hashes_, missing, "missing or unreadable"));
    error.chunks = std::move(missing);
    return std::unexpected(std::move(error));
  }

  CourseFileResult<void> copy_all(int target, const std::string& target_path) {
    SharedError error;
    std::mutex mutex;
    std::vector<base::PieceIndex> wrong;
    run_in_parallel(hashes_.size(), [&](std::size_t i) {
      if (error.is_set()) return;
      const auto is_right = copy_verified(i, target);
      if (!is_right) return error.set(from_store(store_error(is_right.error(), "write", target_path)));
      const std::lock_guard guard(mutex);
      if (!*is_right) wrong.emplace_back(static_cast<std::uint32_t>(i));
    });
    if (auto first = error.take()) return std::unexpected(*std::move(first));
    if (wrong.empty()) return {};
    std::ranges::sort(wrong);
    CourseFileError mismatch =
        file_error(Kind::wrong_chunks, describe_chunks(folder_, hashes_, wrong, "not matching the SHA-1 of the name"));
    mismatch.chunks = std::move(wrong);
    return std::unexpected(std::move(mismatch));
  }

 private:
  // Whether the chunk matches its name; an error when the target cannot be written.
  [[nodiscard]] SysResult<bool> copy_verified(std::size_t index, int target) const {
    const auto file = folder_.open_plain(ChunkFolder::file_name(hashes_[index]), O_RDONLY);
    const ByteRange range = ranges_[index];
    if (!file || file->version.size_bytes != range.size_bytes) return false;
    const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kReadBytes);
    base::Sha1Hasher hasher;
    for (std::uint64_t done = 0; done < range.size_bytes;) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, range.size_bytes - done));
      const std::span<std::byte> bytes(buffer.get(), count);
      if (read_at(file->fd.get(), bytes, done) != count) return false;
      hasher.update(bytes);
      if (const auto written = write_all_at(target, bytes, range.offset + done); !written) {
        return std::unexpected(written.error());
      }
      done += count;
    }
    return hasher.finish() == hashes_[index];
  }

  const Folder& folder_;
  const std::span<const base::Sha1Hash> hashes_;
  std::vector<ByteRange> ranges_;  // in the merged file
};

}  // namespace

CourseFileResult<SplitFile> split_file(const SplitOptions& options) {
  SHOAL_CHECK(options.chunk_bytes > 0);
  auto input = open_input(options.file);
  if (!input) return std::unexpected(std::move(input.error()));
  return Splitter(options, *input).run();
}

CourseFileResult<std::uint64_t> merge_chunks(const std::filesystem::path& folder,
                                             std::span<const base::Sha1Hash> chunks,
                                             const std::filesystem::path& output) {
  auto source = Folder::open(folder, Folder::Missing::is_an_error);
  if (!source) return std::unexpected(file_error(Kind::unreadable, std::move(source.error().message)));
  Merger merger(**source, chunks);
  const auto total_bytes = merger.measure();
  if (!total_bytes) return total_bytes;

  const std::string name = output.filename().native();
  auto target = Folder::open(output.parent_path(), Folder::Missing::is_an_error);
  if (!target) return std::unexpected(from_store(std::move(target.error())));
  if (name.empty() || (*target)->kind_of(name) == Folder::EntryKind::folder) {
    return std::unexpected(from_store(store_error(EISDIR, "write", output.native())));
  }
  auto lock = LockFile::acquire(*target, sibling_name(name, ".shoal-lock"), output.native());
  if (!lock) return std::unexpected(from_store(std::move(lock.error())));
  auto file = TemporaryFile::create(*target, sibling_name(name, ".shoal-merge"));
  if (!file) return std::unexpected(from_store(std::move(file.error())));
  if (auto copied = merger.copy_all(file->fd(), output.native()); !copied) {
    return std::unexpected(std::move(copied.error()));
  }
  if (auto renamed = file->rename_to(name); !renamed) return std::unexpected(from_store(std::move(renamed.error())));
  return *total_bytes;
}

CourseFileResult<Comparison> compare_files(const std::filesystem::path& first, const std::filesystem::path& second) {
  const auto one = open_input(first);
  if (!one) return std::unexpected(one.error());
  const auto two = open_input(second);
  if (!two) return std::unexpected(two.error());
  Comparison result{.first_bytes = one->file.version.size_bytes,
                    .second_bytes = two->file.version.size_bytes,
                    .first_difference = std::nullopt};
  const std::uint64_t common_bytes = std::min(result.first_bytes, result.second_bytes);
  const auto buffers = std::make_unique_for_overwrite<std::byte[]>(2 * kReadBytes);
  for (std::uint64_t offset = 0; offset < common_bytes;) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, common_bytes - offset));
    const std::span<std::byte> left(buffers.get(), count);
    const std::span<std::byte> right(buffers.get() + kReadBytes, count);
    if (read_at(one->file.fd.get(), left, offset) != count) return std::unexpected(unreadable(first, kEndedEarly));
    if (read_at(two->file.fd.get(), right, offset) != count) return std::unexpected(unreadable(second, kEndedEarly));
    if (std::memcmp(left.data(), right.data(), count) != 0) {
      const auto difference = std::ranges::mismatch(left, right);
      result.first_difference = offset + static_cast<std::uint64_t>(difference.in1 - left.begin());
      return result;
    }
    offset += count;
  }
  if (result.first_bytes != result.second_bytes) result.first_difference = common_bytes;
  return result;
}

}  // namespace shoal::storage
