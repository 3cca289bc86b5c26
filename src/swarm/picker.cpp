#include "swarm/picker.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "swarm/picker_impl.hpp"

namespace shoal::swarm {

Picker::Impl::Impl(PickerOptions options, base::Rng rng)
    : piece_count_(options.piece_count),
      piece_bytes_(options.piece_bytes),
      total_bytes_(options.total_bytes),
      is_sequential_(options.is_sequential),
      begun_pieces_max_(options.begun_pieces_max),
      wanted_(options.wanted.size() == 0 ? base::Bitfield(piece_count_, true) : std::move(options.wanted)),
      verified_(options.held.size() == 0 ? base::Bitfield(piece_count_) : std::move(options.held)),
      fresh_(piece_count_, std::move(rng)) {
  SHOAL_CHECK(wanted_.size() == piece_count_ && verified_.size() == piece_count_);
  SHOAL_CHECK(piece_count_ == 0 || (piece_bytes_ > 0 && total_bytes_ > std::uint64_t{piece_count_ - 1} * piece_bytes_ &&
                                    total_bytes_ <= std::uint64_t{piece_count_} * piece_bytes_));
  for (base::PieceIndex piece; piece.value < piece_count_; ++piece.value) {
    if (!is_missing(piece)) continue;
    fresh_.add(piece);
    left_bytes_ += size_of(piece);
    ++left_pieces_;
  }
}

std::uint32_t Picker::Impl::size_of(base::PieceIndex piece) const {
  const std::uint64_t offset = std::uint64_t{piece.value} * piece_bytes_;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_bytes_, total_bytes_ - offset));
}

PickerSource* Picker::Impl::find(SourceId id) {
  const auto found = sources_.find(id);
  return found == sources_.end() ? nullptr : &found->second;
}

BegunPiece* Picker::Impl::find_begun(base::PieceIndex piece) {
  const auto found = begun_.find(piece);
  return found == begun_.end() ? nullptr : &found->second;
}

// --- Sources and what they have ---

void Picker::Impl::add_source(SourceId id, SourceKind kind, OriginId origin) {
  constexpr std::uint64_t itself = std::uint64_t{1} << 63;
  const auto [place, is_new] = sources_.try_emplace(id);
  SHOAL_CHECK(is_new && origin.value < itself);
  place->second.kind = kind;
  place->second.origin = origin.value != 0 ? origin : OriginId(itself | id.value);
  place->second.has = base::Bitfield(piece_count_);
}

void Picker::Impl::remove_source(SourceId id) {
  PickerSource* source = find(id);
  if (!source) return;
  release_all(id, *source);
  drop_pieces_of(*source);
  leave_pieces_of(id);
  std::erase_if(cancelled_, [id](const Cancelled& cancelled) { return cancelled.source == id; });
  std::erase(heard_, id);
  sources_.erase(id);
  guessed_rate_.reset();
}

void Picker::Impl::gain(PickerSource& source, base::PieceIndex piece) {
  source.has.set(piece);
  fresh_.raise(piece);
  if (is_missing(piece)) ++source.interesting;
  source.floor = std::min(source.floor, fresh_.level(piece));
}

void Picker::Impl::forgo(PickerSource& source, base::PieceIndex piece) {
  source.has.reset(piece);
  fresh_.lower(piece);
  if (is_missing(piece)) --source.interesting;
  lower_floors(fresh_.level(piece));
}

void Picker::Impl::drop_pieces_of(PickerSource& source) {
  if (source.is_counted_apart) {
    --sources_with_all_;
  } else if (!source.has.is_none()) {
    for (base::PieceIndex piece; piece.value < piece_count_; ++piece.value) {
      if (source.has.test(piece)) fresh_.lower(piece);
    }
    for (auto& [id, other] : sources_) other.floor -= other.floor > 0 ? 1 : 0;
  }
  source.has = base::Bitfield(piece_count_);
  source.is_counted_apart = false;
  source.interesting = 0;
}

void Picker::Impl::lower_floors(std::uint32_t level) {
  for (auto& [id, source] : sources_) source.floor = std::min(source.floor, level);
}

