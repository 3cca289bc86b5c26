// What `share` and `get` have in common: their options, where they listen, which trackers they ask, and the run itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/cli.hpp"
#include "app/config_files.hpp"
#include "roles/share_search.hpp"
#include "roles/swarm_host.hpp"
#include "storage/torrent_store.hpp"

namespace shoal::app {

struct SwarmOptions {
  CommonOptions common;
  std::string bind;
  std::uint16_t port = 0;
  std::uint16_t discovery_port = 9000;
  std::vector<std::string> trackers;  // HOST:PORT of a Shoal tracker, or the URL of any tracker
  std::vector<std::string> peers;
  std::vector<std::string> web_seeds;
  std::string limit_down;
  std::string limit_up;
  bool no_local = false;  // neither the broadcast nor local peer discovery
};

void add_swarm_options(CLI::App& command, SwarmOptions& options);

// The options as the machine takes them; identity, limits, peers, trackers, interfaces. Errors name the option.
[[nodiscard]] Read<roles::SwarmHostOptions> make_host_options(const SwarmOptions& options);
// Shoal trackers that were named, or everything that is needed to discover them. What a URL names may be a tracker of
// any kind; only who has nobody else to ask takes it for one of ours.
enum class TrackerUrls : std::uint8_t { are_for_announcing, name_shoal_trackers };
[[nodiscard]] Read<roles::ShareSearchOptions> make_search_options(const SwarmOptions& options,
                                                                  TrackerUrls urls = TrackerUrls::are_for_announcing);
// What --tracker said, as announce URLs; HOST:PORT becomes http://HOST:PORT/announce.
[[nodiscard]] Read<std::vector<std::string>> announce_urls(const SwarmOptions& options);
[[nodiscard]] std::string announce_url(base::Endpoint tracker);

// "90s", "10m", "2h", "45": a time; nothing when the text is empty. The error names the option.
[[nodiscard]] Read<std::optional<base::Duration>> parse_seconds(const std::string& option, const std::string& text);

// Runs the search; Finish tells how it ended, `search.result()` what it found. Silent but for --verbose and --json.
[[nodiscard]] seam::Finish run_search(const SwarmOptions& options, roles::ShareSearch& search);

}  // namespace shoal::app
