#include "peer_session_driver.hpp"

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

class PeerSessionHandshake : public PeerSessionTest {
 protected:
  std::optional<PeerFailure> failure_after(base::ByteView bytes) {
    PeerSessionDriver peer(options(), pool_);
    peer.session.start({});
    peer.take();
    peer.receive(bytes);
    return peer.ended ? std::optional(peer.ended->failure) : std::nullopt;
  }
};

TEST_F(PeerSessionHandshake, SpeaksFirstWhenItDialled) {
  peer_.session.start({});
  peer_.take();
  const base::Bytes expected = wire::encode(wire::Handshake{
      .has_extensions = true, .has_fast = true, .info_hash = test_info_hash(), .peer_id = test_id('a')});
  EXPECT_EQ(peer_.output, expected);
}

TEST_F(PeerSessionHandshake, WaitsForTheOtherSideWhenItWasDialled) {
  PeerSessionDriver peer(options(false), pool_);
  peer.session.start({});
  peer.take();
  EXPECT_EQ(peer.sent(), "");
  const base::Bytes theirs = wire::encode(handshake());
  // Whoever wants to know our id first gets it once it has said what it is about.
  peer.receive(base::ByteView(theirs).first(47));
  EXPECT_EQ(peer.sent(), "");
  peer.receive(base::ByteView(theirs).subspan(47, 1));
  EXPECT_EQ(peer.sent(), "handshake; ");
  EXPECT_EQ(peer.told(), "");
  peer.receive(base::ByteView(theirs).subspan(48));
  EXPECT_EQ(peer.told(), "ready fast extensions; ");
  EXPECT_EQ(peer.sent(), "have_none; extended 0; ");
}

TEST_F(PeerSessionHandshake, TakesTheHandshakeHoweverItIsSplit) {
  peer_.session.start({});
  for (const std::byte byte : wire::encode(handshake())) {
    EXPECT_EQ(peer_.told(), "");
    peer_.receive(base::ByteView(&byte, 1));
  }
  EXPECT_EQ(peer_.told(), "ready fast extensions; ");
}

TEST_F(PeerSessionHandshake, SaysWhatThePeerSpeaks) {
  greet(false, false);
  EXPECT_EQ(peer_.told(), "ready; ");
  EXPECT_EQ(peer_.sent(), "handshake; ");
}

TEST_F(PeerSessionHandshake, TellsTheCourseProtocolFromAnythingElseByTheFirstByte) {
  const base::Bytes course = {std::byte{1}};
  EXPECT_EQ(failure_after(course), PeerFailure::course_peer);
  EXPECT_EQ(failure_after(base::view_of("G")), PeerFailure::not_bittorrent);
  EXPECT_EQ(failure_after(base::view_of("\x13")), std::nullopt);
  EXPECT_EQ(failure_after(base::view_of("\x13"
                                        "BitTorrent prot")),
            std::nullopt);
  EXPECT_EQ(failure_after(base::view_of("\x13"
                                        "BitTorrent prox")),
            PeerFailure::not_bittorrent);
}

TEST_F(PeerSessionHandshake, RefusesAnotherTorrentBeforeThePeersId) {
  wire::Handshake other = handshake();
  other.info_hash = base::sha1(base::view_of("another"));
  const base::Bytes bytes = wire::encode(other);
  EXPECT_EQ(failure_after(base::ByteView(bytes).first(47)), std::nullopt);
  EXPECT_EQ(failure_after(base::ByteView(bytes).first(48)), PeerFailure::wrong_info_hash);
}

TEST_F(PeerSessionHandshake, NoticesThatItTalksToItself) {
  wire::Handshake ours = handshake();
  ours.peer_id = test_id('a');
  EXPECT_EQ(failure_after(wire::encode(ours)), PeerFailure::ourselves);
}

TEST_F(PeerSessionHandshake, WaitsFifteenSecondsForIt) {
  peer_.session.start({});
  peer_.take();
  peer_.receive(base::ByteView(wire::encode(handshake())).first(67));
  EXPECT_EQ(peer_.session.next_deadline(), base::Instant(15s));
  pass(15s - 1ns);
  EXPECT_FALSE(failure());
  pass(1ns);
  EXPECT_EQ(failure(), PeerFailure::silent);
}

TEST_F(PeerSessionHandshake, TellsWhatItHoldsFirst) {
  set_manifest(true);
  greet();
  EXPECT_EQ(peer_.sent(), "handshake; have_all; extended 0; ");
}

TEST_F(PeerSessionHandshake, TellsASeedsPiecesAsABitfieldWithoutTheFastExtension) {
  set_manifest(true);
  greet(false);
  EXPECT_EQ(peer_.sent(), "handshake; bitfield 2; extended 0; ");
}

