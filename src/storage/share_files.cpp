#include "storage/share_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <expected>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>

#include "base/check.hpp"
#include "metainfo/paths.hpp"

namespace shoal::storage {
namespace {

namespace fs = std::filesystem;
using metainfo::FileEntry;
using State = FileCheck::State;

// Big enough that calls cost nothing, small enough that what was read is in the processor's own cache when it is
// hashed.
constexpr std::size_t kReadBytes = 256 * 1024;
constexpr std::size_t kPageBytes = 4096;  // the kernel copies faster to where a page begins

class ReadBuffer {
 public:
  explicit ReadBuffer(std::uint32_t piece_bytes)
      : size_(std::min<std::size_t>(piece_bytes, kReadBytes)),
        bytes_(static_cast<std::byte*>(::operator new(size_, std::align_val_t(kPageBytes)))) {}
  // As much of it as there is, and not more than `count`.
  [[nodiscard]] std::span<std::byte> first(std::uint64_t count) const {
    return {bytes_.get(), static_cast<std::size_t>(std::min<std::uint64_t>(count, size_))};
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete(bytes, std::align_val_t(kPageBytes)); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> bytes_;
};

fs::path path_of(const metainfo::Layout& layout, const FileEntry& file, const fs::path& root) {
  return layout.is_folder ? root / metainfo::join_path(file.path) : root;
}

// The user's own path may be a link; what is in the folder is what it is called.
SysResult<PlainFile> open_file(const metainfo::Layout& layout, const FileEntry& file, const fs::path& root) {
  if (layout.is_folder) return open_plain_file(AT_FDCWD, path_of(layout, file, root).c_str(), O_RDONLY);
  std::error_code error;
  const fs::path real = fs::canonical(root, error);
  if (error) return std::unexpected(error.value());
  return open_plain_file(AT_FDCWD, real.c_str(), O_RDONLY);
}

// The parts of a piece: which file, and what of it. Files without bytes have no part in any.
struct Part {
  std::size_t file = 0;
  ByteRange range;  // in the file
};
std::vector<Part> parts_of(const metainfo::Manifest& manifest, base::PieceIndex piece) {
  const std::vector<FileEntry>& files = manifest.layout->files;
  std::uint64_t offset = manifest.offset_of(piece);
  const std::uint64_t end = offset + manifest.size_of(piece);
  // The first file that ends behind the piece's first byte.
  auto file = std::ranges::upper_bound(files, offset, {},
                                       [](const FileEntry& entry) { return entry.offset_bytes + entry.size_bytes; });
  std::vector<Part> parts;
  for (; offset < end; ++file) {
    const std::uint64_t size = std::min(end, file->offset_bytes + file->size_bytes) - offset;
    if (size == 0) continue;
    parts.push_back({static_cast<std::size_t>(file - files.begin()), {offset - file->offset_bytes, size}});
    offset += size;
  }
  return parts;
}

void hash_zeros(base::Sha1Hasher& hasher, std::uint64_t count, const ReadBuffer& buffer) {
  std::ranges::fill(buffer.first(count), std::byte{0});
  for (; count > 0; count -= buffer.first(count).size()) hasher.update(buffer.first(count));
}

// False when not all of it is there.
bool hash_bytes(base::Sha1Hasher& hasher, int fd, ByteRange range, const ReadBuffer& buffer) {
  while (range.size_bytes > 0) {
    const std::span<std::byte> bytes = buffer.first(range.size_bytes);
    if (read_at(fd, bytes, range.offset) != bytes.size()) return false;
    hasher.update(bytes);
    range.offset += bytes.size();
    range.size_bytes -= bytes.size();
  }
  return true;
}

// Runs `task` for each piece on all processors, and adds up what they have read.
void for_each_piece(const metainfo::Manifest& manifest, const ReadProgress& progress,
                    const std::function<void(base::PieceIndex)>& task) {
  std::mutex mutex;
  std::uint64_t done_bytes = 0;
  run_in_parallel(manifest.pieces.size(), [&](std::size_t i) {
    const base::PieceIndex piece(static_cast<std::uint32_t>(i));
    task(piece);
    if (!progress) return;
    const std::lock_guard guard(mutex);
    done_bytes += manifest.size_of(piece);
    progress(done_bytes);
  });
}

// --- hashing what is going to be shared ---

// When a file's links or mode change its bytes do not.
bool has_same_bytes(const FileVersion& a, const FileVersion& b) {
  return a.device == b.device && a.inode == b.inode && a.size_bytes == b.size_bytes && a.modified_ns == b.modified_ns;
}

class Hashing {
 public:
  explicit Hashing(const ScannedShare& share) : share_(share) {
    manifest_.layout = share.layout;
    const std::uint64_t piece_bytes = share.layout.piece_bytes;
    manifest_.pieces.resize((share.layout.total_bytes + piece_bytes - 1) / piece_bytes);
  }

