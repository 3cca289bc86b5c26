#include "swarm/run_slabs.hpp"

#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace shoal::swarm {

std::optional<std::span<std::byte>> RunSlabs::room_for(const Run& run, const wire::BlockRange& block,
                                                       base::Instant now) {
  auto slab = std::ranges::find(slabs_, run, &Slab::run);
  if (slab == slabs_.end()) {
    if (slabs_.size() == kSlabsMax) {
      Slab oldest = std::move(slabs_.front());
      slabs_.erase(slabs_.begin());
      hand_over(std::move(oldest));
    }
    auto buffer = pool_.take();
    if (!buffer) {
      hand_over_all();
      return std::nullopt;
    }
    SHOAL_CHECK(run.size_bytes <= buffer->bytes().size());
    slabs_.push_back({.run = run, .buffer = std::move(*buffer), .taken_at = now});
    slab = std::prev(slabs_.end());
  }
  return slab->buffer.bytes().subspan(block.offset_bytes - run.offset_bytes, block.size_bytes);
}

void RunSlabs::on_block(const Run& run, const wire::BlockRange& block) {
  const auto slab = std::ranges::find(slabs_, run, &Slab::run);
  const auto number = number_of(run, block);
  SHOAL_CHECK(slab != slabs_.end() && number);
  slab->arrived |= BlockSet{1} << *number;
}

void RunSlabs::hand_over(const Run& run) {
  const auto found = std::ranges::find(slabs_, run, &Slab::run);
  if (found == slabs_.end()) return;
  Slab slab = std::move(*found);
  slabs_.erase(found);
  hand_over(std::move(slab));
}

void RunSlabs::hand_over_all() {
  for (Slab& slab : std::exchange(slabs_, {})) hand_over(std::move(slab));
}

void RunSlabs::hand_over(Slab slab) {
  const std::vector<Run> parts = parts_of(slab.run, slab.arrived);
  for (const Run& part : parts) {
    const auto bytes = slab.buffer.bytes().subspan(part.offset_bytes - slab.run.offset_bytes, part.size_bytes);
    if (&part == &parts.back()) {
      if (part.offset_bytes != slab.run.offset_bytes) {
        std::memmove(slab.buffer.bytes().data(), bytes.data(), bytes.size());
      }
      handed_over_.arrived.push_back({part, std::move(slab.buffer)});
    } else if (auto buffer = pool_.take()) {
      std::memcpy(buffer->bytes().data(), bytes.data(), bytes.size());
      handed_over_.arrived.push_back({part, std::move(*buffer)});
    } else {
      handed_over_.lost.push_back(part);
    }
  }
}

RunSlabs::HandedOver RunSlabs::take_handed_over() {
  return std::exchange(handed_over_, {});
}

std::vector<Run> RunSlabs::runs() const {
  std::vector<Run> runs;
  for (const Slab& slab : slabs_) runs.push_back(slab.run);
  return runs;
}

std::optional<base::Instant> RunSlabs::held_since() const {
  if (slabs_.empty()) return std::nullopt;
  return slabs_.front().taken_at;
}

}  // namespace shoal::swarm
