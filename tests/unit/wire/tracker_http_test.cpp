#include <gtest/gtest.h>

#include <algorithm>

#include "wire/http.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::wire {
namespace {

using base::Bytes;
using base::Endpoint;
using base::Sha1Hash;
using base::view_of;
using namespace std::string_view_literals;

const Sha1Hash kHash = *Sha1Hash::parse_hex("123456789abcdef123456789abcdef123456789a");
// The same as every common client escapes it, and with as much and as little escaped as can be.
constexpr std::string_view kHashEscaped = "%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A";
constexpr std::string_view kHashAllEscaped = "%12%34%56%78%9a%bc%de%f1%23%45%67%89%ab%cd%ef%12%34%56%78%9a";
constexpr std::string_view kHashBarelyEscaped =
    "\x12"
    "4Vx\x9a\xbc\xde\xf1%23Eg\x89\xab\xcd\xef\x12"
    "4Vx\x9a";
constexpr std::string_view kPeerIdText = "-SH0100-abcdef012345";

PeerId peer_id() {
  PeerId id;
  std::ranges::copy(view_of(kPeerIdText), id.begin());
  return id;
}

AnnounceRequest small_request() {
  return {.info_hash = kHash, .peer_id = peer_id(), .port = 6881};
}

AnnounceRequest full_request() {
  return {.info_hash = kHash,
          .peer_id = peer_id(),
          .port = 65535,
          .uploaded = 1,
          .downloaded = 2,
          .left = kLeftUnknown,
          .event = AnnounceEvent::started,
          .key = 0xbeef,
          .peers_wanted = 80,
          .is_compact = false,
          .omits_peer_ids = true,
          .address = base::Ipv4Address{0x0a000001},
          .ipv6 = Ipv6Endpoint{*parse_ipv6("2001:db8::1"), 7000},
          .tracker_id = "id &=",
          .held = "0-99,105"};
}

constexpr std::string_view kRequired =
    "info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A&peer_id=-SH0100-abcdef012345&port=6881";

AnnounceRequest parsed_with(std::string_view fields) {
  const auto request = parse_announce_query(std::string(kRequired) + std::string(fields));
  EXPECT_TRUE(request) << fields;
  return request.value_or(AnnounceRequest{});
}

std::string problem_with(std::string_view query) {
  const auto request = parse_announce_query(query);
  return request ? "none" : request.error();
}

// --- Announces ---

TEST(AnnounceQuery, HasTheGoldenText) {
  EXPECT_EQ(encode_announce_query(small_request()),
            std::string(kRequired) + "&uploaded=0&downloaded=0&left=0&compact=1");
  EXPECT_EQ(encode_announce_query(full_request()),
            "info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A&peer_id=-SH0100-abcdef012345&port=65535"
            "&uploaded=1&downloaded=2&left=18446744073709551615&compact=0&no_peer_id=1&event=started&key=0000BEEF"
            "&numwant=80&ip=10.0.0.1&ipv6=%5B2001%3Adb8%3A0%3A0%3A0%3A0%3A0%3A1%5D%3A7000&trackerid=id%20%26%3D"
            "&shoal_held=0-99%2C105");
}

TEST(AnnounceQuery, IsReadAsItWasWritten) {
  EXPECT_EQ(parse_announce_query(encode_announce_query(small_request())), small_request());
  EXPECT_EQ(parse_announce_query(encode_announce_query(full_request())), full_request());
  for (const AnnounceEvent event : {AnnounceEvent::none, AnnounceEvent::completed, AnnounceEvent::stopped}) {
    AnnounceRequest request = small_request();
    request.event = event;
    EXPECT_EQ(parse_announce_query(encode_announce_query(request)), request);
  }
}

TEST(AnnounceQuery, IsReadHoweverItIsEscaped) {
  for (const std::string_view hash : {kHashEscaped, kHashAllEscaped, kHashBarelyEscaped}) {
    const auto request =
        parse_announce_query("peer_id=%2DSH0100%2dabcdef012345&info_hash=" + std::string(hash) + "&port=%36881");
    ASSERT_TRUE(request);
    EXPECT_EQ(request->info_hash, kHash);
    EXPECT_EQ(request->peer_id, peer_id());
    EXPECT_EQ(request->port, 6881);
  }
}

TEST(AnnounceQuery, ReadsAPlusSignAsABlank) {
  const auto request = parse_announce_query("info_hash=++++++++++%20+++++++++&peer_id=-SH0100-abcdef012345&port=1");
  ASSERT_TRUE(request);
  EXPECT_TRUE(std::ranges::all_of(request->info_hash.bytes, [](std::byte b) { return b == std::byte{' '}; }));
}

TEST(AnnounceQuery, AssumesLittleOfWhatIsNotTold) {
  AnnounceRequest expected = small_request();
  expected.left = kLeftUnknown;
  EXPECT_EQ(parsed_with(""), expected);
}

TEST(AnnounceQuery, WantsAnInfoHash) {
  EXPECT_EQ(problem_with("peer_id=-SH0100-abcdef012345&port=1"), "info_hash is missing or badly escaped");
  EXPECT_EQ(problem_with("info_hash=%zz&peer_id=-SH0100-abcdef012345&port=1"), "info_hash is missing or badly escaped");
  EXPECT_EQ(problem_with("info_hash=&peer_id=-SH0100-abcdef012345&port=1"), "info_hash is not 20 bytes");
  EXPECT_EQ(problem_with("info_hash=123456789012345678901&peer_id=-SH0100-abcdef012345&port=1"),
            "info_hash is not 20 bytes");
  EXPECT_EQ(problem_with(std::string(kRequired) + "&info_hash=12345678901234567890"), "info_hash is given twice");
  EXPECT_EQ(problem_with(""), "info_hash is missing or badly escaped");
}

TEST(AnnounceQuery, WantsAPeerId) {
  EXPECT_EQ(problem_with("info_hash=12345678901234567890&port=1"), "peer_id is missing or badly escaped");
  EXPECT_EQ(problem_with("info_hash=12345678901234567890&peer_id=%&port=1"), "peer_id is missing or badly escaped");
  EXPECT_EQ(problem_with("info_hash=12345678901234567890&peer_id=1234567890123456789&port=1"),
            "peer_id is not 20 bytes");
  EXPECT_EQ(problem_with(std::string(kRequired) + "&peer_id=12345678901234567890"), "peer_id is given twice");
}

TEST(AnnounceQuery, WantsAPort) {
  const std::string ids = "info_hash=12345678901234567890&peer_id=12345678901234567890";
  EXPECT_EQ(problem_with(ids), "port is missing or badly escaped");
  for (const std::string_view port : {"", "x", "-1", "65536", "1x", "99999999999999999999"}) {
    EXPECT_EQ(problem_with(ids + "&port=" + std::string(port)), "port is no number from 0 to 65535") << port;
  }
  EXPECT_EQ(problem_with(ids + "&port=1&port=2"), "port is given twice");
  EXPECT_EQ(problem_with(ids + "&port=0"), "none");
}

TEST(AnnounceQuery, RefusesEveryPrefixUpToThePort) {
  for (std::size_t size = 0; size < kRequired.size() - 4; ++size) {
    EXPECT_FALSE(parse_announce_query(kRequired.substr(0, size))) << size;
  }
}

TEST(AnnounceQuery, IgnoresWhatItDoesNotKnow) {
  EXPECT_EQ(parsed_with("&supportcrypto=1&&x&=&%zz=%zz&redundant=%&event=paused"), parsed_with(""));
}

TEST(AnnounceQuery, ReadsNumbersThatAreNone) {
  EXPECT_EQ(parsed_with("&uploaded=-1&downloaded=x&left=-1&numwant=-1"), parsed_with(""));
  const AnnounceRequest huge = parsed_with("&uploaded=99999999999999999999&left=99999999999999999999");
  EXPECT_EQ(huge.uploaded, ~std::uint64_t{0});
  EXPECT_EQ(huge.left, kLeftUnknown);
}

TEST(AnnounceQuery, ClampsTheNumberOfPeersWanted) {
  EXPECT_EQ(parsed_with("&numwant=0").peers_wanted, 0u);
  EXPECT_EQ(parsed_with("&numwant=50").peers_wanted, 50u);
  EXPECT_EQ(parsed_with("&numwant=5000").peers_wanted, kAnnouncePeersMax);
  EXPECT_EQ(parsed_with("&numwant=99999999999999999999").peers_wanted, kAnnouncePeersMax);
}

TEST(AnnounceQuery, TellsKeysApartHoweverTheyAreWritten) {
  EXPECT_EQ(parsed_with("&key=0000beef").key, 0xbeefu);
  EXPECT_EQ(parsed_with("&key=BEEF").key, 0xbeefu);
  EXPECT_EQ(parsed_with("&key=x-aria2-1").key, parsed_with("&key=x-aria2-1").key);
  EXPECT_NE(parsed_with("&key=x-aria2-1").key, parsed_with("&key=x-aria2-2").key);
  EXPECT_NE(parsed_with("&key=123456789abcdef").key, parsed_with("&key=123456789abcdee").key);
}

TEST(AnnounceQuery, ReadsAnIpv6AddressWithAndWithoutPort) {
  // The two forms of BEP 7.
  EXPECT_EQ(parsed_with("&ipv6=%5B2001%3Adb8%3A%3A1%5D%3A7000").ipv6, (Ipv6Endpoint{*parse_ipv6("2001:db8::1"), 7000}));
  EXPECT_EQ(parsed_with("&ipv6=2001%3Adb8%3A%3A1").ipv6, (Ipv6Endpoint{*parse_ipv6("2001:db8::1"), 6881}));
  EXPECT_EQ(parsed_with("&ipv6=10.0.0.1").ipv6, std::nullopt);
}

TEST(AnnounceQuery, ReadsOnlyAnIpv4AddressAsIp) {
  EXPECT_EQ(parsed_with("&ip=192.168.1.2").address, base::Ipv4Address{0xc0a80102});
  EXPECT_EQ(parsed_with("&ip=host.example").address, std::nullopt);
  EXPECT_EQ(parsed_with("&ip=%3A%3A1").address, std::nullopt);
}

TEST(AnnounceQuery, ReadsTheSwitches) {
  EXPECT_TRUE(parsed_with("&compact=1").is_compact);
  EXPECT_FALSE(parsed_with("&compact=0").is_compact);
  EXPECT_FALSE(parsed_with("&no_peer_id=0").omits_peer_ids);
  EXPECT_TRUE(parsed_with("&no_peer_id=1").omits_peer_ids);
}

// --- Scrapes (BEP 48) ---

TEST(ScrapeQuery, NamesSeveralTorrents) {
  EXPECT_EQ(parse_scrape_query("info_hash=" + std::string(kHashEscaped) + "&x=1&info_hash=aaaaaaaaaaaaaaaaaaaa"),
            (std::vector<Sha1Hash>{kHash, Sha1Hash::from_bytes(view_of("aaaaaaaaaaaaaaaaaaaa"))}));
  EXPECT_EQ(parse_scrape_query(""), std::vector<Sha1Hash>{});
}

TEST(ScrapeQuery, RefusesAHashThatIsNone) {
  EXPECT_EQ(parse_scrape_query("info_hash=a"), std::unexpected("info_hash is not 20 bytes"));
}

TEST(ScrapeQuery, RefusesMoreThanOneDatagramWouldHold) {
  std::string query;
  for (std::size_t i = 0; i < kScrapeHashesMax; ++i) query += "&info_hash=aaaaaaaaaaaaaaaaaaaa";
  EXPECT_EQ(parse_scrape_query(query)->size(), kScrapeHashesMax);
  EXPECT_EQ(parse_scrape_query(query + "&info_hash=aaaaaaaaaaaaaaaaaaaa"), std::unexpected("ask for 74 at most"));
}

TEST(ScrapeReply, HasTheBytesOfBep48) {
  const Sha1Hash a = Sha1Hash::from_bytes(view_of("aaaaaaaaaaaaaaaaaaaa"));
  const Sha1Hash b = Sha1Hash::from_bytes(view_of("bbbbbbbbbbbbbbbbbbbb"));
  // Sorted, and each once, whatever was asked.
  EXPECT_EQ(base::text_of(encode_http_scrape_reply({{b, 1, 2, 3}, {a, 11, 13772, 19}, {b, 1, 2, 3}})),
            "d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei11e10:downloadedi13772e10:incompletei19ee"
            "20:bbbbbbbbbbbbbbbbbbbbd8:completei1e10:downloadedi2e10:incompletei3eeee");
  EXPECT_EQ(base::text_of(encode_http_scrape_reply({})), "d5:filesdee");
}

// --- Answers to announces ---

std::optional<AnnounceReply> parsed_reply(std::string_view text) {
  const auto answer = parse_http_announce_reply(view_of(text));
  if (!answer || !std::holds_alternative<AnnounceReply>(*answer)) return std::nullopt;
  return std::get<AnnounceReply>(*answer);
}

std::string encoded(const AnnounceReply& reply, const AnnounceRequest& request) {
  return std::string(base::text_of(encode_http_announce_reply(reply, request)));
}

AnnounceReply full_reply() {
  return {.interval_s = 1800,
          .min_interval_s = 60,
          .seeds = 3,
          .leechers = 4,
          .peers = {{*Endpoint::parse("65.66.67.68:17734"), peer_id()}, {*Endpoint::parse("97.98.99.100:24930"), {}}},
          .peers6 = {{*parse_ipv6("6162:6364:6566:6768:696a:6b6c:6d6e:6f70"), 0x7172}},
          .tracker_id = "id",
          .warning = "slow"};
}

constexpr std::string_view kCompactReply =
    "d8:completei3e10:incompletei4e8:intervali1800e12:min intervali60e5:peers12:ABCDEFabcdab6:peers618:"
    "abcdefghijklmnopqr10:tracker id2:id15:warning message4:slowe";

TEST(AnnounceReply, HasTheGoldenBytesWhenCompact) {
  EXPECT_EQ(encoded(full_reply(), {.is_compact = true}), kCompactReply);
  EXPECT_EQ(encoded({.interval_s = 120}, {.is_compact = true}),
            "d8:completei0e10:incompletei0e8:intervali120e5:peers0:e");
}

TEST(AnnounceReply, HasTheGoldenBytesAsAList) {
  EXPECT_EQ(encoded(full_reply(), {.is_compact = false}),
            "d8:completei3e10:incompletei4e8:intervali1800e12:min intervali60e5:peersl"
            "d2:ip11:65.66.67.687:peer id20:-SH0100-abcdef0123454:porti17734ee"
            "d2:ip12:97.98.99.1004:porti24930ee"
            "d2:ip39:6162:6364:6566:6768:696a:6b6c:6d6e:6f704:porti29042ee"
            "e10:tracker id2:id15:warning message4:slowe");
  const std::string without_ids = encoded(full_reply(), {.is_compact = false, .omits_peer_ids = true});
  EXPECT_EQ(without_ids.find("peer id"), std::string::npos);
}

TEST(AnnounceReply, IsReadAsItWasWritten) {
  AnnounceReply compact = full_reply();
  compact.peers[0].peer_id.reset();
  EXPECT_EQ(parsed_reply(kCompactReply), compact);
  EXPECT_EQ(parsed_reply(encoded(full_reply(), {.is_compact = false})), full_reply());
  EXPECT_EQ(parsed_reply(encoded(full_reply(), {.is_compact = false, .omits_peer_ids = true})), compact);
}

TEST(AnnounceReply, IsRefusedAtEveryPrefix) {
  for (std::size_t size = 0; size < kCompactReply.size(); ++size) {
    EXPECT_FALSE(parse_http_announce_reply(view_of(kCompactReply.substr(0, size)))) << size;
  }
}

TEST(AnnounceReply, IsWhatTellsAnIntervalOrPeers) {
  for (const std::string_view text : {"d8:intervali60ee", "d5:peers0:e", "d5:peerslee", "d6:peers60:e"}) {
    EXPECT_TRUE(parsed_reply(text)) << text;
  }
  for (const std::string_view text : {"", "<html>", "de", "le", "i0e", "0:", "d5:filesdee", "d8:interval2:60e",
                                      "d5:peersi1ee", "d5:peersdee", "d8:intervali60e5:alreadyi1ee"}) {
    EXPECT_FALSE(parse_http_announce_reply(view_of(text))) << text;
  }
}

TEST(AnnounceReply, MayHaveItsKeysInAnyOrderEachOnce) {
  // As TBDev and its descendants write it.
  const auto reply = parsed_reply("d8:intervali1800e7:privatei1e12:min intervali300e5:peers6:ABCDEFe");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->interval_s, 1800u);
  EXPECT_EQ(reply->min_interval_s, 300u);
  EXPECT_EQ(reply->peers, (std::vector<AnnouncedPeer>{{*Endpoint::parse("65.66.67.68:17734"), std::nullopt}}));
  const auto list = parsed_reply("d5:peersld4:porti80e2:ip7:1.2.3.4ee8:intervali60ee");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->peers, (std::vector<AnnouncedPeer>{{*Endpoint::parse("1.2.3.4:80"), std::nullopt}}));
  EXPECT_FALSE(parsed_reply("d8:intervali60e5:peers0:8:intervali30ee"));
}

