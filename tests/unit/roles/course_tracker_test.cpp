#include "roles/course_tracker.hpp"

#include <gtest/gtest.h>

#include "course/messages.hpp"
#include "roles/server_connections.hpp"
#include "unit/roles/server_harness.hpp"

namespace shoal::roles {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Ipv4Address kLoopback = base::Ipv4Address::loopback();
constexpr base::Endpoint kAlice{kLoopback, 8001};
constexpr base::Endpoint kBob{kLoopback, 8002};
const std::string kHelloFileInfo =
    "0103000000000020"
    "0003000968656c6c6f2e747874000000"
    "0ff54d8f53a4b321b098b601a70d7408b0422f7000010000"
    "7f0000011f410000"
    "a3d76ad55d4869e3b68d1d0192e25fa9bc59748800020000"
    "7f0000011f410000"
    "7f0000011f420000"
    "2760d5064db17df3b62683f06d2a14eb15ec792600010000"
    "7f0000011f420000";

// The share of the page's golden examples.
struct HelloShare : tracker::ShareProvider {
  HelloShare() {
    const auto hash = [](const char* hex) { return *base::Sha1Hash::parse_hex(hex); };
    share = std::make_shared<const course::FileInfo>(
        course::FileInfo{"hello.txt",
                         {{hash("0ff54d8f53a4b321b098b601a70d7408b0422f70"), {kAlice}},
                          {hash("a3d76ad55d4869e3b68d1d0192e25fa9bc597488"), {kAlice, kBob}},
                          {hash("2760d5064db17df3b62683f06d2a14eb15ec7926"), {kBob}}}});
  }
  std::shared_ptr<const course::FileInfo> current() override { return share; }
  std::shared_ptr<const course::FileInfo> share;
};

struct CourseTracker : private HelloShare, public ServerHarness {
  explicit CourseTracker(CourseTrackerOptions options = {.listening = {kLoopback, 8000}})
      : ServerHarness(make_course_tracker(std::move(options), static_cast<HelloShare&>(*this))) {}

