#include "peer_session_driver.hpp"

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;
using base::PieceIndex;

class PeerSessionUpload : public PeerSessionTest {
 protected:
  // A seed's side: the peer is interested and unchoked.
  void serve(bool has_fast = true) {
    set_manifest(true);
    greet(has_fast);
    peer_.say(wire::Interested{});
    peer_.session.set_choking(false, peer_.now);
    peer_.take();
    EXPECT_FALSE(peer_.session.is_choking());
    EXPECT_TRUE(peer_.session.is_peer_interested());
    peer_.session.on_output_drained(peer_.now);
    peer_.told();
    peer_.sent();
  }
  void ask_us(const wire::BlockRange& range) { peer_.say(wire::Request{range}); }
  void give() {
    peer_.session.send_block(test_piece(peer_.session.next_upload()->piece), peer_.now);
    peer_.take();
  }
  void give_all() {
    while (peer_.session.next_upload()) give();
  }
};

TEST_F(PeerSessionUpload, AnswersInTheOrderOfTheRequests) {
  serve();
  ask_us(blocks(3, 1, 1));
  ask_us(run_of(8, 100, 7));
  EXPECT_EQ(peer_.told(), "requested; requested; ");
  EXPECT_EQ(peer_.session.next_upload(), blocks(3, 1, 1));
  give_all();
  base::Bytes expected = block_message(blocks(3, 1, 1));
  append(expected, block_message(run_of(8, 100, 7)));
  EXPECT_EQ(peer_.output, expected);
  EXPECT_EQ(peer_.session.next_upload(), std::nullopt);
}

TEST_F(PeerSessionUpload, TellsOfManyRequestsInOneReadOnce) {
  serve();
  base::Bytes bytes;
  for (std::uint32_t block = 0; block < 10; ++block) append(bytes, wire::encode(wire::Request{blocks(0, block, 1)}));
  peer_.receive(bytes);
  EXPECT_EQ(peer_.told(), "requested; ");
}

TEST_F(PeerSessionUpload, RejectsWhileChokingWithTheFastExtension) {
  set_manifest(true);
  greet();
  peer_.told();
  peer_.sent();
  ask_us(blocks(0, 0, 1));
  EXPECT_EQ(peer_.told(), "");
  EXPECT_EQ(peer_.sent(), "reject 0:0+16384; ");
  EXPECT_EQ(peer_.session.next_upload(), std::nullopt);
}

TEST_F(PeerSessionUpload, IgnoresRequestsWhileChokingWithoutIt) {
  set_manifest(true);
  greet(false);
  peer_.sent();
  ask_us(blocks(0, 0, 1));
  EXPECT_EQ(peer_.sent(), "");
  EXPECT_EQ(peer_.session.next_upload(), std::nullopt);
}

TEST_F(PeerSessionUpload, RejectsWhatIsQueuedWhenItChokes) {
  serve();
  ask_us(blocks(0, 0, 1));
  ask_us(blocks(0, 1, 1));
  give();
  peer_.sent();
  peer_.session.set_choking(true, peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.sent(), "choke; reject 0:16384+16384; ");
  EXPECT_EQ(peer_.session.next_upload(), std::nullopt);
}

TEST_F(PeerSessionUpload, DropsWhatIsQueuedWhenItChokesWithoutTheFastExtension) {
  serve(false);
  ask_us(blocks(0, 0, 1));
  peer_.session.set_choking(true, peer_.now);
  peer_.session.set_choking(true, peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.sent(), "choke; ");
  peer_.session.set_choking(false, peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.sent(), "unchoke; ");
  EXPECT_EQ(peer_.session.next_upload(), std::nullopt);
}

TEST_F(PeerSessionUpload, ForgetsWhatIsCancelled) {
  serve();
  ask_us(blocks(0, 0, 1));
  ask_us(blocks(0, 1, 1));
  peer_.say(wire::Cancel{blocks(0, 0, 1)});
  EXPECT_EQ(peer_.sent(), "reject 0:0+16384; ");
  EXPECT_EQ(peer_.session.next_upload(), blocks(0, 1, 1));
  give_all();
  peer_.sent();
  peer_.say(wire::Cancel{blocks(0, 1, 1)});
  EXPECT_EQ(peer_.sent(), "") << "it was sent already";
}

TEST_F(PeerSessionUpload, SaysNothingToACancelWithoutTheFastExtension) {
  serve(false);
  ask_us(blocks(0, 0, 1));
  peer_.say(wire::Cancel{blocks(0, 0, 1)});
  EXPECT_EQ(peer_.sent(), "");
  EXPECT_EQ(peer_.session.next_upload(), std::nullopt);
}

TEST_F(PeerSessionUpload, RejectsWhatCannotBeRead) {
  serve();
  ask_us(blocks(0, 0, 1));
  ask_us(blocks(1, 0, 1));
  peer_.session.reject_upload(peer_.now);
  peer_.session.send_block(std::make_shared<TestPiece>(PieceIndex(1), 100), peer_.now);  // the file was cut short
  peer_.take();
  EXPECT_EQ(peer_.sent(), "reject 0:0+16384; reject 1:0+16384; ");
}

