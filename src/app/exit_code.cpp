#include "app/exit_code.hpp"

namespace shoal::app {

ExitCode exit_code_of(seam::Finish::Result result) {
  using Result = seam::Finish::Result;
  switch (result) {
    case Result::done:
      return ExitCode::done;
    case Result::nothing_found:
      return ExitCode::nothing_found;
    case Result::incomplete:
      return ExitCode::incomplete;
    case Result::mismatched:
      return ExitCode::mismatched;
    case Result::disk:
      return ExitCode::disk;
    case Result::unfit:
      return ExitCode::usage;
    case Result::timed_out:
      return ExitCode::timed_out;
    case Result::refused:
      return ExitCode::refused;
    case Result::interrupted:
      return ExitCode::interrupted;
  }
  return ExitCode::internal_error;
}

std::string_view name_of(ExitCode code) {
  switch (code) {
    case ExitCode::done:
      return "done";
    case ExitCode::internal_error:
      return "internal_error";
    case ExitCode::usage:
      return "usage";
    case ExitCode::nothing_found:
      return "nothing_found";
    case ExitCode::incomplete:
      return "incomplete";
    case ExitCode::mismatched:
      return "mismatched";
    case ExitCode::disk:
      return "disk";
    case ExitCode::timed_out:
      return "timed_out";
    case ExitCode::refused:
      return "refused";
    case ExitCode::interrupted:
      return "interrupted";
  }
  return "internal_error";
}

}  // namespace shoal::app
