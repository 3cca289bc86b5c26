// Runs one machine in the real world: sockets, timers, signals, and a pool for hashing and disk. The program makes one
// for each run: opens what has to listen, then run(machine) blocks until the machine's Finish.
//
// Threads: everything but request_stop() belongs to one thread, and the machine is only ever called on it. The pool's
// threads call the store and the library and nothing else. Buffers come home on the machine's thread, all of them
// before run() returns. Several runners may run in one process at once, each on its own thread.
//
// Making one lets the process have as many open files as it may, and ignores SIGPIPE.
//
// Always holds: events reach the machine one at a time, never from inside one of its own calls; actions are carried out
// in their order; no exception leaves this module.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "net/failure.hpp"
#include "seam/machine.hpp"
#include "storage/piece_library.hpp"
#include "storage/piece_store.hpp"

namespace shoal::net {

struct RunnerOptions {
  unsigned pool_threads = 0;                 // 0: one for each core
  storage::PieceStore* store = nullptr;      // what a client writes to; outlives the runner
  storage::PieceLibrary* library = nullptr;  // what a peer serves from; outlives the runner
  // Where SaveState puts its files (net/state_folder.hpp reads them); created when first needed. Without one nothing is
  // kept.
  std::optional<std::filesystem::path> state_folder = {};
  // Hears every Tell of the machine and the runner's own notes, on the machine's thread.
  std::function<void(const seam::Trace&, base::Instant)> on_trace = {};
  // Called about twice a second while it runs: what is shown should not stand still when nothing happens.
  std::function<void(base::Instant)> on_tick;
  // SIGINT, SIGTERM and, unless it is ignored (nohup), SIGHUP become StopRequested; SIGINT or SIGTERM after that
  // ends the run at once. At most one runner of a process.
  bool stops_on_signals = false;
};

class Runner {
 public:
  // A kernel that has not even an epoll left ends the program.
  explicit Runner(RunnerOptions options) noexcept;
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Connections are queued by the kernel from now on and reach the machine as Accepted once it runs. Port 0: any free
  // one; the answer has the real port. At most once.
  [[nodiscard]] std::expected<base::Endpoint, NetFailure> listen_tcp(base::Endpoint local);
  // Becomes seam::kDiscoverySocket. `bind` is 0.0.0.0 where broadcasts have to arrive. At most once.
  [[nodiscard]] std::expected<base::Endpoint, NetFailure> open_discovery_socket(base::Ipv4Address bind,
                                                                                std::uint16_t port);
  // Becomes seam::kTrackerSocket. At most once.
  [[nodiscard]] std::expected<base::Endpoint, NetFailure> open_tracker_socket(base::Ipv4Address bind,
                                                                              std::uint16_t port);

  // Until the machine's Finish, or a second stop (Finish::Result::interrupted). What is open then is closed without a
  // reset where that is possible, which takes a second at most and usually no time. Once.
  [[nodiscard]] seam::Finish run(seam::Machine& machine);

  // From any thread, before or while it runs: StopRequested, or, the second time, the end at once.
  void request_stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::net
