// The pieces that are open for the taking, by how many sources have them: a bucket for each number, and in a bucket any
// order. Part of the Picker.
//
// A change moves one piece between two buckets: constant time. Looking for the rarest piece that a source has walks the
// buckets from `floor`, below which the caller knows this source has none; where it has few pieces its own set is
// walked instead. So nearly all looks end at once, and one that does not raises the floor for the next.
//
// Always holds: contains(piece) iff it stands in the bucket of its level; places and buckets agree.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bitfield.hpp"
#include "base/rng.hpp"

namespace shoal::swarm {

class RarityOrder {
 public:
  RarityOrder(std::uint32_t piece_count, base::Rng rng);

  void add(base::PieceIndex piece);
  void remove(base::PieceIndex piece);
  // One source more, one less. Also of pieces that are not in it.
  void raise(base::PieceIndex piece);
  void lower(base::PieceIndex piece);

  [[nodiscard]] std::uint32_t level(base::PieceIndex piece) const { return levels_[piece.value]; }
  [[nodiscard]] bool contains(base::PieceIndex piece) const { return members_.test(piece); }
  [[nodiscard]] std::uint32_t size() const { return members_.count(); }
  [[nodiscard]] std::uint32_t size_at(std::uint32_t level) const;

  // The one of the lowest level of those in `has`, at random among equals. Raises `floor` to its level, or above all
  // levels when there is none.
  [[nodiscard]] std::optional<base::PieceIndex> rarest(const base::Bitfield& has, std::uint32_t& floor);
  // The one with the lowest index of those in `has`.
  [[nodiscard]] std::optional<base::PieceIndex> lowest(const base::Bitfield& has) const;

  void audit() const;

 private:
  using Bucket = std::vector<base::PieceIndex>;

  [[nodiscard]] std::optional<base::PieceIndex> rarest_by_set(const base::Bitfield& has);
  void put_in_bucket(base::PieceIndex piece);
  void take_from_bucket(base::PieceIndex piece);

  base::Rng rng_;
  base::Bitfield members_;
  std::vector<std::uint32_t> levels_;  // of each piece
  std::vector<std::uint32_t> places_;  // of each member, in its bucket
  std::vector<Bucket> buckets_;
};

}  // namespace shoal::swarm
