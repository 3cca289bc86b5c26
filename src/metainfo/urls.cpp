#include "metainfo/urls.hpp"

#include <algorithm>

namespace shoal::metainfo {
namespace {

bool is_scheme_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

}  // namespace

bool is_usable_url(std::string_view url) {
  const std::size_t scheme_bytes = url.find("://");
  return scheme_bytes != std::string_view::npos && scheme_bytes > 0 && url.size() > scheme_bytes + 3 &&
         url.size() <= kUrlBytesMax && std::ranges::all_of(url.substr(0, scheme_bytes), is_scheme_character) &&
         std::ranges::none_of(url, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; });
}

bool add_url(std::vector<std::string>& urls, std::string_view url, std::size_t urls_max) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = url.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return false;
  url = url.substr(first, url.find_last_not_of(kBlanks) - first + 1);
  if (!is_usable_url(url)) return false;
  if (std::ranges::find(urls, url) != urls.end()) return true;
  if (urls.size() >= urls_max) return false;
  urls.emplace_back(url);
  return true;
}

}  // namespace shoal::metainfo