TEST_F(PeerSessionHandshake, TellsSomePiecesAsABitfield) {
  base::Bitfield held(kTestGeometry.piece_count);
  held.set(base::PieceIndex(0));
  peer_.session.set_manifest(kTestGeometry, held, {});
  // Verified while the handshake was under way.
  peer_.session.send_have(base::PieceIndex(8), {});
  greet();
  base::Bytes expected = wire::encode(wire::BitfieldMessage{{std::byte{0x80}, std::byte{0x80}}});
  const base::ByteView after = base::ByteView(peer_.output).subspan(wire::kHandshakeBytes, expected.size());
  EXPECT_TRUE(std::ranges::equal(after, expected));
}

TEST_F(PeerSessionHandshake, SendsNothingForNothingWithoutTheFastExtension) {
  set_manifest();
  greet(false, false);
  EXPECT_EQ(peer_.sent(), "handshake; ");
}

TEST_F(PeerSessionHandshake, TellsPiecesOneByOneWhenTheManifestCameLater) {
  greet();
  EXPECT_EQ(peer_.sent(), "handshake; have_none; extended 0; ");
  base::Bitfield held(kTestGeometry.piece_count);
  held.set(base::PieceIndex(2));
  held.set(base::PieceIndex(8));
  peer_.session.set_manifest(kTestGeometry, held, {});
  peer_.take();
  EXPECT_EQ(peer_.sent(), "have 2; have 8; ");
}

TEST_F(PeerSessionHandshake, SaysAfterwardsWhatWasDecidedBefore) {
  set_manifest();
  peer_.session.set_interested(true, {});
  peer_.session.set_choking(false, {});
  EXPECT_TRUE(peer_.session.take_actions().empty());
  greet();
  EXPECT_EQ(peer_.sent(), "handshake; have_none; extended 0; interested; unchoke; ");
}

TEST_F(PeerSessionHandshake, TellsThePeerItsAddress) {
  greet();
  base::ByteView rest = base::ByteView(peer_.output).subspan(wire::kHandshakeBytes + 5);
  const auto ours = wire::parse_extension_handshake(rest.subspan(6));
  ASSERT_TRUE(ours);
  EXPECT_EQ(ours->your_address, base::Ipv4Address::loopback());
  EXPECT_EQ(ours->requests_max, kPeerRequestsMax);
  EXPECT_EQ(ours->metadata_id, wire::kOurMetadataId);
}

TEST_F(PeerSessionHandshake, GoesOnWithWhatCameBehindIt) {
  set_manifest();
  peer_.session.start({});
  base::Bytes bytes = wire::encode(handshake());
  append(bytes, wire::encode(wire::HaveAll{}));
  append(bytes, wire::encode(wire::Unchoke{}));
  peer_.receive(bytes);
  EXPECT_EQ(peer_.told(), "ready fast extensions; has 9 of 9; unchoked; ");
}

TEST_F(PeerSessionHandshake, EndsWhenThePeerCloses) {
  greet();
  peer_.session.on_input_ended({});
  peer_.take();
  EXPECT_EQ(failure(), PeerFailure::closed);
  EXPECT_EQ(peer_.session.next_deadline(), std::nullopt);
  EXPECT_EQ(peer_.session.next_read().size_bytes(), 0u);
}

TEST_F(PeerSessionHandshake, SendsAKeepAliveWhenItHasBeenQuiet) {
  open();
  pass(100s);
  peer_.say(wire::KeepAlive{});
  EXPECT_EQ(peer_.sent(), "");
  EXPECT_EQ(peer_.session.next_deadline(), base::Instant(110s));
  pass(10s);
  EXPECT_EQ(peer_.sent(), "keep_alive; ");
  EXPECT_EQ(peer_.session.next_deadline(), base::Instant(220s));
}

TEST_F(PeerSessionHandshake, EndsAPeerFromWhichNotEvenAKeepAliveComes) {
  open();
  pass(170s);
  peer_.say(wire::KeepAlive{});
  pass(110s);
  pass(69s);
  EXPECT_FALSE(failure());
  pass(1s);
  EXPECT_EQ(failure(), PeerFailure::silent);
}

TEST_F(PeerSessionHandshake, KeepsNoBufferForAnIdleConnection) {
  open();
  EXPECT_EQ(pool_.in_use(), 0u);
  peer_.say(wire::Have{base::PieceIndex(1)});
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(PeerSessionHandshake, TracesWhatIsSaid) {
  set_manifest(true);
  greet();
  EXPECT_EQ(peer_.traces, "> handshake\n< handshake\n> have_all\n> extended handshake\n");
}

TEST(PeerFailure, HasWordsForEachWayOfEnding) {
  for (int failure = 0; failure <= static_cast<int>(PeerFailure::silent); ++failure) {
    EXPECT_FALSE(describe(static_cast<PeerFailure>(failure)).empty());
  }
}

}  // namespace
}  // namespace shoal::swarm
