#include "roles/tracker_host.hpp"

#include <gtest/gtest.h>

#include "course/messages.hpp"
#include "unit/roles/tracker_world.hpp"

namespace shoal::roles {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string kHealth = get("/healthz");

// Asks as a course client does; every peer that is probed accepts.
course::FileInfo course_file_info(Tracker& tracker) {
  const seam::ConnId conn = tracker.accept_from();
  tracker.send(conn, course::encode_get_file_info());
  for (const seam::Dial& dial : std::exchange(tracker.dials, {})) {
    tracker.event(seam::Connected{dial.conn, {}, dial.remote});
  }
  const base::Bytes message = testing::from_hex(tracker.received(conn));
  EXPECT_TRUE(tracker.is_open(conn));
  if (message.size() < course::kHeaderBytes) return {};
  return course::parse_file_info_body(base::ByteView(message).subspan(course::kHeaderBytes))
      .value_or(course::FileInfo{});
}

std::size_t saves_of(const Tracker& tracker, std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count_if(tracker.saves, [name](const seam::SaveState& save) { return save.name == name; }));
}

base::Bytes last_saved(const Tracker& tracker, std::string_view name) {
  for (auto save = tracker.saves.rbegin(); save != tracker.saves.rend(); ++save) {
    if (save->name == name) return save->bytes;
  }
  return {};
}

// --- One port ---

TEST(TrackerHost, TheFirstByteTellsCourseFromHttpAlsoWhenItComesAlone) {
  Tracker tracker;
  const base::Bytes question = course::encode_get_file_info();
  const seam::ConnId course_client = tracker.accept_from();
  const seam::ConnId http_client = tracker.accept_from();
  tracker.send(course_client, {question[0]});
  tracker.say(http_client, kHealth.substr(0, 1));
  tracker.send(course_client, base::Bytes(question.begin() + 1, question.end()));
  tracker.say(http_client, kHealth.substr(1));
  EXPECT_EQ(tracker.received(course_client).substr(0, 4), "0103");
  EXPECT_EQ(parse_response(tracker.hear(http_client)).body, "ok\n");
}

TEST(TrackerHost, WhatIsNeitherIsAnsweredAsACourseClientWouldBe) {
  Tracker tracker;
  const seam::ConnId conn = tracker.accept_from();
  tracker.send(conn, testing::from_hex("0109000000000002"));
  EXPECT_EQ(tracker.received(conn), kError0);
  const seam::ConnId tls = tracker.accept_from();
  tracker.send(tls, testing::from_hex("160301020001000001fc0303"));
  EXPECT_EQ(tracker.received(tls).substr(0, 24), kError0);
  EXPECT_TRUE(tracker.is_open(tls));
}

TEST(TrackerHost, ThatOfTheCourseAloneSpeaksNoHttp) {
  Tracker tracker({.is_course_only = true});
  const seam::ConnId conn = tracker.accept_from();
  tracker.say(conn, kHealth);
  EXPECT_EQ(tracker.received(conn).substr(0, 24), kError0);
}

TEST(TrackerHost, AnnouncesOverHttpAndUdpMeetInOneSwarm) {
  Tracker tracker;
  EXPECT_EQ(tracker.ask(announce("disk.img", "-XX0001-", 5)).status, 200);
  const auto tell = [&](const wire::UdpRequest& request) {
    tracker.event(seam::DatagramArrived{seam::kTrackerSocket, kNeighbour, kUs, wire::encode(request)});
    EXPECT_FALSE(tracker.datagrams.empty());
    const seam::SendDatagram sent = tracker.datagrams.back();
    EXPECT_EQ(sent.to, kNeighbour);
    EXPECT_EQ(sent.socket, seam::kTrackerSocket);
    return *wire::parse_udp_reply(sent.bytes);
  };
  const auto connected = std::get<wire::UdpConnected>(tell(wire::UdpConnect{.transaction = 3}));
  wire::UdpAnnounce asked{.connection = connected.connection, .transaction = 4};
  asked.request = {.info_hash = tracker::make_torrent("disk.img").info_hash, .port = 7000, .left = 5};
  const auto reply = std::get<wire::UdpAnnounced>(tell(asked)).reply;
  EXPECT_EQ(reply.leechers, 2u);
  EXPECT_EQ(reply.peers.at(0).endpoint, (base::Endpoint{kNeighbour.address, 6881}));
}

