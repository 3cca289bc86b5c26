#include "wire/extensions.hpp"

#include <algorithm>
#include <concepts>
#include <utility>

#include "base/check.hpp"
#include "base/overloaded.hpp"
#include "bencode/bencode.hpp"

namespace shoal::wire {
namespace {

using base::Bytes;
using base::ByteView;

constexpr std::size_t kCompactPeerBytes = 6;
// BEP 11, "Flags".
constexpr std::uint8_t kPexSeedFlag = 0x02;
constexpr std::uint8_t kPexReachableFlag = 0x10;

enum class MetadataType : std::int64_t { request = 0, data = 1, reject = 2 };

template <std::unsigned_integral Number>
std::optional<Number> find_number(const bencode::Value& dictionary, std::string_view key) {
  const std::int64_t* number = dictionary.find_integer(key);
  if (number == nullptr || !std::in_range<Number>(*number)) return std::nullopt;
  return static_cast<Number>(*number);
}

std::optional<std::uint8_t> find_extension(const bencode::Value& handshake, std::string_view name) {
  const bencode::Value* extensions = handshake.find("m");
  return extensions == nullptr ? std::nullopt : find_number<std::uint8_t>(*extensions, name);
}

ByteView find_bytes(const bencode::Value& dictionary, std::string_view key) {
  const std::string_view* text = dictionary.find_string(key);
  return text == nullptr ? ByteView() : base::view_of(*text);
}

void write_endpoint(base::ByteWriter& writer, const base::Endpoint& endpoint) {
  writer.u32(endpoint.address.value).u16(endpoint.port);
}

// The whole peers at the front, at most `count_max`.
std::vector<base::Endpoint> first_peers(ByteView compact, std::size_t count_max) {
  return parse_compact(compact.first(std::min(compact.size(), count_max * kCompactPeerBytes)));
}

Bytes encode_metadata(MetadataType type, std::uint32_t piece, std::optional<std::uint32_t> total_bytes) {
  bencode::Writer writer;
  writer.begin_dictionary();
  writer.key("msg_type").integer(static_cast<std::int64_t>(type));
  writer.key("piece").integer(piece);
  if (total_bytes) writer.key("total_size").integer(*total_bytes);
  return writer.end().take();
}

std::uint8_t flags_of(const PexPeer& peer) {
  const unsigned seed = peer.is_seed ? kPexSeedFlag : 0u;
  const unsigned reachable = peer.is_reachable ? kPexReachableFlag : 0u;
  return static_cast<std::uint8_t>(seed | reachable);
}

}  // namespace

Bytes encode(const ExtensionHandshake& handshake) {
  bencode::Writer writer;
  writer.begin_dictionary();
  writer.key("m").begin_dictionary();
  if (handshake.metadata_id) writer.key("ut_metadata").integer(*handshake.metadata_id);
  if (handshake.pex_id) writer.key("ut_pex").integer(*handshake.pex_id);
  writer.end();
  if (handshake.metadata_bytes) writer.key("metadata_size").integer(*handshake.metadata_bytes);
  if (handshake.listen_port) writer.key("p").integer(*handshake.listen_port);
  if (handshake.requests_max) writer.key("reqq").integer(*handshake.requests_max);
  if (handshake.is_upload_only) writer.key("upload_only").integer(1);
  if (!handshake.client.empty()) writer.key("v").string(handshake.client);
  if (handshake.your_address) {
    writer.key("yourip").string(base::ByteWriter().u32(handshake.your_address->value).take());
  }
  return writer.end().take();
}

std::optional<ExtensionHandshake> parse_extension_handshake(ByteView payload) {
  const auto value = bencode::parse(payload, bencode::Keys::in_any_order);
  if (!value || value->dictionary() == nullptr) return std::nullopt;
  ExtensionHandshake handshake;
  handshake.metadata_id = find_extension(*value, "ut_metadata");
  handshake.pex_id = find_extension(*value, "ut_pex");
  handshake.metadata_bytes = find_number<std::uint32_t>(*value, "metadata_size");
  handshake.listen_port = find_number<std::uint16_t>(*value, "p");
  if (handshake.listen_port == 0) handshake.listen_port.reset();
  handshake.requests_max = find_number<std::uint32_t>(*value, "reqq");
  const std::int64_t* upload_only = value->find_integer("upload_only");
  handshake.is_upload_only = upload_only != nullptr && *upload_only != 0;
  if (const std::string_view* client = value->find_string("v")) {
    handshake.client = client->substr(0, kClientNameBytesMax);
  }
  if (const ByteView address = find_bytes(*value, "yourip"); address.size() == 4) {
    handshake.your_address = base::Ipv4Address{base::ByteReader(address).u32()};
  }
  return handshake;
}

Bytes encode(const MetadataMessage& message) {
  return std::visit(base::Overloaded{
                        [](const MetadataRequest& request) {
                          return encode_metadata(MetadataType::request, request.piece, std::nullopt);
                        },
                        [](const MetadataPiece& piece) {
                          SHOAL_CHECK(piece.bytes.size() <= kMetadataPieceBytes);
                          Bytes bytes = encode_metadata(MetadataType::data, piece.piece, piece.total_bytes);
                          bytes.insert(bytes.end(), piece.bytes.begin(), piece.bytes.end());
                          return bytes;
                        },
                        [](const MetadataReject& reject) {
                          return encode_metadata(MetadataType::reject, reject.piece, std::nullopt);
                        },
                    },
                    message);
}

std::optional<MetadataMessage> parse_metadata_message(ByteView payload) {
  // The bytes of a piece stand behind the dictionary.
  const auto value = bencode::parse_prefix(payload, bencode::Keys::in_any_order);
  if (!value) return std::nullopt;
  const std::int64_t* type = value->find_integer("msg_type");
  const auto piece = find_number<std::uint32_t>(*value, "piece");
  if (type == nullptr || !piece) return std::nullopt;
  switch (static_cast<MetadataType>(*type)) {
    case MetadataType::request:
      return MetadataRequest{*piece};
    case MetadataType::data: {
      const auto total_bytes = find_number<std::uint32_t>(*value, "total_size");
      const ByteView bytes = payload.subspan(value->raw.size());
      if (!total_bytes || bytes.size() > kMetadataPieceBytes) return std::nullopt;
      return MetadataPiece{*piece, *total_bytes, Bytes(bytes.begin(), bytes.end())};
    }
    case MetadataType::reject:
      return MetadataReject{*piece};
  }
  return std::nullopt;
}

Bytes encode(const PexMessage& message) {
  base::ByteWriter added;
  base::ByteWriter flags;
  for (std::size_t i = 0; i < std::min(message.added.size(), kPexPeersMax); ++i) {
    write_endpoint(added, message.added[i].endpoint);
    flags.u8(flags_of(message.added[i]));
  }
  base::ByteWriter dropped;
  for (std::size_t i = 0; i < std::min(message.dropped.size(), kPexPeersMax); ++i) {
    write_endpoint(dropped, message.dropped[i]);
  }
  bencode::Writer writer;
  writer.begin_dictionary();
  writer.key("added").string(added.take());
  writer.key("added.f").string(flags.take());
  writer.key("dropped").string(dropped.take());
  return writer.end().take();
}

std::optional<PexMessage> parse_pex_message(ByteView payload) {
  const auto value = bencode::parse(payload, bencode::Keys::in_any_order);
  if (!value || value->dictionary() == nullptr) return std::nullopt;
  PexMessage message;
  const ByteView flags = find_bytes(*value, "added.f");
  for (const base::Endpoint& peer : first_peers(find_bytes(*value, "added"), kPexPeersMax)) {
    // Flags may be missing.
    const std::size_t at = message.added.size();
    const auto set = at < flags.size() ? std::to_integer<std::uint8_t>(flags[at]) : std::uint8_t{0};
    message.added.push_back(
        {.endpoint = peer, .is_seed = (set & kPexSeedFlag) != 0, .is_reachable = (set & kPexReachableFlag) != 0});
  }
  message.dropped = first_peers(find_bytes(*value, "dropped"), kPexPeersMax);
  return message;
}

Bytes encode_compact(const std::vector<base::Endpoint>& peers) {
  base::ByteWriter writer(peers.size() * kCompactPeerBytes);
  for (const base::Endpoint& peer : peers) write_endpoint(writer, peer);
  return writer.take();
}

std::vector<base::Endpoint> parse_compact(ByteView bytes) {
  std::vector<base::Endpoint> peers(bytes.size() / kCompactPeerBytes);
  base::ByteReader reader(bytes);
  for (base::Endpoint& peer : peers) {
    peer.address.value = reader.u32();
    peer.port = reader.u16();
  }
  return peers;
}

}  // namespace shoal::wire
