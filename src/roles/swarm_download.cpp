#include "roles/swarm_download.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "base/overloaded.hpp"

namespace shoal::roles {

using base::Endpoint;
using base::Instant;
using base::PieceIndex;
using swarm::Run;
using swarm::SourceId;
using What = seam::PieceTrace::What;

namespace {

swarm::PickerOptions picker_options(const SwarmDownload::Parts& parts) {
  return {.piece_count = parts.manifest.piece_count(),
          .piece_bytes = parts.manifest.layout->piece_bytes,
          .total_bytes = parts.manifest.layout->total_bytes,
          .held = parts.held,
          .wanted = parts.wanted,
          .is_sequential = parts.context.options.is_sequential};
}

// Its address, whatever port it comes from. On this host that is everybody's.
swarm::OriginId origin_of(Endpoint remote) {
  const std::uint64_t port = remote.address.is_loopback() ? remote.port : 0;
  return swarm::OriginId((std::uint64_t{remote.address.value} << 16) | port);
}

}  // namespace

SwarmDownload::SwarmDownload(Parts parts, base::Rng rng, Instant now)
    : context_(parts.context),
      manifest_(parts.manifest),
      wanted_(parts.wanted),
      picker_(picker_options(parts), std::move(rng)),
      asked_links_max_(
          std::max<std::size_t>(1, (parts.context.buffers.in_use() + parts.context.buffers.available()) * 3 / 4)),
      window_began_(now) {
  // Answers of course peers come in buffers, and are told to the picker in whole blocks.
  SHOAL_CHECK(context_.buffers.buffer_bytes() % wire::kBlockBytes == 0);
  for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
    if (is_wanted(PieceIndex(i))) wanted_bytes_ += manifest_.size_of(PieceIndex(i));
  }
  if (!picker_.is_done()) add_web_seeds(parts.web_seeds);
}

bool SwarmDownload::is_wanted(PieceIndex piece) const {
  return wanted_.size() == 0 || wanted_.test(piece);
}

Run SwarmDownload::whole(PieceIndex piece) const {
  return {.piece = piece, .offset_bytes = 0, .size_bytes = manifest_.size_of(piece)};
}

// --- Sources ---

void SwarmDownload::add(SwarmLink& link, Instant now) {
  SHOAL_CHECK(!link.is_source);
  link.is_source = true;
  const bool is_course = link.course != nullptr;
  picker_.add_source(link.source, is_course ? swarm::SourceKind::whole_pieces : swarm::SourceKind::blocks,
                     origin_of(link.remote));
  if (is_course) {
    // It never says what it has; what it has not got it denies.
    picker_.on_has_set(link.source, base::Bitfield(manifest_.piece_count(), true));
  } else {
    link.has = base::Bitfield(manifest_.piece_count());
    update_interest(link, now);
  }
  want_asking(link);
}

void SwarmDownload::remove(SwarmLink& link) {
  if (!std::exchange(link.is_source, false)) return;
  picker_.remove_source(link.source);
  note_answered(link, link.asked_bytes);
  asks_everybody_ = true;
  if (link.brought_bytes == 0) return;
  gone_.emplace(link.source, Liar{link.remote, link.peer_id});
  gone_in_order_.push_back(link.source);
  if (gone_in_order_.size() <= kGoneSourcesMax) return;
  gone_.erase(gone_in_order_.front());
  gone_in_order_.pop_front();
}

void SwarmDownload::on_has(SwarmLink& link, PieceIndex piece, Instant now) {
  link.has.set(piece);
  picker_.on_has(link.source, piece);
  update_interest(link, now);
}

void SwarmDownload::on_has_set(SwarmLink& link, const base::Bitfield& pieces, Instant now) {
  link.has = pieces;
  picker_.on_has_set(link.source, pieces);
  update_interest(link, now);
}

void SwarmDownload::on_allows_fast(SwarmLink& link, PieceIndex piece) {
  if (link.allowed_fast.size() < kAllowedFastMax) link.allowed_fast.push_back(piece);
}

void SwarmDownload::update_interest(SwarmLink& link, Instant now) {
  if (!link.is_peer() || !link.is_source) return;
  link.peer->set_interested(picker_.is_interesting(link.source), now);
  context_.links.touch(link);
}

void SwarmDownload::on_payload(SwarmLink& link, std::uint64_t bytes) {
  link.brought_bytes += bytes;
  window_bytes_ += bytes;
}

void SwarmDownload::on_run_arrived(SwarmLink& link, swarm::RunArrived&& arrived, Instant now) {
  note_answered(link, arrived.part.size_bytes);
  picker_.on_rate(link.source, link.peer->rate_bytes_per_s(now));
  arrive(link.source, std::move(arrived), link.remote, now);
}

