#include "roles/swarm_host.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/overloaded.hpp"
#include "roles/describe_net_error.hpp"
#include "roles/swarm_host_machine.hpp"

namespace shoal::roles {

using base::Instant;

namespace {

SwarmContext make_context(SwarmHostOptions options, base::BufferPool& buffers) {
  const bool is_private = options.torrent && options.torrent->is_private;
  const TokenBucket down(options.limit_down_bytes_per_s);
  return {.options = std::move(options), .buffers = buffers, .down = down, .is_private = is_private};
}

swarm::MetadataExchange make_metadata(const SwarmHostOptions& options) {
  if (options.torrent) return {options.info_hash, options.torrent->info};
  return swarm::MetadataExchange(options.info_hash);
}

std::string describe_wait(const SwarmHostOptions& options, bool has_metadata) {
  std::string text =
      has_metadata ? "nobody who has the rest" : "nobody who can say what " + options.info_hash.to_hex() + " is";
  text += " is there at the moment; waiting ";
  if (options.no_source_timeout) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*options.no_source_timeout).count();
    text += "up to " + std::to_string(seconds) + " s ";
  }
  return text + "for somebody";
}

}  // namespace

SwarmHost::SwarmHost(SwarmHostOptions options, base::BufferPool& buffers, base::Rng rng)
    : context_(make_context(std::move(options), buffers)),
      rng_(std::move(rng)),
      metadata_(make_metadata(context_.options)),
      search_(
          context_, [this] { return announce_status(); }, rng_.fork()),
      uploads_(context_, rng_.fork()) {}

void SwarmHost::start(Instant now) {
  now_ = now;
  last_hope_ = now;
  if (context_.options.torrent) {
    open_store(now);
  } else {
    phase_ = Phase::getting_metadata;
    context_.note(seam::NoteTrace::Level::info,
                  "looking for somebody who can say what " + context_.options.info_hash.to_hex() + " is");
    begin_search(now);
  }
  settle(now);
}

void SwarmHost::on_event(seam::Event&& event, Instant now) {
  if (phase_ == Phase::over) return;
  now_ = now;
  dispatch(event, now);
  settle(now);
}

void SwarmHost::dispatch(seam::Event& event, Instant now) {
  // A connection is a link, or a course client's.
  const auto with_link = [&](seam::ConnId conn, auto&& use) {
    if (SwarmLink* link = context_.links.find(conn)) {
      use(*link);
      context_.links.touch(*link);
    } else {
      uploads_.on_event(event, now);
    }
  };
  std::visit(base::Overloaded{
                 [&](seam::StopRequested&) { on_stop_requested(now); },
                 [&](seam::DeadlineReached&) { on_deadline(now); },
                 [&](seam::Accepted& accepted) { on_accepted(accepted, now); },
                 [&](seam::Connected& connected) {
                   if (SwarmLink* link = context_.links.find(connected.conn)) on_connected(*link, now);
                 },
                 [&](seam::ConnectFailed& failed) {
                   if (SwarmLink* link = context_.links.find(failed.conn)) lose(*link, describe(failed.error), now);
                 },
                 [&](seam::BytesArrived& bytes) { on_bytes(bytes, now); },
                 [&](seam::InputEnded& ended) {
                   with_link(ended.conn, [&](SwarmLink& link) {
                     if (link.peer) link.peer->on_input_ended(now);
                     if (link.course) link.course->on_input_ended(now);
                     if (!link.peer && !link.course) link.ended = "left without a word";
                   });
                 },
                 [&](seam::OutputDrained& drained) {
                   with_link(drained.conn, [&](SwarmLink& link) {
                     if (link.peer) link.peer->on_output_drained(now);
                   });
                 },
                 [&](seam::ConnectionLost& lost) {
                   with_link(lost.conn, [&](SwarmLink& link) {
                     if (link.peer) link.peer->on_input_ended(now);
                     link.ended = describe(lost.error);
                   });
                 },
                 [&](seam::StoreOpened& opened) { on_store_opened(opened.held, now); },
                 [&](seam::StoreFailed& failed) { on_store_failed(std::move(failed.error), now); },
                 [&](seam::StoreFinished& finished) { on_store_finished(std::move(finished.path), now); },
                 [&](seam::PieceLookedUp&) { uploads_.on_event(event, now); },
                 [&](auto&) {
                   if (!download_ || !download_->on_event(event, now)) search_.on_event(event, now);
                 },
             },
             event);
}

