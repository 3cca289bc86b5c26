#include "roles/swarm_writes.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace shoal::roles {

void SwarmWrites::store(Block block, seam::Actions& actions) {
  const base::PieceIndex piece = block.part.piece;
  const auto [place, is_new] = write_of_.try_emplace(piece, seam::WriteId(last_write_ + 1));
  const seam::WriteId id = place->second;
  if (is_new) {
    ++last_write_;
    actions.emplace_back(seam::BeginPiece{.write = id, .places = {piece}, .size_bytes = block.piece_bytes});
  }
  Write& write = writes_[id];
  SHOAL_CHECK(!write.is_whole);
  write.about = {piece, block.piece_bytes, block.from};
  ++write.blocks_at_store;
  actions.emplace_back(seam::StoreBlock{.write = id,
                                        .buffer = std::move(block.buffer),
                                        .count = block.part.size_bytes,
                                        .offset_bytes = block.part.offset_bytes});
}

void SwarmWrites::complete(base::PieceIndex piece, seam::Actions& actions) {
  const seam::WriteId id = write_of_.at(piece);
  Write& write = writes_.at(id);
  write.is_whole = true;
  verify_if_home(id, write, actions);
}

void SwarmWrites::on_block_stored(seam::BlockStored& event, seam::Actions& actions) {
  const base::Buffer home = std::move(event.buffer);
  const auto found = writes_.find(event.write);
  if (found == writes_.end()) return;
  SHOAL_CHECK(found->second.blocks_at_store > 0);
  --found->second.blocks_at_store;
  verify_if_home(event.write, found->second, actions);
}

void SwarmWrites::verify_if_home(seam::WriteId id, Write& write, seam::Actions& actions) {
  if (!write.is_whole || write.blocks_at_store > 0 || write.is_verifying) return;
  write.is_verifying = true;
  actions.emplace_back(seam::CompletePiece{id});
}

std::optional<SwarmWrites::Ended> SwarmWrites::take_ended(seam::WriteId write) {
  const auto node = writes_.extract(write);
  if (node.empty()) return std::nullopt;
  write_of_.erase(node.mapped().about.piece);
  return node.mapped().about;
}

std::vector<SwarmWrites::Ended> SwarmWrites::give_up() {
  std::vector<Ended> pieces;
  for (const auto& [id, write] : std::exchange(writes_, {})) pieces.push_back(write.about);
  write_of_.clear();
  std::ranges::sort(pieces, {}, &Ended::piece);
  return pieces;
}

void SwarmWrites::abandon(base::PieceIndex piece, seam::Actions& actions) {
  const auto found = write_of_.find(piece);
  if (found == write_of_.end()) return;
  const seam::WriteId id = found->second;
  SHOAL_CHECK(!writes_.at(id).is_whole);
  actions.emplace_back(seam::AbandonPiece{id});
  static_cast<void>(take_ended(id));
}

void SwarmWrites::abandon(seam::Actions& actions) {
  std::vector<seam::WriteId> half;
  for (const auto& [id, write] : writes_) {
    if (!write.is_verifying) half.push_back(id);
  }
  std::ranges::sort(half);
  for (const seam::WriteId id : half) {
    actions.emplace_back(seam::AbandonPiece{id});
    static_cast<void>(take_ended(id));
  }
}

}  // namespace shoal::roles
