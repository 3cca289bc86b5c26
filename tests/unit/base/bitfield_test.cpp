#include "base/bitfield.hpp"

#include <gtest/gtest.h>

namespace shoal::base {
namespace {

Bytes bytes(std::initializer_list<unsigned> values) {
  Bytes result;
  for (const unsigned value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

TEST(Bitfield, TheHighBitOfTheFirstByteIsPieceZero) {
  Bitfield field(10);
  field.set(PieceIndex(0));
  field.set(PieceIndex(9));
  EXPECT_EQ(Bytes(field.bytes().begin(), field.bytes().end()), bytes({0x80, 0x40}));
  EXPECT_TRUE(field.test(PieceIndex(0)));
  EXPECT_FALSE(field.test(PieceIndex(1)));
  EXPECT_TRUE(field.test(PieceIndex(9)));
}

TEST(Bitfield, CountsEachPieceOnce) {
  Bitfield field(3);
  field.set(PieceIndex(1));
  field.set(PieceIndex(1));
  EXPECT_EQ(field.count(), 1u);
  field.reset(PieceIndex(1));
  field.reset(PieceIndex(1));
  EXPECT_EQ(field.count(), 0u);
  EXPECT_TRUE(field.is_none());
}

TEST(Bitfield, AFullOneHasNoSpareBits) {
  for (std::uint32_t size = 0; size <= 17; ++size) {
    const Bitfield full(size, true);
    EXPECT_TRUE(full.is_all());
    EXPECT_EQ(full.count(), size);
    EXPECT_EQ(Bitfield::parse(full.bytes(), size), full);
    Bitfield filled(size);
    for (std::uint32_t piece = 0; piece < size; ++piece) filled.set(PieceIndex(piece));
    EXPECT_EQ(filled, full);
  }
}

TEST(Bitfield, ReadsWhatItWrote) {
  Bitfield field(21);
  for (const std::uint32_t piece : {0u, 7u, 8u, 20u}) field.set(PieceIndex(piece));
  const auto read = Bitfield::parse(field.bytes(), 21);
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, field);
  EXPECT_EQ(read->count(), 4u);
}

TEST(Bitfield, RefusesAWrongLength) {
  EXPECT_FALSE(Bitfield::parse(bytes({0, 0}), 8));
  EXPECT_FALSE(Bitfield::parse({}, 1));
  EXPECT_FALSE(Bitfield::parse(bytes({0}), 0));
  EXPECT_TRUE(Bitfield::parse({}, 0));
}

TEST(Bitfield, RefusesASpareBit) {
  EXPECT_TRUE(Bitfield::parse(bytes({0xff, 0xe0}), 11));
  for (const unsigned last : {0xf0u, 0xe1u, 0x10u, 0x01u}) EXPECT_FALSE(Bitfield::parse(bytes({0xff, last}), 11));
}

}  // namespace
}  // namespace shoal::base
