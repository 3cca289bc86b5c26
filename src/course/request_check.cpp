#include "course/request_check.hpp"

namespace shoal::course {
namespace {

constexpr std::size_t kChunkHeadBodyBytes = kChunkHeadBytes - kHeaderBytes;

template <typename Value>
Parsed<MessageType> when_parsed(MessageType type, const Parsed<Value>& body) {
  if (!body) return std::unexpected(body.error());
  return type;
}

}  // namespace

Parsed<MessageType> check_message(const Header& header, base::ByteView body) {
  if (header.version != kVersion) return std::unexpected(ParseError::bad_version);
  if (header.type > kMessageTypeMax) return std::unexpected(ParseError::bad_type);
  const auto type = static_cast<MessageType>(header.type);
  switch (type) {
    case MessageType::discover_tracker:
    case MessageType::get_file_info:
      break;  // nothing to parse
    case MessageType::tracker_info:
      return when_parsed(type, parse_tracker_info_body(body));
    case MessageType::file_info:
      return when_parsed(type, parse_file_info_body(body));
    case MessageType::get_chunk:
      return when_parsed(type, parse_get_chunk_body(body));
    case MessageType::chunk:
      if (body.size() < kChunkHeadBodyBytes) return std::unexpected(ParseError::truncated);
      return when_parsed(type, parse_chunk_head(header, body.first(kChunkHeadBodyBytes)));
    case MessageType::error:
      return when_parsed(type, parse_error_body(body));
  }
  return type;
}

}  // namespace shoal::course