void SwarmDownload::on_run_released(SwarmLink& link, const Run& run, Instant now) {
  note_answered(link, run.size_bytes);
  picker_.on_released(link.source, run, now);
  asks_everybody_ = true;
}

// --- Asking ---

void SwarmDownload::note_asked(SwarmLink& link, const Run& run) {
  if (link.asked_bytes == 0) ++asked_links_;
  link.asked_bytes += run.size_bytes;
  asked_bytes_ += run.size_bytes;
  if (std::exchange(link.last_asked, run.piece) != run.piece) tell_piece(What::requested, run.piece, link.remote);
}

void SwarmDownload::note_answered(SwarmLink& link, std::uint64_t bytes) {
  if (bytes == 0 || link.asked_bytes == 0) return;
  const std::uint64_t answered = std::min(bytes, link.asked_bytes);
  link.asked_bytes -= answered;
  asked_bytes_ -= answered;
  if (link.asked_bytes == 0) --asked_links_;
  if (std::exchange(is_capped_, false)) asks_everybody_ = true;
}

void SwarmDownload::want_asking(SwarmLink& link) {
  if (link.is_gone() || !link.is_source || std::exchange(link.wants_asking, true)) return;
  to_ask_.push_back(link.source);
}

bool SwarmDownload::may_ask(const SwarmLink& link) {
  const std::uint64_t limit = context_.options.limit_down_bytes_per_s;
  const auto ahead = static_cast<std::uint64_t>(static_cast<double>(limit) * base::to_seconds(kLimitAhead));
  const bool is_enough = limit > 0 && asked_bytes_ > 0 && asked_bytes_ >= ahead;
  const bool is_one_too_many = link.asked_bytes == 0 && asked_links_ >= asked_links_max_;
  if (is_enough || is_one_too_many) is_capped_ = true;
  return !is_enough && !is_one_too_many;
}

void SwarmDownload::settle(Instant now) {
  if (is_paused_ || is_stopped_) return;
  if (std::exchange(asks_everybody_, false)) {
    for (const auto& [source, link] : context_.links.all()) want_asking(*link);
  }
  for (std::size_t left = to_ask_.size(); left > 0; --left) {
    SwarmLink* link = context_.links.find(to_ask_.front());
    to_ask_.pop_front();
    if (link == nullptr) continue;
    link->wants_asking = false;
    ask(*link, now);
  }
  ask_web_seeds(now);
  obey_picker(now);
}

void SwarmDownload::ask(SwarmLink& link, Instant now) {
  if (!link.is_source) return;
  if (link.course) {
    ask_course(link, now);
  } else {
    ask_peer(link, now);
  }
}

void SwarmDownload::ask_peer(SwarmLink& link, Instant now) {
  const auto request = [&](const Run& run) {
    link.peer->request(run, now);
    note_asked(link, run);
    context_.links.touch(link);
  };
  if (link.peer->is_choked()) {
    while (!link.allowed_fast.empty() && !link.peer->is_stalled() && link.asked_bytes < kFastAskedMax &&
           may_ask(link)) {
      const auto run = picker_.pick_among(link.source, link.allowed_fast, now);
      if (!run) return;
      request(*run);
    }
    return;
  }
  while (link.peer->room_bytes(now) > 0 && may_ask(link)) {
    const auto run = picker_.pick(link.source, now);
    if (!run) return;
    request(*run);
  }
}

void SwarmDownload::ask_web_seeds(Instant now) {
  web_tokens_at_.reset();
  if (swarm_rate_ >= kSwarmEnoughBytesPerS) return;
  for (Web& web : web_) {
    bool was_asked = false;
    while (!web.is_over && web.seed->has_room(now)) {
      // A server sends all at once, so it is asked for no more than may come; peers who wait for that go first.
      const Instant tokens_at = std::max(context_.down.available_at(now), context_.peers_turn_until);
      if (tokens_at > now) {
        web_tokens_at_ = tokens_at;
        break;
      }
      const auto run = pick_for(web, now);
      if (!run) break;
      context_.down.take(run->size_bytes, now);
      web.seed->request(*run, now);
      was_asked = true;
    }
    if (was_asked) serve_web(web, now);
  }
}

