// Finds what is shared on this network, as a machine: discovers Shoal trackers by the course broadcast with capability
// bit 1, reads their GET /shares, and fetches a chosen GET /shares/NAME.torrent; or publishes a torrent (PUT
// /shares/NAME.torrent). Used by `get`, `list` and `share` before anything else; it ends with Finish and keeps its
// result.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/sha1.hpp"
#include "base/time.hpp"
#include "roles/course_client.hpp"
#include "seam/machine.hpp"

namespace shoal::roles {

// Of one tracker's list.
inline constexpr std::size_t kListBytesMax = 4u << 20;
inline constexpr std::size_t kSharesReadMax = 1000;  // more are left out

struct FoundShare {
  std::string name;
  base::Sha1Hash info_hash;
  std::uint64_t size_bytes = 0;
  std::uint32_t files = 0;
  std::uint32_t seeds = 0;
  std::uint32_t leechers = 0;
  base::Endpoint tracker;  // who says so
};

struct ShareSearchOptions {
  std::vector<base::Endpoint> trackers;    // named by the user: no discovery
  std::vector<LocalInterface> interfaces;  // else: discover on these
  std::uint16_t discovery_port = 9000;
  base::Duration patience = std::chrono::seconds(2);  // for the first answer; after it only stragglers are awaited
  enum class Goal : std::uint8_t {
    list,      // all shares of all trackers, each once
    fetch,     // the one named `name` (or with that info-hash), or the only one (that somebody has): its .torrent
    publish,   // `torrent` under `name`, at the first tracker that takes it
    trackers,  // only who is there
  } goal = Goal::list;
  std::string name;
  base::Bytes torrent;
  std::string token;  // for publishing, where the tracker wants one
};

struct ShareSearchResult {
  std::vector<base::Endpoint> trackers;  // Shoal trackers that answered
  std::vector<FoundShare> shares;        // sorted by name
  std::optional<FoundShare> chosen;
  base::Bytes torrent;  // of the chosen one
  std::optional<base::Endpoint> published_at;
  std::string published_as;  // the name it is listed under there: another share may have had that of the torrent
  // A tracker that speaks the course protocol only: `get` without a name can still be a course client of it.
  std::vector<base::Endpoint> course_trackers;
};

class ShareSearch : public seam::Machine {
 public:
  [[nodiscard]] virtual const ShareSearchResult& result() const = 0;
};
// Finish::Result::nothing_found when no tracker answers, or none has such a share; the message names the shares there
// are.
[[nodiscard]] std::unique_ptr<ShareSearch> make_share_search(ShareSearchOptions options);

}  // namespace shoal::roles
