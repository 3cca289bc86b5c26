#include "swarm/begun_piece.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace shoal::swarm {

using wire::kBlockBytes;

BegunPiece::BegunPiece(base::PieceIndex piece, std::uint32_t size_bytes)
    : piece_(piece),
      size_bytes_(size_bytes),
      blocks_((std::size_t{size_bytes} + kBlockBytes - 1) / kBlockBytes),
      open_(static_cast<std::uint32_t>(blocks_.size())) {}

BlockSpan BegunPiece::span_of(const Run& run) const {
  const std::uint64_t end = std::uint64_t{run.offset_bytes} + run.size_bytes;
  SHOAL_CHECK(run.piece == piece_ && run.size_bytes > 0 && end <= size_bytes_);
  SHOAL_CHECK(run.offset_bytes % kBlockBytes == 0 && (end % kBlockBytes == 0 || end == size_bytes_));
  const std::uint32_t first = run.offset_bytes / kBlockBytes;
  return {first, static_cast<std::uint32_t>((end + kBlockBytes - 1) / kBlockBytes) - first};
}

Run BegunPiece::run_of(BlockSpan span) const {
  const std::uint32_t begin = span.first * kBlockBytes;
  const std::uint64_t end = std::min<std::uint64_t>(size_bytes_, std::uint64_t{span.end()} * kBlockBytes);
  return {piece_, begin, static_cast<std::uint32_t>(end - begin)};
}

bool BegunPiece::is_held(std::uint32_t block, SourceId holder) const {
  const Block& state = blocks_[block];
  return std::find(state.holders.begin(), state.holders.begin() + state.holder_count, holder) !=
         state.holders.begin() + state.holder_count;
}

std::optional<BlockSpan> BegunPiece::first_open(std::uint32_t count_max) const {
  if (open_ == 0) return std::nullopt;
  BlockSpan span{open_from_, 0};
  while (!blocks_[span.first].is_open()) ++span.first;
  while (span.end() < block_count() && span.count < count_max && blocks_[span.end()].is_open()) ++span.count;
  return span;
}

std::optional<BlockSpan> BegunPiece::last_held_alone(SourceId holder, std::uint32_t count_max) const {
  const auto is_its = [this, holder](std::uint32_t block) {
    return blocks_[block].holder_count == 1 && blocks_[block].holders[0] == holder;
  };
  std::uint32_t end = block_count();
  while (end > 0 && !is_its(end - 1)) --end;
  if (end == 0) return std::nullopt;
  std::uint32_t first = end - 1;
  while (first > 0 && end - first < count_max && is_its(first - 1)) --first;
  return BlockSpan{first, end - first};
}

bool BegunPiece::has_place_in_all(SourceId source) const {
  if (is_whole()) return false;
  for (std::uint32_t block = 0; block < block_count(); ++block) {
    if (blocks_[block].is_here) continue;
    if (blocks_[block].holder_count == kHoldersMax || is_held(block, source)) return false;
  }
  return true;
}

BlockSpan BegunPiece::longest_held(BlockSpan within, SourceId holder) const {
  BlockSpan longest;
  BlockSpan row{within.first, 0};
  for (std::uint32_t block = within.first; block < within.end(); ++block) {
    if (is_held(block, holder)) {
      ++row.count;
      if (row.count > longest.count) longest = row;
    } else {
      row = {block + 1, 0};
    }
  }
  return longest;
}

std::uint32_t BegunPiece::ask(BlockSpan span, SourceId holder) {
  std::uint32_t asked = 0;
  for (std::uint32_t block = span.first; block < span.end(); ++block) {
    Block& state = blocks_[block];
    if (state.is_here || state.holder_count == kHoldersMax || is_held(block, holder)) continue;
    if (state.is_open()) --open_;
    state.holders[state.holder_count++] = holder;
    ++asked;
  }
  while (open_from_ < block_count() && !blocks_[open_from_].is_open()) ++open_from_;
  return asked;
}

std::uint32_t BegunPiece::release(BlockSpan span, SourceId holder) {
  std::uint32_t released = 0;
  for (std::uint32_t block = span.first; block < span.end(); ++block) {
    Block& state = blocks_[block];
    const auto end = state.holders.begin() + state.holder_count;
    const auto rest = std::remove(state.holders.begin(), end, holder);
    if (rest == end) continue;
    --state.holder_count;
    ++released;
    if (!state.is_open()) continue;
    ++open_;
    open_from_ = std::min(open_from_, block);
  }
  return released;
}

std::optional<SourceId> BegunPiece::arrive(std::uint32_t block, Giver giver) {
  SHOAL_CHECK(is_held(block, giver.source));
  Block& state = blocks_[block];
  std::optional<SourceId> other;
  if (state.holder_count == 2) other = state.holders[0] == giver.source ? state.holders[1] : state.holders[0];
  state.holder_count = 0;
  state.is_here = true;
  ++here_;
  if (!has_given(giver.source)) givers_.push_back(giver);
  return other;
}

bool BegunPiece::has_given(SourceId source) const {
  return std::ranges::find(givers_, source, &Giver::source) != givers_.end();
}

// The givers stay: what they gave may be among what is stored again.
void BegunPiece::lose() {
  for (Block& block : blocks_) {
    if (!block.is_here) continue;
    block.is_here = false;
    ++open_;
  }
  here_ = 0;
  open_from_ = 0;
}

void BegunPiece::audit() const {
  static_assert(kHoldersMax == 2);  // arrive() gives one other holder
  std::uint32_t open = 0;
  std::uint32_t here = 0;
  for (std::uint32_t i = 0; i < open_from_; ++i) SHOAL_CHECK(!blocks_[i].is_open());
  for (const Block& block : blocks_) {
    SHOAL_CHECK(block.holder_count <= kHoldersMax && (!block.is_here || block.holder_count == 0));
    SHOAL_CHECK(block.holder_count < 2 || block.holders[0] != block.holders[1]);
    open += block.is_open() ? 1 : 0;
    here += block.is_here ? 1 : 0;
  }
  SHOAL_CHECK(open == open_ && here == here_);
  SHOAL_CHECK(here_ == 0 || !givers_.empty());
}

}  // namespace shoal::swarm
