// Tells the trackers of a torrent about us and learns peers from them (BEP 3, 12, 15, 23, 41's plain form). Pure: HTTP
// through Fetch, UDP through datagrams, host names through Resolve. Used by roles::SwarmHost.
//
// Tiers (12): each tier is tried in its own order, the first that answers moves to the front of its tier; tiers are
// announced to side by side so that one dead tier costs nothing. A tracker that fails is tried again after a pause that
// doubles (kRetryFirst to kRetryMax); `interval` and `min interval` are kept. UDP: 15 * 2^n seconds, connection ids
// live a minute.
//
// Always holds: one announce per tracker at a time; "started" comes first, "completed" once, "stopped" at the end, to
// those that heard "started"; stop() ends within kStopPatience.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/sha1.hpp"
#include "base/time.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::swarm {

inline constexpr base::Duration kRetryFirst = std::chrono::seconds(5);
inline constexpr base::Duration kRetryMax = std::chrono::minutes(30);
inline constexpr base::Duration kStopPatience = std::chrono::seconds(3);
inline constexpr std::uint32_t kPeersWanted = 100;
inline constexpr std::size_t kTrackersMax = 64;  // of one torrent; more are ignored

struct AnnouncerOptions {
  base::Sha1Hash info_hash;
  wire::PeerId peer_id{};
  std::uint16_t port = 0;  // where we listen
  std::uint32_t key = 0;
  std::vector<std::vector<std::string>> tiers;
  base::Ipv4Address local{};      // the UDP socket is bound to it
  std::uint64_t first_fetch = 1;  // ids: first_fetch, first_fetch + 2, ...; the same for resolves
};

struct AnnounceStatus {  // read at each announce
  std::uint64_t uploaded = 0;
  std::uint64_t downloaded = 0;
  std::uint64_t left = 0;
  std::string held;  // ranges of pieces, for Shoal's tracker
};

class Announcer {
 public:
  Announcer(AnnouncerOptions options, base::Rng rng);
  ~Announcer();

  void start(const AnnounceStatus& status, base::Instant now);
  void add_tracker(const std::string& url, base::Instant now);  // found on the way: a tier of its own
  void on_status(const AnnounceStatus& status);                 // for the next announces
  void on_completed(base::Instant now);
  void announce_soon(base::Instant now);  // peers are needed, or much changed; keeps to min interval
  void stop(base::Instant now);

  // True when the event was ours.
  bool on_event(const seam::Event& event, base::Instant now);
  void on_deadline(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] seam::Actions take_actions();  // also TrackerTrace and NoteTrace

  [[nodiscard]] std::vector<base::Endpoint> take_peers();
  [[nodiscard]] bool is_stopped() const;  // after stop(): everybody answered, or the patience is over
  // No tracker answered the latest announce (all failed, or there is none).
  [[nodiscard]] bool is_alone() const;
  struct TrackerStatus {
    std::string url;
    bool is_working = false;
    std::string trouble;  // of the last failure
    std::uint32_t seeds = 0;
    std::uint32_t leechers = 0;
  };
  [[nodiscard]] std::vector<TrackerStatus> trackers() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::swarm
