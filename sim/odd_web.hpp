// Servers of the simulated web that are not what a swarm host hopes for: trackers that lead astray, and web seeds of
// all kinds. Used by swarm_world.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "sim/web.hpp"

namespace shoal::sim {

// A tracker that hands out hundreds of addresses where nobody is, and now and then noise, a refusal, nothing at all, or
// an interval of no use.
[[nodiscard]] Web::Handler serve_hostile_tracker(base::Rng rng);

enum class WebSeedKind : std::uint8_t {
  none,
  right,
  lacks,   // the end of the file is missing
  lies,    // one bit of what it gives is wrong
  fails,   // 500 or silence, now and then right
  strays,  // other bytes than were asked for, and says so, now and then right
};
inline constexpr std::size_t kWebSeedKinds = 6;
[[nodiscard]] std::string_view to_string(WebSeedKind kind);

struct WebSeedPlan {
  WebSeedKind kind = WebSeedKind::none;
  double bytes_per_s = 1e6;
};
[[nodiscard]] Web::Handler serve_web_seed(WebSeedPlan plan, WebFile file, base::Rng rng);

}  // namespace shoal::sim
