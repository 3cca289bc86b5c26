// Searches of local peer discovery. The input is a datagram. What is accepted has a port and an info hash, and survives
// being written and read again.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "wire/local_discovery.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal::wire;
  const auto search = parse_local_search(std::as_bytes(std::span(data, size)));
  if (!search) return 0;
  SHOAL_CHECK(size <= kLocalDiscoveryBytesMax && search->port != 0 && !search->info_hashes.empty());
  // Written in full it may be longer than what was read, and more than one may send.
  constexpr std::size_t kWrittenInFull = 100;
  if (size + kWrittenInFull > kLocalDiscoveryBytesMax) return 0;
  SHOAL_CHECK(parse_local_search(encode(*search)) == search);
  return 0;
}
