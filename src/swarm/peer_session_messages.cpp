// What each message of the peer means. See peer_session.hpp.
#include <algorithm>
#include <variant>

#include "base/overloaded.hpp"
#include "swarm/peer_session.hpp"

namespace shoal::swarm {
namespace {

using base::Instant;

// In messages that bring nothing. What has to be parsed, or is long, costs more than its head.
constexpr double kExtensionsCost = 20;
constexpr double kUselessExtendedCost = 50;
constexpr double kUselessSetCost = 50;

bool is_of_fast_extension(const wire::Message& message) {
  return std::holds_alternative<wire::SuggestPiece>(message) || std::holds_alternative<wire::HaveAll>(message) ||
         std::holds_alternative<wire::HaveNone>(message) || std::holds_alternative<wire::Reject>(message) ||
         std::holds_alternative<wire::AllowedFast>(message);
}

bool tells_set(const wire::Message& message) {
  return std::holds_alternative<wire::BitfieldMessage>(message) || std::holds_alternative<wire::HaveAll>(message) ||
         std::holds_alternative<wire::HaveNone>(message);
}

// Many clients send these before their bitfield.
bool may_precede_set(const wire::Message& message) {
  return std::holds_alternative<wire::KeepAlive>(message) || std::holds_alternative<wire::Extended>(message) ||
         std::holds_alternative<wire::Unknown>(message);
}

}  // namespace

void PeerSession::on_message(const wire::Message& message, Instant now) {
  if (!std::holds_alternative<wire::Extended>(message)) output_.trace_received(message);
  if (!has_fast_ && is_of_fast_extension(message)) {
    return end(PeerFailure::bad_message, std::string(wire::name_of(message)) + " without the fast extension");
  }
  if (tells_set(message) && has_said_much_) return on_later_set(message, now);
  if (!may_precede_set(message)) has_said_much_ = true;
  std::visit(base::Overloaded{
                 [&](const wire::KeepAlive&) { spend_patience(1, "keep-alives", now); },
                 [&](const wire::Unknown&) { spend_patience(1, "messages of an unknown kind", now); },
                 [&](const wire::Interested&) { on_interest(true, now); },
                 [&](const wire::NotInterested&) { on_interest(false, now); },
                 [&](const wire::HaveAll&) { on_set(pieces_.on_all()); },
                 [&](const wire::HaveNone&) { on_set(pieces_.on_none()); },
                 [&](const wire::SuggestPiece& suggest) {
                   if (geometry_ && suggest.piece.value >= geometry_->piece_count) {
                     return end(PeerFailure::bad_message, "suggests a piece that is not of this torrent");
                   }
                   spend_patience(1, "suggestions", now);
                 },
                 [](const wire::PieceHead&) {},  // begin_block()
                 [&](const auto& other) { on(other, now); },
             },
             message);
}

void PeerSession::on(const wire::Choke&, Instant now) {
  spend_patience(1, "chokes", now);
  if (has_ended_ || is_choked_) return;
  is_choked_ = true;
  is_stalled_ = false;
  events_.push_back(PeerChoked{});
  // With BEP 6 what was asked is rejected block by block, or still comes.
  const AskedRuns::Withdrawn lost = has_fast_ ? asked_.withdraw_unsent() : asked_.withdraw_all();
  for (const wire::BlockRange& block : lost.awaited) late_.expect(block, now);
  release(lost);
  hand_over_settled(now);
}

void PeerSession::on(const wire::Unchoke&, Instant now) {
  spend_patience(1, "unchokes", now);
  if (has_ended_ || !is_choked_) return;
  is_choked_ = false;
  rejects_in_a_row_ = 0;
  events_.push_back(PeerUnchoked{});
}

void PeerSession::on_interest(bool is_interested, Instant now) {
  spend_patience(1, "changes of interest", now);
  if (has_ended_ || is_interested == is_peer_interested_) return;
  is_peer_interested_ = is_interested;
  if (is_interested) {
    events_.push_back(PeerInterested{});
  } else {
    events_.push_back(PeerNotInterested{});
  }
}

void PeerSession::on(const wire::Have& have, Instant now) {
  switch (pieces_.on_have(have.piece)) {
    case PeerPieces::Verdict::news:
      events_.push_back(PeerHas{have.piece});
      return;
    case PeerPieces::Verdict::kept:
      return;
    case PeerPieces::Verdict::nothing_new:
      return spend_patience(1, "pieces it has told of before", now);
    case PeerPieces::Verdict::wrong:
      return end(PeerFailure::bad_message, "has a piece that is not of this torrent");
    case PeerPieces::Verdict::too_many:
      return end(PeerFailure::flood, "pieces it has");
  }
}

void PeerSession::on(const wire::BitfieldMessage& field, Instant) {
  on_set(pieces_.on_bits(field.bits));
}

void PeerSession::on_set(PeerPieces::Verdict verdict) {
  if (verdict == PeerPieces::Verdict::wrong) {
    end(PeerFailure::bad_message, "has pieces that are not of this torrent");
  } else if (verdict != PeerPieces::Verdict::kept) {
    events_.push_back(PeerHasSet{pieces_.pieces()});
  }
}

// A set belongs at the beginning, but aria2 sums up many haves in one.
void PeerSession::on_later_set(const wire::Message& message, Instant now) {
  const base::Bitfield before = pieces_.pieces();
  PeerPieces::Verdict verdict = PeerPieces::Verdict::nothing_new;
  if (const auto* field = std::get_if<wire::BitfieldMessage>(&message)) {
    verdict = pieces_.on_bits(field->bits);
  } else if (std::holds_alternative<wire::HaveAll>(message)) {
    verdict = pieces_.on_all();
  }
  if (verdict == PeerPieces::Verdict::wrong) return on_set(verdict);
  if (verdict != PeerPieces::Verdict::news) return spend_patience(kUselessSetCost, "pieces it has told of before", now);
  for (std::uint32_t number = 0; number < before.size(); ++number) {
    const base::PieceIndex piece(number);
    if (pieces_.pieces().test(piece) && !before.test(piece)) events_.push_back(PeerHas{piece});
  }
}

void PeerSession::on(const wire::AllowedFast& allowed, Instant now) {
  if (geometry_ && allowed.piece.value >= geometry_->piece_count) {
    return end(PeerFailure::bad_message, "allows a piece that is not of this torrent");
  }
  if (is_allowed_fast(allowed.piece) || allowed_fast_.size() == kAllowedFastMax) {
    return spend_patience(1, "pieces it allows", now);
  }
  allowed_fast_.push_back(allowed.piece);
  if (geometry_) events_.push_back(PeerAllowsFast{allowed.piece});
}

void PeerSession::on(const wire::Reject& reject, Instant now) {
  // A cancelled block that was asked for again is answered in the order of the requests.
  if (late_.take(reject.range, now)) return;
  if (asked_.find_awaited(reject.range) == nullptr) return spend_patience(1, "rejects of what nobody asked for", now);
  asked_.settle(reject.range);
  owed_since_ = now;
  events_.push_back(RunReleased{reject.range});
  hand_over_settled(now);
  if (is_choked_) return;
  // Whoever unchokes and then refuses everything would be asked for ever.
  if (++rejects_in_a_row_ > kOurRequestsMax) end(PeerFailure::flood, "rejects");
}

void PeerSession::on(const wire::Extended& extended, Instant now) {
  const base::ByteView payload(extended.payload);
  if (!has_extensions_) {
    spend_patience(kUselessExtendedCost, "extended messages", now);
  } else if (extended.id == 0) {
    on_extensions(payload, now);
  } else if (extended.id == wire::kOurMetadataId) {
    on_metadata(payload, now);
  } else if (extended.id == wire::kOurPexId && options_.our_extensions.pex_id.value_or(0) != 0) {
    on_exchange(payload, now);
  } else {
    output_.trace_received("extended", "id " + std::to_string(extended.id));
    spend_patience(kUselessExtendedCost, "extended messages", now);
  }
}

void PeerSession::on_extensions(base::ByteView payload, Instant now) {
  output_.trace_received("extended", "handshake");
  spend_patience(kExtensionsCost, "extension handshakes", now);
  auto handshake = wire::parse_extension_handshake(payload);
  // What cannot be read costs the peer its extensions, not its pieces.
  if (has_ended_ || !handshake) return;
  if (extensions_) {
    if (!handshake->metadata_id) handshake->metadata_id = extensions_->metadata_id;
    if (!handshake->pex_id) handshake->pex_id = extensions_->pex_id;
    if (!handshake->listen_port) handshake->listen_port = extensions_->listen_port;
    if (handshake->client.empty()) handshake->client = extensions_->client;
    if (!handshake->requests_max) handshake->requests_max = extensions_->requests_max;
    if (!handshake->metadata_bytes) handshake->metadata_bytes = extensions_->metadata_bytes;
    if (!handshake->your_address) handshake->your_address = extensions_->your_address;
  }
  extensions_ = std::move(handshake);
  events_.push_back(PeerExtensions{*extensions_});
}

void PeerSession::on_metadata(base::ByteView payload, Instant now) {
  output_.trace_received("extended", "metadata");
  if (!metadata_.take(now)) return end(PeerFailure::flood, "metadata messages");
  const auto message = wire::parse_metadata_message(payload);
  if (!message) return spend_patience(kUselessExtendedCost, "metadata messages", now);
  if (const auto* request = std::get_if<wire::MetadataRequest>(&*message)) {
    // Who asks for more than it reads is told to ask later.
    if (!output_.has_room()) return send_metadata_reject(request->piece, now);
    events_.push_back(MetadataAsked{request->piece});
    return;
  }
  const auto* piece = std::get_if<wire::MetadataPiece>(&*message);
  const std::uint32_t number = piece != nullptr ? piece->piece : std::get<wire::MetadataReject>(*message).piece;
  if (std::erase(metadata_asked_, number) == 0) {
    return spend_patience(kUselessExtendedCost, "metadata nobody asked for", now);
  }
  if (piece != nullptr) {
    events_.push_back(MetadataArrived{*piece});
  } else {
    events_.push_back(MetadataRefused{number});
  }
}

void PeerSession::on_exchange(base::ByteView payload, Instant now) {
  output_.trace_received("extended", "exchange");
  if (!exchange_.take(now)) return end(PeerFailure::flood, "peers of others");
  auto message = wire::parse_pex_message(payload);
  if (!message) return spend_patience(kUselessExtendedCost, "peers of others", now);
  events_.push_back(PeersTold{std::move(*message)});
}

void PeerSession::spend_patience(double amount, std::string_view on_what, Instant now) {
  if (!patience_.take(now, amount)) end(PeerFailure::flood, std::string(on_what));
}

}  // namespace shoal::swarm
