// Virtual time: a queue of things to do, in order of time and then of arrival, so that a run can be repeated exactly.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "base/time.hpp"

namespace shoal::sim {

class EventQueue {
 public:
  using Task = std::function<void()>;

  [[nodiscard]] base::Instant now() const { return now_; }
  [[nodiscard]] bool is_empty() const { return queue_.empty(); }
  [[nodiscard]] base::Instant next_time() const { return queue_.top().when; }

  void at(base::Instant when, Task task) { queue_.push({std::max(when, now_), next_order_++, std::move(task)}); }
  void after(base::Duration delay, Task task) { at(now_ + delay, std::move(task)); }

  // Does the next thing; the queue must not be empty.
  void step() {
    SHOAL_CHECK(!queue_.empty());
    // priority_queue gives only const access; the task is moved out of an entry that is popped at once.
    Entry entry = std::move(const_cast<Entry&>(queue_.top()));
    queue_.pop();
    now_ = entry.when;
    entry.task();
  }

 private:
  struct Entry {
    base::Instant when;
    std::uint64_t order;
    Task task;

    bool operator<(const Entry& other) const { return when != other.when ? when > other.when : order > other.order; }
  };

  base::Instant now_{};
  std::uint64_t next_order_ = 0;
  std::priority_queue<Entry> queue_;
};

}  // namespace shoal::sim
