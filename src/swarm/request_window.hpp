// How much to have asked of one peer at a time: enough that its link never runs dry, and not more than it brings within
// a moment, because what is asked here is not asked elsewhere. Used by swarm::PeerSession.
//
// The window begins with kWindowBytesMin and grows by what arrives, which doubles it each round trip, up to what the
// peer brings in horizon(): a tenth of a second for a peer next door, where other hosts of the same network would be
// kept waiting; a second for one far away, whose round trips lengthen whenever somebody there uses the line.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/time.hpp"
#include "swarm/rate_meter.hpp"
#include "wire/peer_messages.hpp"

namespace shoal::swarm {

inline constexpr std::uint64_t kWindowBytesMin = 4 * wire::kBlockBytes;

class RequestWindow {
 public:
  // Something is asked of the peer from now on; nothing is, any more. Repeating either changes nothing.
  void on_busy(base::Instant now) { meter_.on_busy(now); }
  void on_idle(base::Instant now) { meter_.on_idle(now); }
  // From asking for a block to the first byte of it.
  void on_answer(base::Duration delay) { delay_ = std::min(delay_.value_or(delay), delay); }
  void on_payload(std::uint64_t bytes, base::Instant now) {
    meter_.on_payload(bytes, now);
    window_bytes_ = std::min(window_bytes_ + bytes, bound_bytes(now));
  }

  [[nodiscard]] std::uint64_t bytes(base::Instant now) const { return std::min(window_bytes_, bound_bytes(now)); }
  [[nodiscard]] double rate_bytes_per_s(base::Instant now) const { return meter_.rate_bytes_per_s(now); }

 private:
  static constexpr double kHorizonMinSeconds = 0.1;
  static constexpr double kHorizonUsualSeconds = 1;
  static constexpr double kHorizonMaxSeconds = 3;
  // Two milliseconds are next door, twenty are not.
  static constexpr double kNearbyFactor = 50;
  static constexpr double kFarFactor = 4;
  static constexpr std::uint64_t kBoundBytesMax = 1ull << 40;  // keeps sums far from overflow

  // The shortest delay is the round trip: every other has waiting behind other blocks in it.
  [[nodiscard]] double horizon_s() const {
    const double delay = base::to_seconds(delay_.value_or(base::Duration(0)));
    const double far = std::clamp(kFarFactor * delay, kHorizonUsualSeconds, kHorizonMaxSeconds);
    return std::clamp(kNearbyFactor * delay, kHorizonMinSeconds, far);
  }
  [[nodiscard]] std::uint64_t bound_bytes(base::Instant now) const {
    const double bytes = meter_.rate_bytes_per_s(now) * horizon_s();
    return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(std::min(bytes, static_cast<double>(kBoundBytesMax))),
                                     kWindowBytesMin, kBoundBytesMax);
  }

  RateMeter meter_;
  std::optional<base::Duration> delay_;
  std::uint64_t window_bytes_ = kWindowBytesMin;
};

}  // namespace shoal::swarm
