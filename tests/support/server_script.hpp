// Helpers for tests of the serving side: pieces in memory, and what a list of actions puts on the wire.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/sha1.hpp"
#include "seam/actions.hpp"
#include "seam/storage_types.hpp"
#include "support/memory_piece.hpp"
#include "support/texts.hpp"

namespace shoal::testing {

inline base::Bytes from_hex(std::string_view hex) {
  base::Bytes bytes;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ') continue;
    digits.push_back(c);
    if (digits.size() < 2) continue;
    bytes.push_back(static_cast<std::byte>(std::stoul(digits, nullptr, 16)));
    digits.clear();
  }
  return bytes;
}

inline std::string to_hex(base::ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const std::byte b : bytes) {
    hex.push_back(kDigits[std::to_integer<std::size_t>(b) >> 4]);
    hex.push_back(kDigits[std::to_integer<std::size_t>(b) & 15]);
  }
  return hex;
}

inline base::Bytes joined(std::initializer_list<base::Bytes> parts) {
  base::Bytes all;
  for (const base::Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// A piece of which only the size is looked at.
class HugePiece final : public seam::ReadablePiece {
 public:
  explicit HugePiece(std::uint64_t size) : size_(size) {}
  std::uint64_t size_bytes() const override { return size_; }
  std::size_t read_at(std::uint64_t, std::span<std::byte>) const override { return 0; }

 private:
  std::uint64_t size_;
};

inline base::Bytes bytes_of(const seam::SendPiece& action) {
  base::Bytes bytes = action.header;
  const std::size_t head = bytes.size();
  const auto size = static_cast<std::size_t>(action.piece->size_bytes());
  bytes.resize(head + size);
  action.piece->read_at(0, std::span(bytes).subspan(head));
  bytes.resize(bytes.size() + action.padding_bytes);
  return bytes;
}

// The message that an action puts on the wire, if it does; one action is one message.
inline std::optional<std::pair<seam::ConnId, base::Bytes>> message_of(const seam::Action& action) {
  if (const auto* send = std::get_if<seam::Send>(&action)) return std::pair(send->conn, send->bytes);
  if (const auto* piece = std::get_if<seam::SendPiece>(&action)) return std::pair(piece->conn, bytes_of(*piece));
  return std::nullopt;
}

template <typename Kind>
std::vector<Kind> all_of(const seam::Actions& actions) {
  std::vector<Kind> found;
  for (const seam::Action& action : actions) {
    if (const auto* one = std::get_if<Kind>(&action)) found.push_back(*one);
  }
  return found;
}

}  // namespace shoal::testing
