// Who is in which swarm, as far as announces tell (BEP 3, 7, 15, 23, 48): counts, peers to hand out, expiry. Pure; used
// by roles::TrackerHost for HTTP and UDP alike.
//
// Always holds: at most kSwarmsMax swarms and kPeersPerSwarmMax peers in each, the longest silent go first; a peer is
// known by its address and port, and moves with its peer id and key; addresses given by an asker (`ip=`, `ipv6=`) are
// believed only of an asker of the local network; nobody is handed himself or an address he cannot reach (what stands
// for this host becomes the address the asker reached it at); seeds are not handed to seeds.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/sha1.hpp"
#include "base/time.hpp"
#include "course/asker.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::tracker {

inline constexpr std::size_t kSwarmsMax = 100'000;
inline constexpr std::size_t kPeersPerSwarmMax = 20'000;
inline constexpr std::uint32_t kPeersGivenMax = 200;

struct SwarmsOptions {
  base::Duration interval = std::chrono::minutes(2);  // short: local networks change quickly
  base::Duration min_interval = std::chrono::seconds(15);
  base::Duration expiry = std::chrono::minutes(5);  // silent for this long: gone
  bool serves_unknown = true;                       // swarms nobody published
  // Networks inside this host (of containers): their members are handed to each other and to this host only.
  std::vector<base::Network> internal_networks = {};
};

struct SwarmMember {
  base::Endpoint endpoint;
  wire::PeerId peer_id{};
  std::uint64_t left_bytes = 0;
  std::string held;  // ranges of pieces, of Shoal hosts
  [[nodiscard]] bool is_seed() const { return left_bytes == 0; }
  friend bool operator==(const SwarmMember&, const SwarmMember&) = default;
};

class Swarms {
 public:
  Swarms(SwarmsOptions options, base::Rng rng);
  ~Swarms();

  // `error` is for the asker. `asker`: from where, and which of our addresses it reached.
  [[nodiscard]] std::expected<wire::AnnounceReply, std::string> announce(const wire::AnnounceRequest& request,
                                                                         const course::Asker& asker, base::Instant now);
  [[nodiscard]] wire::ScrapeEntry scrape(const base::Sha1Hash& info_hash) const;
  void allow(const base::Sha1Hash& info_hash);  // published
  [[nodiscard]] std::vector<SwarmMember> members(const base::Sha1Hash& info_hash) const;
  // Changes whenever members() would say something else.
  [[nodiscard]] std::uint64_t generation(const base::Sha1Hash& info_hash) const;
  void expire(base::Instant now);

  struct Totals {
    std::size_t swarms = 0;
    std::size_t seeds = 0;
    std::size_t leechers = 0;
    std::uint64_t announces = 0;
    std::uint64_t scrapes = 0;
    std::uint64_t refused = 0;
  };
  [[nodiscard]] Totals totals() const;

  // What survives a restart; times are kept as ages. Nothing of it is believed that does not parse.
  [[nodiscard]] base::Bytes save(base::Instant now) const;
  void restore(base::ByteView saved, base::Instant now);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::tracker
