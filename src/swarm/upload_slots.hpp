// Decides whom to give to: which interested peers are unchoked (BEP 3's tit for tat, and seeds that rotate). Pure;
// called by roles::SwarmHost every kReviewEvery and when somebody becomes interested or goes.
//
// While downloading the fastest givers have the slots, and one more goes to a peer at random (optimistic) for
// kOptimisticFor; new peers are likelier. While seeding, slots go round: who has had least for longest, the fastest
// takers keep theirs so that the uplink stays full, and nobody starves. On a network with room for everybody
// (local peers, unused uplink) more slots are opened up to slots_max.
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
  [[nodiscard]] bool take_free_slot(SourceId peer);
  void on_gone(SourceId peer);  // or not interested any more: its slot is free
  [[nodiscard]] base::Instant next_review() const { return next_review_; }

 private:
  struct Record {
    bool is_unchoked = false;
    base::Instant since{};  // of that
    base::Instant last_unchoked{};
  };
  UploadSlotsOptions options_;
  base::Rng rng_;
  std::unordered_map<SourceId, Record> records_;
  std::optional<SourceId> optimistic_;
  base::Instant optimistic_until_{};
  base::Instant next_review_{};
};

}  // namespace shoal::swarm
