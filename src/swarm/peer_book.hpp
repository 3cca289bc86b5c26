// The addresses of a swarm: who is known, from where, who is worth dialling next, who is banned. Pure; used by
// roles::SwarmHost.
//
// Always holds: at most kPeersKnownMax addresses (the least promising are forgotten first), of one kind of origin never
// more than its share, so that no tracker or exchange message can push out the others; an address that fails waits
// longer each time; a banned one is never given out again, whatever port it comes with; our own is never given out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"

namespace shoal::swarm {

inline constexpr std::size_t kPeersKnownMax = 4000;
inline constexpr base::Duration kFirstPause = std::chrono::seconds(2);  // doubles with each failure
inline constexpr base::Duration kPauseMax = std::chrono::minutes(10);
inline constexpr int kFailuresMax = 8;  // then it is forgotten, unless the user named it

enum class PeerOrigin : std::uint8_t { user, local, tracker, exchange, incoming };
enum class PeerProtocol : std::uint8_t { bittorrent, course };

struct PeerBookOptions {
  bool uses_exchange = true;  // off for private torrents (BEP 27), with `local` too
  bool uses_local = true;
};

class PeerBook {
 public:
  PeerBook(PeerBookOptions options, base::Rng rng);
  ~PeerBook();

  void add(base::Endpoint peer, PeerOrigin origin, base::Instant now);
  void add_own(base::Endpoint self);  // one of our own addresses: never dialled
  // The best one to dial now, marked as being dialled; nothing when nobody is due. BEP 40 orders equals by priority.
  struct Next {
    base::Endpoint endpoint;
    PeerProtocol protocol = PeerProtocol::bittorrent;
  };
  [[nodiscard]] std::optional<Next> next(base::Instant now);
  void on_connected(base::Endpoint peer,
                    base::Instant now);  // also of accepted ones, with their listening port once known
  void on_failed(base::Endpoint peer, base::Instant now);
  void on_ended(base::Endpoint peer, bool was_useful, base::Instant now);
  void on_protocol(base::Endpoint peer, PeerProtocol protocol);  // it speaks this one: dialled so from now on
  void on_seed(base::Endpoint peer, bool is_seed);               // not worth dialling when we are one
  void set_seeding(bool are_we);
  void ban(base::Ipv4Address address);
  [[nodiscard]] bool is_banned(base::Ipv4Address address) const;

  [[nodiscard]] std::optional<base::Instant> next_deadline() const;  // when somebody is due
  [[nodiscard]] std::size_t known() const;
  [[nodiscard]] std::size_t banned() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// BEP 40: the higher, the more both sides prefer this connection.
[[nodiscard]] std::uint32_t peer_priority(base::Endpoint a, base::Endpoint b);

}  // namespace shoal::swarm
