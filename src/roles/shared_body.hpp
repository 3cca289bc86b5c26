// Bytes that many connections are being sent at once, as a piece: many slow readers cost one copy. Used by
// roles::TrackerHost for FILE_INFO and by HttpConnections.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "seam/storage_types.hpp"

namespace shoal::roles {

class SharedBody final : public seam::ReadablePiece {
 public:
  // What stands behind the first `begin` bytes of `bytes`.
  explicit SharedBody(std::shared_ptr<const base::Bytes> bytes, std::size_t begin = 0)
      : bytes_(std::move(bytes)), begin_(begin) {
    SHOAL_CHECK(begin_ <= bytes_->size());
  }

  [[nodiscard]] std::uint64_t size_bytes() const override { return bytes_->size() - begin_; }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    if (offset >= size_bytes()) return 0;
    const base::ByteView from = base::ByteView(*bytes_).subspan(begin_ + static_cast<std::size_t>(offset));
    const std::size_t count = std::min(from.size(), target.size());
    std::ranges::copy(from.first(count), target.begin());
    return count;
  }

 private:
  std::shared_ptr<const base::Bytes> bytes_;
  std::size_t begin_;
};

}  // namespace shoal::roles
