#include "base/sha1_pair.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/check.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace shoal::base {
namespace {

constexpr std::size_t kBlockBytes = 64;  // FIPS 180-4, section 1

#if defined(__x86_64__)

// Compiled for processors that have them, whatever the rest is compiled for; called only where has_sha_instructions().
#define SHOAL_SHA_CODE __attribute__((target("sha,sse4.1,ssse3")))
#define SHOAL_SHA_INLINE SHOAL_SHA_CODE __attribute__((always_inline)) inline

// Registers in the order the instructions want: `abcd` has A in its highest word, `e` has E there.
struct Lane {
  __m128i abcd;
  __m128i e;
};

struct Working {
  Lane lane;
  __m128i schedule[4];  // the last 16 words of the message schedule
};

// Rounds 4 * Group to 4 * Group + 3.
template <int Group>
SHOAL_SHA_INLINE void do_four_rounds(Working& work) {
  __m128i& words = work.schedule[Group % 4];
  if constexpr (Group >= 4) {
    words = _mm_sha1msg1_epu32(words, work.schedule[(Group + 1) % 4]);
    words = _mm_xor_si128(words, work.schedule[(Group + 2) % 4]);
    words = _mm_sha1msg2_epu32(words, work.schedule[(Group + 3) % 4]);
  }
  const __m128i input = Group == 0 ? _mm_add_epi32(work.lane.e, words) : _mm_sha1nexte_epu32(work.lane.e, words);
  work.lane.e = work.lane.abcd;
  work.lane.abcd = _mm_sha1rnds4_epu32(work.lane.abcd, input, Group / 5);
}

template <int... Groups>
SHOAL_SHA_INLINE void do_all_rounds(Working& first, Working& second, std::integer_sequence<int, Groups...>) {
  ((do_four_rounds<Groups>(first), do_four_rounds<Groups>(second)), ...);
}

SHOAL_SHA_INLINE void load(Working& work, const std::byte* block) {
  const __m128i big_endian = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
  for (int i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + i);
    work.schedule[i] = _mm_shuffle_epi8(bytes, big_endian);
  }
}

SHOAL_SHA_INLINE void add(Working& work, const Lane& before) {
  work.lane.e = _mm_sha1nexte_epu32(work.lane.e, before.e);
  work.lane.abcd = _mm_add_epi32(work.lane.abcd, before.abcd);
}

SHOAL_SHA_CODE void hash_blocks(std::array<Lane, 2>& lanes, const std::byte* first, const std::byte* second,
                                std::size_t blocks) {
  Working one{.lane = lanes[0], .schedule = {}};
  Working two{.lane = lanes[1], .schedule = {}};
  for (; blocks > 0; --blocks, first += kBlockBytes, second += kBlockBytes) {
    const Lane one_before = one.lane;
    const Lane two_before = two.lane;
    load(one, first);
    load(two, second);
    do_all_rounds(one, two, std::make_integer_sequence<int, 20>());
    add(one, one_before);
    add(two, two_before);
  }
  lanes = {one.lane, two.lane};
}

bool has_sha_instructions() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kSsse3 = 1u << 9, kSse41 = 1u << 19, kSha = 1u << 29;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kSsse3) == 0 || (ecx & kSse41) == 0) return false;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & kSha) != 0;
}

std::array<Lane, 2> initial_lanes() {
  const Lane lane{
      .abcd = _mm_set_epi32(0x67452301, static_cast<int>(0xefcdab89), static_cast<int>(0x98badcfe), 0x10325476),
      .e = _mm_set_epi32(static_cast<int>(0xc3d2e1f0), 0, 0, 0)};
  return {lane, lane};
}

Sha1Hash hash_of(const Lane& lane) {
  std::array<std::uint32_t, 4> abcd{};
  std::array<std::uint32_t, 4> e{};
  _mm_storeu_si128(reinterpret_cast<__m128i*>(abcd.data()), lane.abcd);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(e.data()), lane.e);
  ByteWriter out(Sha1Hash::kSize);
  out.u32(abcd[3]).u32(abcd[2]).u32(abcd[1]).u32(abcd[0]).u32(e[3]);
  return Sha1Hash::from_bytes(out.take());
}

