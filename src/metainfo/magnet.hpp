// Magnet links (BEP 9, and `ws` and `x.pe`): text to a value or an error, and back. Used by the commands. URLs and
// peers that are none or badly escaped, and more than anybody would try, are left out; a badly escaped name is taken as
// it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.hpp"
#include "metainfo/torrent.hpp"

namespace shoal::metainfo {

inline constexpr std::size_t kMagnetBytesMax = 64 * 1024;
inline constexpr std::size_t kMagnetPeersMax = 64;

enum class MagnetError : std::uint8_t {
  not_a_magnet,
  too_long,
  no_info_hash,
  bad_info_hash,
  two_info_hashes,  // that differ
  version_2_only,
  bad_escape,  // in xt
};
[[nodiscard]] std::string_view describe(MagnetError error);

struct Magnet {
  InfoHash info_hash;                  // xt=urn:btih, 40 hex digits or 32 of base 32
  std::string name;                    // dn; untrusted, for display
  std::vector<std::string> trackers;   // tr
  std::vector<std::string> web_seeds;  // ws
  std::vector<base::Endpoint> peers;   // x.pe, those that are IPv4 addresses
  friend bool operator==(const Magnet&, const Magnet&) = default;
};

[[nodiscard]] std::expected<Magnet, MagnetError> parse_magnet(std::string_view text);
[[nodiscard]] std::string encode_magnet(const Magnet& magnet);

}  // namespace shoal::metainfo
