// What tracker_messages.hpp says over UDP (BEP 15). Offsets and sizes are those of its tables.
#include <algorithm>

#include "base/check.hpp"
#include "base/overloaded.hpp"
#include "wire/extensions.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::wire {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteView;
using base::ByteWriter;
using base::Sha1Hash;

constexpr std::uint64_t kProtocolId = 0x41727101980;  // where later a connection id stands

constexpr std::size_t kConnectBytes = 16;
constexpr std::size_t kAnnounceBytes = 98;
constexpr std::size_t kScrapeHeadBytes = 16;
constexpr std::size_t kScrapedEntryBytes = 12;
constexpr std::size_t kActionOffset = 8;  // of a request

enum class Action : std::uint32_t { connect = 0, announce = 1, scrape = 2, error = 3 };

ByteWriter begin_request(std::uint64_t connection, Action action, std::uint32_t transaction) {
  ByteWriter writer(kAnnounceBytes);
  writer.u64(connection).u32(static_cast<std::uint32_t>(action)).u32(transaction);
  return writer;
}

ByteWriter begin_reply(Action action, std::uint32_t transaction) {
  ByteWriter writer;
  writer.u32(static_cast<std::uint32_t>(action)).u32(transaction);
  return writer;
}

Bytes encode_announce(const UdpAnnounce& announce) {
  const AnnounceRequest& request = announce.request;
  ByteWriter writer = begin_request(announce.connection, Action::announce, announce.transaction);
  writer.append(ByteView(request.info_hash.bytes)).append(ByteView(request.peer_id));
  writer.u64(request.downloaded).u64(request.left).u64(request.uploaded);
  writer.u32(static_cast<std::uint32_t>(request.event));
  writer.u32(request.address.value_or(base::Ipv4Address{}).value);
  writer.u32(request.key);
  writer.u32(request.peers_wanted.value_or(~std::uint32_t{0}));  // -1: as many as usual
  Bytes bytes = writer.u16(request.port).take();
  SHOAL_CHECK(bytes.size() == kAnnounceBytes);
  return bytes;
}

std::optional<UdpRequest> parse_connect(ByteView datagram) {
  ByteReader reader(datagram);
  if (datagram.size() != kConnectBytes || reader.u64() != kProtocolId) return std::nullopt;
  reader.skip(sizeof(Action));
  return UdpConnect{reader.u32()};
}

std::optional<UdpRequest> parse_announce(ByteView datagram) {
  if (datagram.size() < kAnnounceBytes) return std::nullopt;
  ByteReader reader(datagram);
  UdpAnnounce announce;
  announce.connection = reader.u64();
  reader.skip(sizeof(Action));
  announce.transaction = reader.u32();
  AnnounceRequest& request = announce.request;
  request.info_hash = Sha1Hash::from_bytes(reader.take(Sha1Hash::kSize));
  std::ranges::copy(reader.take(request.peer_id.size()), request.peer_id.begin());
  request.downloaded = reader.u64();
  request.left = reader.u64();
  request.uploaded = reader.u64();
  const std::uint32_t event = reader.u32();
  // libtorrent numbers the "paused" of BEP 21 with 4: still there.
  if (event <= static_cast<std::uint32_t>(AnnounceEvent::stopped)) request.event = static_cast<AnnounceEvent>(event);
  if (const base::Ipv4Address address{reader.u32()}; !address.is_any()) request.address = address;
  request.key = reader.u32();
  const auto wanted = static_cast<std::int32_t>(reader.u32());
  if (wanted >= 0) {
    request.peers_wanted = std::min(static_cast<std::uint32_t>(wanted), std::uint32_t{kAnnouncePeersMax});
  }
  request.port = reader.u16();
  return announce;
}

std::optional<UdpRequest> parse_scrape(ByteView datagram) {
  ByteReader reader(datagram);
  UdpScrape scrape;
  scrape.connection = reader.u64();
  reader.skip(sizeof(Action));
  scrape.transaction = reader.u32();
  const std::size_t count = reader.remaining() / Sha1Hash::kSize;
  if (count == 0 || count > kScrapeHashesMax || reader.remaining() % Sha1Hash::kSize != 0) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    scrape.info_hashes.push_back(Sha1Hash::from_bytes(reader.take(Sha1Hash::kSize)));
  }
  return scrape;
}

