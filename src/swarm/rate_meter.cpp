#include "swarm/rate_meter.hpp"

#include <algorithm>
#include <cmath>

namespace shoal::swarm {

void RateMeter::on_busy(base::Instant now) {
  advance(now);
  is_busy_ = true;
}

void RateMeter::on_idle(base::Instant now) {
  advance(now);
  is_busy_ = false;
}

void RateMeter::on_payload(std::uint64_t bytes, base::Instant now) {
  advance(now);
  bytes_ += static_cast<double>(bytes);
  pause_s_ = std::max(since_payload_s_, pause_s_);
  since_payload_s_ = 0;
}

double RateMeter::rate_bytes_per_s(base::Instant now) const {
  const double busy = busy_seconds_since_update(now);
  const double kept = std::exp(-busy / memory_s());
  const double seconds = seconds_ * kept + memory_s() * (1 - kept);
  if (seconds <= 0) return 0;
  // A silence much longer than any lately is likely to go on. It is not remembered: the next payload ends it.
  const double usual_pause = std::max(pause_s_, kPauseMinSeconds);
  const double unusual = std::max(0.0, since_payload_s_ + busy - kPausesUsual * usual_pause);
  return bytes_ * kept / seconds * std::exp(-unusual / usual_pause);
}

// It grows with the age, so that the first burst is forgotten soon and later the rate is smooth.
double RateMeter::memory_s() const {
  const double usual = std::clamp(age_s_ / 4, kMemoryMinSeconds, kMemoryUsualSeconds);
  return std::max(usual, std::min(3 * pause_s_, kMemoryMaxSeconds));
}

double RateMeter::busy_seconds_since_update(base::Instant now) const {
  return is_busy_ && now > updated_at_ ? base::to_seconds(now - updated_at_) : 0;
}

void RateMeter::advance(base::Instant now) {
  const double busy = busy_seconds_since_update(now);
  if (busy > 0) {
    const double memory = memory_s();
    const double kept = std::exp(-busy / memory);
    bytes_ *= kept;
    seconds_ = seconds_ * kept + memory * (1 - kept);
    pause_s_ *= std::exp(-busy / kMemoryMaxSeconds);
    since_payload_s_ += busy;
    age_s_ += busy;
  }
  updated_at_ = std::max(updated_at_, now);
}

}  // namespace shoal::swarm
