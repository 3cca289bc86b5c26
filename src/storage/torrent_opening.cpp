#include "storage/torrent_opening.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "metainfo/selection.hpp"
#include "storage/files.hpp"

namespace shoal::storage {
namespace {

using base::Bitfield;
using base::PieceIndex;
using metainfo::FileEntry;
using metainfo::Layout;
using metainfo::Manifest;
using seam::StoreError;
using seam::StoreErrorKind;
using ManifestPtr = std::shared_ptr<const Manifest>;

bool has_bytes(const FileEntry& file) {
  return !file.is_padding && file.size_bytes > 0;
}

// Those of `candidates` whose bytes are right.
Bitfield hash_pieces(TorrentFiles& files, const Manifest& manifest, const Bitfield& candidates) {
  std::vector<PieceIndex> pieces;
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    if (candidates.test(PieceIndex(i))) pieces.emplace_back(i);
  }
  std::vector<std::uint8_t> is_right(pieces.size());  // not bool: written by several threads
  run_in_parallel(pieces.size(), [&](std::size_t i) {
    is_right[i] = files.hash(files.range_of(pieces[i])) == manifest.hash_of(pieces[i]);
  });
  Bitfield right(candidates.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (is_right[i] != 0) right.set(pieces[i]);
  }
  return right;
}

// Decides which claims to believe as they are, and which to look at.
class Doubts {
 public:
  Doubts(TorrentFiles& files, TorrentClaims claims)
      : files_(files),
        claims_(std::move(claims)),
        is_new_(claims_.held.size()),
        to_hash_(claims_.held.size()),
        claimed_ends_(files.file_count() + 1) {
    for (const PieceIndex piece : claims_.new_pieces) {
      if (claims_.is_same_boot) {
        is_new_.set(piece);
      } else if (!claims_.held.test(piece)) {
        to_hash_.set(piece);
      }
    }
    for (std::uint32_t i = 0; i < is_new_.size(); ++i) {
      if (claims_.held.test(PieceIndex(i)) || is_new_.test(PieceIndex(i))) note_ends(PieceIndex(i));
    }
  }

  // `stamp`: of the file as it is now; nothing when it is not there.
  void examine(std::uint32_t file, const std::optional<FileStamp>& stamp) {
    const auto noted = claims_.files.find(file);
    const bool is_noted = noted != claims_.files.end();
    const bool is_long_enough = stamp && stamp->size_bytes >= claimed_ends_[file];
    const bool may_be_ours = !files_.is_whole(file);
    if (is_long_enough && is_noted &&
        (noted->second.stamp == stamp ||
         (may_be_ours && (is_explained(noted->second, *stamp) || has_final_time(file, *stamp))))) {
      if (!noted->second.is_dirty) noted->second.stamp = stamp;
      return;
    }
    if (is_noted) claims_.files.erase(noted);
    if (stamp) claims_.files[file] = {.stamp = stamp, .is_dirty = true};
    doubt(file);
  }

  // What is claimed of it is of bytes in another place.
  void forget(std::uint32_t file) {
    claims_.files.erase(file);
    doubt(file);
  }

  void doubt(std::uint32_t file) {
    const Layout& layout = files_.layout();
    const auto doubt_piece = [this](PieceIndex piece) {
      if (!claims_.held.test(piece) && !is_new_.test(piece)) return;
      claims_.held.reset(piece);
      is_new_.reset(piece);
      to_hash_.set(piece);
    };
    if (file < files_.file_count()) return for_each_piece(layout, layout.files[file], doubt_piece);
    for (std::uint32_t i = 0; i < files_.file_count(); ++i) {
      if (has_bytes(layout.files[i]) && !files_.is_in_tree(i)) for_each_piece(layout, layout.files[i], doubt_piece);
    }
  }

  // Nobody claims it, but it may be there.
  void hope_for(PieceIndex piece) {
    if (!claims_.held.test(piece) && !is_new_.test(piece)) to_hash_.set(piece);
  }

  [[nodiscard]] const Bitfield& to_hash() const { return to_hash_; }

  // The claims that are true, once those in doubt were hashed.
  TorrentClaims settle(const Bitfield& right) {
    claims_.new_pieces.clear();
    for (std::uint32_t i = 0; i < right.size(); ++i) {
      const PieceIndex piece(i);
      if (right.test(piece) || (is_new_.test(piece) && !claims_.held.test(piece))) claims_.new_pieces.push_back(piece);
    }
    claims_.is_closed = false;
    return std::move(claims_);
  }

