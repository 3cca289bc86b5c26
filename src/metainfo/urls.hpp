// The URLs of trackers and web seeds that a torrent or a magnet link names: only those that can be one, each once, and
// not more than a client would ever try.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace shoal::metainfo {

inline constexpr std::size_t kUrlBytesMax = 2048;
inline constexpr std::size_t kTrackersMax = 256;  // in all tiers together
inline constexpr std::size_t kWebSeedsMax = 64;

// "scheme://" and something behind it, not too long, without blanks and control characters.
[[nodiscard]] bool is_usable_url(std::string_view url);
// Adds `url` without the blanks around it. False when it is left out: not usable, or one too many. One that is there
// already is neither added nor left out.
bool add_url(std::vector<std::string>& urls, std::string_view url, std::size_t urls_max);

}  // namespace shoal::metainfo
