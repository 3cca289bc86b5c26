// The taking half of a swarm host once it is known what is shared: tells swarm::Picker what the sources have and asks
// them for what it picks, hands what arrives to the store, and finds out with the picker who lies. Sources are
// BitTorrent peers and course peers (links) and web seeds (its own). Used by SwarmHost.
//
// Web seeds are others' servers: they are asked only while all peers together bring less than kSwarmEnoughBytesPerS.
//
// Always holds: nothing is asked while the store takes nothing; with a limit, no more is asked than comes in
// kLimitAhead, so that nobody who is asked seems to stand still; at most three quarters of the pool's buffers can be
// tied up by sources that send slowly.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bitfield.hpp"
#include "base/rng.hpp"
#include "metainfo/manifest.hpp"
#include "roles/swarm_context.hpp"
#include "roles/swarm_writes.hpp"
#include "swarm/picker.hpp"
#include "swarm/web_seed.hpp"

namespace shoal::roles {

inline constexpr double kSwarmEnoughBytesPerS = 1024 * 1024;
inline constexpr base::Duration kRateWindow = std::chrono::seconds(1);
inline constexpr base::Duration kLimitAhead = std::chrono::seconds(2);
inline constexpr std::uint64_t kFastAskedMax = 4 * wire::kBlockBytes;  // of a peer that chokes us
inline constexpr std::size_t kAllowedFastMax = 64;                     // pieces remembered of one peer
inline constexpr base::Duration kCourseAhead = std::chrono::seconds(1);
inline constexpr int kWrongAnswersMax =
    3;  // of a course peer, which may know no better than its disk; then it is banned
inline constexpr std::size_t kGoneSourcesMax = 1000;  // who are remembered, as they may be convicted yet
inline constexpr base::Duration kPickPauseMin = std::chrono::milliseconds(10);

// Somebody who gave wrong bytes, for certain.
struct Liar {
  base::Endpoint remote;
  wire::PeerId peer_id{};  // zeros: a course peer, which has none
};

class SwarmDownload {
 public:
  // Everything referred to must outlive it. `wanted` of size 0: everything.
  struct Parts {
    SwarmContext& context;
    const metainfo::Manifest& manifest;
    base::Bitfield held;
    base::Bitfield wanted;
    std::vector<std::string> web_seeds;
  };
  SwarmDownload(Parts parts, base::Rng rng, base::Instant now);

  // --- Sources ---
  void add(SwarmLink& link, base::Instant now);  // a peer that is ready, or a course peer that is connected
  void remove(SwarmLink& link);
  void on_has(SwarmLink& link, base::PieceIndex piece, base::Instant now);
  void on_has_set(SwarmLink& link, const base::Bitfield& pieces, base::Instant now);
  void on_allows_fast(SwarmLink& link, base::PieceIndex piece);
  void on_payload(SwarmLink& link, std::uint64_t bytes);
  void on_run_arrived(SwarmLink& link, swarm::RunArrived&& arrived, base::Instant now);
  void on_run_released(SwarmLink& link, const swarm::Run& run, base::Instant now);
  void serve_course(SwarmLink& link, base::Instant now);  // what its session says
  void want_asking(SwarmLink& link);                      // there may be room for more

