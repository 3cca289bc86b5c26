#include "net/interfaces.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace shoal::net {
namespace {

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

TEST(Interfaces, AnAddressIsListedOnce) {
  const std::vector<Interface> all = local_interfaces();
  for (const Interface& one : all) {
    EXPECT_EQ(std::ranges::count(all, one.address, &Interface::address), 1) << one.address.to_string();
  }
}

}  // namespace
}  // namespace shoal::net
