#include "net/http_url.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "base/ascii.hpp"
#include "base/endpoint.hpp"
#include "wire/http.hpp"

namespace shoal::net {

namespace {

constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;
constexpr std::size_t kUrlBytesMax = 8192;
constexpr std::size_t kHostBytesMax = 253;  // of any name (RFC 1035)
constexpr std::size_t kShownBytesMax = 200;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Encodes what may not stand in a path or a query; a percent sign that begins a code stays.
std::string encode_strangers(std::string_view text) {
  constexpr std::string_view kStrangers = "\"<>[\\]^`{|}";
  std::string strict;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const auto byte = static_cast<unsigned char>(c);
    const bool is_lone_percent = c == '%' && !(at + 2 < text.size() && is_hex(text[at + 1]) && is_hex(text[at + 2]));
    if (byte <= ' ' || byte >= 0x7f || is_lone_percent || kStrangers.find(c) != std::string_view::npos) {
      strict += fmt::format("%{:02X}", byte);
    } else {
      strict += c;
    }
  }
  return strict;
}

// The scheme of a text that begins with one ("http" of "http:..."); RFC 3986, 3.1.
std::optional<std::string_view> scheme_of(std::string_view text) {
  const std::size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
  if (end == 0 || end == std::string_view::npos || text[end] != ':' || !is_letter(text[0])) return std::nullopt;
  return text.substr(0, end);
}

// As strict as it must be for a request: it has no room for another port, a path or a line.
bool is_host_name(std::string_view text) {
  const auto is_part = [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_'; };
  return !text.empty() && text.size() <= kHostBytesMax && std::ranges::all_of(text, is_part);
}

bool is_ipv6(const std::string& text) {
  const auto is_part = [](char c) { return is_hex(c) || c == ':' || c == '.'; };
  if (!std::ranges::all_of(text, is_part)) return false;  // a zero would end it for inet_pton
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return ::inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

// "user:password@host:port" into `url`.
std::expected<void, std::string> read_authority(std::string_view text, HttpUrl& url) {
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    const auto user_info = wire::percent_decode(text.substr(0, at));
    if (!user_info) return std::unexpected("its user name is wrongly encoded");
    url.user_info = *user_info;
    text = text.substr(at + 1);
  }
  const bool has_bracket = text.starts_with('[');
  const std::size_t host_end = std::min(has_bracket ? text.find(']') : text.find(':'), text.size());
  url.host = base::ascii_lower(text.substr(has_bracket ? 1 : 0, host_end - (has_bracket ? 1 : 0)));
  const bool is_closed = !has_bracket || host_end < text.size();
  if (!is_closed || !(has_bracket ? is_ipv6(url.host) : is_host_name(url.host))) {
    return std::unexpected("it names no host");
  }
  const std::string_view rest = text.substr(host_end + (has_bracket ? 1 : 0));
  url.port = url.is_https ? kHttpsPort : kHttpPort;
  if (rest.empty() || rest == ":") return {};
  const auto port = rest.starts_with(':') ? base::parse_port(rest.substr(1)) : std::nullopt;
  if (!port || *port == 0) return std::unexpected("its port is not between 1 and 65535");
  url.port = *port;
  return {};
}

// RFC 3986, 5.2.4. `path` begins with '/'.
std::string without_dots(std::string_view path) {
  std::string plain;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(1, end - 1);
    const bool is_last = end == path.size();
    if (segment == ".." && !plain.empty()) plain.erase(plain.rfind('/'));
    if (segment != "." && segment != "..") {
      plain += path.substr(0, end);
    } else if (is_last) {
      plain += '/';
    }
    path = path.substr(end);
  }
  return plain;
}

std::string too_long() {
  return fmt::format("it is longer than {} bytes", kUrlBytesMax);
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
  if (text.size() > kUrlBytesMax) return std::unexpected(too_long());
  const auto scheme = scheme_of(text);
  if (!scheme || text.substr(scheme->size(), 3) != "://") return std::unexpected("it is no URL");
  HttpUrl url;
  url.is_https = base::ascii_lower(*scheme) == "https";
  if (!url.is_https && base::ascii_lower(*scheme) != "http")
    return std::unexpected("only http and https can be fetched");

  const std::string_view rest = text.substr(scheme->size() + 3);
  const std::size_t authority_end = std::min(rest.find_first_of("/?#"), rest.size());
  if (const auto read = read_authority(rest.substr(0, authority_end), url); !read) {
    return std::unexpected(read.error());
  }
  const std::string_view target = rest.substr(authority_end, rest.find('#', authority_end) - authority_end);
  url.target = (target.starts_with('/') ? "" : "/") + encode_strangers(target);
  return url;
}

std::expected<HttpUrl, std::string> follow_location(const HttpUrl& from, std::string_view location) {
  if (location.size() > kUrlBytesMax) return std::unexpected(too_long());
  if (scheme_of(location)) return parse_http_url(location);
  if (location.starts_with("//")) {
    return parse_http_url((from.is_https ? "https:" : "http:") + std::string(location));
  }
  const std::string reference = encode_strangers(location.substr(0, location.find('#')));
  const std::size_t path_end = std::min(reference.find('?'), reference.size());
  const std::string from_path = from.target.substr(0, from.target.find('?'));
  HttpUrl url = from;
  if (path_end > 0) {
    const std::string folder = reference.starts_with('/') ? "" : from_path.substr(0, from_path.rfind('/') + 1);
    url.target = without_dots(folder + reference.substr(0, path_end)) + reference.substr(path_end);
  } else if (!reference.empty()) {
    url.target = from_path + reference;
  }
  if (url.target.size() > kUrlBytesMax) return std::unexpected(too_long());
  return url;
}

}  // namespace shoal::net
