// Local peer discovery (BEP 14): multicasts what we share or want on every interface, and hears others do so. Pure;
// used by roles::SwarmHost.
//
// Whoever is heard can be dialled, so one search of each is enough where nothing is lost; the rest makes up for losses,
// and must not become a storm, as some programs hear nothing for a while when more than ten come in a second.
//
// Always holds: two hosts find each other within a second, though a datagram is lost: searched for at start, again
// kQuickSearchPause later until that was kQuickSearches times, then every kSearchEvery, and at once (at most every
// kAnswerPause) when a search for our share is heard. Where there are more, all but the first search wait for a random
// time that grows by kSpread with each host, so that together they send a few in a second; an answer is left out when
// kAnswersEnough others were heard meanwhile. Each searcher is answered at most kAnswersMax times in kSearchEvery, once
// where there are more than kFewSearchers, as an answer is itself a search; our own datagrams are known by their
// cookie; peers are taken at the datagram's source address and the port it names.
#pragma once

#include <algorithm>
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
inline constexpr base::Duration kSpread = std::chrono::milliseconds(500);
inline constexpr int kAnswersMax = 3;  // an answer may be lost
inline constexpr int kAnswersEnough = 2;
inline constexpr std::size_t kFewSearchers = 4;
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
  [[nodiscard]] std::optional<base::Instant> next_deadline() const {
    return answer_at_ ? std::min(next_search_, answer_at_) : next_search_;
  }
  [[nodiscard]] seam::Actions take_actions() { return std::exchange(actions_, {}); }
  [[nodiscard]] std::vector<base::Endpoint> take_peers() { return std::exchange(heard_, {}); }

 private:
  void search(base::Instant now);
  void on_datagram(const seam::DatagramArrived& datagram, base::Instant now);
  using SearcherName = std::pair<base::Endpoint, std::string>;  // one that starts again has another cookie
  struct Searcher {
    base::Instant since{};
    int answers = 0;
  };

  [[nodiscard]] bool is_to_be_answered(const SearcherName& name, base::Instant now);
  // Random; none while there is one other at most.
  [[nodiscard]] base::Duration spread();

  LocalPeersOptions options_;
  base::Rng rng_;
  std::string cookie_;
  int searches_ = 0;
  std::optional<base::Instant> next_search_;  // nothing: not started, or stopped
  std::size_t spread_over_ = 0;               // how many others next_search_ reckons with
  base::Instant last_search_{};
  std::optional<base::Instant> answer_at_;
  SearcherName asker_;  // who is answered then; others that are heard meanwhile have answered, too
  int others_heard_ = 0;
  std::map<SearcherName, Searcher> searchers_;
  std::vector<base::Endpoint> heard_;
  seam::Actions actions_;
};

}  // namespace shoal::discovery
