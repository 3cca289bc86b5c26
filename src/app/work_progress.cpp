#include "app/work_progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "app/print.hpp"
#include "app/progress.hpp"

namespace shoal::app {
namespace {

constexpr auto kRedrawEvery = std::chrono::milliseconds(200);

}  // namespace

WorkProgress::WorkProgress(const CommonOptions& common, std::string what, std::uint64_t total_bytes)
    : what_(printable(what)),
      total_bytes_(total_bytes),
      is_shown_(!common.is_json && !common.is_quiet && isatty(STDERR_FILENO) != 0) {}

void WorkProgress::on_done(std::uint64_t bytes) {
  const Clock::time_point now = Clock::now();
  if (!is_shown_ || now - drawn_ < kRedrawEvery || total_bytes_ == 0) return;
  drawn_ = now;
  has_line_ = true;
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  const double rate = static_cast<double>(bytes) / seconds;
  const double left = static_cast<double>(total_bytes_ - std::min(bytes, total_bytes_)) / std::max(rate, 1.0);
  print_text(stderr, fmt::format("\r\x1b[K{}: {:3.0f} %  {}/s, {} left", what_,
                                 100.0 * static_cast<double>(bytes) / static_cast<double>(total_bytes_),
                                 describe_bytes(rate), describe_time_left(left)));
  std::fflush(stderr);
}

void WorkProgress::finish() {
  if (std::exchange(has_line_, false)) print_text(stderr, "\r\x1b[K");
}

}  // namespace shoal::app
