// SHA-1: the name of a piece, and the hasher that computes it (OpenSSL underneath, which uses the processor's own
// instructions). Called from machines with small inputs and from the pool with everything big.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace shoal::base {

struct Sha1Hash {
  static constexpr std::size_t kSize = 20;
  std::array<std::byte, kSize> bytes{};

  // `view` must hold exactly 20 bytes.
  static Sha1Hash from_bytes(ByteView view);
  // 40 hexadecimal digits of either case; anything else is nothing.
  static std::optional<Sha1Hash> parse_hex(std::string_view hex);
  // 40 lower-case digits.
  [[nodiscard]] std::string to_hex() const;

  friend auto operator<=>(const Sha1Hash&, const Sha1Hash&) = default;
};

// Incremental. After finish() the hasher is fresh again.
class Sha1Hasher {
 public:
  Sha1Hasher();
  ~Sha1Hasher();
  Sha1Hasher(Sha1Hasher&&) noexcept;
  Sha1Hasher& operator=(Sha1Hasher&&) noexcept;

  void update(ByteView bytes);
  [[nodiscard]] Sha1Hash finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

[[nodiscard]] Sha1Hash sha1(ByteView bytes);

}  // namespace shoal::base

template <>
struct std::hash<shoal::base::Sha1Hash> {
  std::size_t operator()(const shoal::base::Sha1Hash& name) const noexcept {
    std::size_t value = 0;  // already uniformly spread
    std::memcpy(&value, name.bytes.data(), sizeof value);
    return value;
  }
};
