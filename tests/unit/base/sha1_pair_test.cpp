#include "base/sha1_pair.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace shoal::base {
namespace {

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
  Rng rng(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.next());
  return bytes;
}

// Either way that this processor has.
class Sha1PairWays : public ::testing::TestWithParam<Sha1Pair::Way> {
 protected:
  static std::array<Sha1Hash, 2> hashed(ByteView first, ByteView second) {
    Sha1Pair pair(GetParam());
    pair.update(first, second);
    return pair.finish();
  }
};
INSTANTIATE_TEST_SUITE_P(Both, Sha1PairWays,
                         ::testing::Values(Sha1Pair::Way::one_after_the_other, Sha1Pair::best_way()));

TEST_P(Sha1PairWays, HashesTheExamplesOfTheStandard) {
  EXPECT_EQ(hashed(view_of("abc"), view_of("abd"))[0].to_hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hashed({}, {})[1].to_hex(), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  const ByteView longer = view_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
  EXPECT_EQ(hashed(longer, longer)[1].to_hex(), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

TEST_P(Sha1PairWays, AgreesWithTheOneHasherForEveryLengthAroundBlocks) {
  const Bytes first = random_bytes(300, 1);
  const Bytes second = random_bytes(300, 2);
  for (std::size_t size = 0; size <= first.size(); ++size) {
    const ByteView one = ByteView(first).first(size);
    const ByteView two = ByteView(second).first(size);
    EXPECT_EQ(hashed(one, two), (std::array{sha1(one), sha1(two)})) << size;
  }
}

TEST_P(Sha1PairWays, ItDoesNotMatterHowTheBytesAreCut) {
  const Bytes first = random_bytes(100'000, 3);
  const Bytes second = random_bytes(100'000, 4);
  const std::array wanted{sha1(first), sha1(second)};
  Rng rng(5);
  for (const std::uint64_t step_max : {1u, 3u, 63u, 64u, 65u, 1000u, 40'000u}) {
    Sha1Pair pair(GetParam());
    for (std::size_t at = 0; at < first.size();) {
      const std::size_t count = std::min<std::size_t>(rng.below(step_max + 1), first.size() - at);
      pair.update(ByteView(first).subspan(at, count), ByteView(second).subspan(at, count));
      at += count;
    }
    EXPECT_EQ(pair.finish(), wanted) << step_max;
  }
}

TEST_P(Sha1PairWays, TheLengthIsCountedInMoreThanThirtyTwoBits) {
  // 2^29 bytes are 2^32 bits.
  const Bytes zeros(1u << 20);
  Sha1Pair pair(GetParam());
  Sha1Hasher one;
  for (int i = 0; i < 520; ++i) {
    pair.update(zeros, zeros);
    one.update(zeros);
  }
  const Sha1Hash wanted = one.finish();
  EXPECT_EQ(pair.finish(), (std::array{wanted, wanted}));
}

TEST_P(Sha1PairWays, CanBeMoved) {
  Sha1Pair pair(GetParam());
  pair.update(view_of("a"), view_of("a"));
  Sha1Pair moved = std::move(pair);
  moved.update(view_of("bc"), view_of("bd"));
  EXPECT_EQ(moved.finish()[0], sha1(view_of("abc")));
}

}  // namespace
}  // namespace shoal::base
