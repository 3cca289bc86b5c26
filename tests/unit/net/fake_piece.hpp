// Pieces to send: in memory, and in a file that a test can cut short.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "net/socket.hpp"
#include "seam/storage_types.hpp"
#include "support/memory_piece.hpp"

namespace shoal::net {

using testing::MemoryPiece;
// The content stands behind `offset` bytes of something else, in a file without a name.
class FilePiece final : public seam::ReadablePiece {
 public:
  explicit FilePiece(std::string_view content, std::uint64_t offset = 0)
      : file_(std::tmpfile()), size_(content.size()), offset_(offset) {
    (void)!::pwrite(fileno(file_), content.data(), content.size(), static_cast<off_t>(offset));
  }
  ~FilePiece() override { std::fclose(file_); }
  FilePiece(const FilePiece&) = delete;
  FilePiece& operator=(const FilePiece&) = delete;

  void truncate(std::uint64_t size) const { (void)!::ftruncate(fileno(file_), static_cast<off_t>(offset_ + size)); }

  [[nodiscard]] std::uint64_t size_bytes() const override { return size_; }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    const ssize_t count = ::pread(fileno(file_), target.data(), target.size(), static_cast<off_t>(offset_ + offset));
    return count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  [[nodiscard]] int file_descriptor() const override { return fileno(file_); }
  [[nodiscard]] std::uint64_t file_offset() const override { return offset_; }

 private:
  std::FILE* file_;
  std::uint64_t size_;
  std::uint64_t offset_;
};

}  // namespace shoal::net
