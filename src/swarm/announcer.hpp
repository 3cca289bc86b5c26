// Tells the trackers of a torrent about us and learns peers from them (BEP 3, 12, 15, 23, 41's plain form). Pure: HTTP
// through Fetch, UDP through datagrams, host names through Resolve. Used by roles::SwarmHost.
//
// Tiers (12): each tier is tried in an order drawn at the start, the first that answers moves to the front of its tier;
// the next of a tier is asked when one fails or is silent for kSlowTracker; tiers are announced to side by side so that
// one dead tier costs nothing. A tracker that fails is tried again after a pause that doubles (kRetryFirst to
// kRetryMax); `interval` and `min interval` are kept, within bounds. UDP: 15 * 2^n seconds, connection ids live a
// minute.
//
// Always holds: one announce per tracker at a time; "started" comes first, "completed" once, to the tracker in front of
// each tier, "stopped" at the end, to all that heard "started"; stop() lets a "completed" that is owed go out first,
// and ends within kStopPatience; of one answer at most wire::kAnnouncePeersMax peers are taken, and 127.x only from a
// tracker on this host.
#pragma once

#include <cstddef>
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
inline constexpr base::Duration kSlowTracker = std::chrono::seconds(15);  // also the limit of an HTTP announce
inline constexpr base::Duration kStopPatience = std::chrono::seconds(3);
inline constexpr base::Duration kCompletedPatience = kStopPatience / 2;  // of it, for "completed" before "stopped"
// What a tracker may ask of us, and what holds when it asks for nothing.
inline constexpr base::Duration kIntervalMin = std::chrono::seconds(30);
inline constexpr base::Duration kIntervalMax = std::chrono::hours(2);
inline constexpr base::Duration kIntervalDefault = std::chrono::minutes(30);
inline constexpr base::Duration kMinIntervalDefault = std::chrono::minutes(1);
inline constexpr base::Duration kEagerMinInterval = std::chrono::seconds(30);  // or less: wants to hear often
inline constexpr std::uint32_t kPeersWanted = 100;
inline constexpr std::size_t kTrackersMax = 64;  // of one torrent; more are ignored
inline constexpr std::size_t kPeersUntakenMax = 2 * wire::kAnnouncePeersMax;
inline constexpr std::size_t kTrackerIdBytesMax = 256;  // a longer one is not sent back
inline constexpr std::size_t kHeldTextBytesMax = 2048;  // an URL has to stay one; less is told then

// Why a tracker is to be asked before its interval is over.
enum class AnnounceReason : std::uint8_t { peers_needed, pieces_changed };

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
  std::uint64_t left = 0;  // wire::kLeftUnknown before the metadata came; 0 at the start: nothing will be "completed"
  std::string held;        // ranges of pieces, for Shoal's tracker
};

class Announcer {
 public:
  Announcer(AnnouncerOptions options, base::Rng rng);
  ~Announcer();

  void start(const AnnounceStatus& status, base::Instant now);
  void add_tracker(const std::string& url, base::Instant now);  // found on the way: a tier of its own
  void on_status(const AnnounceStatus& status);                 // for the next announces
  void on_completed(base::Instant now);                         // after on_status() with nothing left
  // Keeps to `min interval`; where none is told, to half the interval and at least kMinIntervalDefault. Changed pieces
  // are told only to trackers that want to hear often: others have no use for `shoal_held`.
  void announce_soon(AnnounceReason reason, base::Instant now);
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
