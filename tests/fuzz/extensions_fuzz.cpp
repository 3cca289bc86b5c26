// What travels inside extended messages. The input is one payload, and every parser sees it. Whatever is accepted must
// survive being written and read again, and must not claim more than its limits.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "wire/extensions.hpp"

namespace shoal::wire {
namespace {

void check_handshake(base::ByteView payload) {
  const auto handshake = parse_extension_handshake(payload);
  if (!handshake) return;
  SHOAL_CHECK(handshake->client.size() <= kClientNameBytesMax && handshake->listen_port != 0);
  SHOAL_CHECK(parse_extension_handshake(encode(*handshake)) == handshake);
}

void check_metadata(base::ByteView payload) {
  const auto message = parse_metadata_message(payload);
  if (!message) return;
  if (const auto* piece = std::get_if<MetadataPiece>(&*message)) {
    SHOAL_CHECK(piece->bytes.size() <= kMetadataPieceBytes && piece->bytes.size() < payload.size());
  }
  SHOAL_CHECK(parse_metadata_message(encode(*message)) == message);
}

void check_pex(base::ByteView payload) {
  const auto message = parse_pex_message(payload);
  if (!message) return;
  SHOAL_CHECK(message->added.size() <= kPexPeersMax && message->dropped.size() <= kPexPeersMax);
  SHOAL_CHECK(parse_pex_message(encode(*message)) == message);
}

void check_compact(base::ByteView payload) {
  const auto peers = parse_compact(payload);
  SHOAL_CHECK(peers.size() == payload.size() / 6);
  SHOAL_CHECK(parse_compact(encode_compact(peers)) == peers);
}

}  // namespace
}  // namespace shoal::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal::wire;
  const auto payload = std::as_bytes(std::span(data, size));
  check_handshake(payload);
  check_metadata(payload);
  check_pex(payload);
  check_compact(payload);
  return 0;
}
