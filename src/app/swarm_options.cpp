#include "app/swarm_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "app/descriptors.hpp"
#include "app/host_and_port.hpp"
#include "app/json_events.hpp"
#include "app/print.hpp"
#include "app/progress.hpp"
#include "app/torrent_files.hpp"
#include "net/http_url.hpp"
#include "net/interfaces.hpp"
#include "net/runner.hpp"

namespace shoal::app {
namespace {

constexpr std::string_view kPeerIdPrefix = "-SH0100-";  // BEP 20, Azureus style

wire::PeerId make_peer_id() {
  wire::PeerId id;
  std::memcpy(id.data(), kPeerIdPrefix.data(), kPeerIdPrefix.size());
  std::random_device random;
  for (std::size_t i = kPeerIdPrefix.size(); i < id.size(); ++i) id[i] = static_cast<std::byte>(random());
  return id;
}

Read<std::uint64_t> parse_rate(const std::string& option, const std::string& text) {
  if (text.empty()) return 0;
  const auto rate = parse_size(text);
  if (!rate || *rate == 0) {
    return std::unexpected(
        fmt::format("{} {}: not a number of bytes per second such as 500K or 10M: a whole one, with no unit, K (1024), "
                    "M (1024 K) or G (1024 M)",
                    option, text));
  }
  return *rate;
}

Read<base::Ipv4Address> parse_bind(const std::string& text) {
  if (text.empty()) return base::Ipv4Address{};
  const auto address = base::Ipv4Address::parse(text);
  if (!address) return std::unexpected(fmt::format("--bind {}: not an IPv4 address such as 192.168.1.5", text));
  return *address;
}

bool is_url(const std::string& text) {
  return text.find("://") != std::string::npos;
}

// "HOST:PORT" of "http://HOST:PORT/announce".
Read<std::string> host_and_port_of(const std::string& text) {
  const auto url = net::parse_http_url(text);
  if (url && !url->is_https) return fmt::format("{}:{}", url->host, url->port);
  return std::unexpected(
      fmt::format("--tracker {}: what is shared is asked at HOST:PORT or http://HOST:PORT/announce", text));
}

std::string nobody_has(const std::string& bind) {
  return fmt::format("--bind {}: no interface of this host that is up has it", bind);
}

// With --bind only that one.
std::vector<net::Interface> chosen_interfaces(base::Ipv4Address bind) {
  std::vector<net::Interface> chosen = net::local_interfaces();
  if (!bind.is_any()) std::erase_if(chosen, [bind](const net::Interface& one) { return one.address != bind; });
  return chosen;
}

}  // namespace

void add_swarm_options(CLI::App& command, SwarmOptions& options) {
  add_output_options(command, options.common);
  command.add_option("--bind", options.bind, "listen on this address, and look on its interface only");
  command.add_option("--port", options.port, "the TCP port to give on (0: any free one)")
      ->check(port_number())
      ->capture_default_str();
  command.add_option("--discovery-port", options.discovery_port, "the UDP port Shoal trackers are found on")
      ->check(port_number())
      ->capture_default_str();
  // One value each time: what follows may be the path.
  command.add_option("--tracker", options.trackers, "HOST:PORT of a Shoal tracker, or the URL of any tracker")
      ->allow_extra_args(false);
  command.add_option("--peer", options.peers, "HOST:PORT of somebody who has it")->allow_extra_args(false);
  command.add_option("--web-seed", options.web_seeds, "URL of an HTTP server that has it")->allow_extra_args(false);
  command.add_option("--limit-down", options.limit_down, "take at most this many bytes per second, e.g. 10M");
  command.add_option("--limit-up", options.limit_up, "give at most this many bytes per second, e.g. 500K");
  command.add_flag("--no-local", options.no_local, "look for nobody on the local network by broadcast or multicast");
}

Read<std::optional<base::Duration>> parse_seconds(const std::string& option, const std::string& text) {
  if (text.empty()) return std::nullopt;
  std::size_t used = 0;
  double number = -1;
  try {
    number = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  const double factor = unit.empty() || unit == "s" ? 1 : unit == "m" || unit == "min" ? 60 : unit == "h" ? 3600 : 0;
  if (used == 0 || !(number >= 0) || factor == 0 || number * factor > 1e9) {
    return std::unexpected(fmt::format("{} {}: not a time such as 90s, 10m or 2h", option, text));
  }
  return base::from_seconds(number * factor);
}

std::string announce_url(base::Endpoint tracker) {
  return fmt::format("http://{}/announce", tracker.to_string());
}

Read<std::vector<std::string>> announce_urls(const SwarmOptions& options) {
  std::vector<std::string> urls;
  for (const std::string& text : options.trackers) {
    if (is_url(text)) {
      urls.push_back(text);
      continue;
    }
    const auto tracker = parse_host_and_port("--tracker", text);
    if (!tracker) return std::unexpected(tracker.error());
    urls.push_back(announce_url(*tracker));
  }
  return urls;
}

Read<roles::SwarmHostOptions> make_host_options(const SwarmOptions& options) {
  roles::SwarmHostOptions host;
  host.peer_id = make_peer_id();
  const auto bind = parse_bind(options.bind);
  if (!bind) return std::unexpected(bind.error());
  host.listening = {*bind, options.port};
  for (const net::Interface& interface : chosen_interfaces(*bind)) host.interfaces.push_back(interface.address);
  if (!bind->is_any() && host.interfaces.empty()) {
    return std::unexpected(nobody_has(options.bind));
  }
  host.internal_networks = net::internal_networks();
  host.uses_local_discovery = !options.no_local;
  for (const std::string& text : options.peers) {
    const auto peer = parse_host_and_port("--peer", text);
    if (!peer) return std::unexpected(peer.error());
    host.peers.push_back(*peer);
  }
  const auto urls = announce_urls(options);
  if (!urls) return std::unexpected(urls.error());
  for (const std::string& url : *urls) host.tracker_tiers.push_back({url});
  auto web_seeds = parse_web_seeds(options.web_seeds);
  if (!web_seeds) return std::unexpected(web_seeds.error());
  host.web_seeds = std::move(*web_seeds);
  const auto down = parse_rate("--limit-down", options.limit_down);
  if (!down) return std::unexpected(down.error());
  const auto up = parse_rate("--limit-up", options.limit_up);
  if (!up) return std::unexpected(up.error());
  host.limit_down_bytes_per_s = *down;
  host.limit_up_bytes_per_s = *up;
  fit_to_descriptors(host);
  return host;
}

Read<roles::ShareSearchOptions> make_search_options(const SwarmOptions& options, TrackerUrls urls) {
  roles::ShareSearchOptions search;
  for (const std::string& text : options.trackers) {
    if (is_url(text) && urls == TrackerUrls::are_for_announcing) continue;
    const auto named = is_url(text) ? host_and_port_of(text) : text;
    if (!named) return std::unexpected(named.error());
    const auto tracker = parse_host_and_port("--tracker", *named);
    if (!tracker) return std::unexpected(tracker.error());
    search.trackers.push_back(*tracker);
  }
  const auto bind = parse_bind(options.bind);
  if (!bind) return std::unexpected(bind.error());
  if (search.trackers.empty() && !options.no_local) {
    for (const net::Interface& interface : chosen_interfaces(*bind)) {
      search.interfaces.push_back({.address = interface.address, .broadcast = interface.broadcast});
    }
    if (!bind->is_any() && search.interfaces.empty()) return std::unexpected(nobody_has(options.bind));
  }
  search.discovery_port = options.discovery_port;
  return search;
}

seam::Finish run_search(const SwarmOptions& options, roles::ShareSearch& search) {
  const bool is_told = options.common.is_verbose && !options.common.is_quiet;
  Progress progress({.is_terminal = false, .is_verbose = options.common.is_verbose});
  JsonEvents json(options.common.has_run());
  net::Runner runner({.pool_threads = 1,
                      .on_trace =
                          [&](const seam::Trace& trace, base::Instant now) {
                            if (options.common.is_json) {
                              if (const auto line = json.describe(trace, now)) print_result(*line);
                            } else if (is_told) {
                              progress.on_trace(trace, now);
                            }
                          },
                      .stops_on_signals = true});
  return runner.run(search);
}

}  // namespace shoal::app
