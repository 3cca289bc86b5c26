#include "wire/http.hpp"

#include <algorithm>
#include <charconv>

#include "base/ascii.hpp"
#include "wire/header_lines.hpp"

namespace shoal::wire {
namespace {

using base::Bytes;
using base::ByteView;

std::unexpected<HttpProblem> problem(int status, std::string reason) {
  return std::unexpected(HttpProblem{status, std::move(reason)});
}

using Judged = std::expected<void, HttpProblem>;

// RFC 9112, 3.2: "/path?query", or the same behind "http://host", as proxies write it.
Judged read_target(std::string_view target, HttpRequest& request) {
  // Bytes above ASCII belong percent-encoded, but curl sends the names of files as they are.
  const auto is_legal = [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '#'; };
  if (!std::ranges::all_of(target, is_legal)) return problem(400, "the target has characters that no URL has");
  constexpr std::string_view kScheme = "http://";
  const bool is_url = base::ascii_lower(target.substr(0, kScheme.size())) == kScheme;
  if (is_url) target.remove_prefix(std::min(target.find_first_of("/?", kScheme.size()), target.size()));
  const std::size_t question_mark = target.find('?');
  const std::string_view path = target.substr(0, question_mark);
  if (question_mark != std::string_view::npos) request.query = target.substr(question_mark + 1);
  if (is_url && path.empty()) {
    request.path = "/";
    return {};
  }
  if (!path.starts_with('/')) return problem(400, "the target is no path");
  auto decoded = percent_decode(path);
  if (!decoded || decoded->contains('\0')) return problem(400, "the path is badly encoded");
  request.path = std::move(*decoded);
  return {};
}

Judged read_request_line(std::string_view line, HttpRequest& request) {
  const std::size_t first = line.find(' ');
  const std::size_t second = line.find(' ', std::min(first, line.size() - 1) + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return problem(400, "not a request line");
  request.method = line.substr(0, first);
  if (!is_token(request.method)) return problem(400, "not a request line");
  const std::string_view version = line.substr(second + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    if (!version.starts_with("HTTP/")) return problem(400, "not a request line");
    return problem(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  request.is_1_0 = version == "HTTP/1.0";
  request.keeps_alive = !request.is_1_0;
  return read_target(line.substr(first + 1, second - first - 1), request);
}

Judged read_content_length(const HttpRequest& request, std::uint64_t& length) {
  std::optional<std::string_view> seen;
  for (const auto& [name, value] : request.headers) {
    if (name != "content-length") continue;
    // Two that differ are how one request is smuggled inside another.
    if (seen && *seen != value) return problem(400, "Content-Length is given twice");
    seen = value;
  }
  if (!seen) return {};
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (seen->empty() || !std::ranges::all_of(*seen, is_digit)) return problem(400, "Content-Length is no number");
  const auto [end, error] = std::from_chars(seen->data(), seen->data() + seen->size(), length);
  if (error != std::errc()) return problem(413, "the body is too large");
  return {};
}

// Whether a list as "close, upgrade" has the option.
bool has_option(std::string_view list, std::string_view lower_case_option) {
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    if (base::ascii_lower(without_blanks_around(item)) == lower_case_option) return true;
    list.remove_prefix(std::min(item.size() + 1, list.size()));
  }
  return false;
}

// What the fields say about the connection and the body.
Judged read_framing(HttpRequest& request) {
  std::size_t hosts = 0;
  bool is_to_close = false;
  for (const auto& [name, value] : request.headers) {
    if (name == "host") ++hosts;
    if (name == "connection" && has_option(value, "keep-alive")) request.keeps_alive = true;
    if (name == "connection" && has_option(value, "close")) is_to_close = true;
    if (name == "transfer-encoding") {
      if (base::ascii_lower(value) == "chunked") return problem(411, "a body needs a Content-Length");
      return problem(501, "this transfer encoding is not spoken here");
    }
  }
  if (is_to_close) request.keeps_alive = false;
  // RFC 9112, 3.2: MUST.
  if (hosts > 1 || (!request.is_1_0 && hosts == 0)) return problem(400, "there has to be one Host");
  return read_content_length(request, request.body_bytes);
}

std::string_view phrase_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";  // may be empty
  }
}

void append_field(base::ByteWriter& writer, std::string_view name, std::string_view value) {
  const auto append_plain = [&writer](std::string_view text) {
    for (const char c : text) {
      const auto code = static_cast<std::uint8_t>(c);
      writer.u8(code < 0x20 || code == 0x7f ? std::uint8_t{' '} : code);
    }
  };
  append_plain(name);
  writer.append(": ");
  append_plain(value);
  writer.append("\r\n");
}

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

bool is_unreserved(char c) {
  const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return is_letter || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

}  // namespace

std::optional<std::string_view> HttpRequest::header(std::string_view lower_case_name) const {
  const auto found = std::ranges::find(headers, lower_case_name, [](const auto& field) { return field.first; });
  if (found == headers.end()) return std::nullopt;
  return found->second;
}

std::expected<std::optional<ParsedHead>, HttpProblem> parse_http_head(ByteView received) {
  const bool is_full = received.size() >= kHttpHeadBytesMax;
  const std::string_view text = base::text_of(received.first(std::min(received.size(), kHttpHeadBytesMax)));
  HeaderLines lines(text);
  std::optional<std::string_view> request_line = lines.next();
  while (request_line && request_line->empty()) request_line = lines.next();
  if (!request_line && is_full) return problem(414, "the request line is too long");
  if (!request_line) return std::nullopt;

  std::vector<std::string_view> field_lines;
  std::optional<std::string_view> line = lines.next();
  for (; line && !line->empty(); line = lines.next()) field_lines.push_back(*line);
  if (field_lines.size() > kHttpFieldsMax) return problem(431, "there are too many header fields");
  if (!line && is_full) return problem(431, "the head is too long");
  if (!line) return std::nullopt;

  ParsedHead head{.head_bytes = text.size() - lines.rest().size()};
  if (const Judged judged = read_request_line(*request_line, head.request); !judged) {
    return std::unexpected(judged.error());
  }
  for (const std::string_view field_line : field_lines) {
    const auto field = parse_header_field(field_line);
    if (!field) return problem(400, "not a header field");
    head.request.headers.emplace_back(field->name, field->value);
  }
  if (const Judged judged = read_framing(head.request); !judged) return std::unexpected(judged.error());
  return head;
}

Bytes encode_http_response(const HttpResponse& response, bool keeps_alive, bool is_head) {
  Bytes message = encode_http_response_head(response, response.body.size(), keeps_alive);
  if (!is_head) message.insert(message.end(), response.body.begin(), response.body.end());
  return message;
}

Bytes encode_http_response_head(const HttpResponse& response, std::uint64_t body_bytes, bool keeps_alive) {
  base::ByteWriter writer;
  writer.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ").append(phrase_of(response.status));
  writer.append("\r\n");
  append_field(writer, "Content-Type", response.content_type);
  append_field(writer, "Content-Length", std::to_string(body_bytes));
  append_field(writer, "Connection", keeps_alive ? "keep-alive" : "close");
  for (const auto& [name, value] : response.headers) append_field(writer, name, value);
  return writer.append("\r\n").take();
}

bool is_http_first_byte(std::byte first) {
  return first >= std::byte{'A'} && first <= std::byte{'Z'};
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      decoded.push_back(text[at]);
      continue;
    }
    if (text.size() - at < 3) return std::nullopt;
    const int high = hex_value(text[at + 1]);
    const int low = hex_value(text[at + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded.push_back(static_cast<char>(high * 16 + low));
    at += 2;
  }
  return decoded;
}

std::string percent_encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded.push_back(c);
      continue;
    }
    const auto code = static_cast<unsigned char>(c);
    encoded.push_back('%');
    encoded.push_back(kDigits[code >> 4]);
    encoded.push_back(kDigits[code & 15]);
  }
  return encoded;
}

std::vector<std::pair<std::string_view, std::string_view>> query_fields(std::string_view query) {
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  while (!query.empty()) {
    const std::string_view field = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(field.size() + 1, query.size()));
    if (field.empty()) continue;
    const std::size_t equals = std::min(field.find('='), field.size());
    fields.emplace_back(field.substr(0, equals), field.substr(std::min(equals + 1, field.size())));
  }
  return fields;
}

std::optional<std::string> query_decode(std::string_view value) {
  std::string spaced(value);
  std::ranges::replace(spaced, '+', ' ');
  return percent_decode(spaced);
}

std::vector<std::string> query_values(std::string_view query, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& [key, value] : query_fields(query)) {
    if (key != name) continue;
    if (auto decoded = query_decode(value)) values.push_back(std::move(*decoded));
  }
  return values;
}

}  // namespace shoal::wire
