// A share as one asker should see it (course-protocol 4.15). Used by FileInfoAnswers.
#pragma once

#include <functional>
#include <vector>

#include "base/endpoint.hpp"
#include "course/asker.hpp"
#include "course/messages.hpp"

namespace shoal::tracker {

// Every peer of the share that this asker may be told of once, sorted, under the address this asker can reach.
[[nodiscard]] std::vector<base::Endpoint> visible_peers(const course::FileInfo& share, const course::Asker& asker,
                                                        const std::function<bool(base::Endpoint)>& may_tell);

// The share with these addresses, of the `visible` peers (what visible_peers() names) and without the `dead` ones,
// which are some of them, sorted. A chunk whose peers are all dead keeps them all: an old client copes with a peer that
// refuses better than with none.
[[nodiscard]] course::FileInfo visible_share(const course::FileInfo& share, const course::Asker& asker,
                                             const std::vector<base::Endpoint>& visible,
                                             const std::vector<base::Endpoint>& dead);

}  // namespace shoal::tracker
