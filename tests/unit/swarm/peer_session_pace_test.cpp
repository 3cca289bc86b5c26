#include <deque>

#include "peer_session_driver.hpp"

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;

class PeerSessionPace : public PeerSessionTest {};

// --- Overdue ---

// It may give to many others over a thin line: hanging up would only make it begin anew.
TEST_F(PeerSessionPace, AsksAPeerThatSendsNothingForOneBlockAtATime) {
  open();
  ask(blocks(1, 0, 2));
  peer_.sent();
  for (int i = 0; i < 29; ++i) {
    pass(1s);
    peer_.say(wire::Have{base::PieceIndex(1)});  // does not count
  }
  peer_.told();
  EXPECT_FALSE(peer_.session.is_stalled());
  pass(1s);
  EXPECT_TRUE(peer_.session.is_stalled());
  EXPECT_EQ(peer_.told(), "released 1:16384+16384; ");
  const std::string again = "cancel 1:0+16384; request 1:0+16384; ";
  EXPECT_EQ(peer_.sent(), "cancel 1:16384+16384; " + again) << "it may have lost what it was asked";
  EXPECT_EQ(peer_.session.room_bytes(peer_.now), 0u);
  pass(30s);
  EXPECT_EQ(peer_.sent(), again);
  peer_.receive(block_message(blocks(1, 0, 1)));
  EXPECT_EQ(peer_.told(), "arrived 1:0+16384; ");
  EXPECT_EQ(peer_.session.room_bytes(peer_.now), wire::kBlockBytes);
  ask(blocks(1, 1, 16));
  EXPECT_EQ(peer_.sent(), "request 1:16384+16384; ");
  EXPECT_EQ(peer_.told(), "released 1:32768+245760; ");
  // What came of asking again.
  for (int copy = 0; copy < 2; ++copy) peer_.receive(block_message(blocks(1, 0, 1)));
  EXPECT_EQ(peer_.told(), "");
  peer_.receive(block_message(blocks(1, 1, 1)));
  EXPECT_FALSE(peer_.session.is_stalled()) << "that was soon";
  EXPECT_GE(peer_.session.room_bytes(peer_.now), 4 * wire::kBlockBytes);
}

TEST_F(PeerSessionPace, GoesOnWithABlockThatStoppedHalfway) {
  open();
  ask(blocks(1, 0, 2));
  peer_.sent();
  peer_.told();
  const base::Bytes message = block_message(blocks(1, 0, 1));
  peer_.receive(base::ByteView(message).first(5000));
  pass(40s);
  EXPECT_EQ(peer_.told(), "released 1:16384+16384; ");
  EXPECT_EQ(peer_.sent(), "cancel 1:16384+16384; ");
  peer_.receive(base::ByteView(message).subspan(5000));
  EXPECT_EQ(peer_.told(), "arrived 1:0+16384; ");
}

TEST_F(PeerSessionPace, EndsAPeerThatGivesNoBlockForMinutes) {
  open();
  ask(blocks(1, 0, 2));
  for (int i = 0; i < 179; ++i) {
    pass(1s);
    peer_.say(wire::Have{base::PieceIndex(1)});  // does not count
  }
  EXPECT_FALSE(failure());
  peer_.told();
  pass(1s);
  EXPECT_EQ(failure(), PeerFailure::silent);
  EXPECT_EQ(peer_.told(), "released 1:0+16384; ended; ");
}

// Some drop a request without a word and go on with the others.
TEST_F(PeerSessionPace, DoesNotWaitForABlockThatWasPassedOver) {
  open();
  ask(blocks(1, 0, 2));
  peer_.receive(block_message(blocks(1, 0, 1)));
  for (std::uint32_t i = 0; i < 40; ++i) ask(blocks(2 + i / 32, i % 32, 1));
  pass(1s);
  for (std::uint32_t i = 0; i < kOvertakenBlocks; ++i) peer_.receive(block_message(blocks(2 + i / 32, i % 32, 1)));
  peer_.told();
  peer_.sent();
  pass(kOvertakenAfter);
  EXPECT_EQ(peer_.told(), "");
  peer_.receive(block_message(blocks(3, 0, 1)));
  EXPECT_EQ(peer_.told(), "arrived 3:0+16384; released 1:16384+16384; ");
  EXPECT_EQ(peer_.sent(), "cancel 1:16384+16384; ");
  peer_.receive(block_message(blocks(1, 1, 1)));
  EXPECT_EQ(peer_.told(), "") << "it comes late, and costs the peer nothing";
  peer_.receive(block_message(blocks(3, 1, 1)));
  EXPECT_EQ(peer_.told(), "arrived 3:16384+16384; ");
}

TEST_F(PeerSessionPace, WaitsForABlockOfAPeerThatAnswersInAnOrderOfItsOwn) {
  open();
  for (std::uint32_t i = 0; i < 64; ++i) ask(blocks(1 + i / 32, i % 32, 1));
  pass(9s);
  for (std::uint32_t i = 64; i-- > 0;) peer_.receive(block_message(blocks(1 + i / 32, i % 32, 1)));
  const std::string told = peer_.told();
  EXPECT_EQ(told.find("released"), std::string::npos) << told;
  EXPECT_EQ(std::ranges::count(told, ';'), 64);
}

TEST_F(PeerSessionPace, EndsAPeerThatDribbles) {
  open();
  ask(blocks(1, 0, 1));
  peer_.receive(wire::encode(wire::PieceHead{blocks(1, 0, 1)}));
  const std::byte byte{};
  for (int i = 0; i < 17; ++i) {
    pass(10s);
    peer_.receive(base::ByteView(&byte, 1));
    EXPECT_FALSE(failure());
  }
  pass(10s);
  EXPECT_EQ(failure(), PeerFailure::silent);
}

