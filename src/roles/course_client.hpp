// A whole course client as a machine: it finds a tracker (step 3), asks it what the file is (steps 2 and 3), downloads
// from all peers at once, and ends with the file or with a list of what is missing. Put together from
// discovery::Finder, swarm::TrackerQuery, swarm::CourseSession and swarm::Download; runs under net's runner and in the
// simulator.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "course/messages.hpp"
#include "seam/machine.hpp"

namespace shoal::roles {

// An IPv4 address of this host and, where there is one, its network's directed broadcast address.
struct LocalInterface {
  base::Ipv4Address address;
  std::optional<base::Ipv4Address> broadcast;
};
// "10.0.0.1, 10.1.0.1", for messages.
[[nodiscard]] std::string describe_addresses(const std::vector<LocalInterface>& interfaces);

struct CourseClientOptions {
  // Exactly one of the three says where to begin:
  std::optional<course::FileInfo> file_info;  // step 1: both files were read
  std::optional<base::Endpoint> tracker;      // step 2
  std::vector<LocalInterface> interfaces;     // step 3: discover on these (127.0.0.1 included)
  std::uint16_t discovery_port = course::kDiscoveryPort;
  std::vector<base::Endpoint> extra_peers;  // --peer: asked for whatever nobody listed has

  bool offers_pipelining = true;                  // section 5, bit 0
  std::uint32_t chunk_bytes_max = 256u << 20;     // limit of CHUNK (4.6)
  std::uint32_t file_info_bytes_max = 64u << 20;  // limit of FILE_INFO (4.6)
  base::Duration connect_timeout = std::chrono::seconds(5);
  base::Duration answer_timeout = std::chrono::seconds(10);  // first byte of an awaited answer (4.7)
  // Inside a message: bytes must keep coming at this pace on average, else the source counts as silent.
  base::Duration stall_timeout = std::chrono::seconds(10);
  base::Duration discovery_timeout = std::chrono::seconds(3);
  base::Duration tracker_busy_wait = std::chrono::seconds(5);  // 4.4
};

// The pool must outlive the machine.
[[nodiscard]] std::unique_ptr<seam::Machine> make_course_client(CourseClientOptions options, base::BufferPool& buffers,
                                                                base::Rng rng);

}  // namespace shoal::roles
