// How near the download comes to the least possible time, over many random swarms.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/unit/swarm/fluid_swarm.hpp"

namespace shoal::swarm::test {
namespace {

constexpr double kPieceBytes = 65536;
constexpr double kSlowestRate = 1e6;
constexpr double kRateSpread = 20;
// Pieces are not cut. Where the slowest source gives only a few in the whole time, this alone costs more than we allow.
constexpr double kPieceTimesMin = 12;

struct Swarm {
  std::vector<FluidSource> sources;
  std::size_t pieces = 0;
};

std::vector<std::uint32_t> draw_owners(base::Rng& rng, std::size_t sources, std::size_t pieces) {
  const std::uint64_t kind = rng.below(3);
  const std::uint64_t everybody = (std::uint64_t{1} << sources) - 1;
  std::vector<std::uint32_t> owners(pieces);
  if (kind == 0) {  // each piece for itself
    const double share = 0.15 + 0.8 * rng.unit();
    for (std::uint32_t& set : owners) {
      for (std::size_t source = 0; source < sources; ++source) set |= std::uint32_t{rng.chance(share)} << source;
      if (set == 0) set = 1u << rng.below(sources);
    }
    return owners;
  }
  std::vector<std::uint32_t> classes(1 + rng.below(12));
  for (std::uint32_t& set : classes) set = static_cast<std::uint32_t>(1 + rng.below(everybody));
  std::size_t piece = 0;
  for (std::uint32_t& set : owners) {  // scattered, or one class after the other
    set = classes[kind == 1 ? rng.below(classes.size()) : piece++ * classes.size() / pieces];
  }
  return owners;
}

double slowest_rate(const Swarm& swarm) {
  return std::ranges::min(swarm.sources, {}, &FluidSource::rate_bytes_per_s).rate_bytes_per_s;
}

Swarm draw_swarm(base::Rng& rng) {
  Swarm swarm;
  const std::size_t count = 2 + rng.below(7);
  swarm.pieces = 100 + rng.below(901);
  const std::vector<std::uint32_t> owners = draw_owners(rng, count, swarm.pieces);
  const double spread = std::pow(kRateSpread, rng.unit());
  for (std::size_t index = 0; index < count; ++index) {
    FluidSource source;
    source.rate_bytes_per_s = kSlowestRate * std::pow(spread, rng.unit());
    source.latency_s = rng.chance(0.5) ? 0.0002 : 0.005 * rng.unit();
    source.queue_depth = rng.chance(0.5) ? 1 : 64;
    source.has.resize(swarm.pieces);
    for (std::size_t piece = 0; piece < swarm.pieces; ++piece) source.has[piece] = (owners[piece] >> index & 1) != 0;
    swarm.sources.push_back(std::move(source));
  }
  return swarm;
}

struct Distribution {
  std::vector<double> values;

  [[nodiscard]] double at(double share) {
    std::ranges::sort(values);
    return values.at(std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size()))));
  }
  void print(const char* what) {
    std::printf("%-44s %5zu runs: median %.4f  p90 %.4f  p99 %.4f  worst %.4f\n", what, values.size(), at(0.5), at(0.9),
                at(0.99), at(1.0));
  }
};

// Runs many swarms, each changed by `disturb` after its undisturbed least time was found. Compares the time it took
// with the least time of the disturbed swarm, which knows beforehand what will happen.
template <typename Disturb>
Distribution measure(std::uint64_t seed, int runs, Disturb disturb) {
  base::Rng rng(seed);
  Distribution ratios;
  while (static_cast<int>(ratios.values.size()) < runs) {
    Swarm swarm = draw_swarm(rng);
    disturb(swarm, rng, least_time_s(swarm.sources, swarm.pieces, kPieceBytes));
    const double least_s = least_time_s(swarm.sources, swarm.pieces, kPieceBytes);
    const FluidResult result = FluidSwarm(std::vector<double>(swarm.pieces, kPieceBytes), swarm.sources).run();
    EXPECT_EQ(result.state, DownloadState::done);
    if (slowest_rate(swarm) * least_s < kPieceTimesMin * kPieceBytes) continue;
    ratios.values.push_back(result.end_s / least_s);
  }
  return ratios;
}

}  // namespace

TEST(DownloadSpeed, ComesWithinAFewPerCentOfTheLeastPossibleTime) {
  Distribution ratios = measure(20260, 1000, [](Swarm&, base::Rng&, double) {});
  ratios.print("time / least time");
  EXPECT_LE(ratios.at(0.5), 1.01);
  EXPECT_LE(ratios.at(1.0), 1.08);
}

TEST(DownloadSpeed, IsNotDeceivedByAFirstBurst) {
  Distribution ratios = measure(20261, 300, [](Swarm& swarm, base::Rng& rng, double) {
    for (FluidSource& source : swarm.sources) source.burst_bytes = rng.chance(0.5) ? 256e3 * rng.unit() : 0;
  });
  ratios.print("time / least time, first bursts");
  EXPECT_LE(ratios.at(0.5), 1.02);
  EXPECT_LE(ratios.at(1.0), 1.1);
}

TEST(DownloadSpeed, FollowsSourcesThatBecomeSlowerOrFaster) {
  Distribution ratios = measure(20262, 300, [](Swarm& swarm, base::Rng& rng, double least_s) {
    for (FluidSource& source : swarm.sources) {
      if (rng.chance(0.6)) continue;
      source.changes_at_s = least_s * (0.1 + 0.6 * rng.unit());
      source.later_rate_bytes_per_s = source.rate_bytes_per_s * std::pow(4, 2 * rng.unit() - 1);
    }
  });
  ratios.print("time / least time, rates change");
  EXPECT_LE(ratios.at(0.5), 1.05);
}

TEST(DownloadSpeed, LosesLittleWhenASourceDies) {
  Distribution ratios = measure(20263, 300, [](Swarm& swarm, base::Rng& rng, double least_s) {
    for (std::size_t piece = 0; piece < swarm.pieces; ++piece) {
      swarm.sources[1 + rng.below(swarm.sources.size() - 1)].has[piece] = true;
    }
    swarm.sources[0].dies_at_s = least_s * (0.2 + 0.6 * rng.unit());
  });
  ratios.print("time / least time, one dies");
}

TEST(DownloadSpeed, LosesLittleWhenASourceFallsSilent) {
  Distribution ratios = measure(20264, 300, [](Swarm& swarm, base::Rng& rng, double least_s) {
    for (std::size_t piece = 0; piece < swarm.pieces; ++piece) {
      swarm.sources[1 + rng.below(swarm.sources.size() - 1)].has[piece] = true;
    }
    swarm.sources[0].changes_at_s = least_s * (0.2 + 0.6 * rng.unit());
  });
  ratios.print("time / least time, one falls silent");
}

}  // namespace shoal::swarm::test
