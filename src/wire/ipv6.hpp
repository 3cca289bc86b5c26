// IPv6 addresses as far as trackers name them (BEP 7): text and values. Used by tracker_messages and the tracker, which
// hand them on; Shoal itself dials IPv4 only.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::wire {

using Ipv6Address = std::array<std::byte, 16>;

struct Ipv6Endpoint {
  Ipv6Address address{};
  std::uint16_t port = 0;
  friend auto operator<=>(const Ipv6Endpoint&, const Ipv6Endpoint&) = default;
};

// The forms of RFC 4291, 2.2, without a zone; anything else is nothing.
[[nodiscard]] std::optional<Ipv6Address> parse_ipv6(std::string_view text);
// Eight groups, lower case, none left out.
[[nodiscard]] std::string to_string(const Ipv6Address& address);

// "address", which takes `usual_port`, or "[address]:port"; anything else is nothing.
[[nodiscard]] std::optional<Ipv6Endpoint> parse_ipv6_endpoint(std::string_view text, std::uint16_t usual_port);
// "[address]:port".
[[nodiscard]] std::string to_string(const Ipv6Endpoint& endpoint);

}  // namespace shoal::wire
