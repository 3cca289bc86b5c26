#include "storage/single_file_store.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "storage/files.hpp"
#include "storage/known_file.hpp"

namespace shoal::storage {
namespace {

using base::PieceIndex;
using seam::StoreError;
using seam::StoreErrorKind;
using Where = Placement::Where;

// A journal bigger than this is not one of ours: the longest line times 65,535 pieces, generously.
constexpr std::uint64_t kJournalBytesMax = 64u << 20;

}  // namespace

struct SingleFileStore::Write {
  Placement::Region region;
  SharedFd file;
  base::Sha1Hasher hasher;
  std::uint64_t written_bytes = 0;
};

SingleFileStore::SingleFileStore(const std::filesystem::path& file)
    : path_(file),
      name_(file.filename().native()),
      part_name_(sibling_name(name_, ".shoal-part")),
      side_name_(sibling_name(name_, ".shoal-side")),
      journal_name_(sibling_name(name_, ".shoal-journal")),
      whole_name_(sibling_name(name_, ".shoal-whole")) {}

SingleFileStore::~SingleFileStore() = default;

StoreResult<std::vector<seam::HeldPiece>> SingleFileStore::open(const metainfo::Manifest& manifest) {
  manifest_ = manifest;
  existing_.reset();
  writes_.clear();
  part_.reset();
  side_.reset();
  placement_ = Placement(manifest);
  if (auto prepared = prepare_folder(); !prepared) return std::unexpected(std::move(prepared.error()));
  const JournalClaims claims = verified_claims();
  if (claims.entries.empty() && recognise_existing()) {
    std::vector<seam::HeldPiece> held;
    held.reserve(manifest.pieces.size());
    for (std::uint32_t i = 0; i < manifest.piece_count(); ++i) {
      held.push_back({PieceIndex(i), existing_places_[i].size_bytes});
    }
    return held;
  }
  if (auto resumed = resume(claims); !resumed) return std::unexpected(std::move(resumed.error()));
  std::vector<seam::HeldPiece> held;
  for (std::uint32_t i = 0; i < manifest.piece_count(); ++i) {
    if (const auto found = placement_.find(PieceIndex(i))) held.push_back({PieceIndex(i), found->size_bytes});
  }
  return held;
}

StoreResult<void> SingleFileStore::prepare_folder() {
  if (name_.empty() || name_ == "." || name_ == "..") return unwritable(path_.native(), "it is a folder, not a file");
  if (folder_ == nullptr) {
    auto folder = Folder::open(path_.parent_path(), Folder::Missing::is_an_error);
    if (!folder) return std::unexpected(std::move(folder.error()));
    folder_ = *std::move(folder);
  }
  switch (folder_->kind_of(name_)) {
    case Folder::EntryKind::none:
    case Folder::EntryKind::plain_file:
      break;
    case Folder::EntryKind::folder:
      return unwritable(path_.native(), "it is a folder; name a file in it");
    case Folder::EntryKind::link:
      return unwritable(path_.native(), "it is a symbolic link; name the file it points to");
    case Folder::EntryKind::other:
      return unwritable(path_.native(), "it is not a plain file");
  }
  if (lock_) return {};
  auto lock = LockFile::acquire(folder_, sibling_name(name_, ".shoal-lock"), path_.native());
  if (!lock) return std::unexpected(std::move(lock.error()));
  lock_.emplace(*std::move(lock));
  return {};
}

// What the journal says and the part and side files confirm.
JournalClaims SingleFileStore::verified_claims() const {
  const auto journal = folder_->open_plain(journal_name_, O_RDONLY);
  if (!journal || journal->version.size_bytes > kJournalBytesMax) return {};
  std::string text(journal->version.size_bytes, '\0');
  text.resize(read_at(journal->fd.get(), std::as_writable_bytes(std::span(text)), 0));
  JournalClaims claims = parse_journal(text, manifest_);

  const auto part = folder_->open_plain(part_name_, O_RDONLY);
  const auto side = folder_->open_plain(side_name_, O_RDONLY);
  std::vector<std::uint8_t> is_right(claims.entries.size());  // not bool: written by several threads
  run_in_parallel(claims.entries.size(), [&](std::size_t i) {
    JournalEntry& entry = claims.entries[i];
    const bool is_aside = entry.extent.spot.where == Where::side;
    const auto& file = is_aside ? side : part;
    if (!file) return;
    const std::uint64_t file_bytes = file->version.size_bytes;
    if (!is_aside) {
      const bool is_inner = entry.piece.value + 1 < manifest_.piece_count();
      // Places are as long as the usual size, or they would overlap; a single piece needs none to know its place.
      if (is_inner && entry.extent.size_bytes != claims.usual_bytes) return;
      if (claims.usual_bytes == 0 && manifest_.piece_count() > 1) return;
      // By division: a lying journal must not make the product wrap around.
      if (claims.usual_bytes > 0 && entry.piece.value > file_bytes / claims.usual_bytes) return;
      entry.extent.spot.offset = entry.piece.value * claims.usual_bytes;
    }
    const ByteRange range{entry.extent.spot.offset, entry.extent.size_bytes};
    if (range.size_bytes > file_bytes || range.offset > file_bytes - range.size_bytes) return;
    is_right[i] = hash_range(file->fd.get(), range) == manifest_.hash_of(entry.piece);
  });

  JournalClaims verified{.usual_bytes = 0, .entries = {}};
  for (std::size_t i = 0; i < claims.entries.size(); ++i) {
    const JournalEntry& entry = claims.entries[i];
    if (is_right[i] == 0) continue;
    if (entry.extent.spot.where == Where::part) verified.usual_bytes = claims.usual_bytes;
    verified.entries.push_back(entry);
  }
  return verified;
}

StoreResult<void> SingleFileStore::resume(const JournalClaims& claims) {
  placement_.restore_usual(claims.usual_bytes);
  for (const JournalEntry& entry : claims.entries) placement_.restore(entry.piece, entry.extent);
  const auto is_in = [&](Where where) {
    return std::ranges::any_of(claims.entries, [=](const auto& entry) { return entry.extent.spot.where == where; });
  };
  if (!is_in(Where::part)) folder_->remove(part_name_);
  if (!is_in(Where::side)) folder_->remove(side_name_);
  auto journal = DownloadJournal::create(folder_, journal_name_, manifest_, claims);
  if (!journal) return std::unexpected(std::move(journal.error()));
  journal_.emplace(*std::move(journal));
  for (const Where where : {Where::part, Where::side}) {
    if (where == Where::side && !is_in(where)) continue;
    if (auto file = file_for(where); !file) return std::unexpected(std::move(file.error()));
  }
  return {};
}

// Whether the file is there already, from a download that ended well.
bool SingleFileStore::recognise_existing() {
  const auto file = folder_->open_plain(name_, O_RDONLY);
  if (!file) return false;
  auto places = recognise_file(file->fd.get(), file->version.size_bytes, manifest_);
  if (!places) return false;
  existing_ = file->version;
  existing_places_ = *std::move(places);
  return true;
}

// The file that is there, or a new one.
StoreResult<SingleFileStore::SharedFd> SingleFileStore::file_for(Where where) {
  SharedFd& file = where == Where::part ? part_ : side_;
  if (file != nullptr) return file;
  const std::string& name = where == Where::part ? part_name_ : side_name_;
  if (auto found = folder_->open_plain(name, O_RDWR)) {
    file = std::make_shared<const UniqueFd>(std::move(found->fd));
    return file;
  }
  auto created = folder_->create(name);
  if (!created) return std::unexpected(std::move(created.error()));
  file = std::make_shared<const UniqueFd>(*std::move(created));
  return file;
}

StoreResult<void> SingleFileStore::begin(seam::WriteId write, std::vector<PieceIndex> places,
                                         std::uint64_t size_bytes) {
  const std::lock_guard guard(mutex_);
  SHOAL_CHECK(journal_.has_value() && !places.empty());
  const Placement::Region region = placement_.reserve(places.front(), size_bytes);
  auto file = file_for(region.spot.where);
  if (!file) {
    placement_.release(region);
    return std::unexpected(std::move(file.error()));
  }
  auto state = std::make_shared<Write>(Write{region, *std::move(file), base::Sha1Hasher(), 0});
  const bool is_new = writes_.try_emplace(write, std::move(state)).second;
  SHOAL_CHECK(is_new);
  return {};
}

StoreResult<void> SingleFileStore::put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) {
  std::shared_ptr<Write> state;
  {
    const std::lock_guard guard(mutex_);
    const auto found = writes_.find(write);
    SHOAL_CHECK(found != writes_.end());
    state = found->second;
  }
  SHOAL_CHECK(offset_bytes == state->written_bytes);
  SHOAL_CHECK(bytes.size() <= state->region.size_bytes - state->written_bytes);
  state->hasher.update(bytes);
  const std::uint64_t offset = state->region.spot.offset + state->written_bytes;
  if (const auto written = write_all_at(state->file->get(), bytes, offset); !written) {
    return std::unexpected(store_error(written.error(), "write", path_.native()));
  }
  state->written_bytes += bytes.size();
  return {};
}

