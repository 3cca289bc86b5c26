#include "storage/torrent_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/check.hpp"
#include "storage/files.hpp"
#include "storage/torrent_piece.hpp"
#include "storage/torrent_store_impl.hpp"

namespace shoal::storage {
namespace {

using base::PieceIndex;
using seam::StoreError;
using seam::StoreErrorKind;

// More dirty files than this are synced with their whole file system.
constexpr std::size_t kSyncOneByOneMax = 32;

bool is_zeros(base::ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

}  // namespace

TorrentStore::Impl::WritePtr TorrentStore::Impl::find(seam::WriteId write) {
  const std::lock_guard guard(mutex_);
  const auto found = writes_.find(write);
  SHOAL_CHECK(found != writes_.end());
  return found->second;
}

TorrentStore::Impl::WritePtr TorrentStore::Impl::extract(seam::WriteId write) {
  const std::lock_guard guard(mutex_);
  const auto node = writes_.extract(write);
  return node.empty() ? nullptr : node.mapped();
}

StoreResult<void> TorrentStore::Impl::begin(seam::WriteId write, const std::vector<PieceIndex>& places,
                                            std::uint64_t size_bytes) {
  SHOAL_CHECK(!places.empty() && !is_serving_ && files_ != nullptr);
  auto state = std::make_shared<Write>();
  state->size_bytes = size_bytes;
  state->hash = manifest_->hash_of(places.front());
  for (const PieceIndex place : places) {
    SHOAL_CHECK(manifest_->hash_of(place) == state->hash);
    if (manifest_->size_of(place) == size_bytes) state->places.push_back(place);
  }
  // Equal pieces of files nobody wants need no room.
  const auto is_unwanted = [this](PieceIndex place) { return !wanted_pieces_.test(place); };
  if (!std::ranges::all_of(state->places, is_unwanted)) std::erase_if(state->places, is_unwanted);
  bool needs_own_file = false;
  {
    const std::lock_guard guard(mutex_);
    if (!state->places.empty()) {
      const PieceIndex home = state->places.front();
      const bool is_taken = verified_.test(home) || files_->touches_whole(files_->range_of(home));
      needs_own_file = is_taken || !owners_.try_emplace(home, state).second;
    }
    const bool is_new = writes_.try_emplace(write, state).second;
    SHOAL_CHECK(is_new);
  }
  if (!needs_own_file) return {};
  auto own_file = place_.folder->create_nameless();
  if (!own_file) return std::unexpected(std::move(own_file.error()));
  state->own_file = *std::move(own_file);
  return {};
}

StoreResult<void> TorrentStore::Impl::put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) {
  const WritePtr state = find(write);
  SHOAL_CHECK(offset_bytes <= state->size_bytes && bytes.size() <= state->size_bytes - offset_bytes);
  if (state->places.empty() || bytes.empty()) return {};
  const ByteRange range{files_->range_of(state->places.front()).offset + offset_bytes, bytes.size()};
  const std::lock_guard guard(state->mutex);
  if (offset_bytes < state->hashed_bytes) {
    state->is_hashed_in_order = false;
  } else if (offset_bytes == state->hashed_bytes && state->is_hashed_in_order) {
    state->hasher.update(bytes);
    state->hashed_bytes += bytes.size();
  }
  for (const TorrentFiles::Stretch& stretch : files_->stretches(range)) {
    // Padding reads as zeros, whatever was sent.
    if (stretch.is_padding && !is_zeros(bytes.subspan(stretch.from, stretch.size_bytes))) state->is_spoilt = true;
  }
  auto written = state->own_file.is_open() ? write_aside(*state, offset_bytes, bytes) : write_to_share(range, bytes);
  // The hash is of what came, not of what is there.
  if (!written) state->is_spoilt = true;
  return written;
}

StoreResult<void> TorrentStore::Impl::write_aside(Write& write, std::uint64_t offset_bytes, base::ByteView bytes) {
  if (const auto written = write_all_at(write.own_file.get(), bytes, offset_bytes); !written) {
    return std::unexpected(store_error(written.error(), "write", path_));
  }
  return {};
}

StoreResult<void> TorrentStore::Impl::write_to_share(ByteRange range, base::ByteView bytes) {
  const std::shared_lock writing(writing_);
  if (auto marked = mark_dirty(range); !marked) return marked;
  if (journal_) journal_->touch();
  auto written = files_->write(range.offset, bytes);
  if (!written) {
    note_changed();
    return written;
  }
  if (journal_) journal_->touch();
  return {};
}

// Before bytes of this range are written: the journal says which files are no longer as it noted them.
StoreResult<void> TorrentStore::Impl::mark_dirty(ByteRange range) {
  if (!journal_) return {};  // nobody will read it
  for (const TorrentFiles::Stretch& stretch : files_->stretches(range)) {
    if (stretch.is_padding || is_dirty_[stretch.file] || files_->is_whole(stretch.file)) continue;
    if (auto marked = mark_dirty(stretch.file); !marked) return marked;
  }
  return {};
}

StoreResult<void> TorrentStore::Impl::mark_dirty(std::uint32_t file) {
  if (!journal_) return {};
  const std::lock_guard guard(mutex_);
  if (is_dirty_[file]) return {};
  if (auto added = journal_->add_dirty(file); !added) return added;
  is_dirty_[file] = true;
  dirty_.push_back(file);
  return {};
}

// The journal says of files that somebody else cut or removed that its claims need to be looked at.
void TorrentStore::Impl::note_changed() {
  if (!journal_) return;
  const std::vector<std::uint32_t> changed = files_->take_changed();
  const std::lock_guard guard(mutex_);
  for (const std::uint32_t file : changed) (void)journal_->add_changed(file);
}

StoreResult<bool> TorrentStore::Impl::complete(seam::WriteId write) {
  const WritePtr state = extract(write);
  SHOAL_CHECK(state != nullptr);
  if (state->places.empty()) return false;
  std::unique_lock guard(state->mutex);
  state->is_ended = true;
  if (!is_right(*state)) {
    release(state);
    return false;
  }
  auto settled = settle(state);
  guard.unlock();
  if (!settled) {
    release(state);
    return std::unexpected(std::move(settled.error()));
  }
  {
    const std::lock_guard lock(mutex_);
    if (is_syncing_ || unsynced_bytes_ < kSyncBytes) return true;
  }
  if (auto synced = sync(); !synced) return std::unexpected(std::move(synced.error()));
  return true;
}

// What came in order is hashed already; the rest is read back, from memory as a rule.
bool TorrentStore::Impl::is_right(Write& write) {
  if (write.is_spoilt) return false;
  if (!write.is_hashed_in_order) {
    (void)write.hasher.finish();
    write.hashed_bytes = 0;
  }
  base::Bytes buffer(std::min<std::uint64_t>(write.size_bytes - write.hashed_bytes, kReadBytes));
  const std::uint64_t home = files_->range_of(write.places.front()).offset;
  while (write.hashed_bytes < write.size_bytes) {
    const std::size_t count = std::min<std::uint64_t>(buffer.size(), write.size_bytes - write.hashed_bytes);
    const std::span<std::byte> bytes = std::span(buffer).first(count);
    const std::size_t done = write.own_file.is_open() ? read_at(write.own_file.get(), bytes, write.hashed_bytes)
                                                      : files_->read(home + write.hashed_bytes, bytes);
    if (done != count) return false;
    write.hasher.update(bytes);
    write.hashed_bytes += count;
  }
  return write.hasher.finish() == write.hash;
}

// The bytes are right: makes them count, at all their places.
StoreResult<void> TorrentStore::Impl::settle(const WritePtr& write) {
  const PieceIndex home = write->places.front();
  std::vector<PieceIndex> missing;
  WritePtr other;
  {
    const std::lock_guard guard(mutex_);
    // Another selection may have brought some of them.
    const auto is_missing = [this](PieceIndex place) { return !verified_.test(place); };
    std::ranges::copy_if(write->places, std::back_inserter(missing), is_missing);
    if (missing.empty()) return {};
    WritePtr& owner = owners_[home];
    if (owner != nullptr && owner != write) {
      if (owner->is_claiming) return {};  // with the same bytes
      other = owner;
    }
    owner = write;
    write->is_claiming = true;
  }
  if (other != nullptr) {
    const std::lock_guard guard(other->mutex);
    if (!other->is_ended) {
      if (auto moved = move_aside(*other); !moved) return moved;
    }
  }
  for (const PieceIndex place : missing) {
    if (auto copied = bring_to(place, *write); !copied) return copied;
  }
  return claim(write);
}

StoreResult<void> TorrentStore::Impl::bring_to(PieceIndex place, Write& write) {
  const ByteRange to = files_->range_of(place);
  if (!write.own_file.is_open() && place == write.places.front()) return {};  // where it was written
  const std::shared_lock writing(writing_);
  if (auto marked = mark_dirty(to); !marked) return marked;
  if (journal_) journal_->touch();
  auto copied = write.own_file.is_open() ? files_->copy_in(write.own_file.get(), 0, to)
                                         : files_->copy_within(files_->range_of(write.places.front()).offset, to);
  if (!copied) {
    note_changed();
    return copied;
  }
  if (journal_) journal_->touch();
  return {};
}

// What is written at the place so far goes on in a file of its own.
StoreResult<void> TorrentStore::Impl::move_aside(Write& write) {
  auto own_file = place_.folder->create_nameless();
  if (!own_file) return std::unexpected(std::move(own_file.error()));
  base::Bytes buffer(std::min<std::uint64_t>(write.size_bytes, kReadBytes));
  const ByteRange home = files_->range_of(write.places.front());
  // Of each file on its own: where one ends too early, the next may have its bytes.
  for (const TorrentFiles::Stretch& stretch : files_->stretches(home)) {
    for (std::uint64_t done = 0; done < stretch.size_bytes;) {
      const std::uint64_t at = stretch.from + done;
      const std::size_t count = std::min<std::uint64_t>(buffer.size(), stretch.size_bytes - done);
      std::ranges::fill(buffer, std::byte{0});
      (void)files_->read(home.offset + at, std::span(buffer).first(count));  // short: it has not come that far
      if (const auto written = write_all_at(own_file->get(), base::ByteView(buffer).first(count), at); !written) {
        return std::unexpected(store_error(written.error(), "write", path_));
      }
      done += count;
    }
  }
  write.own_file = *std::move(own_file);
  return {};
}

StoreResult<void> TorrentStore::Impl::claim(const WritePtr& write) {
  const std::lock_guard guard(mutex_);
  if (journal_) {
    if (auto added = journal_->add_pieces(write->places); !added) return added;
    unsynced_bytes_ += write->size_bytes * write->places.size();
  }
  for (const PieceIndex place : write->places) verified_.set(place);
  owners_.erase(write->places.front());
  return {};
}

void TorrentStore::Impl::release(const WritePtr& write) {
  const std::lock_guard guard(mutex_);
  if (write->places.empty()) return;
  const auto owner = owners_.find(write->places.front());
  if (owner != owners_.end() && owner->second == write) owners_.erase(owner);
}

void TorrentStore::Impl::abandon(seam::WriteId write) {
  const WritePtr state = extract(write);
  if (state == nullptr) return;
  const std::lock_guard guard(state->mutex);
  state->is_ended = true;
  release(state);
}

// Brings what was claimed to the disk, and then says so in the journal.
StoreResult<void> TorrentStore::Impl::sync() {
  std::vector<std::uint32_t> files;
  std::uint64_t covered = 0;
  {
    const std::unique_lock nobody_writes(writing_);
    const std::lock_guard guard(mutex_);
    if (has_sync_failed_ || std::exchange(is_syncing_, true)) return {};
    files = std::exchange(dirty_, {});
    for (const std::uint32_t file : files) is_dirty_[file] = false;
    covered = journal_->size_bytes();
    unsynced_bytes_ = 0;
  }
  auto notes = sync_files(files);
  note_changed();
  std::unique_lock guard(mutex_);
  is_syncing_ = false;
  if (!notes) {
    // What of the unsynced bytes is lost nobody knows, and the next fsync would not say so.
    (void)journal_->add_boot_unknown();
    has_sync_failed_ = true;
    return std::unexpected(std::move(notes.error()));
  }
  // One that is being written to again is in that state still.
  std::erase_if(*notes, [this](const TorrentJournal::Note& note) { return is_dirty_[note.file].load(); });
  if (auto added = journal_->add_synced(*notes, covered); !added) return added;
  for (const TorrentJournal::Note& note : *notes) noted_[note.file] = note.stamp;
  return journal_->sync();
}

StoreResult<std::vector<TorrentJournal::Note>> TorrentStore::Impl::sync_files(const std::vector<std::uint32_t>& files) {
  const bool is_one_by_one = files.size() <= kSyncOneByOneMax;
  if (!is_one_by_one && ::syncfs(place_.folder->fd()) != 0) {
    return std::unexpected(store_error(errno, "write", path_));
  }
  std::vector<TorrentJournal::Note> notes;
  for (const std::uint32_t file : files) {
    const auto handle = files_->open(file);
    // Removed meanwhile: finish() and the next open() see that.
    if (!handle || !files_->check_ours(file, (*handle)->get())) continue;
    const auto version = version_of((*handle)->get());
    // The times belong to what is noted: fsync, not fdatasync.
    if (!version || (is_one_by_one && ::fsync((*handle)->get()) != 0)) {
      return std::unexpected(store_error(version ? errno : version.error(), "write", files_->path_of(file)));
    }
    notes.push_back({.file = file, .stamp = stamp_of(*version)});
  }
  return notes;
}

std::optional<seam::ReadablePiecePtr> TorrentStore::Impl::look_up(const base::Sha1Hash& hash, Look look) {
  std::shared_ptr<TorrentFiles> files;
  std::optional<PieceIndex> piece;
  {
    const std::lock_guard guard(mutex_);
    if (manifest_ == nullptr) return nullptr;
    const auto hash_of = [this](PieceIndex index) -> const base::Sha1Hash& { return manifest_->hash_of(index); };
    for (const PieceIndex candidate : std::ranges::equal_range(by_hash_, hash, {}, hash_of)) {
      if (!verified_.test(candidate)) continue;
      piece = candidate;
      break;
    }
    files = files_;
  }
  if (!piece) return nullptr;
  const ByteRange range = files->range_of(*piece);
  if (look == Look::quick && files->stretches(range).size() > kQuickStretchesMax) return std::nullopt;
  if (auto as_it_was = make_torrent_piece(files, range)) return as_it_was;
  return look_up_touched(files, *piece, hash, look);
}

// Who touches a file may leave all of it as it was, or all but a few pieces. While it is written to, nothing of it is
// sure.
std::optional<seam::ReadablePiecePtr> TorrentStore::Impl::look_up_touched(const std::shared_ptr<TorrentFiles>& files,
                                                                          PieceIndex piece, const base::Sha1Hash& hash,
                                                                          Look look) {
  const ByteRange range = files->range_of(piece);
  const auto versions = files->versions_of(range);
  if (!versions) return nullptr;
  const auto is_quiet = [](const FileVersion& version) { return is_settled(version, kTouchedSettles); };
  if (!std::ranges::all_of(*versions, is_quiet)) return nullptr;
  std::optional<bool> is_right = judged(piece, *versions);
  if (!is_right) {
    if (look == Look::quick) return std::nullopt;
    const auto found = files->hash(range, Changes::accepted);
    if (!found || files->versions_of(range) != versions) return nullptr;
    is_right = *found == hash;
    const std::lock_guard guard(mutex_);
    judged_[piece] = {.versions = *versions, .is_right = *is_right};
  }
  return *is_right ? make_torrent_piece(files, range, Changes::accepted) : nullptr;
}

std::optional<bool> TorrentStore::Impl::judged(PieceIndex piece, const std::vector<FileVersion>& versions) const {
  const std::lock_guard guard(mutex_);
  const auto found = judged_.find(piece);
  if (found == judged_.end() || found->second.versions != versions) return std::nullopt;
  return found->second.is_right;
}

// --- the outside ---

TorrentStore::TorrentStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TorrentStore::~TorrentStore() = default;

StoreResult<std::vector<seam::HeldPiece>> TorrentStore::open(const metainfo::Manifest& manifest) {
  return impl_->open(manifest);
}
StoreResult<void> TorrentStore::keep_torrent(base::ByteView torrent) {
  return impl_->keep_torrent(torrent);
}
StoreResult<void> TorrentStore::begin(seam::WriteId write, std::vector<PieceIndex> places, std::uint64_t size_bytes) {
  return impl_->begin(write, places, size_bytes);
}
StoreResult<void> TorrentStore::put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) {
  return impl_->put(write, offset_bytes, bytes);
}
StoreResult<bool> TorrentStore::complete(seam::WriteId write) {
  return impl_->complete(write);
}
void TorrentStore::abandon(seam::WriteId write) {
  impl_->abandon(write);
}
StoreResult<std::string> TorrentStore::finish() {
  return impl_->finish();
}
std::optional<seam::ReadablePiecePtr> TorrentStore::look_up_verified(const base::Sha1Hash& hash) {
  return impl_->look_up(hash, Impl::Look::quick);
}
seam::ReadablePiecePtr TorrentStore::look_up(const base::Sha1Hash& hash) {
  return impl_->look_up(hash, Impl::Look::thorough).value_or(nullptr);
}

}  // namespace shoal::storage
