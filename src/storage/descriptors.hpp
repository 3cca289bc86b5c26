// How the file descriptors that this process may have are shared out: a part is kept for what it opens of its own
// accord, the files of a download, those it dials, the trackers it asks; the rest is for what others make it open,
// their connections and the files they take and do not read. So nobody outside ends a download by leaving none.
//
// The kernel gives the lowest free number: when that is one of the kept part, the rest is used up.
#pragma once

#include <cstddef>

namespace shoal::storage {

// Half of all where fewer than twice as many are allowed.
inline constexpr std::size_t kKeptDescriptorsMax = 512;

// Of the soft limit as it is now.
[[nodiscard]] std::size_t kept_descriptors();
[[nodiscard]] std::size_t descriptors_for_others();
[[nodiscard]] bool is_of_the_kept(int descriptor);

}  // namespace shoal::storage
