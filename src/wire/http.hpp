// The HTTP/1.1 a tracker needs on its one port, as values: request heads in, responses out. Written here, and not taken
// from Beast, because it runs inside a machine that knows no Asio (docs/decisions/0005-http-head-in-a-machine.md). Used
// by roles/ (the tracker); percent-encoding also by tracker_messages.
//
// Always holds: a head is at most kHttpHeadBytesMax and has at most kHttpFieldsMax fields; a body is at most what the
// caller allows; whatever is not plain HTTP/1.0 or 1.1 is an error with the status to answer, after which the
// connection is of no more use.
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
inline constexpr std::size_t kHttpFieldsMax = 100;
inline constexpr int kHttpOk = 200;  // a status

struct HttpRequest {
  std::string method;  // "GET"; case matters
  std::string path;    // percent-decoded, without the query; begins with '/', has no NUL
  std::string query;   // as it came, without the question mark
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::uint64_t body_bytes = 0;                              // Content-Length
  bool keeps_alive = true;
  bool is_1_0 = false;
  // The first of that name.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view lower_case_name) const;
};

struct HttpProblem {
  int status = 400;  // here 400, 411 (chunked body), 413, 414, 431, 501 or 505
  std::string reason;
};

struct ParsedHead {
  HttpRequest request;
  std::size_t head_bytes = 0;  // up to and including the empty line
};
// nullopt: the head is not complete yet. Lines may end in a line feed alone, empty lines may come first, and the target
// may be a whole URL, as RFC 9112 has it.
[[nodiscard]] std::expected<std::optional<ParsedHead>, HttpProblem> parse_http_head(base::ByteView received);

struct HttpResponse {
  int status = kHttpOk;
  std::string content_type = "text/plain; charset=utf-8";
  base::Bytes body;
  std::vector<std::pair<std::string, std::string>> headers;  // besides Content-Type, Content-Length and Connection
};
// Head and body. `is_head`: without the body (HEAD). Control characters in a field become blanks, so that a name from
// outside cannot end its line.
[[nodiscard]] base::Bytes encode_http_response(const HttpResponse& response, bool keeps_alive, bool is_head);

// The head alone, for a body of that many bytes that is sent apart; response.body is not looked at.
[[nodiscard]] base::Bytes encode_http_response_head(const HttpResponse& response, std::uint64_t body_bytes,
                                                    bool keeps_alive);

// True when `first` can begin an HTTP request: an upper-case letter.
[[nodiscard]] bool is_http_first_byte(std::byte first);

// Nothing when a percent sign is not followed by two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);
[[nodiscard]] std::string percent_encode(std::string_view text);  // all but unreserved characters

// The fields of a query string, in their order. A field without '=' has an empty value. Values are as they came:
// query_decode() them.
[[nodiscard]] std::vector<std::pair<std::string_view, std::string_view>> query_fields(std::string_view query);
// percent_decode(), and a plus sign is a blank, as HTML forms and most libraries write it.
[[nodiscard]] std::optional<std::string> query_decode(std::string_view value);
// The values of one name in a query string, decoded; what cannot be decoded is left out.
[[nodiscard]] std::vector<std::string> query_values(std::string_view query, std::string_view name);

}  // namespace shoal::wire
