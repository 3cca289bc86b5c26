// The address of a tracker, taken apart as far as an announce needs it. Used by Announcer; the URLs come from torrents
// and magnet links and are untrusted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/endpoint.hpp"

namespace shoal::swarm {

struct TrackerUrl {
  enum class Scheme : std::uint8_t { udp, http, https } scheme = Scheme::http;
  std::string text;  // without a fragment
  std::string host;
  std::uint16_t port = 0;
  std::string path_and_query;  // "" or begins with '/' or '?'

  // The host is an IPv4 address.
  [[nodiscard]] std::optional<base::Ipv4Address> address() const { return base::Ipv4Address::parse(host); }
  // As far as the URL tells.
  [[nodiscard]] bool is_on_this_host() const;
};

// Nothing for another scheme, no host, a port that is none, UDP without a port or with an IPv6 address.
[[nodiscard]] std::optional<TrackerUrl> parse_tracker_url(std::string_view url);

// The URL with `query` behind what it has of one itself.
[[nodiscard]] std::string with_query(const TrackerUrl& url, std::string_view query);

}  // namespace shoal::swarm