  ShareResult<std::vector<base::Sha1Hash>> run(const ReadProgress& progress) {
    for_each_piece(manifest_, progress, [this](base::PieceIndex piece) {
      if (!has_failed_) hash(piece);
    });
    // What was read early may have changed since.
    for (std::size_t i = 0; i < share_.layout.files.size() && !has_failed_; ++i) {
      if (share_.layout.files[i].link_target.empty()) (void)open(i);
    }
    if (error_) return std::unexpected(*std::move(error_));
    return std::move(manifest_.pieces);
  }

 private:
  void hash(base::PieceIndex piece) {
    const ReadBuffer buffer(manifest_.size_of(piece));
    base::Sha1Hasher hasher;
    for (const Part& part : parts_of(manifest_, piece)) {
      const auto file = open(part.file);
      if (!file) return;
      if (!hash_bytes(hasher, file->fd.get(), part.range, buffer)) {
        return fail(ShareError::Kind::unreadable, part.file, "it ended early or could not be read to its end");
      }
    }
    manifest_.pieces[piece.value] = hasher.finish();
  }

  std::optional<PlainFile> open(std::size_t index) {
    auto file = open_file(share_.layout, share_.layout.files[index], share_.root);
    if (!file) {
      fail(ShareError::Kind::unreadable, index, describe_errno(file.error()));
      return std::nullopt;
    }
    if (!has_same_bytes(file->version, share_.versions[index])) {
      fail(ShareError::Kind::changed, index, "it changed while it was read; try again when nobody writes to it");
      return std::nullopt;
    }
    return std::move(*file);
  }

  void fail(ShareError::Kind kind, std::size_t index, std::string_view why) {
    const fs::path path = path_of(share_.layout, share_.layout.files[index], share_.root);
    const std::lock_guard guard(mutex_);
    if (!error_) error_ = ShareError{kind, fmt::format("cannot read {}: {}", path.native(), why)};
    has_failed_ = true;
  }

  const ScannedShare& share_;
  metainfo::Manifest manifest_;
  std::mutex mutex_;
  std::optional<ShareError> error_;  // the first
  std::atomic<bool> has_failed_ = false;
};

// --- checking what is there ---

class Checking {
 public:
  Checking(const metainfo::Manifest& manifest, const fs::path& root)
      : manifest_(manifest), layout_(*manifest.layout), root_(root), files_(layout_.files.size()) {}

  ShareCheck run(const ReadProgress& progress) {
    for (std::size_t i = 0; i < files_.size(); ++i) look_at(i);
    std::vector<std::uint8_t> is_right(manifest_.pieces.size());  // not bool: written by several threads
    for_each_piece(manifest_, progress, [&](base::PieceIndex piece) { is_right[piece.value] = check(piece) ? 1 : 0; });
    ShareCheck result{.right = base::Bitfield(manifest_.piece_count()), .files = std::move(files_)};
    for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
      const base::PieceIndex piece(i);
      if (is_right[i] != 0) result.right.set(piece);
      for (const Part& part : parts_of(manifest_, piece)) count(result.files[part.file], is_right[i] != 0);
    }
    blame(result);
    return result;
  }

