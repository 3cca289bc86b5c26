// URLs from torrents and redirects from servers: whatever is accepted fits into a request without breaking out of its
// place, and reads back as the same. And what answers say that they are a part of.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "net/content_range.hpp"
#include "net/http_url.hpp"

namespace shoal::net {
namespace {

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

void check(const HttpUrl& url) {
  SHOAL_CHECK(!url.host.empty() && is_plain(url.host));
  SHOAL_CHECK(url.port != 0);
  SHOAL_CHECK(url.target.starts_with('/') && is_plain(url.target) && url.target.find('#') == std::string::npos);
  SHOAL_CHECK(is_plain(url.host_and_port()) && is_plain(url.shown()));
  auto again = parse_http_url(url.origin() + url.target);
  if (!again) {
    // What is escaped takes more room.
    SHOAL_CHECK(again.error().find("longer") != std::string::npos);
    return;
  }
  again->user_info = url.user_info;
  SHOAL_CHECK(*again == url);
}

void check(std::string_view text) {
  const std::size_t end = std::min(text.find('\0'), text.size());
  const auto url = parse_http_url(text.substr(0, end));
  if (!url) {
    SHOAL_CHECK(!url.error().empty());
    return;
  }
  check(*url);
  if (end == text.size()) return;
  const auto next = follow_location(*url, text.substr(end + 1));
  if (next) check(*next);
}

}  // namespace
}  // namespace shoal::net

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  shoal::net::check(text);
  const auto range = shoal::net::parse_content_range(text);
  SHOAL_CHECK(!range || range->first <= range->last);
  return 0;
}
