#include "peer_session_driver.hpp"

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;
using base::PieceIndex;

class PeerSessionMessages : public PeerSessionTest {
 protected:
  // What a fresh session does with these bytes behind the handshake; with or without a manifest.
  std::optional<PeerFailure> failure_after(const base::Bytes& bytes, bool has_fast = true, bool has_manifest = true) {
    PeerSessionDriver peer(options(), pool_);
    if (has_manifest) peer.session.set_manifest(kTestGeometry, base::Bitfield(kTestGeometry.piece_count), {});
    peer.session.start({});
    peer.receive(wire::encode(handshake(has_fast)));
    peer.receive(bytes);
    return peer.ended ? std::optional(peer.ended->failure) : std::nullopt;
  }
  std::optional<PeerFailure> failure_after(const wire::Message& message, bool has_fast = true,
                                           bool has_manifest = true) {
    return failure_after(wire::encode(message), has_fast, has_manifest);
  }
  // Says it until the session has enough; how often that was.
  std::size_t times_until_flood(const wire::Message& message, std::size_t times_max = 100'000) {
    std::size_t times = 0;
    for (; times < times_max && !failure(); ++times) peer_.say(message);
    EXPECT_EQ(failure().value_or(PeerFailure::flood), PeerFailure::flood);
    return times;
  }
  void speak_extensions() {
    wire::ExtensionHandshake theirs;
    theirs.metadata_id = 33;
    theirs.pex_id = 44;
    peer_.say(wire::Extended{0, wire::encode(theirs)});
    peer_.told();
    peer_.sent();
  }
  static base::Bytes bits(std::initializer_list<int> values) {
    base::Bytes bytes;
    for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
    return bytes;
  }
};

// --- What it has ---

TEST_F(PeerSessionMessages, TellsEachPieceOnce) {
  open();
  peer_.say(wire::Have{PieceIndex(3)});
  peer_.say(wire::Have{PieceIndex(3)});
  EXPECT_EQ(peer_.told(), "has 3; ");
}

TEST_F(PeerSessionMessages, TakesEveryFormOfASet) {
  for (const auto& [message, told] :
       {std::pair<wire::Message, std::string>{wire::BitfieldMessage{bits({0xc0, 0x80})}, "has 3 of 9; "},
        {wire::HaveAll{}, "has 9 of 9; "},
        {wire::HaveNone{}, "has 0 of 9; "}}) {
    PeerSessionDriver peer(options(), pool_);
    peer.session.set_manifest(kTestGeometry, base::Bitfield(kTestGeometry.piece_count), {});
    peer.session.start({});
    peer.receive(wire::encode(handshake()));
    peer.told();
    // What many clients say before it.
    peer.say(wire::KeepAlive{});
    peer.say(wire::Extended{0, wire::encode(wire::ExtensionHandshake{})});
    peer.told();
    peer.say(message);
    EXPECT_EQ(peer.told(), told);
    EXPECT_FALSE(peer.ended);
  }
}

// aria2 does so when it has got many pieces since it last told of some.
TEST_F(PeerSessionMessages, TakesALaterSetAsManyPiecesToldAtOnce) {
  open();
  peer_.say(wire::Have{PieceIndex(0)});
  EXPECT_EQ(peer_.told(), "has 0; ");
  peer_.say(wire::BitfieldMessage{bits({0xa0, 0x00})});
  EXPECT_EQ(peer_.told(), "has 2; ");
  peer_.say(wire::BitfieldMessage{bits({0x10, 0x00})});
  EXPECT_EQ(peer_.told(), "has 3; ");
  peer_.say(wire::HaveAll{});
  EXPECT_EQ(peer_.told(), "has 1; has 4; has 5; has 6; has 7; has 8; ");
  EXPECT_FALSE(failure());
}

TEST_F(PeerSessionMessages, RefusesALaterSetThatIsWrong) {
  base::Bytes bytes = wire::encode(wire::Have{PieceIndex(0)});
  append(bytes, wire::encode(wire::BitfieldMessage{bits({0xff})}));
  EXPECT_EQ(failure_after(bytes), PeerFailure::bad_message);
  bytes = wire::encode(wire::Unchoke{});
  append(bytes, wire::encode(wire::BitfieldMessage{bits({0xff, 0xc0})}));
  EXPECT_EQ(failure_after(bytes), PeerFailure::bad_message);
}

