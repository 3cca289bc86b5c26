// What somebody wants to share: a file, or everything below a folder, as the layout of a torrent. Called by `make` and
// `share` before the pieces are hashed (storage/share_files.hpp).
//
// The files come in the order in which mktorrent puts them, so that both make the same info dictionary: by the bytes of
// their paths. Links are followed for the path itself; inside the share they are kept as links, and refused when they
// do not point to something in it. Whatever is neither a file, nor a folder, nor a link is refused. All that is refused
// in a folder is told at once.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "metainfo/manifest.hpp"
#include "storage/files.hpp"

namespace shoal::storage {

struct ShareError {
  enum class Kind : std::uint8_t {
    unreadable,  // it is not there, or reading it fails
    unfit,       // it cannot be shared as it is
    changed,     // while it was read
  } kind = Kind::unreadable;
  std::string message;                    // one line: what was tried, on which path, what happened, what to do
  std::vector<std::string> details = {};  // a line for each, when several things in a folder are in the way
};
template <typename Value>
using ShareResult = std::expected<Value, ShareError>;

struct ScannedShare {
  std::filesystem::path root;  // the file, or the folder that holds the files
  std::string name;
  metainfo::Layout layout;
  std::vector<FileVersion> versions;  // of each of the layout's files; of a link nothing
  // Worth telling: names that other programs may show in another way, folders that are left out because they are empty.
  std::vector<std::string> warnings;
};

// `piece_bytes`: a size is chosen when it is not given. At most this many pieces fit in a torrent.
inline constexpr std::uint64_t kSharePiecesMax = 3'000'000;
[[nodiscard]] ShareResult<ScannedShare> scan_share(const std::filesystem::path& path,
                                                   std::optional<std::uint32_t> piece_bytes);
// When the files were modified, in whole seconds, for the torrent to say. Without it the same files make the same
// torrent whoever makes it, and whenever.
void keep_times(ScannedShare& share);
// How many bytes the info dictionary will have, before anything is hashed; an error when it is one that nobody reads.
[[nodiscard]] ShareResult<std::uint64_t> check_description(const ScannedShare& share);

}  // namespace shoal::storage