std::optional<UdpReply> parse_announced(std::uint32_t transaction, ByteReader reader) {
  UdpAnnounced announced{.transaction = transaction};
  announced.reply.interval_s = reader.u32();
  announced.reply.leechers = reader.u32();
  announced.reply.seeds = reader.u32();
  if (!reader.ok()) return std::nullopt;
  for (const base::Endpoint& peer : parse_compact(reader.rest())) {
    if (announced.reply.peers.size() == kAnnouncePeersMax) break;
    announced.reply.peers.push_back({.endpoint = peer, .peer_id = std::nullopt});
  }
  return announced;
}

UdpReply parse_scraped(std::uint32_t transaction, ByteReader reader) {
  UdpScraped scraped{.transaction = transaction, .entries = {}};
  while (reader.remaining() >= kScrapedEntryBytes && scraped.entries.size() < kScrapeHashesMax) {
    ScrapeEntry& entry = scraped.entries.emplace_back();
    entry.seeds = reader.u32();
    entry.downloads = reader.u32();
    entry.leechers = reader.u32();
  }
  return scraped;
}

}  // namespace

Bytes encode(const UdpRequest& request) {
  return std::visit(base::Overloaded{
                        [](const UdpConnect& connect) {
                          return begin_request(kProtocolId, Action::connect, connect.transaction).take();
                        },
                        [](const UdpAnnounce& announce) { return encode_announce(announce); },
                        [](const UdpScrape& scrape) {
                          SHOAL_CHECK(!scrape.info_hashes.empty() && scrape.info_hashes.size() <= kScrapeHashesMax);
                          ByteWriter writer = begin_request(scrape.connection, Action::scrape, scrape.transaction);
                          for (const Sha1Hash& hash : scrape.info_hashes) writer.append(ByteView(hash.bytes));
                          return writer.take();
                        },
                    },
                    request);
}

std::optional<UdpRequest> parse_udp_request(ByteView datagram) {
  static_assert(kConnectBytes == kScrapeHeadBytes);
  if (datagram.size() < kConnectBytes) return std::nullopt;
  switch (static_cast<Action>(ByteReader(datagram.subspan(kActionOffset)).u32())) {
    case Action::connect:
      return parse_connect(datagram);
    case Action::announce:
      return parse_announce(datagram);
    case Action::scrape:
      return parse_scrape(datagram);
    case Action::error:
      break;  // only trackers say so
  }
  return std::nullopt;
}

Bytes encode(const UdpReply& reply) {
  return std::visit(base::Overloaded{
                        [](const UdpConnected& connected) {
                          return begin_reply(Action::connect, connected.transaction).u64(connected.connection).take();
                        },
                        [](const UdpAnnounced& announced) {
                          const AnnounceReply& told = announced.reply;
                          ByteWriter writer = begin_reply(Action::announce, announced.transaction);
                          writer.u32(told.interval_s).u32(told.leechers).u32(told.seeds);
                          for (std::size_t i = 0; i < std::min(told.peers.size(), kAnnouncePeersMax); ++i) {
                            writer.u32(told.peers[i].endpoint.address.value).u16(told.peers[i].endpoint.port);
                          }
                          return writer.take();
                        },
                        [](const UdpScraped& scraped) {
                          ByteWriter writer = begin_reply(Action::scrape, scraped.transaction);
                          for (const ScrapeEntry& entry : scraped.entries) {
                            writer.u32(entry.seeds).u32(entry.downloads).u32(entry.leechers);
                          }
                          return writer.take();
                        },
                        [](const UdpFailed& failed) {
                          return begin_reply(Action::error, failed.transaction).append(failed.reason).take();
                        },
                    },
                    reply);
}

std::optional<UdpReply> parse_udp_reply(ByteView datagram) {
  ByteReader reader(datagram);
  const auto action = static_cast<Action>(reader.u32());
  const std::uint32_t transaction = reader.u32();
  if (!reader.ok()) return std::nullopt;
  switch (action) {
    case Action::connect: {
      const std::uint64_t connection = reader.u64();
      if (!reader.ok()) return std::nullopt;
      return UdpConnected{transaction, connection};
    }
    case Action::announce:
      return parse_announced(transaction, reader);
    case Action::scrape:
      return parse_scraped(transaction, reader);
    case Action::error:
      return UdpFailed{transaction, std::string(base::text_of(reader.rest()).substr(0, kTrackerTextBytesMax))};
  }
  return std::nullopt;
}

}  // namespace shoal::wire
