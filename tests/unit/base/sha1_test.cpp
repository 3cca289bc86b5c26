#include "base/sha1.hpp"

#include <gtest/gtest.h>

#include <string>
#include <unordered_set>
#include <utility>

namespace shoal::base {
namespace {

std::string hex_of(std::string_view text) {
  return sha1(view_of(text)).to_hex();
}

// FIPS 180-4's own examples, and the empty message.
TEST(Sha1, GivesTheKnownHashes) {
  EXPECT_EQ(hex_of(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(hex_of("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(hex_of(std::string(1'000'000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(Sha1Hasher, TheCutsBetweenUpdatesDoNotMatter) {
  const std::string text(1000, 'x');
  for (const std::size_t step : {1u, 63u, 64u, 65u, 999u}) {
    Sha1Hasher hasher;
    for (std::size_t at = 0; at < text.size(); at += step)
      hasher.update(view_of(std::string_view(text).substr(at, step)));
    EXPECT_EQ(hasher.finish(), sha1(view_of(text)));
  }
}

TEST(Sha1Hasher, IsFreshAfterFinish) {
  Sha1Hasher hasher;
  hasher.update(view_of("something else"));
  static_cast<void>(hasher.finish());
  hasher.update(view_of("abc"));
  EXPECT_EQ(hasher.finish().to_hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hasher.finish().to_hex(), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST(Sha1Hasher, KeepsItsStateWhenMoved) {
  Sha1Hasher hasher;
  hasher.update(view_of("ab"));
  Sha1Hasher moved = std::move(hasher);
  moved.update(view_of("c"));
  EXPECT_EQ(moved.finish().to_hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(Sha1Hash, ReadsHexOfEitherCaseAndWritesLowerCase) {
  const std::string lower = "a9993e364706816aba3e25717850c26c9cd0d89d";
  EXPECT_EQ(Sha1Hash::parse_hex(lower)->to_hex(), lower);
  EXPECT_EQ(Sha1Hash::parse_hex("A9993E364706816ABA3E25717850C26C9CD0D89D")->to_hex(), lower);
}

TEST(Sha1Hash, RefusesWhatIsNotFortyHexDigits) {
  const std::string digits(40, 'a');
  EXPECT_FALSE(Sha1Hash::parse_hex(""));
  EXPECT_FALSE(Sha1Hash::parse_hex(digits.substr(1)));
  EXPECT_FALSE(Sha1Hash::parse_hex(digits + "a"));
  for (const char wrong : {'g', 'G', '/', ':', '@', '`', ' ', '\0', '-'}) {
    for (const std::size_t at : {0u, 39u}) {
      std::string text = digits;
      text[at] = wrong;
      EXPECT_FALSE(Sha1Hash::parse_hex(text)) << text;
    }
  }
}

TEST(Sha1Hash, IsMadeOfTwentyBytes) {
  const Sha1Hash hash = sha1(view_of("abc"));
  EXPECT_EQ(Sha1Hash::from_bytes(hash.bytes), hash);
  EXPECT_EQ(Sha1Hash::from_bytes(hash.bytes).to_hex().size(), 40u);
}

TEST(Sha1HashDeathTest, RefusesAnotherNumberOfBytes) {
  const Bytes bytes(21);
  EXPECT_DEATH(static_cast<void>(Sha1Hash::from_bytes(bytes)), "internal error");
}

TEST(Sha1Hash, CanBeKeptInASet) {
  const std::unordered_set<Sha1Hash> known = {sha1(view_of("a")), sha1(view_of("b")), sha1(view_of("a"))};
  EXPECT_EQ(known.size(), 2u);
}

}  // namespace
}  // namespace shoal::base
