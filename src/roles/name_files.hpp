// Names of a torrent's files for a message: "a.iso, docs/b.txt and 7 more".
#pragma once

#include <string>
#include <vector>

#include "base/strong.hpp"
#include "metainfo/manifest.hpp"

namespace shoal::roles {

[[nodiscard]] std::string name_files(const metainfo::Layout& layout);
// Those that have bytes in one of these pieces (sorted) and match one of the patterns, as metainfo::select_files()
// reads them.
[[nodiscard]] std::string name_files_with(const metainfo::Layout& layout, const std::vector<base::PieceIndex>& pieces,
                                          const std::vector<std::string>& selected = {});

}  // namespace shoal::roles
