// Options that name a host: "HOST:PORT", where HOST is an address or a name.
#pragma once

#include <string>

#include "app/config_files.hpp"
#include "base/endpoint.hpp"

namespace shoal::app {

// The error names the option. Asks the name service when HOST is a name.
[[nodiscard]] Read<base::Endpoint> parse_host_and_port(const std::string& option, const std::string& text);

}  // namespace shoal::app
