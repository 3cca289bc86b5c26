// A whole course peer as a machine: many connections, many requests on each, every answer from the piece library.
// Runs under net's runner and in the simulator.
#pragma once

#include <cstdint>
#include <memory>

#include "seam/machine.hpp"

namespace shoal::roles {

struct CoursePeerOptions {
  bool welcomes_pipelining = true;                            // section 5, bit 0
  std::uint32_t connections_max = 20000;                      // beyond it, new ones are closed at once
  std::uint32_t requests_queued_max = 128;                    // of one connection; beyond it, reading stops
  base::Duration message_timeout = std::chrono::seconds(10);  // on the inside of a request (4.7); none when idle
};

[[nodiscard]] std::unique_ptr<seam::Machine> make_course_peer(CoursePeerOptions options);

}  // namespace shoal::roles
