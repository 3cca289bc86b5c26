#include "sim/http_fetches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace shoal::sim {

namespace {

constexpr std::string_view kScheme = "http://";
constexpr std::string_view kHeadEnd = "\r\n\r\n";

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

// The value of a header whose name is given in lower case.
std::optional<std::string> header_of(std::string_view head, std::string_view name) {
  std::string lower(head);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const std::size_t at = lower.find(fmt::format("\r\n{}:", name));
  if (at == std::string::npos) return std::nullopt;
  const std::size_t begin = lower.find_first_not_of(' ', at + name.size() + 3);
  return lower.substr(begin, lower.find("\r\n", begin) - begin);
}

base::Bytes request_of(const seam::Fetch& fetch, const WebPlace& place) {
  base::ByteWriter writer;
  writer.append(fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n", fetch.method, place.target,
                            place.host, place.port));
  for (const auto& [name, value] : fetch.headers) writer.append(fmt::format("{}: {}\r\n", name, value));
  if (!fetch.body.empty()) writer.append(fmt::format("Content-Length: {}\r\n", fetch.body.size()));
  writer.append(std::string_view("\r\n")).append(base::ByteView(fetch.body));
  return writer.take();
}

}  // namespace

std::optional<WebPlace> web_place_of(const std::string& url) {
  if (!url.starts_with(kScheme)) return std::nullopt;
  const std::string_view rest = std::string_view(url).substr(kScheme.size());
  const std::size_t host_end = std::min(rest.find('/'), rest.size());
  const std::string_view authority = rest.substr(0, host_end);
  const std::size_t colon = authority.find(':');
  WebPlace place{.host = std::string(authority.substr(0, colon)), .target = std::string(rest.substr(host_end))};
  if (place.target.empty()) place.target = "/";
  if (colon != std::string_view::npos) {
    const auto port = base::parse_port(authority.substr(colon + 1));
    if (!port) return std::nullopt;
    place.port = *port;
  }
  return place;
}

HttpFetches::HttpFetches(EventQueue& queue, Network& network, base::Ipv4Address self,
                         std::function<void(seam::Event)> give)
    : queue_(queue), network_(network), self_(self), give_(std::move(give)) {}

void HttpFetches::begin(const seam::Fetch& fetch, const WebPlace& place, base::Ipv4Address server) {
  const EndId end = network_.dial(self_, {.address = server, .port = place.port});
  under_way_[end] = {.fetch = fetch.fetch,
                     .url = fetch.url,
                     .request = request_of(fetch, place),
                     .answer = {},
                     .reply_bytes_max = fetch.reply_bytes_max};
  // An end is never used again, so that a fetch that is over by then is not mistaken for another.
  queue_.after(fetch.timeout, [this, end] { fail(end, "no answer in time"); });
}

void HttpFetches::cancel(seam::FetchId fetch) {
  const auto found =
      std::ranges::find_if(under_way_, [fetch](const auto& entry) { return entry.second.fetch == fetch; });
  if (found == under_way_.end()) return;
  network_.close(found->first);
  under_way_.erase(found);
}

void HttpFetches::close_all() {
  for (const auto& [end, under_way] : under_way_) network_.close(end);
  under_way_.clear();
}

bool HttpFetches::on_connected(EndId end) {
  const auto found = under_way_.find(end);
  if (found == under_way_.end()) return false;
  network_.write(end, std::move(found->second.request));
  return true;
}

bool HttpFetches::on_connect_failed(EndId end) {
  const bool is_ours = under_way_.contains(end);
  fail(end, "cannot connect");
  return is_ours;
}

bool HttpFetches::on_lost(EndId end) {
  const bool is_ours = under_way_.contains(end);
  fail(end, "the server closed the connection without an answer");
  return is_ours;
}

bool HttpFetches::on_readable(EndId end) {
  const auto found = under_way_.find(end);
  if (found == under_way_.end()) return false;
  std::string part(network_.readable_bytes(end), '\0');
  network_.read(end, std::as_writable_bytes(std::span(part)));
  found->second.answer += part;
  look_at_answer(end);
  return true;
}

void HttpFetches::look_at_answer(EndId end) {
  const UnderWay& under_way = under_way_.at(end);
  const std::string& answer = under_way.answer;
  const bool is_ended = network_.is_input_ended(end);
  const std::size_t head_end = answer.find(kHeadEnd);
  if (head_end == std::string::npos) {
    if (is_ended) fail(end, "the answer ended within its head");
    return;
  }
  const std::string_view head = std::string_view(answer).substr(0, head_end + 2);
  const std::string_view body = std::string_view(answer).substr(head_end + kHeadEnd.size());
  if (body.size() > under_way.reply_bytes_max) return fail(end, "the answer is too long");
  const auto status = number_of<int>(head.substr(std::min<std::size_t>(9, head.size()), 3));
  if (!head.starts_with("HTTP/1.1 ") || !status) return fail(end, "the answer is no HTTP");
  const std::optional<std::string> length_text = header_of(head, "content-length");
  const std::size_t length = length_text ? number_of<std::size_t>(*length_text).value_or(SIZE_MAX) : SIZE_MAX;
  if (body.size() >= length) return succeed(end, *status, body.substr(0, length));
  if (!is_ended) return;
  if (length_text) return fail(end, "the answer ended early");
  succeed(end, *status, body);
}

void HttpFetches::succeed(EndId end, int status, std::string_view body) {
  const base::ByteView bytes = base::view_of(body);
  seam::Fetched fetched{.fetch = under_way_.at(end).fetch, .status = status, .body = {bytes.begin(), bytes.end()}};
  under_way_.erase(end);
  network_.close(end);
  give_(std::move(fetched));
}

void HttpFetches::fail(EndId end, const std::string& reason) {
  const auto found = under_way_.find(end);
  if (found == under_way_.end()) return;
  seam::FetchFailed failed{.fetch = found->second.fetch,
                           .reason = fmt::format("cannot fetch {}: {}", found->second.url, reason)};
  under_way_.erase(found);
  network_.close(end);
  give_(std::move(failed));
}

}  // namespace shoal::sim
