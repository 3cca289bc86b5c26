// Which peers are believed to accept connections (course-protocol 4.15): each is tried by connecting and closing at
// once, and believed for a while. Used by FileInfoAnswers; all that ask about a peer share one probe of it.
//
// Always holds: at most one probe of a peer is under way, at most kProbesAtOnceMax in all; the others wait their turn.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "seam/ids.hpp"

namespace shoal::tracker {

struct PeerProbesOptions {
  base::Duration validity = std::chrono::seconds(2);
  base::Duration timeout = std::chrono::milliseconds(300);
};

class PeerProbes {
 public:
  static constexpr std::size_t kProbesAtOnceMax = 256;
  // Peers that nobody asked about for this long are forgotten.
  static constexpr base::Duration kForgetAfter = std::chrono::minutes(1);

  explicit PeerProbes(PeerProbesOptions options) : options_(options) {}

  // True when what is known of the peer is recent. Otherwise a probe is under way or begun, and take_ended() will name
  // the peer.
  [[nodiscard]] bool is_known_or_begin(base::Endpoint peer, base::Instant now, seam::Actions& actions);
  // What the last probe said; a peer never probed is believed to accept.
  [[nodiscard]] bool accepts(base::Endpoint peer) const;
  // Until when the last probe is believed; `now` for a peer never probed.
  [[nodiscard]] base::Instant known_until(base::Endpoint peer, base::Instant now) const;
  // Makes room for other peers.
  void forget_old(base::Instant now);

  void on_connected(seam::ConnId conn, base::Instant now, seam::Actions& actions);
  void on_connect_failed(seam::ConnId conn, seam::NetError error, base::Instant now, seam::Actions& actions);
  void on_deadline_reached(base::Instant now, seam::Actions& actions);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;

  // The peers whose probe ended since the last call.
  [[nodiscard]] std::vector<base::Endpoint> take_ended() { return std::exchange(ended_, {}); }

 private:
  struct Peer {
    bool is_probe_begun = false;  // under way, or waiting for its turn
    bool accepts = true;
    std::optional<base::Instant> probed;
  };
  struct Probe {
    seam::ConnId conn;
    base::Endpoint peer;
    base::Instant deadline;
  };

  void dial_waiting(base::Instant now, seam::Actions& actions);
  // Takes the probe off the list.
  [[nodiscard]] std::optional<Probe> take_probe(seam::ConnId conn);
  // Tells an operator when a peer went or came back.
  void end(base::Endpoint peer, bool accepts, base::Instant now, seam::Actions& actions);

  PeerProbesOptions options_;
  std::unordered_map<base::Endpoint, Peer> peers_;
  std::deque<Probe> under_way_;         // oldest first, so in the order of their deadlines
  std::deque<base::Endpoint> waiting_;  // each peer once
  std::vector<base::Endpoint> ended_;
  std::uint64_t next_conn_ = 1;
};

}  // namespace shoal::tracker
