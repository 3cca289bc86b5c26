// Values that tests write as text.
#pragma once

#include <string_view>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"

namespace shoal::testing {

inline base::Bytes bytes_of(std::string_view text) {
  const base::ByteView view = base::view_of(text);
  return {view.begin(), view.end()};
}
inline base::Ipv4Address address(std::string_view text) {
  return base::Ipv4Address::parse(text).value();
}
inline base::Endpoint endpoint(std::string_view text) {
  return base::Endpoint::parse(text).value();
}

}  // namespace shoal::testing
