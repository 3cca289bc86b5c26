#include "tracker/visible_share.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace shoal::tracker {

std::vector<base::Endpoint> visible_peers(const course::FileInfo& share, const course::Asker& asker) {
  std::unordered_set<base::Endpoint> seen;
  for (const course::ChunkRecord& chunk : share.chunks) {
    for (const base::Endpoint& peer : chunk.peers) seen.insert(course::endpoint_for(asker, peer));
  }
  std::vector<base::Endpoint> peers(seen.begin(), seen.end());
  std::ranges::sort(peers);
  return peers;
}

course::FileInfo visible_share(const course::FileInfo& share, const course::Asker& asker,
                               const std::vector<base::Endpoint>& dead) {
  course::FileInfo visible{.filename = share.filename, .chunks = {}};
  // For a chunk that nobody is listed for: lists may be wrong, and one with nobody breaks old clients (4.15).
  const std::vector<base::Endpoint> everybody = visible_peers(share, asker);
  visible.chunks.reserve(share.chunks.size());
  for (const course::ChunkRecord& chunk : share.chunks) {
    course::ChunkRecord record{.hash = chunk.hash, .peers = {}};
    std::vector<base::Endpoint> all;
    all.reserve(chunk.peers.size());
    for (const base::Endpoint& peer : chunk.peers) all.push_back(course::endpoint_for(asker, peer));
    if (all.empty()) all = everybody;
    std::ranges::copy_if(all, std::back_inserter(record.peers),
                         [&](const base::Endpoint& peer) { return !std::ranges::binary_search(dead, peer); });
    if (record.peers.empty()) record.peers = std::move(all);
    visible.chunks.push_back(std::move(record));
  }
  return visible;
}

}  // namespace shoal::tracker