TEST_F(PeerSessionMessages, EndsAPeerThatTellsTheSameSetForEver) {
  open();
  EXPECT_LT(times_until_flood(wire::HaveAll{}), 1000u);
}

TEST_F(PeerSessionMessages, RefusesABitfieldOfAnotherLengthOrWithSpareBits) {
  EXPECT_EQ(failure_after(wire::BitfieldMessage{bits({0xff})}), PeerFailure::bad_message);
  EXPECT_EQ(failure_after(wire::BitfieldMessage{bits({0xff, 0x80, 0})}), PeerFailure::bad_message);
  EXPECT_EQ(failure_after(wire::BitfieldMessage{bits({0xff, 0xc0})}), PeerFailure::bad_message);
  EXPECT_EQ(failure_after(wire::BitfieldMessage{bits({0xff, 0x80})}), std::nullopt);
}

TEST_F(PeerSessionMessages, RefusesNumbersThatAreNoPieces) {
  EXPECT_EQ(failure_after(wire::Have{PieceIndex(8)}), std::nullopt);
  EXPECT_EQ(failure_after(wire::Have{PieceIndex(9)}), PeerFailure::bad_message);
  EXPECT_EQ(failure_after(wire::AllowedFast{PieceIndex(9)}), PeerFailure::bad_message);
  EXPECT_EQ(failure_after(wire::SuggestPiece{PieceIndex(9)}), PeerFailure::bad_message);
  EXPECT_EQ(failure_after(wire::SuggestPiece{PieceIndex(8)}), std::nullopt);
}

TEST_F(PeerSessionMessages, RefusesTheFastExtensionsMessagesWithoutIt) {
  for (const wire::Message& message :
       {wire::Message(wire::HaveAll{}), wire::Message(wire::HaveNone{}), wire::Message(wire::Reject{blocks(0, 0, 1)}),
        wire::Message(wire::AllowedFast{PieceIndex(0)}), wire::Message(wire::SuggestPiece{PieceIndex(0)})}) {
    EXPECT_EQ(failure_after(message, false), PeerFailure::bad_message) << wire::name_of(message);
    EXPECT_EQ(failure_after(message, true), std::nullopt) << wire::name_of(message);
  }
}

