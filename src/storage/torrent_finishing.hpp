// The end of a torrent's download: from a part whose pieces are all verified to the share under its final name. Used by
// TorrentStore::finish().
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "storage/torrent_files.hpp"
#include "storage/torrent_opening.hpp"

namespace shoal::storage {

using NotedStamps = std::unordered_map<std::uint32_t, FileStamp>;

// Empty files and executable bits: what is to be there before the stamps are taken.
[[nodiscard]] StoreResult<void> complete_tree(TorrentFiles& files, const std::vector<bool>& wanted);
// Every wanted file is still there and as it was noted last.
[[nodiscard]] StoreResult<void> check_unchanged(TorrentFiles& files, const std::vector<bool>& wanted,
                                                const NotedStamps& noted);
// Links, and then the final name in one step. `files` reads from there afterwards.
[[nodiscard]] StoreResult<void> move_into_place(TorrentFiles& files, const std::vector<bool>& wanted,
                                                const TorrentPlace& place);
// A part that is of no use because the finished share is there.
void remove_part(const TorrentPlace& place, const std::shared_ptr<const metainfo::Manifest>& manifest);

}  // namespace shoal::storage
