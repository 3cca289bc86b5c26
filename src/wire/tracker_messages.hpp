// What clients and trackers say to each other, over HTTP (BEP 3, 7, 23, 48) and over UDP (BEP 15): values and bytes.
// Used by swarm::Announcer on one side and by tracker/ on the other.
//
// Always holds: parse_* of what encode_* made gives the same value, within the limits below; a number that is too large
// is the largest that fits; numbers are not checked against a swarm here, nor connection ids of UDP.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/sha1.hpp"
#include "wire/ipv6.hpp"
#include "wire/peer_messages.hpp"

namespace shoal::wire {

inline constexpr std::size_t kAnnouncePeersMax = 2000;            // of one answer; more are cut off
inline constexpr std::size_t kScrapeHashesMax = 74;               // of one question; BEP 15 has the number
inline constexpr std::size_t kTrackerTextBytesMax = 512;          // of a reason or warning: the rest is cut off
inline constexpr std::uint64_t kLeftUnknown = ~std::uint64_t{0};  // before the metadata came

enum class AnnounceEvent : std::uint8_t { none = 0, completed = 1, started = 2, stopped = 3 };  // numbers of BEP 15

struct AnnounceRequest {
  base::Sha1Hash info_hash;
  PeerId peer_id{};
  std::uint16_t port = 0;
  std::uint64_t uploaded = 0;
  std::uint64_t downloaded = 0;
  std::uint64_t left = 0;
  AnnounceEvent event = AnnounceEvent::none;
  std::uint32_t key = 0;  // 0: none. Over HTTP any text is a key: one that is no such number becomes some number
  std::optional<std::uint32_t> peers_wanted;  // numwant
  bool is_compact = true;                     // HTTP only
  bool omits_peer_ids = false;                // no_peer_id; HTTP only
  std::optional<base::Ipv4Address> address;   // `ip`: believed only from the asker's own network
  std::optional<Ipv6Endpoint> ipv6;           // `ipv6`, BEP 7; HTTP only
  std::string tracker_id;                     // `trackerid`; HTTP only
  std::string held;                           // `shoal_held`: piece ranges a Shoal host has, as "0-99,105"; HTTP only
  friend bool operator==(const AnnounceRequest&, const AnnounceRequest&) = default;
};

struct AnnouncedPeer {
  base::Endpoint endpoint;
  std::optional<PeerId> peer_id;
  friend bool operator==(const AnnouncedPeer&, const AnnouncedPeer&) = default;
};
struct AnnounceReply {
  std::uint32_t interval_s = 0;
  std::uint32_t min_interval_s = 0;  // 0: not told
  std::uint32_t seeds = 0;           // complete
  std::uint32_t leechers = 0;        // incomplete
  std::vector<AnnouncedPeer> peers;
  std::vector<Ipv6Endpoint> peers6;
  std::string tracker_id;
  std::string warning;
  friend bool operator==(const AnnounceReply&, const AnnounceReply&) = default;
};
struct ScrapeEntry {
  base::Sha1Hash info_hash;
  std::uint32_t seeds = 0;
  std::uint32_t downloads = 0;  // downloaded
  std::uint32_t leechers = 0;
  friend bool operator==(const ScrapeEntry&, const ScrapeEntry&) = default;
};
struct Failure {
  std::string reason;
  friend bool operator==(const Failure&, const Failure&) = default;
};

// --- HTTP ---
// "info_hash=...&peer_id=...": what stands behind the question mark of an announce URL.
[[nodiscard]] std::string encode_announce_query(const AnnounceRequest& request);
// However the values are escaped. info_hash, peer_id and port have to be there, each once; the rest is as good as
// absent when it cannot be read, and keys nobody knows are ignored. The error is for the asker.
[[nodiscard]] std::expected<AnnounceRequest, std::string> parse_announce_query(std::string_view query);
// At most kScrapeHashesMax; none when none is named.
[[nodiscard]] std::expected<std::vector<base::Sha1Hash>, std::string> parse_scrape_query(std::string_view query);

// As the request wants them: compact or not, with ids or not.
[[nodiscard]] base::Bytes encode_http_announce_reply(const AnnounceReply& reply, const AnnounceRequest& request);
[[nodiscard]] base::Bytes encode_http_scrape_reply(std::vector<ScrapeEntry> entries);
[[nodiscard]] base::Bytes encode_http_failure(std::string_view reason);
// Both forms of `peers`; host names in the long form are left out. Bytes behind the dictionary are ignored: some
// trackers end a line there. nullopt: not an answer of a tracker.
[[nodiscard]] std::optional<std::variant<AnnounceReply, Failure>> parse_http_announce_reply(base::ByteView body);

// --- UDP (BEP 15) ---
struct UdpConnect {
  std::uint32_t transaction = 0;
  friend bool operator==(const UdpConnect&, const UdpConnect&) = default;
};
struct UdpAnnounce {
  std::uint64_t connection = 0;
  std::uint32_t transaction = 0;
  AnnounceRequest request;
  friend bool operator==(const UdpAnnounce&, const UdpAnnounce&) = default;
};
struct UdpScrape {
  std::uint64_t connection = 0;
  std::uint32_t transaction = 0;
  std::vector<base::Sha1Hash> info_hashes;  // 1 to kScrapeHashesMax
  friend bool operator==(const UdpScrape&, const UdpScrape&) = default;
};
using UdpRequest = std::variant<UdpConnect, UdpAnnounce, UdpScrape>;
[[nodiscard]] base::Bytes encode(const UdpRequest& request);
// Nothing: not a request of BEP 15; stay silent. Options of BEP 41 behind an announce are ignored.
[[nodiscard]] std::optional<UdpRequest> parse_udp_request(base::ByteView datagram);

struct UdpConnected {
  std::uint32_t transaction = 0;
  std::uint64_t connection = 0;
  friend bool operator==(const UdpConnected&, const UdpConnected&) = default;
};
struct UdpAnnounced {
  std::uint32_t transaction = 0;
  AnnounceReply reply;  // interval, counts and IPv4 peers without ids
  friend bool operator==(const UdpAnnounced&, const UdpAnnounced&) = default;
};
struct UdpScraped {
  std::uint32_t transaction = 0;
  std::vector<ScrapeEntry> entries;  // without info_hash, in the order asked
  friend bool operator==(const UdpScraped&, const UdpScraped&) = default;
};
struct UdpFailed {
  std::uint32_t transaction = 0;
  std::string reason;
  friend bool operator==(const UdpFailed&, const UdpFailed&) = default;
};
using UdpReply = std::variant<UdpConnected, UdpAnnounced, UdpScraped, UdpFailed>;
[[nodiscard]] base::Bytes encode(const UdpReply& reply);
// Nothing: not a reply of BEP 15. What follows the last whole peer or entry is ignored.
[[nodiscard]] std::optional<UdpReply> parse_udp_reply(base::ByteView datagram);

}  // namespace shoal::wire
