#include "wire/peer_messages.hpp"

#include <algorithm>
#include <limits>

#include "base/check.hpp"
#include "base/overloaded.hpp"

namespace shoal::wire {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;

constexpr std::string_view kProtocolName = "BitTorrent protocol";
static_assert(static_cast<std::byte>(kProtocolName.size()) == kHandshakeFirstByte);

constexpr std::size_t kReservedBytes = 8;
constexpr std::size_t kExtensionsByte = 5;  // of the reserved ones
constexpr std::byte kExtensionsBit{0x10};
constexpr std::size_t kFastByte = 7;
constexpr std::byte kFastBit{0x04};
static_assert(1 + kProtocolName.size() + kReservedBytes + base::Sha1Hash::kSize + PeerId{}.size() == kHandshakeBytes);

// What a message is long, its id included and its length number not.
constexpr std::uint32_t kBareBytes = 1;
constexpr std::uint32_t kPieceIndexBytes = 5;
constexpr std::uint32_t kRangeBytes = 13;
constexpr std::uint32_t kBlockHeadBytes = 9;  // of a piece message: id, index, begin
static_assert(kPieceHeadBytes == 4 + kBlockHeadBytes);

ByteWriter begin(MessageId id, std::size_t length) {
  SHOAL_CHECK(length <= std::numeric_limits<std::uint32_t>::max());
  ByteWriter writer(4 + length);
  writer.u32(static_cast<std::uint32_t>(length)).u8(static_cast<std::uint8_t>(id));
  return writer;
}

Bytes bare(MessageId id) {
  return begin(id, kBareBytes).take();
}

Bytes with_piece(MessageId id, base::PieceIndex piece) {
  return begin(id, kPieceIndexBytes).u32(piece.value).take();
}

Bytes with_range(MessageId id, const BlockRange& range) {
  return begin(id, kRangeBytes).u32(range.piece.value).u32(range.offset_bytes).u32(range.size_bytes).take();
}

Bytes piece_head(const BlockRange& range) {
  ByteWriter writer(kPieceHeadBytes);
  SHOAL_CHECK(range.size_bytes <= std::numeric_limits<std::uint32_t>::max() - kBlockHeadBytes);
  writer.u32(kBlockHeadBytes + range.size_bytes).u8(static_cast<std::uint8_t>(MessageId::piece));
  return writer.u32(range.piece.value).u32(range.offset_bytes).take();
}

base::PieceIndex read_piece(ByteReader& reader) {
  return base::PieceIndex(reader.u32());
}

BlockRange read_range(ByteReader& reader) {
  BlockRange range;
  range.piece = read_piece(reader);
  range.offset_bytes = reader.u32();
  range.size_bytes = reader.u32();
  return range;
}

// How long a message of this id may be.
bool fits(MessageId id, std::uint32_t length) {
  switch (id) {
    case MessageId::choke:
    case MessageId::unchoke:
    case MessageId::interested:
    case MessageId::not_interested:
    case MessageId::have_all:
    case MessageId::have_none:
      return length == kBareBytes;
    case MessageId::have:
    case MessageId::suggest_piece:
    case MessageId::allowed_fast:
      return length == kPieceIndexBytes;
    case MessageId::request:
    case MessageId::cancel:
    case MessageId::reject:
      return length == kRangeBytes;
    case MessageId::piece:
      return length >= kBlockHeadBytes;
    case MessageId::extended:
      return length >= 2;
    case MessageId::bitfield:
    case MessageId::port:
      break;
  }
  return true;
}

// The fields of a message whose length fits. `length`: see parse_message().
Message read_fields(MessageId id, std::uint32_t length, ByteReader reader) {
  switch (id) {
    case MessageId::choke:
      return Choke{};
    case MessageId::unchoke:
      return Unchoke{};
    case MessageId::interested:
      return Interested{};
    case MessageId::not_interested:
      return NotInterested{};
    case MessageId::have:
      return Have{read_piece(reader)};
    case MessageId::bitfield:
      return BitfieldMessage{Bytes(reader.rest().begin(), reader.rest().end())};
    case MessageId::request:
      return Request{read_range(reader)};
    case MessageId::piece: {
      PieceHead head;
      head.range.piece = read_piece(reader);
      head.range.offset_bytes = reader.u32();
      head.range.size_bytes = length - kBlockHeadBytes;
      return head;
    }
    case MessageId::cancel:
      return Cancel{read_range(reader)};
    case MessageId::suggest_piece:
      return SuggestPiece{read_piece(reader)};
    case MessageId::have_all:
      return HaveAll{};
    case MessageId::have_none:
      return HaveNone{};
    case MessageId::reject:
      return Reject{read_range(reader)};
    case MessageId::allowed_fast:
      return AllowedFast{read_piece(reader)};
    case MessageId::extended: {
      const std::uint8_t extension = reader.u8();
      return Extended{extension, Bytes(reader.rest().begin(), reader.rest().end())};
    }
    case MessageId::port:
      break;
  }
  return Unknown{static_cast<std::uint8_t>(id)};
}

}  // namespace

