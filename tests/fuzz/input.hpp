// What the fuzz targets of machines share: an input is a script, taken apart from its front, and bytes for a connection
// wait in a queue, as in a kernel, until the machine gives room for them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/time.hpp"
#include "seam/machine.hpp"

namespace shoal::fuzz {

// Numbers are zero and bytes are none once the script is over, so every input is a script.
class Script {
 public:
  Script(const std::uint8_t* data, std::size_t size) : reader_(std::as_bytes(std::span(data, size))) {}

  [[nodiscard]] bool is_over() const { return reader_.remaining() == 0; }
  std::uint8_t u8() { return reader_.u8(); }
  std::uint16_t u16() { return reader_.u16(); }
  // In [0, bound), for a bound of at most 256.
  std::size_t below(std::size_t bound) { return reader_.u8() % bound; }
  base::Duration pause() { return std::chrono::milliseconds(100) * reader_.u8(); }
  // A byte that says how many, then as many as there are.
  base::ByteView bytes() { return take(reader_.u8()); }
  // The same with two bytes.
  base::ByteView long_bytes() { return take(reader_.u16()); }

 private:
  base::ByteView take(std::size_t count) { return reader_.take(std::min(count, reader_.remaining())); }

  base::ByteReader reader_;
};

// What the other side has sent and the machine has not read.
class Unread {
 public:
  void add(base::ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  [[nodiscard]] bool is_empty() const { return taken_ == bytes_.size(); }
  // Fills the targets in their order, as readv does; what was taken, valid until the next call of add().
  base::ByteView read_into(const seam::ReadTargets& targets) {
    const std::size_t begin = taken_;
    for (const std::span<std::byte> target : targets.spans) {
      const std::size_t count = std::min(target.size(), bytes_.size() - taken_);
      if (count > 0) std::memcpy(target.data(), bytes_.data() + taken_, count);
      taken_ += count;
    }
    return base::ByteView(bytes_).subspan(begin, taken_ - begin);
  }
  // All that was ever added, and what of it was read.
  [[nodiscard]] std::size_t size_bytes() const { return bytes_.size(); }
  [[nodiscard]] base::ByteView read() const { return base::ByteView(bytes_).first(taken_); }

 private:
  base::Bytes bytes_;
  std::size_t taken_ = 0;
};

}  // namespace shoal::fuzz
