// The tracker that `share` is itself when nobody else is: a tracker host with a runner and a thread of its own, for as
// long as this object lives. Used by share_command.cpp.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <thread>

#include "base/endpoint.hpp"
#include "net/runner.hpp"
#include "seam/machine.hpp"

namespace shoal::app {

struct OwnTrackerOptions {
  base::Ipv4Address bind{};
  std::uint16_t port = 8000;  // when it is taken: any free one
  std::uint16_t discovery_port = 9000;
  std::string name = "shoal";
};

class OwnTracker {
 public:
  // error: a line for the user, why there can be none here.
  [[nodiscard]] static std::expected<std::unique_ptr<OwnTracker>, std::string> start(const OwnTrackerOptions& options);
  // Ends it and waits.
  ~OwnTracker();
  OwnTracker(const OwnTracker&) = delete;
  OwnTracker& operator=(const OwnTracker&) = delete;

  [[nodiscard]] base::Endpoint listening() const { return listening_; }

 private:
  OwnTracker() = default;

  std::unique_ptr<net::Runner> runner_;
  std::unique_ptr<seam::Machine> machine_;
  base::Endpoint listening_;
  std::thread thread_;
};

}  // namespace shoal::app
