// How pieces spread from one seed to N equal hosts when each of them chooses with a Picker: an idealised network in
// rounds of one piece time, in which everybody gives one piece and takes one piece, and hears of all that happened
// before. Nobody can be done before M + floor(log2 N) rounds: the seed needs M to give every piece once, and the last
// one doubles its holders each round. Used by picker_spreading_test.cpp and bench/picker_speed.cpp.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "swarm/picker.hpp"

namespace shoal::swarm::test {

struct Spreading {
  std::uint32_t rounds = 0;  // until everybody was done; 0: they did not end
  std::uint32_t least = 0;   // what is possible

  [[nodiscard]] double factor() const { return static_cast<double>(rounds) / least; }
};

class SpreadingSwarm {
 public:
  SpreadingSwarm(std::uint32_t hosts, std::uint32_t pieces, std::uint64_t seed) : pieces_(pieces), rng_(seed) {
    for (std::uint32_t host = 0; host < hosts; ++host) {
      pickers_.emplace_back(PickerOptions{.piece_count = pieces,
                                          .piece_bytes = wire::kBlockBytes,
                                          .total_bytes = std::uint64_t{pieces} * wire::kBlockBytes},
                            rng_.fork());
      // Source `hosts` is the seed.
      for (std::uint32_t other = 0; other <= hosts; ++other) {
        if (other != host) pickers_[host].add_source(SourceId(other), SourceKind::blocks);
      }
      pickers_[host].on_has_set(SourceId(hosts), base::Bitfield(pieces, true));
    }
  }

  Spreading play() {
    const auto hosts = static_cast<std::uint32_t>(pickers_.size());
    Spreading result{.least = pieces_ + static_cast<std::uint32_t>(std::bit_width(hosts)) - 1};
    for (std::uint32_t round = 1; round <= 4 * result.least; ++round) {
      play_round();
      if (!std::ranges::all_of(pickers_, &Picker::is_done)) continue;
      result.rounds = round;
      return result;
    }
    return result;
  }

 private:
  void play_round() {
    const auto hosts = static_cast<std::uint32_t>(pickers_.size());
    std::vector<bool> is_taking(hosts, false);
    std::vector<std::pair<std::uint32_t, Run>> taken;
    // The seed is asked first: what only it has is what everybody waits for.
    std::vector<std::uint32_t> givers = shuffled(hosts);
    givers.insert(givers.begin(), hosts);
    for (const std::uint32_t giver : givers) {
      for (const std::uint32_t taker : shuffled(hosts)) {
        if (taker == giver || is_taking[taker]) continue;
        const auto run = pickers_[taker].pick(SourceId(giver), base::Instant{});
        if (!run) continue;
        is_taking[taker] = true;
        (void)pickers_[taker].on_arrived(SourceId(giver), *run);
        taken.emplace_back(taker, *run);
        break;
      }
    }
    for (const auto& [taker, run] : taken) {
      pickers_[taker].on_verified(run.piece);
      for (std::uint32_t other = 0; other < hosts; ++other) {
        if (other != taker) pickers_[other].on_has(SourceId(taker), run.piece);
      }
    }
  }

  std::vector<std::uint32_t> shuffled(std::uint32_t count) {
    std::vector<std::uint32_t> order(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      order[i] = i;
      std::swap(order[i], order[rng_.below(i + 1)]);
    }
    return order;
  }

  std::uint32_t pieces_;
  base::Rng rng_;
  std::vector<Picker> pickers_;
};

}  // namespace shoal::swarm::test
