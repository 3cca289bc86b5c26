// What clients and trackers say to each other. The input is a query, a body or a datagram, and every parser sees it.
// Whatever is accepted must survive being written and read again, and must not claim more than its limits.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::wire {
namespace {

void check_announce_query(std::string_view query) {
  const auto request = parse_announce_query(query);
  if (!request) {
    SHOAL_CHECK(!request.error().empty());
    return;
  }
  SHOAL_CHECK(!request->peers_wanted || *request->peers_wanted <= kAnnouncePeersMax);
  SHOAL_CHECK(parse_announce_query(encode_announce_query(*request)) == request);
}

void check_scrape_query(std::string_view query) {
  const auto hashes = parse_scrape_query(query);
  SHOAL_CHECK(!hashes || hashes->size() <= kScrapeHashesMax);
}

void check_http_reply(base::ByteView body) {
  const auto answer = parse_http_announce_reply(body);
  if (!answer) return;
  if (const auto* failure = std::get_if<Failure>(&*answer)) {
    SHOAL_CHECK(failure->reason.size() <= kTrackerTextBytesMax);
    SHOAL_CHECK(parse_http_announce_reply(encode_http_failure(failure->reason)) == answer);
    return;
  }
  const auto& reply = std::get<AnnounceReply>(*answer);
  SHOAL_CHECK(reply.peers.size() <= kAnnouncePeersMax && reply.peers6.size() <= kAnnouncePeersMax);
  AnnounceReply without_ids = reply;
  for (AnnouncedPeer& peer : without_ids.peers) peer.peer_id.reset();
  const auto compact = parse_http_announce_reply(encode_http_announce_reply(reply, {.is_compact = true}));
  SHOAL_CHECK(compact && std::get<AnnounceReply>(*compact) == without_ids);
  if (reply.peers.size() + reply.peers6.size() >= kAnnouncePeersMax) return;  // one list has no room for both
  SHOAL_CHECK(parse_http_announce_reply(encode_http_announce_reply(reply, {.is_compact = false})) == answer);
}

void check_datagram(base::ByteView datagram) {
  if (const auto request = parse_udp_request(datagram)) {
    const base::Bytes again = encode(*request);
    SHOAL_CHECK(again.size() <= datagram.size());
    SHOAL_CHECK(parse_udp_request(again) == request);
  }
  if (const auto reply = parse_udp_reply(datagram)) {
    const base::Bytes again = encode(*reply);
    SHOAL_CHECK(again.size() <= datagram.size());
    SHOAL_CHECK(parse_udp_reply(again) == reply);
  }
}

}  // namespace
}  // namespace shoal::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  const auto bytes = std::as_bytes(std::span(data, size));
  wire::check_announce_query(base::text_of(bytes));
  wire::check_scrape_query(base::text_of(bytes));
  wire::check_http_reply(bytes);
  wire::check_datagram(bytes);
  return 0;
}
