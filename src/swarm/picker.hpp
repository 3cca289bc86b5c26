// Decides which part of which piece to ask of which source of a torrent swarm, where many hosts hold changing parts of
// it. It knows no protocol and no byte of payload. Called by roles::SwarmHost, which reports what its sessions saw and
// carries out what pick() gives. (swarm::Download is for the course client: it knows from the start who has what and
// plans the whole of it.)
//
// What is asked for at once is a run: consecutive blocks of one piece, at most kRunBytesMax, of one source. A source of
// kind whole_pieces (a course peer, whose answers are whole pieces) gets runs as long as the piece.
//
// Order: pieces that are begun before fresh ones, as far as the source has them; among fresh ones the rarest first, at
// random among equals; with is_sequential the lowest. In the end game (nothing left that is not asked for) what is slow
// to come is asked for again elsewhere, each run of at most kHoldersMax sources at a time, from sources that would
// bring it sooner. A source that is slow compared to the others gets short runs, so that it never holds up a piece for
// long.
//
// Who lies is found out: a piece with a wrong hash that one source gave alone convicts it. Otherwise all who gave a
// part are suspects, and a suspect's pieces are whole pieces of its own from then on, until one verifies (cleared)
// or does not (convicted). Honest sources are never convicted.
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

inline constexpr std::uint32_t kRunBytesMax = 256 * 1024;  // a slab of the buffer pool
inline constexpr std::size_t kHoldersMax = 2;              // of one block in the end game

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

  void add_source(SourceId source, SourceKind kind);
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

  // These bytes arrived and are on their way to the store. Whole blocks. Gives false when they are of no use any more
  // (another source brought them): not to be stored.
  [[nodiscard]] bool on_arrived(SourceId source, const Run& part);
  // What has not arrived of this run will not come (choked, rejected, cancelled): open again.
  void on_released(SourceId source, const Run& run);
  // Runs that were asked for twice and came from elsewhere: to be cancelled there, then on_released() is not called.
  struct Cancelled {
    SourceId source;
    Run run;
  };
  [[nodiscard]] std::vector<Cancelled> take_cancelled();

  // All bytes of the piece are at the store: time to verify it.
  [[nodiscard]] bool is_whole(base::PieceIndex piece) const;
  void on_verified(base::PieceIndex piece);
  // All of it is open again. Gives who is convicted of having lied: to be banned (remove_source() by the caller).
  [[nodiscard]] std::vector<SourceId> on_mismatched(base::PieceIndex piece);
  // The store lost it again (the disk was full): open.
  void on_lost(base::PieceIndex piece);

  [[nodiscard]] bool is_interesting(SourceId source) const;  // it has a wanted piece that we lack
  [[nodiscard]] bool is_done() const;                        // every wanted piece is verified
  [[nodiscard]] bool is_end_game() const;
  [[nodiscard]] const base::Bitfield& verified() const;
  [[nodiscard]] std::uint32_t sources_of(base::PieceIndex piece) const;
  // Wanted, not verified, and no source has it.
  [[nodiscard]] std::vector<base::PieceIndex> without_source() const;
  [[nodiscard]] std::uint64_t left_bytes() const;  // wanted and not verified
  // When to call pick() again for idle sources though nothing happened.
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::swarm
