// A piece of which something is asked for or here: the state of each of its blocks, and who gave of it. Part of the
// Picker.
//
// A block is open (nobody is asked for it), asked (of one source, or of kHoldersMax), or here. Always holds: the counts
// agree with the blocks; a source holds a block at most once; givers() are all whose bytes are in the piece.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "swarm/picker.hpp"
#include "swarm/source_id.hpp"

namespace shoal::swarm {

// Consecutive blocks of one piece.
struct BlockSpan {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  [[nodiscard]] std::uint32_t end() const { return first + count; }
};

// Whose bytes are in a piece. The source may be gone.
struct Giver {
  SourceId source;
  OriginId origin;
  friend bool operator==(const Giver&, const Giver&) = default;
};

class BegunPiece {
 public:
  BegunPiece(base::PieceIndex piece, std::uint32_t size_bytes);

  [[nodiscard]] base::PieceIndex piece() const { return piece_; }
  [[nodiscard]] std::uint32_t block_count() const { return static_cast<std::uint32_t>(blocks_.size()); }
  [[nodiscard]] std::uint32_t open_count() const { return open_; }
  [[nodiscard]] std::uint32_t here_count() const { return here_; }
  [[nodiscard]] bool is_whole() const { return here_ == block_count(); }
  [[nodiscard]] bool is_untouched() const { return open_ == block_count(); }
  [[nodiscard]] bool is_coming() const { return open_ + here_ < block_count(); }  // something is asked for
  [[nodiscard]] BlockSpan all() const { return {0, block_count()}; }
  // Our own sessions give runs that fit: anything else is a bug.
  [[nodiscard]] BlockSpan span_of(const Run& run) const;
  [[nodiscard]] Run run_of(BlockSpan span) const;

  [[nodiscard]] bool is_here(std::uint32_t block) const { return blocks_[block].is_here; }
  [[nodiscard]] bool is_held(std::uint32_t block, SourceId holder) const;
  // The first open blocks in a row, at most count_max.
  [[nodiscard]] std::optional<BlockSpan> first_open(std::uint32_t count_max) const;
  // The last blocks in a row that only this source is asked for, at most count_max: what it brings last.
  [[nodiscard]] std::optional<BlockSpan> last_held_alone(SourceId holder, std::uint32_t count_max) const;
  // Each block that is not here can be asked of one source more, and there is one.
  [[nodiscard]] bool has_place_in_all(SourceId source) const;
  // Those in a row that this source holds within a span: the longest row.
  [[nodiscard]] BlockSpan longest_held(BlockSpan within, SourceId holder) const;

  // Gives how many blocks it now holds that it did not: all of the span that are not here and have a place.
  std::uint32_t ask(BlockSpan span, SourceId holder);
  // Gives how many it held.
  std::uint32_t release(BlockSpan span, SourceId holder);
  // `giver` holds it. Gives who else does not any more.
  std::optional<SourceId> arrive(std::uint32_t block, Giver giver);
  // What is here is open again; what is asked for stays.
  void lose();

  // Nobody else should be asked for it, as long as it is not taken away: a suspect gives it alone.
  [[nodiscard]] std::optional<SourceId> owner() const { return owner_; }
  void set_owner(std::optional<SourceId> owner) { owner_ = owner; }
  [[nodiscard]] const std::vector<Giver>& givers() const { return givers_; }
  [[nodiscard]] bool has_given(SourceId source) const;
  // When somebody was asked for some of it last.
  [[nodiscard]] base::Instant asked_at() const { return asked_at_; }
  void set_asked_at(base::Instant now) { asked_at_ = now; }
  // A convicted source gave of it: when it fails, that is why.
  [[nodiscard]] bool is_spoiled() const { return is_spoiled_; }
  void set_spoiled() { is_spoiled_ = true; }

  // The Picker's mark: it stands among the pieces with open blocks.
  [[nodiscard]] bool is_listed() const { return is_listed_; }
  void set_listed(bool is_listed) { is_listed_ = is_listed; }

  [[nodiscard]] std::span<const SourceId> holders(std::uint32_t block) const {
    return {blocks_[block].holders.data(), blocks_[block].holder_count};
  }
  void audit() const;

 private:
  struct Block {
    std::array<SourceId, kHoldersMax> holders{};
    std::uint8_t holder_count = 0;
    bool is_here = false;
    [[nodiscard]] bool is_open() const { return !is_here && holder_count == 0; }
  };

  base::PieceIndex piece_;
  std::uint32_t size_bytes_;
  std::vector<Block> blocks_;
  std::uint32_t open_;
  std::uint32_t open_from_ = 0;  // no block before it is open
  std::uint32_t here_ = 0;
  std::optional<SourceId> owner_;
  std::vector<Giver> givers_;
  base::Instant asked_at_{};
  bool is_spoiled_ = false;
  bool is_listed_ = false;
};

}  // namespace shoal::swarm
