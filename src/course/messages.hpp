// The seven messages of the course protocol (docs/protocol/course.md), as values, and their bytes. Everything parsed
// here comes from outside and is untrusted: a wrong byte is an error value, never more.
//
// Payload of CHUNK does not pass through here: sessions read its fixed head with parse_chunk_head() and stream the
// rest.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/sha1.hpp"

namespace shoal::course {

inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kHeaderBytes = 8;
inline constexpr std::size_t kDwordBytes = 4;
inline constexpr std::uint32_t kChunksMax = 65535;  // chunks_count has 16 bits
inline constexpr std::size_t kGetChunkBytes = 28;   // header + hash
inline constexpr std::size_t kChunkHeadBytes = 32;  // header + hash + chunk_content_length
inline constexpr std::size_t kErrorBytes = 12;
inline constexpr std::uint32_t kRequestDwordsMax = 64;  // "requests are a few dozen bytes" (4.6)
inline constexpr std::uint16_t kDiscoveryPort = 9000;   // section 3
inline constexpr std::string_view kDefaultTrackerName = "tracker";

// Section 5: offers in the reserved field.
inline constexpr std::uint16_t kPipeliningBit = 1;
inline constexpr std::uint16_t kBitTorrentBit = 2;

enum class MessageType : std::uint8_t {
  discover_tracker = 0,
  tracker_info = 1,
  get_file_info = 2,
  file_info = 3,
  get_chunk = 4,
  chunk = 5,
  error = 6,
};
inline constexpr std::uint8_t kMessageTypeMax = 6;
// FILE_INFO is sent as type 5 by some (section 4.8).
inline constexpr std::uint8_t kFileInfoOldType = 5;

enum class ErrorCode : std::uint16_t { invalid_message_format = 0, invalid_request = 1, chunk_not_found = 2 };

struct Header {
  std::uint8_t version = kVersion;
  std::uint8_t type = 0;
  std::uint16_t reserved = 0;
  std::uint32_t length_dwords = 2;  // of the whole message, header included

  [[nodiscard]] std::uint64_t message_bytes() const { return std::uint64_t{length_dwords} * kDwordBytes; }
  [[nodiscard]] std::uint64_t body_bytes() const { return message_bytes() - kHeaderBytes; }  // length_dwords >= 2
  friend bool operator==(const Header&, const Header&) = default;
};

struct TrackerInfo {
  base::Endpoint tracker;
  std::string name;
  friend bool operator==(const TrackerInfo&, const TrackerInfo&) = default;
};

struct ChunkRecord {
  base::Sha1Hash hash;
  std::vector<base::Endpoint> peers;
  friend bool operator==(const ChunkRecord&, const ChunkRecord&) = default;
};

struct FileInfo {
  std::string filename;  // as it came: untrusted, see safe_file_name()
  std::vector<ChunkRecord> chunks;
  friend bool operator==(const FileInfo&, const FileInfo&) = default;
};

struct ChunkHead {
  std::uint16_t reserved = 0;
  base::Sha1Hash hash;
  std::uint32_t content_bytes = 0;
  std::uint64_t trailing_bytes = 0;  // padding and surplus behind the content, to the end of the message
  friend bool operator==(const ChunkHead&, const ChunkHead&) = default;
};

enum class ParseError : std::uint8_t {
  truncated,  // fewer bytes than the message needs
  bad_version,
  bad_type,    // unknown, or not what was expected here
  bad_length,  // msg_length below 2, above the limit, or not the number of bytes given
  overrun,     // a count or length inside points past the end of the message
};
[[nodiscard]] std::string_view to_string(ParseError error);

template <typename Value>
using Parsed = std::expected<Value, ParseError>;

// --- Encoding: complete messages, zero padding --- names and lists longer than 65,535 are a SHOAL_CHECK
[[nodiscard]] base::Bytes encode_discover_tracker(std::uint16_t reserved = 0);
[[nodiscard]] base::Bytes encode_tracker_info(const TrackerInfo& info, std::uint16_t reserved = 0);
[[nodiscard]] base::Bytes encode_get_file_info();
[[nodiscard]] base::Bytes encode_file_info(const FileInfo& info);
[[nodiscard]] base::Bytes encode_get_chunk(const base::Sha1Hash& hash, std::uint16_t reserved = 0);
[[nodiscard]] base::Bytes encode_error(ErrorCode code, std::uint16_t reserved = 0);
// The 32 bytes before the content, and how many zero bytes (0-3) must follow it.
struct ChunkFrame {
  base::Bytes head;
  std::uint32_t padding_bytes = 0;
};
[[nodiscard]] ChunkFrame encode_chunk_frame(const base::Sha1Hash& hash, std::uint32_t content_bytes,
                                            std::uint16_t reserved = 0);

// --- Parsing ---
// The first 8 bytes. Judges nothing but their number: version, type and length are the caller's to judge.
[[nodiscard]] Parsed<Header> parse_header(base::ByteView bytes);
// Bodies: `body` is exactly what header.body_bytes() says, without the header. Surplus at the end is padding (4.8).
[[nodiscard]] Parsed<TrackerInfo> parse_tracker_info_body(base::ByteView body);
[[nodiscard]] Parsed<FileInfo> parse_file_info_body(base::ByteView body);
[[nodiscard]] Parsed<base::Sha1Hash> parse_get_chunk_body(base::ByteView body);
[[nodiscard]] Parsed<ErrorCode> parse_error_body(base::ByteView body);  // an unknown code is bad_type
// The first 24 body bytes of a CHUNK with this header (which must have msg_length >= 8); checks that the content fits.
[[nodiscard]] Parsed<ChunkHead> parse_chunk_head(const Header& header, base::ByteView first_24_body_bytes);

// The protocol's names: "GET_CHUNK", "CHUNK_NOT_FOUND".
[[nodiscard]] std::string_view to_string(MessageType type);
[[nodiscard]] std::string_view to_string(ErrorCode code);

// The base name of an untrusted file name (4.9): what follows the last '/' or '\'. Nothing for an empty one, ".", "..",
// a NUL, or one longer than a file system takes (255 bytes). Valid UTF-8 is not asked for.
[[nodiscard]] std::optional<std::string> safe_file_name(std::string_view untrusted);

}  // namespace shoal::course
