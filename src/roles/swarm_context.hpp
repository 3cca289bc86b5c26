// What all parts of a swarm host share: its options, its connections, the actions they append to, and the sums that
// trackers and users are told. Used by the parts (roles/swarm_*) only; owned by SwarmHost, outlives them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/buffer_pool.hpp"
#include "roles/swarm_host.hpp"
#include "roles/swarm_links.hpp"
#include "roles/token_bucket.hpp"
#include "seam/actions.hpp"

namespace shoal::roles {

struct SwarmContext {
  SwarmHostOptions options;
  base::BufferPool& buffers;
  SwarmLinks links;
  seam::Actions actions;
  TokenBucket down;                    // of what is taken from anybody
  base::Instant peers_turn_until{};    // somebody who waited for tokens reads now
  std::uint64_t downloaded_bytes = 0;  // payload, whether it was of use or not
  std::uint64_t uploaded_bytes = 0;
  bool is_private = false;  // BEP 27

  [[nodiscard]] bool is_on_this_host(base::Ipv4Address address) const {
    const auto& ours = options.interfaces;
    return address.is_loopback() || std::ranges::find(ours, address) != ours.end();
  }
  void collect(seam::Actions more) {
    actions.insert(actions.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  void tell(seam::Trace trace) { actions.emplace_back(seam::Tell{std::move(trace)}); }
  void note(seam::NoteTrace::Level level, std::string text) { tell(seam::NoteTrace{level, std::move(text)}); }
  void tell_source(base::Endpoint source, seam::SourceStatus status, std::string reason = "") {
    tell(seam::SourceTrace{source, status, std::move(reason), {}});
  }
};

// The earlier of two, where there are any.
[[nodiscard]] inline std::optional<base::Instant> earlier(std::optional<base::Instant> a,
                                                          std::optional<base::Instant> b) {
  if (!a) return b;
  return b && *b < *a ? b : a;
}

}  // namespace shoal::roles
