#include "discovery/responder.hpp"

#include <gtest/gtest.h>

#include "support/server_script.hpp"

namespace shoal::discovery {
namespace {

using course::MessageType;
using testing::from_hex;
using testing::joined;
using testing::to_hex;

constexpr course::Asker kRemote{{0x0a000009}, {0x0a000001}};  // 10.0.0.9 asks us at 10.0.0.1
constexpr course::Asker kLocal{base::Ipv4Address::loopback(), base::Ipv4Address::loopback()};
constexpr base::Endpoint kLoopback8000{base::Ipv4Address::loopback(), 8000};

const std::string kTrackerInfo = "01010000000000067f0000011f400007747261636b657200";
const std::string kError0 = "010600000000000300000000";
const std::string kError1 = "010600000000000300010000";

// The datagrams that answer one, in hex.
std::vector<std::string> answers(const Responder& responder, base::ByteView datagram,
                                 const course::Asker& asker = kLocal) {
  std::vector<std::string> hex;
  for (const base::Bytes& answer : responder.respond(datagram, asker).datagrams) hex.push_back(to_hex(answer));
  return hex;
}

std::vector<std::string> answers(base::ByteView datagram) {
  return answers(Responder({.listening = kLoopback8000}), datagram);
}

using Hex = std::vector<std::string>;

TEST(Responder, AnswersDiscoverTrackerWithTheGoldenTrackerInfo) {
  EXPECT_EQ(answers(from_hex("0100000000000002")), Hex{kTrackerInfo});
}

TEST(Responder, NamesItselfTrackerUnlessToldOtherwise) {
  EXPECT_EQ(ResponderOptions{}.name, "tracker");
  const Responder responder({.name = "Ω", .listening = kLoopback8000});
  EXPECT_EQ(answers(responder, course::encode_discover_tracker()), Hex{"01010000000000057f0000011f400002cea90000"});
}

TEST(Responder, IgnoresReservedBitsAndSendsNone) {
  EXPECT_EQ(answers(course::encode_discover_tracker(0xffff)), Hex{kTrackerInfo});
}

TEST(Responder, TakesSurplusInTheBodyForPadding) {
  EXPECT_EQ(answers(from_hex("0100000000000003 a5a5a5a5")), Hex{kTrackerInfo});
}

TEST(Responder, RepliesWithAnAddressARemoteAskerCanUse) {
  const auto address_told = [](base::Ipv4Address listening, const course::Asker& asker) {
    const Responder responder({.listening = {listening, 8000}});
    const base::Bytes answer = responder.respond(course::encode_discover_tracker(), asker).datagrams.at(0);
    return course::parse_tracker_info_body(base::ByteView(answer).subspan(course::kHeaderBytes))
        ->tracker.address.to_string();
  };
  EXPECT_EQ(address_told({}, kRemote), "10.0.0.1");
  EXPECT_EQ(address_told(base::Ipv4Address::loopback(), kRemote), "10.0.0.1");
  EXPECT_EQ(address_told({0x7f000105}, kRemote), "10.0.0.1");
  EXPECT_EQ(address_told({0xc0a80001}, kRemote), "192.168.0.1") << "a real address is told as configured";
  EXPECT_EQ(address_told({}, kLocal), "127.0.0.1");
  EXPECT_EQ(address_told(base::Ipv4Address::loopback(), kLocal), "127.0.0.1");
  // Asked from this host through its network address: loopback is still the right answer.
  EXPECT_EQ(address_told(base::Ipv4Address::loopback(), {{0x0a000001}, {0x0a000001}}), "127.0.0.1");
}

TEST(Responder, AnswersEveryShortDatagramWithInvalidMessageFormat) {
  const base::Bytes whole = course::encode_discover_tracker();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(answers(base::ByteView(whole).first(size)), Hex{kError0}) << size << " bytes";
  }
}

TEST(Responder, AnswersLyingLengthsWithInvalidMessageFormat) {
  for (const char* length : {"00000000", "00000001", "00000003", "02000000", "ffffffff", "40000002", "80000002"}) {
    EXPECT_EQ(answers(joined({from_hex("01000000"), from_hex(length)})), Hex{kError0}) << length;
  }
}

TEST(Responder, AnswersTrailingBytesWithInvalidMessageFormat) {
  for (std::size_t surplus = 1; surplus <= 9; ++surplus) {
    EXPECT_EQ(answers(joined({course::encode_discover_tracker(), base::Bytes(surplus)})), Hex{kError0}) << surplus;
  }
}

TEST(Responder, TakesTwoMessagesInOneDatagramForNone) {
  EXPECT_EQ(answers(joined({course::encode_discover_tracker(), course::encode_discover_tracker()})), Hex{kError0});
}

TEST(Responder, AnswersOtherVersionsAndUnknownTypesWithInvalidMessageFormat) {
  EXPECT_EQ(answers(from_hex("0000000000000002")), Hex{kError0});
  EXPECT_EQ(answers(from_hex("0200000000000002")), Hex{kError0});
  EXPECT_EQ(answers(from_hex("0107000000000002")), Hex{kError0});
  EXPECT_EQ(answers(from_hex("01ff000000000002")), Hex{kError0});
}

TEST(Responder, AnswersOtherWellFormedMessagesWithInvalidRequest) {
  EXPECT_EQ(answers(course::encode_get_file_info()), Hex{kError1});
  EXPECT_EQ(answers(course::encode_get_chunk({})), Hex{kError1});
  EXPECT_EQ(answers(course::encode_file_info({"a", {}})), Hex{kError1});
  EXPECT_EQ(answers(course::encode_chunk_frame({}, 0).head), Hex{kError1});
}

TEST(Responder, AnswersOtherMessagesWithBrokenBodiesWithInvalidMessageFormat) {
  EXPECT_EQ(answers(from_hex("0104000000000002")), Hex{kError0}) << "GET_CHUNK without a hash";
  EXPECT_EQ(answers(from_hex("0103000000000003 00010000")), Hex{kError0}) << "FILE_INFO with a chunk that is not there";
  EXPECT_EQ(answers(from_hex("0105000000000003 00000000")), Hex{kError0}) << "CHUNK without its head";
}

TEST(Responder, IsSilentToAnswersHoweverBrokenSoThatTrackersDoNotAnswerEachOther) {
  const Responder responder({.listening = kLoopback8000, .splits_replies = true});
  const base::Bytes tracker_info = from_hex(kTrackerInfo);
  const base::Bytes error = from_hex(kError0);
  for (const base::Bytes& answer : {tracker_info, error}) {
    for (std::size_t size = 2; size <= answer.size(); ++size) {
      EXPECT_TRUE(answers(responder, base::ByteView(answer).first(size)).empty()) << size << " bytes";
    }
    EXPECT_TRUE(answers(responder, joined({answer, base::Bytes(5)})).empty());
  }
  EXPECT_TRUE(answers(responder, from_hex("07060000ffffffff")).empty()) << "another version";
  EXPECT_TRUE(answers(responder, course::encode_error(course::ErrorCode{77})).empty()) << "an unknown code";
}

TEST(Responder, SendsTheBodyAloneInASecondDatagramWhenItSplitsReplies) {
  const Responder responder({.listening = kLoopback8000, .splits_replies = true});
  EXPECT_EQ(answers(responder, course::encode_discover_tracker()),
            (Hex{kTrackerInfo, kTrackerInfo.substr(2 * course::kHeaderBytes)}));
  EXPECT_EQ(answers(responder, course::encode_get_file_info()), Hex{kError1}) << "errors are never split";
}

TEST(Responder, SaysThatItSpeaksBitTorrentToThoseWhoAskedAndOnlyThen) {
  const Responder responder({.listening = kLoopback8000, .speaks_bittorrent = true});
  std::string with_bit = kTrackerInfo;
  with_bit.replace(4, 4, "0002");
  EXPECT_EQ(answers(responder, course::encode_discover_tracker()), Hex{kTrackerInfo});
  EXPECT_EQ(answers(responder, course::encode_discover_tracker(1)), Hex{kTrackerInfo});
  EXPECT_EQ(answers(responder, course::encode_discover_tracker(2)), Hex{with_bit});
  EXPECT_EQ(answers(responder, course::encode_discover_tracker(0xffff)), Hex{with_bit}) << "no other bit";
  EXPECT_EQ(answers(course::encode_discover_tracker(2)), Hex{kTrackerInfo}) << "one that does not speak it";
}

TEST(Responder, IsNotInfluencedByAnEarlierDatagram) {
  const Responder responder({.listening = kLoopback8000});
  for (const char* odd : {"", "01", "01000000", "01000000ffffffff", "010000000000000200"}) {
    answers(responder, from_hex(odd));
    EXPECT_EQ(answers(responder, course::encode_discover_tracker()), Hex{kTrackerInfo}) << "after " << odd;
  }
}

TEST(Responder, SaysForATraceWhatWasAskedAndAnswered) {
  const Responder responder({.listening = {{}, 8000}});
  const Reply found = responder.respond(course::encode_discover_tracker(), kRemote);
  EXPECT_EQ(found.asked, MessageType::discover_tracker);
  EXPECT_EQ(found.answered, MessageType::tracker_info);
  EXPECT_EQ(found.detail, "tracker at 10.0.0.1:8000");
  const Reply broken = responder.respond({}, kRemote);
  EXPECT_EQ(broken.asked, std::nullopt);
  EXPECT_EQ(broken.answered, MessageType::error);
  const Reply silent = responder.respond(from_hex(kError0), kRemote);
  EXPECT_EQ(silent.asked, MessageType::error);
  EXPECT_EQ(silent.answered, std::nullopt);
}

}  // namespace
}  // namespace shoal::discovery
