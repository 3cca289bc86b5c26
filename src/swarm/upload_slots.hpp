// Decides whom to give to: which interested peers are unchoked (BEP 3's tit for tat, and seeds that rotate). Pure;
// called by roles::SwarmHost every kReviewEvery and when somebody becomes interested or goes.
//
// While downloading the fastest givers have the slots, and one more goes to a peer at random (optimistic) for
// kOptimisticFor; new peers are likelier. While seeding, slots go round: after kSeedTurn the faster half of the takers
// keep theirs so that the uplink stays full, the rest go to who has waited longest, so nobody starves. On a network
// with room more slots are opened, up to slots_max: one for each kSlotBytesPerS that is taken in all, and peers of the
// same network need none of them.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/rng.hpp"
#include "base/time.hpp"
#include "swarm/source_id.hpp"

namespace shoal::swarm {

inline constexpr base::Duration kReviewEvery = std::chrono::seconds(10);
inline constexpr base::Duration kOptimisticFor = std::chrono::seconds(30);
inline constexpr base::Duration kSeedTurn = std::chrono::seconds(30);
inline constexpr double kSlotBytesPerS = 1024 * 1024;  // an uplink with this much for each slot has room for more
inline constexpr unsigned kNewPeerWeight = 3;          // how much likelier a new peer is the optimistic one (BEP 3)

struct UploadSlotsOptions {
  std::uint32_t slots = 8;
  std::uint32_t slots_max = 64;
};

struct UploadCandidate {
  SourceId peer;
  bool is_interested = false;
  double gives_bytes_per_s = 0;  // to us
  double takes_bytes_per_s = 0;  // from us
  bool is_new = false;           // connected since the last review
  bool is_local = false;         // on the same network: only slots_max counts
};

class UploadSlots {
 public:
  UploadSlots(UploadSlotsOptions options, base::Rng rng);

  struct Decision {
    std::vector<SourceId> unchoked;  // all that are to be unchoked now; everybody else is choked
  };
  // A review of everybody; due when next_review() has passed, and allowed at any time.
  [[nodiscard]] Decision review(const std::vector<UploadCandidate>& peers, bool is_seeding, base::Instant now);
  // Somebody became interested between reviews: true when there is a free slot, which it has now.
  [[nodiscard]] bool take_free_slot(SourceId peer, bool is_local = false);
  void on_gone(SourceId peer);  // or not interested any more: its slot is free
  [[nodiscard]] base::Instant next_review() const { return next_review_; }

 private:
  struct Record {
    bool is_unchoked = false;
    bool is_local = false;
    base::Instant since{};  // of that: a choked one has waited for so long
  };
  using Ranked = std::vector<const UploadCandidate*>;

  void adapt_slots(const std::vector<UploadCandidate>& peers);
  void keep_records(const std::vector<UploadCandidate>& peers, base::Instant now);
  // Puts them in the order in which they have a right to a slot.
  void rank_givers(Ranked& peers) const;
  void rank_takers(Ranked& peers, std::size_t room, base::Instant now) const;
  void choose_optimistic(const Ranked& choked, base::Instant now);
  void note_unchoked(const std::vector<SourceId>& unchoked, base::Instant now);

  UploadSlotsOptions options_;
  base::Rng rng_;
  std::uint32_t slots_;  // open now: between the two of the options
  std::unordered_map<SourceId, Record> records_;
  std::optional<SourceId> optimistic_;
  base::Instant optimistic_until_{};
  base::Instant next_review_{};
};

}  // namespace shoal::swarm
