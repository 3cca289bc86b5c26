#include "swarm/piece_table.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.hpp"

namespace shoal::swarm {

PieceTable::PieceTable(std::uint32_t piece_count, std::span<const base::PieceIndex> not_wanted, Plan& plan,
                       base::Rng rng)
    : plan_(plan), rng_(rng), pieces_(piece_count) {
  for (const base::PieceIndex piece : not_wanted) pieces_.at(piece.value).is_wanted = false;
  SHOAL_CHECK(find_or_make(ClassKind::unlisted, {}) == kNobody);
  for (std::uint32_t index = 0; index < piece_count; ++index) {
    if (!pieces_[index].is_wanted) continue;
    ++unverified_;
    pieces_[index].group = kNobody;
    ++classes_[kNobody.value].members;
    set_open(base::PieceIndex(index), true);
  }
}

SourceSlot PieceTable::add_source(std::span<const base::PieceIndex> listed) {
  Source& source = sources_.emplace_back();
  source.key = rng_.next();
  source.is_listed.resize(pieces_.size());
  source.is_denied.resize(pieces_.size());
  for (const base::PieceIndex piece : listed) {
    if (piece.value < pieces_.size()) source.is_listed[piece.value] = true;
  }
  is_stale_ = true;
  return plan_.add_source();
}

void PieceTable::remove_source(SourceSlot source) {
  sources_[source.value].can_give = false;
  is_stale_ = true;
}

void PieceTable::set_in_doubt(SourceSlot source, bool is_in_doubt) {
  if (std::exchange(sources_[source.value].is_in_doubt, is_in_doubt) != is_in_doubt) is_stale_ = true;
}

void PieceTable::reclassify_all() {
  if (!is_stale_) return;
  is_stale_ = false;
  for (std::uint32_t index = 0; index < pieces_.size(); ++index) {
    if (is_unverified(pieces_[index])) reclassify(base::PieceIndex(index));
  }
}

void PieceTable::deny(SourceSlot source, base::PieceIndex piece) {
  sources_[source.value].is_denied[piece.value] = true;
  if (is_unverified(pieces_[piece.value])) reclassify(piece);
}

void PieceTable::request(SourceSlot source, base::PieceIndex piece) {
  Piece& entry = pieces_[piece.value];
  SHOAL_CHECK(entry.is_open && entry.holder_count < kHoldersMax);
  entry.holders[entry.holder_count++] = source;
  entry.is_open = false;
  --classes_[entry.group.value].open;
  plan_.take(entry.group, source);
}

void PieceTable::end_request(SourceSlot source, base::PieceIndex piece) {
  Piece& entry = pieces_[piece.value];
  const auto end = entry.holders.begin() + entry.holder_count;
  const auto holder = std::find(entry.holders.begin(), end, source);
  SHOAL_CHECK(holder != end);
  std::copy(holder + 1, end, holder);
  --entry.holder_count;
  end_doubling(piece);
  update(piece);
}

void PieceTable::begin_verifying(base::PieceIndex piece) {
  ++pieces_[piece.value].verifying;
  update(piece);
}

void PieceTable::end_verifying(base::PieceIndex piece) {
  SHOAL_CHECK(pieces_[piece.value].verifying > 0);
  --pieces_[piece.value].verifying;
  update(piece);
}

void PieceTable::verify(base::PieceIndex piece) {
  Piece& entry = pieces_[piece.value];
  if (entry.verifying > 0) --entry.verifying;
  if (!is_unverified(entry)) return;
  set_open(piece, false);
  entry.is_verified = true;
  entry.is_doubled = false;
  --unverified_;
  leave(entry.group);
}

void PieceTable::begin_doubling(base::PieceIndex piece) {
  Piece& entry = pieces_[piece.value];
  SHOAL_CHECK(state(piece) == State::requested && entry.holder_count < kHoldersMax && !entry.is_doubled);
  entry.is_doubled = true;
  reclassify(piece);
  update(piece);
}

void PieceTable::end_doubling(base::PieceIndex piece) {
  Piece& entry = pieces_[piece.value];
  if (!entry.is_doubled) return;
  entry.is_doubled = false;
  update(piece);
  reclassify(piece);
}

void PieceTable::set_size(base::PieceIndex piece, std::uint64_t size_bytes) {
  forget_size(piece);
  pieces_[piece.value].size_bytes = size_bytes;
  ++sized_;
  sized_bytes_ += static_cast<double>(size_bytes);
}

void PieceTable::forget_size(base::PieceIndex piece) {
  std::optional<std::uint64_t>& size = pieces_[piece.value].size_bytes;
  if (!size) return;
  --sized_;
  sized_bytes_ -= static_cast<double>(*size);
  size.reset();
}

std::optional<double> PieceTable::expected_size(base::PieceIndex piece) const {
  const std::optional<std::uint64_t>& size = pieces_[piece.value].size_bytes;
  return size ? static_cast<double>(*size) : mean_size();
}

std::optional<double> PieceTable::mean_size() const {
  if (sized_ == 0) return std::nullopt;
  return std::max(1.0, sized_bytes_ / sized_);
}

PieceTable::State PieceTable::state(base::PieceIndex piece) const {
  const Piece& entry = pieces_[piece.value];
  if (!entry.is_wanted) return State::unwanted;
  if (entry.is_verified) return State::verified;
  if (entry.verifying > 0) return State::verifying;
  return entry.holder_count > 0 ? State::requested : State::open;
}

std::span<const SourceSlot> PieceTable::holders(base::PieceIndex piece) const {
  const Piece& entry = pieces_[piece.value];
  return {entry.holders.data(), entry.holder_count};
}

base::PieceIndex PieceTable::lowest_open(ClassId id) {
  std::vector<std::uint32_t>& heap = classes_[id.value].heap;
  while (true) {
    SHOAL_CHECK(!heap.empty());
    const Piece& entry = pieces_[heap.front()];
    if (entry.is_open && entry.group == id) return base::PieceIndex(heap.front());
    std::ranges::pop_heap(heap, std::greater{});
    heap.pop_back();
  }
}

void PieceTable::update(base::PieceIndex piece) {
  const Piece& entry = pieces_[piece.value];
  const State now = state(piece);
  const bool is_second_allowed = now == State::requested && entry.is_doubled && entry.holder_count < kHoldersMax;
  set_open(piece, now == State::open || is_second_allowed);
}

void PieceTable::set_open(base::PieceIndex piece, bool is_open) {
  Piece& entry = pieces_[piece.value];
  if (entry.is_open == is_open) return;
  entry.is_open = is_open;
  Class& group = classes_[entry.group.value];
  if (!is_open) {
    --group.open;
    plan_.drop(entry.group);
    return;
  }
  ++group.open;
  group.heap.push_back(piece.value);
  std::ranges::push_heap(group.heap, std::greater{});
  plan_.put(entry.group, 1);
}

void PieceTable::move(base::PieceIndex piece, ClassId to) {
  Piece& entry = pieces_[piece.value];
  const ClassId from = entry.group;
  if (from == to) return;
  const bool is_open = entry.is_open;
  set_open(piece, false);
  entry.group = to;
  ++classes_[to.value].members;
  set_open(piece, is_open);
  leave(from);
}

void PieceTable::reclassify(base::PieceIndex piece) {
  const Piece& entry = pieces_[piece.value];
  std::vector<SourceSlot>& listed = listed_scratch_;
  std::vector<SourceSlot>& all = all_scratch_;
  listed.clear();
  all.clear();
  bool is_sure = false;
  for (std::uint32_t slot = 0; slot < sources_.size(); ++slot) {
    const Source& source = sources_[slot];
    if (!source.can_give || source.is_denied[piece.value]) continue;
    if (entry.is_doubled && std::ranges::count(holders(piece), SourceSlot(slot)) > 0) continue;
    all.emplace_back(slot);
    if (!source.is_listed[piece.value]) continue;
    listed.emplace_back(slot);
    is_sure |= !source.is_in_doubt;
  }
  const ClassKind kind = is_sure ? ClassKind::listed : ClassKind::unlisted;
  move(piece, find_or_make(entry.is_doubled ? ClassKind::doubled : kind, is_sure ? listed : all));
}

// One piece less in this class; an empty one is given back.
void PieceTable::leave(ClassId id) {
  Class& group = classes_[id.value];
  SHOAL_CHECK(group.members > 0);
  if (--group.members > 0 || id == kNobody) return;
  const auto named = by_key_.find(group.key);
  if (named != by_key_.end() && named->second == id) by_key_.erase(named);
  group = Class{};
  plan_.free_class(id);
}

std::uint64_t PieceTable::key_of(ClassKind kind, std::span<const SourceSlot> owners) const {
  constexpr std::uint64_t kKindKey = 0x9e3779b97f4a7c15;
  std::uint64_t key = kKindKey * static_cast<std::uint64_t>(kind);
  for (const SourceSlot owner : owners) key += sources_[owner.value].key;
  return key;
}

ClassId PieceTable::find_or_make(ClassKind kind, std::span<const SourceSlot> owners) {
  const std::uint64_t key = key_of(kind, owners);
  const auto known = by_key_.find(key);
  if (known != by_key_.end() && classes_[known->second.value].kind == kind &&
      std::ranges::equal(plan_.owners(known->second), owners)) {
    return known->second;
  }
  const ClassId id = plan_.make_class(kind, {owners.begin(), owners.end()});
  if (id.value >= classes_.size()) classes_.resize(id.value + 1);
  classes_[id.value] = Class{.kind = kind, .key = key, .members = 0, .open = 0, .heap = {}};
  by_key_[key] = id;
  return id;
}

}  // namespace shoal::swarm
