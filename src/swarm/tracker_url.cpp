#include "swarm/tracker_url.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.hpp"

namespace shoal::swarm {
namespace {

using Scheme = TrackerUrl::Scheme;

std::optional<Scheme> scheme_of(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Scheme>, 3> kSchemes = {
      {{"udp", Scheme::udp}, {"http", Scheme::http}, {"https", Scheme::https}}};
  for (const auto& [known, scheme] : kSchemes) {
    if (known == name) return scheme;
  }
  return std::nullopt;
}

}  // namespace

bool TrackerUrl::is_on_this_host() const {
  const auto literal = address();
  return (literal && literal->is_loopback()) || host == "localhost";
}

std::optional<TrackerUrl> parse_tracker_url(std::string_view url) {
  url = url.substr(0, url.find('#'));
  const std::size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return std::nullopt;
  const auto scheme = scheme_of(base::ascii_lower(url.substr(0, scheme_end)));
  if (!scheme) return std::nullopt;
  TrackerUrl parsed{.scheme = *scheme, .text = std::string(url), .host = "", .path_and_query = ""};
  std::string_view authority = url.substr(scheme_end + 3);
  if (const std::size_t end = authority.find_first_of("/?"); end != std::string_view::npos) {
    parsed.path_and_query = authority.substr(end);
    authority = authority.substr(0, end);
  }
  if (const std::size_t user_end = authority.rfind('@'); user_end != std::string_view::npos) {
    authority.remove_prefix(user_end + 1);
  }
  const bool is_ipv6 = authority.starts_with('[');
  if (is_ipv6 && *scheme == Scheme::udp) return std::nullopt;
  const std::size_t host_end = is_ipv6 ? authority.find(']') : authority.find(':');
  if (is_ipv6 && host_end == std::string_view::npos) return std::nullopt;
  parsed.host = base::ascii_lower(authority.substr(0, is_ipv6 ? host_end + 1 : host_end));
  std::string_view port = authority.substr(std::min(parsed.host.size(), authority.size()));
  if (parsed.host.empty()) return std::nullopt;
  if (port.empty() || port == ":") {
    if (*scheme == Scheme::udp) return std::nullopt;
    parsed.port = *scheme == Scheme::https ? 443 : 80;
    return parsed;
  }
  const auto number = port.starts_with(':') ? base::parse_port(port.substr(1)) : std::nullopt;
  if (!number || *number == 0) return std::nullopt;
  parsed.port = *number;
  return parsed;
}

std::string with_query(const TrackerUrl& url, std::string_view query) {
  std::string whole = url.text;
  if (whole.find('?') == std::string::npos) {
    if (url.path_and_query.empty()) whole += '/';
    whole += '?';
  } else if (whole.back() != '?' && whole.back() != '&') {
    whole += '&';
  }
  whole += query;
  return whole;
}

}  // namespace shoal::swarm
