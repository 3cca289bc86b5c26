// A whole host of a torrent swarm as a machine: it finds others (trackers, local discovery, exchange, addresses a user
// named), takes pieces from BitTorrent peers, course peers and web seeds at once, and gives what it has to BitTorrent
// and course clients on one port. `share` is one that has everything, `get` one that begins with less. Runs under net's
// runner (with a storage::TorrentStore as store and library) and in the simulator.
//
// Put together from swarm::{Picker, PeerSession, CourseSession, CourseServer, WebSeed, UploadSlots, PeerBook,
// MetadataExchange, Announcer} and discovery::LocalPeers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "metainfo/torrent.hpp"
#include "seam/machine.hpp"
#include "wire/peer_messages.hpp"

namespace shoal::roles {

struct SwarmHostOptions {
  metainfo::InfoHash info_hash;
  std::optional<metainfo::Torrent> torrent;  // nothing: only a magnet link is known, peers give the rest
  std::vector<std::string> selected;         // globs; empty: everything
  bool is_sequential = false;

  wire::PeerId peer_id{};                             // begins with "-SH"
  base::Endpoint listening;                           // the real port; 0.0.0.0 possible
  std::vector<base::Ipv4Address> interfaces;          // of this host, 127.0.0.1 included: for local discovery
  std::vector<base::Network> internal_networks = {};  // behind this host, of containers: nobody outside hears of them
  std::vector<base::Endpoint> peers;                  // named by the user, either protocol
  std::vector<std::vector<std::string>> tracker_tiers;
  std::vector<std::string> web_seeds;
  bool uses_local_discovery = true;  // off for private torrents in any case
  bool uses_exchange = true;         // likewise

  bool keeps_what_came = true;  // for a later run; off where the store leaves nothing

  // When it ends. A user's stop ends it at any time.
  bool gives_after_done = false;            // --seed; always for `share`
  std::optional<base::Duration> gives_for;  // --seed-for, from the moment it is complete
  std::optional<double> gives_until_ratio;  // --ratio: uploaded / size
  std::optional<base::Duration>
      no_source_timeout;  // nothing arrives and nobody is known: incomplete; nothing: wait for ever

  std::uint64_t limit_down_bytes_per_s = 0;  // 0: none
  std::uint64_t limit_up_bytes_per_s = 0;
  std::uint32_t connections_max = 200;
  std::uint32_t course_clients_max = 2000;  // besides these; who comes then is turned away
  std::uint32_t dials_at_once_max = 30;
  base::Duration connect_timeout = std::chrono::seconds(8);
};

// The pool must outlive the machine.
[[nodiscard]] std::unique_ptr<seam::Machine> make_swarm_host(SwarmHostOptions options, base::BufferPool& buffers,
                                                             base::Rng rng);

}  // namespace shoal::roles
