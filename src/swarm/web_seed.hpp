// One HTTP server that holds a torrent's files (BEP 19), as a source of runs. Pure: ranges are asked for with Fetch.
// Used by roles::SwarmHost, which asks the Picker on its behalf (kind blocks, has everything) when the swarm is short
// of a piece or slow.
//
// Always holds: at most kFetchesAtOnce under way; a run that spans files is asked in parts and given whole; an answer
// that is no 206 (or a 200 of exactly the whole) of the right length fails the run; failures pause it longer each time,
// and wrong bytes (convicted by the Picker) or kWebSeedFailuresMax in a row end it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/time.hpp"
#include "metainfo/manifest.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "swarm/peer_session.hpp"

namespace shoal::swarm {

inline constexpr std::size_t kFetchesAtOnce = 4;
inline constexpr int kWebSeedFailuresMax = 5;

struct WebSeedOptions {
  std::string url;                // ends in '/' for folders: the share's name is appended; else it is the file
  std::uint64_t first_fetch = 0;  // ids: first_fetch, first_fetch + stride, ...
  std::uint64_t fetch_stride = 1;
};

struct WebSeedEnded {
  std::string reason;
};
using WebSeedEvent = std::variant<RunArrived, RunReleased, WebSeedEnded>;

class WebSeed {
 public:
  // All three must outlive it.
  WebSeed(WebSeedOptions options, const metainfo::Manifest& manifest, base::BufferPool& buffers);
  ~WebSeed();

  [[nodiscard]] bool has_room(base::Instant now) const;  // another run can be asked for now
  void request(const Run& run, base::Instant now);
  void cancel(const Run& run);
  bool on_event(const seam::Event& event, base::Instant now);  // true: it was ours
  void on_deadline(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] std::vector<WebSeedEvent> take_events();
  [[nodiscard]] seam::Actions take_actions();
  [[nodiscard]] double rate_bytes_per_s(base::Instant now) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::swarm
