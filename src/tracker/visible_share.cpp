#include "tracker/visible_share.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace shoal::tracker {

std::vector<base::Endpoint> visible_peers(const course::FileInfo& share, const course::Asker& asker,
                                          const std::function<bool(base::Endpoint)>& may_tell) {
  std::unordered_set<base::Endpoint> seen;
  for (const course::ChunkRecord& chunk : share.chunks) {
    for (const base::Endpoint& peer : chunk.peers) {
      if (may_tell(peer)) seen.insert(course::endpoint_for(asker, peer));
    }
  }
  std::vector<base::Endpoint> peers(seen.begin(), seen.end());
  std::ranges::sort(peers);
  return peers;
}

course::FileInfo visible_share(const course::FileInfo& share, const course::Asker& asker,
                               const std::vector<base::Endpoint>& visible, const std::vector<base::Endpoint>& dead) {
  course::FileInfo seen{.filename = share.filename, .chunks = {}};
  seen.chunks.reserve(share.chunks.size());
  for (const course::ChunkRecord& chunk : share.chunks) {
    course::ChunkRecord record{.hash = chunk.hash, .peers = {}};
    std::vector<base::Endpoint> all;
    all.reserve(chunk.peers.size());
    for (const base::Endpoint& peer : chunk.peers) {
      const base::Endpoint told = course::endpoint_for(asker, peer);
      if (std::ranges::binary_search(visible, told)) all.push_back(told);
    }
    // Nobody is listed for it: lists may be wrong, and one with nobody breaks old clients (4.15).
    if (all.empty()) all = visible;
    std::ranges::copy_if(all, std::back_inserter(record.peers),
                         [&](const base::Endpoint& peer) { return !std::ranges::binary_search(dead, peer); });
    if (record.peers.empty()) record.peers = std::move(all);
    seen.chunks.push_back(std::move(record));
  }
  return seen;
}

}  // namespace shoal::tracker
