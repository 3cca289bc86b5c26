#include "course/messages.hpp"

#include <algorithm>
#include <limits>

#include "base/check.hpp"

namespace shoal::course {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;

constexpr std::size_t kRecordHeadBytes = 24;  // hash, peers_count, padding
constexpr std::size_t kRecordPeerBytes = 8;   // ip_address, port_number, padding
constexpr std::size_t kChunkFieldsBytes = kChunkHeadBytes - kHeaderBytes;
constexpr std::size_t kCount16Max = std::numeric_limits<std::uint16_t>::max();
constexpr std::size_t kFileNameBytesMax = 255;  // NAME_MAX of every file system in use

constexpr std::size_t padding_behind(std::uint64_t bytes) {
  return static_cast<std::size_t>((kDwordBytes - bytes % kDwordBytes) % kDwordBytes);
}

// A writer that holds the header of a message of `message_bytes`, and has room for all of it.
ByteWriter begin_message(MessageType type, std::uint64_t message_bytes, std::uint16_t reserved) {
  SHOAL_CHECK(message_bytes % kDwordBytes == 0);
  const std::uint64_t dwords = message_bytes / kDwordBytes;
  SHOAL_CHECK(dwords <= std::numeric_limits<std::uint32_t>::max());
  ByteWriter writer(type == MessageType::chunk ? kChunkHeadBytes : static_cast<std::size_t>(message_bytes));
  writer.u8(kVersion).u8(static_cast<std::uint8_t>(type)).u16(reserved).u32(static_cast<std::uint32_t>(dwords));
  return writer;
}

std::uint16_t count16(std::size_t count) {
  SHOAL_CHECK(count <= kCount16Max);
  return static_cast<std::uint16_t>(count);
}

base::Endpoint read_endpoint(ByteReader& reader) {
  base::Endpoint endpoint;
  endpoint.address.value = reader.u32();
  endpoint.port = reader.u16();
  return endpoint;
}

// The name and its padding. The padding may be cut off at the end of a message: it carries nothing.
Parsed<std::string> read_name(ByteReader& reader, std::size_t name_bytes) {
  if (name_bytes > reader.remaining()) return std::unexpected(ParseError::overrun);
  std::string name(base::text_of(reader.take(name_bytes)));
  reader.skip(std::min(padding_behind(name_bytes), reader.remaining()));
  return name;
}

Parsed<ChunkRecord> read_record(ByteReader& reader) {
  if (reader.remaining() < kRecordHeadBytes) return std::unexpected(ParseError::overrun);
  ChunkRecord record;
  record.hash = base::Sha1Hash::from_bytes(reader.take(base::Sha1Hash::kSize));
  const std::size_t peers_count = reader.u16();
  reader.skip(2);
  // Before anything is allocated for them.
  if (peers_count * kRecordPeerBytes > reader.remaining()) return std::unexpected(ParseError::overrun);
  record.peers.reserve(peers_count);
  for (std::size_t i = 0; i < peers_count; ++i) {
    record.peers.push_back(read_endpoint(reader));
    reader.skip(2);
  }
  return record;
}

}  // namespace

Bytes encode_discover_tracker(std::uint16_t reserved) {
  return begin_message(MessageType::discover_tracker, kHeaderBytes, reserved).take();
}

Bytes encode_tracker_info(const TrackerInfo& info, std::uint16_t reserved) {
  const std::size_t padding = padding_behind(info.name.size());
  ByteWriter writer = begin_message(MessageType::tracker_info, kHeaderBytes + 8 + info.name.size() + padding, reserved);
  writer.u32(info.tracker.address.value).u16(info.tracker.port).u16(count16(info.name.size()));
  writer.append(info.name).zeros(padding);
  return writer.take();
}

Bytes encode_get_file_info() {
  return begin_message(MessageType::get_file_info, kHeaderBytes, 0).take();
}

Bytes encode_file_info(const FileInfo& info) {
  const std::size_t padding = padding_behind(info.filename.size());
  std::uint64_t message_bytes = kHeaderBytes + 4 + info.filename.size() + padding;
  for (const ChunkRecord& chunk : info.chunks) {
    message_bytes += kRecordHeadBytes + std::uint64_t{kRecordPeerBytes} * chunk.peers.size();
  }
  ByteWriter writer = begin_message(MessageType::file_info, message_bytes, 0);
  writer.u16(count16(info.chunks.size())).u16(count16(info.filename.size()));
  writer.append(info.filename).zeros(padding);
  for (const ChunkRecord& chunk : info.chunks) {
    writer.append(ByteView(chunk.hash.bytes)).u16(count16(chunk.peers.size())).zeros(2);
    for (const base::Endpoint& peer : chunk.peers) writer.u32(peer.address.value).u16(peer.port).zeros(2);
  }
  return writer.take();
}

Bytes encode_get_chunk(const base::Sha1Hash& hash, std::uint16_t reserved) {
  return begin_message(MessageType::get_chunk, kGetChunkBytes, reserved).append(ByteView(hash.bytes)).take();
}

Bytes encode_error(ErrorCode code, std::uint16_t reserved) {
  ByteWriter writer = begin_message(MessageType::error, kErrorBytes, reserved);
  return writer.u16(static_cast<std::uint16_t>(code)).zeros(2).take();
}

