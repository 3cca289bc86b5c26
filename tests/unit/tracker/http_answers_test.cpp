#include "tracker/http_answers.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "unit/tracker/hosts.hpp"
#include "unit/tracker/torrents.hpp"

namespace shoal::tracker {
namespace {

using base::Ipv4Address;
using course::Asker;
using wire::HttpRequest;
using wire::HttpResponse;

constexpr Asker kNeighbour{{0xc0a80002}, kUs};
constexpr Asker kStranger{{0x08080808}, kUs};
constexpr base::Network kCampus{{0x839f1407}, 22};  // 131.159.20.7: local there, whatever the addresses are

constexpr const char* kOurUrl = "http://192.168.0.1:8000/announce";

// As a neighbour is given it.
base::Bytes naming_us(metainfo::Torrent torrent) {
  torrent.tracker_tiers.insert(torrent.tracker_tiers.begin(), {kOurUrl});
  return metainfo::encode_torrent(torrent);
}

struct HttpTracker {
  explicit HttpTracker(SwarmsOptions options = {.local_networks = {kCampus}})
      : swarms(std::move(options), base::Rng(1)) {}

  HttpResponse ask(HttpRequest request, base::ByteView body = {}, const Asker& asker = kNeighbour) {
    HttpAnswer answer = answers.answer(request, body, asker, now);
    if (answer.shared_body) {
      const base::ByteView shared = base::ByteView(*answer.shared_body).subspan(answer.shared_from);
      answer.response.body.insert(answer.response.body.end(), shared.begin(), shared.end());
    }
    return std::move(answer.response);
  }
  HttpResponse get(std::string path, std::string query = {}) {
    return ask({.method = "GET", .path = std::move(path), .query = std::move(query)});
  }
  HttpResponse put(const std::string& name, const base::Bytes& torrent, const Asker& asker = kNeighbour,
                   std::string token = {}) {
    HttpRequest request{.method = "PUT", .path = "/shares/" + name + ".torrent"};
    if (!token.empty()) request.headers.emplace_back("authorization", "Bearer " + token);
    return ask(std::move(request), torrent, asker);
  }
  static std::string text(const HttpResponse& response) { return std::string(base::text_of(response.body)); }

