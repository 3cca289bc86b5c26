// The key of one source within one download. Chosen by the role that owns the sources.
#pragma once

#include "base/strong.hpp"

namespace shoal::swarm {

using SourceId = base::Strong<struct SourceIdTag>;

}  // namespace shoal::swarm
