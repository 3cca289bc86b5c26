// One tracker of BEP 15, as its client: gets a connection id, announces with it, repeats what is not answered. Pure;
// used by TrackerLink, which owns socket and names.
//
// Always holds: one request is under way at a time; an answer counts only from the address that was asked and with the
// transaction that is under way; a request is repeated after 15 * 2^n seconds, n from 0 to kUdpRepeatsMax, at the next
// address of the name each time; a connection id is used for at most kUdpConnectionLife and at its address only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::swarm {

inline constexpr base::Duration kUdpFirstWait = std::chrono::seconds(15);
inline constexpr int kUdpRepeatsMax = 8;
inline constexpr base::Duration kUdpConnectionLife = std::chrono::minutes(1);

using AnnounceResult = std::variant<wire::AnnounceReply, wire::Failure>;

class UdpTracker {
 public:
  // `url_data` is what stands behind host and port in the tracker's URL: told by BEP 41.
  UdpTracker(std::string url_data, base::Rng rng) : url_data_(std::move(url_data)), rng_(rng) {}

  // `addresses`: at least one.
  void announce(std::vector<base::Endpoint> addresses, wire::AnnounceRequest request, base::Instant now);
  void cancel() { phase_ = Phase::idle; }
  void on_reply(base::Endpoint from, const wire::UdpReply& reply, base::Instant now);
  void on_deadline(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;

  struct Datagram {
    base::Endpoint to;
    base::Bytes bytes;
  };
  [[nodiscard]] std::vector<Datagram> take_datagrams() { return std::exchange(datagrams_, {}); }
  [[nodiscard]] std::optional<AnnounceResult> take_result() { return std::exchange(result_, std::nullopt); }

  // How often the request under way was repeated since something was heard.
  [[nodiscard]] int repeats() const { return repeats_; }
  // An announce went out; the tracker may have heard it.
  [[nodiscard]] bool has_announced() const { return has_announced_; }
  [[nodiscard]] const std::vector<base::Endpoint>& addresses() const { return addresses_; }
  [[nodiscard]] base::Endpoint address() const { return addresses_.empty() ? base::Endpoint{} : addresses_[at_]; }

 private:
  enum class Phase : std::uint8_t { idle, connecting, announcing };
  struct Connection {
    base::Endpoint tracker;
    std::uint64_t id = 0;
    base::Instant since{};
  };

  void send(base::Instant now);
  void end(AnnounceResult result);
  [[nodiscard]] bool is_connected(base::Instant now) const;

  std::string url_data_;
  base::Rng rng_;
  Phase phase_ = Phase::idle;
  std::vector<base::Endpoint> addresses_;
  std::size_t at_ = 0;
  wire::AnnounceRequest request_;
  bool has_announced_ = false;
  int repeats_ = 0;
  base::Instant repeat_at_{};
  std::pair<Phase, base::Endpoint> transaction_of_{};
  std::uint32_t transaction_ = 0;
  std::optional<Connection> connection_;
  std::vector<Datagram> datagrams_;
  std::optional<AnnounceResult> result_;
};

}  // namespace shoal::swarm
