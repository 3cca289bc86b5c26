// An IPv4 address and an address with a port, as values without I/O. The course protocol is IPv4 only.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::base {

struct Ipv4Address {
  std::uint32_t value = 0;  // host order: 127.0.0.1 is 0x7f000001

  static constexpr Ipv4Address loopback() { return {0x7f000001}; }
  static constexpr Ipv4Address limited_broadcast() { return {0xffffffff}; }
  // Exactly four decimal numbers 0-255, no leading zeros; anything else is nothing.
  static std::optional<Ipv4Address> parse(std::string_view text);

  [[nodiscard]] constexpr bool is_any() const { return value == 0; }
  [[nodiscard]] constexpr bool is_loopback() const { return (value >> 24) == 127; }
  [[nodiscard]] constexpr bool is_multicast() const { return (value >> 28) == 0xe; }
  // Of a network without a way to the internet of its own: loopback, RFC 1918, link local.
  [[nodiscard]] constexpr bool is_local() const {
    return is_loopback() || (value >> 24) == 10 || (value >> 20) == 0xac1 || (value >> 16) == 0xc0a8 ||
           (value >> 16) == 0xa9fe;
  }
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const Ipv4Address&, const Ipv4Address&) = default;
};

// The addresses that share their first `prefix_bits` with `address`.
struct Network {
  Ipv4Address address;
  std::uint8_t prefix_bits = 32;  // 0 to 32

  [[nodiscard]] constexpr bool contains(Ipv4Address other) const {
    const std::uint32_t mask = prefix_bits == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix_bits);
    return ((address.value ^ other.value) & mask) == 0;
  }
  friend auto operator<=>(const Network&, const Network&) = default;
};

struct Endpoint {
  Ipv4Address address;
  std::uint16_t port = 0;

  // "a.b.c.d:port"; anything else is nothing.
  static std::optional<Endpoint> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// A decimal number 0-65535 without sign or blanks.
std::optional<std::uint16_t> parse_port(std::string_view text);

}  // namespace shoal::base

template <>
struct std::hash<shoal::base::Endpoint> {
  std::size_t operator()(const shoal::base::Endpoint& endpoint) const noexcept {
    return std::hash<std::uint64_t>{}((std::uint64_t{endpoint.address.value} << 16) | endpoint.port);
  }
};