void Picker::Impl::on_has(SourceId id, base::PieceIndex piece) {
  PickerSource* source = find(id);
  if (!source || source->has.test(piece)) return;
  if (source->denied.size() != 0 && source->denied.test(piece)) return;
  gain(*source, piece);
}

void Picker::Impl::on_has_set(SourceId id, const base::Bitfield& pieces) {
  PickerSource* source = find(id);
  if (!source) return;
  drop_pieces_of(*source);
  source->floor = 0;
  // Most sources with a set have everything; they would move every piece from one bucket to the next.
  if (pieces.is_all() && source->denied.size() == 0) {
    source->has = pieces;
    source->is_counted_apart = true;
    source->interesting = left_pieces_;
    ++sources_with_all_;
    return;
  }
  for (base::PieceIndex piece; piece.value < piece_count_; ++piece.value) {
    if (pieces.test(piece) && (source->denied.size() == 0 || !source->denied.test(piece))) gain(*source, piece);
  }
}

void Picker::Impl::on_denied(SourceId id, base::PieceIndex piece) {
  PickerSource* source = find(id);
  if (!source) return;
  if (source->denied.size() == 0) source->denied = base::Bitfield(piece_count_);
  source->denied.set(piece);
  if (source->is_counted_apart) {
    --sources_with_all_;
    source->is_counted_apart = false;
    for (base::PieceIndex each; each.value < piece_count_; ++each.value) fresh_.raise(each);
  }
  if (source->has.test(piece)) forgo(*source, piece);
  release(id, *source, {piece, 0, size_of(piece)});
  source->let_downs = 0;
  source->paused_until = {};
  BegunPiece* begun = find_begun(piece);
  if (begun && begun->owner() == id && !begun->is_whole()) throw_away(*begun);
}

void Picker::Impl::on_rate(SourceId id, double rate_bytes_per_s) {
  PickerSource* source = find(id);
  if (!source || source->rate_bytes_per_s == rate_bytes_per_s) return;
  source->rate_bytes_per_s = rate_bytes_per_s;
  guessed_rate_.reset();
}

// --- What was asked ---

void Picker::Impl::take_off(PickerSource& source, base::PieceIndex piece, std::uint32_t blocks) {
  if (blocks == 0) return;
  const auto asked = std::find_if(source.asked.begin(), source.asked.end(),
                                  [piece](const PickerSource::Asked& each) { return each.piece == piece; });
  SHOAL_CHECK(asked != source.asked.end() && asked->blocks >= blocks);
  asked->blocks -= blocks;
  source.asked_blocks -= blocks;
  if (asked->blocks == 0) source.asked.erase(asked);
}

void Picker::Impl::release_all(SourceId id, PickerSource& source) {
  for (const PickerSource::Asked& asked : std::exchange(source.asked, {})) {
    BegunPiece& begun = *find_begun(asked.piece);
    begun.release(begun.all(), id);
    settle(begun);
  }
  source.asked_blocks = 0;
}

std::uint32_t Picker::Impl::release(SourceId id, PickerSource& source, const Run& run) {
  BegunPiece* begun = find_begun(run.piece);
  if (!begun) return 0;
  const std::uint32_t released = begun->release(begun->span_of(run), id);
  if (released == 0) return 0;
  take_off(source, run.piece, released);
  settle(*begun);
  return released;
}

void Picker::Impl::on_released(SourceId id, const Run& run, base::Instant now) {
  PickerSource* source = find(id);
  if (!source || release(id, *source, run) == 0) return;
  if (std::exchange(source->has_brought, false) || now < source->paused_until) return;
  constexpr std::uint32_t kDoublingsMax = 16;
  source->paused_until = now + std::min<base::Duration>(kLetDownPauseMax, kLetDownPause * (1 << source->let_downs));
  source->let_downs = std::min(source->let_downs + 1, kDoublingsMax);
}