TEST(TrackerHost, OffersBitTorrentToWhoAsksForItByDiscovery) {
  Tracker tracker;
  base::Bytes question = course::encode_discover_tracker();
  question[3] = std::byte{course::kBitTorrentBit};
  tracker.event(seam::DatagramArrived{seam::kDiscoverySocket, kNeighbour, kUs, question});
  ASSERT_EQ(tracker.datagrams.size(), 1u);
  EXPECT_EQ(tracker.datagrams[0].bytes[3], std::byte{course::kBitTorrentBit});
  Tracker course_only({.is_course_only = true});
  course_only.event(seam::DatagramArrived{seam::kDiscoverySocket, kNeighbour, kUs, question});
  ASSERT_EQ(course_only.datagrams.size(), 1u);
  EXPECT_EQ(course_only.datagrams[0].bytes[3], std::byte{0});
}

// --- Shares, for course clients too ---

TEST(TrackerHost, CourseClientsGetTheNewestShareFromWhoHasItNow) {
  Tracker tracker;
  tracker.publish("older");
  tracker.publish("disk.img");
  EXPECT_EQ(tracker.ask(announce("disk.img", "-SH0100-", 0)).status, 200);
  const course::FileInfo info = course_file_info(tracker);
  EXPECT_EQ(info.filename, "disk.img");
  ASSERT_EQ(info.chunks.size(), 3u);
  EXPECT_EQ(info.chunks[2].peers, (std::vector<base::Endpoint>{{kNeighbour.address, 6881}}));
}

TEST(TrackerHost, CourseClientsGetTheShareThatWasChosen) {
  Tracker tracker({.course_share = "older"});
  tracker.publish("older");
  tracker.publish("disk.img");
  EXPECT_EQ(course_file_info(tracker).filename, "older");
}

TEST(TrackerHost, ACourseClientIsAnsweredThoughNothingIsShared) {
  Tracker tracker;
  const seam::ConnId conn = tracker.accept_from();
  tracker.send(conn, course::encode_get_file_info());
  EXPECT_EQ(tracker.received(conn).substr(0, 4), "0103");
}

TEST(TrackerHost, WhoIsNotOfTheLocalNetworkPublishesWithTheToken) {
  Tracker tracker({.token = "secret"});
  const base::Bytes torrent = tracker::torrent_file("disk.img");
  const std::string body(base::text_of(torrent));
  EXPECT_EQ(tracker.ask(put("x", body.size()) + body, kStranger).status, 401);
  const std::string token = "Authorization: Bearer secret\r\n";
  EXPECT_EQ(tracker.ask(put("x", body.size(), token) + body, kStranger).status, 201);
  const std::string given = tracker.ask(get("/shares/disk.img.torrent"), kStranger).body;
  EXPECT_EQ(given, "d8:announce32:http://192.168.0.1:8000/announce" + body.substr(1));
}

// --- What survives a restart ---

TEST(TrackerHost, SavesSharesAtOnceAndOnceInAWhileWhenTheyGoOnChanging) {
  Tracker tracker;
  EXPECT_TRUE(tracker.saves.empty());
  tracker.publish("a");
  EXPECT_EQ(saves_of(tracker, kSharesState), 1u);
  for (int i = 0; i < 20; ++i) {
    tracker.wait(milliseconds(10));
    tracker.publish("share " + std::to_string(i));
  }
  EXPECT_EQ(saves_of(tracker, kSharesState), 1u);
  tracker.wait(kSaveSharesEvery);
  EXPECT_EQ(saves_of(tracker, kSharesState), 2u);
  tracker.wait(seconds(60));
  EXPECT_EQ(saves_of(tracker, kSharesState), 2u) << "nothing changed";
  EXPECT_EQ(tracker.ask("DELETE /shares/a.torrent HTTP/1.1\r\nHost: t\r\n\r\n").status, 200);
  EXPECT_EQ(saves_of(tracker, kSharesState), 3u);
}

TEST(TrackerHost, SavesSwarmsNowAndThenWhileSomebodyAnnouncesAndAtTheEnd) {
  Tracker tracker;
  tracker.wait(seconds(60));
  EXPECT_EQ(saves_of(tracker, kSwarmsState), 0u);
  for (int i = 0; i < 60; ++i) {
    tracker.wait(seconds(1));
    tracker.ask(announce("disk.img", "-XX0001-", 5));
  }
  tracker.wait(2 * kSaveEvery);
  const std::size_t saves = saves_of(tracker, kSwarmsState);
  EXPECT_GE(saves, 3u);
  EXPECT_LE(saves, 7u);
  tracker.publish("disk.img");
  tracker.publish("another");
  tracker.event(seam::StopRequested{});
  EXPECT_EQ(saves_of(tracker, kSwarmsState), saves + 1);
  EXPECT_EQ(saves_of(tracker, kSharesState), 2u);
  EXPECT_TRUE(tracker.finish);
}

