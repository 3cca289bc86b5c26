// One random course world, drawn from a seed before anything runs: the file, who owns what, who is said to own it, who
// lies, and what breaks when. course_world.hpp plays it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "course/messages.hpp"
#include "sim/network.hpp"
#include "sim/odd_machines.hpp"

namespace shoal::sim {

struct PeerPlan {
  base::Endpoint endpoint;
  LinkOptions link;
  Oddity oddity = Oddity::none;
  bool welcomes_pipelining = true;
  bool is_there = true;                        // else its address answers "refused"
  std::vector<bool> owns;                      // of each chunk, really
  std::vector<bool> listed;                    // what the tracker says
  std::optional<base::Duration> crash_at;      // the power is cut
  std::optional<base::Duration> reboot_after;  // after the crash
};

struct TrackerPlan {
  base::Endpoint endpoint;
  std::string name;
  Oddity oddity = Oddity::none;
  bool is_there = true;
  bool lists_nobody = false;
  std::optional<base::Duration> crash_at;
};

enum class Step : std::uint8_t { from_files = 1, from_tracker = 2, by_discovery = 3 };

struct CoursePlan {
  std::uint64_t seed = 0;
  Step step = Step::from_files;
  std::string filename;
  std::vector<base::Bytes> chunks;
  std::vector<PeerPlan> peers;        // peer 0 is honest, has what nobody else honest has, and stays
  std::vector<TrackerPlan> trackers;  // tracker 0 is honest and stays
  LinkOptions client_link;
  NetworkOptions network;
  double disk_bytes_per_s = 1e9;
  std::size_t buffers_max = 8;
  std::size_t buffer_bytes = 4096;
  bool has_flooder = false;
  std::vector<base::Duration> client_crashes;  // each followed by a reboot
  std::optional<std::uint64_t> disk_full_from_put;
  std::optional<base::Duration> partition_at;  // the client from everybody
  base::Duration partition_for{};
  std::vector<std::uint32_t> hopeless;  // chunks that no honest peer has

  [[nodiscard]] base::Bytes file() const;
  [[nodiscard]] course::FileInfo file_info() const;
  [[nodiscard]] std::string describe() const;
};

[[nodiscard]] CoursePlan draw_course_plan(std::uint64_t seed);

}  // namespace shoal::sim
