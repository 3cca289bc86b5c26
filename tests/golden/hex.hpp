// Bytes written as hexadecimal digits, for tests. Blanks are only for the eye.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace shoal::golden {

inline base::Bytes from_hex(std::string_view hex) {
  base::Bytes bytes;
  int high = -1;
  for (const char digit : hex) {
    if (digit == ' ') continue;
    const int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;
    if (high < 0) {
      high = value;
    } else {
      bytes.push_back(static_cast<std::byte>(high * 16 + value));
      high = -1;
    }
  }
  return bytes;
}

inline std::string to_hex(base::ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const std::byte byte : bytes) {
    hex.push_back(kDigits[std::to_integer<unsigned>(byte >> 4)]);
    hex.push_back(kDigits[std::to_integer<unsigned>(byte & std::byte{15})]);
  }
  return hex;
}

// The same without blanks, to compare with to_hex().
inline std::string plain(std::string_view hex) {
  std::string text(hex);
  std::erase(text, ' ');
  return text;
}

}  // namespace shoal::golden
