#include "swarm/piece_table.hpp"

#include <algorithm>
#include <functional>

#include "base/check.hpp"

namespace shoal::swarm {

namespace {

std::vector<SourceSlot> with(std::span<const SourceSlot> owners, SourceSlot added) {
  std::vector<SourceSlot> result(owners.begin(), owners.end());
  result.insert(std::ranges::lower_bound(result, added), added);
  return result;
}

std::vector<SourceSlot> without(std::span<const SourceSlot> owners, SourceSlot removed) {
  std::vector<SourceSlot> result(owners.begin(), owners.end());
  std::erase(result, removed);
  return result;
}

}  // namespace

PieceTable::PieceTable(std::uint32_t piece_count, std::span<const base::PieceIndex> not_wanted, Plan& plan,
                       base::Rng rng)
    : plan_(plan), rng_(std::move(rng)), pieces_(piece_count) {
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
  const SourceSlot slot = plan_.add_source();
  Source& source = sources_.emplace_back();
  source.key = rng_.next();
  source.is_listed.resize(pieces_.size());
  source.is_denied.resize(pieces_.size());
  std::vector<std::uint32_t> listed_in(classes_.size());
  for (const base::PieceIndex piece : listed) {
    if (piece.value >= pieces_.size() || source.is_listed[piece.value]) continue;
    source.is_listed[piece.value] = true;
    if (is_unverified(pieces_[piece.value])) ++listed_in[pieces_[piece.value].group.value];
  }
  std::vector<Split> splits(listed_in.size());
  for (std::uint32_t id = 0; id < splits.size(); ++id) {
    if (classes_[id].members > 0) splits[id] = split_for(ClassId(id), slot, listed_in[id]);
  }
  for (std::uint32_t index = 0; index < pieces_.size(); ++index) {
    const base::PieceIndex piece(index);
    if (!is_unverified(pieces_[index])) continue;
    if (pieces_[index].is_doubled) {
      reclassify(piece);
    } else if (pieces_[index].group.value < splits.size()) {
      const Split& split = splits[pieces_[index].group.value];
      move(piece, source.is_listed[index] ? split.listed_to : split.others_to);
    }
  }
  return slot;
}

// A class that moves as a whole only changes its owners, so that many sources with everything cost little.
PieceTable::Split PieceTable::split_for(ClassId id, SourceSlot added, std::uint32_t listed) {
  const ClassKind kind = classes_[id.value].kind;
  const std::uint32_t members = classes_[id.value].members;
  Split split{.listed = listed, .listed_to = id, .others_to = id};
  if (kind == ClassKind::doubled) return split;
  const std::vector<SourceSlot> owners = with(plan_.owners(id), added);
  if (kind == ClassKind::listed) {
    if (listed > 0) split.listed_to = listed == members ? change_whole(id, owners) : find_or_make(kind, owners);
    if (listed == members) split.others_to = split.listed_to;
    return split;
  }
  if (listed > 0) split.listed_to = find_or_make(ClassKind::listed, {added});
  if (listed < members) {
    split.others_to = listed == 0 && id != kNobody ? change_whole(id, owners) : find_or_make(kind, owners);
  }
  return split;
}

void PieceTable::remove_source(SourceSlot slot) {
  sources_[slot.value].can_give = false;
  std::vector<std::optional<ClassId>> moves_to(classes_.size());
  std::vector<bool> is_scattered(classes_.size());
  for (std::uint32_t index = 0; index < moves_to.size(); ++index) {
    const ClassId id(index);
    if (classes_[index].members == 0 || !plan_.is_owner(id, slot)) continue;
    std::vector<SourceSlot> owners = without(plan_.owners(id), slot);
    if (classes_[index].kind == ClassKind::unlisted || (classes_[index].kind == ClassKind::listed && !owners.empty())) {
      moves_to[index] = change_whole(id, std::move(owners));
    } else {
      is_scattered[index] = true;
    }
  }
  for (std::uint32_t index = 0; index < pieces_.size(); ++index) {
    const std::uint32_t group = pieces_[index].group.value;
    if (!is_unverified(pieces_[index]) || group >= moves_to.size()) continue;
    if (moves_to[group]) {
      move(base::PieceIndex(index), *moves_to[group]);
    } else if (is_scattered[group]) {
      reclassify(base::PieceIndex(index));
    }
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
  std::vector<SourceSlot> listed;
  std::vector<SourceSlot> others;
  for (std::uint32_t slot = 0; slot < sources_.size(); ++slot) {
    const Source& source = sources_[slot];
    if (!source.can_give || source.is_denied[piece.value]) continue;
    if (entry.is_doubled && std::ranges::count(holders(piece), SourceSlot(slot)) > 0) continue;
    (source.is_listed[piece.value] ? listed : others).emplace_back(slot);
  }
  const ClassKind kind = listed.empty() ? ClassKind::unlisted : ClassKind::listed;
  std::vector<SourceSlot>& owners = listed.empty() ? others : listed;
  move(piece, find_or_make(entry.is_doubled ? ClassKind::doubled : kind, std::move(owners)));
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

ClassId PieceTable::find_or_make(ClassKind kind, std::vector<SourceSlot> owners) {
  const std::uint64_t key = key_of(kind, owners);
  const auto known = by_key_.find(key);
  if (known != by_key_.end() && classes_[known->second.value].kind == kind &&
      std::ranges::equal(plan_.owners(known->second), owners)) {
    return known->second;
  }
  const ClassId id = plan_.make_class(kind, std::move(owners));
  if (id.value >= classes_.size()) classes_.resize(id.value + 1);
  classes_[id.value] = Class{.kind = kind, .key = key, .members = 0, .open = 0, .heap = {}};
  by_key_[key] = id;
  return id;
}

// All pieces of a class get these owners: the class itself changes, unless there is one like that already.
ClassId PieceTable::change_whole(ClassId id, std::vector<SourceSlot> owners) {
  const ClassKind kind = classes_[id.value].kind;
  const std::uint64_t key = key_of(kind, owners);
  if (id == kNobody || by_key_.contains(key)) return find_or_make(kind, std::move(owners));
  const auto named = by_key_.find(classes_[id.value].key);
  if (named != by_key_.end() && named->second == id) by_key_.erase(named);
  classes_[id.value].key = key;
  by_key_[key] = id;
  plan_.set_owners(id, std::move(owners));
  return id;
}

}  // namespace shoal::swarm
