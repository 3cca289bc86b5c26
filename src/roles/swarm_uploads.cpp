#include "roles/swarm_uploads.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/overloaded.hpp"
#include "roles/name_files.hpp"

namespace shoal::roles {

using base::Instant;

SwarmUploads::SwarmUploads(SwarmContext& context, base::Rng rng)
    : context_(context),
      slots_(swarm::UploadSlotsOptions{}, std::move(rng)),
      bucket_(context.options.limit_up_bytes_per_s),
      server_({.server = {.serves = course::MessageType::get_chunk, .welcomes_pipelining = true},
               .connections_max = context.options.course_clients_max,
               .per_address_max = kCoursePerAddressMax}) {}

void SwarmUploads::begin(const metainfo::Manifest& manifest, const base::Bitfield& verified) {
  manifest_ = &manifest;
  verified_ = &verified;
}

void SwarmUploads::on_interested(SwarmLink& link, Instant now) {
  if (link.peer->is_choking() && slots_.take_free_slot(link.source, link.remote.address.is_local()))
    choke(link, false, now);
}

void SwarmUploads::on_not_interested(SwarmLink& link, Instant now) {
  slots_.on_gone(link.source);
  choke(link, true, now);
}

void SwarmUploads::on_gone(SwarmLink& link) {
  slots_.on_gone(link.source);
}

void SwarmUploads::choke(SwarmLink& link, bool is_choking, Instant now) {
  if (link.peer->is_choking() == is_choking) return;
  if (is_choking) link.offered_before = offered_in_vain(link, now);
  link.offered_at = now;
  link.peer->set_choking(is_choking, now);
  context_.links.touch(link);
}

base::Duration SwarmUploads::offered_in_vain(const SwarmLink& link, Instant now) {
  if (link.peer->is_choking() || link.peer->is_peer_taking()) return link.offered_before;
  return link.offered_before + (now - link.offered_at);
}

void SwarmUploads::review(Instant now) {
  const double seconds = last_review_ ? base::to_seconds(now - *last_review_) : 0;
  const auto rate = [&](std::uint64_t bytes) { return seconds > 0 ? static_cast<double>(bytes) / seconds : 0; };
  std::vector<swarm::UploadCandidate> candidates;
  for (const auto& [source, link] : context_.links.all()) {
    if (link->is_gone() || !link->is_peer()) continue;
    candidates.push_back(
        {.peer = source,
         .is_interested = link->peer->is_peer_interested(),
         .gives_bytes_per_s = rate(link->brought_bytes - std::exchange(link->brought_before, link->brought_bytes)),
         .takes_bytes_per_s = rate(link->taken_bytes - std::exchange(link->taken_before, link->taken_bytes)),
         .is_new = std::exchange(link->is_new, false),
         .is_local = link->remote.address.is_local()});
  }
  last_review_ = now;
  std::vector<swarm::SourceId> unchoked = slots_.review(candidates, is_seeding_, now).unchoked;
  std::ranges::sort(unchoked);
  for (const swarm::UploadCandidate& candidate : candidates) {
    choke(*context_.links.find(candidate.peer), !std::ranges::binary_search(unchoked, candidate.peer), now);
  }
}

void SwarmUploads::serve(SwarmLink& link, Instant now) {
  if (manifest_ == nullptr || !link.is_peer() || link.awaits_lookup || link.awaits_tokens) return;
  while (const auto range = link.peer->next_upload()) {
    if (!give_block(link, *range, now)) return;
  }
}

bool SwarmUploads::give_block(SwarmLink& link, const wire::BlockRange& range, Instant now) {
  const bool is_ours = range.piece.value < verified_->size() && verified_->test(range.piece) &&
                       std::uint64_t{range.offset_bytes} + range.size_bytes <= manifest_->size_of(range.piece);
  if (!is_ours) {
    link.peer->reject_upload(now);
    context_.links.touch(link);
    return true;
  }
  if (bucket_.available(now) == 0) {
    link.awaits_tokens = true;
    waiting_.emplace_back(link.source);
    wait_for_tokens(now);
    return false;
  }
  const base::Sha1Hash& hash = manifest_->hash_of(range.piece);
  const seam::ReadablePiecePtr piece = lookups_.find(hash, now);
  if (!piece) {
    link.awaits_lookup = true;
    lookups_.ask(hash, link.source, context_.actions);
    return false;
  }
  link.peer->send_block(piece, now);
  bucket_.take(range.size_bytes, now);
  link.taken_bytes += range.size_bytes;
  link.offered_at = now;
  link.offered_before = {};
  context_.uploaded_bytes += range.size_bytes;
  context_.tell(seam::UploadTrace{link.remote, range.size_bytes});
  context_.links.touch(link);
  return true;
}

void SwarmUploads::on_looked_up(const seam::PieceLookedUp& event, Instant now) {
  const PieceLookups::Answered answered = lookups_.on_looked_up(event, now);
  if (!event.piece) note_loss(answered.hash, now);
  for (const PieceLookups::Waiter& waiter : answered.waiters) {
    if (const auto* question = std::get_if<Question>(&waiter)) {
      answer(*question, event.piece, now);
      continue;
    }
    SwarmLink* link = context_.links.find(std::get<swarm::SourceId>(waiter));
    if (link == nullptr) continue;
    link->awaits_lookup = false;
    if (!event.piece) reject(*link, answered.hash, now);
    serve(*link, now);
  }
}

// The piece cannot be given any more: whatever the peer asks of it next.
void SwarmUploads::reject(SwarmLink& link, const base::Sha1Hash& hash, Instant now) {
  if (manifest_ == nullptr || !link.is_peer()) return;
  for (auto range = link.peer->next_upload(); range && manifest_->hash_of(range->piece) == hash;
       range = link.peer->next_upload()) {
    link.peer->reject_upload(now);
    context_.links.touch(link);
  }
}

// Whoever asked. What we never had is no loss: of any number of such questions one a second is looked into.
void SwarmUploads::note_loss(const base::Sha1Hash& hash, Instant now) {
  if (manifest_ == nullptr || has_noted_loss_ || now < next_loss_search_) return;
  next_loss_search_ = now + std::chrono::seconds(1);
  const auto found = std::ranges::find(manifest_->pieces, hash);
  const base::PieceIndex piece(static_cast<std::uint32_t>(found - manifest_->pieces.begin()));
  if (found == manifest_->pieces.end() || !verified_->test(piece)) return;
  has_noted_loss_ = true;
  const bool is_folder = manifest_->layout && manifest_->layout->is_folder;
  const std::string of = is_folder ? " (of " + name_files_with(*manifest_->layout, {piece}) + ")" : "";
  context_.note(
      seam::NoteTrace::Level::warning,
      "piece " + std::to_string(piece.value) + " of " + manifest_->name + of +
          " and perhaps others were changed since, or cannot be read: they are not given as long as that is so; "
          "start this again to give what is there now");
}

void SwarmUploads::accept_course(const seam::Accepted& accepted, std::byte first, Instant now) {
  server_.on_accepted(accepted);
  server_.on_first_bytes(accepted.conn, {&first, 1}, now);
  take_questions(now);
}

void SwarmUploads::on_event(const seam::Event& event, Instant now) {
  std::visit(base::Overloaded{
                 [&](const seam::BytesArrived& arrived) { server_.on_bytes_arrived(arrived, now); },
                 [&](const seam::InputEnded& ended) { server_.on_input_ended(ended, now); },
                 [&](const seam::OutputDrained& drained) { server_.on_output_drained(drained, now); },
                 [&](const seam::ConnectionLost& lost) { server_.on_connection_lost(lost); },
                 [&](const seam::PieceLookedUp& looked_up) { on_looked_up(looked_up, now); },
                 [](const auto&) {},
             },
             event);
  take_questions(now);
}

void SwarmUploads::stop(Instant now) {
  manifest_ = nullptr;
  waiting_.clear();
  tokens_at_.reset();
  server_.on_stop_requested(now);
  take_questions(now);
}

// An answer makes room on its connection for the next question.
void SwarmUploads::take_questions(Instant now) {
  for (auto questions = server_.take_questions(); !questions.empty(); questions = server_.take_questions()) {
    for (const Question& question : questions) {
      const seam::ReadablePiecePtr piece = manifest_ != nullptr ? lookups_.find(question.hash, now) : nullptr;
      if (piece || manifest_ == nullptr) {
        answer(question, piece, now);
      } else {
        lookups_.ask(question.hash, question, context_.actions);
      }
    }
  }
  context_.collect(std::exchange(server_.actions(), {}));
}

void SwarmUploads::answer(const Question& question, const seam::ReadablePiecePtr& piece, Instant now) {
  if (piece && bucket_.available(now) == 0) {
    waiting_.emplace_back(CourseAnswer{question, piece});
    wait_for_tokens(now);
    return;
  }
  if (piece) {
    bucket_.take(piece->size_bytes(), now);
    context_.uploaded_bytes += piece->size_bytes();
    context_.tell(seam::UploadTrace{question.remote, piece->size_bytes()});
  }
  server_.on_piece_looked_up(question.request, piece, now);
}

void SwarmUploads::wait_for_tokens(Instant now) {
  tokens_at_ = waiting_.empty() ? std::nullopt : std::optional(bucket_.available_at(now));
}

void SwarmUploads::serve_those_who_wait(Instant now) {
  for (std::size_t left = waiting_.size(); left > 0 && bucket_.available(now) > 0; --left) {
    const auto waiter = std::move(waiting_.front());
    waiting_.pop_front();
    if (const auto* course = std::get_if<CourseAnswer>(&waiter)) {
      answer(course->question, course->piece, now);
    } else if (SwarmLink* link = context_.links.find(std::get<swarm::SourceId>(waiter))) {
      link->awaits_tokens = false;
      serve(*link, now);
    }
  }
  wait_for_tokens(now);
  take_questions(now);
}

void SwarmUploads::on_deadline(Instant now) {
  server_.on_deadline_reached(now);
  if (now >= slots_.next_review()) review(now);
  if (tokens_at_ && now >= *tokens_at_) serve_those_who_wait(now);
  take_questions(now);
}

std::optional<Instant> SwarmUploads::next_deadline() const {
  const auto next = earlier(server_.next_deadline(), tokens_at_);
  const bool has_peers = std::ranges::any_of(
      context_.links.all(), [](const auto& entry) { return !entry.second->is_gone() && entry.second->is_peer(); });
  return has_peers ? earlier(next, slots_.next_review()) : next;
}

}  // namespace shoal::roles
