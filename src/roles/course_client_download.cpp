#include "roles/course_client_download.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/overloaded.hpp"
#include "roles/describe_net_error.hpp"

namespace shoal::roles {
namespace {

using base::Instant;
using base::PieceIndex;
using swarm::SessionFailure;
using swarm::SourceId;

// What each group's bytes fill: the places that are not held yet.
std::vector<std::vector<PieceIndex>> find_places(const CoursePlan& plan, const std::vector<seam::HeldPiece>& held) {
  std::vector<bool> is_held(plan.first_of.size());
  for (const seam::HeldPiece& piece : held) is_held.at(piece.piece.value) = true;
  std::vector<std::vector<PieceIndex>> places(plan.first_of.size());
  for (std::uint32_t i = 0; i < plan.first_of.size(); ++i) {
    if (!is_held[i]) places[plan.first_of[i].value].push_back(PieceIndex(i));
  }
  return places;
}

swarm::DownloadOptions download_options(const std::vector<std::vector<PieceIndex>>& places) {
  swarm::DownloadOptions options{.piece_count = static_cast<std::uint32_t>(places.size()),
                                 .not_wanted = {},
                                 .queue_depth_max = swarm::kPipelineMax};
  for (std::uint32_t i = 0; i < places.size(); ++i) {
    if (places[i].empty()) options.not_wanted.push_back(PieceIndex(i));
  }
  return options;
}

bool is_timeout(SessionFailure failure) {
  return failure == SessionFailure::no_answer || failure == SessionFailure::stalled;
}

}  // namespace

CourseDownload::CourseDownload(Parts parts, base::Rng rng)
    : options_(parts.options),
      plan_(parts.plan),
      buffers_(parts.buffers),
      ids_(parts.ids),
      places_(find_places(parts.plan, parts.held)),
      download_(download_options(places_), std::move(rng)) {}

void CourseDownload::start(Instant now) {
  sources_.resize(plan_.sources.size());
  for (std::uint32_t i = 0; i < sources_.size(); ++i) {
    sources_[i].record.endpoint = plan_.sources[i].endpoint;
    download_.add_source(SourceId(i), plan_.sources[i].listed, now);
  }
  if (state() == State::running) {
    for (std::uint32_t i = 0; i < sources_.size(); ++i) dial(SourceId(i), now);
  }
  settle(now);
}

void CourseDownload::on_event(seam::Event&& event, Instant now) {
  const auto with_session = [&](seam::ConnId conn, auto&& use) {
    const auto id = source_of(conn);
    if (!id || !at(*id).session) return;
    use(*at(*id).session);
    serve_session(*id, now);
  };
  std::visit(base::Overloaded{
                 [&](seam::Connected& connected) {
                   if (const auto id = source_of(connected.conn)) on_connected(*id, now);
                 },
                 [&](seam::ConnectFailed& failed) {
                   if (const auto id = source_of(failed.conn)) {
                     source_of_conn_.erase(failed.conn);
                     const int strikes = failed.error == seam::NetError::timed_out ? kTimeoutStrikes : 1;
                     lose(*id, {describe(failed.error), strikes}, now);
                   }
                 },
                 [&](seam::BytesArrived& bytes) {
                   with_session(bytes.conn, [&](auto& session) { session.on_bytes(bytes.count, now); });
                 },
                 [&](seam::InputEnded& ended) {
                   with_session(ended.conn, [&](auto& session) { session.on_input_ended(now); });
                 },
                 [&](seam::ConnectionLost& lost) {
                   with_session(lost.conn, [&](auto& session) { session.on_connection_lost(); });
                 },
                 [&](seam::BlockStored& stored) {
                   SHOAL_CHECK(blocks_at_store_ > 0);
                   --blocks_at_store_;
                   const base::Buffer home = std::move(stored.buffer);
                 },
                 [&](seam::PieceVerified& verified) { on_verified(verified.write, now); },
                 [&](seam::PieceMismatched& mismatched) { on_mismatched(mismatched.write, now); },
                 [&](seam::DeadlineReached&) { on_deadline(now); },
                 [](auto&) {},
             },
             event);
  settle(now);
}

void CourseDownload::dial(SourceId id, Instant now) {
  Source& source = at(id);
  source.conn = ids_.next();
  source.link = Link::dialing;
  source.deadline = now + options_.connect_timeout;
  source_of_conn_.emplace(source.conn, id);
  actions_.push_back(seam::Dial{source.conn, source.record.endpoint});
  tell_source(source, seam::SourceStatus::connecting, "");
}

void CourseDownload::on_connected(SourceId id, Instant now) {
  Source& source = at(id);
  if (source.link != Link::dialing) return;
  source.link = Link::open;
  source.deadline.reset();
  source.record.trouble.clear();
  source.session = std::make_unique<swarm::CourseSession>(
      source.conn,
      swarm::CourseSessionOptions{.remote = source.record.endpoint,
                                  .offers_pipelining = options_.offers_pipelining,
                                  .chunk_bytes_max = options_.chunk_bytes_max,
                                  .answer_timeout = options_.answer_timeout,
                                  .stall_timeout = options_.stall_timeout},
      buffers_);
  tell_source(source, seam::SourceStatus::ready, "");
  for (const PieceIndex piece : std::exchange(source.asked_dormant, {})) {
    source.session->request(piece, plan_.manifest.hash_of(piece), now);
  }
  serve_session(id, now);
  if (source.is_ready) return;
  source.is_ready = true;
  download_.on_source_ready(id, now);
}

void CourseDownload::on_deadline(Instant now) {
  if (drain_ends_ && now >= *drain_ends_) {
    for (Source& source : sources_) hang_up(source);
    return;
  }
  for (std::uint32_t i = 0; i < sources_.size(); ++i) {
    const SourceId id(i);
    if (at(id).session) {
      at(id).session->on_deadline(now);
      serve_session(id, now);
    } else if (at(id).deadline && now >= *at(id).deadline) {
      if (at(id).link == Link::dialing) {
        hang_up(at(id));
        lose(id, {describe(seam::NetError::timed_out), kTimeoutStrikes}, now);
      } else {
        dial(id, now);
      }
    }
  }
}

void CourseDownload::on_session_ended(SourceId id, SessionFailure failure, Instant now) {
  Source& source = at(id);
  const std::vector<PieceIndex> unanswered = source.session->unanswered();
  const bool has_answered = source.session->answers() > 0;
  const bool is_ended_by_peer = failure == SessionFailure::closed || failure == SessionFailure::reset;
  abandon_write(source);
  hang_up(source);
  if (drain_ends_) return;
  if (unanswered.empty() && is_ended_by_peer) {
    source.link = Link::dormant;
    download_.on_queue_depth_changed(id, 1, now);
    return;
  }
  // An answer is final for its piece, so a peer that gives at least one on each connection brings the end nearer.
  if (has_answered) {
    source.strikes = 0;
    source.suspect.reset();
  } else if (!unanswered.empty()) {
    blame_piece(id, unanswered.front(), !is_ended_by_peer && !is_timeout(failure), now);
  }
  for (const PieceIndex piece : unanswered) tell_piece(seam::PieceTrace::What::dropped, piece, source);
  const int strikes = is_timeout(failure) ? kTimeoutStrikes : has_answered ? 0 : 1;
  lose(id, {std::string(describe(failure)), strikes}, now);
}

// Some peers answer a request they cannot serve by breaking down. That one piece must not cost all others they have.
void CourseDownload::blame_piece(SourceId id, PieceIndex piece, bool is_certain, Instant now) {
  Source& source = at(id);
  if (!is_certain && source.suspect != piece) {
    source.suspect = piece;
    return;
  }
  source.suspect.reset();
  source.record.refused.push_back(piece);
  download_.on_piece_refused(id, piece, now);
}

void CourseDownload::lose(SourceId id, Failure failure, Instant now) {
  Source& source = at(id);
  source.is_ready = false;
  download_.on_source_interrupted(id, now);
  download_.on_queue_depth_changed(id, 1, now);  // a new connection has to welcome pipelining anew
  source.record.trouble = std::move(failure.trouble);
  for (const PieceIndex piece : std::exchange(source.asked_dormant, {})) {
    tell_piece(seam::PieceTrace::What::dropped, piece, source);
  }
  source.strikes += failure.strikes;
  source.deadline.reset();
  if (source.strikes >= kStrikesMax) {
    source.link = Link::gone;
    download_.on_source_gone(id, now);
    tell_source(source, seam::SourceStatus::gone, source.record.trouble);
    return;
  }
  source.link = Link::none;
  if (source.strikes == 0) {
    dial(id, now);
    return;
  }
  source.deadline = now + (source.strikes == 1 ? kFirstRetryPause : kLaterRetryPause);
  tell_source(source, seam::SourceStatus::waiting_to_retry, source.record.trouble);
}

void CourseDownload::hang_up(Source& source) {
  source.session.reset();
  source.deadline.reset();
  if (source_of_conn_.erase(source.conn) == 0) return;
  actions_.push_back(seam::Close{source.conn});
  source.link = Link::none;
}

std::optional<SourceId> CourseDownload::source_of(seam::ConnId conn) const {
  const auto found = source_of_conn_.find(conn);
  if (found == source_of_conn_.end()) return std::nullopt;
  return found->second;
}

void CourseDownload::close(Instant now) {
  drain_ends_ = now + kDrainMax;
  for (Source& source : sources_) {
    source.asked_dormant.clear();
    abandon_write(source);
    const bool must_drain = source.session && source.session->outstanding() > 0 && !source.session->is_pipelining();
    if (!must_drain) {
      hang_up(source);
      continue;
    }
    source.session->discard(source.session->unanswered().front());
  }
  if (is_anything_open()) {
    actions_.push_back(seam::Tell{seam::NoteTrace{seam::NoteTrace::Level::debug,
                                                  "all there is has arrived; letting old peers end their answers"}});
  }
  settle(now);
}

void CourseDownload::abandon() {
  for (const auto& [write, what] : writes_) {
    if (!what.is_complete) actions_.push_back(seam::AbandonPiece{write});
  }
  writes_.clear();
  for (Source& source : sources_) {
    source.write.reset();
    hang_up(source);
  }
}

seam::ReadTargets CourseDownload::next_read(seam::ConnId conn) {
  const auto id = source_of(conn);
  if (!id || !at(*id).session) return {};
  return at(*id).session->next_read();
}

std::optional<Instant> CourseDownload::next_deadline() const {
  std::optional<Instant> next;
  const auto consider = [&](std::optional<Instant> other) {
    if (other && (!next || *other < *next)) next = other;
  };
  for (const Source& source : sources_) consider(source.session ? source.session->next_deadline() : source.deadline);
  if (!drain_ends_ && download_.state() == swarm::DownloadState::running) consider(download_.next_deadline());
  if (drain_ends_ && is_anything_open()) consider(drain_ends_);
  return next;
}

CourseDownload::State CourseDownload::state() const {
  if (!writes_.empty() || blocks_at_store_ > 0) return State::running;
  switch (download_.state()) {
    case swarm::DownloadState::running:
      return State::running;
    case swarm::DownloadState::done:
      return State::complete;
    case swarm::DownloadState::incomplete:
      return State::incomplete;
  }
  return State::running;
}

std::vector<PieceIndex> CourseDownload::missing() const {
  std::vector<PieceIndex> missing;
  for (const PieceIndex first : download_.missing()) {
    missing.insert(missing.end(), places_[first.value].begin(), places_[first.value].end());
  }
  std::ranges::sort(missing);
  return missing;
}

std::vector<SourceRecord> CourseDownload::source_records() const {
  std::vector<SourceRecord> records;
  records.reserve(sources_.size());
  for (const Source& source : sources_) records.push_back(source.record);
  return records;
}

}  // namespace shoal::roles
