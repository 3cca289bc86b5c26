#include "storage/torrent_opening.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "metainfo/selection.hpp"

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

constexpr std::size_t kCopyBytes = 256 * 1024;

std::unexpected<StoreError> unwritable(const std::string& path, std::string_view why) {
  return std::unexpected(StoreError{StoreErrorKind::unwritable, "cannot write " + path + ": " + std::string(why)});
}

bool has_bytes(const FileEntry& file) {
  return !file.is_padding && file.size_bytes > 0;
}

// Calls `visit` with each piece that holds bytes of the file.
template <typename Visit>
void for_each_piece(const Layout& layout, const FileEntry& file, const Visit& visit) {
  if (file.size_bytes == 0) return;
  const std::uint64_t last = (file.offset_bytes + file.size_bytes - 1) / layout.piece_bytes;
  for (std::uint64_t piece = file.offset_bytes / layout.piece_bytes; piece <= last; ++piece) {
    visit(PieceIndex(static_cast<std::uint32_t>(piece)));
  }
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
    if (is_long_enough && is_noted && (noted->second.stamp == stamp || is_explained(noted->second, *stamp))) {
      if (!noted->second.is_dirty) noted->second.stamp = stamp;
      return;
    }
    if (is_noted) claims_.files.erase(noted);
    if (stamp) claims_.files[file] = {.stamp = stamp, .is_dirty = true};
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

TorrentClaims no_claims(const Manifest& manifest, const std::vector<bool>& in_tree) {
  TorrentClaims claims;
  claims.held = Bitfield(manifest.piece_count());
  claims.in_tree = in_tree;
  return claims;
}

// --- another selection than the last time ---

StoreResult<void> carry_over(TorrentFiles& from, TorrentFiles& to, ByteRange range) {
  base::Bytes buffer(std::min<std::uint64_t>(range.size_bytes, kCopyBytes));
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

// Moves the bytes of files that are no longer wanted (only those of pieces that also hold bytes of wanted files) to the
// side file, and those of newly wanted ones from there into the tree. What is moved counts as not synced.
StoreResult<void> adopt_selection(OpenedTorrent& opened, const ManifestPtr& manifest, const Bitfield& wanted_pieces) {
  const Layout& layout = *manifest->layout;
  TorrentClaims& claims = opened.claims;
  Bitfield claimed = claims.held;
  for (const PieceIndex piece : claims.new_pieces) claimed.set(piece);
  Bitfield moved(manifest->piece_count());
  for (std::uint32_t i = 0; i < layout.files.size(); ++i) {
    const FileEntry& file = layout.files[i];
    const bool is_in_tree = opened.files->is_in_tree(i);
    if (file.is_padding || is_in_tree == opened.old_files->is_in_tree(i)) continue;
    if (!is_in_tree) opened.files_to_remove.push_back(i);
    std::optional<StoreError> error;
    for_each_piece(layout, file, [&](PieceIndex piece) {
      if (error || !claimed.test(piece)) return;
      moved.set(piece);
      if (!wanted_pieces.test(piece)) {
        claimed.reset(piece);
        return;
      }
      const std::uint64_t begin = std::max(manifest->offset_of(piece), file.offset_bytes);
      const std::uint64_t end =
          std::min(manifest->offset_of(piece) + manifest->size_of(piece), file.offset_bytes + file.size_bytes);
      auto carried = carry_over(*opened.old_files, *opened.files, {begin, end - begin});
      if (!carried) error = std::move(carried.error());
    });
    if (error) return std::unexpected(*std::move(error));
    claims.files[is_in_tree ? i : opened.files->side_number()] = {.stamp = {}, .is_dirty = true};
  }
  claims.new_pieces.clear();
  for (std::uint32_t i = 0; i < claimed.size(); ++i) {
    const PieceIndex piece(i);
    if (moved.test(piece) || !claimed.test(piece)) claims.held.reset(piece);
    if (claimed.test(piece) && !claims.held.test(piece)) claims.new_pieces.push_back(piece);
  }
  for (const std::uint32_t file : opened.files_to_remove) claims.files.erase(file);
  claims.in_tree = opened.files->in_tree();
  return {};
}

// --- the ways a download can begin ---

std::unique_ptr<TorrentFiles> make_files(const TorrentPlace& place, const ManifestPtr& manifest,
                                         const std::vector<bool>& in_tree, bool is_whole) {
  return std::make_unique<TorrentFiles>(TorrentFilesOptions{.folder = place.folder,
                                                            .root = is_whole ? place.name : place.part,
                                                            .side = place.side,
                                                            .manifest = manifest,
                                                            .in_tree = in_tree,
                                                            .is_writable = !is_whole});
}

std::optional<FileStamp> stamp_if_there(TorrentFiles& files, std::uint32_t file) {
  const auto stamp = files.look_at(file);
  if (!stamp) return std::nullopt;
  files.know(file, stamp->size_bytes);
  return *stamp;
}

StoreResult<OpenedTorrent> open_part(const TorrentPlace& place, const ManifestPtr& manifest,
                                     const std::vector<bool>& wanted,
                                     std::expected<TorrentClaims, JournalError> claims) {
  const Layout& layout = *manifest->layout;
  const bool has_journal = claims.has_value();
  OpenedTorrent opened;
  opened.files = make_files(place, manifest, has_journal ? claims->in_tree : wanted, false);
  Doubts doubts(*opened.files, has_journal ? *std::move(claims) : no_claims(*manifest, wanted));
  for (std::uint32_t i = 0; i <= opened.files->side_number(); ++i) {
    const bool lies_somewhere = i == opened.files->side_number() || opened.files->is_in_tree(i);
    if (!lies_somewhere || (i < layout.files.size() && layout.files[i].is_padding)) continue;
    doubts.examine(i, stamp_if_there(*opened.files, i));
  }
  for (std::uint32_t i = 0; i < manifest->piece_count() && !has_journal; ++i) doubts.hope_for(PieceIndex(i));
  opened.claims = doubts.settle(hash_pieces(*opened.files, *manifest, doubts.to_hash()));
  if (opened.files->in_tree() == wanted) return opened;

  opened.old_files = std::exchange(opened.files, make_files(place, manifest, wanted, false));
  for (std::uint32_t i = 0; i <= opened.files->side_number(); ++i) {
    if (i == opened.files->side_number() || (opened.files->is_in_tree(i) && opened.old_files->is_in_tree(i))) {
      (void)stamp_if_there(*opened.files, i);
    }
  }
  const Bitfield wanted_pieces = metainfo::pieces_of_files(layout, wanted);
  if (auto adopted = adopt_selection(opened, manifest, wanted_pieces); !adopted) {
    return std::unexpected(std::move(adopted.error()));
  }
  return opened;
}

// The finished share is there, or something else of its name.
StoreResult<OpenedTorrent> open_whole(const TorrentPlace& place, const ManifestPtr& manifest,
                                      const std::vector<bool>& wanted, std::optional<TorrentClaims> claims) {
  const Layout& layout = *manifest->layout;
  const std::string path = place.folder->path_of(place.name);
  const auto something_else = [&](const std::string& file, std::string_view what) {
    return unwritable(
        path, "it is there already, and " + file + " " + std::string(what) + "; move it away, or choose another place");
  };
  const auto every = make_files(place, manifest, std::vector<bool>(layout.files.size(), true), true);
  std::vector<bool> in_tree = wanted;
  std::vector<std::optional<FileStamp>> stamps(layout.files.size());
  for (std::uint32_t i = 0; i < layout.files.size(); ++i) {
    const FileEntry& file = layout.files[i];
    const bool was_in_tree = claims && claims->in_tree[i];
    if (file.is_padding || !file.link_target.empty() || (!wanted[i] && !was_in_tree)) continue;
    if (const auto stamp = every->look_at(i)) stamps[i] = *stamp;
    in_tree[i] = stamps[i] && stamps[i]->size_bytes == file.size_bytes;
    if (!wanted[i] || in_tree[i]) continue;
    return something_else(every->path_of(i), stamps[i] ? "has another size than in the share" : "is missing in it");
  }

  OpenedTorrent opened;
  opened.is_whole = true;
  opened.files = make_files(place, manifest, in_tree, true);
  const std::vector<bool> old_in_tree = claims ? claims->in_tree : in_tree;
  Doubts doubts(*opened.files, claims ? *std::move(claims) : no_claims(*manifest, in_tree));
  for (std::uint32_t i = 0; i < layout.files.size(); ++i) {
    if (!has_bytes(layout.files[i])) continue;
    if (in_tree[i] != old_in_tree[i]) doubts.doubt(i);
    if (in_tree[i]) doubts.examine(i, stamps[i]);
  }
  doubts.examine(opened.files->side_number(), stamp_if_there(*opened.files, opened.files->side_number()));
  const Bitfield wanted_pieces = metainfo::pieces_of_files(layout, wanted);
  for (std::uint32_t i = 0; i < wanted_pieces.size(); ++i) {
    if (wanted_pieces.test(PieceIndex(i))) doubts.hope_for(PieceIndex(i));
  }
  const Bitfield right = hash_pieces(*opened.files, *manifest, doubts.to_hash());
  for (std::uint32_t i = 0; i < right.size(); ++i) {
    const PieceIndex piece(i);
    if (!doubts.to_hash().test(piece) || right.test(piece) || !wanted_pieces.test(piece)) continue;
    // Where bytes of unwanted files are missing nothing can be said about the others: see TorrentStore::complete().
    const auto stretches = opened.files->stretches(opened.files->range_of(piece));
    const auto is_aside = [&](const auto& stretch) { return stretch.file == opened.files->side_number(); };
    if (std::ranges::any_of(stretches, is_aside)) continue;
    const auto is_wanted = [&](const auto& stretch) { return wanted[stretch.file]; };
    const auto first = std::ranges::find_if(stretches, is_wanted);
    return something_else(opened.files->path_of(first->file), "is not what the share holds");
  }
  opened.claims = doubts.settle(right);
  opened.claims.in_tree = in_tree;
  opened.files->freeze();
  return opened;
}

}  // namespace

StoreResult<OpenedTorrent> open_torrent(const TorrentPlace& place, const ManifestPtr& manifest,
                                        const std::vector<bool>& wanted) {
  using Kind = Folder::EntryKind;
  const JournalKey key{.info_hash = place.info_hash,
                       .piece_count = manifest->piece_count(),
                       .file_count = static_cast<std::uint32_t>(manifest->layout->files.size())};
  auto claims = read_torrent_journal(*place.folder, place.journal, key);
  const Kind right_kind = manifest->layout->is_folder ? Kind::folder : Kind::plain_file;
  const Kind whole = place.folder->kind_of(place.name);
  const Kind part = place.folder->kind_of(place.part);
  const auto in_the_way = [&](const std::string& name, Kind kind) {
    const bool is_link = kind == Kind::link;
    return unwritable(place.folder->path_of(name), is_link                ? "a symbolic link is in the way"
                                                   : kind == Kind::folder ? "a folder is in the way"
                                                                          : "something else is in the way");
  };
  if (whole != Kind::none) {
    if (whole != right_kind) return in_the_way(place.name, whole);
    // With both there the journal is the unfinished one's.
    const bool is_for_whole = claims && part == Kind::none;
    return open_whole(place, manifest, wanted, is_for_whole ? std::optional(*std::move(claims)) : std::nullopt);
  }
  if (part != Kind::none) {
    if (part != right_kind) return in_the_way(place.part, part);
    if (!claims && claims.error() == JournalError::other_share) {
      return unwritable(place.folder->path_of(place.name),
                        "an unfinished download of another share of this name is there; finish it, remove " +
                            place.folder->path_of(place.part) + ", or choose another place");
    }
    return open_part(place, manifest, wanted, std::move(claims));
  }
  place.folder->remove(place.side);
  OpenedTorrent opened;
  opened.files = make_files(place, manifest, wanted, false);
  opened.claims = no_claims(*manifest, wanted);
  return opened;
}

}  // namespace shoal::storage
