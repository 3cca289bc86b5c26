// A whole course tracker as a machine: FILE_INFO over TCP, TRACKER_INFO over UDP on socket seam::kDiscoverySocket.
// Runs under net's runner and in the simulator.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/endpoint.hpp"
#include "seam/machine.hpp"
#include "tracker/share_provider.hpp"

namespace shoal::roles {

struct CourseTrackerOptions {
  std::string name = "tracker";  // 4.16
  base::Endpoint listening;      // where TCP listens; 0.0.0.0 possible; the port is real
  bool splits_replies = false;   // 4.17
  std::uint32_t connections_max = 20000;
  base::Duration message_timeout = std::chrono::seconds(10);  // on the inside of a request (4.7)
  // A listed peer is believed to accept connections for this long after it was last tried (4.15).
  base::Duration probe_validity = std::chrono::seconds(2);
  base::Duration probe_timeout = std::chrono::milliseconds(300);
};

// The share provider must outlive the machine.
[[nodiscard]] std::unique_ptr<seam::Machine> make_course_tracker(CourseTrackerOptions options,
                                                                 tracker::ShareProvider& share);

}  // namespace shoal::roles
