// The addresses of a swarm: who is known, from where, who is worth dialling next, who is banned. Pure; used by
// roles::SwarmHost.
//
// Always holds: at most kPeersKnownMax addresses (the least promising are forgotten first), of one kind of origin never
// more than its share, and origins take turns, so that no tracker or exchange message can push out or delay what others
// told; an address that fails waits longer each time; a banned one is never given out again, whatever port it comes
// with; our own is never given out; what cannot be dialled (0.x, multicast, broadcast, port 0) is never known.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"

namespace shoal::swarm {

// A stronger origin comes first: an address that several name counts as the strongest's.
enum class PeerOrigin : std::uint8_t { user, local, tracker, exchange, incoming };
inline constexpr std::array<std::size_t, 5> kPeersKnownOf = {250, 250, 2000, 1000, 500};  // by origin
inline constexpr std::size_t kPeersKnownMax = 4000;
// Of one address, unless the user names them: somebody may want us to flood a third party. Not of 127.x.
inline constexpr std::size_t kPortsPerAddressMax = 64;
inline constexpr std::size_t kOurselvesMax = 64;                        // then the first may be dialled again
inline constexpr std::size_t kBannedMax = 65'536;                       // then the first is forgiven
inline constexpr base::Duration kFirstPause = std::chrono::seconds(2);  // doubles with each failure
inline constexpr base::Duration kPauseMax = std::chrono::minutes(10);
inline constexpr int kFailuresMax = 8;  // then it is forgotten, unless the user named it
// Whoever took nothing when we left it may have begun anew after this, when it is named again.
inline constexpr base::Duration kSeedBelieved = std::chrono::minutes(10);

enum class PeerProtocol : std::uint8_t { bittorrent, course };

struct PeerBookOptions {
  bool uses_exchange = true;  // off for private torrents (BEP 27), with `local` too
  bool uses_local = true;
};

class PeerBook {
 public:
  PeerBook(PeerBookOptions options, base::Rng rng);
  ~PeerBook();

  // `teller` is who told it by exchange. 127.x names the host that says so, so it is taken from exchange only when the
  // teller is on this host; Announcer asks the same of trackers.
  void add(base::Endpoint peer, PeerOrigin origin, base::Instant now, base::Ipv4Address teller = {});
  void add_own(base::Endpoint self);  // one of our own addresses, with the port we listen on: never dialled
  // Who answered there has our id. Not dialled again, but no proof that the address is ours: anybody may say our id.
  void on_ourselves(base::Endpoint peer);
  // The best one to dial now, marked as being dialled; nothing when nobody is due. BEP 40 orders equals by priority.
  struct Next {
    base::Endpoint endpoint;
    PeerProtocol protocol = PeerProtocol::bittorrent;
  };
  [[nodiscard]] std::optional<Next> next(base::Instant now);
  void on_connected(base::Endpoint peer,
                    base::Instant now);  // also of accepted ones, with their listening port once known
  void on_failed(base::Endpoint peer, base::Instant now);
  // Of a connection; one that was of no use counts as a failure.
  void on_ended(base::Endpoint peer, bool was_useful, base::Instant now);
  void on_protocol(base::Endpoint peer, PeerProtocol protocol);  // it speaks this one: dialled so from now on
  // It takes nothing: not worth dialling when we take nothing either.
  void on_seed(base::Endpoint peer, bool is_seed);
  // So says somebody by exchange: believed only of whom nobody else named and we have not met.
  void on_seed_told(base::Endpoint peer);
  void set_seeding(bool are_we);
  void ban(base::Ipv4Address address);
  // The torrent turns out to be private: everybody is forgotten but who is banned, and from now on neither exchange nor
  // the local network adds anybody.
  void become_private();
  [[nodiscard]] bool is_banned(base::Ipv4Address address) const;

  // When somebody is due: in the past while somebody waits to be given out. To be asked only when there is room to
  // dial.
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] std::size_t known() const;
  [[nodiscard]] std::size_t banned() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// BEP 40: the higher, the more both sides prefer this connection.
[[nodiscard]] std::uint32_t peer_priority(base::Endpoint a, base::Endpoint b);

}  // namespace shoal::swarm
