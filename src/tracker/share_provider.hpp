// What a course tracker needs to know about the shared file; the program implements it over the two ini files.
#pragma once

#include <memory>

#include "course/messages.hpp"

namespace shoal::tracker {

class ShareProvider {
 public:
  virtual ~ShareProvider() = default;
  // The share as it is now: the configuration is read again when it changed. While it is broken, the last good one.
  // Never null. Quick when nothing changed; called for every request. The same pointer means the same share.
  virtual std::shared_ptr<const course::FileInfo> current() = 0;
};

}  // namespace shoal::tracker
