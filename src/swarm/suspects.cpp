#include "swarm/suspects.hpp"

#include <algorithm>

namespace shoal::swarm {
namespace {

constexpr std::uint32_t kDoublingsMax = 16;

}  // namespace

bool Suspects::is_suspect(OriginId origin) const {
  const auto found = records_.find(origin);
  return found != records_.end() && found->second.pieces_owed > 0;
}

void Suspects::on_right_alone(OriginId origin) {
  const auto found = records_.find(origin);
  if (found != records_.end() && found->second.pieces_owed > 0) --found->second.pieces_owed;
}

// One who lies only when others share the blame is cleared again and again. It has to give twice as many pieces alone
// each time, so it spoils no more than the logarithm of what it gives.
void Suspects::on_wrong(std::span<const OriginId> givers) {
  for (auto giver = givers.begin(); giver != givers.end(); ++giver) {
    if (std::find(givers.begin(), giver, *giver) != giver) continue;
    const auto [place, is_new] = records_.try_emplace(*giver);
    Record& record = place->second;
    record.pieces_owed = std::uint32_t{1} << std::min(record.times, kDoublingsMax);
    ++record.times;
    if (!is_new) continue;
    in_order_.push_back(*giver);
    if (in_order_.size() <= kSuspectsMax) continue;
    records_.erase(in_order_.front());
    in_order_.pop_front();
  }
}

}  // namespace shoal::swarm
