#include "swarm/upload_slots.hpp"

#include <algorithm>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace shoal::swarm {

UploadSlots::UploadSlots(UploadSlotsOptions options, base::Rng rng)
    : options_(options), rng_(std::move(rng)), slots_(std::min(options.slots, options.slots_max)) {}

UploadSlots::Decision UploadSlots::review(const std::vector<UploadCandidate>& peers, bool is_seeding,
                                          base::Instant now) {
  adapt_slots(peers);
  keep_records(peers, now);
  next_review_ = now + kReviewEvery;

  Ranked interested;
  std::size_t local = 0;
  for (const UploadCandidate& peer : peers) {
    if (!peer.is_interested) continue;
    interested.push_back(&peer);
    local += peer.is_local ? 1 : 0;
  }
  // So that equals come in a random order.
  for (std::size_t i = interested.size(); i > 1; --i) std::swap(interested[i - 1], interested[rng_.below(i)]);
  if (is_seeding) {
    optimistic_.reset();
    rank_takers(interested, std::min<std::size_t>(slots_ + local, options_.slots_max), now);
  } else {
    rank_givers(interested);
  }

  std::vector<SourceId> unchoked;
  Ranked choked;
  std::size_t far = 0;
  // The last place is for the optimistic one.
  const std::size_t most = is_seeding ? options_.slots_max : std::max(options_.slots_max, 2U) - 1;
  for (const UploadCandidate* peer : interested) {
    const bool has_slot = unchoked.size() < most && (peer->is_local || far < slots_);
    if (has_slot) {
      unchoked.push_back(peer->peer);
      far += peer->is_local ? 0 : 1;
    } else {
      choked.push_back(peer);
    }
  }
  if (!is_seeding && unchoked.size() < options_.slots_max) {
    choose_optimistic(choked, now);
    if (optimistic_) unchoked.push_back(*optimistic_);
  }
  note_unchoked(unchoked, now);
  return {std::move(unchoked)};
}

// An uplink that gives every slot plenty has room for more of them; one that does not any more closes them again.
void UploadSlots::adapt_slots(const std::vector<UploadCandidate>& peers) {
  double taken_bytes_per_s = 0;
  for (const UploadCandidate& peer : peers) {
    if (!peer.is_local) taken_bytes_per_s += peer.takes_bytes_per_s;
  }
  const double carried = std::min<double>(taken_bytes_per_s / kSlotBytesPerS, options_.slots_max);
  slots_ = std::max(std::min(options_.slots, options_.slots_max), static_cast<std::uint32_t>(carried));
}

// Of exactly these peers. One that toggles its interest keeps its place in the queue, no better one.
void UploadSlots::keep_records(const std::vector<UploadCandidate>& peers, base::Instant now) {
  std::unordered_map<SourceId, Record> kept;
  for (const UploadCandidate& peer : peers) {
    const auto known = records_.find(peer.peer);
    Record& record = kept[peer.peer];
    record = known == records_.end() ? Record{.since = now} : known->second;
    record.is_local = peer.is_local;
  }
  records_ = std::move(kept);
}

void UploadSlots::rank_givers(Ranked& peers) const {
  // Among equals nobody is choked for nothing; the optimistic one has no claim yet.
  const auto key = [this](const UploadCandidate* peer) {
    const bool has_slot = records_.at(peer->peer).is_unchoked && optimistic_ != peer->peer;
    return std::pair(-peer->gives_bytes_per_s, !has_slot);
  };
  std::ranges::sort(peers, {}, key);
}

// Those whose turn is not over, then the faster half of the others that have a slot, then who has waited longest, and
// at last those whose turn is over.
void UploadSlots::rank_takers(Ranked& peers, std::size_t room, base::Instant now) const {
  enum class Place { in_turn, after_turn, waiting };
  const auto place = [this, now](const UploadCandidate* peer) {
    const Record& record = records_.at(peer->peer);
    if (!record.is_unchoked) return Place::waiting;
    return now - record.since < kSeedTurn ? Place::in_turn : Place::after_turn;
  };
  const auto key = [this, &place](const UploadCandidate* peer) {
    const Place its = place(peer);
    const bool is_waiting = its == Place::waiting;
    return std::tuple(its, is_waiting ? 0 : -peer->takes_bytes_per_s,
                      is_waiting ? records_.at(peer->peer).since : base::Instant{});
  };
  std::ranges::sort(peers, {}, key);
  const auto after_turn = std::ranges::find_if(peers, [&](const auto* peer) { return place(peer) != Place::in_turn; });
  const auto waiting =
      std::find_if(after_turn, peers.end(), [&](const UploadCandidate* peer) { return place(peer) == Place::waiting; });
  const auto keeping = std::min<std::ptrdiff_t>(waiting - after_turn, static_cast<std::ptrdiff_t>(room / 2));
  std::rotate(after_turn + keeping, waiting, peers.end());
}

void UploadSlots::choose_optimistic(const Ranked& choked, base::Instant now) {
  const auto is_it = [this](const UploadCandidate* peer) { return peer->peer == optimistic_; };
  const bool is_choked = std::any_of(choked.begin(), choked.end(), is_it);
  if (is_choked && now < optimistic_until_) return;
  optimistic_.reset();
  std::uint64_t weights = 0;
  for (const UploadCandidate* peer : choked) weights += peer->is_new ? kNewPeerWeight : 1;
  if (weights == 0) return;
  std::uint64_t drawn = rng_.below(weights);
  for (const UploadCandidate* peer : choked) {
    const std::uint64_t weight = peer->is_new ? kNewPeerWeight : 1;
    if (drawn < weight) {
      optimistic_ = peer->peer;
      break;
    }
    drawn -= weight;
  }
  optimistic_until_ = now + kOptimisticFor;
}

void UploadSlots::note_unchoked(const std::vector<SourceId>& unchoked, base::Instant now) {
  const std::unordered_set<SourceId> chosen(unchoked.begin(), unchoked.end());
  for (auto& [peer, record] : records_) {
    const bool is_unchoked = chosen.contains(peer);
    if (record.is_unchoked == is_unchoked) continue;
    record.is_unchoked = is_unchoked;
    record.since = now;
  }
}

bool UploadSlots::take_free_slot(SourceId peer, bool is_local) {
  std::size_t taken = 0;
  std::size_t taken_far = 0;
  for (const auto& [id, record] : records_) {
    if (!record.is_unchoked || id == peer) continue;
    ++taken;
    if (!record.is_local && id != optimistic_) ++taken_far;
  }
  if (taken >= options_.slots_max || (!is_local && taken_far >= slots_)) return false;
  Record& record = records_[peer];
  if (!record.is_unchoked) record.since = next_review_ - kReviewEvery;
  record.is_unchoked = true;
  record.is_local = is_local;
  return true;
}

// Its record stays until the next review, which tells who went from who only lost interest.
void UploadSlots::on_gone(SourceId peer) {
  if (optimistic_ == peer) optimistic_.reset();
  const auto known = records_.find(peer);
  if (known == records_.end() || !known->second.is_unchoked) return;
  known->second.is_unchoked = false;
  known->second.since = next_review_;  // behind all who wait now
}

}  // namespace shoal::swarm