TEST(AnnounceReply, MayEndItsLine) {
  EXPECT_TRUE(parsed_reply("d8:intervali60ee\r\n"));
}

TEST(AnnounceReply, ClampsNumbersThatAreTooLargeOrNegative) {
  const auto reply = parsed_reply(
      "d8:completei-5e10:incompletei4294967296e8:intervali9223372036854775807e12:min interval"
      "1:xe");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->seeds, 0u);
  EXPECT_EQ(reply->leechers, 0xffffffffu);
  EXPECT_EQ(reply->interval_s, 0xffffffffu);
  EXPECT_EQ(reply->min_interval_s, 0u);
  EXPECT_FALSE(parsed_reply("d8:intervali9223372036854775808ee"));
}

TEST(AnnounceReply, LeavesOutPeersThatAreNoAddresses) {
  const auto reply = parsed_reply(
      "d5:peersl"
      "d2:ip12:host.example4:porti1ee"
      "d2:ip7:1.2.3.44:porti65536ee"
      "d2:ip7:1.2.3.44:porti-1ee"
      "d2:ip7:1.2.3.4e"
      "d4:porti1ee"
      "d2:ipi1e4:porti1ee"
      "i7e"
      "le"
      "d2:ip7:1.2.3.47:peer id3:abc4:porti80ee"
      "d2:ip3:::14:porti81ee"
      "ee");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->peers, (std::vector<AnnouncedPeer>{{*Endpoint::parse("1.2.3.4:80"), std::nullopt}}));
  EXPECT_EQ(reply->peers6, (std::vector<Ipv6Endpoint>{{*parse_ipv6("::1"), 81}}));
}