std::optional<Run> Picker::Impl::on_arrived(SourceId id, const Run& part) {
  PickerSource* source = find(id);
  BegunPiece* begun = find_begun(part.piece);
  if (!source || !begun) return std::nullopt;
  if (!std::exchange(source->is_heard, true)) heard_.push_back(id);
  source->has_brought = true;
  source->let_downs = 0;
  const BlockSpan span = begun->span_of(part);
  const BlockSpan useful = begun->longest_held(span, id);
  for (std::uint32_t block = useful.first; block < useful.end(); ++block) {
    const auto other = begun->arrive(block, {id, source->origin});
    if (other) cancel(*other, *begun, block);
  }
  // What else it holds there is cut off by what another brought: it came in vain.
  take_off(*source, part.piece, useful.count + begun->release(span, id));
  settle(*begun);
  if (useful.count == 0) return std::nullopt;
  return begun->run_of(useful);
}

// `holder` is not asked for this block any more: another brought it.
void Picker::Impl::cancel(SourceId holder, const BegunPiece& begun, std::uint32_t block) {
  PickerSource& source = *find(holder);
  take_off(source, begun.piece(), 1);
  if (source.kind == SourceKind::whole_pieces) {
    const bool is_more_asked = std::any_of(source.asked.begin(), source.asked.end(),
                                           [&begun](const auto& asked) { return asked.piece == begun.piece(); });
    if (!is_more_asked) cancelled_.push_back({holder, begun.run_of(begun.all())});
    return;
  }
  const Run run = begun.run_of({block, 1});
  if (!cancelled_.empty()) {
    auto& [last_source, last] = cancelled_.back();
    const bool is_next = last.piece == run.piece && last.offset_bytes + last.size_bytes == run.offset_bytes;
    if (last_source == holder && is_next) {
      last.size_bytes += run.size_bytes;
      return;
    }
  }
  cancelled_.push_back({holder, run});
}

void Picker::Impl::cancel_all(BegunPiece& begun) {
  for (std::uint32_t block = 0; block < begun.block_count(); ++block) {
    while (!begun.holders(block).empty()) {
      const SourceId holder = begun.holders(block).front();
      begun.release({block, 1}, holder);
      cancel(holder, begun, block);
    }
  }
}

void Picker::Impl::throw_away(BegunPiece& begun) {
  cancel_all(begun);
  thrown_away_.push_back(begun.piece());
  if (const auto history = histories_.find(begun.piece()); history != histories_.end()) {
    history->second.standstill.reset();
  }
  make_fresh(begun.piece());
}

// Pieces that it was to give alone, because it is or was a suspect, and has not finished. Where nobody else has the
// piece they stay: somebody who can never stay for long enough to give a whole one gets there nevertheless.
void Picker::Impl::leave_pieces_of(SourceId id) {
  std::vector<base::PieceIndex> useless;
  for (auto& [piece, begun] : begun_) {
    if (begun.owner() != id) continue;
    set_owner(begun, std::nullopt);
    if (!begun.is_whole() && sources_of(piece) > 0) useless.push_back(piece);
  }
  for (const base::PieceIndex piece : useless) throw_away(*find_begun(piece));
}

// --- Pieces ---

void Picker::Impl::settle(BegunPiece& begun) {
  if (begun.is_untouched()) return make_fresh(begun.piece());
  const bool is_open = begun.open_count() > 0;
  if (is_open == begun.is_listed()) return;
  if (!is_open) return unlist(begun);
  begun.set_listed(true);
  open_.push_back(&begun);
}

void Picker::Impl::unlist(BegunPiece& begun) {
  if (!begun.is_listed()) return;
  begun.set_listed(false);
  *std::find(open_.begin(), open_.end(), &begun) = open_.back();
  open_.pop_back();
}

void Picker::Impl::set_owner(BegunPiece& begun, std::optional<SourceId> owner) {
  owned_pieces_ += owner ? 1 : 0;
  owned_pieces_ -= begun.owner() ? 1 : 0;
  begun.set_owner(owner);
}

void Picker::Impl::forget_begun(BegunPiece& begun) {
  set_owner(begun, std::nullopt);
  unlist(begun);
  begun_.erase(begun.piece());
}

