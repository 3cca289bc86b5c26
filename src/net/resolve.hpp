// Names of hosts as addresses. Called by the program before a run, because it may wait for a name server.
#pragma once

#include <optional>
#include <string>

#include "base/endpoint.hpp"

namespace shoal::net {

// The first IPv4 address of a host name or a dotted address; nothing when there is none.
[[nodiscard]] std::optional<base::Ipv4Address> resolve(const std::string& host);

}  // namespace shoal::net