// What follows the last run, if that may be had: both can be asked of a server at once. In order they follow anyhow,
// and what was given back comes first.
std::optional<Run> SwarmDownload::pick_for(Web& web, Instant now) {
  const bool prefers = web.next && !context_.options.is_sequential;
  const auto run = prefers ? picker_.pick_preferring(web.source, *web.next, now) : picker_.pick(web.source, now);
  if (!run) return run;
  const bool is_end = run->offset_bytes + run->size_bytes == manifest_.size_of(run->piece);
  web.next = PieceIndex(run->piece.value + (is_end ? 1 : 0));
  return run;
}

// --- What arrives ---

void SwarmDownload::arrive(SourceId source, swarm::RunArrived&& arrived, Endpoint from, Instant now) {
  if (is_stopped_) return;
  const auto useful = picker_.on_arrived(source, arrived.part);
  obey_picker(now);
  if (!useful) {
    tell_piece(What::dropped, arrived.part.piece, from, arrived.part.size_bytes);
    return;
  }
  if (is_paused_) return picker_.on_lost(useful->piece);
  if (useful->offset_bytes != arrived.part.offset_bytes) {
    std::byte* bytes = arrived.buffer.bytes().data();
    std::memmove(bytes, bytes + (useful->offset_bytes - arrived.part.offset_bytes), useful->size_bytes);
  }
  const PieceIndex piece = useful->piece;
  writes_.store(
      {.part = *useful, .buffer = std::move(arrived.buffer), .piece_bytes = manifest_.size_of(piece), .from = from},
      context_.actions);
  if (picker_.is_whole(piece)) writes_.complete(piece, context_.actions);
}

// What it decided about others while it chose for one.
void SwarmDownload::obey_picker(Instant now) {
  for (const PieceIndex piece : picker_.take_thrown_away()) writes_.abandon(piece, context_.actions);
  for (const swarm::Picker::Cancelled& cancelled : picker_.take_cancelled()) {
    SwarmLink* link = context_.links.find(cancelled.source);
    if (link != nullptr && link->peer) {
      link->peer->cancel(cancelled.run, now);
      context_.links.touch(*link);
    }
    for (Web& web : web_) {
      if (web.source != cancelled.source || web.is_over) continue;
      web.seed->cancel(cancelled.run, now);
      serve_web(web, now);
    }
  }
}

bool SwarmDownload::on_event(seam::Event& event, Instant now) {
  if (auto* stored = std::get_if<seam::BlockStored>(&event)) {
    writes_.on_block_stored(*stored, context_.actions);
    return true;
  }
  if (const auto* verified = std::get_if<seam::PieceVerified>(&event)) {
    on_verified(verified->write, now);
    return true;
  }
  if (const auto* mismatched = std::get_if<seam::PieceMismatched>(&event)) {
    on_mismatched(mismatched->write, now);
    return true;
  }
  for (Web& web : web_) {
    if (web.is_over || !web.seed->on_event(event, now)) continue;
    serve_web(web, now);
    return true;
  }
  return false;
}

void SwarmDownload::on_verified(seam::WriteId write, Instant now) {
  const auto ended = writes_.take_ended(write);
  if (!ended) return;
  picker_.on_verified(ended->piece);
  verified_.push_back(ended->piece);
  tell_piece(What::verified, ended->piece, ended->from, ended->piece_bytes);
  for (const auto& [source, link] : context_.links.all()) {
    if (!link->is_gone() && link->is_peer() && link->is_source && link->has.test(ended->piece)) {
      update_interest(*link, now);
    }
  }
}

void SwarmDownload::on_mismatched(seam::WriteId write, Instant now) {
  const auto ended = writes_.take_ended(write);
  if (!ended) return;
  has_mismatched_ = true;
  tell_piece(What::mismatched, ended->piece, ended->from, ended->piece_bytes);
  for (const SourceId liar : picker_.on_mismatched(ended->piece)) convict(liar, ended->piece);
  for (const auto& [source, link] : context_.links.all()) {
    if (!link->is_gone()) update_interest(*link, now);
  }
  asks_everybody_ = true;
}

void SwarmDownload::convict(SourceId source, PieceIndex piece) {
  if (SwarmLink* link = context_.links.find(source)) {
    if (link->course) return on_wrong_answer(*link, piece);
    liars_.push_back({link->remote, link->peer_id});
    return;
  }
  if (const auto gone = gone_.find(source); gone != gone_.end()) {
    liars_.push_back(gone->second);
    return;
  }
  for (Web& web : web_) {
    if (web.source == source && !web.is_over) end_web(web, "it gave wrong bytes");
  }
}

void SwarmDownload::on_store_failed() {
  is_paused_ = true;
  web_tokens_at_.reset();  // nobody is asked now
  for (SwarmWrites::Ended& ended : writes_.give_up()) {
    picker_.on_lost(ended.piece);
    given_up_.push_back(std::move(ended));
  }
}