// Bytes are put together to blocks here; both lanes always have as many.
class FastPair {
 public:
  void update(ByteView first, ByteView second) {
    total_bytes_ += first.size();
    if (rest_bytes_ > 0) {
      const std::size_t count = std::min(kBlockBytes - rest_bytes_, first.size());
      keep(first.first(count), second.first(count));
      first = first.subspan(count);
      second = second.subspan(count);
      if (rest_bytes_ < kBlockBytes) return;
      hash_blocks(lanes_, rest_[0].data(), rest_[1].data(), 1);
      rest_bytes_ = 0;
    }
    const std::size_t blocks = first.size() / kBlockBytes;
    hash_blocks(lanes_, first.data(), second.data(), blocks);
    keep(first.subspan(blocks * kBlockBytes), second.subspan(blocks * kBlockBytes));
  }

  // FIPS 180-4, section 5.1.1: a one bit, zeros, and the length in bits at the end of a block.
  std::array<Sha1Hash, 2> finish() {
    const std::uint64_t bits = total_bytes_ * 8;
    ByteWriter padding(2 * kBlockBytes);
    padding.u8(0x80).zeros((2 * kBlockBytes - rest_bytes_ - 1 - sizeof bits) % kBlockBytes).u64(bits);
    const Bytes bytes = padding.take();
    update(bytes, bytes);
    SHOAL_CHECK(rest_bytes_ == 0);
    return {hash_of(lanes_[0]), hash_of(lanes_[1])};
  }

 private:
  void keep(ByteView first, ByteView second) {
    std::ranges::copy(first, rest_[0].begin() + static_cast<std::ptrdiff_t>(rest_bytes_));
    std::ranges::copy(second, rest_[1].begin() + static_cast<std::ptrdiff_t>(rest_bytes_));
    rest_bytes_ += first.size();
  }

  std::array<Lane, 2> lanes_ = initial_lanes();
  std::array<std::array<std::byte, kBlockBytes>, 2> rest_{};  // the beginning of the next block
  std::size_t rest_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
};

#else

bool has_sha_instructions() {
  return false;
}

#endif

class PlainPair {
 public:
  void update(ByteView first, ByteView second) {
    hashers_[0].update(first);
    hashers_[1].update(second);
  }
  std::array<Sha1Hash, 2> finish() { return {hashers_[0].finish(), hashers_[1].finish()}; }

 private:
  std::array<Sha1Hasher, 2> hashers_;
};

#if defined(__x86_64__)
using AnyPair = std::variant<PlainPair, FastPair>;
#else
using AnyPair = std::variant<PlainPair>;
#endif

AnyPair make_any_pair(Sha1Pair::Way way) {
  if (way == Sha1Pair::Way::one_after_the_other) return PlainPair();
  SHOAL_CHECK(Sha1Pair::best_way() == way);
#if defined(__x86_64__)
  return FastPair();
#else
  return PlainPair();
#endif
}

}  // namespace

struct Sha1Pair::State {
  AnyPair pair;
};

Sha1Pair::Sha1Pair(Way way) : state_(std::make_unique<State>(make_any_pair(way))) {}
Sha1Pair::~Sha1Pair() = default;
Sha1Pair::Sha1Pair(Sha1Pair&&) noexcept = default;
Sha1Pair& Sha1Pair::operator=(Sha1Pair&&) noexcept = default;

void Sha1Pair::update(ByteView first, ByteView second) {
  SHOAL_CHECK(first.size() == second.size());
  std::visit([&](auto& pair) { pair.update(first, second); }, state_->pair);
}

std::array<Sha1Hash, 2> Sha1Pair::finish() {
  return std::visit([](auto& pair) { return pair.finish(); }, state_->pair);
}

Sha1Pair::Way Sha1Pair::best_way() {
  static const Way best = has_sha_instructions() ? Way::at_once : Way::one_after_the_other;
  return best;
}

}  // namespace shoal::base
