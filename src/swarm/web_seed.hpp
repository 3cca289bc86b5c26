// One HTTP server that holds a torrent's files (BEP 19), as a source of runs. Pure: ranges are asked for with Fetch.
// Used by roles::SwarmHost, which asks the Picker on its behalf (kind blocks, has everything) when the swarm is short
// of a piece or slow.
//
// Always holds: at most kFetchesAtOnce under way; a run that spans files is asked in parts and given whole; what is
// requested is answered by exactly one RunArrived for each part of it or one RunReleased; an answer that is neither a
// 206 that says it is that part, nor a 200 of exactly the whole file, releases the run. A failure is followed by a
// pause, a longer one each time, and kWebSeedFailuresMax in a row end it; all of a big file instead of a range does so
// the second time, unless a range came before. Runs that follow each other are fetched in one range, as long as that
// takes no longer than kRunTimeMax. A server that lacks what was asked (404, 410, 416) may have the rest: that is
// told, costs no pause, and ends it only when kWebSeedLackingMax answers were never followed by a better one. Who
// convicts it of wrong bytes (the Picker) calls stop().
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
inline constexpr std::uint64_t kFetchBytesMax = 1u << 20;  // what is asked for at once of runs that follow each other
// So much is asked for before it can be fetched, so that such are there: what comes in kAheadTime.
inline constexpr base::Duration kAheadTime = std::chrono::seconds(2);
inline constexpr std::uint64_t kAheadBytesMax = 8u << 20;
inline constexpr std::size_t kRunsAheadMax = 256;
inline constexpr int kWebSeedFailuresMax = 5;
inline constexpr int kWebSeedLackingMax = 32;                                  // before it gives anything
inline constexpr base::Duration kWebSeedPauseFirst = std::chrono::seconds(2);  // doubled with each failure in a row
inline constexpr base::Duration kWebSeedTimeout = std::chrono::seconds(60);    // for one fetch
// Of a file no longer than this a server that knows no ranges may send all.
inline constexpr std::uint64_t kWholeFileBytesMax = 1u << 20;

struct WebSeedOptions {
  std::string url;                // of the file, or, ending in '/' or for a folder, of what the share lies in
  std::uint64_t first_fetch = 0;  // ids: first_fetch, first_fetch + stride, ...
  std::uint64_t fetch_stride = 1;
};

struct RunLacking {  // it has not got this run, which was released
  Run run;
};
struct WebSeedEnded {
  std::string reason;
};
using WebSeedEvent = std::variant<RunArrived, RunReleased, RunLacking, WebSeedEnded>;

class WebSeed {
 public:
  // All three must outlive it.
  WebSeed(WebSeedOptions options, const metainfo::Manifest& manifest, base::BufferPool& buffers);
  ~WebSeed();

  [[nodiscard]] bool has_room(base::Instant now) const;  // another run can be asked for now
  void request(const Run& run, base::Instant now);
  void cancel(const Run& run, base::Instant now);              // RunReleased follows, unless it arrived before
  void stop();                                                 // cancels everything; nothing can be asked for any more
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
