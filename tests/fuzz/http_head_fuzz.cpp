// Heads of HTTP requests and queries. The input is what a connection brings. A head that is accepted or refused stays
// so whatever follows it, is awaited before it ends, and a request written from what was understood is understood the
// same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "wire/http.hpp"

namespace shoal::wire {
namespace {

std::string written(const HttpRequest& request) {
  // The path as it may be written most plainly: every byte of it encoded but the slashes.
  std::string text = request.method + " ";
  for (const char c : request.path) text += c == '/' ? "/" : percent_encode(std::string_view(&c, 1));
  text += "?" + request.query + " HTTP/1.1\r\n";
  if (!request.header("host")) text += "host: \r\n";
  for (const auto& [name, value] : request.headers) {
    if (name != "connection") text += name + ": " + value + "\r\n";
  }
  return text + (request.keeps_alive ? "\r\n" : "connection: close\r\n\r\n");
}

void check_head(base::ByteView received) {
  const auto head = parse_http_head(received);
  if (!head) {
    SHOAL_CHECK(head.error().status >= 400 && head.error().status <= 505 && !head.error().reason.empty());
    return;
  }
  if (!*head) {
    SHOAL_CHECK(received.size() < kHttpHeadBytesMax);
    return;
  }
  const HttpRequest& request = (*head)->request;
  SHOAL_CHECK((*head)->head_bytes <= std::min(received.size(), kHttpHeadBytesMax));
  SHOAL_CHECK(request.path.starts_with('/') && request.headers.size() <= kHttpFieldsMax);
  SHOAL_CHECK(parse_http_head(received.first((*head)->head_bytes)).value().has_value());
  const std::string again = written(request);
  const auto head_again = parse_http_head(base::view_of(again));
  // Encoding, or the fields that say in HTTP/1.1 what HTTP/1.0 means, may have made it longer than is allowed.
  const auto fields = static_cast<std::size_t>(std::ranges::count(again, '\n')) - 2;
  if (!head_again && (again.size() > kHttpHeadBytesMax || fields > kHttpFieldsMax)) return;
  SHOAL_CHECK(head_again && *head_again && (*head_again)->head_bytes == again.size());
  const HttpRequest& same = (*head_again)->request;
  SHOAL_CHECK(same.method == request.method && same.path == request.path && same.query == request.query);
  SHOAL_CHECK(same.body_bytes == request.body_bytes && same.keeps_alive == request.keeps_alive);
}

void check_query(std::string_view query) {
  for (const auto& [name, value] : query_fields(query)) {
    const auto values = query_values(query, name);
    const auto decoded = query_decode(value);
    SHOAL_CHECK(!decoded || std::ranges::count(values, *decoded) > 0);
    if (decoded) SHOAL_CHECK(percent_decode(percent_encode(*decoded)) == decoded);
  }
}

}  // namespace
}  // namespace shoal::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto received = std::as_bytes(std::span(data, size));
  shoal::wire::check_head(received);
  if (size <= 1024) shoal::wire::check_query(shoal::base::text_of(received));
  return 0;
}
