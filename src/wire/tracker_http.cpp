// What tracker_messages.hpp says over HTTP.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "bencode/bencode.hpp"
#include "wire/extensions.hpp"
#include "wire/http.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::wire {
namespace {

using base::Bytes;
using base::ByteView;
using base::Sha1Hash;

constexpr std::size_t kCompactPeer6Bytes = 18;

// Digits only; too large a number is the largest.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || !std::ranges::all_of(text, is_digit)) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? number : std::numeric_limits<std::uint64_t>::max();
}

// Every client writes its key in its own way, and only whether two are the same matters.
std::uint32_t parse_key(const std::string& text) {
  std::uint32_t key = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), key, 16);
  if (error == std::errc() && end == text.data() + text.size()) return key;
  const Sha1Hash hash = base::sha1(base::view_of(text));
  return base::ByteReader(ByteView(hash.bytes)).u32();
}

AnnounceEvent parse_event(std::string_view text) {
  if (text == "started") return AnnounceEvent::started;
  if (text == "completed") return AnnounceEvent::completed;
  if (text == "stopped") return AnnounceEvent::stopped;
  return AnnounceEvent::none;  // "paused" of BEP 21 is one more kind of still being there
}

std::string_view name_of(AnnounceEvent event) {
  switch (event) {
    case AnnounceEvent::none:
      break;
    case AnnounceEvent::completed:
      return "completed";
    case AnnounceEvent::started:
      return "started";
    case AnnounceEvent::stopped:
      return "stopped";
  }
  return "";
}

using QueryJudged = std::expected<void, std::string>;

// Takes the 20 bytes of info_hash or peer_id.
QueryJudged read_id(std::string_view name, const std::vector<std::string>& values, std::array<std::byte, 20>& id) {
  if (values.empty()) return std::unexpected(fmt::format("{} is missing or badly escaped", name));
  if (values.size() > 1) return std::unexpected(fmt::format("{} is given twice", name));
  if (values.front().size() != id.size()) return std::unexpected(fmt::format("{} is not 20 bytes", name));
  std::ranges::copy(base::view_of(values.front()), id.begin());
  return {};
}

QueryJudged read_port(const std::vector<std::string>& values, std::uint16_t& port) {
  if (values.empty()) return std::unexpected("port is missing or badly escaped");
  if (values.size() > 1) return std::unexpected("port is given twice");
  const auto number = base::parse_port(values.front());
  if (!number) return std::unexpected("port is no number from 0 to 65535");
  port = *number;
  return {};
}

void read_optional_field(std::string_view name, const std::string& value, AnnounceRequest& request) {
  if (name == "uploaded") request.uploaded = parse_number(value).value_or(0);
  if (name == "downloaded") request.downloaded = parse_number(value).value_or(0);
  if (name == "left") request.left = parse_number(value).value_or(kLeftUnknown);
  if (name == "event") request.event = parse_event(value);
  if (name == "key") request.key = parse_key(value);
  if (name == "compact") request.is_compact = value != "0";
  if (name == "no_peer_id") request.omits_peer_ids = value == "1";
  if (name == "ip") request.address = base::Ipv4Address::parse(value);
  if (name == "ipv6") request.ipv6 = parse_ipv6_endpoint(value, request.port);
  if (name == "trackerid") request.tracker_id = value;
  if (name == "shoal_held") request.held = value;
  if (name == "numwant") {
    if (const auto wanted = parse_number(value)) {
      request.peers_wanted = static_cast<std::uint32_t>(std::min<std::uint64_t>(*wanted, kAnnouncePeersMax));
    }
  }
}

std::uint32_t find_number(const bencode::Value& dictionary, std::string_view key) {
  const std::int64_t* number = dictionary.find_integer(key);
  if (number == nullptr) return 0;
  constexpr std::int64_t kMax = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(*number, 0, kMax));
}

std::string find_text(const bencode::Value& dictionary, std::string_view key) {
  const std::string_view* text = dictionary.find_string(key);
  return text == nullptr ? std::string() : std::string(text->substr(0, kTrackerTextBytesMax));
}

