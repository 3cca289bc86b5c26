// Text from outside that claims to be UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace shoal::base {

// `bytes` with everything that is not UTF-8 replaced by U+FFFD, so that a name from outside cannot break a line of
// JSON.
[[nodiscard]] std::string to_utf8(std::string_view bytes);

}  // namespace shoal::base