StoreResult<bool> SingleFileStore::complete(seam::WriteId write) {
  std::shared_ptr<Write> state;
  {
    const std::lock_guard guard(mutex_);
    auto node = writes_.extract(write);
    SHOAL_CHECK(!node.empty());
    state = std::move(node.mapped());
  }
  const bool is_whole = state->written_bytes == state->region.size_bytes;
  if (!is_whole || state->hasher.finish() != manifest_.hash_of(state->region.piece)) {
    const std::lock_guard guard(mutex_);
    placement_.release(state->region);
    return false;
  }
  if (auto placed = place_verified(*state); !placed) return std::unexpected(std::move(placed.error()));
  return true;
}

// The bytes of this write are right: makes them count, and copies them to the other places of equal pieces.
StoreResult<void> SingleFileStore::place_verified(const Write& write) {
  Placement::Accepted accepted;
  SharedFd home;
  const std::uint64_t size_bytes = write.region.size_bytes;
  {
    const std::lock_guard guard(mutex_);
    accepted = placement_.accept(write.region);
    if (accepted.exchanges_part) {
      part_.reset();
      folder_->remove(part_name_);
      if (auto part = file_for(Where::part); !part) return std::unexpected(std::move(part.error()));
    }
    auto file = file_for(accepted.home.where);
    if (!file) return std::unexpected(std::move(file.error()));
    home = *std::move(file);
    if (accepted.needs_rescue) {
      const ByteRange lost{write.region.spot.offset, size_bytes};
      if (const auto copied = copy_range(write.file->get(), lost, home->get(), accepted.home.offset); !copied) {
        return std::unexpected(store_error(copied.error(), "write", path_.native()));
      }
    }
    if (accepted.is_usual_proven) {
      if (auto added = journal_->add_usual(placement_.usual_bytes()); !added) return added;
    }
    if (!accepted.is_news) return {};
    if (auto added = journal_->add({write.region.piece, {accepted.home, size_bytes}}); !added) return added;
  }
  for (const PieceIndex place : accepted.places_to_copy) {
    if (auto copied = copy_to_place(home, {accepted.home, size_bytes}, place); !copied) return copied;
  }
  const std::lock_guard guard(mutex_);
  for (const PieceIndex place : accepted.places_to_copy) {
    placement_.fill(place);
    const Placement::Spot spot{Where::part, placement_.offset_in_part(place)};
    if (auto added = journal_->add({place, {spot, size_bytes}}); !added) return added;
  }
  return {};
}

