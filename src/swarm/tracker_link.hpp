// One tracker of a torrent, whatever it speaks: HTTP and HTTPS through Fetch, UDP through UdpTracker and, for its name,
// Resolve. Pure; used by Announcer, which decides when to announce what.
//
// Always holds: one announce is under way at a time, and it ends with one result, or with cancel().
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "swarm/tracker_url.hpp"
#include "swarm/udp_tracker.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::swarm {

inline constexpr std::size_t kTrackerAddressesMax = 8;  // of one name; more are not tried
inline constexpr std::size_t kAnnounceReplyBytesMax = 1u << 20;

// Names for what an announcer asks of the runner; every other one, so that another part of the host can have the rest.
struct WebIds {
  std::uint64_t next_fetch = 1;
  std::uint64_t next_resolve = 1;

  [[nodiscard]] seam::FetchId fetch() { return seam::FetchId(std::exchange(next_fetch, next_fetch + 2)); }
  [[nodiscard]] seam::ResolveId resolve() { return seam::ResolveId(std::exchange(next_resolve, next_resolve + 2)); }
};

class TrackerLink {
 public:
  TrackerLink(TrackerUrl url, base::Rng rng);

  // `timeout` is of an HTTP request; UDP has its own rules.
  void announce(wire::AnnounceRequest request, WebIds& ids, base::Duration timeout, base::Instant now);
  void cancel();
  void on_event(const seam::Event& event, base::Instant now);
  // Parsed once for all links.
  void on_datagram(base::Endpoint from, const wire::UdpReply& reply, base::Instant now);
  void on_deadline(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const { return udp_.next_deadline(); }
  [[nodiscard]] seam::Actions take_actions() { return std::exchange(actions_, {}); }
  [[nodiscard]] std::optional<AnnounceResult> take_result() { return std::exchange(result_, std::nullopt); }

  [[nodiscard]] bool is_under_way() const { return is_under_way_; }
  // The announce under way went out, so that the tracker may have heard it.
  [[nodiscard]] bool may_have_been_heard() const { return fetch_.has_value() || udp_.has_announced(); }
  // The announce under way was not answered in time, and is repeated.
  [[nodiscard]] bool is_silent() const { return is_under_way_ && udp_.repeats() > 0; }
  [[nodiscard]] bool is_on_this_host() const;
  [[nodiscard]] base::Endpoint endpoint() const;  // as far as it is known
  [[nodiscard]] const TrackerUrl& url() const { return url_; }

 private:
  void fetch(WebIds& ids, base::Duration timeout);
  void on_addresses(const std::vector<base::Ipv4Address>& addresses, base::Instant now);
  void on_fetched(const seam::Fetched& fetched);
  void end(AnnounceResult result);
  void pump_udp();

  TrackerUrl url_;
  bool is_under_way_ = false;
  wire::AnnounceRequest request_;
  std::optional<seam::FetchId> fetch_;
  std::optional<seam::ResolveId> resolve_;
  UdpTracker udp_;
  seam::Actions actions_;
  std::optional<AnnounceResult> result_;
};

}  // namespace shoal::swarm
