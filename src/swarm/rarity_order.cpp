#include "swarm/rarity_order.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.hpp"

namespace shoal::swarm {
namespace {

constexpr std::uint32_t kWordBits = 64;

// Pieces 64 * word .. 64 * word + 63 of both, the first one in the highest bit.
std::uint64_t common_word(const base::Bitfield& one, const base::Bitfield& other, std::size_t word) {
  std::uint64_t bits[2] = {0, 0};
  const std::size_t begin = word * 8;
  const std::size_t count = std::min<std::size_t>(8, one.bytes().size() - begin);
  std::memcpy(&bits[0], one.bytes().data() + begin, count);
  std::memcpy(&bits[1], other.bytes().data() + begin, count);
  const std::uint64_t common = bits[0] & bits[1];
  return std::endian::native == std::endian::little ? std::byteswap(common) : common;
}

std::size_t word_count(const base::Bitfield& set) {
  return (set.bytes().size() + 7) / 8;
}

}  // namespace

RarityOrder::RarityOrder(std::uint32_t piece_count, base::Rng rng)
    : rng_(rng), members_(piece_count), levels_(piece_count, 0), places_(piece_count, 0), buckets_(1) {}

void RarityOrder::add(base::PieceIndex piece) {
  SHOAL_CHECK(!members_.test(piece));
  members_.set(piece);
  put_in_bucket(piece);
}

void RarityOrder::remove(base::PieceIndex piece) {
  SHOAL_CHECK(members_.test(piece));
  take_from_bucket(piece);
  members_.reset(piece);
}

void RarityOrder::raise(base::PieceIndex piece) {
  const bool is_member = members_.test(piece);
  if (is_member) take_from_bucket(piece);
  ++levels_[piece.value];
  if (is_member) put_in_bucket(piece);
}

void RarityOrder::lower(base::PieceIndex piece) {
  SHOAL_CHECK(levels_[piece.value] > 0);
  const bool is_member = members_.test(piece);
  if (is_member) take_from_bucket(piece);
  --levels_[piece.value];
  if (is_member) put_in_bucket(piece);
}

std::uint32_t RarityOrder::size_at(std::uint32_t level) const {
  return level < buckets_.size() ? static_cast<std::uint32_t>(buckets_[level].size()) : 0;
}

// At a random place, so that a bucket is in random order whatever the order in which its pieces came: a source that
// has a row of neighbours would else be asked for the first of them by everybody.
void RarityOrder::put_in_bucket(base::PieceIndex piece) {
  const std::uint32_t level = levels_[piece.value];
  if (level >= buckets_.size()) buckets_.resize(level + 1);
  Bucket& bucket = buckets_[level];
  const auto place = static_cast<std::uint32_t>(rng_.below(bucket.size() + 1));
  bucket.push_back(piece);
  std::swap(bucket[place], bucket.back());
  places_[bucket.back().value] = static_cast<std::uint32_t>(bucket.size() - 1);
  places_[piece.value] = place;
}

void RarityOrder::take_from_bucket(base::PieceIndex piece) {
  Bucket& bucket = buckets_[levels_[piece.value]];
  const std::uint32_t place = places_[piece.value];
  bucket[place] = bucket.back();
  places_[bucket[place].value] = place;
  bucket.pop_back();
}

std::optional<base::PieceIndex> RarityOrder::rarest(const base::Bitfield& has, std::uint32_t& floor) {
  // Walking the source's own set costs about this many steps.
  const std::size_t set_steps = word_count(has) + has.count();
  std::size_t steps = 0;
  for (; floor < buckets_.size(); ++floor) {
    const Bucket& bucket = buckets_[floor];
    if (bucket.empty()) continue;
    const std::size_t start = rng_.below(bucket.size());
    for (std::size_t i = 0; i < bucket.size() && steps <= set_steps; ++i, ++steps) {
      const base::PieceIndex piece = bucket[start + i < bucket.size() ? start + i : start + i - bucket.size()];
      if (has.test(piece)) return piece;
    }
    if (steps > set_steps) {
      const auto piece = rarest_by_set(has);
      floor = piece ? level(*piece) : static_cast<std::uint32_t>(buckets_.size());
      return piece;
    }
  }
  return std::nullopt;
}

std::optional<base::PieceIndex> RarityOrder::rarest_by_set(const base::Bitfield& has) {
  std::optional<base::PieceIndex> best;
  std::uint64_t equals = 0;
  for (std::size_t word = 0; word < word_count(has); ++word) {
    for (std::uint64_t bits = common_word(has, members_, word); bits != 0;) {
      const auto bit = static_cast<std::uint32_t>(std::countl_zero(bits));
      bits &= ~(std::uint64_t{1} << (kWordBits - 1 - bit));
      const base::PieceIndex piece(static_cast<std::uint32_t>(word * kWordBits) + bit);
      if (!best || level(piece) < level(*best)) {
        best = piece;
        equals = 1;
      } else if (level(piece) == level(*best) && rng_.below(++equals) == 0) {
        best = piece;
      }
    }
  }
  return best;
}

std::optional<base::PieceIndex> RarityOrder::lowest(const base::Bitfield& has) const {
  for (std::size_t word = 0; word < word_count(has); ++word) {
    const std::uint64_t bits = common_word(has, members_, word);
    if (bits == 0) continue;
    return base::PieceIndex(static_cast<std::uint32_t>(word * kWordBits) +
                            static_cast<std::uint32_t>(std::countl_zero(bits)));
  }
  return std::nullopt;
}

void RarityOrder::audit() const {
  std::size_t seen = 0;
  for (std::uint32_t level = 0; level < buckets_.size(); ++level) {
    for (std::uint32_t place = 0; place < buckets_[level].size(); ++place, ++seen) {
      const base::PieceIndex piece = buckets_[level][place];
      SHOAL_CHECK(members_.test(piece) && levels_[piece.value] == level && places_[piece.value] == place);
    }
  }
  SHOAL_CHECK(seen == members_.count());
}

}  // namespace shoal::swarm
