#include "roles/http_connections.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include "unit/roles/tracker_world.hpp"

namespace shoal::roles {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kHealth = get("/healthz");

// --- Requests, however they arrive ---

TEST(HttpConnections, AnswersRequestAfterRequestOnOneConnection) {
  Tracker tracker;
  const seam::ConnId conn = tracker.accept_from();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(tracker.ask(conn, kHealth).body, "ok\n");
  EXPECT_TRUE(tracker.is_open(conn));
}

TEST(HttpConnections, AnswersARequestThatArrivesByteByByte) {
  Tracker tracker;
  const seam::ConnId conn = tracker.accept_from();
  const base::Bytes torrent = tracker::torrent_file("disk.img");
  for (const char c : put("x", torrent.size()) + std::string(base::text_of(torrent))) {
    EXPECT_EQ(tracker.hear(conn), "");
    tracker.say(conn, std::string_view(&c, 1));
  }
  EXPECT_EQ(parse_response(tracker.hear(conn)).status, 201);
  EXPECT_EQ(tracker.ask(conn, kHealth).status, 200);
}

TEST(HttpConnections, AnswersManyRequestsOfOneReadInTheirOrder) {
  Tracker tracker;
  const seam::ConnId conn = tracker.accept_from();
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += kHealth + get("/nowhere");
  tracker.say(conn, requests);
  std::string heard = tracker.hear(conn);
  for (int i = 0; i < 1000; ++i) {
    const HeardResponse response = parse_response(heard);
    ASSERT_EQ(response.status, i % 2 == 0 ? 200 : 404) << i;
    heard = response.rest;
  }
  EXPECT_EQ(heard, "");
  EXPECT_TRUE(tracker.is_open(conn));
}

TEST(HttpConnections, ABodyAndTheNextRequestMayComeInOneRead) {
  Tracker tracker;
  const seam::ConnId conn = tracker.accept_from();
  const std::string torrent(base::text_of(tracker::torrent_file("disk.img")));
  const HeardResponse created = tracker.ask(conn, put("x", torrent.size()) + torrent + kHealth);
  EXPECT_EQ(created.status, 201);
  EXPECT_EQ(parse_response(created.rest).body, "ok\n");
}

TEST(HttpConnections, LeavesWhatFollowsInTheKernelUntilTheAnswerHasLeft) {
  Tracker tracker;
  tracker.is_sending_quick = false;
  const seam::ConnId conn = tracker.accept_from();
  tracker.say(conn, kHealth);
  tracker.say(conn, std::string(100'000, 'x'));
  EXPECT_EQ(tracker.unread_bytes(conn), 100'000u);
  EXPECT_EQ(parse_response(tracker.hear(conn)).rest, "");
  tracker.drain(conn);
  EXPECT_LE(100'000u - tracker.unread_bytes(conn), wire::kHttpHeadBytesMax) << "one head at most is in memory";
}

TEST(HttpConnections, AnswersHeadWithTheLengthAndWithoutTheBody) {
  Tracker tracker;
  tracker.publish("disk.img");
  const seam::ConnId conn = tracker.accept_from();
  for (const std::string path : {"/healthz", "/shares", "/", "/shares/disk.img.torrent"}) {
    const std::string length = "Content-Length: " + std::to_string(tracker.ask(conn, get(path)).body.size());
    const HeardResponse head = tracker.ask(conn, "HEAD " + path + " HTTP/1.1\r\nHost: t\r\n\r\n");
    EXPECT_EQ(head.status, 200);
    EXPECT_NE(head.head.find(length + "\r\n"), std::string::npos) << path << head.head;
    EXPECT_EQ(head.rest, "") << path;
  }
}

TEST(HttpConnections, ClosesAfterTheAnswerWhenTheClientWantsThatOrSpeaksHttp10) {
  Tracker tracker;
  for (const std::string& request : {get("/healthz", "Connection: close\r\n"), std::string("GET / HTTP/1.0\r\n\r\n")}) {
    const seam::ConnId conn = tracker.accept_from();
    const HeardResponse heard = tracker.ask(conn, request + kHealth);
    EXPECT_EQ(heard.status, 200);
    EXPECT_NE(heard.head.find("Connection: close\r\n"), std::string::npos);
    EXPECT_EQ(heard.rest, "");
    EXPECT_FALSE(tracker.is_open(conn));
  }
  const seam::ConnId conn = tracker.accept_from();
  EXPECT_EQ(tracker.ask(conn, "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").status, 200);
  EXPECT_TRUE(tracker.is_open(conn));
}

TEST(HttpConnections, AnswersAHalfClosedClientWhateverItAskedAndThenCloses) {
  Tracker tracker;
  tracker.is_sending_quick = false;
  const seam::ConnId conn = tracker.accept_from();
  tracker.say(conn, kHealth + get("/nowhere"));
  tracker.end_input(conn);
  EXPECT_TRUE(tracker.is_open(conn));
  tracker.drain(conn);
  EXPECT_TRUE(tracker.is_open(conn)) << "the second is on its way";
  tracker.drain(conn);
  EXPECT_FALSE(tracker.is_open(conn));
  const HeardResponse first = parse_response(tracker.hear(conn));
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(parse_response(first.rest).status, 404);

  const seam::ConnId unfinished = tracker.accept_from();
  tracker.say(unfinished, "GET / HT");
  tracker.end_input(unfinished);
  EXPECT_FALSE(tracker.is_open(unfinished));
}

// --- Bodies ---

TEST(HttpConnections, TellsWhoWaitsForItToSendItsBody) {
  Tracker tracker;
  const std::string torrent(base::text_of(tracker::torrent_file("disk.img")));
  const seam::ConnId conn = tracker.accept_from();
  tracker.say(conn, put("x", torrent.size(), "Expect: 100-Continue\r\n"));
  EXPECT_EQ(tracker.hear(conn), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(tracker.ask(conn, torrent).status, 201);

  const HeardResponse at_once = tracker.ask(conn, put("x", torrent.size(), "Expect: 100-continue\r\n") + torrent);
  EXPECT_EQ(at_once.status, 200) << "it did not wait";
  EXPECT_EQ(at_once.rest, "");
  EXPECT_EQ(tracker.ask(put("x", 5, "Expect: 100-continue\r\n"), kStranger).status, 403) << "and need not send it";
  const seam::ConnId old = tracker.accept_from();
  tracker.say(old, "PUT /shares/x.torrent HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(tracker.hear(old), "") << "HTTP/1.0 has no such thing";
}

TEST(HttpConnections, ReadsNoBodyThatIsNotWanted) {
  Tracker tracker;
  const std::string body(100'000, 'x');
  const seam::ConnId stranger = tracker.accept_from(kStranger);
  EXPECT_EQ(tracker.ask(stranger, put("x", body.size()) + body).status, 403);
  EXPECT_FALSE(tracker.is_open(stranger));
  EXPECT_EQ(tracker.ask("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" + body).status, 405);
  EXPECT_EQ(tracker.ask(put("x", tracker::kHttpBodyBytesMax + 1)).status, 413);
  EXPECT_EQ(tracker.ask(put("x", ~std::uint64_t{0})).status, 413);
}

TEST(HttpConnections, BodiesTogetherTakeNoMoreThanTheirLimit) {
  Tracker tracker;
  std::vector<seam::ConnId> busy;
  for (std::uint64_t taken = 0; taken < kBodiesBytesMax; taken += tracker::kHttpBodyBytesMax) {
    busy.push_back(tracker.accept_from());
    tracker.say(busy.back(), put("x", tracker::kHttpBodyBytesMax));
    EXPECT_EQ(tracker.hear(busy.back()), "");
  }
  EXPECT_EQ(tracker.ask(put("x", 1)).status, 503);
  tracker.reset(busy.front());
  const seam::ConnId next = tracker.accept_from();
  tracker.say(next, put("x", tracker::kHttpBodyBytesMax));
  EXPECT_EQ(tracker.hear(next), "") << "there is room again";
  tracker.wait(seconds(3600));
  EXPECT_FALSE(tracker.is_open(next));
  EXPECT_EQ(tracker.ask(put("x", 1) + "x").status, 400) << "and again, once those that stalled were ended";
}

// --- Clients that are slow, silent, too many, or wrong ---

TEST(HttpConnections, EndsAHeadThatTricklesIn) {
  Tracker tracker;
  const seam::ConnId conn = tracker.accept_from();
  for (int i = 0; i < 9; ++i) {
    tracker.say(conn, "G");
    tracker.wait(seconds(1));
  }
  EXPECT_EQ(tracker.hear(conn), "");
  tracker.wait(seconds(1));
  EXPECT_EQ(parse_response(tracker.hear(conn)).status, 408);
  EXPECT_FALSE(tracker.is_open(conn));
}

TEST(HttpConnections, EndsABodyThatIsTooSlowAndTakesOneThatIsSlowEnough) {
  Tracker tracker;
  constexpr int kSeconds = 30;
  for (const bool is_slow_enough : {true, false}) {
    const seam::ConnId conn = tracker.accept_from();
    tracker.say(conn, put("x", kSeconds * kHttpBytesPerSecondMin));
    for (int second = 0; second < kSeconds && tracker.is_open(conn); ++second) {
      tracker.wait(seconds(1));
      tracker.say(conn, std::string(kHttpBytesPerSecondMin / (is_slow_enough ? 1 : 2), 'x'));
    }
    EXPECT_EQ(parse_response(tracker.hear(conn)).status, is_slow_enough ? 400 : 408);
    EXPECT_EQ(tracker.is_open(conn), is_slow_enough);
  }
}

TEST(HttpConnections, BodiesThatStallMakeRoomForOthersSoon) {
  Tracker tracker;
  std::vector<seam::ConnId> stalled;
  for (std::uint64_t taken = 0; taken < kBodiesBytesMax; taken += tracker::kHttpBodyBytesMax) {
    stalled.push_back(tracker.accept_from());
    tracker.say(stalled.back(), put("x", tracker::kHttpBodyBytesMax));
    // One says nothing more, the next has been quick so far.
    if (stalled.size() % 2 == 0) tracker.say(stalled.back(), std::string(20 * kHttpBytesPerSecondMin, 'x'));
  }
  EXPECT_EQ(tracker.ask(put("x", 1)).status, 503);
  tracker.wait(kHttpGrace);
  for (const seam::ConnId conn : stalled) {
    EXPECT_EQ(parse_response(tracker.hear(conn)).status, 408);
    EXPECT_FALSE(tracker.is_open(conn));
  }
  EXPECT_EQ(tracker.ask(put("x", 1) + "x").status, 400);
}

TEST(HttpConnections, EndsWhoDoesNotReadItsAnswer) {
  Tracker tracker;
  tracker.publish("disk.img", 50'000);
  tracker.is_sending_quick = false;
  const seam::ConnId small = tracker.accept_from();
  const seam::ConnId big = tracker.accept_from();
  tracker.say(small, kHealth);
  tracker.say(big, get("/shares/disk.img.torrent"));
  tracker.wait(kHttpGrace + milliseconds(1));  // its three bytes take their time, too
  EXPECT_FALSE(tracker.is_open(small));
  EXPECT_TRUE(tracker.is_open(big)) << "a megabyte takes its time";
  tracker.wait(seconds(1'000'000 / kHttpBytesPerSecondMin + 1));
  EXPECT_FALSE(tracker.is_open(big));
}

TEST(HttpConnections, KeepsAnIdleConnectionForAWhile) {
  Tracker tracker;
  const seam::ConnId conn = tracker.accept_from();
  tracker.ask(conn, kHealth);
  tracker.wait(kHttpIdleTimeout - milliseconds(1));
  EXPECT_EQ(tracker.ask(conn, kHealth).status, 200);
  tracker.wait(kHttpIdleTimeout);
  EXPECT_FALSE(tracker.is_open(conn));
  EXPECT_EQ(tracker.hear(conn), "");
}

TEST(HttpConnections, RefusesHeadsThatAreTooLongAndSaysSo) {
  Tracker tracker;
  EXPECT_EQ(tracker.ask("GET /" + std::string(20'000, 'a')).status, 414);
  EXPECT_EQ(tracker.ask("GET / HTTP/1.1\r\nHost: t\r\nA: " + std::string(20'000, 'a')).status, 431);
  std::string many = "GET / HTTP/1.1\r\nHost: t\r\n";
  for (std::size_t i = 0; i < wire::kHttpFieldsMax; ++i) many += "A: b\r\n";
  EXPECT_EQ(tracker.ask(many).status, 431);
  EXPECT_EQ(tracker.ask("GET\r\n\r\n").status, 400);
  EXPECT_EQ(tracker.ask("GET / HTTP/2.0\r\n\r\n").status, 505);
}

TEST(HttpConnections, SaysNothingBehindWhatItCouldNotRead) {
  Tracker tracker;
  const seam::ConnId conn = tracker.accept_from();
  const HeardResponse heard = tracker.ask(conn, "GET nonsense\r\n\r\n" + kHealth);
  EXPECT_EQ(heard.status, 400);
  EXPECT_EQ(heard.rest, "");
  EXPECT_FALSE(tracker.is_open(conn));
}

TEST(HttpConnections, WhenThereAreTooManyTheLongestIdleMakesRoom) {
  Tracker tracker({.http_connections_max = 3});
  const seam::ConnId busy = tracker.accept_from();
  tracker.say(busy, "GET ");
  std::vector<seam::ConnId> idle;
  for (int i = 0; i < 2; ++i) {
    tracker.wait(seconds(1));
    idle.push_back(tracker.accept_from());
    EXPECT_EQ(tracker.ask(idle.back(), kHealth).status, 200);
  }
  tracker.wait(seconds(1));
  EXPECT_EQ(tracker.ask(idle.front(), kHealth).status, 200);
  const seam::ConnId next = tracker.accept_from();
  EXPECT_EQ(tracker.ask(next, kHealth).status, 200);
  EXPECT_FALSE(tracker.is_open(idle.back()));
  EXPECT_TRUE(tracker.is_open(idle.front()) && tracker.is_open(busy));
}

TEST(HttpConnections, AFloodOfSlowHeadsDoesNotShutOutWhoAsksAtOnce) {
  Tracker tracker({.http_connections_max = 100});
  for (int i = 0; i < 1000; ++i) {
    tracker.wait(milliseconds(1));
    tracker.say(tracker.accept_from(), "GET /");
    if (i % 50 == 0) {
      EXPECT_EQ(tracker.ask(kHealth).status, 200) << i;
    }
  }
}

TEST(HttpConnections, AnIdleConnectionHoldsNoBuffer) {
  constexpr std::size_t kConnections = 10'000;
  constexpr std::size_t kBytesMax = 400;  // for each, all tables included
  const auto machine = Tracker::make({});
  base::Instant now{};
  machine->start(now);
  const auto request = testing::bytes_of(kHealth);
  std::size_t before = 0;
  for (std::uint64_t i = 0; i <= kConnections; ++i) {
    if (i == 1) before = mallinfo2().uordblks;
    const seam::ConnId conn(2 + 2 * i);
    machine->on_event(seam::Accepted{conn, {kUs, 8000}, kNeighbour}, now);
    const seam::ReadTargets targets = machine->next_read(conn);
    std::memcpy(targets.spans[0].data(), request.data(), request.size());
    machine->on_event(seam::BytesArrived{conn, request.size()}, now);
    machine->on_event(seam::OutputDrained{conn}, now);
    (void)machine->take_actions();
  }
  EXPECT_LT((mallinfo2().uordblks - before) / kConnections, kBytesMax);
}

}  // namespace
}  // namespace shoal::roles