 private:
  // How far the files with bytes of this piece have to go.
  void note_ends(PieceIndex piece) {
    for (const TorrentFiles::Stretch& stretch : files_.stretches(files_.range_of(piece))) {
      if (stretch.is_padding) continue;
      claimed_ends_[stretch.file] = std::max(claimed_ends_[stretch.file], stretch.offset + stretch.size_bytes);
    }
  }

  // Whether we were about to finish the file when we ended: see complete_tree().
  [[nodiscard]] bool has_final_time(std::uint32_t file, const FileStamp& stamp) const {
    if (file >= files_.file_count()) return false;
    const FileEntry& entry = files_.layout().files[file];
    return entry.modified_s && stamp.size_bytes == entry.size_bytes &&
           stamp.modified_ns == *entry.modified_s * std::int64_t{1'000'000'000};
  }

  // Whether our own last writes explain how the file differs from what was noted.
  [[nodiscard]] bool is_explained(const NotedFile& noted, const FileStamp& stamp) const {
    // After a power cut the line that says so may be lost.
    const bool was_written = claims_.is_same_boot ? noted.is_dirty : noted.is_dirty || !claims_.is_closed;
    const base::Duration slack = claims_.is_same_boot ? kKilledSlack : kPowerCutSlack;
    const std::int64_t latest_ns =
        claims_.touched_ns + std::chrono::duration_cast<std::chrono::nanoseconds>(slack).count();
    const bool went_on =
        !noted.stamp || (stamp.modified_ns >= noted.stamp->modified_ns && stamp.size_bytes >= noted.stamp->size_bytes);
    return was_written && went_on && stamp.modified_ns <= latest_ns;
  }

  TorrentFiles& files_;
  TorrentClaims claims_;
  Bitfield is_new_;  // claimed, in its place, perhaps not on disk
  Bitfield to_hash_;
  std::vector<std::uint64_t> claimed_ends_;  // by file
};

TorrentClaims no_claims(const Manifest& manifest) {
  TorrentClaims claims;
  claims.held = Bitfield(manifest.piece_count());
  return claims;
}

StoreResult<void> carry_over(TorrentFiles& from, TorrentFiles& to, ByteRange range) {
  base::Bytes buffer(std::min<std::uint64_t>(range.size_bytes, kReadBytes));
  for (std::uint64_t done = 0; done < range.size_bytes;) {
    const std::size_t count = std::min<std::uint64_t>(buffer.size(), range.size_bytes - done);
    const std::span<std::byte> bytes = std::span(buffer).first(count);
    if (from.read(range.offset + done, bytes) != count) {
      const std::uint32_t file = from.stretches({range.offset + done, count}).front().file;
      return std::unexpected(store_error(EIO, "read", from.path_of(file)));
    }
    if (auto written = to.write(range.offset + done, bytes); !written) return written;
    done += count;
  }
  return {};
}

// What is there of a share. The steps in their order: look(), believe(), adopt_selection().
class Opening {
 public:
  Opening(const TorrentPlace& place, ManifestPtr manifest, const std::vector<bool>& wanted,
          std::optional<TorrentClaims> claims)
      : place_(place),
        manifest_(std::move(manifest)),
        layout_(*manifest_->layout),
        wanted_(wanted),
        claims_(std::move(claims)),
        in_tree_(wanted),
        is_whole_(wanted.size()),
        stamps_(wanted.size()) {}

  StoreResult<OpenedTorrent> run() {
    using Kind = Folder::EntryKind;
    opened_.has_whole = place_.folder->kind_of(place_.name) != Kind::none;
    const bool has_part = place_.folder->kind_of(place_.part) != Kind::none;
    if (auto looked = look(); !looked) return std::unexpected(std::move(looked.error()));
    if (auto believed = believe(); !believed) return std::unexpected(std::move(believed.error()));
    if (auto adopted = adopt_selection(); !adopted) return std::unexpected(std::move(adopted.error()));
    opened_.claims.in_tree = opened_.files->in_tree();
    opened_.is_complete = !has_part && is_finished();
    opened_.files->freeze();
    return std::move(opened_);
  }

 private:
  std::unique_ptr<TorrentFiles> make_files(const std::vector<bool>& in_tree, const std::vector<bool>& is_whole) const {
    return std::make_unique<TorrentFiles>(TorrentFilesOptions{.folder = place_.folder,
                                                              .part = place_.part,
                                                              .whole = place_.name,
                                                              .side = place_.side,
                                                              .manifest = manifest_,
                                                              .in_tree = in_tree,
                                                              .is_whole = is_whole});
  }
  std::unexpected<StoreError> something_else(const std::string& file, std::string_view what) const {
    return unwritable(place_.whole_path(), "it is there already, and " + file + " " + std::string(what));
  }

