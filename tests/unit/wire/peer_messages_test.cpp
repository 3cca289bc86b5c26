#include "wire/peer_messages.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "golden/hex.hpp"

namespace shoal::wire {
namespace {

using base::Bytes;
using base::ByteView;
using base::PieceIndex;
using golden::from_hex;
using golden::plain;
using golden::to_hex;

constexpr std::string_view kInfoHash = "0123456789abcdef0123456789abcdef01234567";
constexpr std::string_view kProtocol = "13 426974546f7272656e742070726f746f636f6c";
constexpr std::string_view kPeerIdHex = "2d5348303130302d616263646566303132333435";  // -SH0100-abcdef012345

Handshake handshake() {
  Handshake handshake{.info_hash = *base::Sha1Hash::parse_hex(kInfoHash)};
  std::ranges::copy(base::view_of("-SH0100-abcdef012345"), handshake.peer_id.begin());
  return handshake;
}

std::string handshake_hex(std::string_view reserved) {
  return plain(kProtocol) + plain(reserved) + std::string(kInfoHash) + std::string(kPeerIdHex);
}

struct Golden {
  Message message;
  std::string_view hex;
  std::string_view name;
};

// Every message of BEP 3, 6 and 10, as those pages lay it out. Of a piece message: what comes before its payload.
const std::vector<Golden>& golden_messages() {
  static const BlockRange range{PieceIndex(0x01020304), 0x4000, 0x4000};
  static const std::vector<Golden> all{
      {KeepAlive{}, "00000000", "keep_alive"},
      {Choke{}, "00000001 00", "choke"},
      {Unchoke{}, "00000001 01", "unchoke"},
      {Interested{}, "00000001 02", "interested"},
      {NotInterested{}, "00000001 03", "not_interested"},
      {Have{PieceIndex(7)}, "00000005 04 00000007", "have"},
      {BitfieldMessage{from_hex("ff80")}, "00000003 05 ff80", "bitfield"},
      {Request{range}, "0000000d 06 01020304 00004000 00004000", "request"},
      {PieceHead{range}, "00004009 07 01020304 00004000", "piece"},
      {Cancel{range}, "0000000d 08 01020304 00004000 00004000", "cancel"},
      {SuggestPiece{PieceIndex(9)}, "00000005 0d 00000009", "suggest_piece"},
      {HaveAll{}, "00000001 0e", "have_all"},
      {HaveNone{}, "00000001 0f", "have_none"},
      {Reject{range}, "0000000d 10 01020304 00004000 00004000", "reject"},
      {AllowedFast{PieceIndex(10)}, "00000005 11 0000000a", "allowed_fast"},
      {Extended{3, from_hex("6465")}, "00000004 14 03 6465", "extended"},
  };
  return all;
}

std::expected<Message, MessageError> parse(const Bytes& framed) {
  base::ByteReader reader(framed);
  const std::uint32_t length = reader.u32();
  return parse_message(length, reader.rest());
}

// A message of this id and as many zeros as its length wants.
std::expected<Message, MessageError> parse_of_length(std::uint8_t id, std::uint32_t length) {
  Bytes body(length);
  if (length > 0) body[0] = static_cast<std::byte>(id);
  return parse_message(length, body);
}

// --- The handshake ---

TEST(PeerHandshake, HasTheGoldenBytes) {
  EXPECT_EQ(to_hex(encode(handshake())), handshake_hex("0000000000000000"));
  EXPECT_EQ(encode(handshake()).size(), kHandshakeBytes);
}

TEST(PeerHandshake, SetsTheBitOfEachOffer) {
  Handshake offering = handshake();
  offering.has_extensions = true;
  EXPECT_EQ(to_hex(encode(offering)), handshake_hex("0000000000100000"));
  offering.has_fast = true;
  EXPECT_EQ(to_hex(encode(offering)), handshake_hex("0000000000100004"));
  offering.has_extensions = false;
  EXPECT_EQ(to_hex(encode(offering)), handshake_hex("0000000000000004"));
}

TEST(PeerHandshake, ReadsWhatItWrote) {
  for (const bool has_extensions : {false, true}) {
    for (const bool has_fast : {false, true}) {
      Handshake offering = handshake();
      offering.has_extensions = has_extensions;
      offering.has_fast = has_fast;
      EXPECT_EQ(parse_handshake(encode(offering)), offering);
    }
  }
}

TEST(PeerHandshake, LooksOnlyAtTheBitsItKnows) {
  // Everything but BEP 10 and BEP 6: the distributed hash table, hybrid torrents, whatever comes.
  EXPECT_EQ(parse_handshake(from_hex(handshake_hex("ffffffffffeffffb"))), handshake());
}

TEST(PeerHandshake, RefusesAnotherProtocol) {
  Bytes bytes = encode(handshake());
  for (std::size_t at = 0; at < 20; ++at) {
    Bytes wrong = bytes;
    wrong[at] ^= std::byte{1};
    EXPECT_FALSE(parse_handshake(wrong)) << at;
  }
}

TEST(PeerHandshake, RefusesEveryOtherLength) {
  Bytes bytes = encode(handshake());
  for (std::size_t size = 0; size < kHandshakeBytes; ++size) {
    EXPECT_FALSE(parse_handshake(ByteView(bytes).first(size))) << size;
  }
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(parse_handshake(bytes));
}

// --- Messages ---

TEST(PeerMessages, HaveTheGoldenBytes) {
  for (const Golden& golden : golden_messages()) {
    EXPECT_EQ(to_hex(encode(golden.message)), plain(golden.hex)) << golden.name;
    EXPECT_EQ(name_of(golden.message), golden.name);
  }
}

TEST(PeerMessages, AreReadFromTheGoldenBytes) {
  for (const Golden& golden : golden_messages()) {
    const auto message = parse(from_hex(golden.hex));
    ASSERT_TRUE(message) << golden.name;
    EXPECT_EQ(*message, golden.message) << golden.name;
  }
}

TEST(PeerMessages, CoverEveryKind) {
  std::vector<bool> seen(std::variant_size_v<Message>);
  for (const Golden& golden : golden_messages()) seen[golden.message.index()] = true;
  // Unknown stands for what has no golden bytes.
  EXPECT_EQ(std::ranges::count(seen, false), 1);
}

TEST(PeerMessages, RefuseEveryPrefix) {
  for (const Golden& golden : golden_messages()) {
    const Bytes framed = from_hex(golden.hex);
    base::ByteReader reader(framed);
    const std::uint32_t length = reader.u32();
    for (std::size_t size = 0; size < reader.remaining(); ++size) {
      EXPECT_EQ(parse_message(length, reader.rest().first(size)), std::unexpected(MessageError::bad_length))
          << golden.name << ' ' << size;
    }
  }
}

TEST(PeerMessages, ReadAPieceHeadFromItsFirstNineBytesWhateverFollows) {
  const Bytes body = from_hex("07 00000002 00008000 deadbeef");
  const PieceHead expected{{PieceIndex(2), 0x8000, 4}};
  EXPECT_EQ(parse_message(13, body), Message(expected));
  EXPECT_EQ(parse_message(13, ByteView(body).first(9)), Message(expected));
}

TEST(PeerMessages, RefuseALengthThatDoesNotFitTheId) {
  const struct {
    std::uint8_t id;
    std::uint32_t length;
  } cases[] = {{0, 2},  {1, 2},  {2, 5},   {3, 2},  {4, 4},  {4, 6},   {6, 12},  {6, 14}, {7, 8},  {7, 1}, {8, 12},
               {8, 17}, {13, 4}, {13, 13}, {14, 2}, {15, 2}, {16, 12}, {16, 14}, {17, 1}, {17, 6}, {20, 1}};
  for (const auto& wrong : cases) {
    EXPECT_EQ(parse_of_length(wrong.id, wrong.length), std::unexpected(MessageError::bad_length))
        << int{wrong.id} << " of " << wrong.length;
  }
}

TEST(PeerMessages, RefuseABodyThatIsNotAsLongAsItSays) {
  EXPECT_EQ(parse_message(1, from_hex("0000")), std::unexpected(MessageError::bad_length));
  EXPECT_EQ(parse_message(0xffffffff, from_hex("0500")), std::unexpected(MessageError::bad_length));
}

TEST(PeerMessages, KeepTheBlockOfAHugePieceMessageWithinItsLength) {
  const auto message = parse_message(0xffffffff, from_hex("07 00000000 00000000"));
  ASSERT_TRUE(message);
  EXPECT_EQ(std::get<PieceHead>(*message).range.size_bytes, 0xffffffff - 9);
}

TEST(PeerMessages, AllowEmptyBitfieldsBlocksAndExtendedPayloads) {
  EXPECT_EQ(parse_of_length(5, 1), Message(BitfieldMessage{}));
  EXPECT_EQ(parse_of_length(7, 9), Message(PieceHead{}));
  EXPECT_EQ(parse_of_length(20, 2), Message(Extended{}));
}

TEST(PeerMessages, IgnoreThePortOfTheHashTableAndUnknownIdsOfAnyLength) {
  for (const int id : {9, 10, 12, 0x12, 19, 21, 255}) {
    const auto expected = Message(Unknown{static_cast<std::uint8_t>(id)});
    for (const std::uint32_t length : {1u, 3u, 1000u}) {
      EXPECT_EQ(parse_of_length(static_cast<std::uint8_t>(id), length), expected);
    }
    EXPECT_EQ(name_of(expected), "unknown");
  }
}

}  // namespace
}  // namespace shoal::wire
