// How fast payload comes from one source while something is asked of it. Idle time does not count; the delay of an
// answer does, because it is part of what asking this source costs.
//
// Download feeds it. Old payload is forgotten within a fraction of a second: shaped links send a first burst at wire
// speed, and an average since the beginning would believe in it for minutes. When payload comes in rare gusts (a small
// piece for each long round trip) the memory grows with the pause between them.
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace shoal::swarm {

class RateMeter {
 public:
  // Something is asked of the source from now on; nothing is, any more. Repeating either changes nothing.
  void on_busy(base::Instant now);
  void on_idle(base::Instant now);
  void on_payload(std::uint64_t bytes, base::Instant now);

  // 0 before anything was measured. Falls while the source is busy and silent.
  [[nodiscard]] double rate_bytes_per_s(base::Instant now) const;
  // Enough was seen to trust the rate.
  [[nodiscard]] bool is_warm() const { return age_s_ >= kWarmUpSeconds && bytes_ > 0; }

 private:
  static constexpr double kWarmUpSeconds = 0.02;
  static constexpr double kMemoryMinSeconds = 0.15;
  static constexpr double kMemoryUsualSeconds = 0.6;
  static constexpr double kMemoryMaxSeconds = 2.0;
  static constexpr double kPauseMinSeconds = 0.05;
  static constexpr double kPausesUsual = 4;

  [[nodiscard]] double memory_s() const;
  [[nodiscard]] double busy_seconds_since_update(base::Instant now) const;
  void advance(base::Instant now);

  bool is_busy_ = false;
  base::Instant updated_at_{};
  // Sums in which what happened t seconds ago weighs exp(-t / memory).
  double bytes_ = 0;
  double seconds_ = 0;
  double age_s_ = 0;            // all busy time
  double since_payload_s_ = 0;  // busy time since the last payload
  double pause_s_ = 0;          // the longest recent pause between payloads
};

}  // namespace shoal::swarm