Bytes encode(const Handshake& handshake) {
  std::array<std::byte, kReservedBytes> reserved{};
  if (handshake.has_extensions) reserved[kExtensionsByte] |= kExtensionsBit;
  if (handshake.has_fast) reserved[kFastByte] |= kFastBit;
  ByteWriter writer(kHandshakeBytes);
  writer.u8(std::to_integer<std::uint8_t>(kHandshakeFirstByte)).append(kProtocolName).append(ByteView(reserved));
  return writer.append(ByteView(handshake.info_hash.bytes)).append(ByteView(handshake.peer_id)).take();
}

std::optional<Handshake> parse_handshake(ByteView bytes) {
  if (bytes.size() != kHandshakeBytes || bytes.front() != kHandshakeFirstByte) return std::nullopt;
  ByteReader reader(bytes.subspan(1));
  if (base::text_of(reader.take(kProtocolName.size())) != kProtocolName) return std::nullopt;
  const ByteView reserved = reader.take(kReservedBytes);
  Handshake handshake;
  handshake.has_extensions = (reserved[kExtensionsByte] & kExtensionsBit) != std::byte{0};
  handshake.has_fast = (reserved[kFastByte] & kFastBit) != std::byte{0};
  handshake.info_hash = base::Sha1Hash::from_bytes(reader.take(base::Sha1Hash::kSize));
  std::ranges::copy(reader.rest(), handshake.peer_id.begin());
  return handshake;
}

Bytes encode(const Message& message) {
  return std::visit(base::Overloaded{
                        [](const KeepAlive&) { return ByteWriter().u32(0).take(); },
                        [](const Choke&) { return bare(MessageId::choke); },
                        [](const Unchoke&) { return bare(MessageId::unchoke); },
                        [](const Interested&) { return bare(MessageId::interested); },
                        [](const NotInterested&) { return bare(MessageId::not_interested); },
                        [](const Have& have) { return with_piece(MessageId::have, have.piece); },
                        [](const BitfieldMessage& field) {
                          return begin(MessageId::bitfield, 1 + field.bits.size()).append(ByteView(field.bits)).take();
                        },
                        [](const Request& request) { return with_range(MessageId::request, request.range); },
                        [](const PieceHead& head) { return piece_head(head.range); },
                        [](const Cancel& cancel) { return with_range(MessageId::cancel, cancel.range); },
                        [](const SuggestPiece& suggest) { return with_piece(MessageId::suggest_piece, suggest.piece); },
                        [](const HaveAll&) { return bare(MessageId::have_all); },
                        [](const HaveNone&) { return bare(MessageId::have_none); },
                        [](const Reject& reject) { return with_range(MessageId::reject, reject.range); },
                        [](const AllowedFast& allowed) { return with_piece(MessageId::allowed_fast, allowed.piece); },
                        [](const Extended& extended) {
                          ByteWriter writer = begin(MessageId::extended, 2 + extended.payload.size());
                          return writer.u8(extended.id).append(ByteView(extended.payload)).take();
                        },
                        [](const Unknown& unknown) { return bare(static_cast<MessageId>(unknown.id)); },
                    },
                    message);
}

std::expected<Message, MessageError> parse_message(std::uint32_t length, ByteView body) {
  if (length == 0) return KeepAlive{};
  if (body.empty()) return std::unexpected(MessageError::bad_length);
  const auto id = static_cast<MessageId>(body.front());
  const bool is_whole = id == MessageId::piece ? body.size() >= kBlockHeadBytes : body.size() == length;
  if (!is_whole || !fits(id, length)) return std::unexpected(MessageError::bad_length);
  return read_fields(id, length, ByteReader(body.subspan(1)));
}

std::string_view name_of(const Message& message) {
  static constexpr std::array<std::string_view, std::variant_size_v<Message>> kNames{
      "keep_alive", "choke",   "unchoke",      "interested", "not_interested", "have",
      "bitfield",   "request", "piece",        "cancel",     "suggest_piece",  "have_all",
      "have_none",  "reject",  "allowed_fast", "extended",   "unknown"};
  return kNames[message.index()];
}

}  // namespace shoal::wire
