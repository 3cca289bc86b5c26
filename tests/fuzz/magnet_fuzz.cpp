// Magnet links from strangers: whatever is accepted is written as a link that anybody can paste and that reads back as
// the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "metainfo/magnet.hpp"
#include "metainfo/urls.hpp"

namespace shoal::metainfo {
namespace {

bool are_usable(const std::vector<std::string>& urls, std::size_t urls_max) {
  return urls.size() <= urls_max && std::ranges::all_of(urls, is_usable_url);
}

void check(std::string_view text) {
  const auto magnet = parse_magnet(text);
  if (!magnet) {
    SHOAL_CHECK(!describe(magnet.error()).empty());
    return;
  }
  SHOAL_CHECK(are_usable(magnet->trackers, kTrackersMax) && are_usable(magnet->web_seeds, kWebSeedsMax));
  SHOAL_CHECK(magnet->peers.size() <= kMagnetPeersMax);
  const std::string written = encode_magnet(*magnet);
  SHOAL_CHECK(std::ranges::all_of(written, [](char c) { return c > ' ' && c < '\x7f'; }));
  const auto again = parse_magnet(written);
  // What was written plainly may take more room escaped.
  SHOAL_CHECK(again ? *again == *magnet : written.size() > kMagnetBytesMax);
}

}  // namespace
}  // namespace shoal::metainfo

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  shoal::metainfo::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
