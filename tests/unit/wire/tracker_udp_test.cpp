#include <gtest/gtest.h>

#include <algorithm>

#include "golden/hex.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::wire {
namespace {

using base::Bytes;
using base::ByteView;
using base::Endpoint;
using base::Sha1Hash;
using golden::from_hex;
using golden::plain;
using golden::to_hex;

const Sha1Hash kUdpHash = *Sha1Hash::parse_hex("123456789abcdef123456789abcdef123456789a");

// The tables of BEP 15, filled in.
constexpr std::string_view kConnect = "0000041727101980 00000000 0000a1b2";
constexpr std::string_view kAnnounceDatagram =
    "00000000deadbeef 00000001 0000a1b2 123456789abcdef123456789abcdef123456789a"
    "2d5348303130302d616263646566303132333435 0000000000000002 0000000000000003 0000000000000001 00000002 0a000001"
    "0000beef 00000050 1ae1";
constexpr std::string_view kScrape =
    "00000000deadbeef 00000002 0000a1b2 123456789abcdef123456789abcdef123456789a"
    "0000000000000000000000000000000000000000";
constexpr std::string_view kConnected = "00000000 0000a1b2 00000000deadbeef";
constexpr std::string_view kAnnounced = "00000001 0000a1b2 00000708 00000004 00000003 0a000001 1ae1 0a000002 0050";
constexpr std::string_view kScraped = "00000002 0000a1b2 0000000b 000035cc 00000013 00000000 00000000 00000000";
constexpr std::string_view kFailed = "00000003 0000a1b2 676f2061776179";

UdpAnnounce announce() {
  UdpAnnounce announce{.connection = 0xdeadbeef,
                       .transaction = 0xa1b2,
                       .request = {.info_hash = kUdpHash,
                                   .port = 6881,
                                   .uploaded = 1,
                                   .downloaded = 2,
                                   .left = 3,
                                   .event = AnnounceEvent::started,
                                   .key = 0xbeef,
                                   .peers_wanted = 80,
                                   .address = base::Ipv4Address{0x0a000001}}};
  std::ranges::copy(base::view_of("-SH0100-abcdef012345"), announce.request.peer_id.begin());
  return announce;
}

struct GoldenRequest {
  UdpRequest request;
  std::string_view hex;
};
std::vector<GoldenRequest> golden_requests() {
  return {{UdpConnect{0xa1b2}, kConnect},
          {announce(), kAnnounceDatagram},
          {UdpScrape{0xdeadbeef, 0xa1b2, {kUdpHash, Sha1Hash{}}}, kScrape}};
}

struct GoldenReply {
  UdpReply reply;
  std::string_view hex;
};
std::vector<GoldenReply> golden_replies() {
  const AnnounceReply told{.interval_s = 1800,
                           .seeds = 3,
                           .leechers = 4,
                           .peers = {{*Endpoint::parse("10.0.0.1:6881"), {}}, {*Endpoint::parse("10.0.0.2:80"), {}}}};
  return {{UdpConnected{0xa1b2, 0xdeadbeef}, kConnected},
          {UdpAnnounced{0xa1b2, told}, kAnnounced},
          {UdpScraped{0xa1b2, {{.seeds = 11, .downloads = 13772, .leechers = 19}, {}}}, kScraped},
          {UdpFailed{0xa1b2, "go away"}, kFailed}};
}

// kAnnounceDatagram with other bytes at an offset.
std::optional<UdpRequest> announce_with(std::size_t offset, std::string_view hex) {
  Bytes datagram = from_hex(kAnnounceDatagram);
  std::ranges::copy(from_hex(hex), datagram.begin() + static_cast<std::ptrdiff_t>(offset));
  return parse_udp_request(datagram);
}

AnnounceRequest request_with(std::size_t offset, std::string_view hex) {
  const auto request = announce_with(offset, hex);
  if (!request) {
    ADD_FAILURE() << offset;
    return {};
  }
  return std::get<UdpAnnounce>(*request).request;
}

// --- Requests ---

TEST(UdpRequests, HaveTheGoldenBytes) {
  for (const GoldenRequest& golden : golden_requests()) EXPECT_EQ(to_hex(encode(golden.request)), plain(golden.hex));
}

TEST(UdpRequests, HaveTheSizesOfBep15) {
  EXPECT_EQ(encode(UdpRequest(UdpConnect{})).size(), 16u);
  EXPECT_EQ(encode(UdpRequest(UdpAnnounce{})).size(), 98u);
  EXPECT_EQ(encode(UdpRequest(UdpScrape{.info_hashes = {kUdpHash}})).size(), 36u);
}

TEST(UdpRequests, AreReadFromTheGoldenBytes) {
  for (const GoldenRequest& golden : golden_requests())
    EXPECT_EQ(parse_udp_request(from_hex(golden.hex)), golden.request);
}

TEST(UdpRequests, AreRefusedAtEveryPrefix) {
  for (const std::string_view hex : {kConnect, kAnnounceDatagram}) {
    const Bytes datagram = from_hex(hex);
    for (std::size_t size = 0; size < datagram.size(); ++size) {
      EXPECT_FALSE(parse_udp_request(ByteView(datagram).first(size))) << size;
    }
  }
  const Bytes scrape = from_hex(kScrape);
  for (std::size_t size = 0; size < scrape.size(); ++size) {
    EXPECT_EQ(parse_udp_request(ByteView(scrape).first(size)).has_value(), size == 36) << size;
  }
}

TEST(UdpRequests, RefuseAConnectWithoutTheMagicNumberOrWithMore) {
  EXPECT_FALSE(parse_udp_request(from_hex("0000041727101981 00000000 0000a1b2")));
  EXPECT_FALSE(parse_udp_request(from_hex("0000000000000000 00000000 0000a1b2")));
  EXPECT_FALSE(parse_udp_request(from_hex("0000041727101980 00000000 0000a1b2 00")));
}

TEST(UdpRequests, RefuseAnUnknownAction) {
  for (const std::string_view action : {"00000003", "00000004", "ffffffff", "01000000"}) {
    EXPECT_FALSE(announce_with(8, action)) << action;
  }
}

TEST(UdpRequests, IgnoreTheOptionsBehindAnAnnounce) {
  Bytes datagram = from_hex(kAnnounceDatagram);
  const Bytes options = from_hex("02 09 2f616e6e6f756e6365");  // BEP 41: "/announce"
  datagram.insert(datagram.end(), options.begin(), options.end());
  EXPECT_EQ(parse_udp_request(datagram), UdpRequest(announce()));
}

TEST(UdpRequests, ReadAnUnknownEventAsNone) {
  EXPECT_EQ(request_with(80, "00000003").event, AnnounceEvent::stopped);
  EXPECT_EQ(request_with(80, "00000004").event, AnnounceEvent::none);
  EXPECT_EQ(request_with(80, "ffffffff").event, AnnounceEvent::none);
}

TEST(UdpRequests, ReadNoAddressAndTheUsualNumberOfPeers) {
  EXPECT_EQ(request_with(84, "00000000").address, std::nullopt);
  EXPECT_EQ(request_with(92, "ffffffff").peers_wanted, std::nullopt);
  EXPECT_EQ(request_with(92, "80000000").peers_wanted, std::nullopt);
  AnnounceRequest plain_request = announce().request;
  plain_request.address.reset();
  plain_request.peers_wanted.reset();
  const UdpRequest request = UdpAnnounce{1, 2, plain_request};
  EXPECT_EQ(parse_udp_request(encode(request)), request);
}

TEST(UdpRequests, ClampTheNumberOfPeersWanted) {
  EXPECT_EQ(request_with(92, "7fffffff").peers_wanted, kAnnouncePeersMax);
  EXPECT_EQ(request_with(92, "00000000").peers_wanted, 0u);
}

TEST(UdpRequests, ScrapeUpTo74) {
  UdpScrape scrape{.info_hashes = std::vector<Sha1Hash>(kScrapeHashesMax, kUdpHash)};
  Bytes datagram = encode(UdpRequest(scrape));
  EXPECT_EQ(parse_udp_request(datagram), UdpRequest(scrape));
  datagram.resize(datagram.size() + Sha1Hash::kSize);
  EXPECT_FALSE(parse_udp_request(datagram));
}

// --- Replies ---

TEST(UdpReplies, HaveTheGoldenBytes) {
  for (const GoldenReply& golden : golden_replies()) EXPECT_EQ(to_hex(encode(golden.reply)), plain(golden.hex));
}

TEST(UdpReplies, AreReadFromTheGoldenBytes) {
  for (const GoldenReply& golden : golden_replies()) EXPECT_EQ(parse_udp_reply(from_hex(golden.hex)), golden.reply);
}

TEST(UdpReplies, AreRefusedAtEveryPrefixOfTheirHeads) {
  const struct {
    std::string_view hex;
    std::size_t head_bytes;
  } cases[] = {{kConnected, 16}, {kAnnounced, 20}, {kScraped, 8}, {kFailed, 8}};
  for (const auto& golden : cases) {
    const Bytes datagram = from_hex(golden.hex);
    for (std::size_t size = 0; size <= datagram.size(); ++size) {
      EXPECT_EQ(parse_udp_reply(ByteView(datagram).first(size)).has_value(), size >= golden.head_bytes) << size;
    }
  }
}

TEST(UdpReplies, RefuseAnUnknownAction) {
  EXPECT_FALSE(parse_udp_reply(from_hex("00000004 0000a1b2 00000000deadbeef")));
}

TEST(UdpReplies, IgnoreAPeerOrEntryThatIsCutShort) {
  const Bytes announced = from_hex(plain(kAnnounced) + "0a0000");
  EXPECT_EQ(std::get<UdpAnnounced>(*parse_udp_reply(announced)).reply.peers.size(), 2u);
  const Bytes scraped = from_hex(plain(kScraped) + "00000000 0000");
  EXPECT_EQ(std::get<UdpScraped>(*parse_udp_reply(scraped)).entries.size(), 2u);
}

TEST(UdpReplies, CutWhatIsMoreThanAnybodyNeeds) {
  Bytes announced = from_hex(kAnnounced);
  announced.resize(20 + 6 * (kAnnouncePeersMax + 1));
  const auto reply = parse_udp_reply(announced);
  EXPECT_EQ(std::get<UdpAnnounced>(*reply).reply.peers.size(), kAnnouncePeersMax);
  UdpAnnounced many;
  many.reply.peers.resize(kAnnouncePeersMax + 1);
  EXPECT_EQ(encode(UdpReply(many)).size(), 20 + 6 * kAnnouncePeersMax);
  Bytes failed = from_hex(kFailed);
  failed.resize(8 + kTrackerTextBytesMax + 1);
  EXPECT_EQ(std::get<UdpFailed>(*parse_udp_reply(failed)).reason.size(), kTrackerTextBytesMax);
}

}  // namespace
}  // namespace shoal::wire
