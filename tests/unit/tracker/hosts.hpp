// Who takes part in the tracker's tests.
#pragma once

#include "base/endpoint.hpp"
#include "base/sha1.hpp"

namespace shoal::tracker {

inline constexpr base::Ipv4Address kUs{0xc0a80001};  // 192.168.0.1
inline constexpr base::Endpoint kAlice{{0x0a000002}, 8001};
inline constexpr base::Endpoint kBob{{0x0a000003}, 8002};
inline const base::Sha1Hash kShare = base::sha1(base::view_of("a share"));

}  // namespace shoal::tracker
