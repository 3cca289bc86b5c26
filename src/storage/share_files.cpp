#include "storage/share_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <expected>
#include <mutex>
#include <optional>

#include "base/check.hpp"
#include "metainfo/paths.hpp"

namespace shoal::storage {
namespace {

namespace fs = std::filesystem;
using metainfo::FileEntry;
using State = FileCheck::State;

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
    hash_pieces({.manifest = &manifest_,
                 .open = [this](std::size_t file) { return open(file); },
                 .on_hashed = [this](base::PieceIndex piece, const auto& hash) { take(piece, hash); },
                 .progress = progress});
    // What was read early may have changed since.
    for (std::size_t i = 0; i < share_.layout.files.size() && !has_failed_; ++i) {
      if (share_.layout.files[i].link_target.empty()) (void)open(i);
    }
    if (error_) return std::unexpected(*std::move(error_));
    return std::move(manifest_.pieces);
  }

 private:
  std::optional<UniqueFd> open(std::size_t index) {
    if (has_failed_) return std::nullopt;  // the rest need not be read
    auto file = open_file(share_.layout, share_.layout.files[index], share_.root);
    if (!file) {
      fail(ShareError::Kind::unreadable, index, describe_errno(file.error()));
      return std::nullopt;
    }
    if (!has_same_bytes(file->version, share_.versions[index])) {
      fail(ShareError::Kind::changed, index, "it changed while it was read; try again when nobody writes to it");
      return std::nullopt;
    }
    return std::move(file->fd);
  }

  void take(base::PieceIndex piece, const std::expected<base::Sha1Hash, std::size_t>& hash) {
    if (hash) {
      manifest_.pieces[piece.value] = *hash;
    } else if (open(hash.error())) {  // it has not changed, and still is not all there
      fail(ShareError::Kind::unreadable, hash.error(), "reading failed before its end");
    }
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
    hash_pieces({.manifest = &manifest_,
                 .open = [this](std::size_t file) { return open(file); },
                 .on_hashed = [&](base::PieceIndex piece,
                                  const auto& hash) { is_right[piece.value] = hash == manifest_.hash_of(piece); },
                 .progress = progress});
    ShareCheck result{.right = base::Bitfield(manifest_.piece_count()), .files = std::move(files_)};
    for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
      const base::PieceIndex piece(i);
      if (is_right[i] != 0) result.right.set(piece);
      for (const PiecePart& part : parts_of(manifest_, piece)) count(result.files[part.file], is_right[i] != 0);
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

  [[nodiscard]] std::optional<UniqueFd> open(std::size_t index) const {
    auto file = open_file(layout_, layout_.files[index], root_);
    return file ? std::optional(std::move(file->fd)) : std::nullopt;
  }

  static void count(FileCheck& file, bool is_right) {
    ++file.pieces;
    if (!is_right) ++file.pieces_wrong;
  }

  // A wrong piece makes its files wrong, but not those that look right beside one that is known to be the reason.
  void blame(ShareCheck& result) const {
    for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
      if (result.right.test(base::PieceIndex(i))) continue;
      const std::vector<PiecePart> parts = parts_of(manifest_, base::PieceIndex(i));
      const auto has_reason = [&](const PiecePart& part) {
        const State state = result.files[part.file].state;
        return state != State::right && state != State::wrong_bytes;
      };
      if (std::ranges::any_of(parts, has_reason)) continue;
      for (const PiecePart& part : parts) {
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
