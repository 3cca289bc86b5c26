// One callable out of several, for std::visit over a closed list: forgetting a case does not compile.
#pragma once

namespace shoal::base {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace shoal::base
