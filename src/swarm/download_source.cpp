#include "swarm/download_source.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace shoal::swarm {

namespace {

// Our own side may take this long to send the next request.
constexpr double kReactionSeconds = 0.002;
// While the end is far, this much is under way, and a whole piece at least, so that no hiccup leaves the source idle.
constexpr double kSpareBytes = 64 * 1024;
// "Far": it ends within this share of what remains. Later it could be missing elsewhere.
constexpr double kSpareShare = 0.5;
// A delay that was measured anew counts this much.
constexpr double kDelayWeight = 0.5;

// Longer than a disk that spins up or a chunk of 64 MiB that is verified first, shorter than a person's patience.
constexpr base::Duration kSilentAfter = std::chrono::milliseconds(1500);

}  // namespace

double DownloadSource::left_bytes() const {
  double sum = 0;
  for (const Outstanding& request : outstanding) sum += request.left_bytes();
  return sum;
}

// Requests cannot be taken back, so no more are sent than keep the source busy: twice what it gives until a new request
// can have an effect, and something to spare while the end is far. A source of unknown speed is asked for one piece at
// a time.
bool DownloadSource::has_room(double piece_bytes, double remaining_s) const {
  if (outstanding.empty()) return true;
  if (outstanding.size() >= queue_depth || !delay_s || !meter.is_warm()) return false;
  const double left = left_bytes();
  if (left < rate_bytes_per_s * (2 * *delay_s + kReactionSeconds)) return true;
  const bool is_end_far = left + piece_bytes < kSpareShare * remaining_s * rate_bytes_per_s;
  return is_end_far && left < std::max(kSpareBytes, piece_bytes);
}

bool DownloadSource::is_silent(base::Instant now) const {
  return !outstanding.empty() && now - std::max(outstanding.front().requested_at, heard_at) >= kSilentAfter;
}

void DownloadSource::on_requested(base::PieceIndex piece, double expected_bytes, base::Instant now) {
  const bool is_alone = outstanding.empty();
  Outstanding& request = outstanding.emplace_back();
  request.piece = piece;
  request.requested_at = now;
  request.expected_bytes = expected_bytes;
  request.was_alone = is_alone;
  meter.on_busy(now);
}

Outstanding& DownloadSource::on_answering(base::PieceIndex piece, base::Instant now) {
  const auto request = std::ranges::find(outstanding, piece, &Outstanding::piece);
  SHOAL_CHECK(request != outstanding.end());
  if (!request->is_answering) {
    request->is_answering = true;
    const double elapsed = base::to_seconds(now - request->requested_at);
    // Behind other answers it is only an upper bound.
    if (!delay_s || elapsed < *delay_s) {
      delay_s = elapsed;
    } else if (request->was_alone) {
      *delay_s += kDelayWeight * (elapsed - *delay_s);
    }
  }
  return *request;
}

void DownloadSource::on_payload(std::uint64_t bytes, base::Instant now) {
  SHOAL_CHECK(!outstanding.empty());
  heard_at = now;
  on_answering(outstanding.front().piece, now).received_bytes += static_cast<double>(bytes);
  meter.on_payload(bytes, now);
}

void DownloadSource::on_ended(base::PieceIndex piece, base::Instant now) {
  const auto request = std::ranges::find(outstanding, piece, &Outstanding::piece);
  SHOAL_CHECK(request != outstanding.end());
  outstanding.erase(request);
  heard_at = now;
  if (outstanding.empty()) meter.on_idle(now);
}

}  // namespace shoal::swarm