  Swarms swarms;
  ShareList shares;
  HttpAnswers answers{{.tracker_name = "t", .token = "secret", .port = 8000}, swarms, shares};
  base::Instant now{};
};

std::string announce_query(std::uint64_t left) {
  wire::AnnounceRequest request{
      .info_hash = make_torrent("disk.img").info_hash, .port = static_cast<std::uint16_t>(6881 + left), .left = left};
  request.peer_id.back() = static_cast<std::byte>(left);
  return wire::encode_announce_query(request);
}

TEST(HttpAnswers, AnAnnounceIsAnsweredWithTheSwarm) {
  HttpTracker tracker;
  (void)tracker.get("/announce", announce_query(0));
  const HttpResponse response = tracker.get("/announce", announce_query(5));
  EXPECT_EQ(response.status, 200);
  const auto reply = wire::parse_http_announce_reply(response.body);
  ASSERT_TRUE(reply && std::holds_alternative<wire::AnnounceReply>(*reply));
  EXPECT_EQ(std::get<wire::AnnounceReply>(*reply).peers.size(), 1u);
}

TEST(HttpAnswers, ABadAnnounceIsAnsweredWithAFailureReason) {
  HttpTracker tracker;
  const HttpResponse response = tracker.get("/announce", "port=5");
  const auto reply = wire::parse_http_announce_reply(response.body);
  ASSERT_TRUE(reply && std::holds_alternative<wire::Failure>(*reply));
  EXPECT_NE(std::get<wire::Failure>(*reply).reason.find("info_hash"), std::string::npos);
}

TEST(HttpAnswers, ASharePublishedFromTheLocalNetworkIsListedAndGiven) {
  HttpTracker tracker;
  const base::Bytes torrent = torrent_file("disk.img");
  const HttpResponse created = tracker.put("disk.img", torrent);
  EXPECT_EQ(created.status, 201);
  EXPECT_TRUE(tracker.answers.take_is_changed());
  const base::Bytes given = naming_us(make_torrent("disk.img"));
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").body, given);
  EXPECT_EQ(tracker.get("/shares/" + make_torrent("disk.img").info_hash.to_hex() + ".torrent").body, given);
  (void)tracker.get("/announce", announce_query(0));
  const auto list = boost::json::parse(HttpTracker::text(tracker.get("/shares"))).as_array();
  ASSERT_EQ(list.size(), 1u);
  const auto& share = list[0].as_object();
  EXPECT_EQ(share.at("name").as_string(), "disk.img");
  EXPECT_EQ(share.at("size").to_number<std::uint64_t>(), 3u * 16 * 1024);
  EXPECT_EQ(share.at("seeds").to_number<int>(), 1);
  EXPECT_NE(share.at("magnet").as_string().find("192.168.0.1%3A8000"), std::string::npos);
}

TEST(HttpAnswers, AStrangerPublishesWithTheTokenOnly) {
  HttpTracker tracker;
  const base::Bytes torrent = torrent_file("disk.img");
  const HttpResponse refused = tracker.put("disk.img", torrent, kStranger);
  EXPECT_EQ(refused.status, 401);
  EXPECT_NE(base::text_of(refused.body).find("--token-file"), std::string::npos) << "as `share` says it";
  EXPECT_EQ(tracker.put("disk.img", torrent, kStranger, "wrong!").status, 401);
  EXPECT_EQ(tracker.put("disk.img", torrent, kStranger, "secret").status, 201);
  const HttpRequest request{.method = "PUT", .path = "/shares/disk.img.torrent", .body_bytes = 100};
  EXPECT_FALSE(tracker.answers.wants_body(request, kStranger)) << "nobody fills our memory without leave";
  EXPECT_TRUE(tracker.answers.wants_body(request, kNeighbour));
}

TEST(HttpAnswers, WhoIsInANetworkOfThisHostIsNoStranger) {
  HttpTracker tracker;
  EXPECT_EQ(tracker.put("disk.img", torrent_file("disk.img"), {{0x839f17ff}, kCampus.address}).status, 201);
  EXPECT_EQ(tracker.put("b", torrent_file("b"), {{0x839f1800}, kCampus.address}).status, 401) << "the next network";
}

TEST(HttpAnswers, WhoIsInANetworkOfThisHostTellsAndHearsIpv6AddressesAsLocalOnesDo) {
  HttpTracker tracker;
  const wire::Ipv6Endpoint ipv6{.address = *wire::parse_ipv6("2001:db8::1"), .port = 6881};
  const auto peers6_for = [&](Asker asker, std::uint16_t port) {
    wire::AnnounceRequest request{.info_hash = make_torrent("disk.img").info_hash, .port = port, .left = 5};
    request.peer_id.back() = static_cast<std::byte>(port);
    if (port == 1) request.ipv6 = ipv6;
    HttpRequest asked{.method = "GET", .path = "/announce", .query = wire::encode_announce_query(request)};
    const auto reply = wire::parse_http_announce_reply(tracker.ask(std::move(asked), {}, asker).body);
    const auto* answered = reply ? std::get_if<wire::AnnounceReply>(&*reply) : nullptr;
    return answered == nullptr ? std::vector<wire::Ipv6Endpoint>{} : answered->peers6;
  };
  EXPECT_TRUE(peers6_for({{0x839f17ff}, kCampus.address}, 1).empty());
  EXPECT_EQ(peers6_for({{0x839f17fe}, kCampus.address}, 2), std::vector{ipv6});
  EXPECT_TRUE(peers6_for({{0x839f1800}, kCampus.address}, 3).empty()) << "the next network";
}

TEST(HttpAnswers, APageOfTheInternetPublishesNothingThroughABrowserHere) {
  HttpTracker tracker;
  const HttpRequest request{
      .method = "PUT", .path = "/shares/disk.img.torrent", .headers = {{"origin", "http://example.org"}}};
  EXPECT_FALSE(tracker.answers.wants_body(request, kNeighbour));
  EXPECT_EQ(tracker.ask(request, torrent_file("disk.img")).status, 401);
  EXPECT_TRUE(tracker.shares.all().empty());
}

TEST(HttpAnswers, PublishingTheSameAgainIsNoNewsAndNamesItsPlace) {
  HttpTracker tracker;
  ASSERT_EQ(tracker.put("disk.img", torrent_file("disk.img")).status, 201);
  ASSERT_TRUE(tracker.answers.take_is_changed());
  const HttpResponse again = tracker.put("another name", torrent_file("disk.img"));
  EXPECT_EQ(again.status, 200);
  EXPECT_FALSE(tracker.answers.take_is_changed());
  EXPECT_EQ(again.headers.at(0), std::pair(std::string("Location"), std::string("/shares/disk.img.torrent")));
}

TEST(HttpAnswers, PublishingTheSameContentWithOtherTrackersReplacesTheOldTorrent) {
  HttpTracker tracker;
  EXPECT_EQ(tracker.put("disk.img", torrent_file("disk.img")).status, 201);
  EXPECT_TRUE(tracker.answers.take_is_changed());
  metainfo::Torrent torrent = make_torrent("disk.img");
  torrent.tracker_tiers = {{"http://tracker.example/announce"}};
  const base::Bytes file = metainfo::encode_torrent(torrent);
  EXPECT_EQ(tracker.put("disk.img", file).status, 200);
  EXPECT_TRUE(tracker.answers.take_is_changed()) << "it is to be saved";
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").body, naming_us(torrent));
}

TEST(HttpAnswers, ATorrentNamesThisTrackerAtTheAddressThatWasAskedAndKeepsTheRest) {
  HttpTracker tracker;
  metainfo::Torrent torrent = make_torrent("disk.img");
  torrent.tracker_tiers = {{"http://a.example/announce", "http://b.example/announce"}, {"udp://c.example:1"}};
  torrent.comment = "a comment";
  torrent.creation_date = 1'000'000'000;
  torrent.web_seeds = {"http://web.example/disk.img"};
  ASSERT_EQ(tracker.put("disk.img", metainfo::encode_torrent(torrent)).status, 201);
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").body, naming_us(torrent));
  const Asker elsewhere{{0x0a000002}, {0x0a000001}};
  const HttpRequest request{.method = "GET", .path = "/shares/disk.img.torrent"};
  torrent.tracker_tiers.insert(torrent.tracker_tiers.begin(), {"http://10.0.0.1:8000/announce"});
  EXPECT_EQ(tracker.ask(request, {}, elsewhere).body, metainfo::encode_torrent(torrent));
}

TEST(HttpAnswers, ATorrentThatNamesThisTrackerIsGivenAsItIs) {
  HttpTracker tracker;
  metainfo::Torrent torrent = make_torrent("disk.img");
  torrent.tracker_tiers = {{"http://a.example/announce", kOurUrl}};
  const base::Bytes file = metainfo::encode_torrent(torrent);
  ASSERT_EQ(tracker.put("disk.img", file).status, 201);
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").body, file);
}

TEST(HttpAnswers, APrivateTorrentNamesThisTrackerOnlyWhenItNamesNoOther) {
  HttpTracker tracker;
  metainfo::Torrent torrent = metainfo::make_torrent(make_torrent("disk.img").manifest, true);
  ASSERT_EQ(tracker.put("disk.img", metainfo::encode_torrent(torrent)).status, 201);
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").body, naming_us(torrent));
  torrent.tracker_tiers = {{"http://tracker.example/announce"}};
  const base::Bytes file = metainfo::encode_torrent(torrent);
  ASSERT_EQ(tracker.put("disk.img", file).status, 200);
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").body, file);
}

TEST(HttpAnswers, ATorrentWhoseKeysAreInNoOrderIsGivenInOrderWithItsInfoUntouched) {
  HttpTracker tracker;
  const metainfo::Torrent torrent = make_torrent("disk.img");
  const std::string info(base::text_of(torrent.info));
  const std::string file = "d4:info" + info + "7:comment1:c13:announce-listll8:http://xee1:ai1ee";
  const base::ByteView view = base::view_of(file);
  ASSERT_EQ(tracker.put("disk.img", {view.begin(), view.end()}).status, 201);
  EXPECT_EQ(HttpTracker::text(tracker.get("/shares/disk.img.torrent")),
            "d1:ai1e8:announce32:http://192.168.0.1:8000/announce13:announce-listll"
            "32:http://192.168.0.1:8000/announceel8:http://xee7:comment1:c4:info" +
                info + "e");
  EXPECT_EQ(tracker.put("disk.img", {view.begin(), view.end()}).status, 200);
  EXPECT_EQ(tracker.shares.changes(), 1u) << "it is the same";
}

TEST(HttpAnswers, ASwarmWhoseShareIsTakenBackIsLikeAnyOther) {
  HttpTracker tracker({.serves_unknown = false});
  ASSERT_EQ(tracker.put("disk.img", torrent_file("disk.img")).status, 201);
  const auto is_refused = [&] {
    return HttpTracker::text(tracker.get("/announce", announce_query(5))).find("failure reason") != std::string::npos;
  };
  EXPECT_FALSE(is_refused());
  ASSERT_EQ(tracker.ask({.method = "DELETE", .path = "/shares/disk.img.torrent"}).status, 200);
  EXPECT_TRUE(is_refused());
  EXPECT_EQ(tracker.swarms.totals().swarms, 0u);
}

TEST(HttpAnswers, TheListOfManySharesIsMadeOnceForAllWhoAskAboutTheSameTime) {
  HttpTracker tracker;
  for (int i = 0; i < 100; ++i) ASSERT_EQ(tracker.put("x", torrent_file(std::to_string(i), 1)).status, 201);
  const HttpRequest request{.method = "GET", .path = "/shares"};
  const auto first = tracker.answers.answer(request, {}, kNeighbour, tracker.now).shared_body;
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(boost::json::parse(base::text_of(*first)).as_array().size(), 100u);
  tracker.now += kPageValidity * 99;
  EXPECT_EQ(tracker.answers.answer(request, {}, kNeighbour, tracker.now).shared_body, first);
  const Asker elsewhere{{0x0a000002}, {0x0a000001}};
  EXPECT_NE(tracker.answers.answer(request, {}, elsewhere, tracker.now).shared_body, first) << "other magnet links";
  tracker.now += kPageValidity;
  EXPECT_NE(tracker.answers.answer(request, {}, kNeighbour, tracker.now).shared_body, first);
}

TEST(HttpAnswers, AChangedListIsToldAtOnce) {
  HttpTracker tracker;
  const auto count = [&] { return boost::json::parse(HttpTracker::text(tracker.get("/shares"))).as_array().size(); };
  ASSERT_EQ(tracker.put("x", torrent_file("a")).status, 201);
  EXPECT_EQ(count(), 1u);
  ASSERT_EQ(tracker.put("x", torrent_file("b")).status, 201);
  EXPECT_EQ(count(), 2u);
  ASSERT_EQ(tracker.ask({.method = "DELETE", .path = "/shares/a.torrent"}).status, 200);
  EXPECT_EQ(count(), 1u);
}

TEST(HttpAnswers, AThousandSharesAreListedWhole) {
  HttpTracker tracker;
  for (std::size_t i = 0; i < kSharesMax; ++i) {
    ASSERT_TRUE(tracker.shares.publish(torrent_file("share " + std::to_string(i), 1)));
  }
  EXPECT_EQ(boost::json::parse(HttpTracker::text(tracker.get("/shares"))).as_array().size(), kSharesMax);
  EXPECT_NE(HttpTracker::text(tracker.get("/")).find("share 999"), std::string::npos);
}

TEST(HttpAnswers, AShareIsTakenBack) {
  HttpTracker tracker;
  ASSERT_EQ(tracker.put("disk.img", torrent_file("disk.img")).status, 201);
  EXPECT_EQ(tracker.ask({.method = "DELETE", .path = "/shares/disk.img.torrent"}, {}, kStranger).status, 401);
  EXPECT_EQ(tracker.ask({.method = "DELETE", .path = "/shares/disk.img.torrent"}).status, 200);
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").status, 404);
}

TEST(HttpAnswers, WhoEndsTakesAShareBackUnlessOthersHaveItOrAreGettingIt) {
  HttpTracker tracker;
  const HttpRequest take_back{.method = "DELETE", .path = "/shares/disk.img.torrent", .query = "if=unused"};
  ASSERT_EQ(tracker.put("disk.img", torrent_file("disk.img")).status, 201);
  (void)tracker.get("/announce", announce_query(5));
  EXPECT_EQ(tracker.ask(take_back).status, 409);
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").status, 200);
  (void)tracker.get("/announce", announce_query(5) + "&event=stopped");
  EXPECT_EQ(tracker.ask(take_back).status, 200);
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").status, 404);
}

// Killed sharers take nothing back.
TEST(HttpAnswers, AFullListMakesRoomWithWhatHasBeenWithoutMembersTheLongest) {
  HttpTracker tracker;
  ASSERT_EQ(tracker.put("disk.img", torrent_file("disk.img")).status, 201);
  (void)tracker.get("/announce", announce_query(0));
  for (std::size_t i = 1; i < kSharesMax; ++i) {
    tracker.now += std::chrono::milliseconds(1);
    ASSERT_EQ(tracker.put("x", torrent_file(std::to_string(i), 1)).status, 201);
  }
  EXPECT_EQ(tracker.put("x", torrent_file("new", 1)).status, 201);
  EXPECT_EQ(tracker.get("/shares/1.torrent").status, 404);
  EXPECT_EQ(tracker.get("/shares/2.torrent").status, 200);
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").status, 200) << "somebody has it";
  (void)tracker.get("/announce", announce_query(0) + "&event=stopped");
  EXPECT_EQ(tracker.put("x", torrent_file("newer", 1)).status, 201);
  EXPECT_EQ(tracker.get("/shares/disk.img.torrent").status, 404) << "it is without members now, and was there first";
  EXPECT_EQ(tracker.shares.all().size(), kSharesMax);
}

TEST(HttpAnswers, WhatIsNoTorrentIsRefusedWithTheReason) {
  HttpTracker tracker;
  const base::ByteView junk = base::view_of("junk");
  const HttpResponse refused = tracker.put("x", base::Bytes(junk.begin(), junk.end()));
  EXPECT_EQ(refused.status, 400);
  EXPECT_GT(refused.body.size(), 5u);
}

TEST(HttpAnswers, EveryPageAnswersTheRightMethods) {
  HttpTracker tracker;
  EXPECT_EQ(HttpTracker::text(tracker.get("/healthz")), "ok\n");
  EXPECT_EQ(tracker.get("/").status, 200);
  EXPECT_EQ(tracker.get("/nowhere").status, 404);
  EXPECT_EQ(tracker.get("/shares/.torrent").status, 404);
  const HttpResponse refused = tracker.ask({.method = "POST", .path = "/announce"});
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.headers.at(0), std::pair(std::string("Allow"), std::string("GET, HEAD")));
  EXPECT_EQ(tracker.ask({.method = "PATCH", .path = "/shares/a.torrent"}).status, 405);
}

TEST(HttpAnswers, MetricsCountWhatHappened) {
  HttpTracker tracker;
  (void)tracker.get("/announce", announce_query(0));
  (void)tracker.get("/announce", announce_query(5));
  const std::string page = HttpTracker::text(tracker.get("/metrics"));
  EXPECT_NE(page.find("\nshoal_tracker_announces_total 2\n"), std::string::npos) << page;
  EXPECT_NE(page.find("\nshoal_tracker_seeds 1\n"), std::string::npos);
  EXPECT_NE(page.find("\nshoal_tracker_leechers 1\n"), std::string::npos);
  EXPECT_NE(page.find("\nshoal_tracker_scrapes_total 0\n"), std::string::npos) << "nobody scraped yet";
  EXPECT_NE(page.find("# TYPE shoal_tracker_announces_total counter\n"), std::string::npos);
}

TEST(HttpAnswers, AScrapeTellsTheSwarmsThatWereAskedAbout) {
  HttpTracker tracker;
  (void)tracker.get("/announce", announce_query(0));
  const std::string hash = make_torrent("disk.img").info_hash.to_hex();
  std::string query = "info_hash=";
  for (std::size_t i = 0; i < hash.size(); i += 2) query += "%" + hash.substr(i, 2);
  const std::string body = HttpTracker::text(tracker.get("/scrape", query));
  EXPECT_NE(body.find("8:completei1e"), std::string::npos) << body;
  EXPECT_NE(HttpTracker::text(tracker.get("/scrape")).find("failure reason"), std::string::npos);
  EXPECT_EQ(tracker.swarms.totals().scrapes, 1u);
}

}  // namespace
}  // namespace shoal::tracker
