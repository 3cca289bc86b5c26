// Plays a SwarmPlan with the machines that ship, and judges it: everybody honest ends with every byte as it was; nobody
// honest is convicted of lying, and a liar spoils a few pieces of a host at most; no buffer is lost; nobody spins; when
// all have everything and are told to end, they end in time. A host that is killed comes back with what its disk held.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/broken_rule.hpp"
#include "sim/swarm_plan.hpp"

namespace shoal::sim {

struct SwarmRunOptions {
  BrokenRule broken_rule = BrokenRule::none;
  std::function<void(const std::string&)> log;  // every trace as a line; may be empty
};

// What each liar may spoil of one host in one life: some pieces, and what is under way when it is found out. A host
// with a slow disk has more of that.
inline constexpr std::uint32_t kSpoiledMax = 16;
inline constexpr std::size_t kUnderWayBytes = 1u << 20;

struct SwarmRunResult {
  std::string failure;           // empty: everything held
  std::uint64_t trace_hash = 0;  // the same for the same seed
  double virtual_seconds = 0;
  // Whether what was drawn made any difference: how often somebody lacked something just then.
  std::uint32_t partitions_felt = 0;
  std::uint32_t tracker_kills_felt = 0;
  std::uint32_t wrong_pieces = 0;        // that arrived somewhere
  std::uint32_t wrong_pieces_worst = 0;  // of one host in one life, for each liar
  std::uint32_t convictions = 0;
};

[[nodiscard]] SwarmRunResult run_swarm_world(const SwarmPlan& plan, const SwarmRunOptions& options);

}  // namespace shoal::sim
