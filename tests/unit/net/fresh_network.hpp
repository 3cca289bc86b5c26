// For tests that need interfaces of their own, or to see which one a packet leaves by.
#pragma once

#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <thread>

#include "net/socket.hpp"

namespace shoal::net {

inline constexpr base::Ipv4Address kLoopback = base::Ipv4Address::loopback();

// A link that was just made drops what it is given until the kernel has got around to starting its queue.
inline bool wait_until_running(const char* interface) {
  constexpr int kTriesMax = 1000;
  constexpr int kPauseMs = 10;
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (int i = 0; i < kTriesMax; ++i) {
    ifreq request{};
    std::strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
    if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_RUNNING) != 0) return true;
    ::poll(nullptr, 0, kPauseMs);
  }
  return false;
}

// Runs `body` where there are only the interfaces that it makes: no others, and no routes. False when this process may
// not.
inline bool in_fresh_network(const std::function<void()>& body) {
  bool was_allowed = false;
  std::thread([&] {
    if (::unshare(CLONE_NEWNET) != 0) return;
    was_allowed = std::system(
                      "ip link set lo up && ip link add one type veth peer name other && "
                      "ip address add 10.7.0.1/24 broadcast + dev one && ip link set one up && "
                      "ip address add 10.8.0.1/24 broadcast + dev other && ip link set other up") == 0;
    if (!was_allowed) return;
    EXPECT_TRUE(wait_until_running("one") && wait_until_running("other"));
    body();
  }).join();
  return was_allowed;
}

// Sees every packet of this network.
inline UniqueFd watch_packets() {
  return UniqueFd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL)));
}

// The interfaces that UDP left by since the watch began. Packets of other kinds come and go as the kernel likes.
inline std::set<std::string> interfaces_that_sent_udp(const UniqueFd& watch) {
  std::set<std::string> names;
  std::array<std::uint8_t, 2048> packet{};
  sockaddr_ll from{};
  socklen_t size = sizeof from;
  while (::recvfrom(watch.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from), &size) > 0) {
    constexpr std::size_t kIpProtocolOffset = 9;
    const bool is_udp = from.sll_protocol == htons(ETH_P_IP) && packet[kIpProtocolOffset] == IPPROTO_UDP;
    std::array<char, IF_NAMESIZE> name{};
    if (is_udp && from.sll_pkttype == PACKET_OUTGOING) {
      names.insert(::if_indextoname(static_cast<unsigned>(from.sll_ifindex), name.data()));
    }
    size = sizeof from;
  }
  return names;
}

}  // namespace shoal::net
