// Plays a CoursePlan with the machines that ship, and judges the end: the client has exactly the file, or says which
// chunks are missing and these are the ones nobody honest has; nothing is accepted unhashed; no queue grows beyond its
// maximum; when faults stop, everybody finishes. The client is started again after a crash, and once the faults are
// over after any other end, as a user would do.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/broken_rule.hpp"
#include "sim/course_plan.hpp"

namespace shoal::sim {

struct CourseRunOptions {
  BrokenRule broken_rule = BrokenRule::none;
  std::function<void(const std::string&)> log;  // every trace as a line; may be empty
};

struct CourseRunResult {
  std::string failure;           // empty: everything held
  std::uint64_t trace_hash = 0;  // the same for the same seed
  double virtual_seconds = 0;
  int client_runs = 0;
};

[[nodiscard]] CourseRunResult run_course_world(const CoursePlan& plan, const CourseRunOptions& options);

}  // namespace shoal::sim
