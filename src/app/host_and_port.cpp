#include "app/host_and_port.hpp"

#include <fmt/format.h>

#include "net/resolve.hpp"

namespace shoal::app {

Read<base::Endpoint> parse_host_and_port(const std::string& option, const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const auto port = base::parse_port(colon == std::string::npos ? "" : std::string_view(text).substr(colon + 1));
  if (!port || *port == 0) {
    return std::unexpected(fmt::format("{} {}: not a host and port such as 192.168.1.5:8000", option, text));
  }
  const auto address = net::resolve(text.substr(0, colon));
  if (!address) return std::unexpected(fmt::format("{} {}: no host of this name has an IPv4 address", option, text));
  return base::Endpoint{*address, *port};
}

}  // namespace shoal::app
