// Carries out SaveState: writes the files of the state folder on a thread of its own, because that waits for the disk
// itself, which no piece and no connection should have to do. Used by the runner, on the loop's thread.
//
// Always holds: of each name at most the latest content waits; what could not be written is tried again, every
// kStateRetryEvery and once more by stop(), unless there is newer content; stop() returns when everything is on disk or
// was reported.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"

namespace shoal::net {

inline constexpr base::Duration kStateRetryEvery = std::chrono::seconds(5);

class StateWriter {
 public:
  // `on_trouble` is called on its thread when a file could not be written; leads to take_troubles(). The same trouble
  // with the same file is reported once, until writing it works again.
  StateWriter(std::filesystem::path folder, std::function<void()> on_trouble,
              base::Duration retry_every = kStateRetryEvery);
  ~StateWriter();
  StateWriter(const StateWriter&) = delete;
  StateWriter& operator=(const StateWriter&) = delete;

  void save(const std::string& name, base::Bytes bytes);
  // In words: what was tried, what happened.
  [[nodiscard]] std::vector<std::string> take_troubles();
  void stop();

 private:
  using Lock = std::unique_lock<std::mutex>;
  void work();
  void write_waiting(Lock& lock);

  std::filesystem::path folder_;
  std::function<void()> on_trouble_;
  base::Duration retry_every_;
  std::mutex mutex_;
  std::condition_variable work_arrived_;
  // Everything below is guarded by mutex_.
  std::map<std::string, base::Bytes> waiting_;
  std::map<std::string, base::Bytes> failed_;  // to be tried again at retry_at_
  std::chrono::steady_clock::time_point retry_at_;
  std::map<std::string, std::string> trouble_of_;  // by name: what was reported last
  std::vector<std::string> troubles_;
  bool is_stopping_ = false;

  std::thread thread_;
};

}  // namespace shoal::net
