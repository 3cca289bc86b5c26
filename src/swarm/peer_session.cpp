#include "swarm/peer_session.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace shoal::swarm {
namespace {

using base::Instant;

// Honest peers stay far below these; at the second number, in a second, what comes costs us nothing worth counting.
constexpr double kPatienceBurst = 5000, kPatiencePerSecond = 50;
constexpr double kRefusalsBurst = 2.0 * kPeerRequestsMax, kRefusalsPerSecond = 200;
// Metadata of 64 MiB, piece by piece, is given without waiting.
constexpr double kMetadataBurst = 4096, kMetadataPerSecond = 50;
// BEP 11: at most one a minute.
constexpr double kExchangeBurst = 8, kExchangePerSecond = 1.0 / 30;

}  // namespace

std::string_view describe(PeerFailure failure) {
  switch (failure) {
    case PeerFailure::closed:
      return "closed the connection";
    case PeerFailure::not_bittorrent:
      return "does not speak BitTorrent";
    case PeerFailure::course_peer:
      return "speaks the course protocol";
    case PeerFailure::wrong_info_hash:
      return "shares something else";
    case PeerFailure::ourselves:
      return "is this host itself";
    case PeerFailure::bad_message:
      return "sent a message that cannot be right";
    case PeerFailure::flood:
      return "sent too much of what nobody needs";
    case PeerFailure::silent:
      return "was silent for too long";
  }
  return "";
}

PeerSession::PeerSession(PeerSessionOptions options, base::BufferPool& buffers)
    : options_(std::move(options)),
      output_(options_.conn, options_.remote),
      slabs_(buffers),
      patience_(kPatienceBurst, kPatiencePerSecond),
      refusals_(kRefusalsBurst, kRefusalsPerSecond),
      metadata_(kMetadataBurst, kMetadataPerSecond),
      exchange_(kExchangeBurst, kExchangePerSecond) {
  SHOAL_CHECK(buffers.buffer_bytes() >= kRunBytesMax);
  // BEP 10: how we see the other side.
  if (!options_.our_extensions.your_address) options_.our_extensions.your_address = options_.remote.address;
}

void PeerSession::start(Instant now) {
  started_at_ = now;
  received_at_ = now;
  if (options_.is_dialled) send_hello(now);
}

void PeerSession::send_hello(Instant now) {
  is_hello_sent_ = true;
  output_.send_handshake(
      {.has_extensions = true, .has_fast = true, .info_hash = options_.info_hash, .peer_id = options_.our_id}, now);
}

void PeerSession::become_ready(const wire::Handshake& handshake, Instant now) {
  has_fast_ = handshake.has_fast;
  has_extensions_ = handshake.has_extensions;
  is_ready_ = true;
  events_.push_back(PeerReady{handshake.peer_id, has_fast_, has_extensions_});
  tell_held(now);  // a bitfield has to be first
  if (has_extensions_) send_extension_handshake(now);
  if (is_interested_) output_.send(wire::Interested{}, now);
  if (!is_choking_) output_.send(wire::Unchoke{}, now);
}

// BEP 6 wants one of the three from everybody; without it nothing is as good as an empty bitfield.
void PeerSession::tell_held(Instant now) {
  if (geometry_ && !held_.is_none()) {
    if (has_fast_ && held_.is_all()) {
      output_.send(wire::HaveAll{}, now);
    } else {
      output_.send(wire::BitfieldMessage{base::Bytes(held_.bytes().begin(), held_.bytes().end())}, now);
    }
  } else if (has_fast_) {
    output_.send(wire::HaveNone{}, now);
  }
  held_ = base::Bitfield();
}

void PeerSession::send_extension_handshake(Instant now) {
  output_.send_extended(0, wire::encode(options_.our_extensions), "handshake", now);
}

