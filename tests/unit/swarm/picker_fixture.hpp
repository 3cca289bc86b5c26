// A picker driven by hand. Sources are 0, 1, ...; runs are drawn as "piece:first-last" in blocks, so that a test reads
// as what is asked of whom.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "swarm/picker.hpp"

namespace shoal::swarm::test {

inline constexpr std::uint32_t kBlock = wire::kBlockBytes;

inline base::Bitfield set_of(std::uint32_t size, std::initializer_list<std::uint32_t> pieces) {
  base::Bitfield set(size);
  for (const std::uint32_t piece : pieces) set.set(base::PieceIndex(piece));
  return set;
}

class PickerTest : public testing::Test {
 protected:
  using Run = swarm::Run;  // testing::Test has a Run of its own

  // Pieces of so many blocks, all of them full.
  void make(std::uint32_t piece_count, std::uint32_t blocks_per_piece, PickerOptions options = {}) {
    options.piece_count = piece_count;
    options.piece_bytes = blocks_per_piece * kBlock;
    options.total_bytes = std::uint64_t{piece_count} * options.piece_bytes;
    make(std::move(options));
  }
  void make(PickerOptions options, std::uint64_t seed = 1) {
    piece_count_ = options.piece_count;
    piece_blocks_ = (options.piece_bytes + kBlock - 1) / kBlock;
    picker_.emplace(std::move(options), base::Rng(seed));
  }
  void add(std::uint32_t source, std::initializer_list<std::uint32_t> has, SourceKind kind = SourceKind::blocks) {
    picker_->add_source(SourceId(source), kind);
    for (const std::uint32_t piece : has) picker_->on_has(SourceId(source), base::PieceIndex(piece));
  }
  void add_seed(std::uint32_t source, SourceKind kind = SourceKind::blocks) {
    picker_->add_source(SourceId(source), kind);
    picker_->on_has_set(SourceId(source), base::Bitfield(piece_count_, true));
  }
  // Where suspicion stays when it goes.
  void add_seed_from(std::uint32_t source, std::uint64_t origin) {
    picker_->add_source(SourceId(source), SourceKind::blocks, OriginId(origin));
    picker_->on_has_set(SourceId(source), base::Bitfield(piece_count_, true));
  }
  void set_rate(std::uint32_t source, double bytes_per_s) { picker_->on_rate(SourceId(source), bytes_per_s); }

  static std::string draw(const std::optional<Run>& run) {
    if (!run) return "-";
    const std::uint32_t first = run->offset_bytes / kBlock;
    const std::uint32_t last = (run->offset_bytes + run->size_bytes - 1) / kBlock;
    return std::to_string(run->piece.value) + ":" + std::to_string(first) + "-" + std::to_string(last);
  }
  std::string pick(std::uint32_t source) { return draw(picker_->pick(SourceId(source), now_)); }
  std::string pick_among(std::uint32_t source, std::initializer_list<std::uint32_t> pieces) {
    const std::vector<base::PieceIndex> among(pieces.begin(), pieces.end());
    return draw(picker_->pick_among(SourceId(source), among, now_));
  }
  std::string pick_preferring(std::uint32_t source, std::uint32_t piece) {
    return draw(picker_->pick_preferring(SourceId(source), base::PieceIndex(piece), now_));
  }
  // The next n picks, drawn in order.
  std::string pick(std::uint32_t source, int count) {
    std::string drawn;
    for (int i = 0; i < count; ++i) drawn += (i > 0 ? " " : "") + pick(source);
    return drawn;
  }

  static Run blocks(std::uint32_t piece, std::uint32_t first, std::uint32_t last) {
    return {base::PieceIndex(piece), first * kBlock, (last - first + 1) * kBlock};
  }
  // Gives what has to be stored.
  std::string arrive(std::uint32_t source, const Run& part) {
    return draw(picker_->on_arrived(SourceId(source), part));
  }
  // Asks it for all of the piece that it may have, and lets that arrive.
  void give_piece(std::uint32_t source, std::uint32_t piece) {
    while (const auto run = picker_->pick_among(SourceId(source), {base::PieceIndex(piece)}, now_)) {
      ASSERT_TRUE(picker_->on_arrived(SourceId(source), *run).has_value());
    }
    ASSERT_TRUE(picker_->is_whole(base::PieceIndex(piece)));
  }
  void release(std::uint32_t source, const Run& run) { picker_->on_released(SourceId(source), run, now_); }
  void deny(std::uint32_t source, std::uint32_t piece) {
    picker_->on_denied(SourceId(source), base::PieceIndex(piece));
  }
  void verify(std::uint32_t piece) { picker_->on_verified(base::PieceIndex(piece)); }
  // Gives who is convicted: "", "2".
  std::string mismatch(std::uint32_t piece) {
    std::string convicted;
    for (const SourceId source : picker_->on_mismatched(base::PieceIndex(piece))) {
      convicted += std::to_string(source.value);
    }
    return convicted;
  }
  std::string cancelled() {
    std::string drawn;
    for (const auto& [source, run] : picker_->take_cancelled()) {
      drawn += std::to_string(source.value) + "<" + draw(run) + " ";
    }
    return drawn;
  }
  std::string thrown_away() {
    std::string drawn;
    for (const base::PieceIndex piece : picker_->take_thrown_away()) drawn += std::to_string(piece.value);
    return drawn;
  }
  void pass_deadline() {
    ASSERT_TRUE(picker_->next_deadline().has_value());
    now_ = *picker_->next_deadline();
    picker_->on_deadline(now_);
  }
  void wait(base::Duration duration) { now_ += duration; }

  base::Instant now_{};
  std::uint32_t piece_count_ = 0;
  std::uint32_t piece_blocks_ = 0;
  std::optional<Picker> picker_;
};

}  // namespace shoal::swarm::test
