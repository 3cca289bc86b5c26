#include "tracker/peer_probes.hpp"

#include <algorithm>
#include <string_view>

#include "base/check.hpp"

namespace shoal::tracker {

bool PeerProbes::is_known_or_begin(base::Endpoint address, base::Instant now, seam::Actions& actions) {
  Peer& peer = peers_[address];
  if (peer.is_probe_begun) return false;
  if (peer.probed && now < *peer.probed + options_.validity) return true;
  peer.is_probe_begun = true;
  waiting_.push_back(address);
  dial_waiting(now, actions);
  return false;
}

bool PeerProbes::accepts(base::Endpoint address) const {
  const auto found = peers_.find(address);
  return found == peers_.end() || found->second.accepts;
}

base::Instant PeerProbes::known_until(base::Endpoint address, base::Instant now) const {
  const auto found = peers_.find(address);
  if (found == peers_.end() || !found->second.probed) return now;
  return *found->second.probed + options_.validity;
}

void PeerProbes::forget_old(base::Instant now) {
  std::erase_if(peers_, [&](const auto& entry) {
    const Peer& peer = entry.second;
    return !peer.is_probe_begun && (!peer.probed || *peer.probed + options_.validity + kForgetAfter < now);
  });
}

void PeerProbes::on_connected(seam::ConnId conn, base::Instant now, seam::Actions& actions) {
  const auto probe = take_probe(conn);
  if (!probe) return;
  actions.emplace_back(seam::Close{conn});
  end(probe->peer, true, now, actions);
  dial_waiting(now, actions);
}

void PeerProbes::on_connect_failed(seam::ConnId conn, seam::NetError error, base::Instant now, seam::Actions& actions) {
  const auto probe = take_probe(conn);
  if (!probe) return;
  // `other` is our own trouble, such as no descriptor left: it says nothing about the peer.
  end(probe->peer, error == seam::NetError::other, now, actions);
  dial_waiting(now, actions);
}

void PeerProbes::on_deadline_reached(base::Instant now, seam::Actions& actions) {
  while (!under_way_.empty() && under_way_.front().deadline <= now) {
    const Probe probe = under_way_.front();
    under_way_.pop_front();
    actions.emplace_back(seam::Close{probe.conn});
    end(probe.peer, false, now, actions);
  }
  dial_waiting(now, actions);
}

std::optional<base::Instant> PeerProbes::next_deadline() const {
  if (under_way_.empty()) return std::nullopt;
  return under_way_.front().deadline;
}

void PeerProbes::dial_waiting(base::Instant now, seam::Actions& actions) {
  while (!waiting_.empty() && under_way_.size() < kProbesAtOnceMax) {
    const base::Endpoint peer = waiting_.front();
    waiting_.pop_front();
    const seam::ConnId conn(next_conn_);
    next_conn_ += 2;  // odd: dialled by us
    under_way_.push_back({conn, peer, now + options_.timeout});
    actions.emplace_back(seam::Dial{conn, peer});
  }
}

std::optional<PeerProbes::Probe> PeerProbes::take_probe(seam::ConnId conn) {
  const auto found = std::ranges::find(under_way_, conn, &Probe::conn);
  if (found == under_way_.end()) return std::nullopt;
  const Probe probe = *found;
  under_way_.erase(found);
  return probe;
}

void PeerProbes::end(base::Endpoint address, bool accepts, base::Instant now, seam::Actions& actions) {
  const auto found = peers_.find(address);
  SHOAL_CHECK(found != peers_.end() && found->second.is_probe_begun);
  if (accepts != found->second.accepts) {
    const std::string_view what =
        accepts ? " accepts connections again" : " accepts no connections: only told for what nobody else has";
    actions.emplace_back(
        seam::Tell{seam::NoteTrace{.level = seam::NoteTrace::Level::info, .text = address.to_string().append(what)}});
  }
  found->second = {.is_probe_begun = false, .accepts = accepts, .probed = now};
  ended_.push_back(address);
}

}  // namespace shoal::tracker
