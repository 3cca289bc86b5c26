#include "roles/course_client_plan.hpp"

#include <algorithm>
#include <unordered_map>

namespace shoal::roles {
namespace {

using base::Endpoint;
using base::PieceIndex;

// Collects distinct endpoints, up to kSourcesMax.
class SourceList {
 public:
  explicit SourceList(CoursePlan& plan) : plan_(plan) {}

  void add(const Endpoint& endpoint, std::optional<PieceIndex> listed_for) {
    auto found = index_of_.find(endpoint);
    if (found == index_of_.end()) {
      if (plan_.sources.size() == kSourcesMax) {
        plan_.has_dropped_sources = true;
        return;
      }
      found = index_of_.emplace(endpoint, plan_.sources.size()).first;
      plan_.sources.push_back({endpoint, {}});
    }
    if (listed_for) plan_.sources[found->second].listed.push_back(*listed_for);
  }

 private:
  CoursePlan& plan_;
  std::unordered_map<Endpoint, std::size_t> index_of_;
};

std::vector<PieceIndex> find_firsts(const std::vector<base::Sha1Hash>& pieces) {
  std::unordered_map<base::Sha1Hash, PieceIndex> seen;
  std::vector<PieceIndex> first_of;
  first_of.reserve(pieces.size());
  for (std::uint32_t i = 0; i < pieces.size(); ++i) {
    first_of.push_back(seen.try_emplace(pieces[i], PieceIndex(i)).first->second);
  }
  return first_of;
}

}  // namespace

std::optional<Endpoint> usable_peer(Endpoint listed, const CoursePlanContext& context) {
  if (listed.port == 0) return std::nullopt;
  if (!context.tracker) {
    if (listed.address.is_any()) listed.address = base::Ipv4Address::loopback();
    return listed;
  }
  if (listed.address.is_any() || (listed.address.is_loopback() && !context.is_tracker_on_this_host)) {
    listed.address = context.tracker->address;
  }
  return listed;
}

CoursePlan make_course_plan(const course::FileInfo& file, std::string name, const CoursePlanContext& context) {
  CoursePlan plan;
  plan.manifest.name = std::move(name);
  plan.manifest.pieces.reserve(file.chunks.size());
  for (const course::ChunkRecord& chunk : file.chunks) plan.manifest.pieces.push_back(chunk.hash);
  plan.first_of = find_firsts(plan.manifest.pieces);

  SourceList sources(plan);
  for (const Endpoint& extra : context.extra_peers) {
    if (const auto peer = usable_peer(extra, {})) sources.add(*peer, std::nullopt);
  }
  // Every chunk's first owner, then every chunk's second, ...: when there are too many peers to ask all, those that are
  // asked still own as much as possible.
  std::vector<std::uint32_t> unfinished(file.chunks.size());
  for (std::uint32_t i = 0; i < unfinished.size(); ++i) unfinished[i] = i;
  for (std::size_t rank = 0; !unfinished.empty(); ++rank) {
    std::erase_if(unfinished, [&](std::uint32_t chunk) { return file.chunks[chunk].peers.size() <= rank; });
    for (const std::uint32_t chunk : unfinished) {
      if (const auto peer = usable_peer(file.chunks[chunk].peers[rank], context)) {
        sources.add(*peer, plan.first_of[chunk]);
      }
    }
  }
  for (CoursePlan::Source& source : plan.sources) {
    std::ranges::sort(source.listed);
    const auto repeats = std::ranges::unique(source.listed);
    source.listed.erase(repeats.begin(), repeats.end());
  }
  return plan;
}

}  // namespace shoal::roles
