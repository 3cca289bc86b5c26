#include "wire/extensions.hpp"

#include <gtest/gtest.h>

#include "golden/hex.hpp"

namespace shoal::wire {
namespace {

using base::Bytes;
using base::ByteView;
using base::Endpoint;
using base::text_of;
using base::view_of;
using namespace std::string_view_literals;

Endpoint endpoint(std::string_view text) {
  return *Endpoint::parse(text);
}

std::optional<ExtensionHandshake> parse_handshake_of(std::string_view text) {
  return parse_extension_handshake(view_of(text));
}

std::optional<MetadataMessage> parse_metadata(std::string_view text) {
  return parse_metadata_message(view_of(text));
}

std::optional<PexMessage> parse_pex(std::string_view text) {
  return parse_pex_message(view_of(text));
}

// --- The extension handshake (BEP 10) ---

// The example of BEP 10, with the keys of its table.
constexpr std::string_view kExample = "d1:md11:LT_metadatai1e6:ut_pexi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e";

ExtensionHandshake full_handshake() {
  return {.metadata_id = 3,
          .pex_id = 1,
          .listen_port = 6881,
          .client = "Shoal 0.1",
          .requests_max = 512,
          .metadata_bytes = 31235,
          .is_upload_only = true,
          .your_address = base::Ipv4Address{0x7f000001}};
}
constexpr std::string_view kFullHandshake =
    "d1:md11:ut_metadatai3e6:ut_pexi1ee13:metadata_sizei31235e1:pi6881e4:reqqi512e11:upload_onlyi1e1:v9:Shoal 0.1"
    "6:yourip4:\x7f\0\0\1e"sv;

TEST(ExtensionHandshake, ReadsTheExampleOfBep10) {
  EXPECT_EQ(parse_handshake_of(kExample),
            (ExtensionHandshake{.pex_id = 2, .listen_port = 6881, .client = "\xc2\xb5Torrent 1.2"}));
}

TEST(ExtensionHandshake, ReadsTheExampleOfBep9) {
  EXPECT_EQ(parse_handshake_of("d1:md11:ut_metadatai3ee13:metadata_sizei31235ee"),
            (ExtensionHandshake{.metadata_id = 3, .metadata_bytes = 31235}));
}

TEST(ExtensionHandshake, WritesItsKeysSorted) {
  EXPECT_EQ(text_of(encode(full_handshake())), kFullHandshake);
}

TEST(ExtensionHandshake, LeavesOutWhatIsNotTold) {
  EXPECT_EQ(text_of(encode(ExtensionHandshake{})), "d1:mdee");
}

// BEP 10: what is not named stays as it was.
TEST(ExtensionHandshake, TellsAnExtensionThatIsSwitchedOffFromOneThatIsNotNamed) {
  EXPECT_EQ(parse_handshake_of("d1:md6:ut_pexi0eee"), ExtensionHandshake{.pex_id = 0});
  EXPECT_EQ(text_of(encode(ExtensionHandshake{.pex_id = 0})), "d1:md6:ut_pexi0eee");
  EXPECT_NE(ExtensionHandshake{.pex_id = 0}, ExtensionHandshake{});
}

TEST(ExtensionHandshake, ReadsWhatItWrote) {
  EXPECT_EQ(parse_extension_handshake(encode(full_handshake())), full_handshake());
  EXPECT_EQ(parse_extension_handshake(encode(ExtensionHandshake{})), ExtensionHandshake{});
}

TEST(ExtensionHandshake, RefusesEveryPrefix) {
  for (std::size_t size = 0; size < kFullHandshake.size(); ++size) {
    EXPECT_FALSE(parse_handshake_of(kFullHandshake.substr(0, size))) << size;
  }
}

TEST(ExtensionHandshake, RefusesWhatIsNotOneDictionary) {
  for (const std::string_view text : {"", "i1e", "le", "1:m", "x", "d1:mdee0:", "d1:vi0e1:mde1:vi0ee"}) {
    EXPECT_FALSE(parse_handshake_of(text)) << text;
  }
}

TEST(ExtensionHandshake, MayHaveItsKeysInAnyOrder) {
  EXPECT_EQ(parse_handshake_of("d1:pi6881e1:md6:ut_pexi2e11:ut_metadatai3eee"),
            (ExtensionHandshake{.metadata_id = 3, .pex_id = 2, .listen_port = 6881}));
}

TEST(ExtensionHandshake, TakesAFieldOfAnotherKindForAbsent) {
  EXPECT_EQ(parse_handshake_of("d1:m1:x13:metadata_size1:11:p1:14:reqqle11:upload_only1:11:vi1e6:youripi1ee"),
            ExtensionHandshake{});
}

TEST(ExtensionHandshake, TakesANumberOutOfRangeForAbsent) {
  EXPECT_EQ(parse_handshake_of("d1:md11:ut_metadatai256e6:ut_pexi-1ee13:metadata_sizei4294967296e1:pi65536e"
                               "4:reqqi-1ee"),
            ExtensionHandshake{});
  EXPECT_EQ(parse_handshake_of("d1:pi0ee"), ExtensionHandshake{});
}

TEST(ExtensionHandshake, BelievesOnlyAnIpv4AddressOfOurs) {
  EXPECT_EQ(parse_handshake_of("d6:yourip16:0123456789abcdefe"), ExtensionHandshake{});
  EXPECT_EQ(parse_handshake_of("d6:yourip4:AAAAe")->your_address, base::Ipv4Address{0x41414141});
}

TEST(ExtensionHandshake, CutsALongNameOfTheClient) {
  const std::string name(1000, 'x');
  EXPECT_EQ(parse_handshake_of("d1:v1000:" + name + "e")->client, std::string(kClientNameBytesMax, 'x'));
}

// --- Metadata (BEP 9) ---

TEST(MetadataMessages, HaveTheBytesOfBep9) {
  EXPECT_EQ(text_of(encode(MetadataRequest{0})), "d8:msg_typei0e5:piecei0ee");
  EXPECT_EQ(text_of(encode(MetadataReject{0})), "d8:msg_typei2e5:piecei0ee");
  const MetadataPiece piece{0, 34256, golden::from_hex("6465")};
  EXPECT_EQ(text_of(encode(piece)), "d8:msg_typei1e5:piecei0e10:total_sizei34256eede");
}

TEST(MetadataMessages, ReadWhatTheyWrote) {
  const MetadataMessage messages[] = {MetadataRequest{7}, MetadataRequest{0xffffffff},
                                      MetadataPiece{1, 16385, Bytes(1, std::byte{0x65})},
                                      MetadataPiece{0, 20000, Bytes(kMetadataPieceBytes)}, MetadataReject{3}};
  for (const MetadataMessage& message : messages) EXPECT_EQ(parse_metadata_message(encode(message)), message);
}

TEST(MetadataMessages, RefuseEveryPrefixOfTheirDictionary) {
  constexpr std::string_view kPiece = "d8:msg_typei1e5:piecei0e10:total_sizei34256ee";
  for (std::size_t size = 0; size < kPiece.size(); ++size) EXPECT_FALSE(parse_metadata(kPiece.substr(0, size))) << size;
  EXPECT_EQ(parse_metadata(kPiece), MetadataMessage(MetadataPiece{0, 34256, {}}));
}

TEST(MetadataMessages, IgnoreUnknownTypesAndKeys) {
  EXPECT_FALSE(parse_metadata("d8:msg_typei3e5:piecei0ee"));
  EXPECT_FALSE(parse_metadata("d8:msg_typei-1e5:piecei0ee"));
  EXPECT_EQ(parse_metadata("d4:junkle8:msg_typei0e5:piecei4ee"), MetadataMessage(MetadataRequest{4}));
}

TEST(MetadataMessages, MayHaveTheirKeysInAnyOrder) {
  EXPECT_EQ(parse_metadata("d5:piecei4e8:msg_typei0ee"), MetadataMessage(MetadataRequest{4}));
  EXPECT_EQ(parse_metadata("d10:total_sizei34256e5:piecei0e8:msg_typei1eede"),
            MetadataMessage(MetadataPiece{0, 34256, golden::from_hex("6465")}));
}

TEST(MetadataMessages, RefuseAMissingOrWrongTypePieceOrTotal) {
  for (const std::string_view text :
       {"le", "de", "d5:piecei0ee", "d8:msg_typei0ee", "d8:msg_type1:05:piecei0ee", "d8:msg_typei0e5:piecei-1ee",
        "d8:msg_typei0e5:piecei4294967296ee", "d8:msg_typei1e5:piecei0eeab",
        "d8:msg_typei1e5:piecei0e10:total_sizei-1eeab", "d8:msg_typei1e5:piecei0e10:total_sizei4294967296eeab"}) {
    EXPECT_FALSE(parse_metadata(text)) << text;
  }
}

TEST(MetadataMessages, RefuseAPieceOfMoreThan16KiB) {
  Bytes message = encode(MetadataPiece{0, 100000, Bytes(kMetadataPieceBytes)});
  EXPECT_TRUE(parse_metadata_message(message));
  message.push_back(std::byte{0});
  EXPECT_FALSE(parse_metadata_message(message));
}

// --- Peer exchange (BEP 11) ---

TEST(PexMessages, HaveTheGoldenBytes) {
  const PexMessage message{.added = {{endpoint("10.0.0.1:6881"), true}, {endpoint("10.0.0.2:80"), false, true}},
                           .dropped = {endpoint("192.168.1.2:51413")}};
  EXPECT_EQ(golden::to_hex(encode(message)), golden::to_hex(view_of("d5:added12:")) + "0a0000011ae1" + "0a0000020050" +
                                                 golden::to_hex(view_of("7:added.f2:")) + "0210" +
                                                 golden::to_hex(view_of("7:dropped6:")) + "c0a80102c8d5" +
                                                 golden::to_hex(view_of("e")));
  EXPECT_EQ(parse_pex_message(encode(message)), message);
  EXPECT_EQ(text_of(encode(PexMessage{})), "d5:added0:7:added.f0:7:dropped0:e");
  EXPECT_EQ(parse_pex_message(encode(PexMessage{})), PexMessage{});
}

TEST(PexMessages, RefuseEveryPrefix) {
  const Bytes message = encode(PexMessage{.added = {{endpoint("10.0.0.1:6881"), true}}, .dropped = {}});
  for (std::size_t size = 0; size < message.size(); ++size) {
    EXPECT_FALSE(parse_pex_message(ByteView(message).first(size))) << size;
  }
}

TEST(PexMessages, RefuseWhatIsNotOneDictionary) {
  for (const std::string_view text : {"le", "i0e", "0:", "dede", "d5:addedi0e"}) EXPECT_FALSE(parse_pex(text)) << text;
}

TEST(PexMessages, MayHaveTheirKeysInAnyOrder) {
  EXPECT_EQ(
      parse_pex("d7:dropped6:AAAABB5:added6:AAAACCe"),
      (PexMessage{.added = {{endpoint("65.65.65.65:17219"), false}}, .dropped = {endpoint("65.65.65.65:16962")}}));
}

TEST(PexMessages, ReadFlagsOfWhichSomeAreMissing) {
  const auto message = parse_pex(
      "d5:added12:AAAABBAAAACC7:added.f1:\xff"
      "e");
  ASSERT_TRUE(message);
  ASSERT_EQ(message->added.size(), 2u);
  EXPECT_TRUE(message->added[0].is_seed && message->added[0].is_reachable);
  EXPECT_FALSE(message->added[1].is_seed || message->added[1].is_reachable);
}

TEST(PexMessages, IgnoreFieldsOfAnotherKindIpv6PeersAndARemainder) {
  EXPECT_EQ(parse_pex("d5:addedi1e7:added.fle7:droppeddee"), PexMessage{});
  EXPECT_EQ(parse_pex("d6:added618:0123456789abcdef018:added6.f1:0e"), PexMessage{});
  EXPECT_EQ(parse_pex("d5:added9:AAAABBAAAe")->added.size(), 1u);
}

TEST(PexMessages, CutWhatIsMoreThanAnybodyNeeds) {
  const std::string peers(6 * (kPexPeersMax + 1), 'A');
  const std::string length = std::to_string(peers.size());
  const auto message = parse_pex("d5:added" + length + ":" + peers + "7:dropped" + length + ":" + peers + "e");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->added.size(), kPexPeersMax);
  EXPECT_EQ(message->dropped.size(), kPexPeersMax);
  PexMessage many{.added = std::vector<PexPeer>(kPexPeersMax + 5), .dropped = std::vector<Endpoint>(kPexPeersMax + 5)};
  const auto written = parse_pex_message(encode(many));
  many.added.resize(kPexPeersMax);
  many.dropped.resize(kPexPeersMax);
  EXPECT_EQ(written, many);
}

// --- Compact peers (BEP 23) ---

TEST(CompactPeers, AreSixBytesInNetworkOrder) {
  const std::vector<Endpoint> peers{endpoint("1.2.3.4:256"), endpoint("255.0.0.1:65535")};
  EXPECT_EQ(golden::to_hex(encode_compact(peers)), "010203040100ff000001ffff");
  EXPECT_EQ(parse_compact(encode_compact(peers)), peers);
  EXPECT_TRUE(parse_compact({}).empty());
}

TEST(CompactPeers, IgnoreARemainder) {
  const Bytes peers = encode_compact({endpoint("1.2.3.4:256"), endpoint("255.0.0.1:65535")});
  for (std::size_t size = 0; size <= peers.size(); ++size) {
    EXPECT_EQ(parse_compact(ByteView(peers).first(size)).size(), size / 6);
  }
}

}  // namespace
}  // namespace shoal::wire
