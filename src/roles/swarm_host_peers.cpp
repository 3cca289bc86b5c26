// The half of SwarmHost that hears what BitTorrent peers say.
#include <algorithm>
#include <utility>

#include "base/overloaded.hpp"
#include "roles/swarm_host_machine.hpp"

namespace shoal::roles {

using base::Endpoint;
using base::Instant;
using swarm::PeerFailure;
using swarm::PeerProtocol;

void SwarmHost::on_peer_event(SwarmLink& link, swarm::PeerEvent&& event, Instant now) {
  std::visit(base::Overloaded{
                 [&](swarm::PeerReady& ready) { on_ready(link, ready, now); },
                 [&](swarm::PeerHas& has) {
                   download_->on_has(link, has.piece, now);
                   if (is_pointless(link)) link.ended = "has everything, as we do";
                 },
                 [&](swarm::PeerHasSet& has) {
                   download_->on_has_set(link, has.pieces, now);
                   if (is_pointless(link)) link.ended = "has everything, as we do";
                 },
                 [&](swarm::PeerChoked&) {},
                 [&](swarm::PeerUnchoked&) {},
                 [&](swarm::PeerInterested&) { uploads_.on_interested(link, now); },
                 [&](swarm::PeerNotInterested&) {
                   uploads_.on_not_interested(link, now);
                   if (is_pointless(link)) link.ended = "has everything, as we do";
                 },
                 [&](swarm::PeerAllowsFast& allowed) { download_->on_allows_fast(link, allowed.piece); },
                 [&](swarm::PeerExtensions& extensions) { on_extensions(link, extensions.handshake, now); },
                 [&](swarm::PayloadSeen& seen) {
                   context_.downloaded_bytes += seen.bytes;
                   download_->on_payload(link, seen.bytes);
                   context_.tell(seam::PayloadTrace{link.remote, seen.bytes});
                 },
                 [&](swarm::RunArrived& arrived) { download_->on_run_arrived(link, std::move(arrived), now); },
                 [&](swarm::RunReleased& released) { download_->on_run_released(link, released.run, now); },
                 [&](swarm::PeerRequested&) { uploads_.serve(link, now); },
                 [&](swarm::MetadataAsked& asked) { on_metadata_asked(link, asked.piece, now); },
                 [&](swarm::MetadataArrived& arrived) {
                   metadata_.on_piece(link.source, arrived.piece, now);
                   advance_metadata(now);
                 },
                 [&](swarm::MetadataRefused& refused) {
                   metadata_.on_refused(link.source, refused.piece, now);
                   advance_metadata(now);
                 },
                 [&](swarm::PeersTold& told) { search_.on_peers_told(link, told.message, now); },
                 [&](swarm::PeerEnded& ended) { on_peer_ended(link, ended, now); },
             },
             event);
}

void SwarmHost::on_ready(SwarmLink& link, const swarm::PeerReady& ready, Instant now) {
  link.is_ready = true;
  link.peer_id = ready.peer_id;
  if (is_banned_here({link.remote, link.peer_id})) return lose(link, "gave wrong bytes before", now);
  if (SwarmLink* other = find_double(link)) {
    const bool is_worse = is_double_worse(link, *other, now);
    SwarmLink& kept = is_worse ? *other : link;
    SwarmLink& lost = is_worse ? link : *other;
    // The book counts all addresses as connected as long as one connection stands.
    for (const Endpoint& address : std::exchange(lost.addresses, {})) {
      search_.book().on_connected(address, now);
      kept.addresses.push_back(address);
    }
    lose(lost, "is connected already", now);
    if (is_worse) return;
  }
  for (const Endpoint& address : link.addresses) search_.book().on_connected(address, now);
  context_.tell_source(link.remote, seam::SourceStatus::ready);
  if (download_) download_->add(link, now);
  search_.introduce(link, now);
}

void SwarmHost::on_extensions(SwarmLink& link, const wire::ExtensionHandshake& handshake, Instant now) {
  link.is_upload_only = handshake.is_upload_only;
  if (!link.is_dialled && link.addresses.empty() && handshake.listen_port && *handshake.listen_port != 0) {
    link.addresses.push_back({link.remote.address, *handshake.listen_port});
    search_.book().on_connected(link.addresses.front(), now);
  }
  if (phase_ == Phase::getting_metadata) {
    const bool has_metadata = handshake.metadata_id.value_or(0) != 0 && handshake.metadata_bytes;
    if (has_metadata) {
      metadata_.add_peer(link.source, *handshake.metadata_bytes, now);
    } else {
      metadata_.remove_peer(link.source, now);
    }
    advance_metadata(now);
  }
  if (!link.is_gone() && is_pointless(link)) link.ended = "needs nothing, as we do";
}

void SwarmHost::on_peer_ended(SwarmLink& link, const swarm::PeerEnded& ended, Instant now) {
  std::string reason(describe(ended.failure));
  if (!ended.detail.empty()) reason.append(": ").append(ended.detail);
  if (link.is_dialled && ended.failure == PeerFailure::ourselves) {
    for (const Endpoint& address : std::exchange(link.addresses, {})) search_.book().on_ourselves(address);
  }
  if (!link.is_dialled || ended.failure != PeerFailure::course_peer) return lose(link, reason, now);
  // It speaks the other protocol: the same address once more, with that.
  for (const Endpoint& address : std::exchange(link.addresses, {})) {
    search_.book().on_protocol(address, PeerProtocol::course);
    search_.book().on_seed(address, true);  // it takes nothing
    if (download_) {
      dial(address, PeerProtocol::course, now);
    } else {
      course_peers_ahead_.push_back(address);
    }
  }
  lose(link, "speaks the course protocol", now);
}

void SwarmHost::on_metadata_asked(SwarmLink& link, std::uint32_t piece, Instant now) {
  if (const auto answer = metadata_.answer(link.source, piece)) {
    link.peer->send_metadata(*answer, now);
  } else {
    link.peer->send_metadata_reject(piece, now);
  }
  context_.links.touch(link);
}

wire::ExtensionHandshake SwarmHost::our_extensions(const SwarmLink& link) const {
  wire::ExtensionHandshake handshake{.metadata_id = wire::kOurMetadataId,
                                     .pex_id = search_.uses_exchange() ? wire::kOurPexId : std::uint8_t{0},
                                     .listen_port = context_.options.listening.port,
                                     .client = "Shoal",
                                     .requests_max = static_cast<std::uint32_t>(swarm::kPeerRequestsMax),
                                     .is_upload_only = download_ && download_->is_done(),
                                     .your_address = link.remote.address};
  if (metadata_.info()) handshake.metadata_bytes = static_cast<std::uint32_t>(metadata_.info()->size());
  return handshake;
}

void SwarmHost::tell_extensions(Instant now) {
  for (const auto& [source, link] : context_.links.all()) {
    if (link->is_gone() || !link->peer) continue;
    link->peer->send_extensions(our_extensions(*link), now);
    context_.links.touch(*link);
  }
}

void SwarmHost::set_manifest(SwarmLink& link, Instant now) {
  const metainfo::Manifest& manifest = torrent().manifest;
  link.peer->set_manifest({.piece_count = manifest.piece_count(),
                           .piece_bytes = manifest.layout->piece_bytes,
                           .total_bytes = manifest.layout->total_bytes},
                          download_->picker().verified(), now);
}

}  // namespace shoal::roles