void SwarmHost::on_bytes(const seam::BytesArrived& event, Instant now) {
  SwarmLink* link = context_.links.find(event.conn);
  if (link == nullptr) return uploads_.on_event(event, now);
  if (link->stage == SwarmLink::Stage::unknown) return on_first_byte(*link, now);
  context_.down.take(event.count, now);
  if (link->peer) link->peer->on_bytes(event.count, now);
  if (link->course) link->course->on_bytes(event.count, now);
  context_.links.touch(*link);
}

seam::ReadTargets SwarmHost::next_read(seam::ConnId conn) {
  if (phase_ == Phase::over) return {};
  SwarmLink* link = context_.links.find(conn);
  if (link == nullptr) return uploads_.next_read(conn);
  if (link->stage == SwarmLink::Stage::unknown) {
    if (phase_ == Phase::opening) return {};
    return {{std::span(&first_byte_, 1), {}}};
  }
  if (link->stage != SwarmLink::Stage::open) return {};
  std::uint64_t allowed = context_.down.available(now_);
  if (allowed == 0) {
    if (!std::exchange(link->is_held_back, true)) held_back_.push_back(link->source);
    return {};
  }
  seam::ReadTargets targets = link->peer ? link->peer->next_read() : link->course->next_read();
  note_starved(*link);
  for (std::span<std::byte>& target : targets.spans) {
    target = target.first(static_cast<std::size_t>(std::min<std::uint64_t>(target.size(), allowed)));
    allowed -= target.size();
  }
  return targets;
}

void SwarmHost::on_deadline(Instant now) {
  while (SwarmLink* link = context_.links.take_due(now)) on_link_deadline(*link, now);
  search_.on_deadline(now);
  uploads_.on_deadline(now);
  if (download_) download_->on_deadline(now);
  if (phase_ == Phase::getting_metadata) {
    metadata_.on_deadline(now);
    advance_metadata(now);
  }
  if (!held_back_.empty() && now >= context_.down.available_at(now)) resume_held_back(now);
  if (reopen_at_ && now >= *reopen_at_) open_store(now);
  if (next_tick_ && now >= *next_tick_) tick(now);
}

void SwarmHost::tick(Instant now) {
  const bool is_taking = phase_ == Phase::getting_metadata || phase_ == Phase::downloading;
  next_tick_ = now + kTickEvery;
  make_room(now);
  if (!is_taking) return;
  const bool is_moving = std::exchange(hoped_bytes_, context_.downloaded_bytes) != context_.downloaded_bytes;
  const bool has_hope = is_hopeful(now);
  if (is_moving || has_hope) {
    last_hope_ = now;
    is_hopeless_told_ = false;
  } else if (now - last_hope_ >= kHopelessTold && !std::exchange(is_hopeless_told_, true)) {
    context_.note(seam::NoteTrace::Level::info, describe_wait(context_.options, download_.has_value()));
  }
  const std::uint32_t held = download_ ? download_->picker().verified().count() : 0;
  if (now >= next_need_ && (!has_hope || held != announced_pieces_)) {
    next_need_ = now + kNeedEvery;
    announced_pieces_ = held;
    using enum swarm::AnnounceReason;
    search_.announce_soon(has_hope ? pieces_changed : peers_needed, now);
  }
  const auto patience = context_.options.no_source_timeout;
  if (patience && now - last_hope_ >= *patience) give_up(now);
}

