// What an HTTP answer says it is a part of (RFC 9110, 14.4): "bytes 0-99/1000", "bytes 0-99/*". Used by HttpClient.
#pragma once

#include <optional>
#include <string_view>

#include "seam/events.hpp"

namespace shoal::net {

// Nothing when `text` names no range of bytes, or one that cannot be. The unit may be missing: some servers leave it
// out.
[[nodiscard]] std::optional<seam::ByteRange> parse_content_range(std::string_view text);

}  // namespace shoal::net
