// A trace as one line, for the logs of a simulated run.
#pragma once

#include <string>

#include "seam/trace.hpp"

namespace shoal::sim {

[[nodiscard]] std::string describe_trace(const seam::Trace& trace);

}  // namespace shoal::sim
