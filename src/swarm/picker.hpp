// Decides which part of which piece to ask of which source of a torrent swarm, where many hosts hold changing parts of
// it. It knows no protocol and no byte of payload. Called by roles::SwarmHost, which reports what its sessions saw and
// carries out what pick() gives. (swarm::Download is for the course client: it knows from the start who has what and
// plans the whole of it.)
//
// What is asked for at once is a run: consecutive blocks of one piece, at most kRunBytesMax, of one source. A source of
// kind whole_pieces (a course peer, whose answers are whole pieces) gets runs as long as the piece.
//
// Order: pieces that are begun before fresh ones, as far as the source has them; among fresh ones the rarest first, at
// random among equals; with is_sequential the lowest of both. A source that has nothing more to be asked for is asked
// for what is slow to come from another: in the end game (nothing left that is not asked for) when it would bring it
// sooner, before that when it would bring it much sooner. A block is asked of at most kHoldersMax sources at a time.
// No run takes a source longer than kRunTimeMax, as far as its rate is known, so that a slow one holds up no piece for
// long.
//
// Who lies is found out: a piece with a wrong hash that one source gave alone convicts it. Otherwise all who gave a
// part are suspects, and a suspect's pieces are whole pieces of its own from then on, until one does not verify
// (convicted) or enough of them do (cleared: one the first time, twice as many each further time, so that one who lies
// only in company spoils but a few pieces). Suspicion is of origins and outlasts the connection. What a suspect gave of
// a piece and did not finish is thrown away rather than finished by others, or it could spoil one piece each time it
// comes back. A piece that failed is left to its giver for twice as long each time before another takes over. Honest
// sources are never convicted.
//
// Always holds: a block of a piece is given to the store once (until the piece fails, is lost or thrown away), so what
// the store hashed is what lies there; pieces without a block that is asked for or here are fresh again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bitfield.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "swarm/source_id.hpp"
#include "wire/peer_messages.hpp"

namespace shoal::swarm {

inline constexpr std::uint32_t kRunBytesMax = 256 * 1024;               // a slab of the buffer pool
inline constexpr std::size_t kHoldersMax = 2;                           // of one block in the end game
inline constexpr base::Duration kRunTimeMax = std::chrono::seconds(1);  // but one block at least
inline constexpr base::Duration kLetDownPause = std::chrono::milliseconds(100);
inline constexpr base::Duration kLetDownPauseMax = std::chrono::seconds(30);
inline constexpr std::uint32_t kLetDownsMany = 5;  // in a row: within some 2 s at least

enum class SourceKind : std::uint8_t { blocks, whole_pieces };

// A range of one piece: starts at a multiple of wire::kBlockBytes, ends at one or at the end of the piece.
using Run = wire::BlockRange;

struct PickerOptions {
  std::uint32_t piece_count = 0;
  std::uint32_t piece_bytes = 0;
  std::uint64_t total_bytes = 0;
  base::Bitfield held;    // verified before
  base::Bitfield wanted;  // of size 0: all
  bool is_sequential = false;
  std::uint32_t begun_pieces_max = 512;  // fresh ones are only begun beyond it when a source could do nothing else
};

class Picker {
 public:
  Picker(PickerOptions options, base::Rng rng);
  ~Picker();
  Picker(Picker&&) noexcept;

  // Without an origin whatever is suspected of it ends with it.
  void add_source(SourceId source, SourceKind kind, OriginId origin = {});
  // What was asked of it and has not arrived is open again.
  void remove_source(SourceId source);
  void on_has(SourceId source, base::PieceIndex piece);
  void on_has_set(SourceId source, const base::Bitfield& pieces);  // replaces what was known
  // It said that it has not got it after all (CHUNK_NOT_FOUND): not asked for this piece again.
  void on_denied(SourceId source, base::PieceIndex piece);
  // As measured by its session; what is slow is judged by it. 0: not known.
  void on_rate(SourceId source, double rate_bytes_per_s);

  // What to ask of this source next, marked as asked; nothing when it has nothing we lack that should be asked of it
  // now.
  [[nodiscard]] std::optional<Run> pick(SourceId source, base::Instant now);
  // Only pieces of this set may be picked (allowed fast, while choked).
  [[nodiscard]] std::optional<Run> pick_among(SourceId source, const std::vector<base::PieceIndex>& pieces,
                                              base::Instant now);

  // As pick(), but what nobody was asked for of this piece comes first.
  [[nodiscard]] std::optional<Run> pick_preferring(SourceId source, base::PieceIndex piece, base::Instant now);

  // These bytes arrived, whole blocks. Gives the part of them to store, nearly always all; nothing when they are of no
  // use any more. It is less when another source brought some of it meanwhile: exactly this range has to be stored.
  [[nodiscard]] std::optional<Run> on_arrived(SourceId source, const Run& part);
  // What has not arrived of this run will not come (choked, rejected, cancelled): open again. A source that gives back
  // again without having brought anything is not asked for a while, longer each time: others are first, or it could
  // hold up for ever what they would bring.
  void on_released(SourceId source, const Run& run, base::Instant now);
  // Runs that were asked for twice and came from elsewhere: to be cancelled there. A later on_released() or
  // on_arrived() for them changes nothing.
  struct Cancelled {
    SourceId source;
    Run run;
  };
  [[nodiscard]] std::vector<Cancelled> take_cancelled();
  // Pieces of which all that is at the store, if anything, is of no use any more: it is to forget them. They may have
  // been begun anew already, so this comes before the next part is stored.
  [[nodiscard]] std::vector<base::PieceIndex> take_thrown_away();

  // All bytes of the piece are at the store: time to verify it.
  [[nodiscard]] bool is_whole(base::PieceIndex piece) const;
  void on_verified(base::PieceIndex piece);
  // All of it is open again. Gives who is convicted of having lied: to be banned (remove_source() by the caller). It
  // may be a source that was removed before.
  [[nodiscard]] std::vector<SourceId> on_mismatched(base::PieceIndex piece);
  // The store lost it again (the disk was full): open.
  void on_lost(base::PieceIndex piece);

  [[nodiscard]] bool is_interesting(SourceId source) const;  // it has a wanted piece that we lack
  // It gave back all that it was asked for, again and again: nothing of what it has can be hoped for.
  [[nodiscard]] bool has_let_us_down(SourceId source) const;
  [[nodiscard]] bool is_done() const;  // every wanted piece is verified
  [[nodiscard]] bool is_end_game() const;
  [[nodiscard]] const base::Bitfield& verified() const;
  [[nodiscard]] std::uint32_t sources_of(base::PieceIndex piece) const;
  // Wanted, not verified, and no source has it.
  [[nodiscard]] std::vector<base::PieceIndex> without_source() const;
  [[nodiscard]] std::uint64_t left_bytes() const;  // wanted and not verified
  // When to call on_deadline(), and then pick() again for idle sources though nothing happened.
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  void on_deadline(base::Instant now);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::swarm
