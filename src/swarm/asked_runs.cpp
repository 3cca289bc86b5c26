#include "swarm/asked_runs.hpp"

#include <bit>

#include "base/check.hpp"

namespace shoal::swarm {

bool AskedRuns::is_awaited(const Asked& asked, const wire::BlockRange& block) {
  const auto number = number_of(asked.run, block);
  return number && (asked.awaited >> *number & 1) != 0;
}

void AskedRuns::add(const Run& run) {
  SHOAL_CHECK(run.size_bytes > 0 && block_count(run) <= kRunBlocksMax);
  runs_.push_back({.run = run, .unsent = all_blocks(run)});
  unsent_blocks_ += block_count(run);
  bytes_ += run.size_bytes;
}

std::vector<wire::BlockRange> AskedRuns::take_unsent(std::size_t awaited_max, base::Instant now) {
  std::vector<wire::BlockRange> blocks;
  if (unsent_blocks_ == 0 || awaited_blocks_ >= awaited_max) return blocks;
  // What is unsent is at the end: everything before it went out already.
  std::size_t index = runs_.size();
  while (index > 0 && runs_[index - 1].unsent != 0) --index;
  for (; index < runs_.size(); ++index) {
    Asked& asked = runs_[index];
    if (asked.awaited == 0) asked.sent_at = now;
    while (asked.unsent != 0 && awaited_blocks_ < awaited_max) {
      const auto number = static_cast<std::uint32_t>(std::countr_zero(asked.unsent));
      asked.unsent &= asked.unsent - 1;
      asked.awaited |= BlockSet{1} << number;
      --unsent_blocks_;
      ++awaited_blocks_;
      blocks.push_back(block_at(asked.run, number));
    }
  }
  return blocks;
}

const AskedRuns::Asked* AskedRuns::find_awaited(const wire::BlockRange& block) const {
  const auto asked = std::ranges::find_if(runs_, [&](const Asked& each) { return is_awaited(each, block); });
  return asked == runs_.end() ? nullptr : &*asked;
}

bool AskedRuns::settle(const wire::BlockRange& block) {
  const auto asked = std::ranges::find_if(runs_, [&](const Asked& each) { return is_awaited(each, block); });
  SHOAL_CHECK(asked != runs_.end());
  for (auto earlier = runs_.begin(); earlier != asked; ++earlier) ++earlier->overtaken;
  asked->awaited &= ~(BlockSet{1} << *number_of(asked->run, block));
  --awaited_blocks_;
  bytes_ -= block.size_bytes;
  if ((asked->awaited | asked->unsent) != 0) return false;
  runs_.erase(asked);
  return true;
}

AskedRuns::Withdrawn AskedRuns::withdraw(const Run& range) {
  Withdrawn withdrawn;
  for (Asked& asked : runs_) {
    if (overlaps(asked.run, range)) withdraw_from(asked, blocks_in(asked.run, range), withdrawn);
  }
  drop_gone();
  return withdrawn;
}

AskedRuns::Withdrawn AskedRuns::withdraw_all() {
  Withdrawn withdrawn;
  for (Asked& asked : runs_) withdraw_from(asked, all_blocks(asked.run), withdrawn);
  drop_gone();
  return withdrawn;
}

AskedRuns::Withdrawn AskedRuns::withdraw_unsent() {
  Withdrawn withdrawn;
  for (Asked& asked : runs_) withdraw_from(asked, asked.unsent, withdrawn);
  drop_gone();
  return withdrawn;
}

AskedRuns::Withdrawn AskedRuns::withdraw_all_but(const wire::BlockRange& block) {
  Withdrawn withdrawn;
  for (Asked& asked : runs_) {
    const auto kept = number_of(asked.run, block);
    withdraw_from(asked, all_blocks(asked.run) & ~(kept ? BlockSet{1} << *kept : BlockSet{0}), withdrawn);
  }
  drop_gone();
  return withdrawn;
}

AskedRuns::Withdrawn AskedRuns::withdraw_overtaken(std::uint32_t blocks, base::Instant asked_until) {
  Withdrawn withdrawn;
  // A run is overtaken by all that overtake a later one.
  for (Asked& asked : runs_) {
    if (asked.overtaken < blocks) break;
    if (asked.sent_at <= asked_until) withdraw_from(asked, asked.awaited, withdrawn);
  }
  if (!withdrawn.parts.empty()) drop_gone();
  return withdrawn;
}

wire::BlockRange AskedRuns::first() const {
  const Asked& asked = runs_.front();
  const BlockSet open = asked.awaited != 0 ? asked.awaited : asked.unsent;
  return block_at(asked.run, static_cast<std::uint32_t>(std::countr_zero(open)));
}

bool AskedRuns::has_some_of(const Run& run) const {
  return std::ranges::any_of(runs_, [&](const Asked& asked) { return asked.run == run; });
}

void AskedRuns::withdraw_from(Asked& asked, BlockSet blocks, Withdrawn& withdrawn) {
  const BlockSet open = blocks & (asked.unsent | asked.awaited);
  if (open == 0) return;
  for (std::uint32_t number = 0; number < block_count(asked.run); ++number) {
    if ((open & asked.awaited) >> number & 1) withdrawn.awaited.push_back(block_at(asked.run, number));
  }
  awaited_blocks_ -= static_cast<std::size_t>(std::popcount(open & asked.awaited));
  unsent_blocks_ -= static_cast<std::size_t>(std::popcount(open & asked.unsent));
  asked.awaited &= ~open;
  asked.unsent &= ~open;
  for (const Run& part : parts_of(asked.run, open)) {
    bytes_ -= part.size_bytes;
    withdrawn.parts.push_back(part);
  }
}

void AskedRuns::drop_gone() {
  std::erase_if(runs_, [](const Asked& asked) { return (asked.awaited | asked.unsent) == 0; });
}

void AskedRuns::audit() const {
  std::size_t awaited = 0;
  std::size_t unsent = 0;
  std::uint64_t bytes = 0;
  for (const Asked& asked : runs_) {
    SHOAL_CHECK((asked.awaited & asked.unsent) == 0 && (asked.awaited | asked.unsent) != 0);
    SHOAL_CHECK(unsent == 0 || asked.awaited == 0);
    awaited += static_cast<std::size_t>(std::popcount(asked.awaited));
    unsent += static_cast<std::size_t>(std::popcount(asked.unsent));
    for (const Run& part : parts_of(asked.run, asked.awaited | asked.unsent)) bytes += part.size_bytes;
  }
  SHOAL_CHECK(awaited == awaited_blocks_ && unsent == unsent_blocks_ && bytes == bytes_);
}

void LateAnswers::expect(const wire::BlockRange& block, base::Instant now) {
  if (blocks_.size() == kBlocksMax) blocks_.pop_front();
  blocks_.push_back({block, now + kPatience});
}

bool LateAnswers::take(const wire::BlockRange& block, base::Instant now) {
  while (!blocks_.empty() && blocks_.front().until <= now) blocks_.pop_front();
  const auto found = std::ranges::find(blocks_, block, &Late::block);
  if (found == blocks_.end()) return false;
  blocks_.erase(found);
  return true;
}

}  // namespace shoal::swarm