void SwarmHost::settle(Instant now) {
  do {
    while (SwarmLink* link = context_.links.take_touched()) serve(*link, now);
    if (download_) {
      take_results(now);
      download_->settle(now);
    }
    dial_more(now);
    check_progress(now);
    resume_starved(now);
  } while (context_.links.has_touched() && phase_ != Phase::over);
  context_.links.sweep();
}

void SwarmHost::serve(SwarmLink& link, Instant now) {
  if (link.peer) {
    context_.collect(link.peer->take_actions());
    for (swarm::PeerEvent& event : link.peer->take_events()) {
      on_peer_event(link, std::move(event), now);
      if (link.is_gone()) return;
    }
    context_.collect(link.peer->take_actions());
  } else if (link.course && download_) {
    download_->serve_course(link, now);
  }
  if (link.ended) return lose(link, *link.ended, now);
  note_starved(link);
  if (download_) download_->want_asking(link);
  context_.links.relist(link);
}

void SwarmHost::take_results(Instant now) {
  for (const base::PieceIndex piece : download_->take_verified()) {
    if (std::exchange(is_disk_full_, false)) {
      context_.note(seam::NoteTrace::Level::info, "there is room on the disk again; going on");
    }
    for (const auto& [source, link] : context_.links.all()) {
      if (link->is_gone() || !link->peer) continue;
      link->peer->send_have(piece, now);
      context_.links.touch(*link);
    }
  }
  for (const Liar& liar : download_->take_liars()) ban(liar, now);
}

void SwarmHost::note_starved(SwarmLink& link) {
  const bool is_starved = (link.peer && link.peer->wants_buffer()) || (link.course && link.course->waits_for_buffer());
  if (is_starved && !std::exchange(link.is_starved, true)) starved_.push_back(link.source);
}

void SwarmHost::resume_starved(Instant now) {
  for (std::size_t left = std::min(starved_.size(), context_.buffers.available()); left > 0; --left) {
    SwarmLink* link = context_.links.find(starved_.front());
    starved_.pop_front();
    if (link == nullptr) continue;
    link->is_starved = false;
    const std::size_t available = context_.buffers.available();
    if (link->peer) link->peer->on_buffer_available(now);
    if (link->course) link->course->on_buffer_available(now);
    note_starved(*link);
    // It may have filled a buffer and wait for the next one: what it filled is to be taken.
    if (!link->is_starved || context_.buffers.available() != available) context_.links.touch(*link);
  }
}

// One at a time: whoever reads first may take all tokens there are, and has to wait behind the others then.
void SwarmHost::resume_held_back(Instant now) {
  while (!held_back_.empty()) {
    SwarmLink* link = context_.links.find(held_back_.front());
    held_back_.pop_front();
    if (link == nullptr) continue;
    link->is_held_back = false;
    context_.peers_turn_until = now + kPeersTurn;
    context_.actions.emplace_back(seam::ResumeReading{link->conn});
    return;
  }
}

std::optional<Instant> SwarmHost::next_deadline() const {
  if (phase_ == Phase::over) return std::nullopt;
  std::optional<Instant> next = earlier(context_.links.next_deadline(), search_.next_deadline());
  next = earlier(next, uploads_.next_deadline());
  if (phase_ == Phase::stopping) return earlier(next, stop_deadline_);
  if (phase_ == Phase::getting_metadata) next = earlier(next, metadata_.next_deadline());
  if (download_) next = earlier(next, download_->next_deadline());
  if (!held_back_.empty()) next = earlier(next, context_.down.available_at(now_));
  if (has_room_to_dial()) next = earlier(next, search_.book().next_deadline());
  next = earlier(next, reopen_at_);
  next = earlier(next, next_tick_);
  if (phase_ == Phase::giving) next = earlier(next, gives_until_);
  return next;
}

std::unique_ptr<seam::Machine> make_swarm_host(SwarmHostOptions options, base::BufferPool& buffers, base::Rng rng) {
  return std::make_unique<SwarmHost>(std::move(options), buffers, std::move(rng));
}

}  // namespace shoal::roles
