// How near the download comes to the least possible time, over many random swarms.
#include <gtest/gtest.h>

#include <cstdio>

#include "support/rounds.hpp"
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

Swarm draw_swarm(base::Rng& rng, std::size_t pieces) {
  Swarm swarm;
  const std::size_t count = 2 + rng.below(7);
  swarm.pieces = pieces;
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
struct Measured {
  Distribution ratios;   // time / least time
  Distribution answers;  // pieces sent by the sources / pieces wanted
};

template <typename Disturb>
Measured measure(std::uint64_t seed, int runs, Disturb disturb) {
  base::Rng rng(seed);
  Measured measured;
  while (static_cast<int>(measured.ratios.values.size()) < rounds_of(runs)) {
    Swarm swarm = draw_swarm(rng, 100 + rng.below(901));
    disturb(swarm, rng, least_time_s(swarm.sources, swarm.pieces, kPieceBytes));
    const double least_s = least_time_s(swarm.sources, swarm.pieces, kPieceBytes);
    const FluidResult result = FluidSwarm(std::vector<double>(swarm.pieces, kPieceBytes), swarm.sources).run();
    EXPECT_EQ(result.state, DownloadState::done);
    if (slowest_rate(swarm) * least_s < kPieceTimesMin * kPieceBytes) continue;
    measured.ratios.values.push_back(result.end_s / least_s);
    measured.answers.values.push_back(static_cast<double>(result.answered) / static_cast<double>(swarm.pieces));
  }
  return measured;
}

}  // namespace

TEST(DownloadSpeed, ComesWithinAFewPerCentOfTheLeastPossibleTime) {
  auto [ratios, answers] = measure(20260, 1000, [](Swarm&, base::Rng&, double) {});
  ratios.print("time / least time");
  answers.print("answers / pieces");
  EXPECT_LE(ratios.at(0.5), 1.01);
  EXPECT_LE(ratios.at(1.0), 1.08);
  EXPECT_LE(answers.at(0.99), 1.01);
}

TEST(DownloadSpeed, IsNotDeceivedByAFirstBurst) {
  auto [ratios, answers] = measure(20261, 300, [](Swarm& swarm, base::Rng& rng, double) {
    for (FluidSource& source : swarm.sources) source.burst_bytes = rng.chance(0.5) ? 256e3 * rng.unit() : 0;
  });
  ratios.print("time / least time, first bursts");
  EXPECT_LE(ratios.at(0.5), 1.01);
  EXPECT_LE(ratios.at(1.0), 1.08);
}

// Nobody can know beforehand, as the least time does. What is left at a source that has become slow takes its time.
TEST(DownloadSpeed, FollowsSourcesThatBecomeSlowerOrFaster) {
  auto [ratios, answers] = measure(20262, 300, [](Swarm& swarm, base::Rng& rng, double least_s) {
    for (FluidSource& source : swarm.sources) {
      if (rng.chance(0.6)) continue;
      source.changes_at_s = least_s * (0.1 + 0.6 * rng.unit());
      source.later_rate_bytes_per_s = source.rate_bytes_per_s * std::pow(4, 2 * rng.unit() - 1);
    }
  });
  ratios.print("time / least time, rates change");
  EXPECT_LE(ratios.at(0.5), 1.02);
  EXPECT_LE(ratios.at(1.0), 1.2);
}

// Every piece has another owner, too: source 0 can be done without.
void share_all_of_source_0(Swarm& swarm, base::Rng& rng) {
  for (std::size_t piece = 0; piece < swarm.pieces; ++piece) {
    swarm.sources[1 + rng.below(swarm.sources.size() - 1)].has[piece] = true;
  }
}

TEST(DownloadSpeed, LosesLittleWhenASourceDies) {
  auto [ratios, answers] = measure(20263, 300, [](Swarm& swarm, base::Rng& rng, double least_s) {
    share_all_of_source_0(swarm, rng);
    swarm.sources[0].dies_at_s = least_s * (0.2 + 0.6 * rng.unit());
  });
  ratios.print("time / least time, one dies");
  EXPECT_LE(ratios.at(0.5), 1.02);
  EXPECT_LE(ratios.at(1.0), 1.1);
}

TEST(DownloadSpeed, LosesLittleWhenASourceFallsSilent) {
  auto [ratios, answers] = measure(20264, 300, [](Swarm& swarm, base::Rng& rng, double least_s) {
    share_all_of_source_0(swarm, rng);
    swarm.sources[0].changes_at_s = least_s * (0.2 + 0.6 * rng.unit());
  });
  ratios.print("time / least time, one falls silent");
  EXPECT_LE(ratios.at(0.5), 1.02);
  EXPECT_LE(ratios.at(1.0), 1.15);
}

// With few pieces it is their size that counts: compared with what is possible without cutting any.
TEST(DownloadSpeed, ComesNearTheLeastPossibleTimeForAFewWholePieces) {
  base::Rng rng(20265);
  Distribution ratios;
  for (int run = 0; run < rounds_of(300); ++run) {
    const Swarm swarm = draw_swarm(rng, 10 + rng.below(90));
    const FluidResult result = FluidSwarm(std::vector<double>(swarm.pieces, kPieceBytes), swarm.sources).run();
    EXPECT_EQ(result.state, DownloadState::done);
    ratios.values.push_back(result.end_s / least_time_s(swarm.sources, swarm.pieces, kPieceBytes, true));
  }
  ratios.print("time / least time of whole pieces, 10-99");
  EXPECT_LE(ratios.at(0.5), 1.05);
}

}  // namespace shoal::swarm::test
