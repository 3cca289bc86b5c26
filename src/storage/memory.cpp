#include "storage/memory.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace shoal::storage {
namespace {

class MemoryPiece final : public seam::ReadablePiece {
 public:
  explicit MemoryPiece(std::shared_ptr<const base::Bytes> content) : content_(std::move(content)) {}

  [[nodiscard]] std::uint64_t size_bytes() const override { return content_->size(); }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    if (offset >= content_->size()) return 0;
    const std::size_t count = std::min<std::size_t>(target.size(), content_->size() - offset);
    std::ranges::copy(base::ByteView(*content_).subspan(offset, count), target.begin());
    return count;
  }

 private:
  std::shared_ptr<const base::Bytes> content_;
};

}  // namespace

MemoryPieceStore::MemoryPieceStore(MemoryStoreFaults faults) : faults_(std::move(faults)) {}

StoreResult<std::vector<seam::HeldPiece>> MemoryPieceStore::open(const metainfo::Manifest& manifest) {
  const std::lock_guard guard(mutex_);
  manifest_ = manifest;
  writes_.clear();
  file_.reset();
  std::erase_if(disk_, [](const auto& entry) {
    return !entry.second.is_verified && base::sha1(*entry.second.content) != entry.first;
  });
  for (auto& [hash, piece] : disk_) piece.is_verified = true;
  std::vector<seam::HeldPiece> held;
  for (std::uint32_t i = 0; i < manifest.piece_count(); ++i) {
    const auto found = disk_.find(manifest.pieces[i]);
    if (found != disk_.end()) held.push_back({base::PieceIndex(i), found->second.content->size()});
  }
  return held;
}

StoreResult<void> MemoryPieceStore::begin(seam::WriteId write, std::vector<base::PieceIndex> places,
                                          std::uint64_t size_bytes) {
  const std::lock_guard guard(mutex_);
  SHOAL_CHECK(!places.empty());
  const base::Sha1Hash& hash = manifest_.hash_of(places.front());
  SHOAL_CHECK(std::ranges::all_of(places, [&](base::PieceIndex place) { return manifest_.hash_of(place) == hash; }));
  const bool is_new = writes_.try_emplace(write, Write{hash, size_bytes, {}}).second;
  SHOAL_CHECK(is_new);
  return {};
}

StoreResult<void> MemoryPieceStore::put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) {
  const std::lock_guard guard(mutex_);
  const auto found = writes_.find(write);
  SHOAL_CHECK(found != writes_.end());
  Write& target = found->second;
  SHOAL_CHECK(manifest_.layout || offset_bytes == target.bytes.size());
  SHOAL_CHECK(offset_bytes <= target.size_bytes && bytes.size() <= target.size_bytes - offset_bytes);
  const std::uint64_t number = ++puts_;
  if (faults_.disk_full_from_put && number >= *faults_.disk_full_from_put) {
    return std::unexpected(seam::StoreError{seam::StoreErrorKind::disk_full,
                                            "cannot write " + manifest_.name + ": No space left on device"});
  }
  if (bytes.empty()) return {};
  const std::uint64_t end = offset_bytes + bytes.size();
  if (end > target.bytes.size()) target.bytes.resize(end);
  std::ranges::copy(bytes, target.bytes.begin() + static_cast<std::ptrdiff_t>(offset_bytes));
  if (faults_.flipped_puts.contains(number)) target.bytes[end - 1] ^= std::byte{1};
  return {};
}

StoreResult<bool> MemoryPieceStore::complete(seam::WriteId write) {
  const std::lock_guard guard(mutex_);
  const auto node = writes_.extract(write);
  SHOAL_CHECK(!node.empty());
  Write& done = node.mapped();
  if (done.bytes.size() != done.size_bytes || base::sha1(done.bytes) != done.hash) return false;
  auto content = std::make_shared<const base::Bytes>(std::move(done.bytes));
  disk_.insert_or_assign(done.hash, DiskPiece{.content = std::move(content), .is_verified = true});
  return true;
}

void MemoryPieceStore::abandon(seam::WriteId write) {
  const std::lock_guard guard(mutex_);
  writes_.erase(write);
}

