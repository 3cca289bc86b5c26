// A fixed budget of equal buffers ("slabs") for payload on its way from a socket to the disk. When none is free the
// session that wants one stops reading and TCP pushes back, so memory does not grow with peers or piece sizes.
// Used by one thread: the one that runs the machines. A Buffer may be carried through another thread, but it must be
// destroyed (which returns it) on the machines' thread, and before its pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/check.hpp"

namespace shoal::base {

class BufferPool;

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        slab_(std::move(other.slab_)),
        size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      release();
      pool_ = std::exchange(other.pool_, nullptr);
      slab_ = std::move(other.slab_);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  ~Buffer() { release(); }

  [[nodiscard]] std::span<std::byte> bytes() const { return {slab_.get(), size_}; }
  [[nodiscard]] bool is_empty() const { return slab_ == nullptr; }

 private:
  friend class BufferPool;
  Buffer(BufferPool* pool, std::unique_ptr<std::byte[]> slab, std::size_t size)
      : pool_(pool), slab_(std::move(slab)), size_(size) {}
  inline void release();

  BufferPool* pool_ = nullptr;
  std::unique_ptr<std::byte[]> slab_;
  std::size_t size_ = 0;
};

class BufferPool {
 public:
  // Slabs are allocated when first needed and kept. buffer_bytes * buffers_max is the budget.
  BufferPool(std::size_t buffer_bytes, std::size_t buffers_max) : buffer_bytes_(buffer_bytes), max_(buffers_max) {}
  ~BufferPool() { SHOAL_CHECK(in_use_ == 0); }
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // A buffer, or nothing when the budget is used up.
  [[nodiscard]] std::optional<Buffer> take() {
    if (in_use_ == max_) return std::nullopt;
    ++in_use_;
    if (free_.empty()) return Buffer(this, std::make_unique_for_overwrite<std::byte[]>(buffer_bytes_), buffer_bytes_);
    std::unique_ptr<std::byte[]> slab = std::move(free_.back());
    free_.pop_back();
    return Buffer(this, std::move(slab), buffer_bytes_);
  }
  [[nodiscard]] std::size_t buffer_bytes() const { return buffer_bytes_; }
  [[nodiscard]] std::size_t in_use() const { return in_use_; }
  [[nodiscard]] std::size_t available() const { return max_ - in_use_; }

 private:
  friend class Buffer;
  std::size_t buffer_bytes_;
  std::size_t max_;
  std::size_t in_use_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> free_;
};

inline void Buffer::release() {
  if (pool_ == nullptr) return;
  SHOAL_CHECK(pool_->in_use_ > 0);
  --pool_->in_use_;
  pool_->free_.push_back(std::move(slab_));
  pool_ = nullptr;
  size_ = 0;
}

}  // namespace shoal::base
