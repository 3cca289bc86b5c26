// How a TorrentStore begins and ends: open(), finish(), serve().
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "metainfo/paths.hpp"
#include "metainfo/selection.hpp"
#include "storage/files.hpp"
#include "storage/torrent_store_impl.hpp"

namespace shoal::storage {
namespace {

using base::PieceIndex;
using metainfo::Manifest;
using seam::StoreError;
using seam::StoreErrorKind;

constexpr std::string_view kTorrentSuffix = ".shoal-torrent";

// Millions of hashes that are far apart in memory: most are told apart by a first part that is not.
std::vector<PieceIndex> sorted_by_hash(const Manifest& manifest) {
  struct Begin {
    std::uint64_t first_bytes;
    PieceIndex piece;
  };
  std::vector<Begin> begins;
  begins.reserve(manifest.pieces.size());
  for (std::uint32_t i = 0; i < manifest.piece_count(); ++i) {
    std::uint64_t first_bytes = 0;
    for (std::size_t at = 0; at < sizeof first_bytes; ++at) {
      first_bytes = first_bytes << 8 | std::to_integer<std::uint64_t>(manifest.pieces[i].bytes[at]);
    }
    begins.push_back({first_bytes, PieceIndex(i)});
  }
  std::ranges::sort(begins, [&manifest](const Begin& a, const Begin& b) {
    if (a.first_bytes != b.first_bytes) return a.first_bytes < b.first_bytes;
    return manifest.hash_of(a.piece) < manifest.hash_of(b.piece);
  });
  std::vector<PieceIndex> pieces;
  pieces.reserve(begins.size());
  for (const Begin& begin : begins) pieces.push_back(begin.piece);
  return pieces;
}

bool holds_bytes(const Folder& folder, const std::string& name, base::ByteView bytes) {
  const auto file = folder.open_plain(name, O_RDONLY);
  if (!file || file->version.size_bytes != bytes.size()) return false;
  base::Bytes there(bytes.size());
  return read_at(file->fd.get(), there, 0) == there.size() && std::ranges::equal(there, bytes);
}

}  // namespace

TorrentStore::Impl::Impl(TorrentStoreOptions options) : options_(std::move(options)) {}

TorrentStore::Impl::Impl(std::shared_ptr<const Manifest> manifest, std::shared_ptr<TorrentFiles> files,
                         std::string path)
    : path_(std::move(path)),
      is_serving_(true),
      wanted_(files->in_tree()),
      has_whole_(true),
      manifest_(std::move(manifest)),
      files_(std::move(files)),
      by_hash_(sorted_by_hash(*manifest_)),
      verified_(manifest_->piece_count(), true) {}

TorrentStore::Impl::~Impl() {
  if (!journal_) return;
  const bool has_part = place_.folder->kind_of(place_.part) != Folder::EntryKind::none;
  if (!has_part && !has_whole_) {
    // Nothing has come yet, or somebody removed it: the journal is of no use to anybody.
    remove_journal();
    return;
  }
  // The next run then needs to trust nobody's clock.
  if (!sync() || has_sync_failed_) return;
  if (journal_->add_closed()) (void)journal_->sync();
}

StoreResult<std::vector<seam::HeldPiece>> TorrentStore::Impl::open(const Manifest& manifest) {
  if (is_serving_) return held();
  SHOAL_CHECK(manifest.layout.has_value());
  if (auto prepared = prepare_place(manifest); !prepared) return std::unexpected(std::move(prepared.error()));
  if (auto chosen = choose_files(manifest); !chosen) return std::unexpected(std::move(chosen.error()));
  auto shared = std::make_shared<const Manifest>(manifest);
  if (options_.is_nameless) return open_nameless(std::move(shared));
  auto opened = open_torrent(place_, shared, wanted_);
  if (!opened) return std::unexpected(std::move(opened.error()));
  std::optional<TorrentJournal> journal;
  if (!opened->is_complete) {
    const JournalKey key{.info_hash = place_.info_hash,
                         .piece_count = manifest.piece_count(),
                         .file_count = opened->files->file_count()};
    auto created = TorrentJournal::create(place_.folder, place_.journal, key, opened->claims);
    if (!created) return std::unexpected(std::move(created.error()));
    journal.emplace(*std::move(created));
  }
  adopt(*opened, std::move(shared), std::move(journal));
  return held();
}

StoreResult<void> TorrentStore::Impl::keep_torrent(base::ByteView torrent) {
  if (torrent.empty() || is_serving_ || options_.is_nameless) return {};
  const Folder& folder = *place_.folder;
  // Everything is there, and nothing is left that a later run would go on with.
  if (folder.kind_of(place_.journal) == Folder::EntryKind::none) return {};
  if (holds_bytes(folder, place_.torrent, torrent)) return {};
  auto file = TemporaryFile::create(place_.folder, place_.torrent + "~");
  if (!file) return std::unexpected(std::move(file.error()));
  if (auto written = file->write(torrent); !written) return written;
  // Or the rename might survive a power cut and the bytes not.
  if (::fdatasync(file->fd()) != 0) {
    return std::unexpected(store_error(errno, "write", folder.path_of(place_.torrent)));
  }
  if (auto renamed = file->rename_to(place_.torrent); !renamed) return std::unexpected(std::move(renamed.error()));
  return {};
}

void TorrentStore::Impl::remove_journal() {
  for (const std::string& name : {place_.journal, place_.side, place_.torrent}) place_.folder->remove(name);
}

// Also again after a failure: what is there is there.
StoreResult<std::vector<seam::HeldPiece>> TorrentStore::Impl::open_nameless(std::shared_ptr<const Manifest> manifest) {
  SHOAL_CHECK(!manifest->layout->is_folder);
  const std::lock_guard guard(mutex_);
  writes_.clear();
  owners_.clear();
  if (files_ != nullptr) return held();
  files_ = std::make_shared<TorrentFiles>(TorrentFilesOptions{.folder = place_.folder,
                                                              .part = place_.part,
                                                              .whole = {},
                                                              .side = {},
                                                              .manifest = manifest,
                                                              .in_tree = wanted_,
                                                              .is_whole = {},
                                                              .is_nameless = true});
  by_hash_ = sorted_by_hash(*manifest);
  verified_ = base::Bitfield(manifest->piece_count());
  manifest_ = std::move(manifest);
  return held();
}

// The folder, the names in it, and the lock.
StoreResult<void> TorrentStore::Impl::prepare_place(const Manifest& manifest) {
  const std::string name = options_.name.value_or(manifest.name);
  path_ = (options_.folder / name).native();
  if (!metainfo::is_safe_component(name)) return unwritable(path_, "not the name of one file or folder");
  if (place_.folder != nullptr && place_.name == name) return {};
  auto folder = Folder::open(options_.folder, Folder::Missing::is_an_error);
  if (!folder) return std::unexpected(std::move(folder.error()));
  if (options_.is_nameless) {
    place_ = {.folder = *std::move(folder),
              .name = name,
              .part = name,
              .side = {},
              .journal = {},
              .torrent = {},
              .info_hash = {}};
    return {};
  }
  auto lock = LockFile::acquire(*folder, sibling_name(name, ".shoal-lock"), path_);
  if (!lock) return std::unexpected(std::move(lock.error()));
  lock_.reset();
  lock_.emplace(*std::move(lock));
  place_ = {.folder = *std::move(folder),
            .name = name,
            .part = sibling_name(name, ".shoal-part"),
            .side = sibling_name(name, ".shoal-side"),
            .journal = sibling_name(name, ".shoal-journal"),
            .torrent = sibling_name(name, kTorrentSuffix),
            .info_hash = options_.info_hash};
  return {};
}

StoreResult<void> TorrentStore::Impl::choose_files(const Manifest& manifest) {
  const metainfo::Layout& layout = *manifest.layout;
  wanted_ = metainfo::select_files(layout, options_.selected);
  wanted_pieces_ = metainfo::pieces_of_files(layout, wanted_);
  if (!options_.selected.empty() && std::ranges::find(wanted_, true) == wanted_.end()) {
    return unwritable(path_, "the share holds no file that was selected");
  }
  // Also of what is not wanted now: another selection may leave any of them here, and all have to be told apart.
  const auto clashes = metainfo::find_clashes(layout.files, metainfo::Letters::either_case, 1);
  if (clashes.empty() || place_.folder->tells_case_apart()) return {};
  return unwritable(path_, metainfo::join_path(clashes.front().first->path) + " and " +
                               metainfo::join_path(clashes.front().second->path) +
                               " are one name here; choose a folder on another file system");
}

void TorrentStore::Impl::adopt(OpenedTorrent& opened, std::shared_ptr<const Manifest> manifest,
                               std::optional<TorrentJournal> journal) {
  std::vector<PieceIndex> by_hash = sorted_by_hash(*manifest);
  const std::lock_guard guard(mutex_);
  manifest_ = std::move(manifest);
  files_ = std::move(opened.files);
  by_hash_ = std::move(by_hash);
  verified_ = opened.claims.held;
  for (const PieceIndex piece : opened.claims.new_pieces) verified_.set(piece);
  writes_.clear();
  owners_.clear();
  journal_ = std::move(journal);
  has_whole_ = opened.has_whole;
  is_dirty_ = std::make_unique<std::atomic<bool>[]>(files_->file_count() + 1);
  dirty_.clear();
  noted_.clear();
  for (const auto& [file, noted] : opened.claims.files) {
    if (noted.stamp) noted_[file] = *noted.stamp;
    is_dirty_[file] = noted.is_dirty;
    if (noted.is_dirty) dirty_.push_back(file);
  }
  unsynced_bytes_ = 0;
  is_syncing_ = false;
  has_sync_failed_ = false;
}

std::vector<seam::HeldPiece> TorrentStore::Impl::held() const {
  std::vector<seam::HeldPiece> held;
  held.reserve(verified_.count());
  for (std::uint32_t i = 0; i < verified_.size(); ++i) {
    const PieceIndex piece(i);
    if (verified_.test(piece)) held.push_back({piece, manifest_->size_of(piece)});
  }
  return held;
}

StoreResult<std::string> TorrentStore::Impl::finish() {
  if (is_serving_ || options_.is_nameless) return path_;
  SHOAL_CHECK(files_ != nullptr);
  for (std::uint32_t i = 0; i < wanted_pieces_.size(); ++i) {
    const PieceIndex piece(i);
    SHOAL_CHECK(!wanted_pieces_.test(piece) || verified_.test(piece));
  }
  const std::vector<bool> rest = find_rest(*files_, wanted_, verified_);
  if (auto finished = finish_part(rest); !finished) return std::unexpected(std::move(finished.error()));
  if (auto kept = keep_or_remove_journal(rest); !kept) return std::unexpected(std::move(kept.error()));
  return path_;
}

StoreResult<void> TorrentStore::Impl::finish_part(const std::vector<bool>& rest) {
  // Before, a file that is not as it was noted was changed by others; what changes next is our doing.
  if (auto settled = sync_and_check(); !settled) return settled;
  {
    const std::shared_lock writing(writing_);
    const auto mark = [this](std::uint32_t file) { return mark_dirty(file); };
    if (auto completed = complete_tree(*files_, wanted_, mark); !completed) return completed;
  }
  if (auto settled = sync_and_check(); !settled) return settled;
  std::vector<bool> kept = rest;
  for (std::uint32_t i = 0; i < kept.size(); ++i) kept[i] = kept[i] || (wanted_[i] && !files_->is_whole(i));
  clear_part(place_, manifest_, kept);
  const bool has_rest = std::ranges::find(rest, true) != rest.end();
  if (auto moved = move_into_place(*files_, wanted_, place_, has_whole_ || has_rest); !moved) return moved;
  has_whole_ = true;
  files_->freeze();
  return {};
}

StoreResult<void> TorrentStore::Impl::sync_and_check() {
  if (journal_) {
    if (auto synced = sync(); !synced) return synced;
  }
  return check_unchanged(*files_, wanted_, noted_);
}

StoreResult<void> TorrentStore::Impl::keep_or_remove_journal(const std::vector<bool>& rest) {
  clear_part(place_, manifest_, rest);
  journal_.reset();
  if (!options_.keeps_journal && std::ranges::find(rest, true) == rest.end()) {
    remove_journal();
    return {};
  }
  TorrentClaims claims{.held = verified_, .new_pieces = {}, .in_tree = files_->in_tree(), .files = {}};
  claims.is_closed = true;
  for (std::uint32_t i = 0; i <= files_->side_number(); ++i) {
    if (i < files_->side_number() && !files_->is_in_tree(i)) continue;
    if (const auto stamp = files_->look_at(i)) claims.files[i] = {.stamp = *stamp, .is_dirty = false};
  }
  const JournalKey key{
      .info_hash = place_.info_hash, .piece_count = manifest_->piece_count(), .file_count = files_->file_count()};
  auto created = TorrentJournal::create(place_.folder, place_.journal, key, claims);
  if (!created) return std::unexpected(std::move(created.error()));
  return {};
}

std::vector<std::filesystem::path> kept_torrents(const std::filesystem::path& folder,
                                                 const std::optional<std::string>& name) {
  std::vector<std::filesystem::path> kept;
  const auto opened = Folder::open(folder, Folder::Missing::is_an_error);
  if (!opened) return kept;
  const std::string only = name ? sibling_name(*name, kTorrentSuffix) : "";
  for (const std::string& each : (*opened)->names()) {
    if (!each.starts_with('.') || !each.ends_with(kTorrentSuffix)) continue;
    if (name && each != only) continue;
    // Nothing that would be waited for, or that leads elsewhere.
    if ((*opened)->kind_of(each) == Folder::EntryKind::plain_file) kept.push_back(folder / each);
  }
  std::ranges::sort(kept);
  return kept;
}

// --- making one ---

std::unique_ptr<TorrentStore> TorrentStore::download(TorrentStoreOptions options) {
  return std::unique_ptr<TorrentStore>(new TorrentStore(std::make_unique<Impl>(std::move(options))));
}

StoreResult<std::unique_ptr<TorrentStore>> TorrentStore::serve(const Manifest& manifest,
                                                               const std::filesystem::path& root,
                                                               std::span<const FileVersion> hashed) {
  SHOAL_CHECK(manifest.layout.has_value());
  SHOAL_CHECK(hashed.empty() || hashed.size() == manifest.layout->files.size());
  // The user may name the share by a link; below it none is followed.
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(root, error);
  if (error) return std::unexpected(store_error(error.value(), "read", root.native()));
  auto folder = Folder::open(real.parent_path(), Folder::Missing::is_an_error);
  if (!folder) return std::unexpected(std::move(folder.error()));
  const metainfo::Layout& layout = *manifest.layout;
  auto shared = std::make_shared<const Manifest>(manifest);
  auto files = std::make_shared<TorrentFiles>(TorrentFilesOptions{.folder = *std::move(folder),
                                                                  .part = {},
                                                                  .whole = real.filename().native(),
                                                                  .side = {},
                                                                  .manifest = shared,
                                                                  .in_tree = metainfo::select_files(layout, {}),
                                                                  .is_whole = metainfo::select_files(layout, {})});
  files->freeze();  // before it is compared with anything: what changes later is found out
  for (std::uint32_t i = 0; i < files->file_count(); ++i) {
    const metainfo::FileEntry& file = layout.files[i];
    if (file.is_padding || file.size_bytes == 0) continue;
    const auto stamp = files->look_at(i);
    if (!stamp) return std::unexpected(store_error(stamp.error(), "read", files->path_of(i)));
    if (stamp->size_bytes != file.size_bytes) {
      return std::unexpected(
          StoreError{StoreErrorKind::failed, files->path_of(i) + " has " + std::to_string(stamp->size_bytes) +
                                                 " bytes; in the share it has " + std::to_string(file.size_bytes)});
    }
    if (hashed.empty() || *stamp == stamp_of(hashed[i])) continue;
    return std::unexpected(StoreError{StoreErrorKind::failed, files->path_of(i) +
                                                                  " changed since it was read; try again "
                                                                  "when nobody writes to it"});
  }
  auto impl = std::make_unique<Impl>(std::move(shared), std::move(files), real.native());
  return std::unique_ptr<TorrentStore>(new TorrentStore(std::move(impl)));
}

}  // namespace shoal::storage
