// Why a socket could not be opened: what the program shows its user before a run begins.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::net {

enum class NetFailureKind : std::uint8_t {
  address_in_use,
  address_not_here,   // no interface of this host has it
  permission_denied,  // a port below 1024, a sandbox
  other,
};

struct NetFailure {
  NetFailureKind kind = NetFailureKind::other;
  std::string message;  // one line: what was tried, on which address, what happened
};

}  // namespace shoal::net