// Needs no lock: a proven usual size and its part file stay, and the place is the caller's.
StoreResult<void> SingleFileStore::copy_to_place(const SharedFd& from, const Placement::Extent& extent,
                                                 PieceIndex place) {
  const ByteRange range{extent.spot.offset, extent.size_bytes};
  if (const auto copied = copy_range(from->get(), range, part_->get(), placement_.offset_in_part(place)); !copied) {
    return std::unexpected(store_error(copied.error(), "write", path_.native()));
  }
  return {};
}

void SingleFileStore::abandon(seam::WriteId write) {
  const std::lock_guard guard(mutex_);
  const auto found = writes_.find(write);
  if (found == writes_.end()) return;
  placement_.release(found->second->region);
  writes_.erase(found);
}

StoreResult<std::string> SingleFileStore::finish() {
  if (existing_) {
    const auto now = folder_->open_plain(name_, O_RDONLY);
    if (!now || now->version != *existing_) {
      return std::unexpected(StoreError{StoreErrorKind::failed, path_.native() + " was changed meanwhile"});
    }
  } else {
    auto made = placement_.is_regular() ? complete_part() : assemble();
    if (!made) return std::unexpected(std::move(made.error()));
  }
  part_.reset();
  side_.reset();
  journal_.reset();
  remove_leftovers();
  return path_.native();
}

// The usual case: the part file is the file, but for pieces that came before their place was known.
StoreResult<void> SingleFileStore::complete_part() {
  std::uint64_t total_bytes = 0;
  for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
    const PieceIndex place(i);
    const auto extent = placement_.find(place);
    SHOAL_CHECK(extent.has_value());
    total_bytes += extent->size_bytes;
    if (placement_.holds(place)) continue;
    auto file = file_for(extent->spot.where);
    if (!file) return std::unexpected(std::move(file.error()));
    if (auto copied = copy_to_place(*file, *extent, place); !copied) return copied;
  }
  // What a longer, unverified last piece left behind the end goes.
  if (::ftruncate(part_->get(), static_cast<off_t>(total_bytes)) != 0) {
    return std::unexpected(store_error(errno, "write", path_.native()));
  }
  if (const auto settled = settle_writes(part_->get()); !settled) {
    return std::unexpected(store_error(settled.error(), "write", path_.native()));
  }
  return folder_->rename(part_name_, name_);
}

// Pieces of odd sizes: the file is put together anew.
StoreResult<void> SingleFileStore::assemble() {
  auto whole = TemporaryFile::create(folder_, whole_name_);
  if (!whole) return std::unexpected(std::move(whole.error()));
  std::uint64_t offset = 0;
  for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
    const auto extent = placement_.find(PieceIndex(i));
    SHOAL_CHECK(extent.has_value());
    auto file = file_for(extent->spot.where);
    if (!file) return std::unexpected(std::move(file.error()));
    const ByteRange range{extent->spot.offset, extent->size_bytes};
    if (const auto copied = copy_range((*file)->get(), range, whole->fd(), offset); !copied) {
      return std::unexpected(store_error(copied.error(), "write", path_.native()));
    }
    offset += extent->size_bytes;
  }
  if (auto renamed = whole->rename_to(name_); !renamed) return std::unexpected(std::move(renamed.error()));
  return {};
}

void SingleFileStore::remove_leftovers() const {
  // The journal first: without it the others mean nothing.
  for (const std::string& name : {journal_name_, part_name_, side_name_, whole_name_}) folder_->remove(name);
}

}  // namespace shoal::storage