ChunkFrame encode_chunk_frame(const base::Sha1Hash& hash, std::uint32_t content_bytes, std::uint16_t reserved) {
  const std::size_t padding = padding_behind(content_bytes);
  const std::uint64_t message_bytes = std::uint64_t{kChunkHeadBytes} + content_bytes + padding;
  ByteWriter writer = begin_message(MessageType::chunk, message_bytes, reserved);
  writer.append(ByteView(hash.bytes)).u32(content_bytes);
  return {writer.take(), static_cast<std::uint32_t>(padding)};
}

Parsed<Header> parse_header(ByteView bytes) {
  if (bytes.size() < kHeaderBytes) return std::unexpected(ParseError::truncated);
  ByteReader reader(bytes);
  Header header;
  header.version = reader.u8();
  header.type = reader.u8();
  header.reserved = reader.u16();
  header.length_dwords = reader.u32();
  return header;
}

Parsed<TrackerInfo> parse_tracker_info_body(ByteView body) {
  ByteReader reader(body);
  TrackerInfo info;
  info.tracker = read_endpoint(reader);
  const std::size_t name_bytes = reader.u16();
  if (!reader.ok()) return std::unexpected(ParseError::truncated);
  auto name = read_name(reader, name_bytes);
  if (!name) return std::unexpected(name.error());
  info.name = std::move(*name);
  return info;
}

Parsed<FileInfo> parse_file_info_body(ByteView body) {
  ByteReader reader(body);
  const std::size_t chunks_count = reader.u16();
  const std::size_t name_bytes = reader.u16();
  if (!reader.ok()) return std::unexpected(ParseError::truncated);
  auto name = read_name(reader, name_bytes);
  if (!name) return std::unexpected(name.error());
  FileInfo info;
  info.filename = std::move(*name);
  // Before anything is allocated for them.
  if (chunks_count * kRecordHeadBytes > reader.remaining()) return std::unexpected(ParseError::overrun);
  info.chunks.reserve(chunks_count);
  for (std::size_t i = 0; i < chunks_count; ++i) {
    auto record = read_record(reader);
    if (!record) return std::unexpected(record.error());
    info.chunks.push_back(std::move(*record));
  }
  return info;
}

Parsed<base::Sha1Hash> parse_get_chunk_body(ByteView body) {
  if (body.size() < base::Sha1Hash::kSize) return std::unexpected(ParseError::truncated);
  return base::Sha1Hash::from_bytes(body.first(base::Sha1Hash::kSize));
}

Parsed<ErrorCode> parse_error_body(ByteView body) {
  ByteReader reader(body);
  const std::uint16_t code = reader.u16();
  if (!reader.ok()) return std::unexpected(ParseError::truncated);
  if (code > static_cast<std::uint16_t>(ErrorCode::chunk_not_found)) return std::unexpected(ParseError::bad_type);
  return static_cast<ErrorCode>(code);
}

Parsed<ChunkHead> parse_chunk_head(const Header& header, ByteView first_24_body_bytes) {
  if (header.message_bytes() < kChunkHeadBytes) return std::unexpected(ParseError::bad_length);
  if (first_24_body_bytes.size() < kChunkFieldsBytes) return std::unexpected(ParseError::truncated);
  ByteReader reader(first_24_body_bytes);
  ChunkHead head;
  head.reserved = header.reserved;
  head.hash = base::Sha1Hash::from_bytes(reader.take(base::Sha1Hash::kSize));
  head.content_bytes = reader.u32();
  const std::uint64_t behind_head = header.message_bytes() - kChunkHeadBytes;
  if (head.content_bytes > behind_head) return std::unexpected(ParseError::overrun);
  head.trailing_bytes = behind_head - head.content_bytes;
  return head;
}

std::string_view to_string(ParseError error) {
  switch (error) {
    case ParseError::truncated:
      return "the message is cut short";
    case ParseError::bad_version:
      return "the version is not 1";
    case ParseError::bad_type:
      return "the message type or code is unknown or not expected here";
    case ParseError::bad_length:
      return "the message length is impossible";
    case ParseError::overrun:
      return "a count or length points past the end of the message";
  }
  return "unknown error";
}

std::string_view to_string(MessageType type) {
  switch (type) {
    case MessageType::discover_tracker:
      return "DISCOVER_TRACKER";
    case MessageType::tracker_info:
      return "TRACKER_INFO";
    case MessageType::get_file_info:
      return "GET_FILE_INFO";
    case MessageType::file_info:
      return "FILE_INFO";
    case MessageType::get_chunk:
      return "GET_CHUNK";
    case MessageType::chunk:
      return "CHUNK";
    case MessageType::error:
      return "ERROR";
  }
  return "UNKNOWN";  // made by a cast from the wire
}

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_message_format:
      return "INVALID_MESSAGE_FORMAT";
    case ErrorCode::invalid_request:
      return "INVALID_REQUEST";
    case ErrorCode::chunk_not_found:
      return "CHUNK_NOT_FOUND";
  }
  return "UNKNOWN";
}

std::optional<std::string> safe_file_name(std::string_view untrusted) {
  const std::string_view name = untrusted.substr(untrusted.find_last_of("/\\") + 1);
  if (name.empty() || name == "." || name == ".." || name.size() > kFileNameBytesMax) return std::nullopt;
  if (name.find('\0') != std::string_view::npos) return std::nullopt;
  return std::string(name);
}

}  // namespace shoal::course
