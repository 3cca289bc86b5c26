#include "swarm/suspects.hpp"

#include <algorithm>

namespace shoal::swarm {
namespace {

constexpr std::uint32_t kDoublingsMax = 16;

}  // namespace

bool Suspects::is_suspect(SourceId source) const {
  const auto found = records_.find(source);
  return found != records_.end() && found->second.pieces_owed > 0;
}

void Suspects::on_right_alone(SourceId source) {
  const auto found = records_.find(source);
  if (found != records_.end() && found->second.pieces_owed > 0) --found->second.pieces_owed;
}

// One who lies only when others share the blame is cleared again and again. It has to give twice as many pieces alone
// each time, so it spoils no more than the logarithm of what it gives.
std::optional<SourceId> Suspects::on_wrong(std::span<const SourceId> givers) {
  if (givers.size() == 1) return givers[0];
  for (const SourceId giver : givers) {
    Record& record = records_[giver];
    record.pieces_owed = std::uint32_t{1} << std::min(record.times, kDoublingsMax);
    ++record.times;
  }
  return std::nullopt;
}

}  // namespace shoal::swarm