 private:
  void look_at(std::size_t index) {
    const FileEntry& entry = layout_.files[index];
    FileCheck& check = files_[index];
    if (entry.is_padding) return;
    if (!entry.link_target.empty()) {
      check.state = look_at_link(entry);
      return;
    }
    const auto file = open_file(layout_, entry, root_);
    if (file) {
      check.size_bytes = file->version.size_bytes;
      check.state = check.size_bytes == entry.size_bytes ? State::right : State::wrong_size;
      return;
    }
    switch (file.error()) {
      case ENOENT:
      case ENOTDIR:
        check.state = State::missing;
        break;
      case ELOOP:
      case EISDIR:
      case EINVAL:
        check.state = State::wrong_kind;
        break;
      default:
        check.state = State::unreadable;
        check.reason = describe_errno(file.error());
    }
  }

  // A link is right when it leads to the same place, however that is written.
  [[nodiscard]] State look_at_link(const FileEntry& entry) const {
    const fs::path link = path_of(layout_, entry, root_);
    std::error_code error;
    const fs::file_status status = fs::symlink_status(link, error);
    if (!fs::exists(status)) return State::missing;
    if (!fs::is_symlink(status)) return State::wrong_kind;
    const fs::path target = (link.parent_path() / fs::read_symlink(link, error)).lexically_normal();
    const fs::path wanted = (root_ / metainfo::join_path(entry.link_target)).lexically_normal();
    return target == wanted || fs::equivalent(target, wanted, error) ? State::right : State::wrong_link;
  }

  [[nodiscard]] bool check(base::PieceIndex piece) const {
    const ReadBuffer buffer(manifest_.size_of(piece));
    base::Sha1Hasher hasher;
    for (const Part& part : parts_of(manifest_, piece)) {
      const FileEntry& entry = layout_.files[part.file];
      if (entry.is_padding) {
        hash_zeros(hasher, part.range.size_bytes, buffer);
        continue;
      }
      const auto file = open_file(layout_, entry, root_);
      if (!file || !hash_bytes(hasher, file->fd.get(), part.range, buffer)) return false;
    }
    return hasher.finish() == manifest_.hash_of(piece);
  }

  static void count(FileCheck& file, bool is_right) {
    ++file.pieces;
    if (!is_right) ++file.pieces_wrong;
  }

  // A wrong piece makes its files wrong, but not those that look right beside one that is known to be the reason.
  void blame(ShareCheck& result) const {
    for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
      if (result.right.test(base::PieceIndex(i))) continue;
      const std::vector<Part> parts = parts_of(manifest_, base::PieceIndex(i));
      const auto has_reason = [&](const Part& part) {
        const State state = result.files[part.file].state;
        return state != State::right && state != State::wrong_bytes;
      };
      if (std::ranges::any_of(parts, has_reason)) continue;
      for (const Part& part : parts) {
        if (!layout_.files[part.file].is_padding) result.files[part.file].state = State::wrong_bytes;
      }
    }
  }

  const metainfo::Manifest& manifest_;
  const metainfo::Layout& layout_;
  const fs::path& root_;
  std::vector<FileCheck> files_;
};

}  // namespace

bool ShareCheck::is_all_right() const {
  return right.is_all() &&
         std::ranges::all_of(files, [](const FileCheck& file) { return file.state == FileCheck::State::right; });
}

ShareResult<std::vector<base::Sha1Hash>> hash_share(const ScannedShare& share, const ReadProgress& progress) {
  SHOAL_CHECK(share.versions.size() == share.layout.files.size());
  return Hashing(share).run(progress);
}

ShareCheck check_share(const metainfo::Manifest& manifest, const fs::path& root, const ReadProgress& progress) {
  SHOAL_CHECK(manifest.layout.has_value());
  return Checking(manifest, root).run(progress);
}

}  // namespace shoal::storage
