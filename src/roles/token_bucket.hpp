// A rate that a user set (`--limit-down`, `--limit-up`): bytes may be moved while there are tokens, which come back at
// that rate. Used by the swarm host. Without a rate everything may be moved at any time.
//
// Always holds: over any time, no more was moved than the rate times that time, plus the burst, plus one block: who
// moves something that cannot be cut goes into debt with it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/time.hpp"

namespace shoal::roles {

class TokenBucket {
 public:
  // 0: no limit.
  explicit TokenBucket(std::uint64_t rate_bytes_per_s)
      : rate_(static_cast<double>(rate_bytes_per_s)), tokens_(burst_bytes()) {}

  [[nodiscard]] bool is_limited() const { return rate_ > 0; }
  // As much of a rate as there is room for.
  [[nodiscard]] double at_most(double rate_bytes_per_s) const {
    return is_limited() ? std::min(rate_, rate_bytes_per_s) : rate_bytes_per_s;
  }
  // How much may be moved now; 0 until there is enough to be worth a system call.
  [[nodiscard]] std::uint64_t available(base::Instant now) const {
    if (!is_limited()) return std::numeric_limits<std::uint64_t>::max();
    const double tokens = tokens_at(now);
    return tokens < worthwhile_bytes() ? 0 : static_cast<std::uint64_t>(tokens);
  }
  void take(std::uint64_t bytes, base::Instant now) {
    if (!is_limited()) return;
    tokens_ = tokens_at(now) - static_cast<double>(bytes);
    updated_at_ = now;
  }
  // When available() will give something; `now` when it does already.
  [[nodiscard]] base::Instant available_at(base::Instant now) const {
    if (!is_limited() || available(now) > 0) return now;
    constexpr base::Duration kRounding = std::chrono::microseconds(1);
    return now + base::from_seconds((worthwhile_bytes() - tokens_at(now)) / rate_) + kRounding;
  }

 private:
  static constexpr double kBurstSeconds = 0.25;
  static constexpr double kBurstBytesMin = 16 * 1024;
  static constexpr double kWorthwhileSeconds = 0.05;

  [[nodiscard]] double burst_bytes() const { return std::max(rate_ * kBurstSeconds, kBurstBytesMin); }
  [[nodiscard]] double worthwhile_bytes() const { return std::clamp(rate_ * kWorthwhileSeconds, 1.0, kBurstBytesMin); }
  [[nodiscard]] double tokens_at(base::Instant now) const {
    return std::min(burst_bytes(), tokens_ + rate_ * base::to_seconds(now - updated_at_));
  }

  double rate_;
  double tokens_;
  base::Instant updated_at_{};
};

}  // namespace shoal::roles