void SwarmDownload::on_store_opened(const std::vector<seam::HeldPiece>& held, Instant now) {
  is_paused_ = false;
  for (const seam::HeldPiece& piece : held) {
    if (picker_.verified().test(piece.piece)) continue;
    picker_.on_verified(piece.piece);
    verified_.push_back(piece.piece);
    // The store failed before it could say so.
    const auto ended = std::ranges::find(given_up_, piece.piece, &SwarmWrites::Ended::piece);
    if (ended == given_up_.end()) continue;
    tell_piece(What::verified, ended->piece, ended->from, ended->piece_bytes);
  }
  given_up_.clear();
  for (const auto& [source, link] : context_.links.all()) {
    if (!link->is_gone()) update_interest(*link, now);
  }
  asks_everybody_ = true;
}

void SwarmDownload::on_deadline(Instant now) {
  if (now - window_began_ >= kRateWindow) {
    swarm_rate_ = static_cast<double>(window_bytes_) / base::to_seconds(now - window_began_);
    window_bytes_ = 0;
    window_began_ = now;
  }
  for (Web& web : web_) {
    if (web.is_over) continue;
    web.seed->on_deadline(now);
    serve_web(web, now);
  }
  const auto due = picker_.next_deadline();
  if (!due || *due > now || now < next_pick_) return;
  picker_.on_deadline(now);
  next_pick_ = now + kPickPauseMin;
  asks_everybody_ = true;
}

std::optional<Instant> SwarmDownload::next_deadline() const {
  if (is_stopped_ || picker_.is_done()) return std::nullopt;
  std::optional<Instant> next;
  bool has_web = false;
  for (const Web& web : web_) {
    if (web.is_over) continue;
    has_web = true;
    next = earlier(next, web.seed->next_deadline());
  }
  if (has_web) next = earlier(earlier(next, web_tokens_at_), window_began_ + kRateWindow);
  const auto pick = picker_.next_deadline();
  if (pick && !is_paused_) next = earlier(next, std::max(*pick, next_pick_));
  return next;
}

void SwarmDownload::stop() {
  is_stopped_ = true;
  for (Web& web : web_) {
    if (web.is_over) continue;
    web.seed->stop();
    context_.collect(web.seed->take_actions());
  }
  writes_.abandon(context_.actions);
}

// --- What came of it ---

bool SwarmDownload::is_hopeful() const {
  if (is_paused_) return true;
  const auto has_something = [this](SourceId source) {
    return picker_.is_interesting(source) && !picker_.has_let_us_down(source);
  };
  return std::ranges::any_of(context_.links.all(),
                             [&](const auto& entry) {
                               const SwarmLink& link = *entry.second;
                               const bool is_stalled = link.peer && link.peer->is_stalled();
                               return !link.is_gone() && link.is_source && !is_stalled && has_something(link.source);
                             }) ||
         std::ranges::any_of(web_, [&](const Web& web) { return !web.is_over && picker_.is_interesting(web.source); });
}

std::vector<PieceIndex> SwarmDownload::missing() const {
  std::vector<PieceIndex> missing;
  for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
    if (is_wanted(PieceIndex(i)) && !picker_.verified().test(PieceIndex(i))) missing.emplace_back(i);
  }
  return missing;
}

std::uint64_t SwarmDownload::unverified_bytes() const {
  const std::uint32_t count = manifest_.piece_count();
  if (count == 0) return 0;
  const base::Bitfield& verified = picker_.verified();
  std::uint64_t held = std::uint64_t{verified.count()} * manifest_.layout->piece_bytes;
  const PieceIndex last(count - 1);
  if (verified.test(last)) held -= manifest_.layout->piece_bytes - manifest_.size_of(last);
  return manifest_.layout->total_bytes - held;
}

std::string SwarmDownload::held_ranges() const {
  const base::Bitfield& verified = picker_.verified();
  std::string ranges;
  for (std::uint32_t first = 0; first < verified.size(); ++first) {
    if (!verified.test(PieceIndex(first))) continue;
    std::uint32_t last = first;
    while (last + 1 < verified.size() && verified.test(PieceIndex(last + 1))) ++last;
    if (!ranges.empty()) ranges += ',';
    ranges += std::to_string(first);
    if (last > first) ranges += '-' + std::to_string(last);
    first = last;
  }
  return ranges;
}

void SwarmDownload::tell_piece(What what, PieceIndex piece, Endpoint source, std::uint64_t bytes) {
  context_.tell(seam::PieceTrace{what, piece, source, bytes});
}

}  // namespace shoal::roles