void read_peer(const bencode::Value& entry, AnnounceReply& reply) {
  const std::string_view* ip = entry.find_string("ip");
  const std::int64_t* port = entry.find_integer("port");
  if (ip == nullptr || port == nullptr || !std::in_range<std::uint16_t>(*port)) return;
  const auto port_number = static_cast<std::uint16_t>(*port);
  if (const auto address = base::Ipv4Address::parse(*ip)) {
    AnnouncedPeer peer{.endpoint = {*address, port_number}, .peer_id = std::nullopt};
    const std::string_view* id = entry.find_string("peer id");
    if (id != nullptr && id->size() == PeerId{}.size()) {
      std::ranges::copy(base::view_of(*id), peer.peer_id.emplace().begin());
    }
    reply.peers.push_back(peer);
  } else if (const auto address6 = parse_ipv6(*ip)) {
    reply.peers6.push_back({*address6, port_number});
  }
}

void read_compact_peers(ByteView compact, AnnounceReply& reply) {
  for (const base::Endpoint& peer : parse_compact(compact)) {
    if (reply.peers.size() == kAnnouncePeersMax) return;
    reply.peers.push_back({.endpoint = peer, .peer_id = std::nullopt});
  }
}

void read_compact_peers6(ByteView compact, AnnounceReply& reply) {
  base::ByteReader reader(compact);
  while (reader.remaining() >= kCompactPeer6Bytes && reply.peers6.size() < kAnnouncePeersMax) {
    Ipv6Endpoint& peer = reply.peers6.emplace_back();
    std::ranges::copy(reader.take(peer.address.size()), peer.address.begin());
    peer.port = reader.u16();
  }
}

void write_compact_peers(bencode::Writer& writer, const AnnounceReply& reply) {
  base::ByteWriter compact;
  for (std::size_t i = 0; i < std::min(reply.peers.size(), kAnnouncePeersMax); ++i) {
    compact.u32(reply.peers[i].endpoint.address.value).u16(reply.peers[i].endpoint.port);
  }
  writer.key("peers").string(compact.take());
  if (reply.peers6.empty()) return;
  base::ByteWriter compact6;
  for (std::size_t i = 0; i < std::min(reply.peers6.size(), kAnnouncePeersMax); ++i) {
    compact6.append(ByteView(reply.peers6[i].address)).u16(reply.peers6[i].port);
  }
  writer.key("peers6").string(compact6.take());
}

void write_peer_list(bencode::Writer& writer, const AnnounceReply& reply, bool omits_peer_ids) {
  writer.key("peers").begin_list();
  for (std::size_t i = 0; i < std::min(reply.peers.size(), kAnnouncePeersMax); ++i) {
    const AnnouncedPeer& peer = reply.peers[i];
    writer.begin_dictionary().key("ip").string(peer.endpoint.address.to_string());
    if (peer.peer_id && !omits_peer_ids) writer.key("peer id").string(ByteView(*peer.peer_id));
    writer.key("port").integer(peer.endpoint.port).end();
  }
  for (std::size_t i = 0; i < std::min(reply.peers6.size(), kAnnouncePeersMax); ++i) {
    const Ipv6Endpoint& peer = reply.peers6[i];
    writer.begin_dictionary().key("ip").string(to_string(peer.address)).key("port").integer(peer.port).end();
  }
  writer.end();
}

}  // namespace

std::string encode_announce_query(const AnnounceRequest& request) {
  std::string query = fmt::format("info_hash={}&peer_id={}&port={}&uploaded={}&downloaded={}&left={}&compact={}",
                                  percent_encode(base::text_of(request.info_hash.bytes)),
                                  percent_encode(base::text_of(request.peer_id)), request.port, request.uploaded,
                                  request.downloaded, request.left, request.is_compact ? 1 : 0);
  const auto add = [&query](std::string_view name, std::string_view value) {
    query += fmt::format("&{}={}", name, percent_encode(value));
  };
  if (request.omits_peer_ids) add("no_peer_id", "1");
  if (request.event != AnnounceEvent::none) add("event", name_of(request.event));
  if (request.key != 0) add("key", fmt::format("{:08X}", request.key));
  if (request.peers_wanted) add("numwant", fmt::format("{}", *request.peers_wanted));
  if (request.address) add("ip", request.address->to_string());
  if (request.ipv6) add("ipv6", to_string(*request.ipv6));
  if (!request.tracker_id.empty()) add("trackerid", request.tracker_id);
  if (!request.held.empty()) add("shoal_held", request.held);
  return query;
}

