#include "net/content_range.hpp"

#include <charconv>
#include <cstdint>

#include "base/ascii.hpp"

namespace shoal::net {

namespace {

// Takes a number from the front.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

bool take(std::string_view& text, char expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<seam::ByteRange> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (base::ascii_lower(text.substr(0, kUnit.size())) == kUnit) text.remove_prefix(kUnit.size());
  const auto first = take_number(text);
  if (!first || !take(text, '-')) return std::nullopt;
  const auto last = take_number(text);
  if (!last || *last < *first || !take(text, '/')) return std::nullopt;
  if (text == "*") return seam::ByteRange{*first, *last};
  const auto whole_bytes = take_number(text);
  if (!whole_bytes || *whole_bytes <= *last || !text.empty()) return std::nullopt;
  return seam::ByteRange{*first, *last};
}

}  // namespace shoal::net
