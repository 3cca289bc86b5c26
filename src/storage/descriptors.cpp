#include "storage/descriptors.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace shoal::storage {
namespace {

std::size_t descriptors_max() {
  rlimit limit{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  (void)::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace

std::size_t kept_descriptors() {
  return std::min(kKeptDescriptorsMax, descriptors_max() / 2);
}

std::size_t descriptors_for_others() {
  return descriptors_max() - kept_descriptors();
}

bool is_of_the_kept(int descriptor) {
  return static_cast<std::size_t>(descriptor) >= descriptors_for_others();
}

}  // namespace shoal::storage
