#include "wire/local_discovery.hpp"

#include <fmt/format.h>

#include "base/check.hpp"
#include "wire/header_lines.hpp"

namespace shoal::wire {
namespace {

constexpr std::string_view kMethodAndTarget = "BT-SEARCH * HTTP/";

bool is_first_line(std::string_view line) {
  if (!line.starts_with(kMethodAndTarget)) return false;
  const std::string_view version = line.substr(kMethodAndTarget.size());
  return version == "1.1" || version == "1.0";
}

}  // namespace

base::Bytes encode(const LocalSearch& search) {
  SHOAL_CHECK(!search.info_hashes.empty());
  // Names in the case of BEP 14: some programs look for exactly that.
  std::string text =
      fmt::format("{}1.1\r\nHost: {}\r\nPort: {}\r\n", kMethodAndTarget, kLocalDiscoveryGroup.to_string(), search.port);
  for (const base::Sha1Hash& info_hash : search.info_hashes)
    text += fmt::format("Infohash: {}\r\n", info_hash.to_hex());
  if (!search.cookie.empty()) text += fmt::format("cookie: {}\r\n", search.cookie);
  text += "\r\n\r\n";
  SHOAL_CHECK(text.size() <= kLocalDiscoveryBytesMax);
  const base::ByteView bytes = base::view_of(text);
  return {bytes.begin(), bytes.end()};
}

std::optional<LocalSearch> parse_local_search(base::ByteView datagram) {
  if (datagram.size() > kLocalDiscoveryBytesMax) return std::nullopt;
  HeaderLines lines(base::text_of(datagram));
  const auto first_line = lines.next();
  if (!first_line || !is_first_line(*first_line)) return std::nullopt;
  LocalSearch search;
  // The empty line tells that nothing was cut off.
  std::optional<std::string_view> line = lines.next();
  for (; line && !line->empty(); line = lines.next()) {
    const auto field = parse_header_field(*line);
    if (!field) return std::nullopt;
    if (field->name == "port") {
      const auto port = base::parse_port(field->value);
      if (!port || *port == 0 || search.port != 0) return std::nullopt;
      search.port = *port;
    } else if (field->name == "infohash") {
      if (const auto info_hash = base::Sha1Hash::parse_hex(field->value)) search.info_hashes.push_back(*info_hash);
    } else if (field->name == "cookie") {
      search.cookie = field->value;
    }
  }
  if (!line || search.port == 0 || search.info_hashes.empty()) return std::nullopt;
  return search;
}

}  // namespace shoal::wire
