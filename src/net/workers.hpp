// The pool: threads that hash and touch the disk on behalf of the machine's store and look-up actions. Jobs go in on
// the loop's thread; results come back there in batches, as events.
//
// Always holds: the jobs of one WriteId run in their order, one at a time; those of different ones at once; OpenStore
// and FinishStore alone, after everything before them and before everything behind them. After StoreFailed (once) the
// store is not called again until it is opened; buffers come home all the same. A thread that runs a job holds no lock,
// and no Buffer is ever destroyed on it.
//
// The queues are bounded by what fills them: blocks by the buffer pool, look-ups by what a role lets a connection ask.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "storage/piece_library.hpp"
#include "storage/piece_store.hpp"

namespace shoal::net {

struct WorkersOptions {
  unsigned threads = 0;  // 0: one for each core
  storage::PieceStore* store = nullptr;
  storage::PieceLibrary* library = nullptr;
  // Called on a pool thread when results are there and none were before; leads to take_results().
  std::function<void()> on_results = {};
};

using StoreAction = std::variant<seam::OpenStore, seam::BeginPiece, seam::StoreBlock, seam::CompletePiece,
                                 seam::AbandonPiece, seam::FinishStore>;

class Workers {
 public:
  explicit Workers(WorkersOptions options);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void submit(StoreAction&& action);
  void look_up(const seam::LookUpPiece& question);
  // In the order they happened.
  [[nodiscard]] std::vector<seam::Event> take_results();
  // Waits for the jobs that run, which themselves wait for nobody any more, drops the others, and abandons the pieces
  // that were begun. Nothing goes in any more.
  void stop();

 private:
  // The jobs of one piece; there from BeginPiece until CompletePiece or AbandonPiece was done.
  struct Lane {
    std::deque<StoreAction> jobs;
    bool is_busy = false;       // in ready_, or a thread runs one of its jobs
    bool has_begun = false;     // the store knows it
    bool is_abandoned = false;  // blocks still queued need not be stored
  };
  using Lock = std::unique_lock<std::mutex>;

  // These are called with the lock.
  void enter_lane(StoreAction&& action);
  void admit_waiting();
  [[nodiscard]] bool is_exclusive_ready() const;
  [[nodiscard]] bool has_work() const;
  void give(seam::Event&& event);
  void fail(seam::StoreError&& error);

  // These let go of the lock while they call the store or the library.
  void work();
  void run_exclusive(Lock& lock);
  void run_lane_job(Lock& lock);
  void run_look_up(Lock& lock);

  WorkersOptions options_;
  std::mutex mutex_;
  std::condition_variable work_arrived_;
  // Everything below is guarded by mutex_.
  std::unordered_map<seam::WriteId, Lane> lanes_;
  std::deque<seam::WriteId> ready_;  // lanes that want a thread
  std::size_t jobs_in_lanes_ = 0;    // queued or running
  std::deque<StoreAction> waiting_;  // an exclusive action in front, and what came behind it
  bool is_exclusive_running_ = false;
  std::deque<seam::LookUpPiece> look_ups_;
  std::vector<seam::Event> results_;
  bool has_failed_ = false;
  bool is_stopping_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace shoal::net
