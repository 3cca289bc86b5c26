// What travels inside extended messages (BEP 10): the extension handshake, metadata (BEP 9), peer exchange (BEP 11).
// Used by swarm::PeerSession. Values and bytes, nothing else.
//
// Always holds: parse_* of what encode_* made gives the same value; what is not the one dictionary it has to be is
// nothing; a field of another kind or out of its range is as good as absent, as other programs have it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"

namespace shoal::wire {

inline constexpr std::uint32_t kMetadataPieceBytes = 16 * 1024;
inline constexpr std::size_t kPexPeersMax = 200;        // of one message, added and dropped each; more are cut off
inline constexpr std::size_t kClientNameBytesMax = 64;  // more is cut off

// The ids we give to the extensions that we understand; others use these towards us.
inline constexpr std::uint8_t kOurMetadataId = 1;
inline constexpr std::uint8_t kOurPexId = 2;

struct ExtensionHandshake {
  std::optional<std::uint8_t> metadata_id;        // ut_metadata; 0: not spoken, or not any more
  std::optional<std::uint8_t> pex_id;             // ut_pex
  std::optional<std::uint16_t> listen_port;       // p; not 0
  std::string client;                             // v: bytes of a stranger, not fit for a terminal
  std::optional<std::uint32_t> requests_max;      // reqq
  std::optional<std::uint32_t> metadata_bytes;    // metadata_size
  bool is_upload_only = false;                    // BEP 21
  std::optional<base::Ipv4Address> your_address;  // yourip, when it is IPv4
  friend bool operator==(const ExtensionHandshake&, const ExtensionHandshake&) = default;
};
[[nodiscard]] base::Bytes encode(const ExtensionHandshake& handshake);  // the payload of Extended{0, ...}
[[nodiscard]] std::optional<ExtensionHandshake> parse_extension_handshake(base::ByteView payload);

struct MetadataRequest {
  std::uint32_t piece = 0;
  friend bool operator==(const MetadataRequest&, const MetadataRequest&) = default;
};
struct MetadataPiece {
  std::uint32_t piece = 0;
  std::uint32_t total_bytes = 0;  // of the whole metadata
  base::Bytes bytes;              // at most kMetadataPieceBytes
  friend bool operator==(const MetadataPiece&, const MetadataPiece&) = default;
};
struct MetadataReject {
  std::uint32_t piece = 0;
  friend bool operator==(const MetadataReject&, const MetadataReject&) = default;
};
using MetadataMessage = std::variant<MetadataRequest, MetadataPiece, MetadataReject>;
[[nodiscard]] base::Bytes encode(const MetadataMessage& message);
[[nodiscard]] std::optional<MetadataMessage> parse_metadata_message(
    base::ByteView payload);  // unknown msg_type: nothing

struct PexPeer {
  base::Endpoint endpoint;
  bool is_seed = false;       // flag 0x02
  bool is_reachable = false;  // flag 0x10: who tells this connected to it there
  friend bool operator==(const PexPeer&, const PexPeer&) = default;
};
struct PexMessage {
  std::vector<PexPeer> added;  // `added` and `added.f`; added6 is left out
  std::vector<base::Endpoint> dropped;
  friend bool operator==(const PexMessage&, const PexMessage&) = default;
};
[[nodiscard]] base::Bytes encode(const PexMessage& message);
[[nodiscard]] std::optional<PexMessage> parse_pex_message(base::ByteView payload);

// Compact peers (BEP 23): 6 bytes each. A remainder that is no whole peer is ignored.
[[nodiscard]] base::Bytes encode_compact(const std::vector<base::Endpoint>& peers);
[[nodiscard]] std::vector<base::Endpoint> parse_compact(base::ByteView bytes);

}  // namespace shoal::wire
