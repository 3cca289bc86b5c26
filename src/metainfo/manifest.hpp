// The one description of a shared file or folder: its name and the hashes of its pieces, in file order. The course
// protocol's FILE_INFO and file.ini, .torrent files and the metadata peers send all become a Manifest. Built once, then
// only read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/sha1.hpp"
#include "base/strong.hpp"

namespace shoal::metainfo {

inline constexpr std::int64_t kModifiedMax = 253'402'300'799;  // the end of the year 9999

// One file of a torrent, in the order of its bytes.
struct FileEntry {
  std::vector<std::string> path;   // safe components below the share's folder; of a single file: just its name
  std::uint64_t offset_bytes = 0;  // of its first byte in the whole
  std::uint64_t size_bytes = 0;
  bool is_executable = false;              // BEP 47, attr x
  bool is_padding = false;                 // BEP 47, attr p: zeros that are never written
  std::vector<std::string> link_target;    // BEP 47, attr l: a symbolic link to this path of the same share; else empty
  std::optional<std::int64_t> modified_s;  // libtorrent's mtime: seconds since 1970, up to kModifiedMax
  friend bool operator==(const FileEntry&, const FileEntry&) = default;
};

// How the bytes are cut into pieces and files. Torrents have one; the course protocol never tells.
struct Layout {
  std::uint32_t piece_bytes = 0;  // of every piece but the last
  std::uint64_t total_bytes = 0;
  bool is_folder = false;        // files lie in a folder of the manifest's name
  std::vector<FileEntry> files;  // contiguous, covering total_bytes; at least one
  friend bool operator==(const Layout&, const Layout&) = default;
};

struct Manifest {
  std::string name;                    // a base name, never a path; any bytes but NUL and '/'
  std::vector<base::Sha1Hash> pieces;  // may hold the same hash several times; empty for an empty file
  std::optional<Layout> layout;        // always there when it came from a torrent

  [[nodiscard]] std::uint32_t piece_count() const { return static_cast<std::uint32_t>(pieces.size()); }
  [[nodiscard]] const base::Sha1Hash& hash_of(base::PieceIndex piece) const { return pieces.at(piece.value); }
  // These need a layout.
  [[nodiscard]] std::uint64_t offset_of(base::PieceIndex piece) const {
    return std::uint64_t{piece.value} * layout->piece_bytes;
  }
  [[nodiscard]] std::uint32_t size_of(base::PieceIndex piece) const {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(layout->piece_bytes, layout->total_bytes - offset_of(piece)));
  }
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

}  // namespace shoal::metainfo
