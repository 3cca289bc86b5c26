// Tells whether the bytes of a message that has begun keep coming (course-protocol 4.7): in every window some must
// arrive, and at least kPaceMinBytesPerSecond on average, so that a source that sends one byte per second does not hold
// a piece for ever. Used by the sessions and the tracker query; restarted for each message.
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace shoal::swarm {

// Slower than any line people use, faster than a counterpart that only pretends to send.
inline constexpr std::uint64_t kPaceMinBytesPerSecond = 1024;

class PaceGuard {
 public:
  explicit PaceGuard(base::Duration window) : window_(window) {}

  void restart(base::Instant now) {
    window_began_ = now;
    bytes_ = 0;
  }
  void on_bytes(std::uint64_t count) { bytes_ += count; }
  [[nodiscard]] base::Instant deadline() const { return window_began_ + window_; }
  // To be asked at the deadline. When the pace is kept, the next window begins.
  [[nodiscard]] bool is_kept(base::Instant now) {
    if (now < deadline()) return true;
    const double wanted = static_cast<double>(kPaceMinBytesPerSecond) * base::to_seconds(now - window_began_);
    if (static_cast<double>(bytes_) < wanted) return false;
    restart(now);
    return true;
  }

 private:
  base::Duration window_;
  base::Instant window_began_{};
  std::uint64_t bytes_ = 0;
};

}  // namespace shoal::swarm
