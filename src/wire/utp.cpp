#include "wire/utp.hpp"

#include <cstdint>

namespace shoal::wire {
namespace {

// Type in the high half, version in the low one.
constexpr std::byte kSyn{0x41};
constexpr std::uint8_t kReset = 0x31;

}  // namespace

std::optional<base::Bytes> refuse_utp(base::ByteView datagram) {
  if (datagram.size() < kUtpHeadBytes || datagram[0] != kSyn) return std::nullopt;
  const base::ByteView connection = datagram.subspan(2, 2);
  const base::ByteView sequence = datagram.subspan(16, 2);
  return base::ByteWriter()
      .u8(kReset)
      .u8(0)  // no extensions
      .append(connection)
      .zeros(14)  // times, window and our sequence number: nothing follows
      .append(sequence)
      .take();
}

}  // namespace shoal::wire
