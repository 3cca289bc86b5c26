// What machines know of storage: values and one opaque handle. The stores themselves are in storage/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/strong.hpp"

namespace shoal::seam {

// A verified piece that can be sent: an open file or memory. It stays readable while the handle lives, also when the
// file is removed meanwhile.
class ReadablePiece {
 public:
  virtual ~ReadablePiece() = default;
  [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;
  // Copies bytes from `offset` on; returns how many, fewer than asked only at the end or when reading fails.
  virtual std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const = 0;
  // For sendfile; -1 when the piece is not a file of its own. The piece begins at file_offset().
  [[nodiscard]] virtual int file_descriptor() const { return -1; }
  [[nodiscard]] virtual std::uint64_t file_offset() const { return 0; }
};
using ReadablePiecePtr = std::shared_ptr<const ReadablePiece>;

// A piece that was in the store before the download began, verified.
struct HeldPiece {
  base::PieceIndex piece;
  std::uint64_t size_bytes = 0;
  friend bool operator==(const HeldPiece&, const HeldPiece&) = default;
};

enum class StoreErrorKind : std::uint8_t {
  disk_full,      // ENOSPC, EDQUOT
  no_descriptor,  // EMFILE, ENFILE
  unwritable,     // permission, read-only, a directory or a foreign link in the way, missing parent
  in_use,         // another download holds the same output
  unfit,          // this manifest cannot be kept the way the user wants
  failed,         // any other I/O error
};

struct StoreError {
  StoreErrorKind kind = StoreErrorKind::failed;
  std::string message;  // one line: what was tried, on which path, what happened
};

}  // namespace shoal::seam