TEST_F(PeerSessionPace, IsPatientWithASlowPeerThatKeepsSending) {
  open();
  ask(blocks(1, 0, 4));
  for (std::uint32_t block = 0; block < 4; ++block) {
    const base::Bytes message = block_message(blocks(1, block, 1));
    for (std::size_t at = 0; at < message.size(); at += 4000) {
      pass(20s);  // 200 bytes a second
      peer_.receive(base::ByteView(message).subspan(at, std::min<std::size_t>(4000, message.size() - at)));
    }
  }
  EXPECT_FALSE(failure());
  EXPECT_EQ(peer_.arrived.size(), 4u);
}

// --- How much is asked ---

TEST_F(PeerSessionPace, BeginsWithFourBlocks) {
  set_manifest();
  greet();
  EXPECT_EQ(peer_.session.room_bytes(peer_.now), 0u) << "choked";
  peer_.say(wire::Unchoke{});
  EXPECT_EQ(peer_.session.room_bytes(peer_.now), 4 * wire::kBlockBytes);
  ask(blocks(1, 0, 3));
  EXPECT_EQ(peer_.session.room_bytes(peer_.now), wire::kBlockBytes);
  ask(blocks(1, 3, 16));
  EXPECT_EQ(peer_.session.room_bytes(peer_.now), 0u);
}

TEST_F(PeerSessionPace, KeepsToTheQueueOfThePeer) {
  open();
  wire::ExtensionHandshake theirs;
  theirs.requests_max = 5;
  peer_.say(wire::Extended{0, wire::encode(theirs)});
  ask(blocks(1, 0, 16));
  EXPECT_EQ(peer_.sent(),
            "request 1:0+16384; request 1:16384+16384; request 1:32768+16384; request 1:49152+16384; "
            "request 1:65536+16384; ");
  peer_.receive(block_message(blocks(1, 0, 1)));
  EXPECT_EQ(peer_.sent(), "request 1:81920+16384; ");
  peer_.say(wire::Reject{blocks(1, 1, 1)});
  EXPECT_EQ(peer_.sent(), "request 1:98304+16384; ");
  // Those that never went out are not cancelled on the wire.
  peer_.session.cancel(blocks(1, 8, 8), peer_.now);
  peer_.take();
  EXPECT_EQ(peer_.sent(), "");
}

TEST_F(PeerSessionPace, DoesNotBelieveEveryQueueLength) {
  open();
  wire::ExtensionHandshake theirs;
  theirs.requests_max = 0;
  peer_.say(wire::Extended{0, wire::encode(theirs)});
  ask(blocks(1, 0, 2));
  EXPECT_EQ(peer_.sent(), "request 1:0+16384; ");
  theirs.requests_max = 0xffff'ffff;
  peer_.say(wire::Extended{0, wire::encode(theirs)});
  for (std::uint32_t i = 0; i < 200; ++i) ask(blocks(i % 8, i / 8 % 2 * 16, 16));
  const std::string sent = peer_.sent();
  EXPECT_EQ(std::ranges::count(sent, ';'), kOurRequestsMax - 1);
}

TEST_F(PeerSessionPace, AsksForWhatAFastLinkBringsAtOnce) {
  open();
  // A round trip of a millisecond, a gigabyte per second.
  std::deque<std::pair<base::Instant, wire::BlockRange>> on_the_way;
  wire::ExtensionHandshake theirs;
  theirs.requests_max = 2000;
  peer_.say(wire::Extended{0, wire::encode(theirs)});
  std::uint32_t next = 0;
  std::uint64_t arrived = 0;
  base::Instant line_free = peer_.now;
  const base::Instant begun = peer_.now;
  while (peer_.now < begun + 100ms) {
    while (peer_.session.room_bytes(peer_.now) > 0) {
      const wire::BlockRange run = blocks(next / 2 % 8, next % 2 * 16, 16);
      ++next;
      ask(run);
      for (std::uint32_t block = 0; block < 16; ++block) {
        line_free = std::max(line_free, peer_.now + 1ms) + 16us;
        on_the_way.emplace_back(line_free, block_at(run, block));
      }
    }
    peer_.sent();
    peer_.now = on_the_way.front().first;
    peer_.receive(block_message(on_the_way.front().second));
    on_the_way.pop_front();
    arrived += wire::kBlockBytes;
  }
  EXPECT_GT(arrived, 90u * 1'000'000) << "of a hundred megabytes that the line can carry";
  EXPECT_GT(peer_.session.rate_bytes_per_s(peer_.now), 0.9e9);
}

TEST_F(PeerSessionPace, AsksNoMoreThanASlowLinkBringsInASecond) {
  open();
  // A hundred kilobytes per second, forty milliseconds away.
  std::deque<std::pair<base::Instant, wire::BlockRange>> on_the_way;
  std::uint32_t next = 0;
  base::Instant line_free = peer_.now;
  std::uint64_t arrived = 0;
  while (peer_.now < base::Instant(60s)) {
    while (peer_.session.room_bytes(peer_.now) > 0) {
      const wire::BlockRange run = blocks(next / 32 % 8, next % 32, 1);
      ++next;
      ask(run);
      line_free = std::max(line_free, peer_.now + 40ms) + 160ms;
      on_the_way.emplace_back(line_free, run);
    }
    EXPECT_LE(on_the_way.size(), 8u);
    pass(on_the_way.front().first - peer_.now);
    peer_.receive(block_message(on_the_way.front().second));
    on_the_way.pop_front();
    arrived += wire::kBlockBytes;
  }
  EXPECT_GT(arrived, 55u * 102'400) << "and yet the line never runs dry";
}

}  // namespace
}  // namespace shoal::swarm