std::expected<AnnounceRequest, std::string> parse_announce_query(std::string_view query) {
  AnnounceRequest request{.left = kLeftUnknown};
  if (const QueryJudged judged = read_id("info_hash", query_values(query, "info_hash"), request.info_hash.bytes);
      !judged) {
    return std::unexpected(judged.error());
  }
  if (const QueryJudged judged = read_id("peer_id", query_values(query, "peer_id"), request.peer_id); !judged) {
    return std::unexpected(judged.error());
  }
  if (const QueryJudged judged = read_port(query_values(query, "port"), request.port); !judged) {
    return std::unexpected(judged.error());
  }
  for (const auto& [name, value] : query_fields(query)) {
    if (const auto decoded = query_decode(value)) read_optional_field(name, *decoded, request);
  }
  return request;
}

std::expected<std::vector<Sha1Hash>, std::string> parse_scrape_query(std::string_view query) {
  std::vector<Sha1Hash> hashes;
  for (const std::string& value : query_values(query, "info_hash")) {
    if (value.size() != Sha1Hash::kSize) return std::unexpected("info_hash is not 20 bytes");
    if (hashes.size() == kScrapeHashesMax) return std::unexpected(fmt::format("ask for {} at most", kScrapeHashesMax));
    hashes.push_back(Sha1Hash::from_bytes(base::view_of(value)));
  }
  return hashes;
}

Bytes encode_http_announce_reply(const AnnounceReply& reply, const AnnounceRequest& request) {
  bencode::Writer writer;
  writer.begin_dictionary();
  writer.key("complete").integer(reply.seeds);
  writer.key("incomplete").integer(reply.leechers);
  writer.key("interval").integer(reply.interval_s);
  if (reply.min_interval_s != 0) writer.key("min interval").integer(reply.min_interval_s);
  if (request.is_compact) {
    write_compact_peers(writer, reply);
  } else {
    write_peer_list(writer, reply, request.omits_peer_ids);
  }
  if (!reply.tracker_id.empty()) writer.key("tracker id").string(reply.tracker_id);
  if (!reply.warning.empty()) writer.key("warning message").string(reply.warning);
  return writer.end().take();
}

Bytes encode_http_scrape_reply(std::vector<ScrapeEntry> entries) {
  // Keys of a dictionary: sorted, and each once.
  std::ranges::sort(entries, {}, &ScrapeEntry::info_hash);
  const auto repeated = std::ranges::unique(entries, {}, &ScrapeEntry::info_hash);
  entries.erase(repeated.begin(), repeated.end());
  bencode::Writer writer;
  writer.begin_dictionary().key("files").begin_dictionary();
  for (const ScrapeEntry& entry : entries) {
    writer.key(base::text_of(entry.info_hash.bytes)).begin_dictionary();
    writer.key("complete").integer(entry.seeds);
    writer.key("downloaded").integer(entry.downloads);
    writer.key("incomplete").integer(entry.leechers);
    writer.end();
  }
  return writer.end().end().take();
}

Bytes encode_http_failure(std::string_view reason) {
  return bencode::Writer().begin_dictionary().key("failure reason").string(reason).end().take();
}

std::optional<std::variant<AnnounceReply, Failure>> parse_http_announce_reply(ByteView body) {
  const auto value = bencode::parse_prefix(body, bencode::Keys::in_any_order);
  if (!value) return std::nullopt;
  if (value->find_string("failure reason") != nullptr) return Failure{find_text(*value, "failure reason")};
  const bencode::Value* peers = value->find("peers");
  const std::string_view* peers6 = value->find_string("peers6");
  const bool has_peers = peers != nullptr && (peers->string() != nullptr || peers->list() != nullptr);
  if (!has_peers && peers6 == nullptr && value->find_integer("interval") == nullptr) return std::nullopt;
  AnnounceReply reply{.interval_s = find_number(*value, "interval"),
                      .min_interval_s = find_number(*value, "min interval"),
                      .seeds = find_number(*value, "complete"),
                      .leechers = find_number(*value, "incomplete"),
                      .warning = find_text(*value, "warning message")};
  // One that was cut would be another one.
  const std::string_view* tracker_id = value->find_string("tracker id");
  if (tracker_id != nullptr && tracker_id->size() <= kTrackerTextBytesMax) reply.tracker_id = *tracker_id;
  if (has_peers && peers->string() != nullptr) read_compact_peers(base::view_of(*peers->string()), reply);
  if (has_peers && peers->list() != nullptr) {
    for (const bencode::Value& entry : *peers->list()) {
      if (reply.peers.size() == kAnnouncePeersMax || reply.peers6.size() == kAnnouncePeersMax) break;
      read_peer(entry, reply);
    }
  }
  if (peers6 != nullptr) read_compact_peers6(base::view_of(*peers6), reply);
  return reply;
}

}  // namespace shoal::wire
