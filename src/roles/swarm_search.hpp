// The finding half of a swarm host: trackers, local discovery, peer exchange and addresses a user named all end in one
// peer book, which says whom to dial next. Used by SwarmHost, which dials and tells how that went. Who comes by uTP is
// refused and dialled back: some turn to TCP then, others (Transmission 3.00) hang up and come back a quarter of an
// hour later.
//
// Always holds: for a private torrent (BEP 27) nothing is asked of the local network, taken from or given to exchange,
// and nobody is dialled back who came by uTP; our own addresses are never dialled; nobody is told of peers that only
// this host or its network reaches; each peer hears news of the others at most once in kExchangeEvery.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "discovery/local_peers.hpp"
#include "roles/swarm_context.hpp"
#include "swarm/announcer.hpp"
#include "swarm/peer_book.hpp"

namespace shoal::roles {

inline constexpr base::Duration kExchangeFirst = std::chrono::seconds(1);  // after the handshakes
inline constexpr base::Duration kExchangeEvery = std::chrono::seconds(60);
inline constexpr std::size_t kExchangePeersMax = 50;   // of one message; the rest comes with the next
inline constexpr std::size_t kTrackerPeersMax = 1000;  // remembered until it is known whether the torrent is private
inline constexpr base::Duration kNeedEvery =
    std::chrono::seconds(10);  // trackers are told this often that we need peers

class SwarmSearch {
 public:
  // `status` is asked for before each announce. The context must outlive it.
  SwarmSearch(SwarmContext& context, std::function<swarm::AnnounceStatus()> status, base::Rng rng);

  void start(std::vector<std::vector<std::string>> tracker_tiers, base::Instant now);
  // The metadata says that the torrent is private: what was heard from others than trackers and the user is forgotten.
  void become_private(base::Instant now);
  void on_completed(base::Instant now);
  void announce_soon(swarm::AnnounceReason reason, base::Instant now);
  void stop(base::Instant now);
  [[nodiscard]] bool is_stopped() const;

  // True when the event was for a tracker, for local discovery or by uTP.
  bool on_event(const seam::Event& event, base::Instant now);
  void on_deadline(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;

  [[nodiscard]] swarm::PeerBook& book() { return book_; }
  [[nodiscard]] const swarm::PeerBook& book() const { return book_; }
  // The peer is told soon who else is here.
  void introduce(SwarmLink& link, base::Instant now);
  void on_peers_told(const SwarmLink& link, const wire::PexMessage& message, base::Instant now);
  [[nodiscard]] bool uses_exchange() const { return context_.options.uses_exchange && !context_.is_private; }
  // How a tracker that failed is described to a user; empty when none did.
  [[nodiscard]] std::string troubles() const;
  [[nodiscard]] std::size_t trackers() const { return announcer_ ? announcer_->trackers().size() : 0; }

 private:
  void fill_book(base::Instant now);
  void start_local(base::Instant now);
  void collect(base::Instant now);
  void on_utp(const seam::DatagramArrived& datagram, base::Instant now);
  void tell_news(SwarmLink& link, base::Instant now);
  [[nodiscard]] std::optional<base::Endpoint> listening_of(const SwarmLink& link) const;
  [[nodiscard]] bool is_reachable(base::Ipv4Address peer, base::Ipv4Address from) const;

  SwarmContext& context_;
  std::function<swarm::AnnounceStatus()> status_;
  base::Rng rng_;
  swarm::PeerBook book_;
  std::optional<swarm::Announcer> announcer_;
  std::optional<discovery::LocalPeers> local_;
  bool is_utp_refused_ = false;  // and its socket open
  std::vector<base::Endpoint> tracker_peers_;
  std::optional<base::Instant> next_news_;  // no link's tell_at is earlier
};

}  // namespace shoal::roles
