#include "net/interfaces.hpp"

#include <ifaddrs.h>
#include <linux/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <string_view>

#include "net/socket.hpp"

namespace shoal::net {

namespace {

std::optional<base::Ipv4Address> broadcast_of(const ifaddrs& entry, base::Ipv4Address address) {
  if ((entry.ifa_flags & IFF_BROADCAST) == 0 || entry.ifa_broadaddr == nullptr) return std::nullopt;
  const base::Ipv4Address broadcast = endpoint_of(*entry.ifa_broadaddr).address;
  // A network of one host (/32) names the host itself.
  if (broadcast.is_any() || broadcast == address) return std::nullopt;
  return broadcast;
}

std::uint8_t prefix_bits_of(const ifaddrs& entry) {
  if (entry.ifa_netmask == nullptr) return 32;
  return static_cast<std::uint8_t>(std::popcount(endpoint_of(*entry.ifa_netmask).address.value));
}

}  // namespace

std::vector<Interface> local_interfaces() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);

  std::vector<Interface> found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    if ((entry->ifa_flags & IFF_UP) == 0) continue;
    const base::Ipv4Address address = endpoint_of(*entry->ifa_addr).address;
    if (std::ranges::find(found, address, &Interface::address) != found.end()) continue;
    found.push_back({.name = entry->ifa_name,
                     .address = address,
                     .broadcast = broadcast_of(*entry, address),
                     .prefix_bits = prefix_bits_of(*entry),
                     .is_loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0,
                     .is_internal = is_internal_name(entry->ifa_name)});
  }
  return found;
}

std::vector<base::Network> internal_networks() {
  std::vector<base::Network> networks;
  for (const Interface& interface : local_interfaces()) {
    if (interface.is_internal) networks.push_back({interface.address, interface.prefix_bits});
  }
  return networks;
}

std::vector<base::Network> local_networks(const std::vector<Interface>& interfaces) {
  constexpr std::uint8_t kBitsMin = 8;
  std::vector<base::Network> networks;
  for (const Interface& interface : interfaces) {
    const bool is_network = interface.prefix_bits >= kBitsMin && interface.prefix_bits < 32;
    if (is_network && !interface.is_loopback) networks.push_back({interface.address, interface.prefix_bits});
  }
  return networks;
}

// By the names that Docker, Podman, libvirt, LXC, Incus, VirtualBox, VMware and the networks of Kubernetes give to
// their bridges: the kernel knows no such kind.
bool is_internal_name(std::string_view name) {
  constexpr std::array<std::string_view, 16> kPrefixes{"docker",  "podman",  "nerdctl", "virbr", "lxcbr", "lxdbr",
                                                       "incusbr", "vboxnet", "vmnet",   "cni",   "cbr",   "kube-",
                                                       "flannel", "weave",   "cilium",  "cali"};
  if (std::ranges::any_of(kPrefixes, [name](std::string_view prefix) { return name.starts_with(prefix); })) return true;
  // Docker's own networks: br- and twelve hexadecimal digits. br-lan and the like are real networks.
  constexpr std::string_view kDockerBridge = "br-";
  constexpr std::size_t kDockerDigits = 12;
  return name.starts_with(kDockerBridge) && name.size() == kDockerBridge.size() + kDockerDigits &&
         name.find_first_not_of("0123456789abcdef", kDockerBridge.size()) == std::string_view::npos;
}

std::vector<base::Ipv4Address> outward_addresses(const std::vector<Interface>& interfaces) {
  std::vector<base::Ipv4Address> addresses;
  for (const bool has_broadcast : {true, false}) {
    for (const Interface& interface : interfaces) {
      if (interface.is_loopback || interface.is_internal || interface.broadcast.has_value() != has_broadcast) continue;
      if (addresses.size() < kOutwardAddressesMax) addresses.push_back(interface.address);
    }
  }
  return addresses;
}

}  // namespace shoal::net
