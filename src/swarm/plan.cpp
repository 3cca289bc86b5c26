#include "swarm/plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.hpp"

namespace shoal::swarm {

namespace {

// Differences below this share are rounding, not an improvement.
constexpr double kNoise = 1e-9;
// The classes with the fewest owners are compared by their owners' speed, so many owners in all. Enough for every class
// that 8 sources can make.
constexpr std::size_t kOwnersWeighedMax = 1024;

}  // namespace

SourceSlot Plan::add_source() {
  const SourceSlot slot(static_cast<std::uint32_t>(sources_.size()));
  sources_.emplace_back();
  for (Source& source : sources_) source.givable.resize(sources_.size(), 0);
  return slot;
}

void Plan::set_ready(SourceSlot slot, bool is_ready) {
  Source& source = sources_[slot.value];
  if (source.is_ready == is_ready) return;
  source.is_ready = is_ready;
  if (is_ready) {
    for (std::uint32_t index = 0; index < classes_.size(); ++index) {
      if (classes_[index].waiting > 0 && is_owner(ClassId(index), slot)) {
        pour(ClassId(index), std::exchange(classes_[index].waiting, 0));
      }
    }
    return;
  }
  while (!source.classes.empty()) {
    const ClassId id = std::get<ClassId>(*source.classes.begin());
    const std::size_t position = position_of(classes_[id.value], slot);
    const std::uint32_t count = classes_[id.value].assigned[position];
    change(id, position, -std::int64_t{count});
    put(id, count);
  }
}

void Plan::set_pace(SourceSlot source, double busy_s, double piece_s) {
  SHOAL_CHECK(busy_s >= 0 && piece_s > 0);
  sources_[source.value].busy_s = busy_s;
  sources_[source.value].piece_s = piece_s;
}

ClassId Plan::make_class(ClassKind kind, std::vector<SourceSlot> owners) {
  ClassId id(static_cast<std::uint32_t>(classes_.size()));
  if (free_.empty()) {
    classes_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Class& group = classes_[id.value];
  group.kind = kind;
  group.assigned.assign(owners.size(), 0);
  group.owners = std::move(owners);
  return id;
}

void Plan::free_class(ClassId id) {
  const Class& group = classes_[id.value];
  SHOAL_CHECK(group.waiting == 0 &&
              std::ranges::all_of(group.assigned, [](std::uint32_t count) { return count == 0; }));
  classes_[id.value] = Class{};
  free_.push_back(id);
}

bool Plan::is_owner(ClassId id, SourceSlot source) const {
  return std::ranges::binary_search(classes_[id.value].owners, source);
}

void Plan::put(ClassId id, std::uint32_t count) {
  Class& group = classes_[id.value];
  const bool has_ready =
      std::ranges::any_of(group.owners, [this](SourceSlot owner) { return sources_[owner.value].is_ready; });
  if (has_ready) {
    pour(id, count);
  } else {
    group.waiting += count;
  }
}

void Plan::drop(ClassId id) {
  Class& group = classes_[id.value];
  if (group.waiting > 0) {
    --group.waiting;
    return;
  }
  std::optional<std::size_t> latest;
  for (std::size_t position = 0; position < group.owners.size(); ++position) {
    if (group.assigned[position] == 0) continue;
    if (!latest || end_s(group.owners[position]) > end_s(group.owners[*latest])) latest = position;
  }
  SHOAL_CHECK(latest);
  change(id, *latest, -1);
}

void Plan::take(ClassId id, SourceSlot slot) {
  const std::size_t position = position_of(classes_[id.value], slot);
  if (classes_[id.value].assigned[position] > 0) {
    change(id, position, -1);
  } else {
    drop(id);
  }
  sources_[slot.value].busy_s += sources_[slot.value].piece_s;
}

std::optional<ClassId> Plan::pick(SourceSlot slot) const {
  const std::set<Rank>& ranks = sources_[slot.value].classes;
  std::optional<ClassId> slowest;
  double slowest_rate = 0;
  std::size_t weighed = 0;
  for (const auto& [kind, owner_count, id] : ranks) {
    if (kind != std::get<ClassKind>(*ranks.begin()) || weighed >= kOwnersWeighedMax) break;
    weighed += owner_count;
    double rate = 0;  // pieces per second of all owners together
    for (const SourceSlot owner : classes_[id.value].owners) rate += 1 / sources_[owner.value].piece_s;
    if (!slowest || rate < slowest_rate) {
      slowest = id;
      slowest_rate = rate;
    }
  }
  return slowest;
}

double Plan::end_s(SourceSlot slot) const {
  const Source& source = sources_[slot.value];
  return source.busy_s + source.assigned * source.piece_s;
}

double Plan::end_with_one_more_s(SourceSlot slot) const {
  return end_s(slot) + sources_[slot.value].piece_s;
}

double Plan::end_s() const {
  double latest = 0;
  for (std::uint32_t slot = 0; slot < sources_.size(); ++slot) {
    if (sources_[slot].is_ready) latest = std::max(latest, end_s(SourceSlot(slot)));
  }
  return latest;
}

// Starts from the source that ends last. Where no hand-over helps it, none helps those it could hand over to either:
// they end sooner and reach no further. So these are settled together, and one search does for all of them.
bool Plan::rebalance(std::uint32_t moves_max) {
  std::vector<bool> is_settled(sources_.size(), false);
  for (std::uint32_t moves = 0; moves < moves_max;) {
    std::optional<SourceSlot> last;
    for (std::uint32_t slot = 0; slot < sources_.size(); ++slot) {
      if (is_settled[slot] || sources_[slot].assigned == 0) continue;
      if (!last || end_s(SourceSlot(slot)) > end_s(*last)) last = SourceSlot(slot);
    }
    if (!last) return true;
    if (improve_from(*last, is_settled)) ++moves;
  }
  return false;
}

// One chain of hand-overs that begins at `first`, for as many pieces as it helps. False: there is none.
bool Plan::improve_from(SourceSlot first, std::vector<bool>& is_settled) {
  constexpr std::uint32_t kUnseen = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> giver(sources_.size(), kUnseen);
  std::vector<std::uint32_t> reached{first.value};
  giver[first.value] = first.value;
  std::uint32_t best = first.value;
  for (std::size_t next = 0; next < reached.size(); ++next) {
    const std::uint32_t from = reached[next];
    for (std::uint32_t to = 0; to < sources_.size(); ++to) {
      if (giver[to] != kUnseen || sources_[from].givable[to] == 0 || !sources_[to].is_ready) continue;
      giver[to] = from;
      reached.push_back(to);
      if (best == first.value || end_with_one_more_s(SourceSlot(to)) < end_with_one_more_s(SourceSlot(best))) best = to;
    }
  }
  const double ends_now = end_s(first);
  if (best == first.value || end_with_one_more_s(SourceSlot(best)) >= ends_now * (1 - kNoise)) {
    for (const std::uint32_t slot : reached) is_settled[slot] = true;
    return false;
  }
  // The last piece handed over still has to end sooner at the end of the chain than at its beginning.
  const Source& from = sources_[first.value];
  const Source& to = sources_[best];
  const double useful = (ends_now - end_s(SourceSlot(best)) + from.piece_s) / (from.piece_s + to.piece_s);
  std::uint32_t count = std::max(1u, static_cast<std::uint32_t>(std::min(std::ceil(useful) - 1, from.assigned * 1.0)));
  for (std::uint32_t slot = best; slot != first.value; slot = giver[slot]) {
    count = std::min(count, sources_[giver[slot]].givable[slot]);
  }
  for (std::uint32_t slot = best; slot != first.value; slot = giver[slot]) {
    hand_over(SourceSlot(giver[slot]), SourceSlot(slot), count);
  }
  return true;
}

void Plan::hand_over(SourceSlot from, SourceSlot to, std::uint32_t count) {
  // Those with many owners go first: what only few can give stays where it was planned.
  auto rank = sources_[from.value].classes.end();
  while (count > 0) {
    SHOAL_CHECK(rank != sources_[from.value].classes.begin());
    --rank;
    const ClassId id = std::get<ClassId>(*rank);
    if (!is_owner(id, to)) continue;
    const std::size_t giving = position_of(classes_[id.value], from);
    const std::uint32_t moved = std::min(count, classes_[id.value].assigned[giving]);
    const bool is_last = moved == classes_[id.value].assigned[giving];
    if (is_last) ++rank;  // its entry vanishes below
    change(id, giving, -std::int64_t{moved});
    change(id, position_of(classes_[id.value], to), moved);
    count -= moved;
  }
}

std::size_t Plan::position_of(const Class& group, SourceSlot source) {
  const auto place = std::ranges::lower_bound(group.owners, source);
  SHOAL_CHECK(place != group.owners.end() && *place == source);
  return static_cast<std::size_t>(place - group.owners.begin());
}

void Plan::change(ClassId id, std::size_t position, std::int64_t difference) {
  if (difference == 0) return;
  Class& group = classes_[id.value];
  Source& source = sources_[group.owners[position].value];
  const bool was_empty = group.assigned[position] == 0;
  const auto added = static_cast<std::uint32_t>(difference);  // modulo 2^32, so subtraction works too
  SHOAL_CHECK(std::int64_t{group.assigned[position]} + difference >= 0);
  group.assigned[position] += added;
  source.assigned += added;
  for (const SourceSlot owner : group.owners) source.givable[owner.value] += added;
  if (was_empty) {
    source.classes.insert(rank_of(group, id));
  } else if (group.assigned[position] == 0) {
    source.classes.erase(rank_of(group, id));
  }
}

// Like water into vessels that are connected: first what fits below a common level, then piece by piece to whoever
// ends it first.
void Plan::pour(ClassId id, std::uint32_t count) {
  Class& group = classes_[id.value];
  const auto fits_below = [&](std::size_t position, double level_s) {
    const SourceSlot owner = group.owners[position];
    if (!sources_[owner.value].is_ready) return 0.0;
    return std::max(0.0, std::floor((level_s - end_s(owner)) / sources_[owner.value].piece_s));
  };
  if (count > group.owners.size()) {
    double low = std::numeric_limits<double>::infinity();
    double high = low;
    for (const SourceSlot owner : group.owners) {
      if (!sources_[owner.value].is_ready) continue;
      low = std::min(low, end_s(owner));
      high = std::min(high, end_s(owner) + count * sources_[owner.value].piece_s);
    }
    constexpr int kHalvings = 40;
    for (int halving = 0; halving < kHalvings; ++halving) {
      const double level = (low + high) / 2;
      double sum = 0;
      for (std::size_t position = 0; position < group.owners.size(); ++position) sum += fits_below(position, level);
      (sum <= count ? low : high) = level;
    }
    for (std::size_t position = 0; position < group.owners.size(); ++position) {
      const auto part = static_cast<std::uint32_t>(std::min(fits_below(position, low), count * 1.0));
      change(id, position, part);
      count -= part;
    }
  }
  for (; count > 0; --count) {
    std::optional<std::size_t> best;
    for (std::size_t position = 0; position < group.owners.size(); ++position) {
      const SourceSlot owner = group.owners[position];
      if (!sources_[owner.value].is_ready) continue;
      if (!best || end_with_one_more_s(owner) < end_with_one_more_s(group.owners[*best])) best = position;
    }
    SHOAL_CHECK(best);
    change(id, *best, 1);
  }
}

}  // namespace shoal::swarm
