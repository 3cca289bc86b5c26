// Names for what a runner holds on behalf of a machine.
#pragma once

#include <cstdint>

#include "base/strong.hpp"

namespace shoal::seam {

// A TCP connection. Never reused. A machine names the ones it dials with odd numbers, a runner the ones it accepts
// with even numbers.
using ConnId = base::Strong<struct ConnIdTag, std::uint64_t>;
// A UDP socket. 0 is the one the runner opened before the machine started (a tracker's discovery port).
using SocketId = base::Strong<struct SocketIdTag>;
// One piece on its way to the store. Never reused. Chosen by the machine.
using WriteId = base::Strong<struct WriteIdTag, std::uint64_t>;
// One question to the piece library. Never reused. Chosen by the machine.
using LookupId = base::Strong<struct LookupIdTag, std::uint64_t>;

inline constexpr SocketId kDiscoverySocket{0};

}  // namespace shoal::seam
