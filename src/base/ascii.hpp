// Letters of protocols, whatever the locale: only A-Z have a lower case.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace shoal::base {

[[nodiscard]] constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] inline std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = ascii_lower(c);
  return lower;
}

[[nodiscard]] constexpr bool is_same_letter(char a, char b) {
  return ascii_lower(a) == ascii_lower(b);
}

[[nodiscard]] constexpr bool is_same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, is_same_letter);
}

}  // namespace shoal::base