TEST(TrackerHost, ARestartKeepsSharesAndSwarms) {
  Tracker before;
  before.publish("disk.img");
  before.ask(announce("disk.img", "-SH0100-", 0));
  before.event(seam::StopRequested{});
  Tracker after({.swarms = {.serves_unknown = false},
                 .saved_shares = last_saved(before, kSharesState),
                 .saved_swarms = last_saved(before, kSwarmsState)});
  const HeardResponse list = after.ask(get("/shares"));
  EXPECT_NE(list.body.find("\"disk.img\""), std::string::npos) << list.body;
  EXPECT_NE(list.body.find("\"seeds\":1"), std::string::npos) << list.body;
  EXPECT_EQ(course_file_info(after).chunks.at(0).peers.size(), 1u);
  EXPECT_EQ(saves_of(after, kSharesState), 0u) << "nothing is new";
  EXPECT_TRUE(after.notes.empty());
}

TEST(TrackerHost, BeginsWithoutWhatItCannotReadAndSaysSo) {
  Tracker tracker(
      {.saved_shares = testing::bytes_of("spoilt"), .saved_swarms = testing::bytes_of("d6:swarmsle1:vi1ee")});
  EXPECT_EQ(tracker.notes.size(), 2u);
  EXPECT_EQ(tracker.ask(get("/shares")).body, "[]\n");
}

// --- Floods ---

TEST(TrackerHost, SilenceIsNoReasonToEndAConnection) {
  Tracker tracker;
  const seam::ConnId conn = tracker.accept_from();
  tracker.wait(seconds(24 * 3600));
  tracker.send(conn, course::encode_get_file_info());
  EXPECT_EQ(tracker.received(conn).substr(0, 4), "0103");
}

TEST(TrackerHost, AFloodOfSilentConnectionsShutsOutNobody) {
  Tracker tracker({.silent_connections_max = 10});
  const seam::ConnId course_client = tracker.accept_from();
  const seam::ConnId http_client = tracker.accept_from();
  tracker.send(course_client, course::encode_get_file_info());
  EXPECT_EQ(tracker.ask(http_client, kHealth).status, 200);
  std::vector<seam::ConnId> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(tracker.accept_from());
  EXPECT_EQ(std::ranges::count_if(silent, [&](seam::ConnId conn) { return tracker.is_open(conn); }), 10);
  EXPECT_TRUE(tracker.is_open(silent.back())) << "the oldest made room";
  EXPECT_TRUE(tracker.is_open(course_client) && tracker.is_open(http_client));
  EXPECT_EQ(tracker.ask(kHealth).status, 200);
}

TEST(TrackerHost, NeitherHttpNorCourseClientsShutOutTheOthers) {
  Tracker tracker({.connections_max = 5, .http_connections_max = 5});
  std::vector<seam::ConnId> course_clients;
  for (int i = 0; i < 20; ++i) {
    course_clients.push_back(tracker.accept_from());
    tracker.send(course_clients.back(), course::encode_get_file_info());
    const seam::ConnId http_client = tracker.accept_from();
    EXPECT_EQ(tracker.ask(http_client, kHealth).status, 200) << i;
  }
  for (std::size_t i = 0; i < course_clients.size(); ++i) EXPECT_EQ(tracker.is_open(course_clients[i]), i < 5) << i;
  tracker.reset(course_clients.front());
  course_file_info(tracker);
}

TEST(TrackerHost, MetricsTellTheConnectionsThatAreOpenNow) {
  Tracker tracker;
  const seam::ConnId http_client = tracker.accept_from();
  EXPECT_EQ(tracker.ask(http_client, kHealth).status, 200);
  course_file_info(tracker);
  (void)tracker.accept_from();
  (void)tracker.accept_from();
  const std::string page = tracker.ask(http_client, get("/metrics")).body;
  EXPECT_NE(page.find("\nshoal_tracker_silent_connections 2\n"), std::string::npos) << page;
  EXPECT_NE(page.find("\nshoal_tracker_http_connections 1\n"), std::string::npos) << page;
  EXPECT_NE(page.find("\nshoal_tracker_course_connections 1\n"), std::string::npos) << page;
}

// --- Stopping ---

TEST(TrackerHost, StopsAtOnceAndLetsEverybodyGo) {
  Tracker tracker;
  const seam::ConnId silent = tracker.accept_from();
  const seam::ConnId http_client = tracker.accept_from();
  tracker.ask(http_client, kHealth);
  tracker.event(seam::StopRequested{});
  EXPECT_FALSE(tracker.is_open(silent) || tracker.is_open(http_client));
  ASSERT_TRUE(tracker.finish);
  EXPECT_EQ(tracker.finish->result, seam::Finish::Result::done);
  EXPECT_EQ(tracker.machine().next_deadline(), std::nullopt);
}

}  // namespace
}  // namespace shoal::roles
