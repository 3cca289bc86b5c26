// The files of a share where they lie, read piece by piece on all processors: to hash what is going to be shared, and
// to find out what of a torrent is there and right. Called by `make`, `share` and `verify`.
//
// Each piece is read once, in order, in big reads; nothing is written. Padding is zeros and is on no disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bitfield.hpp"
#include "metainfo/manifest.hpp"
#include "storage/piece_hashing.hpp"
#include "storage/share_scan.hpp"

namespace shoal::storage {

// The hashes of the pieces of what was scanned. A file that changes meanwhile, also after its pieces were read, is an
// error: its hashes would be of bytes that nobody can give.
[[nodiscard]] ShareResult<std::vector<base::Sha1Hash>> hash_share(const ScannedShare& share,
                                                                  const ReadProgress& progress = {});

struct FileCheck {
  enum class State : std::uint8_t {
    right,
    missing,
    wrong_kind,  // a folder, link or device where a file has to be, or the other way round
    wrong_size,
    wrong_link,  // it points elsewhere
    unreadable,
    wrong_bytes,  // some of its pieces, which it may share with others
  } state = State::right;
  std::uint64_t size_bytes = 0;    // as it is there
  std::uint32_t pieces_wrong = 0;  // of those that hold bytes of it, with those that could not be read
  std::uint32_t pieces = 0;
  std::string reason;  // of unreadable
};

struct ShareCheck {
  base::Bitfield right;          // the pieces that are whole and have their hash
  std::vector<FileCheck> files;  // of each of the layout's files; padding is always right

  [[nodiscard]] bool is_all_right() const;
};

// `root`: the file, or the folder that holds the files. The manifest needs a layout. More files than the manifest's do
// not matter.
[[nodiscard]] ShareCheck check_share(const metainfo::Manifest& manifest, const std::filesystem::path& root,
                                     const ReadProgress& progress = {});

}  // namespace shoal::storage
