// Who is in which swarm, as far as announces tell (BEP 3, 7, 15, 23, 48): counts, peers to hand out, expiry. Pure; used
// by roles::TrackerHost for HTTP and UDP alike.
//
// Always holds: at most kSwarmsMax swarms, kPeersPerSwarmMax peers in each, kPeersMax and kHeldBytesInAllMax in all;
// the longest silent go first, published swarms never; of one address at most kPortsPerAddressMax peers are in a swarm:
// more push out each other and nobody else; a peer is known by its address and port, and moves with its peer id and
// key; addresses given by an asker (`ip=`, `ipv6=`) are believed only of an asker of the local network; nobody is
// handed himself or an address he cannot reach (what stands for this host becomes the address the asker reached it at;
// local addresses are for askers of the local network); seeds are not handed to seeds once these have begun. What an
// announce costs does not grow with the swarm.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
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
#include "tracker/swarm.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::tracker {

inline constexpr std::size_t kSwarmsMax = 100'000;
inline constexpr std::size_t kPeersPerSwarmMax = 20'000;
inline constexpr std::size_t kPortsPerAddressMax = 64;  // in a swarm, but for loopback
inline constexpr std::size_t kPeersMax = 1'000'000;     // in all swarms
inline constexpr std::size_t kHeldBytesMax = 4096;      // of what one peer says it holds
inline constexpr std::uint64_t kHeldBytesInAllMax = 64u << 20;
inline constexpr std::uint32_t kPeersGivenMax = 200;
inline constexpr std::size_t kPeersLookedAtMax = 1000;  // for one answer: not all can be handed to everybody

struct SwarmsOptions {
  base::Duration interval = std::chrono::minutes(2);  // short: local networks change quickly
  base::Duration min_interval = std::chrono::seconds(15);
  // Silent for this long: gone. Some programs announce every 10 minutes at most, and one announce may be lost.
  base::Duration expiry = std::chrono::minutes(22);
  bool serves_unknown = true;  // swarms nobody published
  std::size_t swarms_max = kSwarmsMax;
  std::size_t peers_max = kPeersMax;
  // Networks inside this host (of containers): their members are handed to each other and to this host only.
  std::vector<base::Network> internal_networks = {};
  // Of this host: local besides those addresses that are so anywhere. Their hosts may publish and tell `ipv6=`.
  std::vector<base::Network> local_networks = {};
};

class Swarms {
 public:
  Swarms(SwarmsOptions options, base::Rng rng);
  ~Swarms();

  // `error` is for the asker. `asker`: from where, and which of our addresses it reached.
  [[nodiscard]] std::expected<wire::AnnounceReply, std::string> announce(const wire::AnnounceRequest& request,
                                                                         const course::Asker& asker, base::Instant now);
  // When its last member announced; nothing while it has members.
  [[nodiscard]] std::optional<base::Instant> empty_since(const base::Sha1Hash& info_hash) const;
  // For somebody who scrapes: counted in totals().
  [[nodiscard]] wire::ScrapeEntry scrape(const base::Sha1Hash& info_hash);
  [[nodiscard]] wire::ScrapeEntry counts(const base::Sha1Hash& info_hash) const;
  // A share was published, or taken back.
  void allow(const base::Sha1Hash& info_hash, base::Instant now);
  void forbid(const base::Sha1Hash& info_hash);
  [[nodiscard]] std::vector<SwarmMember> members(const base::Sha1Hash& info_hash) const;
  // Each member in turn, without a copy; from a random one on.
  void visit(const base::Sha1Hash& info_hash, const std::function<void(const SwarmMember&)>& look);
  // Of a network inside this host; of the local network, whatever its addresses are.
  [[nodiscard]] bool is_internal(base::Ipv4Address address) const;
  [[nodiscard]] bool is_near(base::Ipv4Address address) const;
  // Whether `asker` can use `peer`, as it is known: what is inside this host is for this host and that network, local
  // addresses are for local askers.
  [[nodiscard]] bool is_reachable(base::Endpoint peer, const course::Asker& asker) const;
  // Whether two askers can use the same peers.
  [[nodiscard]] bool are_alike(const course::Asker& one, const course::Asker& other) const;
  // Changes whenever members() would say something else. Never the same for two swarms, nor for one that was forgotten
  // and came again; 0 for a swarm that is not there.
  [[nodiscard]] std::uint64_t generation(const base::Sha1Hash& info_hash) const;
  void expire(base::Instant now);

  struct Totals {
    std::size_t swarms = 0;
    std::size_t seeds = 0;
    std::size_t leechers = 0;
    std::uint64_t announces = 0;
    std::uint64_t scrapes = 0;  // swarms that were asked about
    std::uint64_t refused = 0;
  };
  [[nodiscard]] Totals totals() const;

  // What survives a restart; times are kept as ages, to which `age` is added: how long ago it was saved. Nothing of it
  // is believed that does not parse: false when it is not what save() made. Published swarms have to be allowed before.
  [[nodiscard]] base::Bytes save(base::Instant now) const;
  bool restore(base::ByteView saved, base::Instant now, base::Duration age = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::tracker