StoreResult<std::string> MemoryPieceStore::finish() {
  const std::lock_guard guard(mutex_);
  base::Bytes whole;
  for (const base::Sha1Hash& hash : manifest_.pieces) {
    const auto found = disk_.find(hash);
    SHOAL_CHECK(found != disk_.end());
    const base::Bytes& content = *found->second.content;
    whole.insert(whole.end(), content.begin(), content.end());
  }
  file_ = std::move(whole);
  return "memory/" + manifest_.name;
}

std::optional<seam::ReadablePiecePtr> MemoryPieceStore::look_up_verified(const base::Sha1Hash& hash) {
  return look_up(hash);
}

seam::ReadablePiecePtr MemoryPieceStore::look_up(const base::Sha1Hash& hash) {
  const std::lock_guard guard(mutex_);
  const auto found = disk_.find(hash);
  if (found == disk_.end() || !found->second.is_verified) return nullptr;
  return std::make_shared<const MemoryPiece>(found->second.content);
}

void MemoryPieceStore::leave_behind(base::Bytes content) {
  const std::lock_guard guard(mutex_);
  const base::Sha1Hash hash = base::sha1(content);
  disk_.insert_or_assign(hash, DiskPiece{std::make_shared<const base::Bytes>(std::move(content)), false});
}

void MemoryPieceStore::crash(std::span<const base::PieceIndex> torn) {
  const std::lock_guard guard(mutex_);
  writes_.clear();
  for (auto& [hash, piece] : disk_) piece.is_verified = false;
  for (const base::PieceIndex index : torn) {
    const auto found = disk_.find(manifest_.hash_of(index));
    if (found == disk_.end()) continue;
    const base::ByteView content = *found->second.content;
    const base::ByteView half = content.first(content.size() / 2);
    found->second.content = std::make_shared<const base::Bytes>(half.begin(), half.end());
  }
}

void MemoryPieceStore::make_room() {
  const std::lock_guard guard(mutex_);
  faults_.disk_full_from_put.reset();
}

std::optional<base::Bytes> MemoryPieceStore::file() const {
  const std::lock_guard guard(mutex_);
  return file_;
}

bool MemoryPieceStore::is_finished() const {
  const std::lock_guard guard(mutex_);
  return file_.has_value();
}

std::size_t MemoryPieceStore::writes_under_way() const {
  const std::lock_guard guard(mutex_);
  return writes_.size();
}

std::optional<seam::ReadablePiecePtr> MemoryPieceLibrary::look_up_verified(const base::Sha1Hash& hash) {
  const std::lock_guard guard(mutex_);
  const auto found = entries_.find(hash);
  if (found == entries_.end()) return seam::ReadablePiecePtr{};
  const Entry& entry = found->second;
  if (!entry.is_right) return std::nullopt;
  if (!*entry.is_right) return seam::ReadablePiecePtr{};
  return std::make_shared<const MemoryPiece>(entry.content);
}

seam::ReadablePiecePtr MemoryPieceLibrary::look_up(const base::Sha1Hash& hash) {
  const std::lock_guard guard(mutex_);
  const auto found = entries_.find(hash);
  if (found == entries_.end()) return nullptr;
  Entry& entry = found->second;
  if (!entry.is_right) entry.is_right = base::sha1(*entry.content) == hash;
  return *entry.is_right ? std::make_shared<const MemoryPiece>(entry.content) : nullptr;
}

base::Sha1Hash MemoryPieceLibrary::add(base::Bytes content) {
  const base::Sha1Hash hash = base::sha1(content);
  add_as(hash, std::move(content));
  return hash;
}

void MemoryPieceLibrary::add_as(const base::Sha1Hash& name, base::Bytes content) {
  const std::lock_guard guard(mutex_);
  entries_.insert_or_assign(name, Entry{std::make_shared<const base::Bytes>(std::move(content)), std::nullopt});
}

void MemoryPieceLibrary::remove(const base::Sha1Hash& name) {
  const std::lock_guard guard(mutex_);
  entries_.erase(name);
}

}  // namespace shoal::storage
