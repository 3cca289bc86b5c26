#include "net/http_url.hpp"

#include <fmt/format.h>
#include <boost/url/src.hpp>

#include <algorithm>
#include <optional>

#include "base/endpoint.hpp"

namespace shoal::net {

namespace {

namespace urls = boost::urls;

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;
constexpr std::size_t kUrlBytesMax = 8192;
constexpr std::size_t kShownBytesMax = 200;

bool is_never_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte >= 0x7f || std::string_view("\"<>\\^`{|}").find(c) != std::string_view::npos;
}

// Where the brackets of an IPv6 address may be: up to the end of the authority.
std::size_t authority_end(std::string_view text) {
  const std::size_t begin = text.find("//");
  if (begin == std::string_view::npos) return 0;
  return std::min(text.find_first_of("/?#", begin + 2), text.size());
}

bool is_percent_code(std::string_view text) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
  return text.size() >= 3 && is_hex(text[1]) && is_hex(text[2]);
}

std::string forgive(std::string_view text) {
  const std::size_t brackets_end = authority_end(text);
  std::string strict;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool is_bracket = (c == '[' || c == ']') && at >= brackets_end;
    const bool is_lone_percent = c == '%' && !is_percent_code(text.substr(at));
    if (is_never_plain(c) || is_bracket || is_lone_percent) {
      strict += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      strict += c;
    }
  }
  return strict;
}

std::expected<HttpUrl, std::string> take_apart(const urls::url_view& view) {
  if (view.scheme_id() != urls::scheme::http && view.scheme_id() != urls::scheme::https) {
    return std::unexpected("only http and https can be fetched");
  }
  HttpUrl url;
  url.is_https = view.scheme_id() == urls::scheme::https;
  url.host = view.host_address();
  if (url.host.empty() || std::ranges::any_of(url.host, is_never_plain)) return std::unexpected("it names no host");
  url.port = url.is_https ? kHttpsPort : kHttpPort;
  if (view.has_port() && !view.port().empty()) {
    const std::optional<std::uint16_t> port = base::parse_port(std::string_view(view.port()));
    if (!port || *port == 0) return std::unexpected("its port is not between 1 and 65535");
    url.port = *port;
  }
  const std::string_view target(view.encoded_target().data(), view.encoded_target().size());
  if (!target.starts_with('/')) url.target = "/";
  url.target += target;
  url.user_info = view.userinfo();
  return url;
}

}  // namespace

std::string HttpUrl::host_and_port() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (is_https ? kHttpsPort : kHttpPort)) text += fmt::format(":{}", port);
  return text;
}

std::string HttpUrl::origin() const {
  return (is_https ? "https://" : "http://") + host_and_port();
}

std::string HttpUrl::shown() const {
  std::string text = origin() + target.substr(0, target.find('?'));
  if (text.size() > kShownBytesMax) text = text.substr(0, kShownBytesMax) + "...";
  return text;
}

std::expected<HttpUrl, std::string> parse_http_url(std::string_view text) {
  if (text.size() > kUrlBytesMax) return std::unexpected(fmt::format("it is longer than {} bytes", kUrlBytesMax));
  const std::string strict = forgive(text);
  const auto parsed = urls::parse_uri(strict);
  if (!parsed) return std::unexpected("it is no URL");
  return take_apart(*parsed);
}

std::expected<HttpUrl, std::string> follow_location(const HttpUrl& from, std::string_view location) {
  if (location.size() > kUrlBytesMax) return std::unexpected(fmt::format("it is longer than {} bytes", kUrlBytesMax));
  const std::string base_text = from.origin() + from.target;
  const std::string reference_text = forgive(location);
  const auto base = urls::parse_uri(base_text);
  const auto reference = urls::parse_uri_reference(reference_text);
  if (!base || !reference) return std::unexpected("it is no URL");
  urls::url resolved;
  if (!urls::resolve(*base, *reference, resolved)) return std::unexpected("it is no URL");
  const auto result = urls::parse_uri(resolved.buffer());
  if (!result) return std::unexpected("it is no URL");
  auto url = take_apart(*result);
  // Nothing is above the root (RFC 3986, 5.2.4); Boost.URL leaves what climbs over it.
  while (url && url->target.starts_with("/../")) url->target.erase(0, 3);
  return url;
}

}  // namespace shoal::net