  seam::ConnId accept_local() { return accept({kLoopback, 40000}, kLoopback); }
  void set_share(course::FileInfo info) { share = std::make_shared<const course::FileInfo>(std::move(info)); }
  // Every peer dialled so far accepts.
  void all_accept() {
    for (const seam::Dial& dial : std::exchange(dials, {})) event(seam::Connected{dial.conn, {}, dial.remote});
  }
  void ask(seam::ConnId conn) { send(conn, course::encode_get_file_info()); }
  course::FileInfo file_info(seam::ConnId conn) {
    const base::Bytes message = testing::from_hex(received(conn));
    if (message.size() < course::kHeaderBytes) return {};
    return course::parse_file_info_body(base::ByteView(message).subspan(course::kHeaderBytes))
        .value_or(course::FileInfo{});
  }
  void hear(const base::Bytes& datagram, base::Endpoint from, base::Ipv4Address local) {
    event(seam::DatagramArrived{seam::kDiscoverySocket, from, local, datagram});
  }
};

TEST(CourseTracker, AnswersGetFileInfoWithTheGoldenFileInfo) {
  CourseTracker tracker;
  const seam::ConnId conn = tracker.accept_local();
  tracker.ask(conn);
  tracker.all_accept();
  EXPECT_EQ(tracker.received(conn), kHelloFileInfo);
  EXPECT_TRUE(tracker.is_open(conn));
}

TEST(CourseTracker, AnswersEachKindOfRequestAsThePageSaysAndKeepsTheConnection) {
  CourseTracker tracker;
  const seam::ConnId conn = tracker.accept_local();
  tracker.send(conn, testing::from_hex("0109000000000002"));
  EXPECT_EQ(tracker.received(conn), kError0);
  tracker.send(conn, course::encode_get_chunk({}));
  EXPECT_EQ(tracker.received(conn), kError1);
  tracker.send(conn, testing::from_hex("0102000002000000"));
  EXPECT_EQ(tracker.received(conn), kError0) << "a little-endian length";
  tracker.ask(conn);
  tracker.all_accept();
  EXPECT_EQ(tracker.received(conn), kHelloFileInfo);
}

TEST(CourseTracker, AnswersTwoRequestsInOneRead) {
  CourseTracker tracker;
  const seam::ConnId conn = tracker.accept_local();
  tracker.send(conn, testing::joined({course::encode_get_file_info(), course::encode_get_file_info()}));
  tracker.all_accept();
  EXPECT_EQ(tracker.received(conn), kHelloFileInfo + kHelloFileInfo);
}

TEST(CourseTracker, ServesAskersAtTheSameTime) {
  CourseTracker tracker;
  const seam::ConnId silent = tracker.accept_local();
  const seam::ConnId one = tracker.accept_local();
  const seam::ConnId other = tracker.accept_local();
  tracker.ask(one);
  tracker.ask(other);
  EXPECT_EQ(tracker.dials.size(), 2u) << "they share one probe of each peer";
  tracker.all_accept();
  EXPECT_EQ(tracker.received(one), kHelloFileInfo);
  EXPECT_EQ(tracker.received(other), kHelloFileInfo);
  EXPECT_TRUE(tracker.is_open(silent));
}

TEST(CourseTracker, LeavesOutAPeerThatRefusesConnections) {
  CourseTracker tracker;
  const seam::ConnId conn = tracker.accept_local();
  tracker.ask(conn);
  for (const seam::Dial& dial : std::exchange(tracker.dials, {})) {
    if (dial.remote == kAlice) {
      tracker.event(seam::ConnectFailed{dial.conn, seam::NetError::refused});
    } else {
      tracker.event(seam::Connected{dial.conn, {}, dial.remote});
      EXPECT_FALSE(tracker.is_open(dial.conn)) << "a probe is closed at once";
    }
  }
  const course::FileInfo info = tracker.file_info(conn);
  ASSERT_EQ(info.chunks.size(), 3u);
  EXPECT_EQ(info.chunks[0].peers, std::vector{kAlice}) << "nobody else has it";
  EXPECT_EQ(info.chunks[1].peers, std::vector{kBob});
  EXPECT_EQ(info.chunks[2].peers, std::vector{kBob});
}

TEST(CourseTracker, AnswersWithinTheProbeTimeoutThoughAPeerIsSilent) {
  CourseTracker tracker({.listening = {kLoopback, 8000}, .probe_timeout = milliseconds(300)});
  const seam::ConnId conn = tracker.accept_local();
  tracker.ask(conn);
  tracker.wait(milliseconds(299));
  EXPECT_EQ(tracker.received(conn), "");
  tracker.wait(milliseconds(1));
  EXPECT_EQ(tracker.received(conn), kHelloFileInfo);
  for (const seam::Dial& dial : tracker.dials) EXPECT_FALSE(tracker.is_open(dial.conn));
}

TEST(CourseTracker, TellsARemoteAskerTheAddressItReachedThisHostAt) {
  CourseTracker tracker;
  const base::Ipv4Address local{0x0a000001};
  const seam::ConnId conn = tracker.accept({{0x0a000009}, 40000}, local);
  tracker.ask(conn);
  tracker.all_accept();
  const course::FileInfo info = tracker.file_info(conn);
  ASSERT_EQ(info.chunks.size(), 3u);
  EXPECT_EQ(info.chunks[1].peers, (std::vector<base::Endpoint>{{local, 8001}, {local, 8002}}));
}

TEST(CourseTracker, TellsAChangedShareToTheNextAsker) {
  CourseTracker tracker;
  const seam::ConnId conn = tracker.accept_local();
  tracker.ask(conn);
  tracker.all_accept();
  tracker.received(conn);
  tracker.set_share({"other.txt", {}});
  tracker.ask(conn);
  EXPECT_EQ(tracker.file_info(conn).filename, "other.txt");
}

TEST(CourseTracker, SendsTheGreatestShareWhole) {
  CourseTracker tracker;
  course::FileInfo share{.filename = "big", .chunks = {}};
  share.chunks.resize(course::kChunksMax, {.hash = {}, .peers = {kAlice, kBob}});
  tracker.set_share(share);
  const seam::ConnId conn = tracker.accept_local();
  tracker.ask(conn);
  tracker.all_accept();
  EXPECT_EQ(tracker.file_info(conn), share);
}

TEST(CourseTracker, AnswersAHalfClosedAskerAndThenCloses) {
  CourseTracker tracker;
  const seam::ConnId conn = tracker.accept_local();
  tracker.ask(conn);
  tracker.end_input(conn);
  EXPECT_TRUE(tracker.is_open(conn));
  tracker.all_accept();
  EXPECT_EQ(tracker.received(conn), kHelloFileInfo);
  EXPECT_FALSE(tracker.is_open(conn));
}

TEST(CourseTracker, SurvivesAnAskerThatIsGoneWhenItsAnswerIsReady) {
  CourseTracker tracker;
  const seam::ConnId gone = tracker.accept_local();
  tracker.ask(gone);
  tracker.reset(gone);
  tracker.all_accept();
  const seam::ConnId next = tracker.accept_local();
  tracker.ask(next);
  EXPECT_EQ(tracker.received(next), kHelloFileInfo);
}

TEST(CourseTracker, KeepsIdleAskersAndAnswersThoseThatStopInsideARequest) {
  CourseTracker tracker({.listening = {kLoopback, 8000}, .message_timeout = seconds(60)});
  const seam::ConnId idle = tracker.accept_local();
  const seam::ConnId stuck = tracker.accept_local();
  tracker.send(stuck, testing::from_hex("0102"));
  tracker.wait(seconds(60));
  EXPECT_EQ(tracker.received(stuck), kError0);
  EXPECT_TRUE(tracker.is_open(stuck) && tracker.is_open(idle));
}

TEST(CourseTracker, ClosesNewConnectionsBeyondItsLimit) {
  CourseTracker tracker({.listening = {kLoopback, 8000}, .connections_max = 1});
  EXPECT_TRUE(tracker.is_open(tracker.accept_local()));
  EXPECT_FALSE(tracker.is_open(tracker.accept_local()));
}

// --- Discovery ---

TEST(CourseTracker, AnswersDiscoveryToTheSenderWithAnAddressItCanUse) {
  CourseTracker tracker({.listening = {{}, 8000}});
  const base::Endpoint remote{{0x0a000009}, 5555};
  tracker.hear(course::encode_discover_tracker(), remote, {0x0a000001});
  ASSERT_EQ(tracker.datagrams.size(), 1u);
  EXPECT_EQ(tracker.datagrams[0].socket, seam::kDiscoverySocket);
  EXPECT_EQ(tracker.datagrams[0].to, remote);
  EXPECT_EQ(tracker.datagrams[0].bytes, course::encode_tracker_info({{{0x0a000001}, 8000}, "tracker"}));
}

TEST(CourseTracker, AnswersABadDatagramWithErrorAndTheNextAsUsual) {
  CourseTracker tracker;
  const base::Endpoint from{kLoopback, 5555};
  tracker.hear({}, from, kLoopback);
  tracker.hear(course::encode_get_file_info(), from, kLoopback);
  tracker.hear(course::encode_discover_tracker(), from, kLoopback);
  ASSERT_EQ(tracker.datagrams.size(), 3u);
  EXPECT_EQ(testing::to_hex(tracker.datagrams[0].bytes), kError0);
  EXPECT_EQ(testing::to_hex(tracker.datagrams[1].bytes), kError1);
  EXPECT_EQ(testing::to_hex(tracker.datagrams[2].bytes), "01010000000000067f0000011f400007747261636b657200");
}

TEST(CourseTracker, IsSilentToErrorsAndOtherTrackers) {
  CourseTracker tracker;
  tracker.hear(course::encode_error(course::ErrorCode::invalid_request), {kLoopback, 9000}, kLoopback);
  tracker.hear(course::encode_tracker_info({{kLoopback, 1}, "other"}), {kLoopback, 9000}, kLoopback);
  EXPECT_TRUE(tracker.datagrams.empty());
}

TEST(CourseTracker, SplitsRepliesWhenToldTo) {
  CourseTracker tracker({.listening = {kLoopback, 8000}, .splits_replies = true});
  tracker.hear(course::encode_discover_tracker(), {kLoopback, 5555}, kLoopback);
  ASSERT_EQ(tracker.datagrams.size(), 2u);
  EXPECT_EQ(tracker.datagrams[0].bytes.size(), 24u);
  EXPECT_EQ(tracker.datagrams[1].bytes.size(), 16u);
}

TEST(CourseTracker, TracesDatagramsAndMessagesInBothDirections) {
  CourseTracker tracker;
  tracker.hear(course::encode_discover_tracker(), {kLoopback, 5555}, kLoopback);
  const seam::ConnId conn = tracker.accept_local();
  tracker.ask(conn);
  tracker.all_accept();
  std::vector<std::string> lines;
  for (const seam::MessageTrace& trace : tracker.traces) {
    const bool is_sent = trace.direction == seam::MessageDirection::sent;
    lines.push_back((trace.is_datagram ? "udp " : "tcp ") + std::string(is_sent ? "> " : "< ") + trace.message);
  }
  EXPECT_EQ(lines, (std::vector<std::string>{"udp < DISCOVER_TRACKER", "udp > TRACKER_INFO", "tcp < GET_FILE_INFO",
                                             "tcp > FILE_INFO"}));
}

// --- Stopping ---

TEST(CourseTracker, StopsAtOnceThoughAskersWaitForProbes) {
  CourseTracker tracker;
  const seam::ConnId conn = tracker.accept_local();
  tracker.ask(conn);
  tracker.event(seam::StopRequested{});
  ASSERT_TRUE(tracker.finish);
  EXPECT_EQ(tracker.finish->result, seam::Finish::Result::done);
  EXPECT_EQ(tracker.machine().next_deadline(), std::nullopt);
}

TEST(CourseTracker, CompletesTheAnswersItHasBegunBeforeItStops) {
  CourseTracker tracker;
  tracker.is_sending_quick = false;
  const seam::ConnId conn = tracker.accept_local();
  tracker.ask(conn);
  tracker.all_accept();
  tracker.event(seam::StopRequested{});
  EXPECT_FALSE(tracker.finish);
  tracker.hear(course::encode_discover_tracker(), {kLoopback, 5555}, kLoopback);
  EXPECT_TRUE(tracker.datagrams.empty()) << "nobody is sent here any more";
  tracker.drain(conn);
  EXPECT_EQ(tracker.received(conn), kHelloFileInfo);
  EXPECT_TRUE(tracker.finish);
}

}  // namespace
}  // namespace shoal::roles
