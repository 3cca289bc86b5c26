#include "swarm/peer_pieces.hpp"

#include <utility>

#include "base/check.hpp"

namespace shoal::swarm {

PeerPieces::Verdict PeerPieces::on_have(base::PieceIndex piece) {
  if (is_counted_) {
    if (piece.value >= pieces_.size()) return Verdict::wrong;
    if (pieces_.test(piece)) return Verdict::nothing_new;
    pieces_.set(piece);
    return Verdict::news;
  }
  if (is_early_all_) return Verdict::nothing_new;
  if (early_bits_) {
    // What it says later about a set of known length needs no room.
    const std::size_t byte = piece.value / 8;
    if (byte >= early_bits_->size()) return Verdict::wrong;
    const std::byte bit = std::byte{0x80} >> (piece.value % 8);
    if (((*early_bits_)[byte] & bit) != std::byte{0}) return Verdict::nothing_new;
    (*early_bits_)[byte] |= bit;
    return Verdict::kept;
  }
  if (early_haves_.size() == kEarlyHavesMax) return Verdict::too_many;
  early_haves_.push_back(piece);
  return Verdict::kept;
}

PeerPieces::Verdict PeerPieces::on_bits(base::Bytes bits) {
  if (!is_counted_) {
    if (early_bits_ && early_bits_->size() != bits.size()) return Verdict::wrong;
    if (early_bits_) {
      for (std::size_t i = 0; i < bits.size(); ++i) bits[i] |= (*early_bits_)[i];
    }
    early_bits_ = std::move(bits);
    return Verdict::kept;
  }
  const auto told = base::Bitfield::parse(bits, pieces_.size());
  if (!told) return Verdict::wrong;
  return add(*told);
}

PeerPieces::Verdict PeerPieces::on_all() {
  if (!is_counted_) {
    is_early_all_ = true;
    return Verdict::kept;
  }
  return add(base::Bitfield(pieces_.size(), true));
}

PeerPieces::Verdict PeerPieces::add(const base::Bitfield& told) {
  const std::uint32_t before = pieces_.count();
  if (before == 0) {
    pieces_ = told;
  } else {
    for (std::uint32_t piece = 0; piece < told.size(); ++piece) {
      if (told.test(base::PieceIndex(piece))) pieces_.set(base::PieceIndex(piece));
    }
  }
  return pieces_.count() > before ? Verdict::news : Verdict::nothing_new;
}

PeerPieces::Verdict PeerPieces::on_none() {
  return is_counted_ ? Verdict::nothing_new : Verdict::kept;
}

PeerPieces::Verdict PeerPieces::set_piece_count(std::uint32_t piece_count) {
  SHOAL_CHECK(!is_counted_);
  is_counted_ = true;
  pieces_ = base::Bitfield(piece_count, is_early_all_);
  if (const auto bits = std::exchange(early_bits_, std::nullopt)) {
    const auto told = base::Bitfield::parse(*bits, piece_count);
    if (!told) return Verdict::wrong;
    (void)add(*told);
  }
  for (const base::PieceIndex piece : std::exchange(early_haves_, {})) {
    if (piece.value >= piece_count) return Verdict::wrong;
    pieces_.set(piece);
  }
  return pieces_.is_none() ? Verdict::nothing_new : Verdict::news;
}

}  // namespace shoal::swarm
