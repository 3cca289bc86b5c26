// What choosing costs and how good it is, printed as lines of "name value unit":
//   - ns for a pick and for what is reported, with 65,535 pieces and 200 peers, in swarms of several shapes;
//   - how long pieces take to spread from one seed to N equal hosts, against the least possible.
//
//   picker_speed
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "swarm/picker.hpp"
#include "tests/unit/swarm/spreading.hpp"

namespace {

using shoal::base::Bitfield;
using shoal::base::Instant;
using shoal::base::PieceIndex;
using shoal::base::Rng;
using shoal::swarm::Picker;
using shoal::swarm::Run;
using shoal::swarm::SourceId;
using shoal::swarm::SourceKind;

constexpr std::uint32_t kPieces = 65'535;
constexpr std::uint32_t kPeers = 200;

template <typename Work>
double nanoseconds_of(Work work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began).count();
}

void print(const std::string& name, double value, const char* unit) {
  std::printf("%-52s %10.2f %s\n", name.c_str(), value, unit);
}

// Other programs take the processor away now and then: the very slowest says nothing.
double percentile(std::vector<double>& values, double part) {
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

// What a peer of this number has.
using Shape = Bitfield (*)(std::uint32_t peer, Rng& rng);

Bitfield everything(std::uint32_t, Rng&) {
  return Bitfield(kPieces, true);
}

Bitfield random_part(std::uint32_t peer, Rng& rng) {
  if (peer % 10 == 0) return Bitfield(kPieces, true);
  Bitfield set(kPieces);
  const double density = rng.unit();
  for (PieceIndex piece; piece.value < kPieces; ++piece.value) {
    if (rng.chance(density)) set.set(piece);
  }
  return set;
}

Bitfield few(std::uint32_t peer, Rng& rng) {
  if (peer == 0) return Bitfield(kPieces, true);
  Bitfield set(kPieces);
  for (int i = 0; i < 400; ++i) set.set(PieceIndex(static_cast<std::uint32_t>(rng.below(kPieces))));
  return set;
}

// The worst for an order by rarity: most have the same half, which is common, so all that is rare is not theirs.
Bitfield same_half(std::uint32_t peer, Rng&) {
  Bitfield set(kPieces);
  for (PieceIndex piece; piece.value < kPieces; ++piece.value) {
    if ((piece.value < kPieces / 2) != (peer == 0)) set.set(piece);
  }
  return set;
}

Bitfield own_row(std::uint32_t peer, Rng&) {
  Bitfield set(kPieces);
  for (std::uint32_t i = 0; i < kPieces / kPeers; ++i) set.set(PieceIndex(peer * (kPieces / kPeers) + i));
  return set;
}

// A whole download: everybody is asked in turn, answers and is asked again.
void run_swarm(const std::string& name, Shape shape, std::uint32_t piece_bytes) {
  Rng rng(1);
  Picker picker(
      {.piece_count = kPieces, .piece_bytes = piece_bytes, .total_bytes = std::uint64_t{kPieces} * piece_bytes},
      rng.fork());
  double joining = 0;
  std::vector<Bitfield> sets;
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
    sets.push_back(shape(peer, rng));
    picker.add_source(SourceId(peer), SourceKind::blocks);
    joining += nanoseconds_of([&] { picker.on_has_set(SourceId(peer), sets.back()); });
  }

  double picking = 0;
  std::vector<double> times;
  double arriving = 0;
  double runs = 0;
  double idle = 0;
  double idling = 0;
  Instant now{};
  std::vector<std::pair<SourceId, Run>> asked;
  do {
    asked.clear();
    for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
      std::optional<Run> run;
      const double taken = nanoseconds_of([&] { run = picker.pick(SourceId(peer), now); });
      times.push_back(taken);
      (run ? picking : idling) += taken;
      (run ? runs : idle) += 1;
      if (run) asked.emplace_back(SourceId(peer), *run);
    }
    arriving += nanoseconds_of([&] {
      for (const auto& [source, run] : asked) {
        (void)picker.on_arrived(source, run);
        if (picker.is_whole(run.piece)) picker.on_verified(run.piece);
      }
    });
    now += std::chrono::milliseconds(10);
  } while (!asked.empty());
  double leaving = 0;
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
    leaving += nanoseconds_of([&] { picker.remove_source(SourceId(peer)); });
  }

  print(name + ": a pick", picking / runs, "ns");
  print(name + ": 999 of 1,000 picks take less than", percentile(times, 0.999), "ns");
  if (idle > 0) print(name + ": a pick that gives nothing", idling / idle, "ns");
  print(name + ": an answer (and verifying)", arriving / runs, "ns");
  print(name + ": a set of pieces", joining / kPeers / 1000, "us");
  print(name + ": a peer that leaves", leaving / kPeers / 1000, "us");
}

