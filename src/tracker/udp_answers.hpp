// What a tracker answers over UDP (BEP 15). Pure; used by roles::TrackerHost for each datagram on seam::kTrackerSocket.
//
// Always holds: nobody gets more than a connection id before he has shown that he receives at the address he writes
// from; an id is good for kConnectionSlot to twice that, only for that address, and costs no memory; what is no request
// is not answered.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/time.hpp"
#include "course/asker.hpp"
#include "tracker/swarms.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::tracker {

inline constexpr base::Duration kConnectionSlot = std::chrono::minutes(2);  // BEP 15: accepted for two minutes
inline constexpr std::uint32_t kUdpPeersMax = 200;                          // what fits a datagram that no network cuts

class UdpAnswers {
 public:
  // `swarms` must outlive it.
  UdpAnswers(Swarms& swarms, base::Rng& rng);

  [[nodiscard]] std::optional<base::Bytes> answer(base::ByteView datagram, base::Endpoint from, base::Ipv4Address local,
                                                  base::Instant now);

 private:
  [[nodiscard]] std::uint64_t connection_id(base::Endpoint from, std::int64_t slot) const;
  [[nodiscard]] bool is_good(std::uint64_t connection, base::Endpoint from, base::Instant now) const;

  Swarms& swarms_;
  std::array<std::uint64_t, 2> secret_;
};

}  // namespace shoal::tracker
