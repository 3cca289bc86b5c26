#include "net/content_range.hpp"

#include <gtest/gtest.h>

#include <string>

namespace shoal::net {
namespace {

using Range = seam::ByteRange;

TEST(ContentRange, IsReadWithAndWithoutTheSizeOfTheWhole) {
  EXPECT_EQ(parse_content_range("bytes 0-499/1234"), (Range{0, 499}));
  EXPECT_EQ(parse_content_range("bytes 1233-1233/1234"), (Range{1233, 1233}));
  EXPECT_EQ(parse_content_range("bytes 42-1233/*"), (Range{42, 1233}));
  EXPECT_EQ(parse_content_range("bytes 0-18446744073709551614/18446744073709551615"), (Range{0, UINT64_MAX - 1}));
}

TEST(ContentRange, MayHaveItsUnitInAnyCaseOrNone) {
  EXPECT_EQ(parse_content_range("Bytes 1-2/3"), (Range{1, 2}));
  EXPECT_EQ(parse_content_range("1-2/3"), (Range{1, 2}));
}

TEST(ContentRange, IsNoneWhenItCannotBe) {
  for (const std::string text :
       {"", "bytes", "bytes ", "bytes */1234", "bytes 2-1/3", "bytes 0-3/3", "bytes 0-0/0", "bytes -1/3", "bytes 1-/3",
        "bytes 1 - 2/3", "bytes +1-2/3", "bytes 1--2/3", "bytes=1-2/3", "items 1-2/3", "bytes 1-2/3 ",
        "bytes 1-2/3, 4-5/6", "bytes 1-2/x", "bytes 1-2/**", "bytes 18446744073709551616-18446744073709551617/*"}) {
    EXPECT_EQ(parse_content_range(text), std::nullopt) << text;
  }
}

TEST(ContentRange, IsNoneAtEveryPrefix) {
  const std::string whole = "bytes 10-20/30";
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
    EXPECT_EQ(parse_content_range(whole.substr(0, size)), std::nullopt) << size;
  }
}

}  // namespace
}  // namespace shoal::net