// Everything is asked for: everybody who is idle looks for somebody to help.
void run_end_game() {
  constexpr std::uint32_t pieces = 50;
  constexpr std::uint32_t piece_bytes = 4 * 1024 * 1024;
  Picker picker({.piece_count = pieces, .piece_bytes = piece_bytes, .total_bytes = std::uint64_t{pieces} * piece_bytes},
                Rng(1));
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) {
    picker.add_source(SourceId(peer), SourceKind::blocks);
    picker.on_has_set(SourceId(peer), Bitfield(pieces, true));
    picker.on_rate(SourceId(peer), 1e6);
  }
  bool is_left = true;
  while (is_left) {
    is_left = false;
    for (std::uint32_t peer = 0; peer < kPeers; ++peer) is_left |= picker.pick(SourceId(peer), {}).has_value();
  }
  constexpr int rounds = 100;
  const double taken = nanoseconds_of([&] {
    for (int round = 0; round < rounds; ++round) {
      for (std::uint32_t peer = 0; peer < kPeers; ++peer) (void)picker.pick(SourceId(peer), {});
    }
  });
  print("end game: a pick that gives nothing", taken / rounds / kPeers, "ns");
}

void run_haves() {
  Rng rng(1);
  Picker picker({.piece_count = kPieces, .piece_bytes = 1 << 18, .total_bytes = std::uint64_t{kPieces} << 18},
                rng.fork());
  for (std::uint32_t peer = 0; peer < kPeers; ++peer) picker.add_source(SourceId(peer), SourceKind::blocks);
  constexpr int count = 2'000'000;
  const double taken = nanoseconds_of([&] {
    for (int i = 0; i < count; ++i) {
      picker.on_has(SourceId(static_cast<std::uint32_t>(rng.below(kPeers))),
                    PieceIndex(static_cast<std::uint32_t>(rng.below(kPieces))));
    }
  });
  print("a have", taken / count, "ns");
}

void run_spreading(std::uint32_t hosts, std::uint32_t pieces) {
  double worst = 0;
  double sum = 0;
  constexpr int swarms = 5;
  for (std::uint64_t seed = 0; seed < swarms; ++seed) {
    const auto spreading = shoal::swarm::test::SpreadingSwarm(hosts, pieces, seed).play();
    const double factor = spreading.rounds > 0 ? spreading.factor() : 99;
    worst = std::max(worst, factor);
    sum += factor;
  }
  const std::string name = "spreading " + std::to_string(pieces) + " pieces to " + std::to_string(hosts) + " hosts";
  print(name + ", mean", sum / swarms, "of the least");
  print(name + ", worst", worst, "of the least");
}

}  // namespace

int main() {
  constexpr std::uint32_t kSmall = 256 * 1024;
  constexpr std::uint32_t kBig = 4 * 1024 * 1024;
  run_haves();
  run_end_game();
  run_swarm("seeds", everything, kSmall);
  run_swarm("random parts", random_part, kSmall);
  run_swarm("random parts, 4 MiB pieces", random_part, kBig);
  run_swarm("one seed, others have few", few, kSmall);
  run_swarm("same common half", same_half, kSmall);
  run_swarm("a row of its own each", own_row, kSmall);
  for (const auto& [hosts, pieces] : {std::pair{8U, 100U}, {32U, 200U}, {64U, 400U}, {64U, 100U}, {128U, 1000U}}) {
    run_spreading(hosts, pieces);
  }
}
