// A whole tracker as a machine. One TCP port speaks the course protocol and HTTP (told apart by the first byte), UDP on
// the same number speaks BEP 15 (seam::kTrackerSocket), and the discovery socket answers the course broadcast. Runs
// under net's runner and in the simulator. roles::make_course_tracker is the one with nothing but two ini files.
//
// HTTP: GET /announce, /scrape, /shares (JSON), /shares/NAME.torrent, PUT /shares/NAME.torrent (publishing: from the
// local network, or with `Authorization: Bearer TOKEN`), DELETE likewise, /healthz, /metrics (Prometheus text), / (a
// plain page that says what this is). Slow and never-finishing clients are ended; limits are named.
//
// Course clients get FILE_INFO of one share: course_share when set, else the newest they can get, with the hosts that
// announced to have its pieces and speak the course protocol (peer ids "-SH"); or the configured share of ini files.
//
// Always holds: connections that have said nothing, those of HTTP and those of the course protocol have limits of their
// own, so that a flood of one kind does not shut out the others; among the silent the oldest makes room, and silence is
// no reason to end them otherwise (course-protocol 4.7). Shares are saved at once when they change, and once in
// kSaveSharesEvery while they go on changing; swarms every kSaveEvery and kSavePerPeer for each peer, and at the end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "roles/http_connections.hpp"
#include "seam/machine.hpp"
#include "tracker/share_provider.hpp"
#include "tracker/swarms.hpp"

namespace shoal::roles {

inline constexpr std::size_t kSilentConnectionsMax = 10'000;  // have said nothing yet
inline constexpr base::Duration kSaveSharesEvery = std::chrono::seconds(1);
inline constexpr base::Duration kSaveEvery = std::chrono::seconds(10);  // while something changed
inline constexpr base::Duration kSavePerPeer = std::chrono::microseconds(100);
inline constexpr const char* kSharesState = "shares";  // SaveState names
inline constexpr const char* kSwarmsState = "swarms";

struct TrackerHostOptions {
  std::string name = "tracker";
  base::Endpoint listening;  // TCP and UDP; 0.0.0.0 possible; the port is real
  bool splits_replies = false;
  bool is_course_only = false;            // neither HTTP nor BitTorrent, and the capability bit is not set
  std::uint32_t connections_max = 20000;  // of course clients
  std::size_t http_connections_max = kHttpConnectionsMax;
  std::size_t silent_connections_max = kSilentConnectionsMax;
  base::Duration message_timeout = std::chrono::seconds(10);
  base::Duration probe_validity = std::chrono::seconds(2);
  base::Duration probe_timeout = std::chrono::milliseconds(300);
  std::optional<std::string> course_share;  // a share's name
  std::string token;                        // for publishing from elsewhere; empty: local network only
  tracker::SwarmsOptions swarms;
  base::Bytes saved_shares;  // of an earlier run
  base::Bytes saved_swarms;
  base::Duration saved_swarms_age{};  // how long ago that was saved
};

// `configured` may be null: no ini files; it must outlive the machine.
[[nodiscard]] std::unique_ptr<seam::Machine> make_tracker_host(TrackerHostOptions options,
                                                               tracker::ShareProvider* configured, base::Rng rng);

}  // namespace shoal::roles
