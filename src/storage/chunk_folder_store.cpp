#include "storage/chunk_folder_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "storage/files.hpp"
#include "storage/known_file.hpp"

namespace shoal::storage {
namespace {

using seam::StoreError;
using seam::StoreErrorKind;

constexpr const char* kIniName = "file.ini";

bool is_one_folder_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos;
}

}  // namespace

struct ChunkFolderStore::Write {
  std::vector<base::PieceIndex> places;
  std::uint64_t size_bytes = 0;
  TemporaryFile file;
  base::Sha1Hasher hasher;
  std::uint64_t written_bytes = 0;
};

ChunkFolderStore::ChunkFolderStore(ChunkFolderStoreOptions options) : options_(std::move(options)) {}
ChunkFolderStore::~ChunkFolderStore() = default;

StoreResult<std::vector<seam::HeldPiece>> ChunkFolderStore::open(const metainfo::Manifest& manifest) {
  writes_.clear();
  verified_.clear();
  merged_.reset();
  merges_early_ = true;
  usual_bytes_ = 0;
  manifest_ = manifest;
  is_merged_.assign(manifest.pieces.size(), false);
  if (auto prepared = prepare_folder(); !prepared) return std::unexpected(std::move(prepared.error()));
  if (auto checked = check_held(); !checked) return std::unexpected(std::move(checked.error()));
  std::vector<seam::HeldPiece> held;
  for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
    const auto found = verified_.find(manifest_.pieces[i]);
    if (found != verified_.end()) held.push_back({base::PieceIndex(i), found->second.size_bytes});
  }
  return held;
}

StoreResult<void> ChunkFolderStore::prepare_folder() {
  const std::filesystem::path path = options_.directory / "chunks" / options_.client;
  if (!is_one_folder_name(options_.client)) return unwritable(path.native(), "not the name of one folder");
  if (folder_ == nullptr) {
    auto folder = ChunkFolder::open(path);
    if (!folder) return std::unexpected(std::move(folder.error()));
    folder_ = *std::move(folder);
  }
  // The name comes from outside: it must not be one of this folder's own, and what stands in its way is better known
  // before the download than after.
  const std::string target = folder_->folder().path_of(manifest_.name);
  if (!is_one_folder_name(manifest_.name)) return unwritable(target, "not a file name");
  if (ChunkFolder::is_reserved(manifest_.name)) return unwritable(target, "the name is reserved");
  if (folder_->folder().kind_of(manifest_.name) == Folder::EntryKind::folder)
    return unwritable(target, "it is a folder");
  return {};
}

// Hashes each chunk of the manifest that is there. What is wrong or no plain file is as good as not there: its verified
// successor replaces it. Only a folder cannot be replaced.
StoreResult<void> ChunkFolderStore::check_held() {
  std::vector<base::Sha1Hash> hashes = manifest_.pieces;
  std::ranges::sort(hashes);
  hashes.erase(std::ranges::unique(hashes).begin(), hashes.end());
  std::optional<StoreError> error;
  run_in_parallel(hashes.size(), [&](std::size_t i) {
    const auto file = folder_->folder().open_plain(ChunkFolder::file_name(hashes[i]), O_RDONLY);
    const bool is_right = file && hash_range(file->fd.get(), {0, file->version.size_bytes}) == hashes[i];
    const std::lock_guard guard(mutex_);
    if (is_right) verified_.emplace(hashes[i], file->version);
    if (!file && file.error() == EISDIR)
      error = store_error(EISDIR, "write", folder_->folder().path_of(ChunkFolder::file_name(hashes[i])));
  });
  if (error) return std::unexpected(*std::move(error));
  return {};
}

