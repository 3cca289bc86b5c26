#include "app/own_tracker.hpp"

#include <utility>

#include "app/descriptors.hpp"
#include "app/random_seed.hpp"
#include "net/interfaces.hpp"
#include "roles/tracker_host.hpp"

namespace shoal::app {

std::expected<std::unique_ptr<OwnTracker>, std::string> OwnTracker::start(const OwnTrackerOptions& options) {
  std::unique_ptr<OwnTracker> tracker(new OwnTracker);
  tracker->runner_ = std::make_unique<net::Runner>(net::RunnerOptions{.pool_threads = 1});
  net::Runner& runner = *tracker->runner_;
  auto listening = runner.listen_tcp({options.bind, options.port});
  if (!listening) listening = runner.listen_tcp({options.bind, 0});
  if (!listening) return std::unexpected(listening.error().message);
  const auto discovery = runner.open_discovery_socket({}, options.discovery_port);
  if (!discovery) return std::unexpected(discovery.error().message);
  // Without its UDP side a tracker still does its work.
  (void)runner.open_tracker_socket(options.bind, listening->port);
  tracker->listening_ = *listening;
  roles::TrackerHostOptions host{.name = options.name,
                                 .listening = *listening,
                                 .swarms = {.internal_networks = net::internal_networks(),
                                            .local_networks = net::local_networks(net::local_interfaces())}};
  fit_to_descriptors(host, TrackerPlace::beside_a_host);
  tracker->machine_ = roles::make_tracker_host(std::move(host), nullptr, base::Rng(random_seed()));
  tracker->thread_ = std::thread([&runner, machine = tracker->machine_.get()] { (void)runner.run(*machine); });
  return tracker;
}

OwnTracker::~OwnTracker() {
  if (!thread_.joinable()) return;
  runner_->request_stop();
  thread_.join();
}

}  // namespace shoal::app
