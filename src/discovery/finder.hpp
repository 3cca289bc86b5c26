// Finds course trackers without any configuration: broadcasts DISCOVER_TRACKER from every local address and collects
// the answers (course-protocol 4.18 to 4.20). Events in, actions out.
//
// Called by roles/ (course_client), which takes trackers with take_next() until one serves; meanwhile the finder keeps
// collecting, so that there is a next one.
//
// Always holds: a tracker is given out once, also when the finder is started again; datagrams that make no sense change
// nothing; it ends at its deadline, and then, or after stop(), has no socket open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "course/messages.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"

namespace shoal::discovery {

struct FinderInterface {
  base::Ipv4Address address;
  std::optional<base::Ipv4Address> broadcast;  // directed, where the network has one
};

struct FinderOptions {
  std::vector<FinderInterface> interfaces;
  std::uint16_t port = course::kDiscoveryPort;
  base::Duration timeout = std::chrono::seconds(3);
  bool asks_for_bittorrent = false;  // sets bit 1 (section 5); trackers that do not know it ignore it
};

// The first announcements follow each other closely, as a datagram may be lost; the others find a tracker that starts
// later.
inline constexpr int kQuickAnnouncements = 4;
inline constexpr base::Duration kQuickPause = std::chrono::milliseconds(300);
inline constexpr base::Duration kLaterPause = std::chrono::seconds(1);
// After the first answer: several trackers on an idle network all answer within this, and nobody notices the wait.
inline constexpr base::Duration kCollectTime = std::chrono::milliseconds(25);
inline constexpr std::size_t kTrackersMax = 64;     // found and remembered
inline constexpr std::size_t kLoneHeadersMax = 64;  // senders of a header whose body has not come
inline constexpr std::size_t kInterfacesMax = 64;

struct FoundTracker {
  base::Endpoint tracker;  // where to connect
  std::string name;
  std::size_t place = 0;  // 0: the first to answer
  // It answered our bit 1 with its own: HTTP and BitTorrent are spoken on this port too.
  bool speaks_bittorrent = false;
  friend bool operator==(const FoundTracker&, const FoundTracker&) = default;
};

class Finder {
 public:
  explicit Finder(FinderOptions options);

  // Once it is over it can be started again, for another while.
  void start(base::Instant now);
  void on_datagram(const seam::DatagramArrived& datagram, base::Instant now);
  void on_deadline(base::Instant now);
  void stop();

  // The tracker that answered first of those not taken yet, once the time to collect is over; else nothing, for now.
  [[nodiscard]] std::optional<FoundTracker> take_next();
  [[nodiscard]] bool is_over() const { return is_over_; }
  // How many trackers have answered so far.
  [[nodiscard]] std::size_t found() const { return known_.size(); }

  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] seam::Actions take_actions() { return std::exchange(actions_, {}); }

 private:
  void announce(base::Instant now);
  void accept(course::TrackerInfo info, std::uint16_t reserved, const base::Endpoint& from, base::Instant now);
  [[nodiscard]] bool is_our_own(base::Ipv4Address address) const;

  FinderOptions options_;
  base::Instant ends_{};
  base::Instant next_announcement_{};
  int announcements_ = 0;
  bool is_over_ = false;
  bool is_collecting_ = true;               // nothing is given out yet
  std::optional<base::Instant> choice_at_;  // when that ends; set by the first answer
  std::deque<FoundTracker> untaken_;
  std::unordered_set<base::Endpoint> known_;
  std::unordered_map<base::Endpoint, course::Header> lone_headers_;  // by sender
  seam::Actions actions_;
};

}  // namespace shoal::discovery