TEST(AnnounceReply, IgnoresARemainderOfCompactPeers) {
  const auto reply = parsed_reply("d5:peers8:ABCDEFab6:peers620:abcdefghijklmnopqrste");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->peers.size(), 1u);
  EXPECT_EQ(reply->peers6.size(), 1u);
}

TEST(AnnounceReply, CutsWhatIsMoreThanAnybodyNeeds) {
  AnnounceReply many{.interval_s = 1};
  many.peers.resize(kAnnouncePeersMax + 1);
  many.peers6.resize(kAnnouncePeersMax + 1);
  const auto compact = parsed_reply(encoded(many, {}));
  ASSERT_TRUE(compact);
  EXPECT_EQ(compact->peers.size(), kAnnouncePeersMax);
  EXPECT_EQ(compact->peers6.size(), kAnnouncePeersMax);
  const std::string peers(6 * (kAnnouncePeersMax + 1), 'a');
  EXPECT_EQ(parsed_reply("d5:peers" + std::to_string(peers.size()) + ":" + peers + "e")->peers.size(),
            kAnnouncePeersMax);
  std::string list = "d5:peersl";
  for (std::size_t i = 0; i < kAnnouncePeersMax + 1; ++i) list += "d2:ip7:1.2.3.44:porti80ee";
  EXPECT_EQ(parsed_reply(list + "ee")->peers.size(), kAnnouncePeersMax);
}

TEST(AnnounceReply, CutsLongTextsAndForgetsALongTrackerId) {
  const std::string text(kTrackerTextBytesMax + 1, 'x');
  const std::string value = std::to_string(text.size()) + ":" + text;
  const auto reply = parsed_reply("d5:peers0:10:tracker id" + value + "15:warning message" + value + "e");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->warning, text.substr(1));
  EXPECT_EQ(reply->tracker_id, "");
}

TEST(AnnounceFailure, HasAReason) {
  const Bytes body = encode_http_failure("go away");
  EXPECT_EQ(base::text_of(body), "d14:failure reason7:go awaye");
  EXPECT_EQ(parse_http_announce_reply(body), (std::variant<AnnounceReply, Failure>(Failure{"go away"})));
}

TEST(AnnounceFailure, WinsOverPeers) {
  const auto answer = parse_http_announce_reply(view_of("d14:failure reason0:8:intervali60e5:peers6:ABCDEFe"));
  EXPECT_EQ(answer, (std::variant<AnnounceReply, Failure>(Failure{})));
}

}  // namespace
}  // namespace shoal::wire
