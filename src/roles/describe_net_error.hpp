// What became of an attempt to connect, in words for a user: "10.0.0.2:8001 refused the connection".
#pragma once

#include <string>

#include "seam/events.hpp"

namespace shoal::roles {

[[nodiscard]] inline std::string describe(seam::NetError error) {
  switch (error) {
    case seam::NetError::refused:
      return "refused the connection";
    case seam::NetError::unreachable:
      return "cannot be reached";
    case seam::NetError::reset:
      return "broke the connection";
    case seam::NetError::timed_out:
      return "did not answer the attempt to connect";
    case seam::NetError::other:
      break;
  }
  return "cannot be connected to";
}

}  // namespace shoal::roles
