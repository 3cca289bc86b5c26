// Peers of a torrent swarm that shake hands as everybody does, claim every piece, and then lie or annoy. Unlike the odd
// hosts of the course system they are no honest machine that is bent: they say what no honest machine has words for.
// Used by swarm_world.
//
// Each listens, dials the targets it is given again and again, tells its HTTP trackers about itself, and offers
// metadata.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.hpp"
#include "metainfo/torrent.hpp"
#include "seam/machine.hpp"

namespace shoal::sim {

enum class PeerOddity : std::uint8_t {
  // Liars: wrong bytes where right ones were asked for.
  lies,              // noise for every block
  poisons,           // one block in eight is wrong
  poisons_and_goes,  // right blocks, then a wrong one, then it leaves and comes back as somebody else
  // Claims that are not kept.
  is_silent,  // unchokes, and never answers
  chokes,     // claims everything, and chokes for ever
  flaps,      // answers each request by choking and unchoking
  rejects,    // whatever is asked
  dribbles,   // half a block, and nothing more
  // Nonsense.
  misplaces,        // the right length at another place
  misfits,          // another length at the right place
  says_noise,       // after the handshake
  says_too_much,    // frames of lengths that nobody takes
  claims_too_much,  // bitfields of other lengths and haves beyond the end
  lies_about_metadata,
  tells_of_the_dead,  // peer exchange full of addresses where nobody is
};
inline constexpr std::size_t kPeerOddities = 15;

[[nodiscard]] std::string_view to_string(PeerOddity oddity);
// It sends wrong bytes as if they were right: whoever it does so to has to be able to find out.
[[nodiscard]] bool is_liar(PeerOddity oddity);

struct OddPeerOptions {
  PeerOddity oddity = PeerOddity::lies;
  const metainfo::Torrent& torrent;
  const std::vector<base::Bytes>& pieces;
  base::Endpoint listening;
  std::vector<base::Endpoint> targets;
  std::vector<std::string> tracker_urls;  // HTTP
};

// The torrent and the pieces must outlive it.
[[nodiscard]] std::unique_ptr<seam::Machine> make_odd_peer(OddPeerOptions options, base::Rng rng);

// An address of a network where nobody lives.
[[nodiscard]] base::Endpoint dead_endpoint(base::Rng& rng);

}  // namespace shoal::sim
