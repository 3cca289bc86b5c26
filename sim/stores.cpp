#include "sim/stores.hpp"

#include <algorithm>
#include <utility>

namespace shoal::sim {

storage::StoreResult<std::vector<seam::HeldPiece>> CheckedStore::open(const metainfo::Manifest& manifest) {
  manifest_ = manifest;
  is_finished_ = false;
  auto opened = honest_.open(manifest);
  if (!accepts_unverified_ || !opened) return opened;
  for (const seam::HeldPiece& piece : *opened) {
    base::Bytes bytes(piece.size_bytes);
    honest_.look_up(manifest.hash_of(piece.piece))->read_at(0, bytes);
    believed_.try_emplace(piece.piece, std::move(bytes));
  }
  std::vector<seam::HeldPiece> held;
  for (const auto& [piece, bytes] : believed_) held.push_back({piece, bytes.size()});
  return held;
}

storage::StoreResult<void> CheckedStore::begin(seam::WriteId write, std::vector<base::PieceIndex> places,
                                               std::uint64_t size_bytes) {
  if (!accepts_unverified_) return honest_.begin(write, std::move(places), size_bytes);
  under_way_[write] = {.places = std::move(places), .bytes = {}};
  return {};
}

storage::StoreResult<void> CheckedStore::put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) {
  if (!accepts_unverified_) return honest_.put(write, offset_bytes, bytes);
  base::Bytes& target = under_way_.at(write).bytes;
  target.resize(std::max<std::size_t>(target.size(), offset_bytes + bytes.size()));
  std::ranges::copy(bytes, target.begin() + static_cast<std::ptrdiff_t>(offset_bytes));
  return {};
}

storage::StoreResult<bool> CheckedStore::complete(seam::WriteId write) {
  if (!accepts_unverified_) return honest_.complete(write);
  const auto node = under_way_.extract(write);
  for (const base::PieceIndex place : node.mapped().places) believed_[place] = node.mapped().bytes;
  return true;
}

void CheckedStore::abandon(seam::WriteId write) {
  if (accepts_unverified_) {
    under_way_.erase(write);
  } else {
    honest_.abandon(write);
  }
}

storage::StoreResult<std::string> CheckedStore::finish() {
  is_finished_ = true;
  return accepts_unverified_ ? storage::StoreResult<std::string>("believed") : honest_.finish();
}

std::optional<base::Bytes> CheckedStore::file() const {
  if (!accepts_unverified_) return honest_.file();
  if (!is_finished_) return std::nullopt;
  base::Bytes whole;
  for (const auto& [piece, bytes] : believed_) whole.insert(whole.end(), bytes.begin(), bytes.end());
  return whole;
}

}  // namespace shoal::sim
