// The IPv4 interfaces of this host, for discovery on each of them. Called by the program once, before a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.hpp"

namespace shoal::net {

struct Interface {
  std::string name;
  base::Ipv4Address address;
  std::optional<base::Ipv4Address> broadcast;  // the directed one, where the network has one
  std::uint8_t prefix_bits = 32;
  bool is_loopback = false;
  bool is_internal = false;  // a bridge to containers or virtual machines of this host: nobody else can reach it
};

// Those that are up, each address once, in the kernel's order. Empty when the kernel gives no list.
[[nodiscard]] std::vector<Interface> local_interfaces();
// The networks behind the internal ones.
[[nodiscard]] std::vector<base::Network> internal_networks();
// The networks that this host is in with others, whatever addresses they have. A network of one address is none, nor is
// one that so many share that they do not know each other.
[[nodiscard]] std::vector<base::Network> local_networks(const std::vector<Interface>& interfaces);
// Whether an interface of this name is internal.
[[nodiscard]] bool is_internal_name(std::string_view name);

inline constexpr std::size_t kOutwardAddressesMax = 4;
// By which addresses others reach this host, at most kOutwardAddressesMax: those of networks with a broadcast first,
// as tunnels lead to few. Never loopback, nothing internal.
[[nodiscard]] std::vector<base::Ipv4Address> outward_addresses(const std::vector<Interface>& interfaces);

}  // namespace shoal::net
