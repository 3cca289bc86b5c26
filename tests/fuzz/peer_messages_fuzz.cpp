// The peer wire. The input is what a connection brings: a handshake, and messages with their lengths in front. Whatever
// is accepted must be written as the bytes it came from, except for what nobody looks at.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "wire/peer_messages.hpp"

namespace shoal::wire {
namespace {

void check_handshake(base::ByteView bytes) {
  const auto handshake = parse_handshake(bytes);
  if (!handshake) return;
  const base::Bytes again = encode(*handshake);
  SHOAL_CHECK(again.size() == bytes.size() && parse_handshake(again) == handshake);
  constexpr std::size_t kBehindReserved = 28;
  SHOAL_CHECK(std::ranges::equal(bytes.subspan(kBehindReserved), base::ByteView(again).subspan(kBehindReserved)));
}

void check_message(std::uint32_t length, base::ByteView body) {
  const auto message = parse_message(length, body);
  if (!message) return;
  SHOAL_CHECK(!name_of(*message).empty());
  if (std::holds_alternative<Unknown>(*message)) return;
  const base::Bytes again = encode(*message);
  base::ByteReader reader(again);
  SHOAL_CHECK(reader.u32() == length);
  // All of it, or of a piece message its head.
  SHOAL_CHECK(reader.remaining() <= body.size());
  SHOAL_CHECK(std::ranges::equal(reader.rest(), body.first(reader.remaining())));
  SHOAL_CHECK(parse_message(length, reader.rest()) == message);
}

}  // namespace
}  // namespace shoal::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  base::ByteReader reader(std::as_bytes(std::span(data, size)));
  if (size >= wire::kHandshakeBytes && data[0] == 19) wire::check_handshake(reader.take(wire::kHandshakeBytes));
  while (reader.remaining() >= 4) {
    const std::uint32_t length = reader.u32();
    // The last message may be cut short, as when a piece's payload is still to come.
    wire::check_message(length, reader.take(std::min<std::size_t>(length, reader.remaining())));
  }
  return 0;
}
