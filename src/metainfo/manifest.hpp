// The one description of a shared file: its name and the hashes of its pieces, in file order. The course protocol's
// FILE_INFO and file.ini both become a Manifest; so will torrents. Built once, then only read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/sha1.hpp"
#include "base/strong.hpp"

namespace shoal::metainfo {

struct Manifest {
  std::string name;                    // a base name, never a path; any bytes but NUL and '/'
  std::vector<base::Sha1Hash> pieces;  // may hold the same hash several times; empty for an empty file

  [[nodiscard]] std::uint32_t piece_count() const { return static_cast<std::uint32_t>(pieces.size()); }
  [[nodiscard]] const base::Sha1Hash& hash_of(base::PieceIndex piece) const { return pieces.at(piece.value); }
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

}  // namespace shoal::metainfo
