// Which source is to give how many of the open pieces, so that the last one comes as early as possible.
//
// The pieces that the same sources can give are one class; within it they are alike, so the plan only counts. Each open
// piece is assigned to one ready owner of its class, or waits when it has none. A source with `busy_s` seconds of work
// under way and n assigned pieces ends at busy_s + n * piece_s. An assignment is best exactly when no hand-over helps:
// no chain of sources A -> B -> ... -> C, each giving one piece to the next that also owns it, with C ending its new
// piece sooner than A would have ended its last one. rebalance() looks for such chains and carries them out; for pieces
// of one size and known rates the result is optimal (the sets of pieces that sources can end in time are a matroid, and
// such exchanges find its best base).
//
// PieceTable keeps it told of open pieces, Download of the sources' paces. Every call costs at most O(sources) for each
// class it touches.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <vector>

#include "base/strong.hpp"

namespace shoal::swarm {

// A source, counted from 0 in order of arrival. Never reused.
using SourceSlot = base::Strong<struct SourceSlotTag>;
// A class of pieces. Reused after free_class().
using ClassId = base::Strong<struct ClassIdTag>;

// In the order in which a source takes them.
enum class ClassKind : std::uint8_t {
  listed,    // the owners are listed for these pieces
  unlisted,  // nobody who is listed is left: the owners just have not refused yet
  doubled,   // asked for already of a source that is too slow; the owners are the others
};

class Plan {
 public:
  SourceSlot add_source();
  // Only ready sources are assigned pieces.
  void set_ready(SourceSlot source, bool is_ready);
  // How long what it is asked for already takes, and how long each further piece (> 0).
  void set_pace(SourceSlot source, double busy_s, double piece_s);

  // `owners` sorted.
  ClassId make_class(ClassKind kind, std::vector<SourceSlot> owners);
  void free_class(ClassId id);  // it has no open piece
  [[nodiscard]] std::span<const SourceSlot> owners(ClassId id) const { return classes_[id.value].owners; }
  [[nodiscard]] bool is_owner(ClassId id, SourceSlot source) const;

  // A number of pieces of the class became open; one is no longer open; one was asked for of `source`.
  void put(ClassId id, std::uint32_t count);
  void drop(ClassId id);
  void take(ClassId id, SourceSlot source);

  // Carries out chains of hand-overs until none helps, at most `moves_max`. False: there may be more.
  bool rebalance(std::uint32_t moves_max);

  // From which class this source should take its next piece: of those assigned to it the scarcest, that is the one
  // whose owners together are slowest. Whatever changes later, these have the least help.
  [[nodiscard]] std::optional<ClassId> pick(SourceSlot source) const;
  [[nodiscard]] double busy_s(SourceSlot source) const { return sources_[source.value].busy_s; }
  [[nodiscard]] double piece_s(SourceSlot source) const { return sources_[source.value].piece_s; }
  [[nodiscard]] std::uint32_t assigned(SourceSlot source) const { return sources_[source.value].assigned; }
  // When it ends all that is assigned to it, in seconds from when the paces were set; and with one piece more.
  [[nodiscard]] double end_s(SourceSlot source) const;
  [[nodiscard]] double end_with_one_more_s(SourceSlot source) const;
  // When the last of the ready sources ends.
  [[nodiscard]] double end_s() const;

 private:
  using Rank = std::tuple<ClassKind, std::size_t, ClassId>;  // kind, owners, id: roughly what to take first

  struct Source {
    bool is_ready = false;
    double busy_s = 0;
    double piece_s = 1;
    std::uint32_t assigned = 0;
    std::set<Rank> classes;              // with at least one piece assigned to it
    std::vector<std::uint32_t> givable;  // [other]: how many of its assigned pieces `other` owns, too
  };
  struct Class {
    ClassKind kind = ClassKind::listed;
    std::vector<SourceSlot> owners;
    std::vector<std::uint32_t> assigned;  // as owners
    std::uint32_t waiting = 0;            // no owner is ready
  };

  [[nodiscard]] static Rank rank_of(const Class& group, ClassId id) { return {group.kind, group.owners.size(), id}; }
  [[nodiscard]] static std::size_t position_of(const Class& group, SourceSlot source);
  void change(ClassId id, std::size_t position, std::int64_t difference);
  void pour(ClassId id, std::uint32_t count);
  bool improve_from(SourceSlot first, std::vector<bool>& is_settled);
  void hand_over(SourceSlot from, SourceSlot to, std::uint32_t count);

  std::vector<Source> sources_;
  std::vector<Class> classes_;
  std::vector<ClassId> free_;
};

}  // namespace shoal::swarm
