// What is known of each piece of a download: how far it is, who could give it, who was asked. Used by Download.
//
// A wanted piece is open (to be asked for), requested (of one source or two), verifying (an answer is at the store) or
// verified; a requested one can be doubled, which means it may be asked for a second time elsewhere. Pieces that the
// same sources could give form a class (see plan.hpp); the table keeps the plan told of how many are open in each.
// A piece's possible owners are the sources that list it and have not been denied for it; when none is left, or all of
// these are in doubt, every source that has not been denied for it: a wrong question costs next to nothing.
//
// Costs: a request or an answer O(log pieces + owners), a refusal O(sources). When sources come or go, every piece is
// classified anew, once for all that came and went together: O(pieces * sources) bits.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/rng.hpp"
#include "base/strong.hpp"
#include "swarm/plan.hpp"

namespace shoal::swarm {

class PieceTable {
 public:
  enum class State : std::uint8_t { unwanted, open, requested, verifying, verified };
  static constexpr std::size_t kHoldersMax = 2;

  // The plan must outlive the table; both begin without sources.
  PieceTable(std::uint32_t piece_count, std::span<const base::PieceIndex> not_wanted, Plan& plan, base::Rng rng);

  SourceSlot add_source(std::span<const base::PieceIndex> listed);
  // It can give nothing any more. What was requested of it stays requested until end_request().
  void remove_source(SourceSlot source);
  // It may not answer: others may be asked for what only it is listed for. Told to be sure again: only it.
  void set_in_doubt(SourceSlot source, bool is_in_doubt);
  // After these and before anything is requested or asked about classes; costs nothing when it is not needed.
  void reclassify_all();
  // The source has not got this piece, or gave wrong bytes for it.
  void deny(SourceSlot source, base::PieceIndex piece);

  void request(SourceSlot source, base::PieceIndex piece);
  // Whatever the reason: what follows from it is told by the other calls.
  void end_request(SourceSlot source, base::PieceIndex piece);
  void begin_verifying(base::PieceIndex piece);
  void end_verifying(base::PieceIndex piece);  // it was not right
  void verify(base::PieceIndex piece);

  // A piece requested of one source may be asked for elsewhere, too; or rather not, after all.
  void begin_doubling(base::PieceIndex piece);
  void end_doubling(base::PieceIndex piece);

  void set_size(base::PieceIndex piece, std::uint64_t size_bytes);
  void forget_size(base::PieceIndex piece);
  // Its own, or the mean of those known; nothing before any is.
  [[nodiscard]] std::optional<double> expected_size(base::PieceIndex piece) const;
  [[nodiscard]] std::optional<double> mean_size() const;

  [[nodiscard]] State state(base::PieceIndex piece) const;
  [[nodiscard]] bool is_doubled(base::PieceIndex piece) const { return pieces_[piece.value].is_doubled; }
  [[nodiscard]] std::span<const SourceSlot> holders(base::PieceIndex piece) const;
  [[nodiscard]] ClassId class_of(base::PieceIndex piece) const { return pieces_[piece.value].group; }
  // There is one.
  [[nodiscard]] base::PieceIndex lowest_open(ClassId id);

  [[nodiscard]] std::uint32_t piece_count() const { return static_cast<std::uint32_t>(pieces_.size()); }
  [[nodiscard]] std::uint32_t unverified() const { return unverified_; }
  // Open pieces that nobody could give.
  [[nodiscard]] std::uint32_t hopeless() const { return classes_[kNobody.value].open; }

 private:
  static constexpr ClassId kNobody{0};  // never freed

  struct Piece {
    ClassId group;
    bool is_wanted = true;
    bool is_verified = false;
    bool is_open = false;
    bool is_doubled = false;
    std::uint8_t holder_count = 0;
    std::uint8_t verifying = 0;  // answers at the store
    std::array<SourceSlot, kHoldersMax> holders;
    std::optional<std::uint64_t> size_bytes;
  };
  struct Class {
    ClassKind kind = ClassKind::listed;
    std::uint64_t key = 0;      // of kind and owners
    std::uint32_t members = 0;  // unverified pieces
    std::uint32_t open = 0;
    // A heap, lowest index first. May hold pieces that are open no longer or elsewhere: skipped when they come up.
    std::vector<std::uint32_t> heap;
  };
  struct Source {
    std::uint64_t key = 0;  // random; a set's key is the sum of its members'
    bool can_give = true;
    bool is_in_doubt = false;
    std::vector<bool> is_listed;
    std::vector<bool> is_denied;
  };
  [[nodiscard]] bool is_unverified(const Piece& piece) const { return piece.is_wanted && !piece.is_verified; }
  void update(base::PieceIndex piece);
  void set_open(base::PieceIndex piece, bool is_open);
  void move(base::PieceIndex piece, ClassId to);
  void reclassify(base::PieceIndex piece);
  void leave(ClassId id);
  [[nodiscard]] std::uint64_t key_of(ClassKind kind, std::span<const SourceSlot> owners) const;
  ClassId find_or_make(ClassKind kind, std::span<const SourceSlot> owners);

  Plan& plan_;
  base::Rng rng_;
  std::vector<Piece> pieces_;
  std::vector<Class> classes_;  // by ClassId, as in the plan
  std::vector<Source> sources_;
  std::unordered_map<std::uint64_t, ClassId> by_key_;
  bool is_stale_ = false;  // sources came or went since the pieces were classified
  std::uint32_t unverified_ = 0;
  std::uint32_t sized_ = 0;
  double sized_bytes_ = 0;
  std::vector<SourceSlot> listed_scratch_;
  std::vector<SourceSlot> all_scratch_;
};

}  // namespace shoal::swarm
