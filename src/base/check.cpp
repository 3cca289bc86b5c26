#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace shoal::base {

void check_failed(const char* claim, const char* file, int line) noexcept {
  std::fprintf(stderr, "%s:%d: internal error: %s does not hold\n", file, line, claim);
  std::abort();
}

}  // namespace shoal::base
