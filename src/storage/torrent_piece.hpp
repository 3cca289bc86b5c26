// The pieces a TorrentStore gives: one within a file is that file from an offset on, for sendfile; one that spans files
// is read from them as it is asked for, so that a piece of thousands of small files holds none of them open; so is one
// whose file has one of the kept descriptors, as others may leave it unread.
#pragma once

#include <memory>

#include "seam/storage_types.hpp"
#include "storage/torrent_files.hpp"

namespace shoal::storage {

// How many files a piece may span to be looked up on the thread that runs the machine: each may have to be opened.
inline constexpr std::size_t kQuickStretchesMax = 8;

// Null when a file of it is not there or, where that is refused, not as it was. Afterwards it gives what is there:
// whoever touches a file in the moment between may leave its bytes alone, and whoever takes a piece checks it.
[[nodiscard]] seam::ReadablePiecePtr make_torrent_piece(const std::shared_ptr<TorrentFiles>& files, ByteRange range,
                                                        Changes changes = Changes::refused);

}  // namespace shoal::storage
