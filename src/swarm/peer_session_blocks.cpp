// Asking for blocks and giving them. See peer_session.hpp.
#include <algorithm>

#include "base/check.hpp"
#include "swarm/peer_session.hpp"

namespace shoal::swarm {

using base::Instant;

std::size_t PeerSession::requests_max() const {
  if (!extensions_ || !extensions_->requests_max) return kUsualRequestsMax;
  return std::clamp<std::size_t>(*extensions_->requests_max, 1, kOurRequestsMax);
}

bool PeerSession::is_allowed_fast(base::PieceIndex piece) const {
  return std::ranges::find(allowed_fast_, piece) != allowed_fast_.end();
}

// Brings a run in less time than a slab may be held.
bool PeerSession::is_fast_link(Instant now) const {
  static constexpr double kRunsPerSecondMin = 1 / std::chrono::duration<double>(kSlabHeldMax).count();
  return window_.rate_bytes_per_s(now) >= kRunBytesMax * kRunsPerSecondMin;
}

std::uint64_t PeerSession::room_bytes(Instant now) const {
  if (has_ended_ || !is_ready_ || !geometry_ || is_choked_) return 0;
  const std::uint64_t wanted = std::min<std::uint64_t>(window_.bytes(now), requests_max() * wire::kBlockBytes);
  const std::uint64_t asked = asked_.bytes();
  if (is_stalled_) return asked == 0 ? wire::kBlockBytes : 0;
  // A peer whose queue is shorter than four blocks is asked for more than fits; the rest waits here.
  const std::uint64_t room = std::max(wanted, kWindowBytesMin) - std::min(std::max(wanted, kWindowBytesMin), asked);
  return room < wire::kBlockBytes ? 0 : room;
}

void PeerSession::request(const Run& run, Instant now) {
  SHOAL_CHECK(is_in_torrent(run) && run.size_bytes <= kRunBytesMax && run.offset_bytes % wire::kBlockBytes == 0);
  if (has_ended_ || !is_ready_ || (is_choked_ && !is_allowed_fast(run.piece))) {
    events_.push_back(RunReleased{run});
    return;
  }
  asked_.add(run);
  if (is_stalled_) release(asked_.withdraw_all_but(asked_.first()));
  send_requests(now);
  audit();
}

// It may be slow, or have many others to give to, or have lost what it was asked. Others can have everything but one
// block, which is asked for again: as long as the peer is silent it shows whether it gives.
void PeerSession::stall(Instant now) {
  const bool is_coming = phase_ == Phase::block;
  // It should have rejected what it will not give.
  if (is_choked_ && !is_coming) return take_back(asked_.withdraw_all(), now);
  is_stalled_ = true;
  owed_since_ = now;
  const wire::BlockRange kept = is_coming ? block_ : asked_.first();
  take_back(asked_.withdraw_all_but(kept), now);
  if (is_coming) return;
  output_.send(wire::Cancel{kept}, now);
  output_.send(wire::Request{kept}, now);
  late_.expect(kept, now);
}

void PeerSession::send_requests(Instant now) {
  const bool was_owed = asked_.awaited_blocks() > 0;
  for (const wire::BlockRange& block : asked_.take_unsent(requests_max(), now)) output_.send(wire::Request{block}, now);
  if (asked_.awaited_blocks() == 0) return window_.on_idle(now);
  window_.on_busy(now);
  if (!was_owed) owed_since_ = block_since_ = now;
}

void PeerSession::cancel(const Run& range, Instant now) {
  if (has_ended_) return;
  const AskedRuns::Withdrawn withdrawn = asked_.withdraw(range);
  for (const wire::BlockRange& block : withdrawn.awaited) {
    if (phase_ == Phase::block && block == block_) {
      abandon_block();
    } else {
      output_.send(wire::Cancel{block}, now);
      late_.expect(block, now);
    }
  }
  release(withdrawn);
  hand_over_settled(now);
  send_requests(now);
  if (is_blocked_ && phase_ == Phase::skip) unblock(now);
  audit();
}

// What was sent may come all the same.
void PeerSession::take_back(const AskedRuns::Withdrawn& withdrawn, Instant now) {
  for (const wire::BlockRange& block : withdrawn.awaited) {
    output_.send(wire::Cancel{block}, now);
    late_.expect(block, now);
  }
  release(withdrawn);
  hand_over_settled(now);
}

void PeerSession::release(const AskedRuns::Withdrawn& withdrawn) {
  for (const Run& part : withdrawn.parts) events_.push_back(RunReleased{part});
}

void PeerSession::hand_over_settled(Instant now) {
  for (const Run& run : slabs_.runs()) {
    if (!asked_.has_some_of(run)) slabs_.hand_over(run);
  }
  tell_handed_over(now);
}

void PeerSession::tell_handed_over(Instant now) {
  RunSlabs::HandedOver handed_over = slabs_.take_handed_over();
  if (!handed_over.arrived.empty()) report_payload(now);
  for (RunArrived& arrived : handed_over.arrived) events_.push_back(std::move(arrived));
  for (const Run& lost : handed_over.lost) events_.push_back(RunReleased{lost});
}

void PeerSession::report_payload(Instant now) {
  if (payload_bytes_ == 0) return;
  window_.on_payload(payload_bytes_, now);
  events_.push_back(PayloadSeen{std::exchange(payload_bytes_, 0)});
}

void PeerSession::set_choking(bool is_choking, Instant now) {
  if (has_ended_ || is_choking == is_choking_) return;
  is_choking_ = is_choking;
  if (!is_ready_) return;
  if (!is_choking) return output_.send(wire::Unchoke{}, now);
  output_.send(wire::Choke{}, now);
  for (const wire::BlockRange& range : std::exchange(uploads_, {})) {
    if (has_fast_) output_.send(wire::Reject{range}, now);
  }
}

void PeerSession::on(const wire::Request& request, Instant now) {
  if (request.range.size_bytes > wire::kRequestBytesMax || (geometry_ && !is_in_torrent(request.range))) {
    return end(PeerFailure::bad_message, "asks for what is not of this torrent, or for too much at once");
  }
  if (!geometry_ || is_choking_ || uploads_.size() == kPeerRequestsMax) return refuse(request.range, now);
  uploads_.push_back(request.range);
  const bool is_told = !events_.empty() && std::holds_alternative<PeerRequested>(events_.back());
  if (!is_told) events_.push_back(PeerRequested{});
}

void PeerSession::refuse(const wire::BlockRange& range, Instant now) {
  if (!refusals_.take(now)) return end(PeerFailure::flood, "requests");
  if (has_fast_) output_.send(wire::Reject{range}, now);
}

void PeerSession::on(const wire::Cancel& cancel, Instant now) {
  const auto found = std::ranges::find(uploads_, cancel.range);
  // Sent already.
  if (found == uploads_.end()) return spend_patience(1, "cancels of what it has not asked for", now);
  uploads_.erase(found);
  if (has_fast_) output_.send(wire::Reject{cancel.range}, now);
}

std::optional<wire::BlockRange> PeerSession::next_upload() const {
  if (uploads_.empty() || !output_.has_room()) return std::nullopt;
  return uploads_.front();
}

void PeerSession::send_block(const seam::ReadablePiecePtr& piece, Instant now) {
  SHOAL_CHECK(piece && next_upload());
  const wire::BlockRange range = uploads_.front();
  // The file was cut short since the piece was verified.
  if (std::uint64_t{range.offset_bytes} + range.size_bytes > piece->size_bytes()) return reject_upload(now);
  uploads_.pop_front();
  output_.send_block(range, piece, now);
}

void PeerSession::reject_upload(Instant now) {
  SHOAL_CHECK(next_upload());
  if (has_fast_) output_.send(wire::Reject{uploads_.front()}, now);
  uploads_.pop_front();
}

}  // namespace shoal::swarm
