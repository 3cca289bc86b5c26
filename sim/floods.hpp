// Hosts that want to drown others: one target, one kind of flood, as much of it as their link carries, for a while.
// Used by swarm_world.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/rng.hpp"
#include "base/sha1.hpp"
#include "seam/machine.hpp"

namespace shoal::sim {

enum class Flood : std::uint8_t {
  // At a host of the swarm.
  half_handshakes,  // connections that begin a handshake and say no more
  peers,            // connections that shake hands, are interested, and stay, each under another id
  requests,         // of one connection; what is sent for them is read
  haves,
  extended,
  // At a tracker.
  http,       // connections with requests: right ones, wrong ones and unfinished ones
  datagrams,  // BEP 15: connects, announces with made-up ids, noise
  announces,  // thousands of peers that are not there, over HTTP
};
inline constexpr std::size_t kFloods = 8;

[[nodiscard]] std::string_view to_string(Flood flood);
[[nodiscard]] bool is_at_tracker(Flood flood);

struct FloodOptions {
  Flood flood = Flood::requests;
  base::Endpoint target;
  base::Sha1Hash info_hash;
  std::uint32_t piece_count = 0;
};
[[nodiscard]] std::unique_ptr<seam::Machine> make_flood(const FloodOptions& options, base::Rng rng);

}  // namespace shoal::sim
