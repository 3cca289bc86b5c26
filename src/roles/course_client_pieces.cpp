// The half of CourseDownload that moves pieces: from decisions to requests, and from answers to the store.
#include <iterator>

#include "base/check.hpp"
#include "base/overloaded.hpp"
#include "roles/course_client_download.hpp"

namespace shoal::roles {

using base::Instant;
using base::PieceIndex;
using swarm::SourceId;
using What = seam::PieceTrace::What;

// After every event: sessions that waited for a buffer go on, and what can be asked now is asked.
void CourseDownload::settle(Instant now) {
  for (std::uint32_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i].session || !sources_[i].session->waits_for_buffer()) continue;
    sources_[i].session->on_buffer_available(now);
    serve_session(SourceId(i), now);
  }
  if (drain_ends_ || download_.state() != swarm::DownloadState::running) return;
  for (const swarm::Request& request : download_.take_requests(now)) ask(request, now);
}

void CourseDownload::ask(const swarm::Request& request, Instant now) {
  Source& source = at(request.source);
  tell_piece(What::requested, request.piece, source);
  if (source.session) {
    source.session->request(request.piece, plan_.manifest.hash_of(request.piece), now);
    serve_session(request.source, now);
    return;
  }
  source.asked_dormant.push_back(request.piece);
  if (source.link == Link::dormant) dial(request.source, now);
}

void CourseDownload::serve_session(SourceId id, Instant now) {
  seam::Actions actions = at(id).session->take_actions();
  actions_.insert(actions_.end(), std::make_move_iterator(actions.begin()), std::make_move_iterator(actions.end()));
  for (swarm::SessionEvent& event : at(id).session->take_events()) on_session_event(id, std::move(event), now);
  const Source& source = at(id);
  if (drain_ends_ && source.session && source.session->outstanding() == 0) hang_up(at(id));
}

void CourseDownload::on_session_event(SourceId id, swarm::SessionEvent&& event, Instant now) {
  Source& source = at(id);
  std::visit(base::Overloaded{
                 [&](swarm::AnswerBegan& began) { on_answer_began(id, began, now); },
                 [&](swarm::PayloadArrived& payload) {
                   download_.on_payload(id, payload.bytes, now);
                   actions_.push_back(seam::Tell{seam::PayloadTrace{source.record.endpoint, payload.bytes}});
                 },
                 [&](swarm::BlockArrived& block) { on_block(source, block); },
                 [&](swarm::AnswerReceived& received) { on_answer_received(id, received.piece, now); },
                 [&](swarm::AnswerRefused& refused) {
                   source.record.refused.push_back(refused.piece);
                   tell_piece(What::refused, refused.piece, source);
                   download_.on_piece_refused(id, refused.piece, now);
                 },
                 [&](swarm::WrongAnswerReceived& wrong) {
                   download_.on_piece_received(id, wrong.piece, now);
                   on_wrong_bytes(id, wrong.piece, now);
                 },
                 [&](swarm::PipeliningWelcomed&) { download_.on_queue_depth_changed(id, swarm::kPipelineMax, now); },
                 [&](swarm::SessionEnded& ended) { on_session_ended(id, ended.failure, now); },
             },
             event);
}

void CourseDownload::on_answer_began(SourceId id, const swarm::AnswerBegan& began, Instant now) {
  Source& source = at(id);
  SHOAL_CHECK(!source.write);
  if (drain_ends_ || download_.is_piece_settled(began.piece)) {
    source.session->discard(began.piece);
    return;
  }
  download_.on_piece_sized(id, began.piece, began.size_bytes, now);
  source.write = seam::WriteId(next_write_++);
  writes_.emplace(*source.write, Write{.source = id, .piece = began.piece, .size_bytes = began.size_bytes});
  actions_.push_back(seam::BeginPiece{*source.write, places_[began.piece.value], began.size_bytes});
}

void CourseDownload::on_block(Source& source, swarm::BlockArrived& block) {
  if (!source.write) return;
  ++blocks_at_store_;
  std::uint64_t& stored_bytes = writes_.at(*source.write).stored_bytes;
  actions_.push_back(seam::StoreBlock{*source.write, std::move(block.buffer), block.count, stored_bytes});
  stored_bytes += block.count;
}

void CourseDownload::on_answer_received(SourceId id, PieceIndex piece, Instant now) {
  Source& source = at(id);
  if (source.write) {
    writes_.at(*source.write).is_complete = true;
    actions_.push_back(seam::CompletePiece{*source.write});
    source.write.reset();
  } else {
    tell_piece(What::dropped, piece, source);
  }
  download_.on_piece_received(id, piece, now);
}

void CourseDownload::on_wrong_bytes(SourceId id, PieceIndex piece, Instant now) {
  Source& source = at(id);
  source.record.wrong.push_back(piece);
  tell_piece(What::mismatched, piece, source);
  if (!download_.is_piece_settled(piece)) download_.on_piece_mismatched(id, piece, now);
}

void CourseDownload::on_verified(seam::WriteId write, Instant now) {
  const auto found = writes_.find(write);
  if (found == writes_.end()) return;
  const Write done = found->second;
  writes_.erase(found);
  if (download_.is_piece_settled(done.piece)) return;
  Source& source = at(done.source);
  ++source.record.pieces_verified;
  tell_piece(What::verified, done.piece, source, done.size_bytes);
  download_.on_piece_verified(done.source, done.piece, now);
  // Whoever is giving it a second time need not be stored.
  for (Source& other : sources_) {
    if (!other.write || writes_.at(*other.write).piece != done.piece) continue;
    abandon_write(other);
    other.session->discard(done.piece);
  }
}

void CourseDownload::on_mismatched(seam::WriteId write, Instant now) {
  const auto found = writes_.find(write);
  if (found == writes_.end()) return;
  const Write done = found->second;
  writes_.erase(found);
  on_wrong_bytes(done.source, done.piece, now);
}

void CourseDownload::abandon_write(Source& source) {
  if (!source.write) return;
  actions_.push_back(seam::AbandonPiece{*source.write});
  writes_.erase(*source.write);
  source.write.reset();
}

void CourseDownload::tell_source(const Source& source, seam::SourceStatus status, std::string reason) {
  actions_.push_back(seam::Tell{seam::SourceTrace{source.record.endpoint, status, std::move(reason), {}}});
}

void CourseDownload::tell_piece(What what, PieceIndex piece, const Source& source, std::uint64_t bytes) {
  actions_.push_back(seam::Tell{seam::PieceTrace{what, piece, source.record.endpoint, bytes}});
}

}  // namespace shoal::roles
