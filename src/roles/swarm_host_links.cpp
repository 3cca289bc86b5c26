// The half of SwarmHost that makes, takes and ends connections.
#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "course/messages.hpp"
#include "roles/describe_net_error.hpp"
#include "roles/swarm_host_machine.hpp"

namespace shoal::roles {

using base::Endpoint;
using base::Instant;
using swarm::PeerProtocol;
using Stage = SwarmLink::Stage;

// --- Dialling ---

std::size_t SwarmHost::share_max() const {
  return std::max<std::size_t>(1, context_.options.connections_max * kShareNumerator / kShareDenominator);
}

bool SwarmHost::is_full(const SwarmLinks::Counts& counts) const {
  return counts.dialled + counts.accepted >= context_.options.connections_max;
}

bool SwarmHost::has_room_to_dial() const {
  if (phase_ == Phase::opening || phase_ == Phase::stopping || phase_ == Phase::over) return false;
  const SwarmLinks::Counts counts = context_.links.count();
  return !is_full(counts) && counts.dialled < share_max() && counts.dialing < context_.options.dials_at_once_max;
}

void SwarmHost::dial_more(Instant now) {
  while (has_room_to_dial()) {
    const auto next = search_.book().next(now);
    if (!next) return;
    if (is_banned_here({next->endpoint, {}})) {
      search_.book().on_failed(next->endpoint, now);
      continue;
    }
    if (next->protocol == PeerProtocol::course && !download_) {
      course_peers_ahead_.push_back(next->endpoint);
    } else {
      dial(next->endpoint, next->protocol, now);
    }
  }
}

void SwarmHost::dial(Endpoint endpoint, PeerProtocol protocol, Instant now) {
  SwarmLink& link = context_.links.add(ids_.next(), endpoint, now);
  link.is_dialled = true;
  link.protocol = protocol;
  link.deadline = now + context_.options.connect_timeout;
  link.addresses = {endpoint};
  context_.links.relist(link);
  context_.actions.emplace_back(seam::Dial{link.conn, endpoint});
  context_.tell_source(endpoint, seam::SourceStatus::connecting);
}

void SwarmHost::on_connected(SwarmLink& link, Instant now) {
  SHOAL_CHECK(link.stage == Stage::dialing);
  if (link.protocol == PeerProtocol::course) {
    begin_course(link, now);
  } else {
    begin_peer(link, now);
  }
}

void SwarmHost::begin_course(SwarmLink& link, Instant now) {
  link.stage = Stage::open;
  link.deadline.reset();
  link.course = std::make_unique<swarm::CourseSession>(
      link.conn, swarm::CourseSessionOptions{.remote = link.remote, .chunk_bytes_max = metainfo::kPieceBytesMax},
      context_.buffers);
  for (const Endpoint& address : link.addresses) search_.book().on_connected(address, now);
  context_.tell_source(link.remote, seam::SourceStatus::ready);
  download_->add(link, now);
  context_.links.touch(link);
}

// --- Accepting ---

void SwarmHost::on_accepted(const seam::Accepted& event, Instant now) {
  const bool is_over = phase_ == Phase::stopping;
  if (is_over || search_.book().is_banned(event.remote.address)) {
    context_.actions.emplace_back(seam::Close{event.conn});
    return;
  }
  if (context_.links.count().unknown >= kUnknownMax) {
    const auto oldest = std::ranges::find_if(context_.links.all(),
                                             [](const auto& each) { return each.second->stage == Stage::unknown; });
    lose(*oldest->second, "said nothing while others waited", now);
  }
  SwarmLink& link = context_.links.add(event.conn, event.remote, now);
  link.local = event.local;
  link.stage = Stage::unknown;
  link.deadline = now + kFirstByteTimeout;
  context_.links.relist(link);
}

// What is here can be told in one message at the beginning only: who comes while that is being found out has to wait.
void SwarmHost::hear_those_who_waited(Instant now) {
  for (const auto& [source, link] : context_.links.all()) {
    if (link->stage != Stage::unknown) continue;
    link->deadline = now + kFirstByteTimeout;
    context_.links.relist(*link);
    context_.actions.emplace_back(seam::ResumeReading{link->conn});
  }
}

void SwarmHost::on_first_byte(SwarmLink& link, Instant now) {
  if (first_byte_ == std::byte{course::kVersion}) {
    context_.links.forget(link);
    uploads_.accept_course({link.conn, link.local, link.remote}, first_byte_, now);
    return;
  }
  if (first_byte_ != wire::kHandshakeFirstByte) return lose(link, "speaks neither protocol", now);
  if (const auto reason = why_no_room_for(link)) return lose(link, *reason, now);
  begin_peer(link, now);
  const seam::ReadTargets targets = link.peer->next_read();
  const std::span<std::byte> target = targets.spans[0].empty() ? targets.spans[1] : targets.spans[0];
  SHOAL_CHECK(!target.empty());
  target[0] = first_byte_;
  link.peer->on_bytes(1, now);
}

std::optional<std::string> SwarmHost::why_no_room_for(const SwarmLink& accepted) const {
  const SwarmLinks::Counts counts = context_.links.count();
  if (is_full(counts) || counts.accepted >= share_max()) return "is one connection too many";
  const base::Ipv4Address from = accepted.remote.address;
  if (!from.is_loopback() && context_.links.count_accepted_from(from) >= kAcceptedPerAddressMax) {
    return "is one connection too many from one address";
  }
  return std::nullopt;
}

void SwarmHost::begin_peer(SwarmLink& link, Instant now) {
  link.stage = Stage::open;
  link.deadline.reset();
  link.peer = std::make_unique<swarm::PeerSession>(swarm::PeerSessionOptions{.conn = link.conn,
                                                                             .remote = link.remote,
                                                                             .is_dialled = link.is_dialled,
                                                                             .info_hash = context_.options.info_hash,
                                                                             .our_id = context_.options.peer_id,
                                                                             .our_extensions = our_extensions(link)},
                                                   context_.buffers);
  link.peer->start(now);
  if (download_) set_manifest(link, now);
  context_.links.touch(link);
}

// --- Ending ---

void SwarmHost::on_link_deadline(SwarmLink& link, Instant now) {
  if (link.peer) {
    link.peer->on_deadline(now);
  } else if (link.course) {
    link.course->on_deadline(now);
  } else if (phase_ == Phase::opening && link.stage == Stage::unknown) {
    link.deadline.reset();  // until it is listened to
  } else if (link.deadline && now >= *link.deadline) {
    link.ended = link.stage == Stage::dialing ? describe(seam::NetError::timed_out) : "said nothing";
  }
  context_.links.touch(link);
}

void SwarmHost::lose(SwarmLink& link, const std::string& reason, Instant now) {
  if (link.peer) context_.collect(link.peer->take_actions());
  if (link.course) context_.collect(link.course->take_actions());
  context_.actions.emplace_back(seam::Close{link.conn});
  if (download_) download_->remove(link);
  uploads_.on_gone(link);
  metadata_.remove_peer(link.source, now);

  const bool was_met = link.is_ready || (link.course && link.course->answers() > 0);
  const bool needs_nothing = is_pointless(link);
  const bool was_useful = link.brought_bytes + link.taken_bytes > 0;
  for (const Endpoint& address : link.addresses) {
    if (link.is_peer()) search_.book().on_seed(address, needs_nothing || link.is_seed());
    if (was_met) {
      search_.book().on_ended(address, was_useful || needs_nothing, now);
    } else {
      // A user does not say which protocol his peer speaks.
      const auto other = link.course ? PeerProtocol::bittorrent : PeerProtocol::course;
      if (link.stage == Stage::open && is_named_by_user(address)) search_.book().on_protocol(address, other);
      search_.book().on_failed(address, now);
      note_trouble(address, reason);
    }
  }
  if (phase_ != Phase::stopping && link.is_seed() && link.taken_bytes > 0) {
    context_.note(seam::NoteTrace::Level::info, link.remote.address.to_string() + " has everything now");
  }
  if (link.stage != Stage::unknown) {
    const bool is_for_good = was_met || link.addresses.empty();
    context_.tell_source(link.remote, is_for_good ? seam::SourceStatus::gone : seam::SourceStatus::waiting_to_retry,
                         reason);
  }
  context_.links.forget(link);
}

// Kept for the end; of those a user named he hears at once, but not again and again.
void SwarmHost::note_trouble(Endpoint address, const std::string& reason) {
  const bool is_new = std::exchange(troubles_[address], reason) != reason;
  if (is_new && is_named_by_user(address) && phase_ != Phase::stopping) {
    context_.note(seam::NoteTrace::Level::info, address.to_string() + ": " + reason + "; trying again");
  }
  if (troubles_.size() > kTroublesTold) troubles_.erase(troubles_.begin());
}

bool SwarmHost::is_named_by_user(Endpoint endpoint) const {
  return std::ranges::find(context_.options.peers, endpoint) != context_.options.peers.end();
}

// Two who both need nothing have nothing to say to each other.
bool SwarmHost::is_pointless(const SwarmLink& link) const {
  if (!link.is_peer() || !download_ || !download_->is_done()) return false;
  if (link.is_seed() && download_->is_everything_verified()) return true;
  return link.is_upload_only && !link.peer->is_peer_interested() && !download_->picker().is_interesting(link.source);
}

void SwarmHost::lose_pointless(Instant now) {
  for (const auto& [source, link] : context_.links.all()) {
    if (link->is_gone()) continue;
    if (link->course) context_.links.touch(*link);
    if (is_pointless(*link)) lose(*link, "has everything, as we do", now);
  }
}

// When every place is taken that others want, who has been of no use for a while leaves his.
void SwarmHost::make_room(Instant now) {
  const auto next_dial = search_.book().next_deadline();
  const SwarmLinks::Counts counts = context_.links.count();
  const bool lacks_dialled = counts.dialled >= share_max() && next_dial && *next_dial <= now;
  const bool lacks_accepted = counts.accepted >= share_max();
  const bool lacks_any = is_full(counts);
  if (!lacks_dialled && !lacks_accepted && !lacks_any) return;
  for (const auto& [source, link] : context_.links.all()) {
    if (link->is_gone() || !link->is_peer() || now - link->since < kUselessFor) continue;
    const bool has_wanted_place = lacks_any || (link->is_dialled ? lacks_dialled : lacks_accepted);
    if (has_wanted_place && !is_of_use(*link, now)) return lose(*link, "neither gives nor takes, and others wait", now);
  }
}

// Whoever is interested and takes nothing when it may only says so.
bool SwarmHost::is_of_use(const SwarmLink& link, Instant now) const {
  return (link.peer->is_peer_interested() && SwarmUploads::offered_in_vain(link, now) < kUselessFor) ||
         (download_ && link.is_source && download_->picker().is_interesting(link.source));
}

// By its address, whatever port it comes from; on this host, where that is everybody's, by what else is known of it.
void SwarmHost::ban(const Liar& liar, Instant now) {
  const bool is_here = liar.remote.address.is_loopback();
  if (search_.book().is_banned(liar.remote.address) || is_banned_here(liar)) return;
  if (is_here) {
    banned_here_.push_back(liar);
    if (banned_here_.size() > kBannedHereMax) banned_here_.pop_front();
  } else {
    search_.book().ban(liar.remote.address);
  }
  context_.note(seam::NoteTrace::Level::warning, (is_here ? liar.remote.to_string() : liar.remote.address.to_string()) +
                                                     " gave wrong bytes and is not asked any more");
  for (const auto& [source, link] : context_.links.all()) {
    if (link->is_gone()) continue;
    const bool is_it =
        is_here ? is_banned_here({link->remote, link->peer_id}) : link->remote.address == liar.remote.address;
    if (is_it) lose(*link, "gave wrong bytes", now);
  }
}

bool SwarmHost::is_banned_here(const Liar& who) const {
  return std::ranges::any_of(banned_here_, [&](const Liar& liar) {
    return liar.remote == who.remote || (liar.peer_id == who.peer_id && who.peer_id != wire::PeerId{});
  });
}

// Another connection to the same peer. Anybody can say an id that he heard from somebody else, so it has to come from
// the same address, too; a peer with several is met at each.
SwarmLink* SwarmHost::find_double(const SwarmLink& link) const {
  const auto found = std::ranges::find_if(context_.links.all(), [&](const auto& entry) {
    const SwarmLink& other = *entry.second;
    if (&other == &link || other.is_gone() || !other.is_ready || other.peer_id != link.peer_id) return false;
    return other.remote.address == link.remote.address ||
           (context_.is_on_this_host(other.remote.address) && context_.is_on_this_host(link.remote.address));
  });
  return found == context_.links.all().end() ? nullptr : found->second.get();
}

// Of two connections to one peer the older one stays. But two hosts that dial each other at the same time see them come
// in different orders, and must not each end another one: of those the one stays that the higher id has dialled.
bool SwarmHost::is_double_worse(const SwarmLink& link, const SwarmLink& other, Instant now) const {
  const bool have_crossed = link.is_dialled != other.is_dialled && now - other.since < kDoubleWindow;
  if (!have_crossed) return link.since >= other.since;
  return link.is_dialled != (context_.options.peer_id > link.peer_id);
}

}  // namespace shoal::roles
