// Cuts what a client sends into requests (course-protocol 4.5, 4.6, 4.11). Used by the two servers, one framer for each
// connection: feed() what arrived, however it was split, then take next() until it gives nothing.
//
// It frames and no more: whether the body parses, and whether this server answers such a request, is the caller's to
// judge. Answers are not framed here, because clients stream their payload.
//
// Always holds: after next() gave nothing, at most one unfinished request is held, less than dwords_max * 4 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/bytes.hpp"
#include "course/messages.hpp"

namespace shoal::course {

struct Request {
  Header header;        // a known version and type, a plausible length
  base::ByteView body;  // exactly header.body_bytes(); valid until the next call of feed(), next() or drop_everything()
};

// A whole request, or what the server answers with one ERROR 0:
//   bad_version, bad_type   the message was consumed whole; the one behind it comes next
//   bad_length              its end cannot be known: everything received so far is dropped
using Frame = std::expected<Request, ParseError>;

class RequestFramer {
 public:
  // The most bytes that may wait here when a caller leaves requests untaken (it should stop reading then).
  static constexpr std::size_t kHeldBytesMax = std::size_t{1} << 20;

  // A length above `dwords_max` (or below the header's own) is implausible.
  explicit RequestFramer(std::uint32_t dwords_max = kRequestDwordsMax) : dwords_max_(dwords_max) {}

  void feed(base::ByteView bytes);

  // The next request in order, or nothing until more is fed.
  //
  // "Everything received so far" (4.11) is every byte given to feed() before the call that reports bad_length: also
  // what stood behind the bad header in the same read, even when it looks like a request. The first byte fed after
  // that call begins a new header. What stood before the bad header was given out before it.
  [[nodiscard]] std::optional<Frame> next();

  // Some bytes of a request are here and the rest is awaited: a deadline applies (4.7).
  [[nodiscard]] bool is_inside_message() const;

  void drop_everything();

 private:
  [[nodiscard]] base::ByteView untaken() const { return base::ByteView(held_).subspan(taken_); }
  [[nodiscard]] bool is_plausible(const Header& header) const;

  std::uint32_t dwords_max_;
  base::Bytes held_;
  std::size_t taken_ = 0;  // bytes of held_ that were given out
};

}  // namespace shoal::course
