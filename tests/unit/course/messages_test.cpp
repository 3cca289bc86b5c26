#include "course/messages.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "golden/course_golden.hpp"
#include "unit/course/seeds.hpp"

namespace shoal::course {
namespace {

using base::Bytes;
using base::ByteView;
using base::Endpoint;
using base::Rng;
using base::Sha1Hash;

const Endpoint kTracker = *Endpoint::parse("127.0.0.1:8000");
const Endpoint kAlice = *Endpoint::parse("127.0.0.1:8001");
const Endpoint kBob = *Endpoint::parse("127.0.0.1:8002");

Sha1Hash hash_of(std::string_view content) {
  return base::sha1(base::view_of(content));
}

FileInfo golden_file_info() {
  return {.filename = std::string(golden::kFileName),
          .chunks = {
              {hash_of("Hello, BIT"), {kAlice}}, {hash_of("E! 0123456"), {kAlice, kBob}}, {hash_of("789abc"), {kBob}}}};
}

ByteView body_of(const Bytes& message) {
  return ByteView(message).subspan(kHeaderBytes);
}

// --- Golden bytes ---

TEST(CourseMessages, EncodesTheGoldenBytes) {
  EXPECT_EQ(golden::to_hex(encode_discover_tracker()), golden::plain(golden::kDiscoverTracker));
  EXPECT_EQ(golden::to_hex(encode_tracker_info({kTracker, "tracker"})), golden::plain(golden::kTrackerInfo));
  EXPECT_EQ(golden::to_hex(encode_get_file_info()), golden::plain(golden::kGetFileInfo));
  EXPECT_EQ(golden::to_hex(encode_file_info(golden_file_info())), golden::plain(golden::kFileInfo));
  EXPECT_EQ(golden::to_hex(encode_get_chunk(hash_of("Hello, BIT"))), golden::plain(golden::kGetChunk));
  EXPECT_EQ(golden::to_hex(encode_error(ErrorCode::chunk_not_found)), golden::plain(golden::kErrorChunkNotFound));
}

TEST(CourseMessages, EncodesTheGoldenChunkAroundItsContent) {
  const std::string_view content = "Hello, BIT";
  const ChunkFrame frame = encode_chunk_frame(hash_of(content), 10);
  base::ByteWriter message;
  message.append(ByteView(frame.head)).append(content).zeros(frame.padding_bytes);
  EXPECT_EQ(golden::to_hex(message.take()), golden::plain(golden::kChunk));
}

TEST(CourseMessages, ParsesTheGoldenBytes) {
  EXPECT_EQ(parse_tracker_info_body(body_of(golden::from_hex(golden::kTrackerInfo))),
            (TrackerInfo{kTracker, "tracker"}));
  EXPECT_EQ(parse_file_info_body(body_of(golden::from_hex(golden::kFileInfo))), golden_file_info());
  EXPECT_EQ(parse_get_chunk_body(body_of(golden::from_hex(golden::kGetChunk))), hash_of("Hello, BIT"));
  EXPECT_EQ(parse_error_body(body_of(golden::from_hex(golden::kErrorChunkNotFound))), ErrorCode::chunk_not_found);
}

TEST(CourseMessages, ParsesTheGoldenChunkHead) {
  const Bytes message = golden::from_hex(golden::kChunk);
  const auto header = parse_header(message);
  ASSERT_TRUE(header);
  EXPECT_EQ(parse_chunk_head(*header, body_of(message).first(24)),
            (ChunkHead{.reserved = 0, .hash = hash_of("Hello, BIT"), .content_bytes = 10, .trailing_bytes = 2}));
}

TEST(CourseMessages, GivesEachGoldenMessageItsHeader) {
  const struct {
    std::string_view hex;
    MessageType type;
    std::uint32_t length_dwords;
  } cases[] = {{golden::kDiscoverTracker, MessageType::discover_tracker, 2},
               {golden::kTrackerInfo, MessageType::tracker_info, 6},
               {golden::kGetFileInfo, MessageType::get_file_info, 2},
               {golden::kFileInfo, MessageType::file_info, 32},
               {golden::kGetChunk, MessageType::get_chunk, 7},
               {golden::kChunk, MessageType::chunk, 11},
               {golden::kErrorChunkNotFound, MessageType::error, 3}};
  for (const auto& expected : cases) {
    SCOPED_TRACE(to_string(expected.type));
    const Bytes message = golden::from_hex(expected.hex);
    const auto header = parse_header(message);
    ASSERT_TRUE(header);
    EXPECT_EQ(*header, (Header{.version = 1,
                               .type = static_cast<std::uint8_t>(expected.type),
                               .reserved = 0,
                               .length_dwords = expected.length_dwords}));
    EXPECT_EQ(header->message_bytes(), message.size());
    EXPECT_EQ(header->body_bytes(), message.size() - 8);
  }
}

// --- Every prefix of every golden message ---

TEST(CourseMessages, RefusesEveryPrefixOfAHeader) {
  const Bytes message = golden::from_hex(golden::kGetChunk);
  for (std::size_t size = 0; size < kHeaderBytes; ++size) {
    EXPECT_EQ(parse_header(ByteView(message).first(size)), std::unexpected(ParseError::truncated));
  }
}

TEST(CourseMessages, RefusesEveryPrefixOfAFileInfo) {
  const Bytes message = golden::from_hex(golden::kFileInfo);
  const ByteView body = body_of(message);
  for (std::size_t size = 0; size < body.size(); ++size) {
    EXPECT_EQ(parse_file_info_body(body.first(size)),
              std::unexpected(size < 4 ? ParseError::truncated : ParseError::overrun))
        << size;
  }
}

TEST(CourseMessages, RefusesEveryPrefixOfATrackerInfoButForItsPadding) {
  const Bytes message = golden::from_hex(golden::kTrackerInfo);
  const ByteView body = body_of(message);
  const std::size_t content_bytes = body.size() - 1;
  for (std::size_t size = 0; size < content_bytes; ++size) {
    EXPECT_EQ(parse_tracker_info_body(body.first(size)),
              std::unexpected(size < 8 ? ParseError::truncated : ParseError::overrun))
        << size;
  }
  EXPECT_TRUE(parse_tracker_info_body(body.first(content_bytes)));
}

TEST(CourseMessages, RefusesEveryPrefixOfAGetChunkAndOfAnErrorCode) {
  const Bytes get_chunk = golden::from_hex(golden::kGetChunk);
  for (std::size_t size = 0; size < 20; ++size) {
    EXPECT_EQ(parse_get_chunk_body(body_of(get_chunk).first(size)), std::unexpected(ParseError::truncated));
  }
  const Bytes error = golden::from_hex(golden::kErrorChunkNotFound);
  for (std::size_t size = 0; size < 2; ++size) {
    EXPECT_EQ(parse_error_body(body_of(error).first(size)), std::unexpected(ParseError::truncated));
  }
}

TEST(CourseMessages, RefusesEveryPrefixOfAChunkHead) {
  const Bytes message = golden::from_hex(golden::kChunk);
  const Header header = *parse_header(message);
  for (std::size_t size = 0; size < 24; ++size) {
    EXPECT_EQ(parse_chunk_head(header, body_of(message).first(size)), std::unexpected(ParseError::truncated));
  }
}

// --- Each way of being wrong ---

TEST(CourseMessages, RefusesANameThatRunsPastTheMessage) {
  EXPECT_EQ(parse_tracker_info_body(golden::from_hex("7f000001 1f40 0009 747261636b657200")),
            std::unexpected(ParseError::overrun));
  EXPECT_EQ(parse_file_info_body(golden::from_hex("0000 ffff 61626364")), std::unexpected(ParseError::overrun));
}

TEST(CourseMessages, RefusesMoreChunksThanTheMessageHolds) {
  Bytes body = golden::from_hex(golden::kFileInfo);
  body.erase(body.begin(), body.begin() + kHeaderBytes);
  body[1] = std::byte{4};
  EXPECT_EQ(parse_file_info_body(body), std::unexpected(ParseError::overrun));
  body[0] = std::byte{0xff};
  EXPECT_EQ(parse_file_info_body(body), std::unexpected(ParseError::overrun));
}

TEST(CourseMessages, RefusesMorePeersThanTheMessageHolds) {
  EXPECT_EQ(parse_file_info_body(golden::from_hex("0001 0001 61000000 0ff54d8f53a4b321b098b601a70d7408b0422f70"
                                                  "ffff 0000 7f000001 1f41 0000")),
            std::unexpected(ParseError::overrun));
}

TEST(CourseMessages, RefusesAnUnknownErrorCode) {
  EXPECT_EQ(parse_error_body(golden::from_hex("0003 0000")), std::unexpected(ParseError::bad_type));
  EXPECT_EQ(parse_error_body(golden::from_hex("0100 0000")), std::unexpected(ParseError::bad_type));
}

TEST(CourseMessages, RefusesAChunkTooShortForItsHead) {
  const Bytes message = golden::from_hex(golden::kChunk);
  for (const std::uint32_t length : {0u, 2u, 7u}) {
    const Header header{.type = 5, .length_dwords = length};
    EXPECT_EQ(parse_chunk_head(header, body_of(message)), std::unexpected(ParseError::bad_length));
  }
}

TEST(CourseMessages, RefusesAChunkWhoseContentRunsPastTheMessage) {
  const Bytes message = golden::from_hex(golden::kChunk);
  // 10 bytes of content need three dwords.
  EXPECT_EQ(parse_chunk_head({.type = 5, .length_dwords = 10}, body_of(message)), std::unexpected(ParseError::overrun));
  const Bytes huge = golden::from_hex("0ff54d8f53a4b321b098b601a70d7408b0422f70 ffffffff");
  EXPECT_EQ(parse_chunk_head({.type = 5, .length_dwords = 11}, huge), std::unexpected(ParseError::overrun));
}

// --- What is unusual but legal ---

TEST(CourseMessages, ReadsALittleEndianHeaderAsTheHugeLengthItSays) {
  const auto header = parse_header(golden::from_hex("01040000 07000000"));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->length_dwords, 117'440'512u);
}

TEST(CourseMessages, AcceptsSurplusBehindEveryBody) {
  EXPECT_TRUE(parse_tracker_info_body(golden::from_hex("7f000001 1f40 0000 deadbeef")));
  EXPECT_TRUE(parse_file_info_body(golden::from_hex("0000 0000 deadbeef")));
  EXPECT_TRUE(parse_get_chunk_body(golden::from_hex("0ff54d8f53a4b321b098b601a70d7408b0422f70 deadbeef")));
  EXPECT_TRUE(parse_error_body(golden::from_hex("0001 beef deadbeef")));
  const auto head = parse_chunk_head({.type = 5, .length_dwords = 20},
                                     golden::from_hex("0ff54d8f53a4b321b098b601a70d7408b0422f70 00000001"));
  ASSERT_TRUE(head);
  EXPECT_EQ(head->trailing_bytes, 47u);
}

TEST(CourseMessages, NeverChecksWhatThePaddingHolds) {
  const auto info = parse_file_info_body(
      golden::from_hex("0001 0001 61ffffff 0ff54d8f53a4b321b098b601a70d7408b0422f70 0001 ffff  7f000001 1f41 ffff"));
  ASSERT_TRUE(info);
  EXPECT_EQ(*info, (FileInfo{"a", {{hash_of("Hello, BIT"), {kAlice}}}}));
}

TEST(CourseMessages, AcceptsChunksWithoutPeersRepeatedPeersAndRepeatedHashes) {
  const FileInfo info{"f", {{hash_of("x"), {}}, {hash_of("x"), {kBob, kBob}}, {hash_of("x"), {kAlice}}}};
  EXPECT_EQ(parse_file_info_body(body_of(encode_file_info(info))), info);
}

TEST(CourseMessages, AnEmptyChunkIsAMessageOf32Bytes) {
  const ChunkFrame frame = encode_chunk_frame(hash_of(""), 0);
  EXPECT_EQ(frame.head.size(), 32u);
  EXPECT_EQ(frame.padding_bytes, 0u);
  const Header header = *parse_header(frame.head);
  EXPECT_EQ(header.message_bytes(), 32u);
  EXPECT_EQ(parse_chunk_head(header, body_of(frame.head)),
            (ChunkHead{.reserved = 0, .hash = hash_of(""), .content_bytes = 0, .trailing_bytes = 0}));
}

TEST(CourseMessages, TheBiggestChunkStillHasACorrectLength) {
  const ChunkFrame frame = encode_chunk_frame(hash_of(""), 0xffffffff);
  const Header header = *parse_header(frame.head);
  EXPECT_EQ(header.message_bytes(), 32 + 0xffffffffULL + 1);
  EXPECT_EQ(parse_chunk_head(header, body_of(frame.head))->trailing_bytes, 1u);
}

TEST(CourseMessages, EveryMessageIsPaddedToADwordWithZeros) {
  for (std::size_t name_bytes = 0; name_bytes < 9; ++name_bytes) {
    const std::string name(name_bytes, 'x');
    const Bytes tracker_info = encode_tracker_info({kTracker, name});
    const Bytes file_info = encode_file_info({name, {}});
    EXPECT_EQ(tracker_info.size() % 4, 0u);
    EXPECT_EQ(file_info.size() % 4, 0u);
    EXPECT_EQ(parse_header(tracker_info)->message_bytes(), tracker_info.size());
    EXPECT_EQ(parse_header(file_info)->message_bytes(), file_info.size());
    for (std::size_t i = 16 + name_bytes; i < tracker_info.size(); ++i) EXPECT_EQ(tracker_info[i], std::byte{0});
    for (std::size_t i = 12 + name_bytes; i < file_info.size(); ++i) EXPECT_EQ(file_info[i], std::byte{0});
    EXPECT_EQ(encode_chunk_frame(hash_of(""), static_cast<std::uint32_t>(name_bytes)).padding_bytes,
              (4 - name_bytes % 4) % 4);
  }
}

TEST(CourseMessages, OffersStandInTheReservedField) {
  EXPECT_EQ(golden::to_hex(encode_discover_tracker(kBitTorrentBit)), "0100000200000002");
  EXPECT_EQ(parse_header(encode_tracker_info({kTracker, "t"}, kBitTorrentBit))->reserved, kBitTorrentBit);
  EXPECT_EQ(parse_header(encode_get_chunk(hash_of(""), kPipeliningBit))->reserved, kPipeliningBit);
  EXPECT_EQ(parse_header(encode_error(ErrorCode::chunk_not_found, kPipeliningBit))->reserved, kPipeliningBit);
  const ChunkFrame frame = encode_chunk_frame(hash_of(""), 0, kPipeliningBit);
  EXPECT_EQ(parse_chunk_head(*parse_header(frame.head), body_of(frame.head))->reserved, kPipeliningBit);
}

TEST(CourseMessages, AFileInfoCanHold65535Chunks) {
  const FileInfo info{"big", std::vector<ChunkRecord>(kChunksMax, {hash_of("x"), {kAlice, kBob}})};
  const Bytes message = encode_file_info(info);
  EXPECT_EQ(message.size(), 8 + 4 + 4 + 65535 * (24 + 16));
  EXPECT_EQ(parse_file_info_body(body_of(message)), info);
}

TEST(CourseMessagesDeathTest, RefusesToEncodeWhat16BitsCannotCount) {
  EXPECT_DEATH(static_cast<void>(encode_tracker_info({kTracker, std::string(65536, 'x')})), "internal error");
  EXPECT_DEATH(static_cast<void>(encode_file_info({"f", std::vector<ChunkRecord>(65536)})), "internal error");
  EXPECT_DEATH(static_cast<void>(encode_file_info({"f", {{{}, std::vector<Endpoint>(65536)}}})), "internal error");
}

// --- Properties ---

std::string draw_name(Rng& rng) {
  std::string name(rng.below(20), '\0');
  for (char& byte : name) byte = static_cast<char>(rng.below(256));
  return name;
}

Endpoint draw_endpoint(Rng& rng) {
  return {{static_cast<std::uint32_t>(rng.next())}, static_cast<std::uint16_t>(rng.next())};
}

FileInfo draw_file_info(Rng& rng) {
  FileInfo info{.filename = draw_name(rng), .chunks = {}};
  for (std::uint64_t chunks = rng.below(12); chunks > 0; --chunks) {
    ChunkRecord record{.hash = hash_of(draw_name(rng)), .peers = {}};
    for (std::uint64_t peers = rng.below(4); peers > 0; --peers) record.peers.push_back(draw_endpoint(rng));
    info.chunks.push_back(std::move(record));
  }
  return info;
}

TEST(CourseMessages, WhateverIsEncodedIsParsedBack) {
  for (const std::uint64_t seed : draw_seeds(300)) {
    SCOPED_TRACE(repeat_with(seed));
    Rng rng(seed);
    const FileInfo file_info = draw_file_info(rng);
    ASSERT_EQ(parse_file_info_body(body_of(encode_file_info(file_info))), file_info);
    const TrackerInfo tracker_info{draw_endpoint(rng), draw_name(rng)};
    ASSERT_EQ(parse_tracker_info_body(body_of(encode_tracker_info(tracker_info))), tracker_info);
  }
}

TEST(CourseMessages, AFileInfoCutAnywhereIsAnErrorAndNeverAnotherFile) {
  for (const std::uint64_t seed : draw_seeds(100)) {
    SCOPED_TRACE(repeat_with(seed));
    Rng rng(seed);
    FileInfo info = draw_file_info(rng);
    info.chunks.push_back({hash_of("last"), {draw_endpoint(rng)}});
    const Bytes message = encode_file_info(info);
    const ByteView body = body_of(message);
    ASSERT_FALSE(parse_file_info_body(body.first(rng.below(body.size()))));
  }
}

// --- Names ---

TEST(CourseMessages, SafeFileNameKeepsTheBaseNameOnly) {
  EXPECT_EQ(safe_file_name("hello.txt"), "hello.txt");
  EXPECT_EQ(safe_file_name("/etc/passwd"), "passwd");
  EXPECT_EQ(safe_file_name("../../x"), "x");
  EXPECT_EQ(safe_file_name("C:\\files\\a b.txt"), "a b.txt");
  EXPECT_EQ(safe_file_name("a/b\\c"), "c");
}

TEST(CourseMessages, SafeFileNameRefusesWhatIsNoFile) {
  EXPECT_FALSE(safe_file_name(""));
  EXPECT_FALSE(safe_file_name("."));
  EXPECT_FALSE(safe_file_name(".."));
  EXPECT_FALSE(safe_file_name("folder/"));
  EXPECT_FALSE(safe_file_name("folder/.."));
  EXPECT_FALSE(safe_file_name("a\\."));
  EXPECT_FALSE(safe_file_name(std::string_view("a\0b", 3)));
  EXPECT_FALSE(safe_file_name(std::string(256, 'x')));
}

TEST(CourseMessages, SafeFileNameTakesAnyOtherBytes) {
  EXPECT_EQ(safe_file_name("100%.txt"), "100%.txt");
  EXPECT_EQ(safe_file_name("..."), "...");
  EXPECT_EQ(safe_file_name(".hidden"), ".hidden");
  EXPECT_EQ(safe_file_name("caf\xe9"), "caf\xe9");  // not UTF-8
  EXPECT_EQ(safe_file_name(std::string(255, 'x')), std::string(255, 'x'));
}

TEST(CourseMessages, EverythingHasTheProtocolsName) {
  EXPECT_EQ(to_string(MessageType::discover_tracker), "DISCOVER_TRACKER");
  EXPECT_EQ(to_string(MessageType::tracker_info), "TRACKER_INFO");
  EXPECT_EQ(to_string(MessageType::get_file_info), "GET_FILE_INFO");
  EXPECT_EQ(to_string(MessageType::file_info), "FILE_INFO");
  EXPECT_EQ(to_string(MessageType::get_chunk), "GET_CHUNK");
  EXPECT_EQ(to_string(MessageType::chunk), "CHUNK");
  EXPECT_EQ(to_string(MessageType::error), "ERROR");
  EXPECT_EQ(to_string(ErrorCode::invalid_message_format), "INVALID_MESSAGE_FORMAT");
  EXPECT_EQ(to_string(ErrorCode::invalid_request), "INVALID_REQUEST");
  EXPECT_EQ(to_string(ErrorCode::chunk_not_found), "CHUNK_NOT_FOUND");
}

}  // namespace
}  // namespace shoal::course
