#include "roles/course_peer.hpp"

#include <gtest/gtest.h>

#include "course/messages.hpp"
#include "roles/server_connections.hpp"
#include "unit/roles/server_harness.hpp"

namespace shoal::roles {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const base::Sha1Hash kHello = *base::Sha1Hash::parse_hex("0ff54d8f53a4b321b098b601a70d7408b0422f70");
const std::string kHelloChunk =
    "010500000000000b0ff54d8f53a4b321b098b601a70d7408b0422f700000000a48656c6c6f2c204249540000";

base::Bytes get_hello(std::uint16_t reserved = 0) {
  return course::encode_get_chunk(kHello, reserved);
}

struct Peer : ServerHarness {
  explicit Peer(CoursePeerOptions options = {}) : ServerHarness(make_course_peer(options)) {
    library[kHello] = std::make_shared<testing::MemoryPiece>("Hello, BIT");
  }
};

TEST(CoursePeer, ServesManyRequestsOnOneConnection) {
  Peer peer;
  const seam::ConnId conn = peer.accept();
  for (int i = 0; i < 5; ++i) {
    peer.send(conn, get_hello());
    EXPECT_EQ(peer.received(conn), kHelloChunk);
  }
  EXPECT_TRUE(peer.is_open(conn));
}

TEST(CoursePeer, AnswersEachKindOfRequestAsThePageSays) {
  Peer peer;
  const seam::ConnId conn = peer.accept();
  peer.send(conn, testing::from_hex("0109000000000002"));
  EXPECT_EQ(peer.received(conn), kError0);
  peer.send(conn, course::encode_get_file_info());
  EXPECT_EQ(peer.received(conn), kError1);
  peer.send(conn, course::encode_get_chunk(base::sha1(base::view_of("absent"))));
  EXPECT_EQ(peer.received(conn), kError2);
  peer.send(conn, get_hello());
  EXPECT_EQ(peer.received(conn), kHelloChunk);
}

TEST(CoursePeer, WelcomesPipeliningUnlessToldOtherwise) {
  Peer welcoming;
  const seam::ConnId one = welcoming.accept();
  welcoming.send(one, get_hello(1));
  EXPECT_EQ(welcoming.received(one).substr(0, 8), "01050001");
  Peer reserved({.welcomes_pipelining = false});
  const seam::ConnId other = reserved.accept();
  reserved.send(other, get_hello(1));
  EXPECT_EQ(reserved.received(other), kHelloChunk);
}

TEST(CoursePeer, LooksInItsDirectoryAtEachRequest) {
  Peer peer;
  const seam::ConnId conn = peer.accept();
  peer.send(conn, get_hello());
  EXPECT_EQ(peer.received(conn), kHelloChunk);
  peer.library.clear();
  peer.send(conn, get_hello());
  EXPECT_EQ(peer.received(conn), kError2);
}

TEST(CoursePeer, ServesAFastClientWhileALookUpForAnotherIsSlow) {
  Peer peer;
  peer.is_library_quick = false;
  const seam::ConnId slow = peer.accept();
  const seam::ConnId fast = peer.accept();
  peer.send(slow, get_hello());
  peer.send(fast, get_hello());
  ASSERT_EQ(peer.lookups.size(), 2u);
  peer.answer_lookup(1);
  EXPECT_EQ(peer.received(fast), kHelloChunk);
  EXPECT_EQ(peer.received(slow), "");
}

TEST(CoursePeer, AnswersAHalfClosedClientAndThenCloses) {
  Peer peer;
  peer.is_library_quick = false;
  const seam::ConnId conn = peer.accept();
  peer.send(conn, get_hello());
  peer.end_input(conn);
  EXPECT_TRUE(peer.is_open(conn));
  peer.answer_lookup(0);
  EXPECT_EQ(peer.received(conn), kHelloChunk);
  EXPECT_FALSE(peer.is_open(conn));
}

TEST(CoursePeer, ClosesWhenAnIdleClientHasClosed) {
  Peer peer;
  const seam::ConnId conn = peer.accept();
  peer.end_input(conn);
  EXPECT_FALSE(peer.is_open(conn));
}

TEST(CoursePeer, SurvivesAResetWhileItsAnswerIsLookedUp) {
  Peer peer;
  peer.is_library_quick = false;
  const seam::ConnId conn = peer.accept();
  peer.send(conn, get_hello());
  peer.reset(conn);
  peer.answer_lookup(0);
  peer.is_library_quick = true;
  const seam::ConnId next = peer.accept();
  peer.send(next, get_hello());
  EXPECT_EQ(peer.received(next), kHelloChunk);
}

TEST(CoursePeer, SurvivesAResetInTheMiddleOfAnAnswerAndLetsGoOfThePiece) {
  Peer peer;
  peer.is_sending_quick = false;
  const seam::ConnId conn = peer.accept();
  for (int i = 0; i < 10; ++i) peer.send(conn, get_hello());
  const long held = peer.library.at(kHello).use_count();
  EXPECT_LE(held, 1 + static_cast<long>(swarm::CourseServer::kQuestionsAheadMax));
  peer.reset(conn);
  EXPECT_EQ(peer.library.at(kHello).use_count(), 1);
}

TEST(CoursePeer, StopsReadingFromAClientThatAsksAndDoesNotRead) {
  Peer peer({.requests_queued_max = 8});
  peer.is_sending_quick = false;
  const seam::ConnId flooding = peer.accept();
  for (int i = 0; i < 1000; ++i) peer.send(flooding, get_hello());
  EXPECT_GT(peer.unread_bytes(flooding), 900u * course::kGetChunkBytes) << "TCP pushes back";
  const seam::ConnId other = peer.accept();
  peer.send(other, get_hello());
  EXPECT_EQ(peer.received(other), kHelloChunk) << "nobody else suffers";

  // It begins to read after all: everything is answered.
  std::string received = peer.received(flooding);
  for (int i = 0; i < 1000; ++i) {
    peer.drain(flooding);
    received += peer.received(flooding);
  }
  EXPECT_EQ(received.size(), 1000 * kHelloChunk.size());
  EXPECT_EQ(peer.unread_bytes(flooding), 0u);
}

TEST(CoursePeer, AnswersEverythingOfABurstBiggerThanItsReads) {
  Peer peer;
  const seam::ConnId conn = peer.accept();
  base::Bytes burst;
  for (int i = 0; i < 3000; ++i) burst = testing::joined({std::move(burst), get_hello()});
  peer.send(conn, burst);
  EXPECT_EQ(peer.received(conn).size(), 3000 * kHelloChunk.size());
}

TEST(CoursePeer, ClosesNewConnectionsBeyondItsLimitAndKeepsTheOldOnes) {
  Peer peer({.connections_max = 3});
  const seam::ConnId first = peer.accept();
  peer.accept();
  peer.accept();
  EXPECT_FALSE(peer.is_open(peer.accept()));
  peer.send(first, get_hello());
  EXPECT_EQ(peer.received(first), kHelloChunk);
  peer.end_input(first);
  EXPECT_TRUE(peer.is_open(peer.accept())) << "there is room again";
}

TEST(CoursePeer, AnswersSlowClientsAtTheirDeadlinesAndKeepsAllConnections) {
  Peer peer({.message_timeout = seconds(60)});
  const seam::ConnId idle = peer.accept();
  const seam::ConnId slow = peer.accept();
  peer.send(slow, testing::from_hex("0104"));
  peer.wait(seconds(30));
  const seam::ConnId slower = peer.accept();
  peer.send(slower, testing::from_hex("01"));
  peer.wait(seconds(30));
  EXPECT_EQ(peer.received(slow), kError0);
  EXPECT_EQ(peer.received(slower), "");
  peer.wait(seconds(30));
  EXPECT_EQ(peer.received(slower), kError0);
  EXPECT_TRUE(peer.is_open(slow) && peer.is_open(slower));
  peer.wait(std::chrono::hours(24));
  EXPECT_TRUE(peer.is_open(idle));
  EXPECT_EQ(peer.machine().next_deadline(), std::nullopt);
}

TEST(CoursePeer, ForgetsTheDeadlineOfARequestThatCameInTime) {
  Peer peer({.message_timeout = seconds(60)});
  const seam::ConnId conn = peer.accept();
  const base::Bytes request = get_hello();
  peer.send(conn, base::Bytes(request.begin(), request.begin() + 8));
  EXPECT_EQ(peer.machine().next_deadline(), peer.now + seconds(60));
  peer.send(conn, base::Bytes(request.begin() + 8, request.end()));
  EXPECT_EQ(peer.machine().next_deadline(), std::nullopt);
}

TEST(CoursePeer, ForgetsTheDeadlineOfAConnectionThatIsLost) {
  Peer peer({.message_timeout = seconds(60)});
  const seam::ConnId conn = peer.accept();
  peer.send(conn, testing::from_hex("0104"));
  peer.reset(conn);
  EXPECT_EQ(peer.machine().next_deadline(), std::nullopt);
}

// Thousands of idle connections share one place to read into; of their own they hold next to nothing.
TEST(CoursePeer, KeepsThousandsOfIdleConnectionsOnOneScratch) {
  Peer peer;
  std::vector<seam::ConnId> idle;
  idle.reserve(5000);
  for (int i = 0; i < 5000; ++i) idle.push_back(peer.accept());
  const std::byte* scratch = peer.machine().next_read(idle.front()).spans[0].data();
  for (const seam::ConnId conn : idle) {
    ASSERT_EQ(peer.machine().next_read(conn).spans[0].data(), scratch);
  }
  for (const seam::ConnId conn : idle) peer.send(conn, get_hello());
  for (const seam::ConnId conn : idle) ASSERT_EQ(peer.received(conn), kHelloChunk);
}

TEST(CoursePeer, KeepsRequestsApartThatArriveInPiecesOnManyConnections) {
  Peer peer;
  const base::Bytes request = get_hello();
  std::vector<seam::ConnId> conns;
  conns.reserve(20);
  for (int i = 0; i < 20; ++i) conns.push_back(peer.accept());
  for (const std::byte part : request) {
    for (const seam::ConnId conn : conns) peer.send(conn, {part});
  }
  for (const seam::ConnId conn : conns) EXPECT_EQ(peer.received(conn), kHelloChunk);
}

TEST(CoursePeer, StopsAtOnceWhenNothingIsUnderWay) {
  Peer peer;
  const seam::ConnId idle = peer.accept();
  peer.event(seam::StopRequested{});
  ASSERT_TRUE(peer.finish);
  EXPECT_EQ(peer.finish->result, seam::Finish::Result::done);
  EXPECT_FALSE(peer.is_open(idle));
  EXPECT_EQ(peer.machine().next_deadline(), std::nullopt);
}

TEST(CoursePeer, CompletesTheAnswersItHasBegunBeforeItStops) {
  Peer peer;
  peer.is_sending_quick = false;
  const seam::ConnId busy = peer.accept();
  peer.send(busy, get_hello());
  peer.event(seam::StopRequested{});
  EXPECT_FALSE(peer.finish);
  EXPECT_TRUE(peer.is_open(busy));
  EXPECT_FALSE(peer.is_open(peer.accept())) << "nobody new is served";
  peer.send(busy, get_hello());
  EXPECT_EQ(peer.unread_bytes(busy), course::kGetChunkBytes) << "and nothing more is read";
  peer.drain(busy);
  EXPECT_FALSE(peer.is_open(busy));
  EXPECT_EQ(peer.received(busy), kHelloChunk);
  EXPECT_TRUE(peer.finish);
}

TEST(CoursePeer, StopsWithinSecondsThoughAClientDoesNotRead) {
  Peer peer;
  peer.is_sending_quick = false;
  peer.send(peer.accept(), get_hello());
  peer.event(seam::StopRequested{});
  peer.wait(ServerConnections::kStopTimeout - milliseconds(1));
  EXPECT_FALSE(peer.finish);
  peer.wait(milliseconds(1));
  EXPECT_TRUE(peer.finish);
}

TEST(CoursePeer, IgnoresALookUpThatEndsAfterTheStop) {
  Peer peer;
  peer.is_library_quick = false;
  peer.is_sending_quick = false;
  const seam::ConnId busy = peer.accept();
  peer.send(busy, testing::from_hex("0109000000000002"));
  peer.send(busy, get_hello());
  peer.event(seam::StopRequested{});
  peer.answer_lookup(0);
  EXPECT_EQ(peer.received(busy), kError0);
  peer.drain(busy);
  EXPECT_TRUE(peer.finish);
}

}  // namespace
}  // namespace shoal::roles
