// The exit codes of every subcommand, and how a machine's end becomes one.
#pragma once

#include "seam/actions.hpp"

namespace shoal::app {

enum class ExitCode : int {
  done = 0,
  internal_error = 1,
  usage = 2,
  nothing_found = 3,  // no tracker, no share
  incomplete = 4,     // pieces without a source
  mismatched = 5,     // data did not match its hash
  disk = 6,           // full or unwritable
  timed_out = 7,
  refused = 8,
  interrupted = 130,
};

[[nodiscard]] ExitCode exit_code_of(seam::Finish::Result result);
// The word --json uses for it: "done", "incomplete", ...
[[nodiscard]] std::string_view name_of(ExitCode code);

}  // namespace shoal::app
