#include "course/framer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "golden/course_golden.hpp"
#include "unit/course/seeds.hpp"

namespace shoal::course {
namespace {

using base::Bytes;
using base::ByteView;
using base::Rng;

constexpr std::string_view kBadVersion = "02040000 00000003 0ff54d8f";
constexpr std::string_view kUnknownType = "01070000 00000003 0ff54d8f";
constexpr std::string_view kLittleEndian = "01040000 07000000";

// What next() gave, as text: "GET_CHUNK/20" for a request with a body of 20 bytes, or the error.
std::string describe(const Frame& frame) {
  if (!frame) return std::string(to_string(frame.error()));
  return std::string(to_string(static_cast<MessageType>(frame->header.type))) + "/" +
         std::to_string(frame->body.size());
}

std::vector<std::string> take_all(RequestFramer& framer) {
  std::vector<std::string> frames;
  while (const auto frame = framer.next()) frames.push_back(describe(*frame));
  return frames;
}

std::vector<std::string> feed_hex(RequestFramer& framer, std::string_view hex) {
  framer.feed(golden::from_hex(hex));
  return take_all(framer);
}

using Frames = std::vector<std::string>;
const std::string kVersionError(to_string(ParseError::bad_version));
const std::string kTypeError(to_string(ParseError::bad_type));
const std::string kLengthError(to_string(ParseError::bad_length));

TEST(RequestFramer, GivesARequestThatArrivedWhole) {
  RequestFramer framer;
  framer.feed(golden::from_hex(golden::kGetChunk));
  const auto frame = framer.next();
  ASSERT_TRUE(frame && *frame);
  EXPECT_EQ((*frame)->header, (Header{.version = 1, .type = 4, .reserved = 0, .length_dwords = 7}));
  EXPECT_EQ(golden::to_hex((*frame)->body), "0ff54d8f53a4b321b098b601a70d7408b0422f70");
  EXPECT_FALSE(framer.next());
}

TEST(RequestFramer, GivesNothingBeforeTheLastByteOfARequest) {
  RequestFramer framer;
  const Bytes message = golden::from_hex(golden::kGetChunk);
  for (std::size_t i = 0; i + 1 < message.size(); ++i) {
    framer.feed(ByteView(message).subspan(i, 1));
    ASSERT_FALSE(framer.next()) << i;
    ASSERT_TRUE(framer.is_inside_message()) << i;
  }
  framer.feed(ByteView(message).last(1));
  EXPECT_EQ(take_all(framer), Frames{"GET_CHUNK/20"});
  EXPECT_FALSE(framer.is_inside_message());
}

TEST(RequestFramer, JoinsAHeaderAndABodyThatArriveApart) {
  RequestFramer framer;
  EXPECT_EQ(feed_hex(framer, "01040000 00000007"), Frames{});
  EXPECT_EQ(feed_hex(framer, "0ff54d8f53a4b321b098b601a70d7408b0422f70"), Frames{"GET_CHUNK/20"});
}

TEST(RequestFramer, GivesSeveralRequestsOfOneReadInOrder) {
  RequestFramer framer;
  framer.feed(golden::from_hex(golden::plain(golden::kGetChunk) + golden::plain(golden::kGetFileInfo) +
                               golden::plain(golden::kErrorChunkNotFound) + golden::plain(golden::kGetChunk)));
  EXPECT_EQ(take_all(framer), (Frames{"GET_CHUNK/20", "GET_FILE_INFO/0", "ERROR/4", "GET_CHUNK/20"}));
}

TEST(RequestFramer, KeepsTheBeginningOfTheNextRequest) {
  RequestFramer framer;
  EXPECT_EQ(feed_hex(framer, "01020000 00000002 0102"), Frames{"GET_FILE_INFO/0"});
  EXPECT_TRUE(framer.is_inside_message());
  EXPECT_EQ(feed_hex(framer, "0000 00000002"), Frames{"GET_FILE_INFO/0"});
}

TEST(RequestFramer, KeepsTheOffersOfTheReservedField) {
  RequestFramer framer;
  framer.feed(golden::from_hex("01020001 00000002"));
  EXPECT_EQ((*framer.next())->header.reserved, kPipeliningBit);
}

TEST(RequestFramer, ConsumesAMessageOfABadVersionAndGoesOnBehindIt) {
  RequestFramer framer;
  framer.feed(golden::from_hex(std::string(kBadVersion) + std::string(golden::kGetFileInfo)));
  EXPECT_EQ(take_all(framer), (Frames{kVersionError, "GET_FILE_INFO/0"}));
}

TEST(RequestFramer, ConsumesAMessageOfAnUnknownTypeAndGoesOnBehindIt) {
  RequestFramer framer;
  framer.feed(golden::from_hex(std::string(kUnknownType) + std::string(golden::kGetFileInfo)));
  EXPECT_EQ(take_all(framer), (Frames{kTypeError, "GET_FILE_INFO/0"}));
}

TEST(RequestFramer, WaitsForTheWholeOfABadMessageBeforeReportingIt) {
  RequestFramer framer;
  EXPECT_EQ(feed_hex(framer, "02040000 00000003 0ff5"), Frames{});
  EXPECT_TRUE(framer.is_inside_message());
  EXPECT_EQ(feed_hex(framer, "4d8f"), Frames{kVersionError});
}

TEST(RequestFramer, RefusesALengthBelowTheHeadersOwn) {
  for (const std::string_view hex : {"01020000 00000000", "01020000 00000001", "09090000 00000001"}) {
    RequestFramer framer;
    EXPECT_EQ(feed_hex(framer, hex), Frames{kLengthError});
    EXPECT_FALSE(framer.is_inside_message());
  }
}

TEST(RequestFramer, RefusesALittleEndianHeaderAtOnce) {
  RequestFramer framer;
  EXPECT_EQ(feed_hex(framer, kLittleEndian), Frames{kLengthError});
}

TEST(RequestFramer, TakesTheLongestPlausibleRequestAndRefusesTheNext) {
  RequestFramer framer;
  Bytes longest = golden::from_hex("01040000 00000040");
  longest.resize(kRequestDwordsMax * kDwordBytes);
  framer.feed(longest);
  EXPECT_EQ(take_all(framer), Frames{"GET_CHUNK/248"});
  EXPECT_EQ(feed_hex(framer, "01040000 00000041"), Frames{kLengthError});
}

TEST(RequestFramer, AnswersASecondBadHeaderAgain) {
  RequestFramer framer;
  EXPECT_EQ(feed_hex(framer, kLittleEndian), Frames{kLengthError});
  EXPECT_EQ(feed_hex(framer, kLittleEndian), Frames{kLengthError});
}

TEST(RequestFramer, DropsWhatCameBehindAnUnframableHeaderInTheSameRead) {
  RequestFramer framer;
  framer.feed(golden::from_hex(std::string(golden::kGetFileInfo) + std::string(kLittleEndian) +
                               std::string(golden::kGetChunk) + "0102"));
  EXPECT_EQ(take_all(framer), (Frames{"GET_FILE_INFO/0", kLengthError}));
  EXPECT_FALSE(framer.is_inside_message());
}

TEST(RequestFramer, StartsAfreshWithWhatComesAfterAnUnframableHeader) {
  RequestFramer framer;
  EXPECT_EQ(feed_hex(framer, std::string(kLittleEndian) + "ffffff"), Frames{kLengthError});
  EXPECT_EQ(feed_hex(framer, golden::kGetChunk), Frames{"GET_CHUNK/20"});
}

TEST(RequestFramer, IsNotInsideAMessageWhileARequestWaitsToBeTaken) {
  RequestFramer framer;
  EXPECT_FALSE(framer.is_inside_message());
  framer.feed(golden::from_hex(golden::kGetFileInfo));
  EXPECT_FALSE(framer.is_inside_message());
}

TEST(RequestFramer, ForgetsAnUnfinishedRequestWhenToldTo) {
  RequestFramer framer;
  EXPECT_EQ(feed_hex(framer, "01040000 00000007 0ff5"), Frames{});
  framer.drop_everything();
  EXPECT_FALSE(framer.is_inside_message());
  EXPECT_EQ(feed_hex(framer, golden::kGetFileInfo), Frames{"GET_FILE_INFO/0"});
}

TEST(RequestFramer, RequestsLeftUntakenAreNotLost) {
  RequestFramer framer;
  framer.feed(golden::from_hex(golden::kGetFileInfo));
  framer.feed(golden::from_hex(golden::kGetChunk));
  EXPECT_EQ(describe(*framer.next()), "GET_FILE_INFO/0");
  framer.feed(golden::from_hex(golden::kGetFileInfo));
  EXPECT_EQ(take_all(framer), (Frames{"GET_CHUNK/20", "GET_FILE_INFO/0"}));
}

TEST(RequestFramerDeathTest, RefusesToHoldMoreThanItsMaximum) {
  RequestFramer framer;
  const Bytes too_much(RequestFramer::kHeldBytesMax + 1);
  EXPECT_DEATH(framer.feed(too_much), "internal error");
}

// However a stream of framable messages is cut, the same frames come out.
TEST(RequestFramer, TheCutsBetweenReadsDoNotMatter) {
  const std::string_view messages[] = {golden::kGetChunk,    golden::kGetFileInfo, golden::kDiscoverTracker,
                                       golden::kTrackerInfo, golden::kChunk,       kBadVersion,
                                       kUnknownType};
  for (const std::uint64_t seed : draw_seeds(300)) {
    SCOPED_TRACE(repeat_with(seed));
    Rng rng(seed);
    Bytes stream;
    for (int i = 0; i < 20; ++i) {
      const Bytes message = golden::from_hex(messages[rng.below(std::size(messages))]);
      stream.insert(stream.end(), message.begin(), message.end());
    }
    RequestFramer whole;
    whole.feed(stream);
    const Frames expected = take_all(whole);
    ASSERT_EQ(expected.size(), 20u);

    RequestFramer split;
    Frames frames;
    for (ByteView rest = stream; !rest.empty();) {
      const std::size_t size = std::min<std::size_t>(rest.size(), 1 + rng.below(40));
      split.feed(rest.first(size));
      rest = rest.subspan(size);
      for (std::string& frame : take_all(split)) frames.push_back(std::move(frame));
    }
    ASSERT_EQ(frames, expected);
  }
}

}  // namespace
}  // namespace shoal::course
