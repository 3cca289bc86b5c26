#include "metainfo/magnet.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "golden/torrent_golden.hpp"
#include "metainfo/urls.hpp"

namespace shoal::metainfo {
namespace {

using Strings = std::vector<std::string>;

const std::string kHash(golden::kHelloInfoHash);
const std::string kLink = "magnet:?xt=urn:btih:" + kHash;

Magnet parsed(const std::string& text) {
  auto magnet = parse_magnet(text);
  EXPECT_TRUE(magnet) << describe(magnet.error()) << ": " << text.substr(0, 200);
  return magnet ? std::move(*magnet) : Magnet{};
}

void expect_refused(const std::string& text, MagnetError error) {
  const auto magnet = parse_magnet(text);
  ASSERT_FALSE(magnet) << text.substr(0, 200);
  EXPECT_EQ(describe(magnet.error()), describe(error)) << text.substr(0, 200);
}

TEST(Magnet, ReadsAndWritesTheGoldenLink) {
  const Magnet magnet = parsed(std::string(golden::kHelloMagnet));
  EXPECT_EQ(magnet.info_hash.to_hex(), kHash);
  EXPECT_EQ(magnet.name, "hello.txt");
  EXPECT_EQ(magnet.trackers, Strings{"http://127.0.0.1:8000"});
  EXPECT_EQ(encode_magnet(magnet), golden::kHelloMagnet);
}

TEST(Magnet, TheInfoHashAloneIsEnough) {
  const Magnet magnet = parsed(kLink);
  EXPECT_EQ(magnet, Magnet{.info_hash = magnet.info_hash});
  EXPECT_EQ(encode_magnet(magnet), kLink);
}

TEST(Magnet, ReadsBase32InEitherCase) {
  // RFC 4648: "fooba" is MZXW6YTB; four times that are 20 bytes.
  const Magnet magnet = parsed("magnet:?xt=urn:btih:MZXW6YTBMZXW6YTBmzxw6ytbmzxw6ytb");
  EXPECT_EQ(base::text_of(magnet.info_hash.bytes), "foobafoobafoobafooba");
  EXPECT_EQ(parsed("magnet:?xt=urn:btih:" + std::string(32, '7')).info_hash.to_hex(), std::string(40, 'f'));
}

TEST(Magnet, LettersOfEitherCaseMeanTheSame) {
  EXPECT_EQ(parsed("MAGNET:?XT=URN:BTIH:" + kHash).info_hash.to_hex(), kHash);
  EXPECT_EQ(parsed("magnet:?xt=urn:btih:6EEB0DA37AA5A48D0E4A4B244865EA86C56D34E7").info_hash.to_hex(), kHash);
}

TEST(Magnet, ReadsTrackersWebSeedsAndPeers) {
  const Magnet magnet = parsed(kLink +
                               "&tr=udp%3A%2F%2Fa%3A1&tr.1=http://b/announce?x=1%262&ws=http%3a%2f%2Fs%2Ff&x.pe="
                               "10.0.0.1:6881&x.pe=10.0.0.2%3A6882");
  EXPECT_EQ(magnet.trackers, (Strings{"udp://a:1", "http://b/announce?x=1&2"}));
  EXPECT_EQ(magnet.web_seeds, Strings{"http://s/f"});
  EXPECT_EQ(magnet.peers, (std::vector<base::Endpoint>{{{0x0a000001}, 6881}, {{0x0a000002}, 6882}}));
  EXPECT_EQ(parsed(encode_magnet(magnet)), magnet);
}

TEST(Magnet, APlusIsABlankInANameAndItselfInAUrl) {
  const Magnet magnet = parsed(kLink + "&dn=a+b%2Bc%20d&tr=http://x/?a+b");
  EXPECT_EQ(magnet.name, "a b+c d");
  EXPECT_EQ(magnet.trackers, Strings{"http://x/?a+b"});
  EXPECT_EQ(parsed(encode_magnet(magnet)), magnet);
}

TEST(Magnet, ANameOfAnyBytesComesBackAsItWas) {
  std::string name;
  for (int byte = 0; byte < 256; ++byte) name += static_cast<char>(byte);
  const std::string text = encode_magnet({.name = name});
  EXPECT_EQ(parsed(text).name, name);
  for (const char c : text) EXPECT_TRUE(c > ' ' && c < '\x7f');
}

TEST(Magnet, PassesOverWhatItDoesNotKnow) {
  const Magnet magnet = parsed("magnet:?&&xl=123&as=http://x&flag&=&x.y.z=1&xt=urn:sha1:ABC&xt.1=urn:btih:" + kHash);
  EXPECT_EQ(magnet, Magnet{.info_hash = magnet.info_hash});
}

TEST(Magnet, TakesTheFirstVersionOfAHybrid) {
  EXPECT_EQ(parsed("magnet:?xt=urn:btmh:1220" + std::string(64, 'a') + "&xt=urn:btih:" + kHash).info_hash.to_hex(),
            kHash);
}

TEST(Magnet, LeavesOutUrlsAndPeersThatAreNone) {
  const Magnet magnet = parsed(kLink +
                               "&tr=&tr=x&tr=http%3A%2F%2Fa%0Ab&ws=file&x.pe=host:1&x.pe=1.2.3.4&x.pe=1.2.3.4:0&x.pe="
                               "[::1]:80&x.pe=1.2.3.4:70000");
  EXPECT_EQ(magnet, Magnet{.info_hash = magnet.info_hash});
}

TEST(Magnet, TakesEachUrlAndPeerOnceAndNotTooMany) {
  std::string link = kLink + "&tr=http://a&tr=http://a&x.pe=1.2.3.4:5&x.pe=1.2.3.4:5";
  EXPECT_EQ(parsed(link).trackers.size(), 1u);
  EXPECT_EQ(parsed(link).peers.size(), 1u);
  for (int i = 0; i < 1000; ++i) {
    link +=
        "&tr=http://" + std::to_string(i) + "&ws=http://" + std::to_string(i) + "&x.pe=1.2.3.4:" + std::to_string(i);
  }
  const Magnet magnet = parsed(link);
  EXPECT_EQ(magnet.trackers.size(), kTrackersMax);
  EXPECT_EQ(magnet.web_seeds.size(), kWebSeedsMax);
  EXPECT_EQ(magnet.peers.size(), kMagnetPeersMax);
  EXPECT_EQ(parsed(encode_magnet(magnet)), magnet);
}

TEST(Magnet, RefusesWhatIsNoMagnetLink) {
  for (const std::string text : {"", "magnet:", "magnet", "http://x", "xt=urn:btih:"}) {
    expect_refused(text, MagnetError::not_a_magnet);
  }
  expect_refused(" " + kLink, MagnetError::not_a_magnet);
  expect_refused(kLink + "&dn=" + std::string(kMagnetBytesMax, 'x'), MagnetError::too_long);
}

TEST(Magnet, RefusesALinkWithoutAnInfoHash) {
  for (const std::string text :
       {"magnet:?", "magnet:?dn=x", "magnet:?xt=urn:sha1:AAAA", "magnet:?xt=btih:", "magnet:?xt"}) {
    expect_refused(text, MagnetError::no_info_hash);
  }
}

TEST(Magnet, RefusesAnInfoHashThatIsNone) {
  for (const std::string& hash :
       {std::string(), kHash.substr(1), kHash + "0", "g" + kHash.substr(1), std::string(32, '1'), std::string(31, 'A'),
        std::string(32, '8'), std::string(33, 'A')}) {
    expect_refused("magnet:?xt=urn:btih:" + hash, MagnetError::bad_info_hash);
  }
}

TEST(Magnet, RefusesALinkToTwoTorrents) {
  expect_refused(kLink + "&xt=urn:btih:" + std::string(40, '0'), MagnetError::two_info_hashes);
  EXPECT_EQ(parsed(kLink + "&xt=urn:btih:" + kHash).info_hash.to_hex(), kHash);
}

TEST(Magnet, RefusesVersionTwoAlone) {
  expect_refused("magnet:?xt=urn:btmh:1220" + std::string(64, 'a'), MagnetError::version_2_only);
}

TEST(Magnet, RefusesEscapesThatAreNoneInWhatItNames) {
  for (const std::string escape : {"%", "%2", "%zz", "%2x", "%x2", "%%41"}) {
    expect_refused(fmt::format("magnet:?xt=urn:btih:{}{}", kHash, escape), MagnetError::bad_escape);
    expect_refused(fmt::format("{}&xt={}&dn=x", kLink, escape), MagnetError::bad_escape);
  }
}

TEST(Magnet, LeavesOutWhatIsBadlyEscapedAndTakesANameAsItIs) {
  for (const std::string escape : {"%", "%2", "%zz", "%2x", "%x2", "%%41"}) {
    for (const std::string key : {"tr", "ws", "x.pe", "unknown"}) {
      const Magnet magnet = parsed(fmt::format("{0}&{1}=http://a/{2}&tr=http://b&{1}={2}", kLink, key, escape));
      EXPECT_EQ(magnet, (Magnet{.info_hash = magnet.info_hash, .trackers = {"http://b"}})) << key << escape;
    }
    EXPECT_EQ(parsed(fmt::format("{}&dn={}&tr=http://b", kLink, escape)).name, escape);
  }
  EXPECT_EQ(parsed(kLink + "&dn=100% real").name, "100% real");
  EXPECT_EQ(parsed(kLink + "&dn=100%+real").name, "100% real");
}

TEST(Magnet, NoPrefixOfALinkIsTakenForMore) {
  const std::string whole = encode_magnet(
      {.info_hash = parsed(kLink).info_hash, .name = "\xc3\xa4", .trackers = {"http://a"}, .peers = {{{1}, 2}}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto magnet = parse_magnet(whole.substr(0, size));
    EXPECT_EQ(magnet.has_value() && size < kLink.size(), false) << size;
  }
}

}  // namespace
}  // namespace shoal::metainfo
