// Whether a finished file is exactly what a manifest describes, though no manifest says how long its pieces are. Lets a
// repeated download end at once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "metainfo/manifest.hpp"
#include "storage/files.hpp"

namespace shoal::storage {

// Whether the range i of the file has the hash of piece i, for all i. On all processors; stops at the first that
// differs.
[[nodiscard]] bool pieces_match(int fd, std::span<const ByteRange> places, const metainfo::Manifest& manifest);

// The pieces' ranges, each one hashed, when the file is the manifest's, cut in equal pieces of a usual size; nothing
// otherwise. Reads little of a file that is not.
[[nodiscard]] std::optional<std::vector<ByteRange>> recognise_file(int fd, std::uint64_t size_bytes,
                                                                   const metainfo::Manifest& manifest);

}  // namespace shoal::storage
