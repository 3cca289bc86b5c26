// The datagrams of local peer discovery (BEP 14): BT-SEARCH. Used by discovery::LocalPeers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/sha1.hpp"

namespace shoal::wire {

inline constexpr base::Endpoint kLocalDiscoveryGroup{{0xefc0988f}, 6771};  // 239.192.152.143
inline constexpr std::size_t kLocalDiscoveryBytesMax = 1400;

struct LocalSearch {
  std::uint16_t port = 0;
  std::vector<base::Sha1Hash> info_hashes;  // at least one
  std::string cookie;                       // to know one's own
  friend bool operator==(const LocalSearch&, const LocalSearch&) = default;
};
[[nodiscard]] base::Bytes encode(const LocalSearch& search);
[[nodiscard]] std::optional<LocalSearch> parse_local_search(base::ByteView datagram);

}  // namespace shoal::wire
