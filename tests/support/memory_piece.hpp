// A piece that lies in memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "seam/storage_types.hpp"
#include "support/texts.hpp"

namespace shoal::testing {

class MemoryPiece final : public seam::ReadablePiece {
 public:
  explicit MemoryPiece(base::Bytes content) : content_(std::move(content)) {}
  explicit MemoryPiece(std::string_view content) : MemoryPiece(bytes_of(content)) {}

  [[nodiscard]] std::uint64_t size_bytes() const override { return content_.size(); }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    if (offset >= content_.size()) return 0;
    const std::size_t count = std::min<std::size_t>(content_.size() - offset, target.size());
    std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(offset), count, target.begin());
    return count;
  }

 private:
  base::Bytes content_;
};

}  // namespace shoal::testing
