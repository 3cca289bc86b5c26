#include "tracker/udp_answers.hpp"

#include <algorithm>
#include <variant>

#include "base/sha1.hpp"

namespace shoal::tracker {
namespace {

std::int64_t slot_of(base::Instant now) {
  return now.time_since_epoch() / kConnectionSlot;
}

}  // namespace

UdpAnswers::UdpAnswers(Swarms& swarms, base::Rng& rng) : swarms_(swarms), secret_{rng.next(), rng.next()} {}

std::uint64_t UdpAnswers::connection_id(base::Endpoint from, std::int64_t slot) const {
  const base::Bytes text = base::ByteWriter()
                               .u64(secret_[0])
                               .u32(from.address.value)
                               .u64(static_cast<std::uint64_t>(slot))
                               .u64(secret_[1])
                               .take();
  const base::Sha1Hash hash = base::sha1(text);
  return base::ByteReader(base::ByteView(hash.bytes)).u64();
}

bool UdpAnswers::is_good(std::uint64_t connection, base::Endpoint from, base::Instant now) const {
  const std::int64_t slot = slot_of(now);
  return connection == connection_id(from, slot) || connection == connection_id(from, slot - 1);
}

std::optional<base::Bytes> UdpAnswers::answer(base::ByteView datagram, base::Endpoint from, base::Ipv4Address local,
                                              base::Instant now) {
  const auto request = wire::parse_udp_request(datagram);
  if (!request) return std::nullopt;
  if (const auto* connect = std::get_if<wire::UdpConnect>(&*request)) {
    return wire::encode(wire::UdpReply(
        wire::UdpConnected{.transaction = connect->transaction, .connection = connection_id(from, slot_of(now))}));
  }
  if (const auto* announce = std::get_if<wire::UdpAnnounce>(&*request)) {
    if (!is_good(announce->connection, from, now)) return std::nullopt;
    wire::AnnounceRequest asked = announce->request;
    if (asked.peers_wanted) asked.peers_wanted = std::min(*asked.peers_wanted, kUdpPeersMax);
    auto reply = swarms_.announce(asked, {from.address, local}, now);
    if (!reply) return wire::encode(wire::UdpReply(wire::UdpFailed{announce->transaction, reply.error()}));
    return wire::encode(wire::UdpReply(wire::UdpAnnounced{announce->transaction, std::move(*reply)}));
  }
  const auto& scrape = std::get<wire::UdpScrape>(*request);
  if (!is_good(scrape.connection, from, now)) return std::nullopt;
  wire::UdpScraped scraped{.transaction = scrape.transaction, .entries = {}};
  for (const base::Sha1Hash& info_hash : scrape.info_hashes) scraped.entries.push_back(swarms_.scrape(info_hash));
  return wire::encode(wire::UdpReply(std::move(scraped)));
}

}  // namespace shoal::tracker
