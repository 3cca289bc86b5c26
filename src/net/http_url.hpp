// The address of something on the web, taken apart for a request. What browsers forgive (a blank, a bracket, letters
// outside of ASCII) is percent-encoded; what was encoded stays as it came, byte for byte. Used by HttpClient.
//
// Written here, and not taken from Boost.URL, because the version in Debian 12 fails its own assertions at some of what
// strangers may send ("https:#x/").
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace shoal::net {

struct HttpUrl {
  bool is_https = false;
  std::string host;  // a name or an address, without brackets
  std::uint16_t port = 0;
  std::string target;     // path and query, as they go into a request
  std::string user_info;  // "user:password", decoded; mostly empty

  friend bool operator==(const HttpUrl&, const HttpUrl&) = default;

  // "example.org", "[::1]:8080": without the port that the scheme has anyway.
  [[nodiscard]] std::string host_and_port() const;
  // "https://example.org": what a connection can be used again for.
  [[nodiscard]] std::string origin() const;
  // For a person: without the password, and without the query, which may be long and private.
  [[nodiscard]] std::string shown() const;
};

// The error says in words what is wrong with `text`.
[[nodiscard]] std::expected<HttpUrl, std::string> parse_http_url(std::string_view text);
// Where the Location of an answer from `from` leads.
[[nodiscard]] std::expected<HttpUrl, std::string> follow_location(const HttpUrl& from, std::string_view location);

}  // namespace shoal::net
