// What to ask a source next: its three ways, from the usual to the last.
#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "base/check.hpp"
#include "swarm/picker_impl.hpp"

namespace shoal::swarm {
namespace {

// Asking again has to end in this part of the time that the first source would take: near 1 it would send twice what is
// about to come anyhow. Before the end game idle sources will have other work soon.
constexpr double kSoonerPart = 0.8;
constexpr double kMuchSoonerPart = 0.25;
constexpr double kGuessedRate = 1024 * 1024;                             // bytes per second, when no rate is known
constexpr base::Duration kLookAgainMin = std::chrono::milliseconds(50);  // no deadline is sooner
constexpr std::uint32_t kPatienceDoublingsMax = 12;
constexpr double kPatienceWithNobodyMaxSeconds = 300;
// So many times as long as one source is waited for, all of them together are, one asked after the other.
constexpr int kStandstillsMax = 4;
constexpr std::size_t kBlamedMax = 256;       // remembered of one piece
constexpr double kLookAgainMaxSeconds = 1e6;  // a rate fades without ever being 0: no patience is longer

double bytes_of(std::uint64_t blocks) {
  return static_cast<double>(blocks) * wire::kBlockBytes;
}

base::Duration duration_of(double seconds) {
  return base::from_seconds(std::min(seconds, kLookAgainMaxSeconds));
}

double rate_or(const PickerSource& source, double guess) {
  return source.rate_bytes_per_s > 0 ? source.rate_bytes_per_s : guess;
}

}  // namespace

std::optional<Run> Picker::Impl::pick_preferring(SourceId id, base::PieceIndex piece, base::Instant now) {
  note_time(now);
  const std::vector<base::PieceIndex> only{piece};
  if (PickerSource* source = find_askable(id, now)) {
    if (auto run = pick_open({id, *source, &only, now})) return run;
  }
  return pick(id, nullptr, now);
}

std::optional<Run> Picker::Impl::pick(SourceId id, Among among, base::Instant now) {
  note_time(now);
  PickerSource* source = find_askable(id, now);
  if (!source) return std::nullopt;
  const Asker asker{id, *source, among, now};
  if (auto run = pick_open(asker)) return run;
  if (auto run = pick_unusual(asker)) return run;
  return pick_again(asker);
}

// nothing: it has nothing we lack, or is not asked for a while.
PickerSource* Picker::Impl::find_askable(SourceId id, base::Instant now) {
  PickerSource* source = find(id);
  if (!source || source->is_convicted || source->interesting == 0) return nullptr;
  if (now < source->paused_until) {
    look_again_at(source->paused_until, now);
    return nullptr;
  }
  return source;
}

void Picker::Impl::note_time(base::Instant now) {
  for (const SourceId id : heard_) {
    PickerSource& source = *find(id);
    source.is_heard = false;
    source.heard_at = now;
  }
  heard_.clear();
}

// The usual way: go on with a piece that is begun, or begin one.
std::optional<Run> Picker::Impl::pick_open(const Asker& asker) {
  BegunPiece* open = best_open(asker, &Impl::may_join);
  if (open && !is_sequential_) return ask(asker, *open, *open->first_open(run_blocks(asker.source)));
  const auto fresh = best_fresh(asker);
  if (open && (!fresh || open->piece() < *fresh)) {
    return ask(asker, *open, *open->first_open(run_blocks(asker.source)));
  }
  if (!fresh) return std::nullopt;
  if (begun_.size() >= begun_pieces_max_ && !is_suspect(asker)) {
    if (auto run = pick_unusual(asker)) return run;
  }
  return begin(asker, *fresh);
}

// A way that costs something: a piece that others began and a suspect begins anew, or the other way round; a whole
// piece where a part is here already.
std::optional<Run> Picker::Impl::pick_unusual(const Asker& asker) {
  BegunPiece* begun = best_open(asker, &Impl::may_join_unusually);
  if (!begun) return std::nullopt;
  if (must_begin_anew(asker, *begun)) return take_over(asker, *begun);
  if (asker.source.kind == SourceKind::whole_pieces) return ask(asker, *begun, begun->all());
  return ask(asker, *begun, *begun->first_open(run_blocks(asker.source)));
}

bool Picker::Impl::may_join(const Asker& asker, const BegunPiece& begun) {
  if (asker.source.kind == SourceKind::whole_pieces) return false;
  return begun.owner() ? begun.owner() == asker.id : !is_suspect(asker);
}

bool Picker::Impl::may_join_unusually(const Asker& asker, const BegunPiece& begun) {
  if (must_begin_anew(asker, begun)) return may_take_over(asker, begun);
  return asker.source.kind != SourceKind::whole_pieces || begun.has_place_in_all(asker.id);
}

// Whether beginning it anew beats waiting for whoever gives it, or gave it last.
bool Picker::Impl::may_take_over(const Asker& asker, const BegunPiece& begun) {
  const double guess = guessed_rate();
  const double mine = bytes_of(asker.source.asked_blocks + begun.block_count()) / rate_or(asker.source, guess);
  const double at_least = mine / kMuchSoonerPart;
  double limit = at_least * patience_with(asker, begun);
  if (!begun.owner() && begun.is_coming()) return stands_still(asker, begun, duration_of(limit));
  base::Instant since = begun.asked_at();
  double its = base::to_seconds(asker.now - since);
  if (begun.owner()) {
    const PickerSource& owner = sources_.at(*begun.owner());
    its = seconds_left(owner, guess, asker.now) + bytes_of(begun.open_count()) / rate_or(owner, guess);
    since = owner.heard_at;
  } else {
    limit = std::min(limit, std::max(at_least, kPatienceWithNobodyMaxSeconds));
  }
  if (its > limit) return true;
  look_again_at(since + duration_of(limit), asker.now);
  return false;
}

// A piece that was wrong has a liar near it, who may wait for a slow source to begin and then take over. Each time
// whoever gives it is left alone for twice as long. Who lost it by its silence, or took it and did not finish it, waits
// for twice as long, too, and nobody else does: two such would begin it anew in turns, and keep it from all others.
double Picker::Impl::patience_with(const Asker& asker, const BegunPiece& begun) const {
  const auto found = histories_.find(begun.piece());
  if (found == histories_.end()) return 1;
  const auto losses = std::ranges::count(found->second.blamed, asker.source.origin);
  const std::uint32_t times = found->second.failures + static_cast<std::uint32_t>(losses);
  return std::ldexp(1.0, static_cast<int>(std::min(times, kPatienceDoublingsMax)));
}

// A suspect spoils what others are about to finish. But those who have been asked may be silent for ever, one of them
// always in the place of another.
bool Picker::Impl::stands_still(const Asker& asker, const BegunPiece& begun, base::Duration limit) {
  limit = std::max<base::Duration>(kLetDownPauseMax, limit);  // never while an honest one may merely be slow
  std::optional<Standstill>& standstill = histories_[begun.piece()].standstill;
  const base::Duration longest = kStandstillsMax * limit;
  const bool goes_on =
      standstill && standstill->here == begun.here_count() && asker.now - standstill->seen_at <= longest;
  if (!goes_on) standstill = Standstill{.here = begun.here_count(), .since = asker.now};
  standstill->seen_at = asker.now;
  base::Instant still_until = standstill->since + limit;
  const base::Instant latest = standstill->since + longest;
  if (asker.now > still_until) {
    for (const auto& [id, source] : sources_) {
      const bool is_asked =
          std::ranges::find(source.asked, begun.piece(), &PickerSource::Asked::piece) != source.asked.end();
      if (is_asked && id == asker.id) return false;
      if (!is_asked || source.let_downs > 0) continue;
      still_until = std::max(still_until, std::min(source.heard_at + limit, latest));
    }
  }
  if (asker.now > still_until) return true;
  look_again_at(still_until, asker.now);
  return false;
}

// The one that is nearest to being whole: it can be verified, and given on, soonest.
BegunPiece* Picker::Impl::best_open(const Asker& asker, JoinRule may) {
  const auto key = [this](const BegunPiece& begun) {
    return std::tuple(is_sequential_ ? 0 : begun.open_count(), is_sequential_ ? 0 : sources_of(begun.piece()),
                      begun.piece().value);
  };
  BegunPiece* best = nullptr;
  const auto consider = [&](BegunPiece& begun) {
    if (!asker.source.has.test(begun.piece()) || (best && key(*best) <= key(begun))) return;
    if ((this->*may)(asker, begun)) best = &begun;
  };
  if (!asker.among) {
    for (BegunPiece* begun : open_) consider(*begun);
    return best;
  }
  for (const base::PieceIndex piece : *asker.among) {
    BegunPiece* begun = find_begun(piece);
    if (begun && begun->is_listed()) consider(*begun);
  }
  return best;
}

std::optional<base::PieceIndex> Picker::Impl::best_fresh(const Asker& asker) {
  if (!asker.among) {
    return is_sequential_ ? fresh_.lowest(asker.source.has) : fresh_.rarest(asker.source.has, asker.source.floor);
  }
  std::optional<base::PieceIndex> best;
  for (const base::PieceIndex piece : *asker.among) {
    if (piece.value >= piece_count_ || !fresh_.contains(piece) || !asker.source.has.test(piece)) continue;
    if (best && (is_sequential_ ? *best <= piece : sources_of(*best) <= sources_of(piece))) continue;
    best = piece;
  }
  return best;
}

Run Picker::Impl::begin(const Asker& asker, base::PieceIndex piece) {
  fresh_.remove(piece);
  BegunPiece& begun = begun_.try_emplace(piece, piece, size_of(piece)).first->second;
  if (is_suspect(asker)) set_owner(begun, asker.id);
  return ask(asker, begun, *begun.first_open(run_blocks(asker.source)));
}

// A suspect may have given one wrong block and wait for others to finish the piece and share the blame, or wait for
// others to begin one and finish that.
Run Picker::Impl::take_over(const Asker& asker, BegunPiece& begun) {
  const base::PieceIndex piece = begun.piece();
  PieceHistory& history = histories_[piece];
  if (begun.owner()) {
    const PickerSource& owner = sources_.at(*begun.owner());
    const double by_rate = bytes_of(owner.asked_blocks) / rate_or(owner, guessed_rate());
    const bool is_silent = base::to_seconds(asker.now - owner.heard_at) > by_rate;
    if (is_silent && history.blamed.size() < kBlamedMax) history.blamed.push_back(owner.origin);
    if (history.blamed.size() < kBlamedMax) history.blamed.push_back(asker.source.origin);  // until it is right
  } else {
    ++history.failures;
  }
  throw_away(begun);
  return begin(asker, piece);
}

Run Picker::Impl::ask(const Asker& asker, BegunPiece& begun, BlockSpan span) {
  const std::uint32_t blocks = begun.ask(span, asker.id);
  SHOAL_CHECK(blocks > 0);
  begun.set_asked_at(asker.now);
  if (begun.owner() == asker.id && !is_suspect(asker)) set_owner(begun, std::nullopt);
  PickerSource& source = asker.source;
  if (source.asked_blocks == 0) source.heard_at = asker.now;
  const auto known = std::find_if(source.asked.begin(), source.asked.end(),
                                  [&begun](const auto& asked) { return asked.piece == begun.piece(); });
  if (known == source.asked.end()) {
    source.asked.push_back({begun.piece(), blocks});
  } else {
    known->blocks += blocks;
  }
  source.asked_blocks += blocks;
  settle(begun);
  return begun.run_of(span);
}

std::uint32_t Picker::Impl::run_blocks(const PickerSource& source) const {
  if (source.kind == SourceKind::whole_pieces) return std::numeric_limits<std::uint32_t>::max();
  constexpr std::uint32_t blocks_max = kRunBytesMax / wire::kBlockBytes;
  if (source.rate_bytes_per_s <= 0) return blocks_max;
  const double in_time = source.rate_bytes_per_s * base::to_seconds(kRunTimeMax) / wire::kBlockBytes;
  return static_cast<std::uint32_t>(std::clamp<double>(in_time, 1, blocks_max));
}

double Picker::Impl::guessed_rate() {
  if (guessed_rate_) return *guessed_rate_;
  double sum = 0;
  double count = 0;
  for (const auto& [id, source] : sources_) {
    if (source.rate_bytes_per_s <= 0) continue;
    sum += source.rate_bytes_per_s;
    ++count;
  }
  return guessed_rate_.emplace(count > 0 ? sum / count : kGuessedRate);
}

double Picker::Impl::seconds_left(const PickerSource& holder, double guess, base::Instant now) const {
  const double by_rate = bytes_of(holder.asked_blocks) / rate_or(holder, guess);
  // Who has been silent for long will be for as long again.
  return std::max(by_rate, base::to_seconds(now - holder.heard_at));
}

void Picker::Impl::look_again_at(base::Instant at, base::Instant now) {
  at = std::max(at, now) + kLookAgainMin;
  deadline_ = deadline_ ? std::min(*deadline_, at) : at;
}

// Nothing is open for it. What it could help with a suspect would only spoil.
std::optional<Run> Picker::Impl::pick_again(const Asker& asker) {
  if (!is_suspect(asker)) {
    if (auto run = pick_help(asker)) return run;
    if (owned_pieces_ == 0) return std::nullopt;
  }
  return pick_take_over(asker);
}

// It takes over the tail of who would end last. That one goes on from the front, so both meet and nothing comes twice
// but what is under way then.
std::optional<Run> Picker::Impl::pick_help(const Asker& asker) {
  const double guess = guessed_rate();
  std::vector<std::pair<double, SourceId>> holders;
  for (const auto& [id, source] : sources_) {
    if (id != asker.id && !source.asked.empty()) holders.emplace_back(-seconds_left(source, guess, asker.now), id);
  }
  std::sort(holders.begin(), holders.end());

  const bool is_end = is_end_game();
  for (const auto& [negative_seconds, id] : holders) {
    const auto help = help_for(asker, id, is_end);
    if (!help) continue;
    const double mine = bytes_of(asker.source.asked_blocks + help->span.count) / rate_or(asker.source, guess);
    const double limit = mine / (is_end ? kSoonerPart : kMuchSoonerPart) * patience_with(asker, *help->begun);
    if (-negative_seconds > limit) {
      if (must_begin_anew(asker, *help->begun)) return take_over(asker, *help->begun);
      return ask(asker, *help->begun, help->span);
    }
    look_again_at(sources_.at(id).heard_at + duration_of(limit), asker.now);
    return std::nullopt;
  }
  return std::nullopt;
}

// Also where every block is asked for: one block that nobody brings would be enough to keep a piece from everybody. The
// one of which the least is lost.
std::optional<Run> Picker::Impl::pick_take_over(const Asker& asker) {
  BegunPiece* best = nullptr;
  for (auto& [piece, begun] : begun_) {
    if (begun.is_whole() || !must_begin_anew(asker, begun) || !may_ask_for(asker, piece)) continue;
    if (best && best->here_count() <= begun.here_count()) continue;
    if (may_take_over(asker, begun)) best = &begun;
  }
  if (!best) return std::nullopt;
  return take_over(asker, *best);
}

bool Picker::Impl::may_ask_for(const Asker& asker, base::PieceIndex piece) {
  if (!asker.source.has.test(piece)) return false;
  return !asker.among || std::ranges::find(*asker.among, piece) != asker.among->end();
}

std::optional<Picker::Impl::Help> Picker::Impl::help_for(const Asker& asker, SourceId holder, bool is_end) {
  const auto& asked = sources_.at(holder).asked;
  for (auto each = asked.rbegin(); each != asked.rend(); ++each) {
    if (!may_ask_for(asker, each->piece)) continue;
    BegunPiece& begun = *find_begun(each->piece);
    if (must_begin_anew(asker, begun)) {
      if (is_end) return Help{&begun, begun.all()};
      continue;
    }
    if (asker.source.kind == SourceKind::whole_pieces) {
      if (begun.has_place_in_all(asker.id)) return Help{&begun, begun.all()};
    } else if (const auto span = begun.last_held_alone(holder, run_blocks(asker.source))) {
      return Help{&begun, *span};
    }
  }
  return std::nullopt;
}

}  // namespace shoal::swarm
