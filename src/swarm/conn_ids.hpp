// Hands out the names of the connections a machine dials: odd numbers, never twice (seam/ids.hpp). One per machine,
// shared by its parts.
#pragma once

#include <cstdint>

#include "seam/ids.hpp"

namespace shoal::swarm {

class ConnIds {
 public:
  [[nodiscard]] seam::ConnId next() {
    const seam::ConnId conn(next_);
    next_ += 2;
    return conn;
  }

 private:
  std::uint64_t next_ = 1;
};

}  // namespace shoal::swarm
