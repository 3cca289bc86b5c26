#include "wire/header_lines.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace shoal::wire {
namespace {

bool is_token_character(char c) {
  const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return is_letter || (c >= '0' && c <= '9') || std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

bool is_value_character(char c) {
  const auto code = static_cast<unsigned char>(c);
  return c == '\t' || (code >= 0x20 && code != 0x7f);
}

}  // namespace

std::optional<std::string_view> HeaderLines::next() {
  const std::size_t end = rest_.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::optional<HeaderField> parse_header_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return std::nullopt;
  const std::string_view value = without_blanks_around(line.substr(colon + 1));
  if (!std::ranges::all_of(value, is_value_character)) return std::nullopt;
  return HeaderField{base::ascii_lower(line.substr(0, colon)), value};
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_character);
}

std::string_view without_blanks_around(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace shoal::wire
