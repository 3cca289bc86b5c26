#include "roles/course_tracker.hpp"

#include <utility>

#include "roles/tracker_host.hpp"

namespace shoal::roles {

std::unique_ptr<seam::Machine> make_course_tracker(CourseTrackerOptions options, tracker::ShareProvider& share) {
  return make_tracker_host({.name = std::move(options.name),
                            .listening = options.listening,
                            .splits_replies = options.splits_replies,
                            .is_course_only = true,
                            .connections_max = options.connections_max,
                            .message_timeout = options.message_timeout,
                            .probe_validity = options.probe_validity,
                            .probe_timeout = options.probe_timeout},
                           &share, base::Rng(0));
}

}  // namespace shoal::roles
