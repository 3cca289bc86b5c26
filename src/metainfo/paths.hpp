// What makes the path of a shared file safe: nothing in it can lead out of the share's folder, and no two files need
// the same place. Torrents are checked with it when they are read, and folders when they are scanned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metainfo/manifest.hpp"

namespace shoal::metainfo {

inline constexpr std::size_t kComponentBytesMax = 255;  // what Linux file systems can hold
// Of a path below the share's folder; PATH_MAX has room for as much again above it.
inline constexpr std::size_t kPathBytesMax = 2048;

// A name of a file or folder: not empty, not `.` or `..`, not too long, without NUL and '/'.
[[nodiscard]] bool is_safe_component(std::string_view component);
// "a/b/c"
[[nodiscard]] std::string join_path(std::span<const std::string> path);

// Two entries that cannot both be there: of one path, or one where the other's folder has to be.
struct PathClash {
  const FileEntry* first = nullptr;
  const FileEntry* second = nullptr;
};
enum class Letters : std::uint8_t { exact, either_case };  // either_case: a to z only
// Padding files are no files and clash with nothing. Gives at most `clashes_max`.
[[nodiscard]] std::vector<PathClash> find_clashes(std::span<const FileEntry> files, Letters letters,
                                                  std::size_t clashes_max);

}  // namespace shoal::metainfo
