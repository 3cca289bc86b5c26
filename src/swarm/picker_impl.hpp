// The inside of the Picker. Its parts: RarityOrder (fresh pieces), BegunPiece (blocks), Suspects (who lied). What
// happened is in picker.cpp, what to ask next in picker_choice.cpp, what always holds (and the public calls) in
// picker_audit.cpp.
#pragma once

#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "swarm/begun_piece.hpp"
#include "swarm/picker.hpp"
#include "swarm/rarity_order.hpp"
#include "swarm/suspects.hpp"

namespace shoal::swarm {

struct PickerSource {
  // Blocks of one piece that it is asked for.
  struct Asked {
    base::PieceIndex piece;
    std::uint32_t blocks = 0;
  };

  SourceKind kind = SourceKind::blocks;
  OriginId origin;
  base::Bitfield has;              // without what it denied
  base::Bitfield denied;           // of size 0 until it denies something
  bool is_counted_apart = false;   // has everything: in `sources_with_all_` instead of the levels
  bool is_convicted = false;       // not asked any more; its owner removes it soon
  std::uint32_t interesting = 0;   // pieces it has that are wanted and not verified
  std::uint32_t floor = 0;         // no fresh piece that it has is of a lower level
  double rate_bytes_per_s = 0;     // 0: not known
  std::vector<Asked> asked;        // in the order in which they were asked
  std::uint64_t asked_blocks = 0;  // in all
  base::Instant heard_at{};        // when something arrived, or it was asked after a time of nothing asked
  bool is_heard = false;           // something arrived since the last pick
  bool has_brought = false;        // since it gave something back
  std::uint32_t let_downs = 0;     // how often in a row it gave back and brought nothing
  base::Instant paused_until{};    // for that
};

class Picker::Impl {
 public:
  Impl(PickerOptions options, base::Rng rng);

  void add_source(SourceId id, SourceKind kind, OriginId origin);
  void remove_source(SourceId id);
  void on_has(SourceId id, base::PieceIndex piece);
  void on_has_set(SourceId id, const base::Bitfield& pieces);
  void on_denied(SourceId id, base::PieceIndex piece);
  void on_rate(SourceId id, double rate_bytes_per_s);

  // `among`: nothing else may be picked.
  std::optional<Run> pick(SourceId id, const std::vector<base::PieceIndex>* among, base::Instant now);
  std::optional<Run> pick_preferring(SourceId id, base::PieceIndex piece, base::Instant now);

  std::optional<Run> on_arrived(SourceId id, const Run& part);
  void on_released(SourceId id, const Run& run, base::Instant now);
  std::vector<Cancelled> take_cancelled() { return std::exchange(cancelled_, {}); }
  std::vector<base::PieceIndex> take_thrown_away() { return std::exchange(thrown_away_, {}); }

  bool is_whole(base::PieceIndex piece) const;
  void on_verified(base::PieceIndex piece);
  std::vector<SourceId> on_mismatched(base::PieceIndex piece);
  void on_lost(base::PieceIndex piece);

  bool is_interesting(SourceId id) const;
  bool has_let_us_down(SourceId id) const;
  bool is_done() const { return left_pieces_ == 0; }
  bool is_end_game() const;
  const base::Bitfield& verified() const { return verified_; }
  std::uint32_t sources_of(base::PieceIndex piece) const { return fresh_.level(piece) + sources_with_all_; }
  std::vector<base::PieceIndex> without_source() const;
  std::uint64_t left_bytes() const { return left_bytes_; }
  std::optional<base::Instant> next_deadline() const { return deadline_; }
  void on_deadline(base::Instant now);

  // At the end of each public call, in debug builds.
  void audit();

 private:
  using Sources = std::unordered_map<SourceId, PickerSource>;
  using Among = const std::vector<base::PieceIndex>*;
  struct Asker {
    SourceId id;
    PickerSource& source;
    Among among;
    base::Instant now;
  };

  using JoinRule = bool (Impl::*)(const Asker& asker, const BegunPiece& begun);
  // Blocks that are asked of one source and could be asked of another too.
  struct Help {
    BegunPiece* begun = nullptr;
    BlockSpan span;
  };

  // Of a piece that others give and a suspect could: how many blocks are here, and since when.
  struct Standstill {
    std::uint32_t here = 0;
    base::Instant since{};
    base::Instant seen_at{};
  };
  // What went wrong with a piece that is not right yet.
  struct PieceHistory {
    std::uint32_t failures = 0;  // how often it was wrong, or what others had left of it was begun anew
    // Who took it from whoever was to give it alone, and who was to and lost it by its silence: once for each time.
    std::vector<OriginId> blamed;
    std::optional<Standstill> standstill;
  };

