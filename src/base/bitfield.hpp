// A set of piece indices of a known size, in the bit order of BEP 3: the high bit of the first byte is piece 0.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/strong.hpp"

namespace shoal::base {

class Bitfield {
 public:
  Bitfield() = default;
  explicit Bitfield(std::uint32_t size, bool value = false)
      : size_(size),
        count_(value ? size : 0),
        bytes_((std::size_t{size} + 7) / 8, value ? std::byte{0xff} : std::byte{0}) {
    if (value) clear_spare_bits();
  }

  // Nothing when the length is not that of `size` bits, or a spare bit is set.
  static std::optional<Bitfield> parse(ByteView bytes, std::uint32_t size) {
    if (bytes.size() != (std::size_t{size} + 7) / 8) return std::nullopt;
    Bitfield field(size);
    field.bytes_.assign(bytes.begin(), bytes.end());
    field.clear_spare_bits();
    if (!bytes.empty() && field.bytes_.back() != bytes.back()) return std::nullopt;
    for (const std::byte part : field.bytes_) {
      field.count_ += static_cast<std::uint32_t>(std::popcount(std::to_integer<unsigned>(part)));
    }
    return field;
  }

  [[nodiscard]] bool test(PieceIndex piece) const {
    SHOAL_CHECK(piece.value < size_);
    return (bytes_[piece.value / 8] & mask(piece)) != std::byte{0};
  }
  void set(PieceIndex piece) {
    if (test(piece)) return;
    bytes_[piece.value / 8] |= mask(piece);
    ++count_;
  }
  void reset(PieceIndex piece) {
    if (!test(piece)) return;
    bytes_[piece.value / 8] &= ~mask(piece);
    --count_;
  }

  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] bool is_all() const { return count_ == size_; }
  [[nodiscard]] bool is_none() const { return count_ == 0; }
  [[nodiscard]] ByteView bytes() const { return bytes_; }
  friend bool operator==(const Bitfield&, const Bitfield&) = default;

 private:
  static std::byte mask(PieceIndex piece) { return std::byte{0x80} >> (piece.value % 8); }
  void clear_spare_bits() {
    if (size_ % 8 != 0) bytes_.back() &= static_cast<std::byte>(0xff00 >> (size_ % 8));
  }

  std::uint32_t size_ = 0;
  std::uint32_t count_ = 0;
  std::vector<std::byte> bytes_;
};

}  // namespace shoal::base
