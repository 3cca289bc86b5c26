// The keys of a download's sources, chosen by the role that owns them.
#pragma once

#include <cstdint>

#include "base/strong.hpp"

namespace shoal::swarm {

// One source; never used again once that is gone.
using SourceId = base::Strong<struct SourceIdTag>;
// Where a source comes from, as far as that outlasts it: who comes from there later is perhaps the same one. Several
// sources may have the same. 0: not known.
using OriginId = base::Strong<struct OriginIdTag, std::uint64_t>;

}  // namespace shoal::swarm
