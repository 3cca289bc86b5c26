// Addresses as one asker can use them (course-protocol 4.15, 4.16): configured ones may say 0.0.0.0 or 127.0.0.1,
// which mean nothing on another host. Used for the peers in FILE_INFO and for the tracker in TRACKER_INFO.
#pragma once

#include <compare>

#include "base/endpoint.hpp"

namespace shoal::course {

struct Asker {
  base::Ipv4Address address;  // where the question came from
  base::Ipv4Address local;    // our address towards it

  [[nodiscard]] bool is_on_this_host() const { return address.is_loopback() || address == local; }
  friend auto operator<=>(const Asker&, const Asker&) = default;
};

// What stands for "this host" becomes the address the asker reached this host at; all others stay.
[[nodiscard]] inline base::Endpoint endpoint_for(const Asker& asker, base::Endpoint configured) {
  const bool is_useless = configured.address.is_any() || (configured.address.is_loopback() && !asker.is_on_this_host());
  if (is_useless) configured.address = asker.local;
  return configured;
}

}  // namespace shoal::course
