#include "roles/swarm_search.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "wire/utp.hpp"

namespace shoal::roles {

using base::Endpoint;
using base::Instant;
using swarm::PeerOrigin;

SwarmSearch::SwarmSearch(SwarmContext& context, std::function<swarm::AnnounceStatus()> status, base::Rng rng)
    : context_(context),
      status_(std::move(status)),
      rng_(std::move(rng)),
      book_({.uses_exchange = uses_exchange(),
             .uses_local = context_.options.uses_local_discovery && !context_.is_private},
            rng_.fork()) {}

void SwarmSearch::fill_book(Instant now) {
  const SwarmHostOptions& options = context_.options;
  const std::uint16_t port = options.listening.port;
  if (!options.listening.address.is_any()) book_.add_own(options.listening);
  for (const base::Ipv4Address each : options.interfaces) book_.add_own({each, port});
  for (const Endpoint& peer : options.peers) book_.add(peer, PeerOrigin::user, now);
}

void SwarmSearch::start(std::vector<std::vector<std::string>> tracker_tiers, Instant now) {
  fill_book(now);
  const SwarmHostOptions& options = context_.options;
  announcer_.emplace(
      swarm::AnnouncerOptions{
          .info_hash = options.info_hash,
          .peer_id = options.peer_id,
          .port = options.listening.port,
          .key = static_cast<std::uint32_t>(rng_.next()),
          .tiers = std::move(tracker_tiers),
          .local = options.listening.address,
          .first_fetch = 1,
      },
      rng_.fork());
  announcer_->start(status_(), now);
  is_utp_refused_ = true;
  context_.actions.emplace_back(seam::OpenDatagram{
      .socket = seam::kUtpSocket, .local = options.listening.address, .port = options.listening.port});
  start_local(now);
  collect(now);
}

void SwarmSearch::start_local(Instant now) {
  if (!context_.options.uses_local_discovery || context_.is_private) return;
  local_.emplace(discovery::LocalPeersOptions{.interfaces = context_.options.interfaces,
                                              .info_hash = context_.options.info_hash,
                                              .port = context_.options.listening.port},
                 rng_.fork());
  local_->start(now);
}

void SwarmSearch::become_private(Instant now) {
  if (local_) {
    local_->stop();
    context_.collect(local_->take_actions());
    local_.reset();
  }
  book_.become_private();
  fill_book(now);
  for (const Endpoint& peer : std::exchange(tracker_peers_, {})) book_.add(peer, PeerOrigin::tracker, now);
}

void SwarmSearch::on_completed(Instant now) {
  if (!announcer_) return;
  announcer_->on_status(status_());
  announcer_->on_completed(now);
  collect(now);
}

void SwarmSearch::announce_soon(swarm::AnnounceReason reason, Instant now) {
  if (!announcer_) return;
  announcer_->on_status(status_());
  announcer_->announce_soon(reason, now);
  collect(now);
}

void SwarmSearch::stop(Instant now) {
  if (local_) {
    local_->stop();
    context_.collect(local_->take_actions());
    local_.reset();
  }
  if (!announcer_) return;
  if (std::exchange(is_utp_refused_, false)) context_.actions.emplace_back(seam::CloseDatagram{seam::kUtpSocket});
  announcer_->on_status(status_());
  announcer_->stop(now);
  collect(now);
}

bool SwarmSearch::is_stopped() const {
  return !announcer_ || announcer_->is_stopped();
}

bool SwarmSearch::on_event(const seam::Event& event, Instant now) {
  const auto* datagram = std::get_if<seam::DatagramArrived>(&event);
  if (datagram != nullptr && datagram->socket == seam::kUtpSocket) {
    on_utp(*datagram, now);
    return true;
  }
  const bool is_ours = (announcer_ && announcer_->on_event(event, now)) || (local_ && local_->on_event(event, now));
  if (is_ours) collect(now);
  return is_ours;
}

void SwarmSearch::on_utp(const seam::DatagramArrived& datagram, Instant now) {
  auto refusal = wire::refuse_utp(datagram.bytes);
  if (!refusal) return;
  context_.actions.emplace_back(seam::SendDatagram{seam::kUtpSocket, datagram.from, std::move(*refusal)});
  if (context_.is_private) return;
  // Programs listen for TCP on the port they send uTP from.
  book_.add(datagram.from, PeerOrigin::incoming, now, datagram.from.address);
}

void SwarmSearch::on_deadline(Instant now) {
  if (announcer_ && announcer_->next_deadline() && *announcer_->next_deadline() <= now) {
    announcer_->on_status(status_());
    announcer_->on_deadline(now);
  }
  if (local_) local_->on_deadline(now);
  collect(now);
  if (!next_news_ || now < *next_news_) return;
  next_news_.reset();
  for (const auto& [source, link] : context_.links.all()) {
    if (link->is_gone()) continue;
    if (link->tell_at && now >= *link->tell_at) tell_news(*link, now);
    next_news_ = earlier(next_news_, link->tell_at);
  }
}

void SwarmSearch::introduce(SwarmLink& link, Instant now) {
  if (!uses_exchange()) return;
  link.tell_at = now + kExchangeFirst;
  next_news_ = earlier(next_news_, link.tell_at);
}

std::optional<Instant> SwarmSearch::next_deadline() const {
  std::optional<Instant> next;
  if (announcer_) next = announcer_->next_deadline();
  if (local_) next = earlier(next, local_->next_deadline());
  return earlier(next, next_news_);
}

void SwarmSearch::collect(Instant now) {
  if (announcer_) {
    context_.collect(announcer_->take_actions());
    for (const Endpoint& peer : announcer_->take_peers()) {
      book_.add(peer, PeerOrigin::tracker, now);
      if (tracker_peers_.size() < kTrackerPeersMax) tracker_peers_.push_back(peer);
    }
  }
  if (local_) {
    context_.collect(local_->take_actions());
    for (const Endpoint& peer : local_->take_peers()) book_.add(peer, PeerOrigin::local, now);
  }
}

void SwarmSearch::on_peers_told(const SwarmLink& link, const wire::PexMessage& message, Instant now) {
  if (!uses_exchange()) return;
  for (const wire::PexPeer& peer : message.added) {
    book_.add(peer.endpoint, PeerOrigin::exchange, now, link.remote.address);
    if (peer.is_seed) book_.on_seed_told(peer.endpoint);
  }
}

std::optional<Endpoint> SwarmSearch::listening_of(const SwarmLink& link) const {
  if (!link.is_peer() || link.addresses.empty()) return std::nullopt;
  return link.addresses.front();
}

// As far as it can be known here.
bool SwarmSearch::is_reachable(base::Ipv4Address peer, base::Ipv4Address from) const {
  if (peer.is_loopback()) return from.is_loopback();
  if (context_.is_on_this_host(from)) return true;
  if (peer.is_local() && !from.is_local()) return false;
  return std::ranges::all_of(context_.options.internal_networks, [&](const base::Network& network) {
    return !network.contains(peer) || network.contains(from);
  });
}

// What changed since it was told last: who came, and who went.
void SwarmSearch::tell_news(SwarmLink& link, Instant now) {
  link.tell_at = now + kExchangeEvery;
  if (!uses_exchange() || !link.is_peer() || !link.peer->speaks_exchange()) return;
  wire::PexMessage news;
  std::set<Endpoint> connected;
  for (const auto& [source, other] : context_.links.all()) {
    if (other->is_gone() || source == link.source) continue;
    const auto endpoint = listening_of(*other);
    if (!endpoint || !is_reachable(endpoint->address, link.remote.address)) continue;
    connected.insert(*endpoint);
    if (link.told.contains(*endpoint) || news.added.size() >= kExchangePeersMax) continue;
    // Of who dialled us only its word is known that it listens there.
    news.added.push_back({.endpoint = *endpoint,
                          .is_seed = other->is_seed() || other->is_upload_only,
                          .is_reachable = other->is_dialled});
  }
  for (const Endpoint& each : link.told) {
    if (!connected.contains(each) && news.dropped.size() < kExchangePeersMax) news.dropped.push_back(each);
  }
  for (const wire::PexPeer& each : news.added) link.told.insert(each.endpoint);
  for (const Endpoint& each : news.dropped) link.told.erase(each);
  if (news.added.empty() && news.dropped.empty()) return;
  link.peer->send_pex(news, now);
  context_.links.touch(link);
}

std::string SwarmSearch::troubles() const {
  std::string text;
  if (!announcer_) return text;
  for (const swarm::Announcer::TrackerStatus& tracker : announcer_->trackers()) {
    if (tracker.is_working || tracker.trouble.empty()) continue;
    text.append(text.empty() ? "" : "; ").append(tracker.url).append(": ").append(tracker.trouble);
  }
  return text;
}

}  // namespace shoal::roles
