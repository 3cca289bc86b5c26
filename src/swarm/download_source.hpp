// What Download knows of one source: how fast it is, what is asked of it, and how much more it should be asked for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/strong.hpp"
#include "base/time.hpp"
#include "swarm/download.hpp"
#include "swarm/rate_meter.hpp"

namespace shoal::swarm {

// One request that is under way. Answers come in the order of the requests.
struct Outstanding {
  base::PieceIndex piece;
  base::Instant requested_at;
  double expected_bytes = 0;  // 0 while no size is known
  double received_bytes = 0;
  bool is_answering = false;  // its first sign came
  bool was_alone = false;     // nothing else was under way when it was sent

  [[nodiscard]] double left_bytes() const { return std::max(0.0, expected_bytes - received_bytes); }
};

struct DownloadSource {
  SourceId id;
  bool is_ready = false;
  bool is_gone = false;  // for good, or banned
  std::uint32_t queue_depth = 1;
  std::uint32_t mismatches = 0;
  std::deque<Outstanding> outstanding;
  RateMeter meter;
  std::optional<double> delay_s;  // from a request to the first sign of its answer, without what was ahead of it
  base::Instant heard_at{};       // its latest sign of life
  bool is_in_doubt = false;       // silent, or its connection ended: others may be asked for what only it should have
  double rate_bytes_per_s = 0;    // as planned with; a guess before it is measured; 0 when even that is impossible

  [[nodiscard]] double left_bytes() const;
  // Whether another request should be sent now. `remaining_s`: the expected time to the end of the download.
  [[nodiscard]] bool has_room(double piece_bytes, double remaining_s) const;

  // It has owed an answer for so long without a sign that it may never give one.
  [[nodiscard]] bool is_silent(base::Instant now) const;

  void on_requested(base::PieceIndex piece, double expected_bytes, base::Instant now);
  // The first sign of an answer. Gives the request.
  Outstanding& on_answering(base::PieceIndex piece, base::Instant now);
  void on_payload(std::uint64_t bytes, base::Instant now);
  void on_ended(base::PieceIndex piece, base::Instant now);
};

}  // namespace shoal::swarm