StoreResult<void> ChunkFolderStore::begin(seam::WriteId write, std::vector<base::PieceIndex> places,
                                          std::uint64_t size_bytes) {
  SHOAL_CHECK(folder_ != nullptr && !places.empty());
  const base::Sha1Hash& hash = manifest_.hash_of(places.front());
  SHOAL_CHECK(std::ranges::all_of(places, [&](base::PieceIndex place) { return manifest_.hash_of(place) == hash; }));
  auto file = folder_->make_temporary();
  if (!file) return std::unexpected(std::move(file.error()));
  auto state = std::make_shared<Write>(Write{std::move(places), size_bytes, *std::move(file), base::Sha1Hasher(), 0});
  const std::lock_guard guard(mutex_);
  const bool is_new = writes_.try_emplace(write, std::move(state)).second;
  SHOAL_CHECK(is_new);
  return {};
}

StoreResult<void> ChunkFolderStore::put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) {
  std::shared_ptr<Write> state;
  {
    const std::lock_guard guard(mutex_);
    const auto found = writes_.find(write);
    SHOAL_CHECK(found != writes_.end());
    state = found->second;
  }
  SHOAL_CHECK(offset_bytes == state->written_bytes);
  SHOAL_CHECK(bytes.size() <= state->size_bytes - state->written_bytes);
  state->hasher.update(bytes);
  if (auto written = state->file.write(bytes); !written) return written;
  state->written_bytes += bytes.size();
  return {};
}

StoreResult<bool> ChunkFolderStore::complete(seam::WriteId write) {
  std::shared_ptr<Write> state;
  {
    const std::lock_guard guard(mutex_);
    auto node = writes_.extract(write);
    SHOAL_CHECK(!node.empty());
    state = std::move(node.mapped());
  }
  const base::Sha1Hash& hash = manifest_.hash_of(state->places.front());
  if (state->written_bytes != state->size_bytes || state->hasher.finish() != hash) return false;
  {
    // A second source was slower: the chunk is there. Its file stays as it is, a peer may be serving it.
    const std::lock_guard guard(mutex_);
    if (verified_.contains(hash)) return true;
  }
  const auto version = state->file.rename_to(ChunkFolder::file_name(hash));
  if (!version) return std::unexpected(version.error());
  merge_early(*state);
  const std::lock_guard guard(mutex_);
  verified_.insert_or_assign(hash, *version);
  return true;
}

// Copies a verified chunk to where it belongs in the whole file if all chunks but the last are as long as the first one
// that came, while it is in memory and the network has the time. finish() trusts nothing of this but the copies that
// turn out to be in the right place.
void ChunkFolderStore::merge_early(const Write& write) {
  std::shared_ptr<TemporaryFile> target;
  std::uint64_t usual_bytes = 0;
  {
    const std::lock_guard guard(mutex_);
    if (!merges_early_) return;
    if (usual_bytes_ == 0 && !is_last(write.places.front())) usual_bytes_ = write.size_bytes;
    usual_bytes = usual_bytes_;
    if (merged_ == nullptr) {
      auto file = folder_->make_temporary();
      if (file) merged_ = std::make_shared<TemporaryFile>(*std::move(file));
    }
    target = merged_;
  }
  std::vector<base::PieceIndex> copied;
  bool has_failed = target == nullptr;
  for (const base::PieceIndex place : write.places) {
    const bool fits = is_last(place) ? usual_bytes > 0 || place.value == 0 : write.size_bytes == usual_bytes;
    if (!fits || has_failed) continue;
    has_failed = !copy_range(write.file.fd(), {0, write.size_bytes}, target->fd(), place.value * usual_bytes);
    copied.push_back(place);
  }
  const std::lock_guard guard(mutex_);
  if (has_failed) {
    // No room for both, most likely: chunks first. finish() tries again and says what is wrong.
    merges_early_ = false;
    merged_.reset();
  }
  if (merged_ == nullptr) return;
  for (const base::PieceIndex place : copied) is_merged_[place.value] = true;
}

void ChunkFolderStore::abandon(seam::WriteId write) {
  const std::lock_guard guard(mutex_);
  writes_.erase(write);
}

