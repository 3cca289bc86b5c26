#include "roles/piece_lookups.hpp"

#include <algorithm>
#include <utility>

namespace shoal::roles {

seam::ReadablePiecePtr PieceLookups::find(const base::Sha1Hash& hash, base::Instant now) {
  const auto found = std::ranges::find(kept_, hash, &Kept::hash);
  if (found == kept_.end()) return nullptr;
  if (now - found->looked_up_at >= kPieceKeptFor) {
    kept_.erase(found);
    return nullptr;
  }
  found->used_at = now;
  return found->piece;
}

void PieceLookups::ask(const base::Sha1Hash& hash, Waiter waiter, seam::Actions& actions) {
  const auto [place, is_new] = lookup_of_.try_emplace(hash, seam::LookupId(last_lookup_ + 1));
  if (is_new) {
    ++last_lookup_;
    asked_[place->second].hash = hash;
    actions.emplace_back(seam::LookUpPiece{place->second, hash});
  }
  asked_.at(place->second).waiters.push_back(waiter);
}

PieceLookups::Answered PieceLookups::on_looked_up(const seam::PieceLookedUp& event, base::Instant now) {
  auto node = asked_.extract(event.lookup);
  if (node.empty()) return {};
  lookup_of_.erase(node.mapped().hash);
  if (event.piece) {
    if (kept_.size() >= kPiecesKeptMax) kept_.erase(std::ranges::min_element(kept_, {}, &Kept::used_at));
    kept_.push_back({node.mapped().hash, event.piece, now, now});
  }
  return std::move(node.mapped());
}

}  // namespace shoal::roles
