// As many connections of each kind as there are file descriptors for (storage/descriptors.hpp), so that one kind leaves
// some for the others. Also lets the process have as many open files as it may.
#pragma once

#include <cstdint>

#include "roles/swarm_host.hpp"
#include "roles/tracker_host.hpp"

namespace shoal::app {

// Alone in its process, or beside a swarm host.
enum class TrackerPlace : std::uint8_t { alone, beside_a_host };

void fit_to_descriptors(roles::TrackerHostOptions& tracker, TrackerPlace place);
void fit_to_descriptors(roles::SwarmHostOptions& host);

}  // namespace shoal::app
