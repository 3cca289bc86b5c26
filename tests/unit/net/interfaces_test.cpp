#include "net/interfaces.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace shoal::net {
namespace {

base::Ipv4Address address(std::string_view text) {
  return base::Ipv4Address::parse(text).value();
}

Interface lan(std::string_view own) {
  return {.name = "eth0", .address = address(own), .broadcast = base::Ipv4Address{address(own).value | 255}};
}

TEST(Interfaces, BridgesToContainersAndVirtualMachinesAreInternal) {
  for (const char* name : {"docker0",     "docker_gwbridge", "br-0123456789ab", "podman0",   "podman1",
                           "nerdctl0",    "virbr0",          "virbr1",          "lxcbr0",    "lxdbr0",
                           "incusbr0",    "vboxnet0",        "vmnet8",          "cni0",      "cni-podman0",
                           "cbr0",        "kube-bridge",     "kube-ipvs0",      "flannel.1", "weave",
                           "cilium_host", "cilium_vxlan",    "cali0123456789a"}) {
    EXPECT_TRUE(is_internal_name(name)) << name;
  }
}

TEST(Interfaces, NetworksOfOtherHostsAreNot) {
  for (const char* name : {"eth0",
                           "enp3s0",
                           "enx0123456789ab",
                           "wlan0",
                           "wlp2s0",
                           "bond0",
                           "team0",
                           "br0",
                           "br-lan",
                           "br-0123456789",
                           "br-0123456789abc",
                           "br-0123456789AB",
                           "bridge0",
                           "vmbr0",
                           "tun0",
                           "tap0",
                           "wg0",
                           "tailscale0",
                           "zt0",
                           "ppp0",
                           "usb0",
                           "ib0",
                           "lo",
                           ""}) {
    EXPECT_FALSE(is_internal_name(name)) << name;
  }
}

TEST(Interfaces, OthersReachThisHostAtTheAddressesOfItsNetworksFirst) {
  const Interface loopback{.name = "lo", .address = base::Ipv4Address::loopback(), .is_loopback = true};
  const Interface tunnel{.name = "tun0", .address = address("10.8.0.2")};
  Interface docker = lan("172.17.0.1");
  docker.is_internal = true;
  EXPECT_EQ(outward_addresses({loopback, tunnel, docker, lan("192.168.1.5"), lan("10.9.0.5")}),
            (std::vector{address("192.168.1.5"), address("10.9.0.5"), address("10.8.0.2")}));
  EXPECT_TRUE(outward_addresses({loopback, docker}).empty());
}

TEST(Interfaces, AHostWithManyNetworksNamesAFew) {
  std::vector<Interface> many(100, Interface{.name = "tun0", .address = address("10.8.0.2")});
  many.push_back(lan("192.168.1.5"));
  const std::vector<base::Ipv4Address> named = outward_addresses(many);
  EXPECT_EQ(named.size(), kOutwardAddressesMax);
  EXPECT_EQ(named.front(), address("192.168.1.5"));
}

TEST(Interfaces, WhoHasAnAddressOfANetworkOfThisHostIsLocalWhateverTheAddressIs) {
  const Interface loopback{.name = "lo", .address = address("203.0.113.5"), .prefix_bits = 24, .is_loopback = true};
  const Interface tunnel{.name = "tun0", .address = address("198.51.100.1"), .prefix_bits = 32};
  const Interface everybody{.name = "ppp0", .address = address("198.51.100.2"), .prefix_bits = 0};
  const Interface campus{.name = "eth0", .address = address("131.159.20.7"), .prefix_bits = 22};
  const std::vector<base::Network> networks = local_networks({loopback, tunnel, everybody, campus});
  ASSERT_EQ(networks.size(), 1u);
  EXPECT_TRUE(networks[0].contains(address("131.159.23.255")));
  EXPECT_FALSE(networks[0].contains(address("131.159.24.0")));
}

TEST(Interfaces, AnAddressIsListedOnce) {
  const std::vector<Interface> all = local_interfaces();
  for (const Interface& one : all) {
    EXPECT_EQ(std::ranges::count(all, one.address, &Interface::address), 1) << one.address.to_string();
  }
}

}  // namespace
}  // namespace shoal::net
