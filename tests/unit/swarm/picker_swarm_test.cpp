// Whole swarms of sources that come, go, choke, deny, fall silent and lie, drawn at random.
#include "tests/unit/swarm/picker_swarm.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "support/rounds.hpp"

namespace shoal::swarm::test {

using base::PieceIndex;
using wire::kBlockBytes;

namespace {

base::Bitfield draw_wanted(const SwarmOptions& options, base::Rng& rng) {
  base::Bitfield wanted(options.piece_count, true);
  for (PieceIndex piece; options.has_unwanted && piece.value < options.piece_count; ++piece.value) {
    if (rng.chance(0.3)) wanted.reset(piece);
  }
  return wanted;
}

PickerOptions picker_options(const SwarmOptions& options, const base::Bitfield& wanted) {
  const std::uint32_t piece_bytes = options.piece_blocks * kBlockBytes;
  return {.piece_count = options.piece_count,
          .piece_bytes = piece_bytes,
          .total_bytes = std::uint64_t{options.piece_count - 1} * piece_bytes + options.last_piece_bytes,
          .held = {},
          .wanted = wanted,
          .is_sequential = options.is_sequential,
          .begun_pieces_max = 6};
}

}  // namespace

PickerSwarm::PickerSwarm(const SwarmOptions& options)
    : options_(options),
      rng_(options.seed),
      wanted_(draw_wanted(options, rng_)),
      picker_(picker_options(options, wanted_), rng_.fork()),
      pieces_(options.piece_count) {
  for (PieceIndex piece; piece.value < options.piece_count; ++piece.value) {
    pieces_[piece.value].blocks.resize((piece_size(piece) + kBlockBytes - 1) / kBlockBytes);
  }
  for (std::uint32_t i = 0; i < options.honest; ++i) join(false, rng_.chance(0.3));
  for (std::uint32_t i = 0; i < options.liars; ++i) join(true, options.liars_have_all || rng_.chance(0.7));
}

void PickerSwarm::complain(const std::string& what) {
  if (complaint_.empty()) complaint_ = "seed " + std::to_string(options_.seed) + ": " + what;
}

std::uint32_t PickerSwarm::piece_size(PieceIndex piece) const {
  return piece.value + 1 == options_.piece_count ? options_.last_piece_bytes : options_.piece_blocks * kBlockBytes;
}

std::pair<std::uint32_t, std::uint32_t> PickerSwarm::span(const Run& run) const {
  return {run.offset_bytes / kBlockBytes, (run.offset_bytes + run.size_bytes + kBlockBytes - 1) / kBlockBytes};
}

SourceId PickerSwarm::any_member() {
  return std::next(members_.begin(), static_cast<std::ptrdiff_t>(rng_.below(members_.size())))->first;
}

PieceIndex PickerSwarm::any_piece() {
  return PieceIndex(static_cast<std::uint32_t>(rng_.below(options_.piece_count)));
}

base::Bitfield PickerSwarm::any_set() {
  base::Bitfield set(options_.piece_count);
  const double density = rng_.unit();
  for (PieceIndex piece; piece.value < options_.piece_count; ++piece.value) {
    if (rng_.chance(density)) set.set(piece);
  }
  return set;
}

// --- What sources do ---

void PickerSwarm::join(bool is_liar, bool has_all, OriginId origin) {
  const SourceId id(next_id_++);
  Member member{.is_liar = is_liar, .origin = origin};
  if (options_.has_course_peers && rng_.chance(0.3)) member.kind = SourceKind::whole_pieces;
  member.has = has_all ? base::Bitfield(options_.piece_count, true) : any_set();
  member.denied = base::Bitfield(options_.piece_count);
  picker_.add_source(id, member.kind, origin);
  picker_.on_has_set(id, member.has);
  if (rng_.chance(0.7)) picker_.on_rate(id, 1e3 + rng_.unit() * 1e6);
  members_.emplace(id, std::move(member));
}

void PickerSwarm::leave(SourceId id) {
  picker_.remove_source(id);
  members_.erase(id);
  for (Piece& piece : pieces_) {
    for (Block& block : piece.blocks) block.holders.erase(id);
  }
  forget_thrown_away();
}

// What a suspect gave and did not finish. Nobody is asked for any of it any more.
void PickerSwarm::forget_thrown_away() {
  thrown_away_.clear();
  for (const PieceIndex index : picker_.take_thrown_away()) {
    thrown_away_.insert(index);
    Piece& piece = pieces_[index.value];
    if (piece.is_verifying || piece.is_verified) complain("threw away what is whole");
    piece.givers.clear();
    for (Block& block : piece.blocks) block.is_here = block.is_wrong = false;
  }
  obey_cancels();
}

// Gives whether there was something to ask.
bool PickerSwarm::ask(SourceId id) {
  Member& member = members_.at(id);
  if (member.queue.size() >= 4) return false;
  std::vector<PieceIndex> among;
  const bool is_choked = rng_.chance(0.05);
  for (int i = 0; is_choked && i < 5; ++i) among.push_back(any_piece());
  const auto pick = [&] {
    if (is_choked) return picker_.pick_among(id, among, now_);
    return rng_.chance(0.1) ? picker_.pick_preferring(id, any_piece(), now_) : picker_.pick(id, now_);
  };
  const auto run = pick();
  if (!run) return false;
  forget_thrown_away();
  Piece& piece = pieces_[run->piece.value];
  const auto [first, end] = span(*run);
  if (is_choked && std::find(among.begin(), among.end(), run->piece) == among.end()) complain("asked while choked");
  if (!member.has.test(run->piece)) complain("asked of a source that has not got it");
  if (member.denied.test(run->piece)) complain("asked where it was denied");
  if (!wanted_.test(run->piece)) complain("asked for what nobody wants");
  if (piece.is_verified) complain("asked for what is verified");
  if (run->size_bytes > kRunBytesMax && member.kind == SourceKind::blocks) complain("asked for too much at once");
  if (member.kind == SourceKind::whole_pieces && run->size_bytes != piece_size(run->piece)) complain("not whole");
  std::uint32_t asked = 0;
  for (std::uint32_t block = first; block < end; ++block) {
    Block& state = piece.blocks.at(block);
    if (state.is_here && member.kind == SourceKind::blocks) complain("asked for a block that is here");
    if (state.is_here) continue;
    if (!state.holders.insert(id).second) complain("asked the same source for a block twice");
    if (state.holders.size() > kHoldersMax) complain("asked too many for a block");
    ++asked;
  }
  if (asked == 0) complain("asked for nothing new");
  member.queue.push_back(*run);
  return true;
}

// The front of its queue arrives, or a part of that.
bool PickerSwarm::deliver(SourceId id) {
  Member& member = members_.at(id);
  if (member.queue.empty() || member.is_silent) return false;
  Run& front = member.queue.front();
  Run part = front;
  const std::uint32_t most =
      rng_.chance(0.5) ? kRunBytesMax : kBlockBytes * static_cast<std::uint32_t>(1 + rng_.below(15));
  part.size_bytes = std::min(part.size_bytes, most);
  front.offset_bytes += part.size_bytes;
  front.size_bytes -= part.size_bytes;
  if (front.size_bytes == 0) member.queue.pop_front();
  const auto stored = picker_.on_arrived(id, part);
  if (stored) check_stored(id, part, *stored);
  release_in_reference(id, part);
  forget_thrown_away();
  note_whole(part.piece);
  return true;
}

void PickerSwarm::check_stored(SourceId id, const Run& part, const Run& stored) {
  Piece& piece = pieces_[part.piece.value];
  const Member& member = members_.at(id);
  const bool is_inside = stored.piece == part.piece && stored.offset_bytes >= part.offset_bytes &&
                         stored.offset_bytes + stored.size_bytes <= part.offset_bytes + part.size_bytes;
  if (!is_inside || stored.size_bytes == 0) complain("stored something else than what came");
  if (piece.is_verified) complain("stored a part of a verified piece");
  piece.givers.insert(id);
  const bool is_chance = options_.how == Lies::sometimes || piece.givers.size() > 1;
  const bool is_lie = member.is_liar && is_chance && rng_.chance(options_.lie_chance);
  const auto [first, end] = span(stored);
  for (std::uint32_t block = first; block < end; ++block) {
    Block& state = piece.blocks.at(block);
    if (state.is_here) complain("stored a block twice");
    if (!state.holders.contains(id)) complain("stored a block that was not asked for");
    state.is_here = true;
    state.is_wrong = is_lie;
    state.holders.clear();
  }
}

// Cancelled is what others brought. A source may have sent it already: it stays in some queues.
void PickerSwarm::obey_cancels() {
  for (const auto& [id, run] : picker_.take_cancelled()) {
    const auto member = members_.find(id);
    if (member == members_.end()) {
      complain("cancelled at a source that went");
      continue;
    }
    const auto [first, end] = span(run);
    for (std::uint32_t block = first; block < end; ++block) {
      Block& state = pieces_[run.piece.value].blocks.at(block);
      if (thrown_away_.contains(run.piece)) {
        state.holders.erase(id);
        continue;
      }
      if (state.holders.contains(id)) complain("cancelled what is not here");
      if (!state.is_here && member->second.kind == SourceKind::blocks) complain("cancelled what is not here");
    }
    if (rng_.chance(0.5)) std::erase(member->second.queue, run);
  }
}

void PickerSwarm::release_in_reference(SourceId id, const Run& run) {
  const auto [first, end] = span(run);
  for (std::uint32_t block = first; block < end; ++block) pieces_[run.piece.value].blocks.at(block).holders.erase(id);
}

void PickerSwarm::choke(SourceId id) {
  Member& member = members_.at(id);
  for (const Run& run : std::exchange(member.queue, {})) {
    picker_.on_released(id, run, now_);
    release_in_reference(id, run);
  }
}

void PickerSwarm::deny(SourceId id) {
  Member& member = members_.at(id);
  const PieceIndex piece = any_piece();
  picker_.on_denied(id, piece);
  member.denied.set(piece);
  release_in_reference(id, {piece, 0, piece_size(piece)});
  std::erase_if(member.queue, [piece](const Run& run) { return run.piece == piece; });
  forget_thrown_away();
}

void PickerSwarm::gain(SourceId id) {
  Member& member = members_.at(id);
  if (rng_.chance(0.05)) {
    member.has = rng_.chance(0.3) ? base::Bitfield(options_.piece_count, true) : any_set();
    picker_.on_has_set(id, member.has);
    return;
  }
  const PieceIndex piece = any_piece();
  member.has.set(piece);
  picker_.on_has(id, piece);
}

// --- What becomes of pieces ---

void PickerSwarm::note_whole(PieceIndex index) {
  Piece& piece = pieces_[index.value];
  const bool is_whole = !piece.is_verified && std::ranges::all_of(piece.blocks, &Block::is_here);
  if (picker_.is_whole(index) != is_whole) complain("does not know what is whole");
  if (!is_whole || std::exchange(piece.is_verifying, true)) return;
  verifying_.push_back(index);
}

bool PickerSwarm::verify_one() {
  if (verifying_.empty()) return false;
  const PieceIndex index = verifying_.front();
  verifying_.pop_front();
  Piece& piece = pieces_[index.value];
  piece.is_verifying = false;
  const bool is_right = std::ranges::none_of(piece.blocks, &Block::is_wrong);
  const std::set<SourceId> givers = std::exchange(piece.givers, {});
  if (is_right) {
    piece.is_verified = true;
    picker_.on_verified(index);
    return true;
  }
  ++wrong_pieces_;
  for (Block& block : piece.blocks) block.is_here = block.is_wrong = false;
  for (const SourceId id : picker_.on_mismatched(index)) {
    const auto member = members_.find(id);
    if (givers != std::set{id}) complain("convicted somebody who was not alone");
    if (member == members_.end()) continue;
    if (!member->second.is_liar) complain("convicted an honest source");
    ++convicted_;
    leave(id);
  }
  forget_thrown_away();
  return true;
}

void PickerSwarm::lose() {
  const PieceIndex index = any_piece();
  Piece& piece = pieces_[index.value];
  if (piece.is_verifying) return;
  picker_.on_lost(index);
  piece.is_verified = false;
  piece.givers.clear();
  for (Block& block : piece.blocks) block.is_here = false;
}

// --- The play ---

void PickerSwarm::check_answers() {
  std::uint64_t left = 0;
  for (PieceIndex index; index.value < options_.piece_count; ++index.value) {
    const Piece& piece = pieces_[index.value];
    if (wanted_.test(index) && !piece.is_verified) left += piece_size(index);
    if (picker_.verified().test(index) != piece.is_verified) complain("does not know what is verified");
  }
  if (picker_.left_bytes() != left) complain("does not know what is left");
  if (picker_.is_done() != (left == 0)) complain("does not know whether it is done");
  for (const auto& [id, member] : members_) {
    bool is_interesting = false;
    for (PieceIndex piece; piece.value < options_.piece_count; ++piece.value) {
      is_interesting |= member.has.test(piece) && !member.denied.test(piece) && wanted_.test(piece) &&
                        !pieces_[piece.value].is_verified;
    }
    if (picker_.is_interesting(id) != is_interesting) complain("does not know who is interesting");
  }
}

void PickerSwarm::step() {
  now_ += std::chrono::milliseconds(rng_.below(50));
  if (members_.size() < options_.honest) join(false, rng_.chance(0.1));
  const SourceId id = any_member();
  const std::uint64_t drawn = rng_.below(1000);
  if (drawn < 450) {
    ask(id);
  } else if (drawn < 850) {
    deliver(id);
  } else if (drawn < 920) {
    verify_one();
  } else if (drawn < 940) {
    choke(id);
  } else if (drawn < 950) {
    const bool is_liar = members_.at(id).is_liar;
    const OriginId origin = rng_.chance(0.5) ? members_.at(id).origin : OriginId(1 + rng_.below(kOrigins));
    leave(id);
    if (rng_.chance(0.8)) join(is_liar, rng_.chance(0.3), origin);
  } else if (drawn < 955) {
    deny(id);
  } else if (drawn < 975) {
    gain(id);
  } else if (drawn < 980) {
    members_.at(id).is_silent = rng_.chance(0.3);
  } else if (drawn < 985) {
    lose();
  } else if (drawn < 995) {
    picker_.on_rate(id, rng_.chance(0.2) ? 0 : rng_.unit() * 1e6);
  } else {
    picker_.on_deadline(now_);
  }
}

void PickerSwarm::play_chaos(int steps) {
  for (int i = 0; i < steps && complaint_.empty(); ++i) {
    step();
    if (i % 16 == 0) check_answers();
  }
}

void PickerSwarm::finish() {
  join(false, true);
  constexpr int rounds_max = 20'000;
  int idle_rounds = 0;
  for (int round = 0; round < rounds_max && !picker_.is_done() && complaint_.empty(); ++round) {
    bool is_moving = false;
    std::vector<SourceId> ids;
    for (const auto& [id, member] : members_) ids.push_back(id);
    for (const SourceId id : ids) {
      while (ask(id)) is_moving = true;
      if (rng_.chance(0.7) && deliver(id)) is_moving = true;
    }
    while (verify_one()) is_moving = true;
    now_ += std::chrono::milliseconds(20);
    idle_rounds = is_moving ? 0 : idle_rounds + 1;
    if (idle_rounds == 0) continue;
    if (const auto deadline = picker_.next_deadline()) {
      now_ = std::max(now_, *deadline);
      picker_.on_deadline(now_);
    }
    // Their sessions give up.
    if (idle_rounds < 10) continue;
    for (const SourceId id : ids) {
      if (members_.contains(id) && members_.at(id).is_silent) leave(id);
    }
  }
  check_answers();
  if (!picker_.is_done()) complain("did not finish");
}

namespace {

class RandomSwarms : public testing::TestWithParam<SwarmOptions> {};

TEST_P(RandomSwarms, EverythingIsVerifiedInTheEndAndNoRuleIsBroken) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SwarmOptions options = GetParam();
    options.seed = seed;
    PickerSwarm swarm(options);
    swarm.play_chaos(1500);
    swarm.finish();
    ASSERT_EQ(swarm.complaint(), "");
    ASSERT_TRUE(swarm.is_done());
  }
}

