// Which files of a torrent a user wants (`get --select`): globs over paths. Used by storage (which files to make) and
// by roles (which pieces to ask for).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bitfield.hpp"
#include "metainfo/manifest.hpp"

namespace shoal::metainfo {

// The whole path matches the whole pattern: `?` is one character (a UTF-8 sequence counts as one) and `*` any number of
// them, both within a component; `**` is any number of any characters, and `**/` any number of whole components, also
// none. Everything else is itself. A pattern without '/' is matched against the last component.
[[nodiscard]] bool matches_glob(std::string_view path, std::string_view pattern);
// By file index; no patterns: all. Padding is never selected.
[[nodiscard]] std::vector<bool> select_files(const Layout& layout, const std::vector<std::string>& patterns);
// Calls `visit` with each piece that holds bytes of the file.
template <typename Visit>
void for_each_piece(const Layout& layout, const FileEntry& file, const Visit& visit) {
  if (file.size_bytes == 0) return;
  const std::uint64_t last = (file.offset_bytes + file.size_bytes - 1) / layout.piece_bytes;
  for (std::uint64_t piece = file.offset_bytes / layout.piece_bytes; piece <= last; ++piece) {
    visit(base::PieceIndex(static_cast<std::uint32_t>(piece)));
  }
}

// The pieces that hold bytes of these files (one flag for each file of the layout).
[[nodiscard]] base::Bitfield pieces_of_files(const Layout& layout, const std::vector<bool>& selected);

}  // namespace shoal::metainfo
