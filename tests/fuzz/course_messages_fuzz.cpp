// The parsers of the course messages. The input is one message, header first. Whatever is accepted must survive being
// written and read again, and must not claim more than the input holds.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "course/messages.hpp"

namespace shoal::course {
namespace {

constexpr std::size_t kChunkFieldsBytes = kChunkHeadBytes - kHeaderBytes;

base::ByteView body_of(const base::Bytes& message) {
  return base::ByteView(message).subspan(kHeaderBytes);
}

void check_file_info(base::ByteView body) {
  const auto info = parse_file_info_body(body);
  if (!info) return;
  const base::Bytes again = encode_file_info(*info);
  SHOAL_CHECK(parse_header(again)->message_bytes() == again.size());
  SHOAL_CHECK(again.size() <= kHeaderBytes + body.size() + kDwordBytes);
  SHOAL_CHECK(parse_file_info_body(body_of(again)) == info);
  if (const auto name = safe_file_name(info->filename)) {
    SHOAL_CHECK(safe_file_name(*name) == name);
    SHOAL_CHECK(name->find('/') == std::string::npos && *name != "." && *name != "..");
  }
}

void check_tracker_info(base::ByteView body) {
  const auto info = parse_tracker_info_body(body);
  if (!info) return;
  const base::Bytes again = encode_tracker_info(*info);
  SHOAL_CHECK(parse_tracker_info_body(body_of(again)) == info);
}

void check_chunk_head(const Header& header, base::ByteView body) {
  const auto head = parse_chunk_head(header, body.first(std::min(body.size(), kChunkFieldsBytes)));
  if (!head) return;
  SHOAL_CHECK(kChunkHeadBytes + head->content_bytes + head->trailing_bytes == header.message_bytes());
  const ChunkFrame again = encode_chunk_frame(head->hash, head->content_bytes, head->reserved);
  const auto head_again = parse_chunk_head(*parse_header(again.head), body_of(again.head));
  SHOAL_CHECK(head_again && head_again->hash == head->hash && head_again->content_bytes == head->content_bytes);
  SHOAL_CHECK(head_again->trailing_bytes == again.padding_bytes);
}

void check_requests(base::ByteView body) {
  if (const auto hash = parse_get_chunk_body(body)) {
    SHOAL_CHECK(parse_get_chunk_body(body_of(encode_get_chunk(*hash))) == hash);
  }
  if (const auto code = parse_error_body(body)) {
    SHOAL_CHECK(parse_error_body(body_of(encode_error(*code))) == code);
  }
}

}  // namespace
}  // namespace shoal::course

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal::course;
  const auto message = std::as_bytes(std::span(data, size));
  const auto header = parse_header(message);
  if (!header) return 0;
  // Every body parser sees every body: a client judges by what it asked, not by the type that came.
  const auto body = message.subspan(kHeaderBytes);
  check_file_info(body);
  check_tracker_info(body);
  check_chunk_head(*header, body);
  check_requests(body);
  return 0;
}