  // --- picker.cpp: keeping the state ---
  std::uint32_t size_of(base::PieceIndex piece) const;
  bool is_missing(base::PieceIndex piece) const { return wanted_.test(piece) && !verified_.test(piece); }
  PickerSource* find(SourceId id);
  BegunPiece* find_begun(base::PieceIndex piece);
  void gain(PickerSource& source, base::PieceIndex piece);
  void forgo(PickerSource& source, base::PieceIndex piece);
  void drop_pieces_of(PickerSource& source);
  void release_all(SourceId id, PickerSource& source);
  void take_off(PickerSource& source, base::PieceIndex piece, std::uint32_t blocks);
  void cancel(SourceId holder, const BegunPiece& begun, std::uint32_t block);
  void cancel_all(BegunPiece& begun);
  void set_owner(BegunPiece& begun, std::optional<SourceId> owner);
  void forget_begun(BegunPiece& begun);
  void throw_away(BegunPiece& begun);
  void leave_pieces_of(SourceId id);
  void make_fresh(base::PieceIndex piece);
  void lower_floors(std::uint32_t level);
  // After its blocks changed: forgotten when untouched, and listed in `open_` or not.
  void settle(BegunPiece& begun);
  // Gives how many blocks.
  std::uint32_t release(SourceId id, PickerSource& source, const Run& run);
  void unlist(BegunPiece& begun);
  void convict(SourceId id);

  // --- picker_choice.cpp ---
  PickerSource* find_askable(SourceId id, base::Instant now);
  std::optional<Run> pick_open(const Asker& asker);
  std::optional<Run> pick_unusual(const Asker& asker);
  std::optional<Run> pick_again(const Asker& asker);
  std::optional<Run> pick_help(const Asker& asker);
  BegunPiece* best_open(const Asker& asker, JoinRule may);
  bool is_suspect(const Asker& asker) const { return suspects_.is_suspect(asker.source.origin); }
  std::optional<base::PieceIndex> best_fresh(const Asker& asker);
  bool may_join(const Asker& asker, const BegunPiece& begun);
  bool may_join_unusually(const Asker& asker, const BegunPiece& begun);
  bool may_take_over(const Asker& asker, const BegunPiece& begun);
  double patience_with(const Asker& asker, const BegunPiece& begun) const;
  bool stands_still(const Asker& asker, const BegunPiece& begun, base::Duration limit);
  std::optional<Run> pick_take_over(const Asker& asker);
  static bool may_ask_for(const Asker& asker, base::PieceIndex piece);
  std::optional<Help> help_for(const Asker& asker, SourceId holder, bool is_end);
  // What is there of it and what this one would give must not be mixed: one of them is a suspect.
  bool must_begin_anew(const Asker& asker, const BegunPiece& begun) const {
    return begun.owner() ? begun.owner() != asker.id : is_suspect(asker);
  }
  Run take_over(const Asker& asker, BegunPiece& begun);
  Run ask(const Asker& asker, BegunPiece& begun, BlockSpan span);
  Run begin(const Asker& asker, base::PieceIndex piece);
  std::uint32_t run_blocks(const PickerSource& source) const;
  double guessed_rate();  // of a source whose own is not known: the mean of the others
  double seconds_left(const PickerSource& holder, double guess, base::Instant now) const;
  void look_again_at(base::Instant at, base::Instant now);
  void note_time(base::Instant now);

  // --- picker_audit.cpp ---
  void audit_pieces() const;
  void audit_begun() const;
  void audit_source(SourceId id, const PickerSource& source) const;

  std::uint32_t piece_count_;
  std::uint32_t piece_bytes_;
  std::uint64_t total_bytes_;
  bool is_sequential_;
  std::uint32_t begun_pieces_max_;
  base::Bitfield wanted_;
  base::Bitfield verified_;
  std::uint64_t left_bytes_ = 0;
  std::uint32_t left_pieces_ = 0;

  RarityOrder fresh_;  // wanted, not verified, not begun; its levels are those of all pieces
  std::unordered_map<base::PieceIndex, BegunPiece> begun_;
  std::unordered_map<base::PieceIndex, PieceHistory> histories_;  // until the piece is right
  std::uint32_t owned_pieces_ = 0;                                // those begun with an owner
  std::vector<BegunPiece*> open_;                                 // those with open blocks
  Sources sources_;
  std::uint32_t sources_with_all_ = 0;
  std::optional<double> guessed_rate_;  // until a rate changes
  Suspects suspects_;
  std::vector<Cancelled> cancelled_;
  std::vector<base::PieceIndex> thrown_away_;
  std::vector<SourceId> heard_;  // is_heard
  std::optional<base::Instant> deadline_;
  std::uint32_t calls_since_audit_ = 0;
};

}  // namespace shoal::swarm
