// Names for what a runner holds on behalf of a machine.
#pragma once

#include <cstdint>

#include "base/strong.hpp"

namespace shoal::seam {

// A TCP connection. Never reused. A machine names the ones it dials with odd numbers, a runner the ones it accepts
// with even numbers.
using ConnId = base::Strong<struct ConnIdTag, std::uint64_t>;
// A UDP socket. 0 and 1 are those the runner opened before the machine started (a tracker's discovery port, and its BEP
// 15 side); discovery::Finder names its own from 2 on, discovery::LocalPeers from 1001 on, swarm::Announcer 2000,
// roles::SwarmSearch 2001.
using SocketId = base::Strong<struct SocketIdTag>;
// One piece on its way to the store. Never reused. Chosen by the machine.
using WriteId = base::Strong<struct WriteIdTag, std::uint64_t>;
// One question to the piece library. Never reused. Chosen by the machine.
using LookupId = base::Strong<struct LookupIdTag, std::uint64_t>;

// One HTTP request. Never reused. Chosen by the machine.
using FetchId = base::Strong<struct FetchIdTag, std::uint64_t>;
// One question for a host name. Never reused. Chosen by the machine.
using ResolveId = base::Strong<struct ResolveIdTag, std::uint64_t>;

inline constexpr SocketId kDiscoverySocket{0};
inline constexpr SocketId kTrackerSocket{1};
inline constexpr SocketId kAnnouncerSocket{2000};
inline constexpr SocketId kUtpSocket{2001};

}  // namespace shoal::seam
