// The datagrams of local peer discovery (BEP 14): BT-SEARCH, which looks like the head of an HTTP request. Used by
// discovery::LocalPeers.
//
// Always holds: parse_* of what encode() made gives the same value; fields may come in any order and case, those that
// nobody knows are ignored, and so are info hashes that are none; what has no port or no info hash is nothing.
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
inline constexpr std::size_t kLocalDiscoveryBytesMax = 1400;               // a datagram that no link takes apart

struct LocalSearch {
  std::uint16_t port = 0;                   // not 0
  std::vector<base::Sha1Hash> info_hashes;  // at least one
  std::string cookie;                       // to know one's own; may be empty
  friend bool operator==(const LocalSearch&, const LocalSearch&) = default;
};
// The whole has to fit in kLocalDiscoveryBytesMax: up to 24 info hashes with a cookie of up to 64 characters do.
[[nodiscard]] base::Bytes encode(const LocalSearch& search);
[[nodiscard]] std::optional<LocalSearch> parse_local_search(base::ByteView datagram);

}  // namespace shoal::wire