  // Where each file lies.
  StoreResult<void> look() {
    const std::vector<bool> every(wanted_.size(), true);
    const auto part = make_files(every, {});
    const auto whole = make_files(every, every);
    for (std::uint32_t i = 0; i < wanted_.size(); ++i) {
      const FileEntry& file = layout_.files[i];
      if (file.is_padding) continue;
      if (!file.link_target.empty()) {
        is_whole_[i] = opened_.has_whole;
        continue;
      }
      const auto finished = opened_.has_whole ? whole->look_at(i) : std::unexpected(ENOENT);
      is_whole_[i] = finished && finished->size_bytes == file.size_bytes;
      if (!is_whole_[i] && wanted_[i] && (finished || finished.error() != ENOENT)) {
        return something_else(whole->path_of(i), finished ? kHasAnotherSize : kIsNoFile);
      }
      if (const auto stamp = is_whole_[i] ? finished : part->look_at(i)) stamps_[i] = *stamp;
      // In the part there may also be what an earlier run only began to move there from the side file.
      const bool is_in_part = claims_ ? claims_->in_tree[i] && (stamps_[i] || wanted_[i]) : stamps_[i].has_value();
      in_tree_[i] = is_whole_[i] || is_in_part;
    }
    const bool is_ours = claims_ || std::ranges::find(is_whole_, true) != is_whole_.end();
    if (opened_.has_whole && !is_ours) return something_else(place_.whole_path(), kHoldsNothing);
    return {};
  }

  // Which pieces are there, as the files lie now.
  StoreResult<void> believe() {
    const bool has_journal = claims_.has_value();
    const std::vector<bool> was_in_tree = has_journal ? claims_->in_tree : in_tree_;
    opened_.files = make_files(in_tree_, is_whole_);
    know_files(*opened_.files);
    Doubts doubts(*opened_.files, has_journal ? *std::move(claims_) : no_claims(*manifest_));
    for (std::uint32_t i = 0; i < wanted_.size(); ++i) {
      const FileEntry& file = layout_.files[i];
      if (file.is_padding || !file.link_target.empty()) continue;
      if (in_tree_[i] != was_in_tree[i]) doubts.forget(i);
      if (in_tree_[i]) doubts.examine(i, stamps_[i]);
      const bool may_be_right = is_whole_[i] ? wanted_[i] : !has_journal && stamps_[i];
      if (may_be_right) for_each_piece(layout_, file, [&](PieceIndex piece) { doubts.hope_for(piece); });
    }
    doubts.examine(opened_.files->side_number(), side_stamp_);
    const Bitfield right = hash_pieces(*opened_.files, *manifest_, doubts.to_hash());
    for (std::uint32_t i = 0; i < right.size(); ++i) {
      if (!doubts.to_hash().test(PieceIndex(i)) || right.test(PieceIndex(i))) continue;
      if (const auto file = find_wrong_file(PieceIndex(i))) {
        return something_else(opened_.files->path_of(*file), kIsSomethingElse);
      }
    }
    opened_.claims = doubts.settle(right);
    return {};
  }

  void know_files(TorrentFiles& files) {
    for (std::uint32_t i = 0; i < wanted_.size(); ++i) {
      if (stamps_[i] && in_tree_[i] && !is_whole_[i]) files.know(i, stamps_[i]->size_bytes);
    }
    const auto side = files.look_at(files.side_number());
    if (!side) return;
    side_stamp_ = *side;
    files.know(files.side_number(), side->size_bytes);
  }

  // A wanted file that makes this wrong piece an error. Where bytes of other files are missing nothing can be said: the
  // piece comes again, and is compared then.
  std::optional<std::uint32_t> find_wrong_file(PieceIndex piece) const {
    std::optional<std::uint32_t> found;
    for (const auto& stretch : opened_.files->stretches(opened_.files->range_of(piece))) {
      if (stretch.is_padding) continue;
      if (!opened_.files->is_whole(stretch.file)) return std::nullopt;
      if (!found && wanted_[stretch.file]) found = stretch.file;
    }
    return found;
  }