  // --- The rest of the world ---
  // True when the event was about the store or a web seed. StoreOpened and StoreFailed are the host's.
  bool on_event(seam::Event& event, base::Instant now);
  void on_store_failed();
  void on_store_opened(const std::vector<seam::HeldPiece>& held, base::Instant now);
  void on_deadline(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  // Asks for what can be asked for now.
  void settle(base::Instant now);
  void stop();  // asks no more, keeps nothing half-written

  // --- What came of it ---
  [[nodiscard]] std::vector<base::PieceIndex> take_verified() { return std::exchange(verified_, {}); }
  [[nodiscard]] std::vector<Liar> take_liars() { return std::exchange(liars_, {}); }
  [[nodiscard]] const swarm::Picker& picker() const { return picker_; }
  [[nodiscard]] bool is_done() const { return picker_.is_done() && writes_.is_idle(); }
  [[nodiscard]] bool is_everything_verified() const { return picker_.verified().is_all(); }
  [[nodiscard]] bool is_store_busy() const { return !writes_.is_idle(); }
  [[nodiscard]] bool has_mismatched() const { return has_mismatched_; }
  [[nodiscard]] bool is_hopeful() const;  // some source has something we lack
  [[nodiscard]] std::vector<base::PieceIndex> missing() const;
  [[nodiscard]] std::uint64_t wanted_bytes() const { return wanted_bytes_; }
  [[nodiscard]] std::uint64_t unverified_bytes() const;  // of everything, wanted or not
  [[nodiscard]] std::string held_ranges() const;         // "0-99,105"

 private:
  struct Web {
    swarm::SourceId source;
    std::string url;
    base::Endpoint named;  // in traces: 0.0.0.0 and its number
    std::unique_ptr<swarm::WebSeed> seed;
    bool is_over = false;
    std::optional<base::PieceIndex> next;  // where the run ends that it was asked for last
  };

  void add_web_seeds(const std::vector<std::string>& urls);
  [[nodiscard]] bool is_wanted(base::PieceIndex piece) const;
  [[nodiscard]] bool may_ask(const SwarmLink& link);
  void ask(SwarmLink& link, base::Instant now);
  void ask_peer(SwarmLink& link, base::Instant now);
  void ask_course(SwarmLink& link, base::Instant now);
  void ask_web_seeds(base::Instant now);
  [[nodiscard]] std::optional<swarm::Run> pick_for(Web& web, base::Instant now);
  void serve_web(Web& web, base::Instant now);
  void end_web(Web& web, const std::string& reason);
  void note_asked(SwarmLink& link, const swarm::Run& run);
  void note_answered(SwarmLink& link, std::uint64_t bytes);
  void update_interest(SwarmLink& link, base::Instant now);
  void arrive(swarm::SourceId source, swarm::RunArrived&& arrived, base::Endpoint from, base::Instant now);
  void obey_picker(base::Instant now);
  void on_verified(seam::WriteId write, base::Instant now);
  void on_mismatched(seam::WriteId write, base::Instant now);
  void convict(swarm::SourceId source, base::PieceIndex piece);
  void on_course_event(SwarmLink& link, swarm::SessionEvent&& event, base::Instant now);
  void on_wrong_answer(SwarmLink& link, base::PieceIndex piece);
  [[nodiscard]] swarm::Run whole(base::PieceIndex piece) const;
  void tell_piece(seam::PieceTrace::What what, base::PieceIndex piece, base::Endpoint source, std::uint64_t bytes = 0);

  SwarmContext& context_;
  const metainfo::Manifest& manifest_;
  base::Bitfield wanted_;
  std::uint64_t wanted_bytes_ = 0;
  swarm::Picker picker_;
  SwarmWrites writes_;
  std::vector<SwarmWrites::Ended> given_up_;  // when the store failed
  std::vector<Web> web_;
  std::vector<base::PieceIndex> verified_;          // not taken yet
  std::vector<Liar> liars_;                         // not taken yet
  std::deque<swarm::SourceId> to_ask_;              // each once
  std::unordered_map<swarm::SourceId, Liar> gone_;  // may have lied
  std::deque<swarm::SourceId> gone_in_order_;
  bool asks_everybody_ = false;
  bool is_capped_ = false;  // somebody was not asked because enough is under way
  bool is_paused_ = false;  // the store takes nothing
  bool is_stopped_ = false;
  bool has_mismatched_ = false;
  std::uint64_t asked_bytes_ = 0;  // of all links, not answered
  std::size_t asked_links_ = 0;
  std::size_t asked_links_max_;
  base::Instant next_pick_{};                   // the picker is not asked again before, though nothing happened
  std::optional<base::Instant> web_tokens_at_;  // when web seeds may be asked for more
  base::Instant window_began_{};
  std::uint64_t window_bytes_ = 0;  // from peers
  double swarm_rate_ = 0;
};

}  // namespace shoal::roles
