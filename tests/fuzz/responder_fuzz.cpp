// What a tracker answers to datagrams: each must be answered as if it were the only one there ever was, an answer is
// never answered, and no exchange between two trackers goes on.
//
// The input: a byte for the options, then datagrams: a byte for the sender, the size (2), the bytes.
#include <optional>
#include <vector>

#include "course/request_check.hpp"
#include "discovery/responder.hpp"
#include "fuzz/input.hpp"
#include "roles/course_tracker.hpp"

namespace shoal::discovery {
namespace {

using course::MessageType;

constexpr base::Ipv4Address kOwn{0x0a000001};
constexpr std::uint16_t kPort = 8000;

class NoShare final : public tracker::ShareProvider {
 public:
  std::shared_ptr<const course::FileInfo> current() override { return std::make_shared<const course::FileInfo>(); }
};

ResponderOptions make_options(std::uint8_t options) {
  constexpr std::array<base::Ipv4Address, 4> kListening = {base::Ipv4Address{}, base::Ipv4Address::loopback(), kOwn,
                                                           base::Ipv4Address{0x01000000}};
  ResponderOptions made{.listening = {kListening[options % 4], kPort}, .splits_replies = (options & 4) != 0};
  if ((options & 8) != 0) {
    made.name.assign((options >> 4) * 20, 'n');
  } else {
    made.speaks_bittorrent = (options & 16) != 0;
  }
  return made;
}

course::Asker make_asker(std::uint8_t sender) {
  constexpr std::array<base::Ipv4Address, 3> kAddresses = {base::Ipv4Address{0x0a000009}, kOwn,
                                                           base::Ipv4Address::loopback()};
  const base::Ipv4Address address = kAddresses[sender % 3];
  return {address, address.is_loopback() ? address : kOwn};
}

// The one message these bytes are, from end to end.
std::optional<MessageType> message_in(base::ByteView bytes) {
  const auto header = course::parse_header(bytes);
  if (!header || header->length_dwords < 2 || header->message_bytes() != bytes.size()) return std::nullopt;
  const auto type = course::check_message(*header, bytes.subspan(course::kHeaderBytes));
  if (!type) return std::nullopt;
  return *type;
}

bool is_answer(base::ByteView datagram) {
  return datagram.size() >= 2 && (datagram[1] == std::byte{1} || datagram[1] == std::byte{6});
}

void check_tracker_info(const Reply& reply, const course::Asker& asker, const ResponderOptions& options) {
  const base::ByteView whole(reply.datagrams.front());
  const auto info = course::parse_tracker_info_body(whole.subspan(course::kHeaderBytes));
  SHOAL_CHECK(info && info->name == options.name && info->tracker.port == kPort);
  SHOAL_CHECK(!info->tracker.address.is_any());
  SHOAL_CHECK(!info->tracker.address.is_loopback() || asker.is_on_this_host());
  SHOAL_CHECK(reply.datagrams.size() == (options.splits_replies ? 2 : 1));
  SHOAL_CHECK(!options.splits_replies || std::ranges::equal(reply.datagrams[1], whole.subspan(course::kHeaderBytes)));
}

void check_reply(const Responder& responder, base::ByteView datagram, const course::Asker& asker,
                 const ResponderOptions& options) {
  const Reply reply = responder.respond(datagram, asker);
  SHOAL_CHECK(reply.datagrams.empty() == is_answer(datagram));
  SHOAL_CHECK(reply.answered.has_value() == !reply.datagrams.empty());
  if (reply.datagrams.empty()) return;
  const auto asked = message_in(datagram);
  const auto answered = message_in(reply.datagrams.front());
  SHOAL_CHECK(reply.asked == asked && answered && reply.answered == answered);
  if (asked == MessageType::discover_tracker) {
    SHOAL_CHECK(answered == MessageType::tracker_info);
    const std::uint16_t said = course::parse_header(reply.datagrams.front())->reserved;
    const std::uint16_t heard = course::parse_header(datagram)->reserved;
    SHOAL_CHECK(said == (options.speaks_bittorrent ? heard & course::kBitTorrentBit : 0));
    check_tracker_info(reply, asker, options);
  } else {
    const auto code = asked ? course::ErrorCode::invalid_request : course::ErrorCode::invalid_message_format;
    SHOAL_CHECK(reply.datagrams.size() == 1 && reply.datagrams.front() == course::encode_error(code));
  }
  // Another tracker that hears this says at most one thing to it, and that is the end.
  for (const base::Bytes& sent : reply.datagrams) {
    for (const base::Bytes& echo : responder.respond(sent, asker).datagrams) {
      SHOAL_CHECK(responder.respond(echo, asker).datagrams.empty());
    }
  }
}

// What the tracker as a whole sends back, of all its life.
std::vector<base::Bytes> send_to(seam::Machine& tracker, base::ByteView datagram, const course::Asker& asker) {
  const base::Endpoint from{asker.address, 40000};
  tracker.on_event(seam::DatagramArrived{.socket = seam::kDiscoverySocket,
                                         .from = from,
                                         .local = asker.local,
                                         .bytes = base::Bytes(datagram.begin(), datagram.end())},
                   {});
  std::vector<base::Bytes> sent;
  for (seam::Action& action : tracker.take_actions()) {
    if (auto* send = std::get_if<seam::SendDatagram>(&action)) {
      SHOAL_CHECK(send->socket == seam::kDiscoverySocket && send->to == from);
      sent.push_back(std::move(send->bytes));
    } else {
      SHOAL_CHECK(std::holds_alternative<seam::Tell>(action));
    }
  }
  SHOAL_CHECK(!tracker.next_deadline());
  return sent;
}

}  // namespace
}  // namespace shoal::discovery

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  fuzz::Script script(data, size);
  const discovery::ResponderOptions options = discovery::make_options(script.u8());
  discovery::NoShare share;
  const auto tracker = roles::make_course_tracker(
      {.name = options.name, .listening = options.listening, .splits_replies = options.splits_replies}, share);
  tracker->start({});
  while (!script.is_over()) {
    const course::Asker asker = discovery::make_asker(script.u8());
    const base::ByteView datagram = script.long_bytes();
    const discovery::Responder alone(options);
    discovery::check_reply(alone, datagram, asker, options);
    if (options.speaks_bittorrent) continue;  // a tracker of the course alone does not
    SHOAL_CHECK(discovery::send_to(*tracker, datagram, asker) == alone.respond(datagram, asker).datagrams);
  }
  return 0;
}
