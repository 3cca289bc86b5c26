// Plays a SwarmPlan with the machines that ship, and judges it: everybody ends with every byte as it was; nothing is
// accepted unhashed; no buffer is lost; nobody spins; when all have everything and are told to end, they end in time. A
// host that is killed comes back with what its disk held.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/swarm_plan.hpp"

namespace shoal::sim {

struct SwarmRunOptions {
  std::function<void(const std::string&)> log;  // every trace as a line; may be empty
};

struct SwarmRunResult {
  std::string failure;           // empty: everything held
  std::uint64_t trace_hash = 0;  // the same for the same seed
  double virtual_seconds = 0;
};

[[nodiscard]] SwarmRunResult run_swarm_world(const SwarmPlan& plan, const SwarmRunOptions& options);

}  // namespace shoal::sim
