// What a course tracker needs to know about the shared file; the program implements it over the two ini files.
#pragma once

#include <memory>

#include "base/endpoint.hpp"
#include "course/asker.hpp"
#include "course/messages.hpp"

namespace shoal::tracker {

class ShareProvider {
 public:
  virtual ~ShareProvider() = default;
  // The share as it is now: the configuration is read again when it changed. While it is broken, the last good one.
  // Never null. Quick when nothing changed; called for every request. The same pointer means the same share.
  virtual std::shared_ptr<const course::FileInfo> current() = 0;
  // Of the share that current() gave last: whether this asker may be told of a peer. Of one that a person wrote down
  // everybody may.
  [[nodiscard]] virtual bool may_tell(const course::Asker& /*asker*/, base::Endpoint /*peer*/) const { return true; }
  // Whether two askers may be told of the same peers.
  [[nodiscard]] virtual bool are_alike(const course::Asker& /*one*/, const course::Asker& /*other*/) const {
    return true;
  }
};

}  // namespace shoal::tracker
