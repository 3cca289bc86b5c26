#include "wire/local_discovery.hpp"

#include <gtest/gtest.h>

namespace shoal::wire {
namespace {

using base::Sha1Hash;
using base::text_of;
using base::view_of;

constexpr std::string_view kHex = "0123456789abcdef0123456789abcdef01234567";
constexpr std::string_view kOtherHex = "ffffffffffffffffffffffffffffffffffffffff";

// The form of BEP 14.
constexpr std::string_view kGolden =
    "BT-SEARCH * HTTP/1.1\r\n"
    "Host: 239.192.152.143:6771\r\n"
    "Port: 6881\r\n"
    "Infohash: 0123456789abcdef0123456789abcdef01234567\r\n"
    "cookie: 00c0ffee\r\n"
    "\r\n"
    "\r\n";

LocalSearch golden_search() {
  return {.port = 6881, .info_hashes = {*Sha1Hash::parse_hex(kHex)}, .cookie = "00c0ffee"};
}

std::optional<LocalSearch> parsed_search(std::string_view text) {
  return parse_local_search(view_of(text));
}

// A search with these lines, each without its end.
std::optional<LocalSearch> parsed_lines(const std::vector<std::string>& lines) {
  std::string text = "BT-SEARCH * HTTP/1.1\r\n";
  for (const std::string& line : lines) text += line + "\r\n";
  return parsed_search(text + "\r\n\r\n");
}

const std::string kPort = "Port: 6881";
const std::string kInfohash = "Infohash: " + std::string(kHex);

TEST(LocalSearch, HasTheGoldenBytes) {
  EXPECT_EQ(text_of(encode(golden_search())), kGolden);
  EXPECT_EQ(parsed_search(kGolden), golden_search());
}

TEST(LocalSearch, GoesToTheGroupOfBep14) {
  EXPECT_EQ(kLocalDiscoveryGroup.to_string(), "239.192.152.143:6771");
}

TEST(LocalSearch, IsReadAsItWasWritten) {
  const LocalSearch plain{.port = 1, .info_hashes = {*Sha1Hash::parse_hex(kHex)}, .cookie = ""};
  EXPECT_EQ(parse_local_search(encode(plain)), plain);
  const LocalSearch largest{.port = 65535,
                            .info_hashes = std::vector<Sha1Hash>(24, *Sha1Hash::parse_hex(kOtherHex)),
                            .cookie = std::string(64, 'c')};
  EXPECT_LE(encode(largest).size(), kLocalDiscoveryBytesMax);
  EXPECT_EQ(parse_local_search(encode(largest)), largest);
}

TEST(LocalSearch, IsRefusedAtEveryPrefixBeforeItsEmptyLine) {
  for (std::size_t size = 0; size <= kGolden.size(); ++size) {
    EXPECT_EQ(parsed_search(kGolden.substr(0, size)).has_value(), size >= kGolden.size() - 2) << size;
  }
}

TEST(LocalSearch, MayNameSeveralTorrents) {
  const auto search = parsed_lines({kInfohash, kPort, "Infohash: " + std::string(kOtherHex)});
  ASSERT_TRUE(search);
  EXPECT_EQ(search->info_hashes, (std::vector{*Sha1Hash::parse_hex(kHex), *Sha1Hash::parse_hex(kOtherHex)}));
}

TEST(LocalSearch, IsReadInAnyOrderAndCase) {
  EXPECT_EQ(
      parsed_search("BT-SEARCH * HTTP/1.0\nCOOKIE:00c0ffee \ninfohash:\t0123456789ABCDEF0123456789ABCDEF01234567\n"
                    "X-Other: yes\nPORT:6881\n\n"),
      golden_search());
}

TEST(LocalSearch, NeedsNoHostAndNoCookie) {
  const auto search = parsed_lines({kPort, kInfohash});
  ASSERT_TRUE(search);
  EXPECT_EQ(search->cookie, "");
}

TEST(LocalSearch, RefusesAnotherFirstLine) {
  const std::string rest = "\r\n" + kPort + "\r\n" + kInfohash + "\r\n\r\n\r\n";
  EXPECT_TRUE(parsed_search("BT-SEARCH * HTTP/1.1" + rest));
  for (const std::string_view line : {"", "M-SEARCH * HTTP/1.1", "BT-SEARCH / HTTP/1.1", "BT-SEARCH * HTTP/2.0",
                                      "BT-SEARCH * HTTP/1.1 ", "bt-search * HTTP/1.1", "BT-SEARCH * HTTP/"}) {
    EXPECT_FALSE(parsed_search(std::string(line) + rest)) << line;
  }
}

TEST(LocalSearch, RefusesAPortThatIsNone) {
  for (const std::string_view port : {"", "0", "65536", "-1", "x", "6881x"}) {
    EXPECT_FALSE(parsed_lines({"Port: " + std::string(port), kInfohash})) << port;
  }
  EXPECT_FALSE(parsed_lines({kInfohash}));
  EXPECT_FALSE(parsed_lines({kPort, kPort, kInfohash}));
}

TEST(LocalSearch, IgnoresInfoHashesThatAreNone) {
  EXPECT_EQ(parsed_lines({kPort, "Infohash: 0123", "Infohash: " + std::string(40, 'g'), kInfohash})->info_hashes.size(),
            1u);
  EXPECT_FALSE(parsed_lines({kPort, "Infohash: " + std::string(kHex) + "0"}));
  EXPECT_FALSE(parsed_lines({kPort, "Infohash:"}));
  EXPECT_FALSE(parsed_lines({kPort}));
}

TEST(LocalSearch, RefusesALineThatIsNoField) {
  EXPECT_FALSE(parsed_lines({kPort, kInfohash, "nothing"}));
  EXPECT_FALSE(parsed_lines({kPort, kInfohash, "cookie: \x01"}));
}

TEST(LocalSearch, RefusesALongerDatagramThanAnybodySends) {
  std::string text(kGolden);
  text.insert(text.size() - 4, "X: " + std::string(kLocalDiscoveryBytesMax - text.size() - 5, 'x') + "\r\n");
  EXPECT_EQ(text.size(), kLocalDiscoveryBytesMax);
  EXPECT_TRUE(parsed_search(text));
  EXPECT_FALSE(parsed_search(text + "\n"));
}

}  // namespace
}  // namespace shoal::wire
