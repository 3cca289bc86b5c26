// The time types every machine uses. Nobody below net reads a clock: `now` is handed in with each event, so that the
// simulator can run the same code in virtual time.
#pragma once

#include <chrono>
#include <cstdint>

namespace shoal::base {

// A clock without now(): it only gives time points their own type. Its epoch is the start of the run.
struct RunClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<RunClock>;
  static constexpr bool is_steady = true;
};

using Instant = RunClock::time_point;
using Duration = RunClock::duration;

inline double to_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}
inline Duration from_seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace shoal::base
