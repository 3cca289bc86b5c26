#include "discovery/responder.hpp"

#include <utility>

#include "course/request_check.hpp"

namespace shoal::discovery {
namespace {

using course::ErrorCode;
using course::MessageType;

// What only a tracker sends is never answered, however broken it is: two trackers would answer each other for ever. The
// type byte is believed on its own because a malformed answer is still an answer.
bool says_it_is_an_answer(base::ByteView datagram) {
  if (datagram.size() < 2) return false;
  const auto type = std::to_integer<std::uint8_t>(datagram[1]);
  return type == static_cast<std::uint8_t>(MessageType::error) ||
         type == static_cast<std::uint8_t>(MessageType::tracker_info);
}

course::Parsed<MessageType> parse_datagram(base::ByteView datagram) {
  const auto header = course::parse_header(datagram);
  if (!header) return std::unexpected(header.error());
  if (header->message_bytes() != datagram.size()) return std::unexpected(course::ParseError::bad_length);
  return course::check_message(*header, datagram.subspan(course::kHeaderBytes));
}

Reply error(std::optional<MessageType> asked, ErrorCode code, std::string detail) {
  return {.asked = asked,
          .answered = MessageType::error,
          .detail = std::move(detail),
          .datagrams = {course::encode_error(code)}};
}

}  // namespace

Reply Responder::respond(base::ByteView datagram, const course::Asker& asker) const {
  if (says_it_is_an_answer(datagram)) {
    return {.asked = static_cast<MessageType>(datagram[1]), .answered = std::nullopt, .detail = "", .datagrams = {}};
  }
  const auto type = parse_datagram(datagram);
  if (!type) {
    return error(std::nullopt, ErrorCode::invalid_message_format, std::string(course::to_string(type.error())));
  }
  if (*type != MessageType::discover_tracker) {
    return error(*type, ErrorCode::invalid_request, std::string(course::to_string(ErrorCode::invalid_request)));
  }
  return tracker_info(asker, course::parse_header(datagram)->reserved);
}

Reply Responder::tracker_info(const course::Asker& asker, std::uint16_t asked_reserved) const {
  const course::TrackerInfo info{course::endpoint_for(asker, options_.listening), options_.name};
  const std::uint16_t offered = options_.speaks_bittorrent ? course::kBitTorrentBit : 0;
  base::Bytes whole = course::encode_tracker_info(info, asked_reserved & offered);
  Reply reply{.asked = MessageType::discover_tracker,
              .answered = MessageType::tracker_info,
              .detail = "tracker at " + info.tracker.to_string(),
              .datagrams = {}};
  base::Bytes body;
  if (options_.splits_replies) body.assign(whole.begin() + course::kHeaderBytes, whole.end());
  reply.datagrams.push_back(std::move(whole));
  if (options_.splits_replies) reply.datagrams.push_back(std::move(body));
  return reply;
}

}  // namespace shoal::discovery
