#include "base/bytes.hpp"

#include <gtest/gtest.h>

#include "golden/course_golden.hpp"

namespace shoal::base {
namespace {

using golden::from_hex;
using golden::to_hex;

TEST(ByteReader, ReadsBigEndianNumbersInOrder) {
  const Bytes bytes = from_hex("01 0203 04050607 08090a0b0c0d0e0f");
  ByteReader reader(bytes);
  EXPECT_EQ(reader.u8(), 0x01);
  EXPECT_EQ(reader.u16(), 0x0203);
  EXPECT_EQ(reader.u32(), 0x04050607u);
  EXPECT_EQ(reader.u64(), 0x08090a0b0c0d0e0fu);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(ByteReader, GivesZerosOnceAReadDoesNotFit) {
  const Bytes bytes = from_hex("ffffff");
  ByteReader reader(bytes);
  EXPECT_EQ(reader.u16(), 0xffff);
  EXPECT_EQ(reader.u16(), 0);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u8(), 0);  // also what would have fitted
  EXPECT_TRUE(reader.take(0).empty());
  EXPECT_FALSE(reader.ok());
}

TEST(ByteReader, TakesAndSkipsViewsIntoTheSameBytes) {
  const Bytes bytes = from_hex("0102030405");
  ByteReader reader(bytes);
  reader.skip(1);
  EXPECT_EQ(reader.take(2).data(), bytes.data() + 1);
  EXPECT_EQ(to_hex(reader.rest()), "0405");
  EXPECT_TRUE(reader.take(3).empty());
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(ByteReader, NeverOverflowsOnAHugeCount) {
  const Bytes bytes = from_hex("01");
  ByteReader reader(bytes);
  EXPECT_TRUE(reader.take(~std::size_t{0}).empty());
  EXPECT_FALSE(reader.ok());
}

TEST(ByteReader, AnEmptyInputIsFineUntilSomethingIsRead) {
  ByteReader reader({});
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.u8(), 0);
  EXPECT_FALSE(reader.ok());
}

TEST(ByteWriter, WritesBigEndianNumbersInOrder) {
  ByteWriter writer;
  writer.u8(0x01).u16(0x0203).u32(0x04050607).u64(0x08090a0b0c0d0e0f);
  EXPECT_EQ(writer.size(), 15u);
  EXPECT_EQ(to_hex(writer.take()), "0102030405060708090a0b0c0d0e0f");
}

TEST(ByteWriter, AppendsBytesTextAndZeros) {
  ByteWriter writer(8);
  writer.append("ab").zeros(2).append(ByteView(from_hex("ff"))).zeros(0);
  EXPECT_EQ(to_hex(writer.take()), "61620000ff");
}

TEST(Bytes, TextAndBytesAreViewsOfEachOther) {
  EXPECT_EQ(to_hex(view_of("az")), "617a");
  EXPECT_EQ(text_of(from_hex("617a")), "az");
  EXPECT_EQ(text_of(ByteView{}), "");
}

}  // namespace
}  // namespace shoal::base