// A piece that is begun or verified is as if it never was.
void Picker::Impl::make_fresh(base::PieceIndex piece) {
  if (BegunPiece* begun = find_begun(piece)) forget_begun(*begun);
  fresh_.add(piece);
  lower_floors(fresh_.level(piece));
}

bool Picker::Impl::is_whole(base::PieceIndex piece) const {
  const auto found = begun_.find(piece);
  return found != begun_.end() && found->second.is_whole();
}

void Picker::Impl::on_verified(base::PieceIndex piece) {
  if (verified_.test(piece)) return;
  if (is_missing(piece)) {
    left_bytes_ -= size_of(piece);
    --left_pieces_;
    for (auto& [id, source] : sources_) source.interesting -= source.has.test(piece) ? 1 : 0;
  }
  verified_.set(piece);
  histories_.erase(piece);
  if (fresh_.contains(piece)) fresh_.remove(piece);
  if (BegunPiece* begun = find_begun(piece)) {
    if (begun->givers().size() == 1) suspects_.on_right_alone(begun->givers()[0].origin);
    cancel_all(*begun);
    forget_begun(*begun);
  }
}

std::vector<SourceId> Picker::Impl::on_mismatched(base::PieceIndex piece) {
  const BegunPiece* begun = find_begun(piece);
  if (!begun || !begun->is_whole()) return {};
  const std::vector<Giver> givers = begun->givers();
  const bool is_spoiled = begun->is_spoiled();
  make_fresh(piece);
  PieceHistory& history = histories_[piece];
  ++history.failures;
  history.standstill.reset();
  if (is_spoiled) return {};
  if (givers.size() == 1) {
    convict(givers[0].source);
    return {givers[0].source};
  }
  std::vector<OriginId> origins;
  for (const Giver& giver : givers) origins.push_back(giver.origin);
  suspects_.on_wrong(origins);
  return {};
}

void Picker::Impl::convict(SourceId id) {
  if (PickerSource* source = find(id)) {
    source->is_convicted = true;
    release_all(id, *source);
    leave_pieces_of(id);
  }
  for (auto& [piece, begun] : begun_) {
    if (begun.has_given(id)) begun.set_spoiled();
  }
}

void Picker::Impl::on_lost(base::PieceIndex piece) {
  if (BegunPiece* begun = find_begun(piece)) {
    begun->lose();
    return settle(*begun);
  }
  if (!verified_.test(piece)) return;
  verified_.reset(piece);
  if (!wanted_.test(piece)) return;
  left_bytes_ += size_of(piece);
  ++left_pieces_;
  for (auto& [id, source] : sources_) source.interesting += source.has.test(piece) ? 1 : 0;
  make_fresh(piece);
}

// --- The whole ---

bool Picker::Impl::is_interesting(SourceId id) const {
  const auto found = sources_.find(id);
  return found != sources_.end() && !found->second.is_convicted && found->second.interesting > 0;
}

bool Picker::Impl::has_let_us_down(SourceId id) const {
  const auto found = sources_.find(id);
  return found != sources_.end() && found->second.let_downs >= kLetDownsMany;
}

bool Picker::Impl::is_end_game() const {
  const std::uint32_t without = sources_with_all_ > 0 ? 0 : fresh_.size_at(0);
  if (is_done() || fresh_.size() > without) return false;
  return std::none_of(open_.begin(), open_.end(),
                      [this](const BegunPiece* begun) { return sources_of(begun->piece()) > 0; });
}

std::vector<base::PieceIndex> Picker::Impl::without_source() const {
  std::vector<base::PieceIndex> pieces;
  for (base::PieceIndex piece; piece.value < piece_count_; ++piece.value) {
    if (is_missing(piece) && sources_of(piece) == 0) pieces.push_back(piece);
  }
  return pieces;
}

void Picker::Impl::on_deadline(base::Instant now) {
  if (deadline_ && *deadline_ <= now) deadline_.reset();
}

}  // namespace shoal::swarm