void PeerSession::set_manifest(const Geometry& geometry, const base::Bitfield& held, Instant now) {
  SHOAL_CHECK(!geometry_ && held.size() == geometry.piece_count);
  if (has_ended_) return;
  geometry_ = geometry;
  const PeerPieces::Verdict verdict = pieces_.set_piece_count(geometry.piece_count);
  if (!is_ready_) {
    held_ = held;
    return;
  }
  for (std::uint32_t piece = 0; piece < held.size(); ++piece) {
    if (held.test(base::PieceIndex(piece))) output_.send(wire::Have{base::PieceIndex(piece)}, now);
  }
  if (verdict != PeerPieces::Verdict::nothing_new) on_set(verdict);
  if (has_ended_) return;
  std::erase_if(allowed_fast_, [&](base::PieceIndex piece) { return piece.value >= geometry.piece_count; });
  for (const base::PieceIndex piece : allowed_fast_) events_.push_back(PeerAllowsFast{piece});
  audit();
}

void PeerSession::on_input_ended(Instant now) {
  if (has_ended_) return;
  is_input_ended_ = true;
  advance(now);
}

void PeerSession::on_output_drained(Instant now) {
  if (has_ended_) return;
  const bool was_full = !output_.has_room();
  output_.on_drained(now);
  if (was_full && next_upload()) events_.push_back(PeerRequested{});
}

void PeerSession::on_deadline(Instant now) {
  if (has_ended_) return;
  if (!is_ready_) {
    if (now >= started_at_ + kHandshakeTimeout) end(PeerFailure::silent, "no handshake came");
    return;
  }
  if (now >= output_.last_sent() + kKeepAliveEvery) output_.send(wire::KeepAlive{}, now);
  if (const auto since = slabs_.held_since(); since && now >= *since + kSlabHeldMax) {
    leave_slab();
    slabs_.hand_over_all();
    tell_handed_over(now);
  }
  if (output_.is_overrun()) return end(PeerFailure::flood, "reads nothing of what it asks for");
  // While it is this side that does not read, nobody owes us anything.
  if (is_blocked_) return audit();
  if (now >= received_at_ + kSilenceMax) return end(PeerFailure::silent, "not even a keep-alive came");
  if (asked_.awaited_blocks() > 0) {
    if (now >= block_since_ + kBlockMax) return end(PeerFailure::silent, "no block came of what it was asked for");
    if (now >= owed_since_ + kStallMax) stall(now);
  }
  audit();
}

std::optional<Instant> PeerSession::next_deadline() const {
  if (has_ended_) return std::nullopt;
  if (!is_ready_) return started_at_ + kHandshakeTimeout;
  Instant deadline = output_.last_sent() + kKeepAliveEvery;
  if (const auto since = slabs_.held_since()) deadline = std::min(deadline, *since + kSlabHeldMax);
  if (is_blocked_) return deadline;
  deadline = std::min(deadline, received_at_ + kSilenceMax);
  if (asked_.awaited_blocks() > 0) deadline = std::min({deadline, owed_since_ + kStallMax, block_since_ + kBlockMax});
  return deadline;
}

void PeerSession::on_buffer_available(Instant now) {
  if (is_blocked_ && !has_ended_ && slabs_.free_buffers() > 0) unblock(now);
}

void PeerSession::set_interested(bool is_interested, Instant now) {
  if (has_ended_ || is_interested == is_interested_) return;
  is_interested_ = is_interested;
  if (!is_ready_) return;
  if (is_interested) {
    output_.send(wire::Interested{}, now);
  } else {
    output_.send(wire::NotInterested{}, now);
  }
}

// Whoever has a piece already learns nothing; but somebody who has everything should see that we get on.
void PeerSession::send_have(base::PieceIndex piece, Instant now) {
  if (has_ended_ || !geometry_) return;
  if (!is_ready_) return held_.set(piece);
  if (pieces_.pieces().test(piece)) {
    if (!pieces_.pieces().is_all() || has_told_seed_) return;
    has_told_seed_ = true;
  }
  output_.send(wire::Have{piece}, now);
}

