#include "wire/utp.hpp"

#include <gtest/gtest.h>

namespace shoal::wire {
namespace {

base::Bytes bytes_of(std::initializer_list<int> values) {
  base::Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

// As Transmission 3.00 sends it, with the extension bits behind the head.
const base::Bytes kHello = bytes_of({0x41, 2,    0x52, 0x36, 0x12, 0x6a, 0x8b, 0x90, 0, 0, 0, 0, 0, 4, 0,
                                     0,    0x44, 0xb3, 0,    0,    0,    8,    0,    0, 0, 0, 0, 0, 0, 0});

TEST(Utp, RefusesAConnection) {
  const base::Bytes refusal = bytes_of({0x31, 0, 0x52, 0x36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x44, 0xb3});
  EXPECT_EQ(refuse_utp(kHello), refusal);
}

TEST(Utp, AnswersNothingElse) {
  for (std::size_t size = 0; size < kUtpHeadBytes; ++size) {
    EXPECT_EQ(refuse_utp(base::ByteView(kHello).first(size)), std::nullopt) << size;
  }
  // Data, end, acknowledgement, refusal; another version; a question to a hash table ("d").
  for (const int first : {0x01, 0x11, 0x21, 0x31, 0x40, 0x42, 0x64}) {
    base::Bytes other = kHello;
    other[0] = static_cast<std::byte>(first);
    EXPECT_EQ(refuse_utp(other), std::nullopt) << first;
  }
}

TEST(Utp, IsNoWayToMakeUsSendMuch) {
  base::Bytes longest = kHello;
  longest.resize(1400);
  EXPECT_EQ(refuse_utp(longest)->size(), kUtpHeadBytes);
}

}  // namespace
}  // namespace shoal::wire
