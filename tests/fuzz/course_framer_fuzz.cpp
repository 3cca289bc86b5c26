// RequestFramer under every way of cutting a stream. The input is a list of reads: a byte that says how long the read
// is, then its bytes. The same stream, fed at once from one dropped header to the next, must give the same frames.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "course/framer.hpp"

namespace shoal::course {
namespace {

struct SeenFrame {
  Header header;
  base::Bytes body;
  std::optional<ParseError> error;
  friend bool operator==(const SeenFrame&, const SeenFrame&) = default;
};

std::vector<SeenFrame> take_all(RequestFramer& framer) {
  std::vector<SeenFrame> frames;
  while (const auto frame = framer.next()) {
    if (*frame) {
      const Request& request = **frame;
      SHOAL_CHECK(request.body.size() == request.header.body_bytes());
      SHOAL_CHECK(request.header.length_dwords <= kRequestDwordsMax);
      frames.push_back({request.header, base::Bytes(request.body.begin(), request.body.end()), std::nullopt});
    } else {
      frames.push_back({{}, {}, frame->error()});
    }
  }
  return frames;
}

// The reads since the framer last began afresh, and what came out of them.
class Segment {
 public:
  void add(base::ByteView read, std::vector<SeenFrame> frames) {
    fed_.insert(fed_.end(), read.begin(), read.end());
    std::ranges::move(frames, std::back_inserter(frames_));
  }
  void check_against_feeding_at_once(bool is_inside_message) const {
    RequestFramer framer;
    framer.feed(fed_);
    SHOAL_CHECK(take_all(framer) == frames_);
    SHOAL_CHECK(framer.is_inside_message() == is_inside_message);
  }

 private:
  base::Bytes fed_;
  std::vector<SeenFrame> frames_;
};

}  // namespace
}  // namespace shoal::course

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal::course;
  auto input = std::as_bytes(std::span(data, size));
  if (input.size() > 64 * 1024) return 0;
  RequestFramer framer;
  Segment segment;
  while (!input.empty()) {
    const std::size_t wanted = std::to_integer<std::size_t>(input.front());
    input = input.subspan(1);
    const auto read = input.first(std::min(wanted, input.size()));
    input = input.subspan(read.size());
    framer.feed(read);
    auto frames = take_all(framer);
    const bool has_dropped = !frames.empty() && frames.back().error == ParseError::bad_length;
    segment.add(read, std::move(frames));
    if (!has_dropped) continue;
    segment.check_against_feeding_at_once(framer.is_inside_message());
    SHOAL_CHECK(!framer.is_inside_message());
    segment = Segment();
  }
  segment.check_against_feeding_at_once(framer.is_inside_message());
  return 0;
}