StoreResult<std::string> ChunkFolderStore::finish() {
  std::vector<ByteRange> places;
  places.reserve(manifest_.pieces.size());
  std::uint64_t total_bytes = 0;
  for (const base::Sha1Hash& hash : manifest_.pieces) {
    const auto found = verified_.find(hash);
    SHOAL_CHECK(found != verified_.end());
    places.push_back({total_bytes, found->second.size_bytes});
    total_bytes += found->second.size_bytes;
  }
  if (merged_ != nullptr || !is_result_there(places, total_bytes)) {
    if (auto merged = merge(places, total_bytes); !merged) return std::unexpected(std::move(merged.error()));
  }
  if (auto written = write_ini(); !written) return std::unexpected(std::move(written.error()));
  return folder_->folder().path_of(manifest_.name);
}

bool ChunkFolderStore::is_result_there(const std::vector<ByteRange>& places, std::uint64_t total_bytes) const {
  const auto existing = folder_->folder().open_plain(manifest_.name, O_RDONLY);
  return existing && existing->version.size_bytes == total_bytes && pieces_match(existing->fd.get(), places, manifest_);
}

StoreResult<void> ChunkFolderStore::merge(const std::vector<ByteRange>& places, std::uint64_t total_bytes) {
  if (merged_ == nullptr) {
    is_merged_.assign(places.size(), false);
    auto file = folder_->make_temporary();
    if (!file) return std::unexpected(std::move(file.error()));
    merged_ = std::make_shared<TemporaryFile>(*std::move(file));
  }
  const std::shared_ptr<TemporaryFile> file = std::move(merged_);
  for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
    // Early copies lie at multiples of one size and so never over each other; the ones made now cover the rest.
    if (is_merged_[i] && places[i].offset == i * usual_bytes_) continue;
    if (auto copied = copy_piece(base::PieceIndex(i), places[i], file->fd()); !copied) return copied;
  }
  if (::ftruncate(file->fd(), static_cast<off_t>(total_bytes)) != 0) {
    return std::unexpected(store_error(errno, "write", folder_->folder().path_of(manifest_.name)));
  }
  if (auto renamed = file->rename_to(manifest_.name); !renamed) return std::unexpected(std::move(renamed.error()));
  return {};
}

StoreResult<void> ChunkFolderStore::copy_piece(base::PieceIndex piece, ByteRange place, int target) const {
  const base::Sha1Hash& hash = manifest_.hash_of(piece);
  const std::string name = ChunkFolder::file_name(hash);
  const auto source = folder_->folder().open_plain(name, O_RDONLY);
  if (!source) return std::unexpected(store_error(source.error(), "read", folder_->folder().path_of(name)));
  // The version that was verified needs no second look.
  const bool is_right =
      source->version == verified_.at(hash) || hash_range(source->fd.get(), {0, source->version.size_bytes}) == hash;
  if (!is_right || source->version.size_bytes != place.size_bytes) {
    return std::unexpected(StoreError{StoreErrorKind::failed, folder_->folder().path_of(name) +
                                                                  " was changed during the download and no longer "
                                                                  "matches its name; run the command again"});
  }
  if (const auto copied = copy_range(source->fd.get(), {0, place.size_bytes}, target, place.offset); !copied) {
    return std::unexpected(store_error(copied.error(), "write", folder_->folder().path_of(manifest_.name)));
  }
  return {};
}

StoreResult<void> ChunkFolderStore::write_ini() {
  // A shared file may itself be called file.ini: the user's file comes first.
  if (!options_.ini_text || manifest_.name == kIniName) return {};
  auto file = folder_->make_temporary();
  if (!file) return std::unexpected(std::move(file.error()));
  const std::string text = options_.ini_text(manifest_);
  if (auto written = file->write(base::view_of(text)); !written) return written;
  if (auto renamed = file->rename_to(kIniName); !renamed) return std::unexpected(std::move(renamed.error()));
  return {};
}

}  // namespace shoal::storage
