// How far a long piece of work of our own is (hashing, checking), for a person at a terminal. Used by `make`, `share`
// and `verify`. May be called from any thread, by one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "app/cli.hpp"

namespace shoal::app {

class WorkProgress {
 public:
  WorkProgress(const CommonOptions& common, std::string what, std::uint64_t total_bytes);
  void on_done(std::uint64_t bytes);
  // Takes the line away again.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  std::uint64_t total_bytes_;
  bool is_shown_;
  bool has_line_ = false;
  Clock::time_point begun_ = Clock::now();
  Clock::time_point drawn_ = begun_;
};

}  // namespace shoal::app
