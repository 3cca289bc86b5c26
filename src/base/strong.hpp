// Numbers that cannot be mixed up: an index of a piece is not an index of a connection.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace shoal::base {

template <typename Tag, typename Rep = std::uint32_t>
struct Strong {
  Rep value{};

  constexpr Strong() = default;
  constexpr explicit Strong(Rep initial) : value(initial) {}
  friend constexpr auto operator<=>(Strong, Strong) = default;
};

// Which piece of a manifest, from 0 in file order.
using PieceIndex = Strong<struct PieceIndexTag>;

}  // namespace shoal::base

template <typename Tag, typename Rep>
struct std::hash<shoal::base::Strong<Tag, Rep>> {
  std::size_t operator()(shoal::base::Strong<Tag, Rep> number) const noexcept { return std::hash<Rep>{}(number.value); }
};
