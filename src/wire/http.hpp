// The HTTP/1.1 a tracker needs on its one port, as values: request heads in, response heads out. Written here, and not
// taken from Beast, because it runs inside a machine that knows no Asio (docs/decisions). Used by roles/ (the tracker).
//
// Always holds: a head is at most kHeadBytesMax, a body at most what the caller allows; whatever is not plain HTTP/1.0
// or 1.1 is an error with the status to answer.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"

namespace shoal::wire {

inline constexpr std::size_t kHttpHeadBytesMax = 16 * 1024;

struct HttpRequest {
  std::string method;                                        // "GET"
  std::string path;                                          // percent-decoded, without the query; begins with '/'
  std::string query;                                         // as it came, without the question mark
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::uint64_t body_bytes = 0;                              // Content-Length
  bool keeps_alive = true;
  [[nodiscard]] std::optional<std::string_view> header(std::string_view lower_case_name) const;
};

struct HttpProblem {
  int status = 400;  // 400, 411 (chunked body), 413, 414, 431, 501, 505
  std::string reason;
};

struct ParsedHead {
  HttpRequest request;
  std::size_t head_bytes = 0;  // up to and including the empty line
};
// nullopt: the head is not complete yet.
[[nodiscard]] std::expected<std::optional<ParsedHead>, HttpProblem> parse_http_head(base::ByteView received);

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  base::Bytes body;
  std::vector<std::pair<std::string, std::string>> headers;  // besides Content-Type, Content-Length and Connection
};
// Head and body. `is_head`: without the body (HEAD).
[[nodiscard]] base::Bytes encode_http_response(const HttpResponse& response, bool keeps_alive, bool is_head);

// True when `first` can begin an HTTP request: an upper-case letter.
[[nodiscard]] bool is_http_first_byte(std::byte first);

[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);
[[nodiscard]] std::string percent_encode(std::string_view text);  // all but unreserved characters
// The values of one name in a query string, decoded.
[[nodiscard]] std::vector<std::string> query_values(std::string_view query, std::string_view name);

}  // namespace shoal::wire
