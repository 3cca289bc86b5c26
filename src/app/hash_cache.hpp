// The piece hashes of what was shared before, so that sharing it again reads none of it. They are kept in the user's
// cache folder ($XDG_CACHE_HOME/shoal/hashes, usually ~/.cache/shoal/hashes), one file for each path and piece size,
// and hold while every file is the very same: device, inode, size, and both times to the nanosecond. What rots on the
// disk is not noticed so; `shoal share --rehash` and `shoal verify` read everything. A cache that is lost, spoilt or
// cannot be written costs hashing, nothing else.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/sha1.hpp"
#include "storage/share_scan.hpp"

namespace shoal::app {

// Hashing less takes no time.
inline constexpr std::uint64_t kHashesKeptBytesMin = 16u << 20;
inline constexpr std::size_t kHashesKeptMax = 256;  // shares; the one that was kept longest ago goes

// Of each piece of what was scanned just now.
[[nodiscard]] std::optional<std::vector<base::Sha1Hash>> recall_hashes(const storage::ScannedShare& share);
// Of what was read from `begun_at` on. Nothing of files that were changed within the two seconds before: another change
// may have left their times as they are.
void keep_hashes(const storage::ScannedShare& share, const std::vector<base::Sha1Hash>& hashes,
                 std::chrono::system_clock::time_point begun_at);

}  // namespace shoal::app
