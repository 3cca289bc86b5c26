// shoal-sim: plays random worlds and stops at the first that fails, with the one command that repeats it.
//
//   shoal-sim                       one world, of a seed drawn now and printed
//   shoal-sim --seeds 2000          that many, from a seed drawn now (or --from N)
//   shoal-sim --seed N --verbose    one world, told event by event
//   shoal-sim --swarm ...           worlds of torrent swarms instead of the course system
//   shoal-sim --speed 1000          finishing time against the bound, over random ownerships
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdint>
#include <random>
#include <string>

#include "sim/broken_rule.hpp"
#include "sim/course_world.hpp"
#include "sim/speed_world.hpp"
#include "sim/swarm_world.hpp"

namespace {

using shoal::sim::BrokenRule;

// A broken check ends the program: the signal handler still has to name the world.
volatile std::sig_atomic_t has_world = 0;
std::uint64_t current_seed = 0;
const char* current_kind = "";

void name_world(int) {
  if (has_world != 0) {
    fmt::print(stderr, "seed {} failed; repeat it: shoal-sim{} --seed {} --verbose\n", current_seed, current_kind,
               current_seed);
  }
}

struct Options {
  std::uint64_t seeds = 1;
  std::uint64_t from = 0;
  std::uint64_t speed_runs = 0;
  bool is_verbose = false;
  bool plays_swarms = false;
  bool checks_repeatability = true;
  std::string broken_rule = "none";
};

int play_swarms(const Options& options) {
  shoal::sim::SwarmRunOptions run;
  if (options.broken_rule == "accept-unverified") run.broken_rule = BrokenRule::accepts_unverified_pieces;
  if (options.is_verbose) run.log = [](const std::string& line) { fmt::print("{}\n", line); };
  current_kind = " --swarm";
  double virtual_seconds = 0;
  std::uint64_t wrong_pieces = 0;
  std::uint64_t convictions = 0;
  std::uint64_t faults_felt = 0;
  for (std::uint64_t seed = options.from; seed < options.from + options.seeds; ++seed) {
    current_seed = seed;
    has_world = 1;
    const shoal::sim::SwarmPlan plan = shoal::sim::draw_swarm_plan(seed);
    if (options.is_verbose) fmt::print("{}", plan.describe());
    shoal::sim::SwarmRunResult result = shoal::sim::run_swarm_world(plan, run);
    if (result.failure.empty() && options.checks_repeatability && !options.is_verbose) {
      const auto again = shoal::sim::run_swarm_world(plan, run);
      if (again.trace_hash != result.trace_hash) result.failure = "the same seed gave two different runs";
    }
    if (!result.failure.empty()) {
      fmt::print("seed {} failed: {}\n{}repeat it: shoal-sim --swarm --seed {}{} --verbose\n", seed, result.failure,
                 plan.describe(), seed, options.broken_rule == "none" ? "" : " --break " + options.broken_rule);
      return 1;
    }
    virtual_seconds += result.virtual_seconds;
    wrong_pieces += result.wrong_pieces;
    convictions += result.convictions;
    faults_felt += result.partitions_felt + result.tracker_kills_felt;
  }
  fmt::print(
      "{} swarms from seed {}: all held, {:.0f} virtual seconds; {} wrong pieces were refused and liars banned {} "
      "times, {} partitions and dead trackers came in the middle of it\n",
      options.seeds, options.from, virtual_seconds, wrong_pieces, convictions, faults_felt);
  return 0;
}

int play_worlds(const Options& options) {
  shoal::sim::CourseRunOptions run;
  if (options.broken_rule == "accept-unverified") run.broken_rule = BrokenRule::accepts_unverified_pieces;
  if (options.is_verbose) run.log = [](const std::string& line) { fmt::print("{}\n", line); };
  double virtual_seconds = 0;
  for (std::uint64_t seed = options.from; seed < options.from + options.seeds; ++seed) {
    current_seed = seed;
    has_world = 1;
    const shoal::sim::CoursePlan plan = shoal::sim::draw_course_plan(seed);
    if (options.is_verbose) fmt::print("{}", plan.describe());
    shoal::sim::CourseRunResult result = shoal::sim::run_course_world(plan, run);
    if (result.failure.empty() && options.checks_repeatability && !options.is_verbose) {
      const auto again = shoal::sim::run_course_world(plan, run);
      if (again.trace_hash != result.trace_hash) result.failure = "the same seed gave two different runs";
    }
    if (!result.failure.empty()) {
      fmt::print("seed {} failed: {}\n{}repeat it: shoal-sim --seed {}{} --verbose\n", seed, result.failure,
                 plan.describe(), seed, options.broken_rule == "none" ? "" : " --break " + options.broken_rule);
      return 1;
    }
    virtual_seconds += result.virtual_seconds;
  }
  fmt::print("{} worlds from seed {}: all held, {:.0f} virtual seconds\n", options.seeds, options.from,
             virtual_seconds);
  return 0;
}

int measure_speed(const Options& options) {
  const shoal::sim::SpeedSummary summary = shoal::sim::measure_speed(options.from, options.speed_runs);
  fmt::print(
      "{} random ownerships from seed {}: finishing time over the bound: median {:.3f}, 95 % {:.3f}, worst {:.3f} "
      "(seed {})\n",
      options.speed_runs, options.from, summary.median, summary.percentile_95, summary.worst, summary.worst_seed);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  std::signal(SIGABRT, name_world);
  CLI::App app("plays random worlds of Shoal in virtual time", "shoal-sim");
  Options options;
  options.from = std::random_device{}();
  app.add_option("--seeds", options.seeds, "how many worlds");
  app.add_option("--from,--seed", options.from, "the first seed (default: a random one, printed)");
  app.add_option("--speed", options.speed_runs, "measure so many downloads against their bound instead");
  app.add_option("--break", options.broken_rule, "break a rule on purpose")
      ->check(CLI::IsMember({"none", "accept-unverified"}));
  app.add_flag("--swarm", options.plays_swarms, "worlds of torrent swarms");
  app.add_flag("--verbose", options.is_verbose, "print every trace");
  CLI11_PARSE(app, count, arguments);
  if (options.plays_swarms) return play_swarms(options);
  return options.speed_runs > 0 ? measure_speed(options) : play_worlds(options);
}
