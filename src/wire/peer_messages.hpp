// The BitTorrent peer wire (BEP 3, 6, 10): the handshake and every message, as values and as bytes. Used by
// swarm::PeerSession. Framing (4-byte lengths) is here too; payload of `piece` messages is not: it is read straight to
// where it belongs, only its head is parsed.
//
// Always holds: parse_* of what encode_* made gives the same value; a message whose length does not fit its id is an
// error; numbers are not checked against a torrent here.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <variant>

#include "base/bytes.hpp"
#include "base/sha1.hpp"
#include "base/strong.hpp"

namespace shoal::wire {

inline constexpr std::uint16_t kHandshakeBytes = 68;
inline constexpr std::byte kHandshakeFirstByte{
    19};  // length of the protocol's name; what tells it from other protocols
inline constexpr std::uint32_t kBlockBytes = 16 * 1024;        // what is asked for at once
inline constexpr std::uint32_t kRequestBytesMax = 128 * 1024;  // a longer request is not answered
inline constexpr std::uint32_t kPieceHeadBytes = 13;           // length, id, index, begin: what comes before a block

using PeerId = std::array<std::byte, 20>;

struct Handshake {
  bool has_extensions = false;  // BEP 10
  bool has_fast = false;        // BEP 6
  base::Sha1Hash info_hash;
  PeerId peer_id{};
  friend bool operator==(const Handshake&, const Handshake&) = default;
};
[[nodiscard]] base::Bytes encode(const Handshake& handshake);
// Nothing when it is not kHandshakeBytes long or names another protocol.
[[nodiscard]] std::optional<Handshake> parse_handshake(base::ByteView bytes);

enum class MessageId : std::uint8_t {
  choke = 0,
  unchoke = 1,
  interested = 2,
  not_interested = 3,
  have = 4,
  bitfield = 5,
  request = 6,
  piece = 7,
  cancel = 8,
  port = 9,  // BEP 5
  // BEP 6
  suggest_piece = 0x0d,
  have_all = 0x0e,
  have_none = 0x0f,
  reject = 0x10,
  allowed_fast = 0x11,
  // BEP 10
  extended = 20,
};

// A range of one piece.
struct BlockRange {
  base::PieceIndex piece;
  std::uint32_t offset_bytes = 0;
  std::uint32_t size_bytes = 0;
  friend auto operator<=>(const BlockRange&, const BlockRange&) = default;
};

struct KeepAlive {
  friend bool operator==(const KeepAlive&, const KeepAlive&) = default;
};
struct Choke {
  friend bool operator==(const Choke&, const Choke&) = default;
};
struct Unchoke {
  friend bool operator==(const Unchoke&, const Unchoke&) = default;
};
struct Interested {
  friend bool operator==(const Interested&, const Interested&) = default;
};
struct NotInterested {
  friend bool operator==(const NotInterested&, const NotInterested&) = default;
};
struct Have {
  base::PieceIndex piece;
  friend bool operator==(const Have&, const Have&) = default;
};
struct BitfieldMessage {
  base::Bytes bits;
  friend bool operator==(const BitfieldMessage&, const BitfieldMessage&) = default;
};
struct Request {
  BlockRange range;
  friend bool operator==(const Request&, const Request&) = default;
};
struct PieceHead {  // the payload follows
  BlockRange range;
  friend bool operator==(const PieceHead&, const PieceHead&) = default;
};
struct Cancel {
  BlockRange range;
  friend bool operator==(const Cancel&, const Cancel&) = default;
};
struct SuggestPiece {
  base::PieceIndex piece;
  friend bool operator==(const SuggestPiece&, const SuggestPiece&) = default;
};
struct HaveAll {
  friend bool operator==(const HaveAll&, const HaveAll&) = default;
};
struct HaveNone {
  friend bool operator==(const HaveNone&, const HaveNone&) = default;
};
struct Reject {
  BlockRange range;
  friend bool operator==(const Reject&, const Reject&) = default;
};
struct AllowedFast {
  base::PieceIndex piece;
  friend bool operator==(const AllowedFast&, const AllowedFast&) = default;
};
struct Extended {
  std::uint8_t id = 0;  // 0: the extension handshake
  base::Bytes payload;
  friend bool operator==(const Extended&, const Extended&) = default;
};
// To be ignored: an id that no BEP above knows, or `port`, whatever it carries.
struct Unknown {
  std::uint8_t id = 0;
  friend bool operator==(const Unknown&, const Unknown&) = default;
};

using Message =
    std::variant<KeepAlive, Choke, Unchoke, Interested, NotInterested, Have, BitfieldMessage, Request, PieceHead,
                 Cancel, SuggestPiece, HaveAll, HaveNone, Reject, AllowedFast, Extended, Unknown>;

// The whole message with its length in front. Of a PieceHead: the 13 bytes before the payload.
[[nodiscard]] base::Bytes encode(const Message& message);

enum class MessageError : std::uint8_t { bad_length };
// `length` is the number that stood in front, `body` the bytes behind it: all of them, but of a piece message at least
// the first 9. Length 0 is KeepAlive.
[[nodiscard]] std::expected<Message, MessageError> parse_message(std::uint32_t length, base::ByteView body);

// "request", "have_all": for traces.
[[nodiscard]] std::string_view name_of(const Message& message);

}  // namespace shoal::wire
