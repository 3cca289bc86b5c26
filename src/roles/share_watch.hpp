// Looks after a share that was published at a tracker, as a machine: asks every kWatchEvery whether it is still listed
// there, and, where nobody else does, announces us as one who has it. It ends when the tracker is gone or has forgotten
// the share; then it is to be published again. Used by `share` (app/publishing).
//
// Always holds: a tracker that does not answer is gone after kMissesMax tries; the end comes after a random wait, since
// all who published there notice at about the same time, and the first of them that becomes a tracker serves the
// others; at the end "stopped" is told where "started" was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "base/sha1.hpp"
#include "base/time.hpp"
#include "seam/machine.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::roles {

inline constexpr base::Duration kWatchEvery = std::chrono::seconds(5);
inline constexpr base::Duration kWatchAgain = std::chrono::seconds(1);  // after a miss
inline constexpr int kMissesMax = 2;
inline constexpr base::Duration kWatchStopPatience = std::chrono::seconds(1);

struct ShareWatchOptions {
  base::Endpoint tracker;
  base::Sha1Hash info_hash;
  base::Duration wait_max = std::chrono::seconds(3);  // before it ends
  bool announces = false;                             // whole, by these two:
  wire::PeerId peer_id{};
  std::uint16_t port = 0;
};

class ShareWatch final : public seam::Machine {
 public:
  ShareWatch(ShareWatchOptions options, base::Rng rng) : options_(options), rng_(std::move(rng)) {}

  void start(base::Instant now) override;
  void on_event(seam::Event&& event, base::Instant now) override;
  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId) override { return {}; }
  [[nodiscard]] std::optional<base::Instant> next_deadline() const override;
  // Finish::Result::nothing_found: it is to be published again.
  [[nodiscard]] seam::Actions take_actions() override { return std::exchange(actions_, {}); }

 private:
  void look();
  void announce(wire::AnnounceEvent event);
  void on_answered(seam::FetchId fetch, const seam::Fetched* answer, base::Instant now);
  void on_looked(const seam::Fetched* answer, base::Instant now);
  void on_announced(const seam::Fetched* answer, base::Instant now);
  void on_deadline(base::Instant now);
  void stop(base::Instant now);
  void end(seam::Finish::Result result, std::string message);
  [[nodiscard]] seam::FetchId ask(seam::Fetch fetch, std::string_view path);

  const ShareWatchOptions options_;
  base::Rng rng_;
  std::uint64_t last_fetch_ = 0;
  std::optional<seam::FetchId> looking_;
  std::optional<seam::FetchId> announcing_;
  std::optional<base::Instant> next_look_;
  std::optional<base::Instant> next_announce_;
  std::optional<base::Instant> ends_;  // it is gone, or we are stopping
  std::string trouble_;
  int misses_ = 0;
  bool is_known_there_ = false;
  bool is_stopping_ = false;
  bool is_over_ = false;
  seam::Actions actions_;
};

}  // namespace shoal::roles
