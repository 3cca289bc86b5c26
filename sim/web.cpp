#include "sim/web.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace shoal::sim {

namespace {

// Of "bytes=FIRST-LAST", which is all that Shoal sends.
std::optional<seam::ByteRange> range_of(const seam::Fetch& fetch) {
  constexpr std::string_view kBegin = "bytes=";
  for (const auto& [name, value] : fetch.headers) {
    if (name != "Range" || !value.starts_with(kBegin)) continue;
    seam::ByteRange range;
    const char* const end = value.data() + value.size();
    const auto first = std::from_chars(value.data() + kBegin.size(), end, range.first);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '-') continue;
    if (std::from_chars(first.ptr + 1, end, range.last).ec == std::errc{}) return range;
  }
  return std::nullopt;
}

WebReply give(const base::Bytes& content, std::optional<seam::ByteRange> range) {
  if (!range) return {.status = 200, .body = content};
  if (range->first >= content.size() || range->last < range->first) return {.status = 416};
  const std::uint64_t end = std::min<std::uint64_t>(range->last + 1, content.size());
  return {.status = 206,
          .body = base::Bytes(content.begin() + static_cast<std::ptrdiff_t>(range->first),
                              content.begin() + static_cast<std::ptrdiff_t>(end)),
          .range = seam::ByteRange{range->first, end - 1}};
}

}  // namespace

std::optional<WebReply> Web::answer(const seam::Fetch& fetch) const {
  const Handler* best = nullptr;
  std::size_t best_size = 0;
  for (const auto& [begin, handler] : handlers_) {
    if (!fetch.url.starts_with(begin) || begin.size() < best_size) continue;
    best = &handler;
    best_size = begin.size();
  }
  if (best == nullptr) return std::nullopt;
  WebReply reply = (*best)(fetch);
  if (reply.body.size() > fetch.reply_bytes_max) {
    reply.failure =
        fmt::format("cannot fetch {}: the answer is longer than {} bytes", fetch.url, fetch.reply_bytes_max);
  }
  return reply;
}

std::vector<base::Ipv4Address> Web::addresses_of(const std::string& host) const {
  if (const auto dotted = base::Ipv4Address::parse(host)) return {*dotted};
  const auto found = addresses_.find(host);
  return found == addresses_.end() ? std::vector<base::Ipv4Address>{} : found->second;
}

Web::Handler serve_files(std::vector<WebFile> files, double bytes_per_s) {
  return [files = std::move(files), bytes_per_s](const seam::Fetch& fetch) -> WebReply {
    const auto file = std::ranges::find(files, fetch.url, &WebFile::url);
    WebReply reply = file == files.end() ? WebReply{.status = 404} : give(file->content, range_of(fetch));
    reply.delay += base::from_seconds(static_cast<double>(reply.body.size()) / bytes_per_s);
    return reply;
  };
}

}  // namespace shoal::sim