  // Moves the bytes of files that are wanted now from the side file to the part. What is moved counts as not synced.
  StoreResult<void> adopt_selection() {
    std::vector<bool> in_tree = in_tree_;
    for (std::uint32_t i = 0; i < wanted_.size(); ++i) in_tree[i] = in_tree[i] || wanted_[i];
    if (in_tree == in_tree_) return {};
    const auto old_files = std::exchange(opened_.files, make_files(in_tree, is_whole_));
    know_files(*opened_.files);
    TorrentClaims& claims = opened_.claims;
    Bitfield claimed = claims.held;
    for (const PieceIndex piece : claims.new_pieces) claimed.set(piece);
    for (std::uint32_t i = 0; i < wanted_.size(); ++i) {
      if (in_tree[i] == in_tree_[i] || !has_bytes(layout_.files[i])) continue;
      if (auto moved = move_from_side(layout_.files[i], *old_files, claimed); !moved) return moved;
      claims.files[i] = {.stamp = {}, .is_dirty = true};
    }
    claims.new_pieces.clear();
    for (std::uint32_t i = 0; i < claimed.size(); ++i) {
      const PieceIndex piece(i);
      if (claimed.test(piece) && !claims.held.test(piece)) claims.new_pieces.push_back(piece);
    }
    return {};
  }

  StoreResult<void> move_from_side(const FileEntry& file, TorrentFiles& old_files, const Bitfield& claimed) {
    StoreResult<void> moved;
    for_each_piece(layout_, file, [&](PieceIndex piece) {
      if (!moved || !claimed.test(piece)) return;
      opened_.claims.held.reset(piece);
      const std::uint64_t begin = std::max(manifest_->offset_of(piece), file.offset_bytes);
      const std::uint64_t end =
          std::min(manifest_->offset_of(piece) + manifest_->size_of(piece), file.offset_bytes + file.size_bytes);
      moved = carry_over(old_files, *opened_.files, {begin, end - begin});
    });
    return moved;
  }

  // Everything that is wanted, but perhaps for links.
  bool is_finished() const {
    Bitfield claimed = opened_.claims.held;
    for (const PieceIndex piece : opened_.claims.new_pieces) claimed.set(piece);
    for (std::uint32_t i = 0; i < wanted_.size(); ++i) {
      const FileEntry& file = layout_.files[i];
      if (!wanted_[i] || file.is_padding) continue;
      bool is_here = is_whole_[i];
      for_each_piece(layout_, file, [&](PieceIndex piece) { is_here = is_here && claimed.test(piece); });
      if (!is_here) return false;
    }
    return true;
  }

  static constexpr std::string_view kHasAnotherSize =
      "has another size than in the share; move it away, or choose another place";
  static constexpr std::string_view kIsNoFile = "is in the way; move it away, or choose another place";
  static constexpr std::string_view kHoldsNothing = "holds no file of the share; move it away, or choose another place";

  const TorrentPlace& place_;
  const ManifestPtr manifest_;
  const Layout& layout_;
  const std::vector<bool>& wanted_;
  std::optional<TorrentClaims> claims_;  // of the journal
  std::vector<bool> in_tree_;
  std::vector<bool> is_whole_;
  std::vector<std::optional<FileStamp>> stamps_;
  std::optional<FileStamp> side_stamp_;
  OpenedTorrent opened_;
};

}  // namespace

StoreResult<OpenedTorrent> open_torrent(const TorrentPlace& place, const ManifestPtr& manifest,
                                        const std::vector<bool>& wanted) {
  using Kind = Folder::EntryKind;
  const JournalKey key{.info_hash = place.info_hash,
                       .piece_count = manifest->piece_count(),
                       .file_count = static_cast<std::uint32_t>(manifest->layout->files.size())};
  auto claims = read_torrent_journal(*place.folder, place.journal, key);
  const Kind right_kind = manifest->layout->is_folder ? Kind::folder : Kind::plain_file;
  for (const std::string& name : {place.name, place.part}) {
    const Kind kind = place.folder->kind_of(name);
    if (kind == Kind::none || kind == right_kind) continue;
    return unwritable(place.folder->path_of(name), kind == Kind::link     ? "a symbolic link is in the way"
                                                   : kind == Kind::folder ? "a folder is in the way"
                                                                          : "something else is in the way");
  }
  const bool has_part = place.folder->kind_of(place.part) != Kind::none;
  if (has_part && !claims && claims.error() == JournalError::other_share) {
    return unwritable(place.whole_path(),
                      "an unfinished download of another share of this name is there; finish it, remove " +
                          place.folder->path_of(place.part) + ", or choose another place");
  }
  const bool has_whole = place.folder->kind_of(place.name) != Kind::none;
  if (!has_part && !has_whole) {
    place.folder->remove(place.side);
    claims = std::unexpected(JournalError::unreadable);
  }
  return Opening(place, manifest, wanted, claims ? std::optional(*std::move(claims)) : std::nullopt).run();
}

}  // namespace shoal::storage
