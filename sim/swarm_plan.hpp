// A random world of a torrent swarm, drawn from a seed: who holds what, how they find each other, over which links, who
// lies and who floods, and what breaks when. Played by swarm_world.
//
// Always holds: host 0 has every piece and stays; somebody can be found: by the tracker (which comes back when it was
// killed), by local discovery, or because host 0 was named. So everybody must end with everything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "metainfo/torrent.hpp"
#include "sim/floods.hpp"
#include "sim/network.hpp"
#include "sim/odd_peers.hpp"
#include "sim/odd_web.hpp"

namespace shoal::sim {

enum class SwarmHostKind : std::uint8_t {
  swarm,        // roles::make_swarm_host
  course_peer,  // gives what it holds; swarm hosts know its address
};

struct SwarmHostPlan {
  base::Endpoint endpoint;
  SwarmHostKind kind = SwarmHostKind::swarm;
  LinkOptions link;
  double disk_bytes_per_s = 1e9;
  std::vector<bool> holds;  // of each piece, from before
  base::Duration starts_at{};
  bool knows_metadata = true;  // else only the info-hash
  bool is_named_host_0 = false;
  bool is_sequential = false;
  std::uint64_t limit_down_bytes_per_s = 0;
  std::uint64_t limit_up_bytes_per_s = 0;
  std::size_t buffers_max = 32;
  std::vector<base::Duration> kills;  // the power is cut, and comes back after kRebootAfter
  std::optional<std::uint64_t> disk_full_from_put;
};

struct OddPeerPlan {
  base::Endpoint endpoint;
  LinkOptions link;
  PeerOddity oddity = PeerOddity::lies;
  base::Duration starts_at{};
  bool is_named = false;      // every host is told its address
  bool dials = true;          // it knows the hosts
  bool tells_tracker = true;  // over HTTP, when there is one
};

struct FloodPlan {
  base::Ipv4Address address;
  LinkOptions link;
  Flood flood = Flood::requests;
  std::size_t target = 0;  // a host, when it is not at the tracker
  base::Duration starts_at{};
};

struct SwarmPlan {
  std::uint64_t seed = 0;
  metainfo::Torrent torrent;
  std::vector<base::Bytes> pieces;
  std::vector<SwarmHostPlan> hosts;
  std::vector<OddPeerPlan> odd_peers;
  std::vector<FloodPlan> floods;
  WebSeedPlan web_seed;
  NetworkOptions network;
  bool uses_http_tracker = false;
  bool uses_udp_tracker = false;
  bool uses_local_discovery = false;
  bool uses_exchange = true;
  bool has_hostile_tracker = false;  // besides
  std::vector<base::Duration> tracker_kills;
  std::optional<base::Duration> partition_at;  // the upper half of the hosts from the lower
  base::Duration partition_for{};

  [[nodiscard]] bool has_tracker() const { return uses_http_tracker || uses_udp_tracker; }
  // Of those who give wrong bytes as right ones.
  [[nodiscard]] std::size_t liars() const;
  [[nodiscard]] std::string describe() const;
};

inline constexpr base::Duration kRebootAfter = std::chrono::seconds(2);

[[nodiscard]] SwarmPlan draw_swarm_plan(std::uint64_t seed);

}  // namespace shoal::sim