INSTANTIATE_TEST_SUITE_P(
    , RandomSwarms,
    testing::Values(SwarmOptions{}, SwarmOptions{.liars = 3}, SwarmOptions{.liars = 3, .how = Lies::in_company},
                    SwarmOptions{.liars = 2, .lie_chance = 1}, SwarmOptions{.has_course_peers = true},
                    SwarmOptions{.liars = 2, .has_course_peers = true, .has_unwanted = true},
                    SwarmOptions{.liars = 1, .is_sequential = true, .has_unwanted = true},
                    SwarmOptions{.piece_count = 100, .piece_blocks = 1, .liars = 2, .has_course_peers = true},
                    SwarmOptions{.piece_count = 2, .piece_blocks = 70, .liars = 1, .has_course_peers = true},
                    SwarmOptions{.piece_count = 1, .piece_blocks = 3, .last_piece_bytes = 1, .honest = 2}));

TEST(PickerSwarms, WhoLiesNowAndThenIsConvictedAndNobodyElse) {
  constexpr std::uint32_t swarms = rounds_of(20);
  constexpr std::uint32_t liars = 3;
  std::uint32_t convicted = 0;
  for (std::uint64_t seed = 0; seed < swarms; ++seed) {
    PickerSwarm swarm({.seed = seed,
                       .piece_count = 300,
                       .piece_blocks = 40,
                       .liars = liars,
                       .lie_chance = 0.2,
                       .liars_have_all = true});
    swarm.finish();
    ASSERT_EQ(swarm.complaint(), "");
    convicted += swarm.convicted_liars();
  }
  // A slow one may not have given enough of anything before the end.
  EXPECT_GE(convicted, swarms * liars * 95 / 100);
}

// Such a one can never be convicted: nothing it gives alone is wrong.
TEST(PickerSwarms, WhoLiesOnlyInCompanySpoilsFewPieces) {
  for (std::uint64_t seed = 0; seed < rounds_of(10); ++seed) {
    PickerSwarm swarm({.seed = seed,
                       .piece_count = 1000,
                       .piece_blocks = 40,
                       .liars = 2,
                       .how = Lies::in_company,
                       .lie_chance = 1,
                       .liars_have_all = true});
    swarm.finish();
    ASSERT_EQ(swarm.complaint(), "");
    EXPECT_EQ(swarm.convicted_liars(), 0U);
    EXPECT_LE(swarm.wrong_pieces(), 50U) << "seed " << seed;
  }
}

}  // namespace
}  // namespace shoal::swarm::test
