// How much of something that costs us more than it brings a counterpart may send: a burst, and then so much a second.
// Used by the sessions.
#pragma once

#include <algorithm>

#include "base/time.hpp"

namespace shoal::swarm {

class FloodGuard {
 public:
  FloodGuard(double burst, double per_second) : burst_(burst), per_second_(per_second), left_(burst) {}

  // False when this is too much.
  [[nodiscard]] bool take(base::Instant now, double amount = 1) {
    if (now > updated_at_) {
      left_ = std::min(burst_, left_ + per_second_ * base::to_seconds(now - updated_at_));
      updated_at_ = now;
    }
    if (left_ < amount) return false;
    left_ -= amount;
    return true;
  }

 private:
  double burst_;
  double per_second_;
  double left_;
  base::Instant updated_at_{};
};

}  // namespace shoal::swarm
