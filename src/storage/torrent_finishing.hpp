// The end of a torrent's download: from a part whose pieces are all verified to the share under its final name. Used by
// TorrentStore::finish().
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "storage/torrent_files.hpp"
#include "storage/torrent_opening.hpp"

namespace shoal::storage {

using NotedStamps = std::unordered_map<std::uint32_t, FileStamp>;

// Files that nobody wants now, but of which the part holds verified bytes: another selection wanted them.
[[nodiscard]] std::vector<bool> find_rest(TorrentFiles& files, const std::vector<bool>& wanted,
                                          const base::Bitfield& verified);
// Empty files, sizes, executable bits and times. `before_change` is called with each file whose stamp this changes.
using BeforeChange = std::function<StoreResult<void>(std::uint32_t file)>;
[[nodiscard]] StoreResult<void> complete_tree(TorrentFiles& files, const std::vector<bool>& wanted,
                                              const BeforeChange& before_change);
// Every wanted file with bytes is still there and as it was noted last.
[[nodiscard]] StoreResult<void> check_unchanged(TorrentFiles& files, const std::vector<bool>& wanted,
                                                const NotedStamps& noted);
// Links, and then the final name in one step; file by file when `goes_file_by_file`, because finished files are there
// already or some stay in the part. `files` reads from there afterwards.
[[nodiscard]] StoreResult<void> move_into_place(TorrentFiles& files, const std::vector<bool>& wanted,
                                                const TorrentPlace& place, bool goes_file_by_file);
// Removes what is of no use: of the part all but these files.
void clear_part(const TorrentPlace& place, const std::shared_ptr<const metainfo::Manifest>& manifest,
                const std::vector<bool>& kept);

}  // namespace shoal::storage
