// Text for a person on stderr. Whoever read it may be gone (`shoal ... 2>&1 | head`): that is no reason to end a
// download, so unlike fmt::print() this never throws.
#pragma once

#include <cstdio>
#include <string_view>

namespace shoal::app {

inline void print_text(std::FILE* out, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), out);
}

}  // namespace shoal::app
