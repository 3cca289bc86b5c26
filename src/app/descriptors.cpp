#include "app/descriptors.hpp"

#include <algorithm>
#include <cstddef>

#include "net/socket.hpp"
#include "storage/descriptors.hpp"

namespace shoal::app {
namespace {

// Of those for others, what course clients get, and a tracker that is not alone.
constexpr std::size_t kShare = 4;

template <typename Count>
void lower(Count& count, std::size_t most) {
  if (most < count) count = static_cast<Count>(std::max<std::size_t>(most, 1));
}

}  // namespace

void fit_to_descriptors(roles::TrackerHostOptions& tracker, TrackerPlace place) {
  net::raise_open_files_limit();
  const std::size_t usable =
      storage::descriptors_for_others() / (place == TrackerPlace::alone ? std::size_t{1} : kShare);
  const std::size_t wanted = tracker.connections_max + tracker.http_connections_max + tracker.silent_connections_max;
  if (usable >= wanted) return;
  lower(tracker.connections_max, tracker.connections_max * usable / wanted);
  lower(tracker.http_connections_max, tracker.http_connections_max * usable / wanted);
  lower(tracker.silent_connections_max, tracker.silent_connections_max * usable / wanted);
}

void fit_to_descriptors(roles::SwarmHostOptions& host) {
  net::raise_open_files_limit();
  lower(host.course_clients_max, storage::descriptors_for_others() / kShare);
  // Four fifths of them may be dialled, which takes from what is kept, as open files of the torrent do with a half.
  lower(host.connections_max, storage::kept_descriptors() * 2 / 5);
}

}  // namespace shoal::app
