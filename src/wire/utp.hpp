// uTP (BEP 29) is not spoken here. Many programs try it before TCP and wait for seconds, some for ever, when nothing
// comes back; refusing it makes them use TCP at once. Used by roles::SwarmSearch.
//
// Always holds: nothing but the beginning of a uTP connection is answered, and with no more bytes than it had.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.hpp"

namespace shoal::wire {

inline constexpr std::size_t kUtpHeadBytes = 20;

// What refuses this datagram's connection; nothing when it begins none.
[[nodiscard]] std::optional<base::Bytes> refuse_utp(base::ByteView datagram);

}  // namespace shoal::wire
