// Local peer discovery (BEP 14): multicasts what we share or want on every interface, and hears others do so. Pure;
// used by roles::SwarmHost.
//
// Always holds: announced at start kQuickSearches times within a second, then every kSearchEvery, and soon (at most
// every kAnswerPause) when a search for our share is heard, so that two hosts find each other within a second; each
// searcher is answered at most kAnswersMax times in kSearchEvery, as an answer is itself a search; our own datagrams
// are known by their cookie; peers are taken at the datagram's source address and the port it names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/sha1.hpp"
#include "base/time.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "wire/local_discovery.hpp"

namespace shoal::discovery {

inline constexpr base::Duration kSearchEvery = std::chrono::minutes(5);
inline constexpr int kQuickSearches = 3;
inline constexpr base::Duration kQuickSearchPause = std::chrono::milliseconds(400);
inline constexpr base::Duration kAnswerPause = std::chrono::seconds(1);
inline constexpr int kAnswersMax = 3;                     // an answer may be lost
inline constexpr std::size_t kLocalPeersHeardMax = 256;   // not taken yet
inline constexpr std::size_t kSearchersMax = 1024;        // remembered, so as not to answer them for ever
inline constexpr std::size_t kLocalInterfacesMax = 64;    // more are not used
inline constexpr std::uint32_t kFirstLocalSocket = 1001;  // seam/ids.hpp

struct LocalPeersOptions {
  std::vector<base::Ipv4Address> interfaces;  // one socket each, 127.0.0.1 included
  base::Sha1Hash info_hash;
  std::uint16_t port = 0;  // where we listen
};

class LocalPeers {
 public:
  LocalPeers(LocalPeersOptions options, base::Rng rng);

  void start(base::Instant now);
  // True when the event was ours.
  bool on_event(const seam::Event& event, base::Instant now);
  void on_deadline(base::Instant now);
  void stop();
  [[nodiscard]] std::optional<base::Instant> next_deadline() const { return next_search_; }
  [[nodiscard]] seam::Actions take_actions() { return std::exchange(actions_, {}); }
  [[nodiscard]] std::vector<base::Endpoint> take_peers() { return std::exchange(heard_, {}); }

 private:
  void search(base::Instant now);
  void on_datagram(const seam::DatagramArrived& datagram, base::Instant now);
  [[nodiscard]] bool is_to_be_answered(base::Endpoint peer, const std::string& cookie, base::Instant now);

  struct Searcher {
    base::Instant since{};
    int answers = 0;
  };

  LocalPeersOptions options_;
  std::string cookie_;
  int searches_ = 0;
  std::optional<base::Instant> next_search_;  // nothing: not started, or stopped
  base::Instant last_search_{};
  std::map<std::pair<base::Endpoint, std::string>, Searcher> searchers_;  // one that starts again has another cookie
  std::vector<base::Endpoint> heard_;
  seam::Actions actions_;
};

}  // namespace shoal::discovery
