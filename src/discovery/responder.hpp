// Decides what a course tracker answers to one datagram (course-protocol 4.16, 4.17). Called by the tracker role for
// each datagram on its discovery port. Keeps no state: no datagram can influence the next.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "course/asker.hpp"
#include "course/messages.hpp"

namespace shoal::discovery {

struct ResponderOptions {
  std::string name{course::kDefaultTrackerName};
  base::Endpoint listening;     // where the tracker's TCP side listens
  bool splits_replies = false;  // 4.17: after the whole TRACKER_INFO its body alone, for a client that reads two
  // HTTP and BitTorrent are spoken on the same port: said with bit 1 to those who asked with it (section 5).
  bool speaks_bittorrent = false;
};

struct Reply {
  // Nothing when the datagram was malformed.
  std::optional<course::MessageType> asked;
  // What was sent back, for a trace; nothing when we stay silent.
  std::optional<course::MessageType> answered;
  std::string detail;
  std::vector<base::Bytes> datagrams;  // 0, 1 or 2, to the sender in this order
};

class Responder {
 public:
  explicit Responder(ResponderOptions options) : options_(std::move(options)) {}

  [[nodiscard]] Reply respond(base::ByteView datagram, const course::Asker& asker) const;

 private:
  [[nodiscard]] Reply tracker_info(const course::Asker& asker, std::uint16_t asked_reserved) const;

  ResponderOptions options_;
};

}  // namespace shoal::discovery