TEST_F(PeerSessionMessages, RefusesMessagesOfTheWrongLength) {
  const auto framed = [](std::uint32_t length, std::uint8_t id, std::size_t count) {
    return base::ByteWriter().u32(length).u8(id).zeros(count).take();
  };
  EXPECT_EQ(failure_after(framed(2, 0, 1)), PeerFailure::bad_message) << "choke";
  EXPECT_EQ(failure_after(framed(4, 4, 3)), PeerFailure::bad_message) << "have";
  EXPECT_EQ(failure_after(framed(8, 7, 7)), PeerFailure::bad_message) << "piece";
  EXPECT_EQ(failure_after(framed(1, 20, 0)), PeerFailure::bad_message) << "extended";
  // Long ones are not waited for.
  EXPECT_EQ(failure_after(framed(60'000, 6, 0)), PeerFailure::bad_message) << "request";
  EXPECT_EQ(failure_after(base::ByteWriter().u32(kPeerMessageBytesMax + 1).take()), PeerFailure::bad_message);
  EXPECT_EQ(failure_after(base::ByteWriter().u32(0xffff'ffff).take()), PeerFailure::bad_message);
}

TEST_F(PeerSessionMessages, IgnoresWhatItDoesNotKnow) {
  open();
  peer_.receive(base::ByteWriter().u32(3).u8(9).u16(6881).take());  // port
  peer_.receive(base::ByteWriter().u32(100'000).u8(99).zeros(99'999).take());
  peer_.say(wire::Have{PieceIndex(3)});
  EXPECT_EQ(peer_.told(), "has 3; ");
}

TEST_F(PeerSessionMessages, TakesEveryMessageHoweverItIsSplit) {
  for (const std::size_t read_bytes : {1u, 2u, 3u, 5u, 7u, 14u}) {
    PeerSessionDriver peer(options(), pool_);
    peer.session.set_manifest(kTestGeometry, base::Bitfield(kTestGeometry.piece_count), {});
    peer.session.start({});
    base::Bytes bytes = wire::encode(handshake());
    for (const wire::Message& message :
         {wire::Message(wire::BitfieldMessage{bits({0xc0, 0})}), wire::Message(wire::Interested{}),
          wire::Message(wire::KeepAlive{}), wire::Message(wire::Unchoke{}), wire::Message(wire::Have{PieceIndex(5)}),
          wire::Message(wire::AllowedFast{PieceIndex(6)}), wire::Message(wire::NotInterested{}),
          wire::Message(wire::Choke{})}) {
      append(bytes, wire::encode(message));
    }
    peer.receive(bytes, read_bytes);
    EXPECT_EQ(peer.told(),
              "ready fast extensions; has 2 of 9; interested; unchoked; has 5; allows 6; not interested; choked; ");
  }
}

// --- Before the metadata is known ---

TEST_F(PeerSessionMessages, KeepsASetUntilTheManifestIsKnown) {
  greet();
  peer_.say(wire::BitfieldMessage{bits({0xc0, 0})});
  peer_.say(wire::Have{PieceIndex(8)});
  EXPECT_EQ(peer_.told(), "ready fast extensions; ");
  set_manifest();
  EXPECT_EQ(peer_.told(), "has 3 of 9; ");
}

TEST_F(PeerSessionMessages, KeepsPiecesUntilTheManifestIsKnown) {
  greet();
  peer_.say(wire::HaveNone{});
  peer_.say(wire::Have{PieceIndex(8)});
  peer_.say(wire::AllowedFast{PieceIndex(1)});
  peer_.say(wire::AllowedFast{PieceIndex(1000)});
  peer_.told();
  set_manifest();
  EXPECT_EQ(peer_.told(), "has 1 of 9; allows 1; ");
}

TEST_F(PeerSessionMessages, KeepsAllSetsUntilTheManifestIsKnown) {
  greet();
  peer_.say(wire::BitfieldMessage{bits({0xc0, 0})});
  peer_.say(wire::Unchoke{});
  peer_.say(wire::BitfieldMessage{bits({0x20, 0})});
  peer_.told();
  set_manifest();
  EXPECT_EQ(peer_.told(), "has 3 of 9; ");
}

TEST_F(PeerSessionMessages, KeepsThatASeedIsOne) {
  greet();
  peer_.say(wire::HaveAll{});
  peer_.told();
  set_manifest();
  EXPECT_EQ(peer_.told(), "has 9 of 9; ");
}

TEST_F(PeerSessionMessages, EndsAPeerWhosePiecesTurnOutNotToBeOfThisTorrent) {
  for (const wire::Message& message :
       {wire::Message(wire::Have{PieceIndex(9)}), wire::Message(wire::BitfieldMessage{bits({0xff, 0xff})}),
        wire::Message(wire::BitfieldMessage{base::Bytes(1'000'000)})}) {
    PeerSessionDriver peer(options(), pool_);
    peer.session.start({});
    peer.receive(wire::encode(handshake()));
    peer.say(message);
    EXPECT_FALSE(peer.ended);
    peer.session.set_manifest(kTestGeometry, base::Bitfield(kTestGeometry.piece_count), {});
    peer.take();
    ASSERT_TRUE(peer.ended);
    EXPECT_EQ(peer.ended->failure, PeerFailure::bad_message);
  }
}

TEST_F(PeerSessionMessages, TellsNothingBehindTheEnd) {
  greet();
  peer_.say(wire::Have{PieceIndex(9)});
  peer_.say(wire::AllowedFast{PieceIndex(1)});
  peer_.told();
  set_manifest();
  EXPECT_EQ(peer_.told(), "ended; ");
}

TEST_F(PeerSessionMessages, KeepsOnlySoManyPiecesOfAnUnknownTorrent) {
  greet();
  std::uint32_t piece = 0;
  for (; !failure() && piece < 100'000; ++piece) peer_.say(wire::Have{PieceIndex(0xffff'ffff - piece)});
  EXPECT_EQ(piece, kEarlyHavesMax + 1);
  EXPECT_EQ(failure(), PeerFailure::flood);
}

// --- Extensions ---

TEST_F(PeerSessionMessages, MergesRepeatedExtensionHandshakes) {
  open();
  wire::ExtensionHandshake theirs;
  theirs.metadata_id = 3;
  theirs.metadata_bytes = 1000;
  theirs.client = "somebody";
  peer_.say(wire::Extended{0, wire::encode(theirs)});
  wire::ExtensionHandshake later;
  later.pex_id = 4;
  later.is_upload_only = true;
  peer_.say(wire::Extended{0, wire::encode(later)});
  EXPECT_EQ(peer_.told(), "extensions; extensions; ");
  wire::ExtensionHandshake merged = theirs;
  merged.pex_id = 4;
  merged.is_upload_only = true;
  EXPECT_EQ(peer_.extensions, merged);
  EXPECT_EQ(peer_.session.extensions(), merged);
}

TEST_F(PeerSessionMessages, SendsNothingOfAnExtensionThatThePeerHasSwitchedOff) {
  open();
  speak_extensions();
  EXPECT_TRUE(peer_.session.speaks_exchange());
  wire::ExtensionHandshake later;
  later.pex_id = 0;
  peer_.say(wire::Extended{0, wire::encode(later)});
  EXPECT_FALSE(peer_.session.speaks_exchange());
  peer_.session.send_pex({}, {});
  peer_.session.send_metadata_request(0, {});
  peer_.take();
  EXPECT_EQ(peer_.sent(), "extended 33; ");
}

TEST_F(PeerSessionMessages, UsesTheIdsThatThePeerGave) {
  open();
  peer_.session.send_metadata_request(2, {});
  peer_.session.send_pex({}, {});
  peer_.take();
  EXPECT_EQ(peer_.sent(), "") << "it has not said that it speaks them";
  speak_extensions();
  peer_.session.send_metadata_request(2, {});
  peer_.session.send_metadata({.piece = 0, .total_bytes = 5, .bytes = base::Bytes(5)}, {});
  peer_.session.send_metadata_reject(1, {});
  peer_.session.send_pex({}, {});
  peer_.take();
  EXPECT_EQ(peer_.sent(), "extended 33; extended 33; extended 33; extended 44; ");
}

TEST_F(PeerSessionMessages, TakesMetadataMessagesUnderOurId) {
  open();
  speak_extensions();
  peer_.session.send_metadata_request(2, {});
  peer_.session.send_metadata_request(3, {});
  const auto say = [&](const wire::MetadataMessage& message) {
    peer_.say(wire::Extended{wire::kOurMetadataId, wire::encode(message)});
  };
  say(wire::MetadataRequest{7});
  say(wire::MetadataReject{3});
  const wire::MetadataPiece piece{.piece = 2, .total_bytes = 50'000, .bytes = base::Bytes(wire::kMetadataPieceBytes)};
  say(piece);
  EXPECT_EQ(peer_.told(), "metadata asked 7; metadata refused 3; metadata arrived 2; ");
  EXPECT_EQ(peer_.metadata, piece);
  say(piece);
  EXPECT_EQ(peer_.told(), "") << "asked once";
  EXPECT_FALSE(failure());
}

TEST_F(PeerSessionMessages, IgnoresExtendedMessagesThatItCannotRead) {
  open();
  peer_.say(wire::Extended{0, bits({'x'})});
  peer_.say(wire::Extended{wire::kOurMetadataId, bits({'x'})});
  peer_.say(wire::Extended{wire::kOurPexId, bits({'x'})});
  peer_.say(wire::Extended{77, bits({'d', 'e'})});
  peer_.say(wire::Have{PieceIndex(1)});
  EXPECT_EQ(peer_.told(), "has 1; ");
}

TEST_F(PeerSessionMessages, IgnoresExtensionsOfAPeerThatDoesNotSpeakThem) {
  set_manifest();
  greet(true, false);
  peer_.told();
  peer_.say(wire::Extended{0, wire::encode(wire::ExtensionHandshake{})});
  EXPECT_EQ(peer_.told(), "");
  peer_.sent();
  peer_.session.send_extensions({}, {});
  peer_.take();
  EXPECT_EQ(peer_.sent(), "");
}

TEST_F(PeerSessionMessages, SaysAgainWhatHasChanged) {
  open();
  wire::ExtensionHandshake ours;
  ours.metadata_bytes = 12'345;
  peer_.session.send_extensions(ours, {});
  peer_.take();
  EXPECT_EQ(peer_.sent(), "extended 0; ");
}

TEST_F(PeerSessionMessages, TakesExchangeOnceAMinute) {
  open();
  wire::PexMessage message;
  message.added.push_back({.endpoint = {{0x0a000001}, 6881}});
  for (int minute = 0; minute < 60; ++minute) {
    peer_.say(wire::Extended{wire::kOurPexId, wire::encode(message)});
    EXPECT_EQ(peer_.told(), "peers +1 -0; ");
    peer_.now += 60s;
  }
  EXPECT_LT(times_until_flood(wire::Extended{wire::kOurPexId, wire::encode(message)}), 20u);
}

TEST_F(PeerSessionMessages, IgnoresExchangeWhereItIsNotSpoken) {
  PeerSessionOptions private_torrent = options();
  private_torrent.our_extensions.pex_id = 0;
  PeerSessionDriver peer(private_torrent, pool_);
  peer.session.start({});
  peer.receive(wire::encode(handshake()));
  peer.told();
  peer.say(wire::Extended{wire::kOurPexId, wire::encode(wire::PexMessage{})});
  EXPECT_EQ(peer.told(), "");
}

// --- Floods ---

TEST_F(PeerSessionMessages, EndsAPeerThatSaysNothingNewForEver) {
  for (const wire::Message& message :
       {wire::Message(wire::KeepAlive{}), wire::Message(wire::Have{PieceIndex(1)}), wire::Message(wire::Interested{}),
        wire::Message(wire::Choke{}), wire::Message(wire::Cancel{blocks(0, 0, 1)}),
        wire::Message(wire::SuggestPiece{PieceIndex(1)}), wire::Message(wire::AllowedFast{PieceIndex(1)}),
        wire::Message(wire::Reject{blocks(0, 0, 1)}), wire::Message(wire::Extended{77, bits({'x'})}),
        wire::Message(wire::Extended{0, wire::encode(wire::ExtensionHandshake{})}),
        wire::Message(
            wire::Extended{wire::kOurMetadataId, wire::encode(wire::MetadataMessage(wire::MetadataRequest{}))}),
        wire::Message(
            wire::Extended{wire::kOurMetadataId, wire::encode(wire::MetadataMessage(wire::MetadataPiece{
                                                     .piece = 0, .total_bytes = 1, .bytes = base::Bytes(1)}))}),
        wire::Message(wire::Request{blocks(0, 0, 1)})}) {
    PeerSessionDriver peer(options(), pool_);
    peer.session.set_manifest(kTestGeometry, base::Bitfield(kTestGeometry.piece_count), {});
    peer.session.start({});
    peer.receive(wire::encode(handshake()));
    std::size_t times = 0;
    for (; times < 20'000 && !peer.ended; ++times) {
      peer.say(message);
      peer.session.on_output_drained({});
    }
    ASSERT_TRUE(peer.ended) << wire::name_of(message);
    EXPECT_EQ(peer.ended->failure, PeerFailure::flood) << wire::name_of(message);
    EXPECT_FALSE(peer.ended->detail.empty());
    EXPECT_GE(times, 50u) << wire::name_of(message);
  }
}

TEST_F(PeerSessionMessages, EndsAPeerThatReadsNothingOfWhatItMakesUsSend) {
  open();
  speak_extensions();
  std::size_t pieces = 0;
  const base::Bytes info(wire::kMetadataPieceBytes);
  for (; pieces < 10'000 && !failure(); ++pieces) {
    peer_.say(wire::Extended{wire::kOurMetadataId, wire::encode(wire::MetadataMessage(wire::MetadataRequest{0}))});
    if (peer_.told().find("asked") != std::string::npos) {
      peer_.session.send_metadata({.piece = 0, .total_bytes = 1u << 20, .bytes = info}, peer_.now);
    }
    peer_.take();
    EXPECT_LT(peer_.session.unsent_bytes(), kUnsentBytesMax + 2 * wire::kMetadataPieceBytes + 1'000'000);
  }
  EXPECT_EQ(failure(), PeerFailure::flood);
}

// --- What we say ---

TEST_F(PeerSessionMessages, SaysInterestOnlyWhenItChanges) {
  open();
  for (const bool is_interested : {false, true, true, false, false}) {
    peer_.session.set_interested(is_interested, {});
    peer_.take();
  }
  EXPECT_EQ(peer_.sent(), "interested; not_interested; ");
}

TEST_F(PeerSessionMessages, TellsAPieceOnlyToThoseThatLackItAndASeedOnce) {
  open();
  peer_.say(wire::Have{PieceIndex(1)});
  peer_.session.send_have(PieceIndex(1), {});
  peer_.session.send_have(PieceIndex(2), {});
  peer_.take();
  EXPECT_EQ(peer_.sent(), "have 2; ");
  for (std::uint32_t piece = 0; piece < 9; ++piece) peer_.say(wire::Have{PieceIndex(piece)});
  peer_.session.send_have(PieceIndex(4), {});
  peer_.session.send_have(PieceIndex(5), {});
  peer_.take();
  EXPECT_EQ(peer_.sent(), "have 4; ");
}

}  // namespace
}  // namespace shoal::swarm
