#include "net/interfaces.hpp"

#include <ifaddrs.h>
#include <linux/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

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
                     .is_loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0});
  }
  return found;
}

}  // namespace shoal::net
