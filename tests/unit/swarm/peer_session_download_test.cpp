#include "peer_session_driver.hpp"

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

class PeerSessionDownload : public PeerSessionTest {};

TEST_F(PeerSessionDownload, AsksForARunBlockByBlockInOneWrite) {
  open();
  peer_.writes = 0;
  ask(run_of(8, 0, 40'000));
  EXPECT_EQ(peer_.writes, 1u);
  EXPECT_EQ(peer_.sent(), "request 8:0+16384; request 8:16384+16384; request 8:32768+7232; ");
}

TEST_F(PeerSessionDownload, HandsOverARunWholeOnAFastLink) {
  open();
  hurry();
  ask(blocks(1, 16, 16));
  for (std::uint32_t block = 16; block < 32; ++block) peer_.receive(block_message(blocks(1, block, 1)));
  EXPECT_EQ(peer_.told(), "arrived 1:262144+262144; ");
  EXPECT_EQ(peer_.payload_bytes, 262'144u);
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(PeerSessionDownload, HandsOverBlockByBlockOnASlowLink) {
  open();
  ask(blocks(1, 0, 2));
  for (std::uint32_t block = 0; block < 2; ++block) {
    const base::Bytes message = block_message(blocks(1, block, 1));
    for (std::size_t at = 0; at < message.size(); at += 100) {
      pass(20ms);  // 5 kB/s
      EXPECT_EQ(pool_.in_use(), 0u) << "no slab waits for a slow peer";
      peer_.receive(base::ByteView(message).subspan(at, std::min<std::size_t>(100, message.size() - at)));
    }
  }
  EXPECT_EQ(peer_.told(), "arrived 1:0+16384; arrived 1:16384+16384; ");
}

TEST_F(PeerSessionDownload, ReadsPayloadStraightIntoASlabAndWhatFollowsBehindIt) {
  open();
  hurry();
  ask(blocks(1, 0, 2));
  peer_.receive(base::ByteView(block_message(blocks(1, 0, 1))).first(1000 + wire::kPieceHeadBytes));
  EXPECT_EQ(pool_.in_use(), 1u);
  const seam::ReadTargets targets = peer_.session.next_read();
  EXPECT_EQ(targets.spans[0].size(), wire::kBlockBytes - 1000);
  EXPECT_EQ(targets.spans[1].size(), kPeerScratchBytes);
}

TEST_F(PeerSessionDownload, TakesBlocksInAnyOrder) {
  open();
  hurry();
  ask(blocks(1, 0, 4));
  ask(blocks(2, 0, 4));
  for (const auto& [piece, block] : {std::pair{1, 3}, {2, 0}, {1, 1}, {2, 3}, {1, 0}, {1, 2}, {2, 2}, {2, 1}}) {
    peer_.receive(block_message(blocks(static_cast<std::uint32_t>(piece), static_cast<std::uint32_t>(block), 1)));
    EXPECT_LE(pool_.in_use(), 2u);
  }
  EXPECT_EQ(peer_.told(), "arrived 1:0+65536; arrived 2:0+65536; ");
}

TEST_F(PeerSessionDownload, HoldsTwoSlabsWhenThreeRunsComeAtOnce) {
  open();
  hurry();
  for (std::uint32_t piece = 1; piece <= 3; ++piece) ask(blocks(piece, 0, 2));
  for (std::uint32_t piece = 1; piece <= 3; ++piece) {
    peer_.receive(block_message(blocks(piece, 1, 1)));
    EXPECT_LE(pool_.in_use(), 2u);
  }
  EXPECT_EQ(peer_.told(), "arrived 1:16384+16384; ");
  for (std::uint32_t piece = 1; piece <= 3; ++piece) peer_.receive(block_message(blocks(piece, 0, 1)));
  EXPECT_EQ(pool_.in_use(), 0u);
  std::uint64_t bytes = 0;
  for (const wire::BlockRange& run : peer_.arrived) bytes += run.size_bytes;
  EXPECT_EQ(bytes, 6 * wire::kBlockBytes);
}

TEST_F(PeerSessionDownload, GivesASlabBackWhenNothingComes) {
  open();
  hurry();
  ask(blocks(1, 0, 3));
  base::Bytes bytes = block_message(blocks(1, 0, 1));
  const base::Bytes second = block_message(blocks(1, 1, 1));
  append(bytes, base::ByteView(second).first(5000));
  peer_.receive(bytes);
  EXPECT_EQ(pool_.in_use(), 1u);
  pass(kSlabHeldMax);
  EXPECT_EQ(pool_.in_use(), 0u);
  EXPECT_EQ(peer_.told(), "arrived 1:0+16384; ");
  // What was there of the second block is not lost.
  peer_.receive(base::ByteView(second).subspan(5000));
  peer_.receive(block_message(blocks(1, 2, 1)));
  pass(kSlabHeldMax);
  EXPECT_TRUE(peer_.released.empty());
  std::uint64_t arrived = 0;
  for (const wire::BlockRange& run : peer_.arrived) arrived += run.size_bytes;
  EXPECT_EQ(arrived, 3 * wire::kBlockBytes);
  EXPECT_EQ(peer_.payload_bytes, 3 * wire::kBlockBytes);
}

TEST_F(PeerSessionDownload, StopsReadingWithoutABufferAndGoesOnLater) {
  open();
  hurry();
  std::vector<base::Buffer> taken;
  while (auto buffer = pool_.take()) taken.push_back(std::move(*buffer));
  ask(blocks(1, 0, 2));
  base::Bytes bytes = block_message(blocks(1, 0, 1));
  append(bytes, block_message(blocks(1, 1, 1)));
  const std::size_t given = peer_.receive(bytes);
  EXPECT_TRUE(peer_.session.wants_buffer());
  peer_.session.on_buffer_available(peer_.now);  // there is none
  peer_.take();
  EXPECT_FALSE(peer_.is_reading && given < bytes.size());
  EXPECT_EQ(peer_.told(), "");
  // Nobody owes us anything while we do not read.
  pass(200s);
  EXPECT_FALSE(failure());
  taken.clear();
  peer_.session.on_buffer_available(peer_.now);
  peer_.take();
  EXPECT_FALSE(peer_.session.wants_buffer());
  peer_.receive(base::ByteView(bytes).subspan(given));
  pass(kSlabHeldMax);
  EXPECT_EQ(peer_.arrived.back().offset_bytes + peer_.arrived.back().size_bytes, 2 * wire::kBlockBytes);
  EXPECT_FALSE(failure());
}

TEST_F(PeerSessionDownload, HandsItsSlabOverWhenThereIsNoOtherForTheNextRun) {
  open();
  hurry();
  std::vector<base::Buffer> taken;
  while (pool_.available() > 1) taken.push_back(std::move(*pool_.take()));
  peer_.keeps_buffers = true;
  ask(blocks(1, 0, 2));
  ask(blocks(2, 0, 2));
  peer_.receive(block_message(blocks(1, 0, 1)));
  EXPECT_EQ(peer_.told(), "");
  peer_.receive(block_message(blocks(2, 0, 1)));
  EXPECT_EQ(peer_.told(), "arrived 1:0+16384; ") << "or nobody would ever have a buffer again";
  EXPECT_TRUE(peer_.session.wants_buffer());
  peer_.kept.clear();
  peer_.keeps_buffers = false;
  peer_.session.on_buffer_available(peer_.now);
  peer_.take();
  EXPECT_FALSE(peer_.session.wants_buffer());
}

TEST_F(PeerSessionDownload, EndsWithWholeBlocksWhenThePeerClosesWithinOne) {
  open();
  hurry();
  ask(blocks(1, 0, 4));
  for (const std::uint32_t block : {0u, 1u}) peer_.receive(block_message(blocks(1, block, 1)));
  peer_.receive(base::ByteView(block_message(blocks(1, 2, 1))).first(9000));
  peer_.session.on_input_ended(peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.told(), "arrived 1:0+32768; released 1:32768+32768; ended; ");
  EXPECT_EQ(failure(), PeerFailure::closed);
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(PeerSessionDownload, TakesNothingAfterTheEnd) {
  open();
  ask(blocks(1, 0, 2));
  peer_.receive(base::ByteView(block_message(blocks(1, 0, 1))).first(9000));
  peer_.session.on_input_ended(peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.told(), "released 1:0+32768; ended; ");
  peer_.session.cancel(blocks(1, 0, 2), peer_.now);
  peer_.session.set_choking(false, peer_.now);
  peer_.session.set_interested(true, peer_.now);
  peer_.session.on_buffer_available(peer_.now);
  peer_.session.on_input_ended(peer_.now);
  EXPECT_EQ(peer_.session.room_bytes(peer_.now), 0u);
  peer_.sent();
  peer_.take();
  EXPECT_EQ(peer_.told() + peer_.sent(), "");
}

TEST_F(PeerSessionDownload, HandsOverBlocksBetweenGaps) {
  open();
  hurry();
  ask(blocks(1, 0, 6));
  for (const std::uint32_t block : {1u, 3u, 4u}) peer_.receive(block_message(blocks(1, block, 1)));
  peer_.session.on_input_ended(peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.told(),
            "arrived 1:16384+16384; arrived 1:49152+32768; released 1:0+16384; released 1:32768+16384; "
            "released 1:81920+16384; ended; ");
}

// --- Chokes, rejects, cancels ---

TEST_F(PeerSessionDownload, LosesEverythingWhenChokedWithoutTheFastExtension) {
  open(false);
  hurry();
  ask(blocks(1, 0, 3));
  peer_.receive(block_message(blocks(1, 0, 1)));
  peer_.say(wire::Choke{});
  EXPECT_EQ(peer_.told(), "choked; released 1:16384+32768; arrived 1:0+16384; ");
  EXPECT_TRUE(peer_.session.is_choked());
  EXPECT_EQ(peer_.session.room_bytes(peer_.now), 0u);
  // Some send on all the same.
  peer_.receive(block_message(blocks(1, 1, 1)));
  EXPECT_EQ(peer_.told(), "");
  EXPECT_FALSE(failure());
}

TEST_F(PeerSessionDownload, WaitsForEachRejectWithTheFastExtension) {
  open();
  hurry();
  ask(blocks(1, 0, 3));
  peer_.say(wire::Choke{});
  EXPECT_EQ(peer_.told(), "choked; ");
  peer_.say(wire::Reject{blocks(1, 0, 1)});
  EXPECT_EQ(peer_.told(), "released 1:0+16384; ");
  peer_.receive(block_message(blocks(1, 1, 1)));
  peer_.say(wire::Reject{blocks(1, 2, 1)});
  EXPECT_EQ(peer_.told(), "released 1:32768+16384; arrived 1:16384+16384; ");
}

TEST_F(PeerSessionDownload, DoesNotWaitLongForAPeerThatChokesAndNeverRejects) {
  open();
  ask(blocks(1, 0, 1));
  peer_.say(wire::Choke{});
  peer_.told();
  peer_.sent();
  pass(29s);
  EXPECT_EQ(peer_.told(), "");
  pass(1s);
  EXPECT_EQ(peer_.told(), "released 1:0+16384; ");
  EXPECT_EQ(peer_.sent(), "cancel 1:0+16384; ");
  pass(149s);
  EXPECT_FALSE(failure());
}

TEST_F(PeerSessionDownload, AsksAgainAfterTheNextUnchoke) {
  open(false);
  ask(blocks(1, 0, 1));
  peer_.say(wire::Choke{});
  peer_.say(wire::Unchoke{});
  peer_.sent();
  ask(blocks(1, 0, 1));
  EXPECT_EQ(peer_.sent(), "request 1:0+16384; ");
  peer_.told();
  peer_.receive(block_message(blocks(1, 0, 1)));
  EXPECT_EQ(peer_.told(), "arrived 1:0+16384; ");
}

TEST_F(PeerSessionDownload, ReleasesAtOnceWhatCannotBeAsked) {
  set_manifest();
  greet();
  peer_.told();
  ask(blocks(1, 0, 1));
  EXPECT_EQ(peer_.told(), "released 1:0+16384; ");
  EXPECT_EQ(peer_.sent().find("request"), std::string::npos);
}

TEST_F(PeerSessionDownload, AsksForAllowedPiecesWhileChoked) {
  set_manifest();
  greet();
  peer_.say(wire::AllowedFast{base::PieceIndex(1)});
  EXPECT_EQ(peer_.told(), "ready fast extensions; allows 1; ");
  peer_.sent();
  ask(blocks(1, 0, 1));
  EXPECT_EQ(peer_.sent(), "request 1:0+16384; ");
  peer_.receive(block_message(blocks(1, 0, 1)));
  EXPECT_EQ(peer_.told(), "arrived 1:0+16384; ");
}

TEST_F(PeerSessionDownload, CancelsWhatHasNotArrived) {
  open();
  hurry();
  ask(blocks(1, 0, 4));
  peer_.receive(block_message(blocks(1, 0, 1)));
  peer_.sent();
  peer_.session.cancel(blocks(1, 0, 3), peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.sent(), "cancel 1:16384+16384; cancel 1:32768+16384; ");
  EXPECT_EQ(peer_.told(), "released 1:16384+32768; ");
  // One crossed the cancel, the other is rejected; then the last one that is still wanted.
  peer_.receive(block_message(blocks(1, 1, 1)));
  peer_.say(wire::Reject{blocks(1, 2, 1)});
  EXPECT_EQ(peer_.told(), "");
  peer_.receive(block_message(blocks(1, 3, 1)));
  EXPECT_EQ(peer_.told(), "arrived 1:0+16384; arrived 1:49152+16384; ");
  EXPECT_FALSE(failure());
}

TEST_F(PeerSessionDownload, DropsTheRestOfABlockThatIsCancelledWhileItArrives) {
  open();
  hurry();
  ask(blocks(1, 0, 2));
  const base::Bytes first = block_message(blocks(1, 0, 1));
  peer_.receive(base::ByteView(first).first(7000));
  EXPECT_EQ(pool_.in_use(), 1u);
  peer_.sent();
  peer_.session.cancel(blocks(1, 0, 2), peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.sent(), "cancel 1:16384+16384; ") << "the other is nearly here";
  EXPECT_EQ(peer_.told(), "released 1:0+32768; ");
  EXPECT_EQ(pool_.in_use(), 0u);
  peer_.receive(base::ByteView(first).subspan(7000));
  peer_.say(wire::Reject{blocks(1, 1, 1)});
  peer_.say(wire::Have{base::PieceIndex(4)});
  EXPECT_EQ(peer_.told(), "has 4; ");
}

TEST_F(PeerSessionDownload, GoesOnWhenTheBlockThatWaitsForABufferIsCancelled) {
  open();
  hurry();
  std::vector<base::Buffer> taken;
  while (auto buffer = pool_.take()) taken.push_back(std::move(*buffer));
  ask(blocks(1, 0, 1));
  const base::Bytes bytes = block_message(blocks(1, 0, 1));
  const std::size_t given = peer_.receive(base::ByteView(bytes).first(3000));
  EXPECT_TRUE(peer_.session.wants_buffer());
  EXPECT_EQ(peer_.session.next_read().size_bytes(), 0u);
  peer_.is_reading = false;
  peer_.session.cancel(blocks(1, 0, 1), peer_.now);
  peer_.take();
  EXPECT_FALSE(peer_.session.wants_buffer());
  EXPECT_TRUE(peer_.is_reading);
  peer_.receive(base::ByteView(bytes).subspan(given));
  peer_.say(wire::Have{base::PieceIndex(4)});
  EXPECT_EQ(peer_.told(), "released 1:0+16384; has 4; ");
}

TEST_F(PeerSessionDownload, KnowsTheAnswersWhenACancelledBlockIsAskedForAgain) {
  open();
  hurry();
  ask(blocks(1, 0, 1));
  peer_.session.cancel(blocks(1, 0, 1), peer_.now);
  ask(blocks(1, 0, 1));
  peer_.told();
  peer_.say(wire::Reject{blocks(1, 0, 1)});  // of the first
  EXPECT_EQ(peer_.told(), "");
  peer_.receive(block_message(blocks(1, 0, 1)));
  EXPECT_EQ(peer_.told(), "arrived 1:0+16384; ");
}

TEST_F(PeerSessionDownload, EndsAPeerThatSendsWhatNobodyAskedFor) {
  open();
  std::size_t sent = 0;
  while (!failure() && sent < 1000) {
    peer_.receive(block_message(blocks(1, 0, 1)));
    ++sent;
  }
  EXPECT_EQ(failure(), PeerFailure::flood);
  EXPECT_LT(sent, 100u);
  EXPECT_GT(sent, 1u);
  EXPECT_EQ(peer_.payload_bytes, 0u);
}

TEST_F(PeerSessionDownload, ForgetsACancelInTheEnd) {
  open();
  std::size_t sent = 0;
  for (; !failure() && sent < 1000; ++sent) {
    ask(blocks(1, 0, 1));
    peer_.session.cancel(blocks(1, 0, 1), peer_.now);
    pass(30s);
    peer_.say(wire::KeepAlive{});
    pass(30s);
    for (int i = 0; i < 100; ++i) peer_.receive(block_message(blocks(1, 0, 1)));
  }
  EXPECT_EQ(failure(), PeerFailure::flood);
}

TEST_F(PeerSessionDownload, EndsAPeerThatUnchokesAndRefusesEverything) {
  open();
  for (int i = 0; i < 3000 && !failure(); ++i) {
    ask(blocks(1, 0, 1));
    peer_.say(wire::Reject{blocks(1, 0, 1)});
  }
  EXPECT_EQ(failure(), PeerFailure::flood);
}

TEST_F(PeerSessionDownload, RefusesBlocksThatCannotBeOfThisTorrent) {
  for (const wire::BlockRange& block : {run_of(9, 0, 16'384), run_of(8, 32'768, 16'384),
                                        run_of(0, kTestPieceBytes - 1, 2), run_of(0xffff'ffff, 0xffff'ffff, 1)}) {
    PeerSessionDriver peer(options(), pool_);
    peer.session.set_manifest(kTestGeometry, base::Bitfield(kTestGeometry.piece_count), {});
    peer.session.start({});
    peer.receive(wire::encode(handshake()));
    peer.receive(wire::encode(wire::PieceHead{block}));
    ASSERT_TRUE(peer.ended);
    EXPECT_EQ(peer.ended->failure, PeerFailure::bad_message);
  }
}

TEST_F(PeerSessionDownload, RefusesABlockOfImpossibleLength) {
  open();
  peer_.receive(wire::encode(wire::PieceHead{run_of(0, 0, wire::kRequestBytesMax + 1)}));
  EXPECT_EQ(failure(), PeerFailure::bad_message);
}

TEST_F(PeerSessionDownload, DoesNotTakeABlockOfAnotherSizeForTheOneItAsked) {
  open();
  ask(blocks(1, 0, 1));
  peer_.receive(block_message(run_of(1, 0, 16'000)));
  EXPECT_EQ(peer_.told(), "");
  peer_.receive(block_message(blocks(1, 0, 1)));
  EXPECT_EQ(peer_.told(), "arrived 1:0+16384; ");
}

}  // namespace
}  // namespace shoal::swarm