void PeerSession::send_metadata_request(std::uint32_t piece, Instant now) {
  if (has_ended_ || !is_ready_ || metadata_id() == 0) return;
  if (std::ranges::find(metadata_asked_, piece) == metadata_asked_.end()) metadata_asked_.push_back(piece);
  output_.send_extended(metadata_id(), wire::encode(wire::MetadataMessage(wire::MetadataRequest{piece})),
                        "metadata request", now);
}

void PeerSession::send_metadata(const wire::MetadataPiece& piece, Instant now) {
  if (has_ended_ || !is_ready_ || metadata_id() == 0) return;
  output_.send_extended(metadata_id(), wire::encode(wire::MetadataMessage(piece)), "metadata", now);
}

void PeerSession::send_metadata_reject(std::uint32_t piece, Instant now) {
  if (has_ended_ || !is_ready_ || metadata_id() == 0) return;
  output_.send_extended(metadata_id(), wire::encode(wire::MetadataMessage(wire::MetadataReject{piece})),
                        "metadata reject", now);
}

void PeerSession::send_pex(const wire::PexMessage& message, Instant now) {
  if (has_ended_ || !is_ready_ || pex_id() == 0) return;
  output_.send_extended(pex_id(), wire::encode(message), "exchange", now);
}

void PeerSession::send_extensions(const wire::ExtensionHandshake& handshake, Instant now) {
  const auto your_address = options_.our_extensions.your_address;
  options_.our_extensions = handshake;
  if (!handshake.your_address) options_.our_extensions.your_address = your_address;
  if (!has_ended_ && is_ready_ && has_extensions_) send_extension_handshake(now);
}

bool PeerSession::is_in_torrent(const wire::BlockRange& range) const {
  if (!geometry_ || range.piece.value >= geometry_->piece_count || range.size_bytes == 0) return false;
  const std::uint64_t piece_begin = std::uint64_t{range.piece.value} * geometry_->piece_bytes;
  const std::uint64_t piece_bytes =
      std::min<std::uint64_t>(geometry_->piece_bytes, geometry_->total_bytes - piece_begin);
  return std::uint64_t{range.offset_bytes} + range.size_bytes <= piece_bytes;
}

void PeerSession::end(PeerFailure failure, std::string detail) {
  if (has_ended_) return;
  has_ended_ = true;
  is_blocked_ = false;
  phase_ = Phase::skip;
  block_room_ = {};
  scratch_.reset();
  begin_ = end_ = 0;
  gathered_ = base::Bytes();
  uploads_ = {};
  slabs_.hand_over_all();
  tell_handed_over(received_at_);
  release(asked_.withdraw_all());
  events_.push_back(PeerEnded{failure, std::move(detail)});
}

void PeerSession::audit() const {
#ifdef SHOAL_AUDIT
  asked_.audit();
  SHOAL_CHECK(asked_.awaited_blocks() <= kOurRequestsMax);
  SHOAL_CHECK(slabs_.size() <= RunSlabs::kSlabsMax);
  for (const Run& run : slabs_.runs()) SHOAL_CHECK(asked_.has_some_of(run));
  SHOAL_CHECK(uploads_.size() <= kPeerRequestsMax);
  SHOAL_CHECK(!is_choking_ || uploads_.empty());
  SHOAL_CHECK(begin_ <= end_ && end_ <= (scratch_ ? kPeerScratchBytes : 0));
  SHOAL_CHECK(!is_blocked_ || (phase_ == Phase::block && block_room_.empty()));
  SHOAL_CHECK(phase_ != Phase::block || asked_.find_awaited(block_) != nullptr);
  SHOAL_CHECK(!has_ended_ || (asked_.is_empty() && slabs_.size() == 0));
#endif
}

}  // namespace shoal::swarm