TEST_F(PeerSessionUpload, EndsAPeerThatAsksForWhatIsNotThere) {
  for (const wire::BlockRange& range :
       {run_of(9, 0, 1), run_of(8, 32'768, 16'384), run_of(0, 0, 0), run_of(0, kTestPieceBytes, 1),
        run_of(0, 0xffff'ffff, 0x10000), run_of(0, 0, wire::kRequestBytesMax + 1), run_of(0xffff'ffff, 0, 1)}) {
    PeerSessionDriver peer(options(), pool_);
    peer.session.set_manifest(kTestGeometry, base::Bitfield(kTestGeometry.piece_count, true), {});
    peer.session.start({});
    peer.receive(wire::encode(handshake()));
    peer.say(wire::Request{range});
    ASSERT_TRUE(peer.ended) << text_of(range);
    EXPECT_EQ(peer.ended->failure, PeerFailure::bad_message);
  }
}

TEST_F(PeerSessionUpload, GivesLongBlocksToThoseThatAskForThem) {
  serve();
  ask_us(run_of(0, 5, wire::kRequestBytesMax));
  give_all();
  EXPECT_EQ(peer_.output, block_message(run_of(0, 5, wire::kRequestBytesMax)));
}

TEST_F(PeerSessionUpload, RejectsRequestsForAnUnknownTorrent) {
  greet();
  peer_.sent();
  peer_.session.set_choking(false, peer_.now);
  ask_us(run_of(1000, 0, 1));
  EXPECT_EQ(peer_.sent(), "unchoke; reject 1000:0+1; ");
}

TEST_F(PeerSessionUpload, KeepsOnlySoManyRequests) {
  serve();
  for (std::size_t i = 0; i < kPeerRequestsMax; ++i) ask_us(run_of(0, static_cast<std::uint32_t>(i), 1));
  EXPECT_EQ(peer_.sent(), "");
  ask_us(blocks(7, 0, 1));
  EXPECT_EQ(peer_.sent(), "reject 7:0+16384; ");
  EXPECT_FALSE(failure());
}

TEST_F(PeerSessionUpload, WaitsForTheKernelWhenEnoughIsOnItsWay) {
  serve();
  for (std::uint32_t i = 0; i < 200; ++i) ask_us(blocks(i % 8, i / 8 % 32, 1));
  give_all();
  const std::uint64_t unsent = peer_.session.unsent_bytes();
  EXPECT_EQ(unsent, peer_.output.size());
  EXPECT_GE(unsent, kUnsentBytesMax);
  EXPECT_LT(unsent, kUnsentBytesMax + 20'000);
  peer_.told();
  peer_.session.on_output_drained(peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.told(), "requested; ");
  EXPECT_EQ(peer_.session.unsent_bytes(), 0u);
  EXPECT_TRUE(peer_.session.next_upload());
}

TEST_F(PeerSessionUpload, GivesTheRunnerOnlySoManyWrites) {
  serve();
  for (std::uint32_t i = 0; i < 2000; ++i) ask_us(run_of(0, i, 1));
  peer_.writes = 0;
  give_all();
  EXPECT_LE(peer_.writes, kWritesMax);
  // What else is said waits, in its order.
  peer_.sent();
  for (int i = 0; i < 3; ++i) {
    peer_.session.set_interested(i % 2 == 0, peer_.now);
    peer_.take();
  }
  EXPECT_EQ(peer_.sent(), "");
  peer_.session.on_output_drained(peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.sent(), "interested; not_interested; interested; ");
}

TEST_F(PeerSessionUpload, EndsAPeerThatAsksAndAsksWhileChoked) {
  set_manifest(true);
  greet();
  std::size_t times = 0;
  for (; times < 100'000 && !failure(); ++times) {
    ask_us(blocks(0, 0, 1));
    peer_.session.on_output_drained(peer_.now);
  }
  EXPECT_EQ(failure(), PeerFailure::flood);
  EXPECT_GE(times, kPeerRequestsMax) << "a full queue that crosses our choke is no flood";
}

TEST_F(PeerSessionUpload, EndsAPeerThatAsksAndCancelsForEverAndReadsNoAnswer) {
  serve();
  base::Bytes pairs;
  for (int i = 0; i < 1000; ++i) {
    append(pairs, wire::encode(wire::Request{blocks(0, 0, 1)}));
    append(pairs, wire::encode(wire::Cancel{blocks(0, 0, 1)}));
  }
  for (int i = 0; i < 1000 && !failure(); ++i) {
    peer_.receive(pairs);
    peer_.traces.clear();
  }
  EXPECT_EQ(failure(), PeerFailure::flood);
  EXPECT_LT(peer_.output.size(), kUnsentBytesMax + 1000) << "what the runner has to keep";
}

TEST_F(PeerSessionUpload, TracesBlocksByRuns) {
  serve();
  peer_.traces.clear();
  base::Bytes bytes;
  for (std::uint32_t block = 0; block < 20; ++block) append(bytes, wire::encode(wire::Request{blocks(0, block, 1)}));
  peer_.receive(bytes);
  EXPECT_EQ(peer_.traces,
            "< request piece 0, 262144 bytes at 0\n"
            "< request piece 0, 65536 bytes at 262144\n");
}

}  // namespace
}  // namespace shoal::swarm
