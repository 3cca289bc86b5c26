// The sources of a swarm download that are no BitTorrent peers: course peers, whose answers are whole pieces, and web
// seeds.
#include <algorithm>
#include <utility>

#include "base/overloaded.hpp"
#include "roles/swarm_download.hpp"

namespace shoal::roles {

using base::Instant;
using base::PieceIndex;
using swarm::Run;
using What = seam::PieceTrace::What;

// --- Course peers ---

void SwarmDownload::ask_course(SwarmLink& link, Instant now) {
  swarm::CourseSession& session = *link.course;
  const double pieces_ahead =
      link.meter.rate_bytes_per_s(now) * base::to_seconds(kCourseAhead) / manifest_.layout->piece_bytes;
  const auto depth = std::min<std::size_t>(session.request_max(), 2 + static_cast<std::size_t>(pieces_ahead));
  while (!session.has_ended() && session.outstanding() < depth && may_ask(link)) {
    const auto run = picker_.pick(link.source, now);
    if (!run) break;
    session.request(run->piece, manifest_.hash_of(run->piece), now);
    note_asked(link, whole(run->piece));
    link.meter.on_busy(now);
    context_.links.touch(link);
  }
}

void SwarmDownload::serve_course(SwarmLink& link, Instant now) {
  context_.collect(link.course->take_actions());
  for (swarm::SessionEvent& event : link.course->take_events()) on_course_event(link, std::move(event), now);
  if (link.course->outstanding() == 0) {
    link.meter.on_idle(now);
    // It has nothing (more) that we lack. Later it may: the peer book tries it again.
    if (!link.ended && !picker_.is_interesting(link.source)) link.ended = "has nothing more to give";
  }
  want_asking(link);
}

void SwarmDownload::on_course_event(SwarmLink& link, swarm::SessionEvent&& event, Instant now) {
  const auto end_answer = [&](PieceIndex piece) {
    note_answered(link, manifest_.size_of(piece));
    picker_.on_released(link.source, whole(piece), now);  // what of it has not arrived
    link.answer_bytes = 0;
    link.is_answer_unwanted = false;
  };
  std::visit(base::Overloaded{
                 [&](swarm::AnswerBegan& began) {
                   link.answer_bytes = 0;
                   const bool is_wrong = began.size_bytes != manifest_.size_of(began.piece);
                   link.is_answer_unwanted = is_wrong || picker_.verified().test(began.piece);
                   if (is_wrong) on_wrong_answer(link, began.piece);
                   if (link.is_answer_unwanted) link.course->discard(began.piece);
                 },
                 [&](swarm::PayloadArrived& payload) {
                   link.meter.on_payload(payload.bytes, now);
                   picker_.on_rate(link.source, link.meter.rate_bytes_per_s(now));
                   context_.downloaded_bytes += payload.bytes;
                   on_payload(link, payload.bytes);
                   context_.tell(seam::PayloadTrace{link.remote, payload.bytes});
                 },
                 [&](swarm::BlockArrived& block) {
                   const Run part{.piece = block.piece,
                                  .offset_bytes = static_cast<std::uint32_t>(link.answer_bytes),
                                  .size_bytes = static_cast<std::uint32_t>(block.count)};
                   link.answer_bytes += block.count;
                   if (!link.is_answer_unwanted) arrive(link.source, {part, std::move(block.buffer)}, link.remote, now);
                 },
                 [&](swarm::AnswerReceived& received) { end_answer(received.piece); },
                 [&](swarm::AnswerRefused& refused) {
                   end_answer(refused.piece);
                   picker_.on_denied(link.source, refused.piece);
                   tell_piece(What::refused, refused.piece, link.remote);
                   asks_everybody_ = true;
                 },
                 [&](swarm::WrongAnswerReceived& wrong) {
                   end_answer(wrong.piece);
                   on_wrong_answer(link, wrong.piece);
                   asks_everybody_ = true;
                 },
                 [](swarm::PipeliningWelcomed&) {},
                 [&](swarm::SessionEnded& ended) { link.ended = swarm::describe(ended.failure); },
             },
             event);
}

void SwarmDownload::on_wrong_answer(SwarmLink& link, PieceIndex piece) {
  picker_.on_denied(link.source, piece);
  tell_piece(What::mismatched, piece, link.remote);
  has_mismatched_ = true;
  if (++link.wrong_answers == kWrongAnswersMax) liars_.push_back({link.remote, {}});
}

// --- Web seeds ---

void SwarmDownload::add_web_seeds(const std::vector<std::string>& urls) {
  const auto stride = static_cast<std::uint64_t>(urls.size()) * 2;  // trackers are asked with odd numbers
  web_.reserve(urls.size());
  for (const std::string& url : urls) {
    const std::uint64_t number = web_.size() + 1;
    Web web{.source = context_.links.next_source(),
            .url = url,
            .named = {{}, static_cast<std::uint16_t>(number)},
            .seed = std::make_unique<swarm::WebSeed>(
                swarm::WebSeedOptions{.url = url, .first_fetch = number * 2, .fetch_stride = stride}, manifest_,
                context_.buffers)};
    picker_.add_source(web.source, swarm::SourceKind::blocks);
    picker_.on_has_set(web.source, base::Bitfield(manifest_.piece_count(), true));
    context_.tell(seam::SourceTrace{web.named, seam::SourceStatus::ready, {}, url});
    web_.push_back(std::move(web));
  }
}

void SwarmDownload::serve_web(Web& web, Instant now) {
  context_.collect(web.seed->take_actions());
  for (swarm::WebSeedEvent& event : web.seed->take_events()) {
    std::visit(base::Overloaded{
                   [&](swarm::RunArrived& arrived) {
                     context_.downloaded_bytes += arrived.part.size_bytes;
                     context_.tell(seam::PayloadTrace{web.named, arrived.part.size_bytes});
                     picker_.on_rate(web.source, context_.down.at_most(web.seed->rate_bytes_per_s(now)));
                     arrive(web.source, std::move(arrived), web.named, now);
                   },
                   [&](swarm::RunReleased& released) {
                     picker_.on_released(web.source, released.run, now);
                     web.next.reset();
                     asks_everybody_ = true;
                   },
                   [&](swarm::RunLacking& lacking) { picker_.on_denied(web.source, lacking.run.piece); },
                   [&](swarm::WebSeedEnded& ended) { end_web(web, ended.reason); },
               },
               event);
    if (web.is_over) return;
  }
}

void SwarmDownload::end_web(Web& web, const std::string& reason) {
  web.is_over = true;
  web.seed->stop();
  context_.collect(web.seed->take_actions());
  picker_.remove_source(web.source);
  asks_everybody_ = true;
  context_.tell(seam::SourceTrace{web.named, seam::SourceStatus::gone, reason, web.url});
  context_.note(seam::NoteTrace::Level::warning, web.url + " is not asked any more: " + reason);
}

}  // namespace shoal::roles
