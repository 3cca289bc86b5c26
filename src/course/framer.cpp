#include "course/framer.hpp"

#include "base/check.hpp"

namespace shoal::course {
namespace {

constexpr std::uint32_t kDwordsMin = kHeaderBytes / kDwordBytes;

}  // namespace

void RequestFramer::feed(base::ByteView bytes) {
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(taken_));
  taken_ = 0;
  SHOAL_CHECK(held_.size() + bytes.size() <= kHeldBytesMax);
  held_.insert(held_.end(), bytes.begin(), bytes.end());
}

std::optional<Frame> RequestFramer::next() {
  const base::ByteView bytes = untaken();
  const auto header = parse_header(bytes);
  if (!header) return std::nullopt;
  if (!is_plausible(*header)) {
    drop_everything();
    return std::unexpected(ParseError::bad_length);
  }
  if (bytes.size() < header->message_bytes()) return std::nullopt;
  taken_ += header->message_bytes();
  if (header->version != kVersion) return std::unexpected(ParseError::bad_version);
  if (header->type > kMessageTypeMax) return std::unexpected(ParseError::bad_type);
  return Request{*header, bytes.subspan(kHeaderBytes, header->body_bytes())};
}

bool RequestFramer::is_inside_message() const {
  const base::ByteView bytes = untaken();
  const auto header = parse_header(bytes);
  if (!header) return !bytes.empty();
  return is_plausible(*header) && bytes.size() < header->message_bytes();
}

void RequestFramer::drop_everything() {
  held_.clear();
  taken_ = 0;
}

bool RequestFramer::is_plausible(const Header& header) const {
  return header.length_dwords >= kDwordsMin && header.length_dwords <= dwords_max_;
}

}  // namespace shoal::course
