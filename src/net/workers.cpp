#include "net/workers.hpp"

#include <algorithm>
#include <system_error>
#include <type_traits>
#include <utility>

#include "base/check.hpp"

namespace shoal::net {

namespace {

bool is_exclusive(const StoreAction& action) {
  return std::holds_alternative<seam::OpenStore>(action) || std::holds_alternative<seam::FinishStore>(action);
}

// Of an action that is not exclusive.
seam::WriteId write_of(const StoreAction& action) {
  SHOAL_CHECK(!is_exclusive(action));
  return std::visit(
      [](const auto& job) {
        if constexpr (requires { job.write; }) {
          return job.write;
        } else {
          return seam::WriteId{};
        }
      },
      action);
}

// What a job came to: an answer, an error, both (a block that could not be stored still comes home), or neither.
struct JobResult {
  std::optional<seam::StoreError> error;
  std::optional<seam::Event> answer;
};

JobResult run_job(storage::PieceStore& store, seam::BeginPiece& job) {
  auto begun = store.begin(job.write, std::move(job.places), job.size_bytes);
  if (!begun) return {.error = std::move(begun.error()), .answer = {}};
  return {};
}

JobResult run_job(storage::PieceStore& store, seam::StoreBlock& job) {
  auto stored = store.put(job.write, job.offset_bytes, base::ByteView(job.buffer.bytes()).first(job.count));
  JobResult result{.error = {}, .answer = seam::BlockStored{.write = job.write, .buffer = std::move(job.buffer)}};
  if (!stored) result.error = std::move(stored.error());
  return result;
}

JobResult run_job(storage::PieceStore& store, seam::CompletePiece& job) {
  auto is_right = store.complete(job.write);
  if (!is_right) return {.error = std::move(is_right.error()), .answer = {}};
  if (*is_right) return {.error = {}, .answer = seam::PieceVerified{job.write}};
  return {.error = {}, .answer = seam::PieceMismatched{job.write}};
}

JobResult run_job(storage::PieceStore& store, seam::AbandonPiece& job) {
  store.abandon(job.write);
  return {};
}

JobResult run_job(storage::PieceStore& store, seam::OpenStore& job) {
  auto held = store.open(job.manifest);
  if (!held) return {.error = std::move(held.error()), .answer = {}};
  if (auto kept = store.keep_torrent(job.torrent); !kept) return {.error = std::move(kept.error()), .answer = {}};
  return {.error = {}, .answer = seam::StoreOpened{std::move(*held)}};
}

JobResult run_job(storage::PieceStore& store, seam::FinishStore&) {
  auto path = store.finish();
  if (!path) return {.error = std::move(path.error()), .answer = {}};
  return {.error = {}, .answer = seam::StoreFinished{std::move(*path)}};
}

// What comes of a job the store is spared.
JobResult skip_job(StoreAction& action) {
  auto* block = std::get_if<seam::StoreBlock>(&action);
  if (block == nullptr) return {};
  return {.error = {}, .answer = seam::BlockStored{.write = block->write, .buffer = std::move(block->buffer)}};
}

JobResult run_on(storage::PieceStore& store, StoreAction& action) {
  return std::visit([&store](auto& job) { return run_job(store, job); }, action);
}

}  // namespace

Workers::Workers(WorkersOptions options) : options_(std::move(options)) {
  const unsigned count = options_.threads > 0 ? options_.threads : std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < count; ++i) {
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      break;  // fewer do as well
    }
  }
  SHOAL_CHECK(!threads_.empty());
}

Workers::~Workers() {
  stop();
}

void Workers::submit(StoreAction&& action) {
  SHOAL_CHECK(options_.store != nullptr);
  const Lock lock(mutex_);
  if (waiting_.empty() && !is_exclusive(action)) return enter_lane(std::move(action));
  waiting_.push_back(std::move(action));
  if (is_exclusive_ready()) work_arrived_.notify_one();
}

void Workers::look_up(const seam::LookUpPiece& question) {
  SHOAL_CHECK(options_.library != nullptr);
  const Lock lock(mutex_);
  look_ups_.push_back(question);
  work_arrived_.notify_one();
}

std::vector<seam::Event> Workers::take_results() {
  const Lock lock(mutex_);
  return std::exchange(results_, {});
}

void Workers::stop() {
  {
    const Lock lock(mutex_);
    is_stopping_ = true;
  }
  work_arrived_.notify_all();
  if (options_.store != nullptr) options_.store->stop_waiting();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  // Only this thread is left: buffers may go home.
  if (!has_failed_) {
    for (const auto& [write, lane] : lanes_) {
      if (lane.has_begun) options_.store->abandon(write);
    }
  }
  lanes_.clear();
  ready_.clear();
  waiting_.clear();
  look_ups_.clear();
  results_.clear();
}

void Workers::enter_lane(StoreAction&& action) {
  const seam::WriteId write = write_of(action);
  const bool is_begin = std::holds_alternative<seam::BeginPiece>(action);
  const bool is_abandon = std::holds_alternative<seam::AbandonPiece>(action);
  auto found = lanes_.find(write);
  if (found == lanes_.end()) {
    if (is_abandon) return;  // it ended in the meantime
    SHOAL_CHECK(is_begin);
    found = lanes_.emplace(write, Lane{}).first;
  } else {
    SHOAL_CHECK(!is_begin);
  }
  Lane& lane = found->second;
  lane.is_abandoned = lane.is_abandoned || is_abandon;
  lane.jobs.push_back(std::move(action));
  ++jobs_in_lanes_;
  if (lane.is_busy) return;
  lane.is_busy = true;
  ready_.push_back(write);
  work_arrived_.notify_one();
}

void Workers::admit_waiting() {
  while (!waiting_.empty() && !is_exclusive(waiting_.front())) {
    StoreAction action = std::move(waiting_.front());
    waiting_.pop_front();
    enter_lane(std::move(action));
  }
}

bool Workers::is_exclusive_ready() const {
  return !waiting_.empty() && jobs_in_lanes_ == 0 && !is_exclusive_running_;
}

bool Workers::has_work() const {
  return is_exclusive_ready() || !ready_.empty() || !look_ups_.empty();
}

void Workers::work() {
  Lock lock(mutex_);
  while (true) {
    work_arrived_.wait(lock, [this] { return is_stopping_ || has_work(); });
    if (is_stopping_) return;
    if (is_exclusive_ready()) {
      run_exclusive(lock);
    } else if (!ready_.empty()) {
      run_lane_job(lock);
    } else {
      run_look_up(lock);
    }
  }
}

void Workers::run_exclusive(Lock& lock) {
  StoreAction& action = waiting_.front();  // stays in front, so that others wait behind it
  const bool is_open = std::holds_alternative<seam::OpenStore>(action);
  if (is_open) {
    has_failed_ = false;
    lanes_.clear();  // idle ones, of a store that failed
  }
  const bool is_skipped = has_failed_;
  is_exclusive_running_ = true;
  lock.unlock();
  JobResult result = is_skipped ? JobResult{} : run_on(*options_.store, action);
  lock.lock();
  is_exclusive_running_ = false;
  waiting_.pop_front();
  if (result.error) fail(std::move(*result.error));
  if (result.answer) give(std::move(*result.answer));
  admit_waiting();
}

void Workers::run_lane_job(Lock& lock) {
  const seam::WriteId write = ready_.front();
  ready_.pop_front();
  Lane& lane = lanes_.at(write);  // stays in its place while it is busy
  StoreAction action = std::move(lane.jobs.front());
  lane.jobs.pop_front();
  const bool is_end =
      std::holds_alternative<seam::CompletePiece>(action) || std::holds_alternative<seam::AbandonPiece>(action);
  const bool is_skipped = has_failed_ || (lane.is_abandoned && !std::holds_alternative<seam::AbandonPiece>(action)) ||
                          (!lane.has_begun && !std::holds_alternative<seam::BeginPiece>(action));
  lane.has_begun = lane.has_begun || !is_skipped;

  lock.unlock();
  JobResult result = is_skipped ? skip_job(action) : run_on(*options_.store, action);
  lock.lock();

  if (result.error) fail(std::move(*result.error));
  if (result.answer) give(std::move(*result.answer));
  --jobs_in_lanes_;
  if (is_end) lane.has_begun = false;
  if (!lane.jobs.empty()) {
    ready_.push_back(write);
  } else if (is_end) {
    lanes_.erase(write);
  } else {
    lane.is_busy = false;
  }
}

void Workers::run_look_up(Lock& lock) {
  const seam::LookUpPiece question = look_ups_.front();
  look_ups_.pop_front();
  lock.unlock();
  seam::ReadablePiecePtr piece = options_.library->look_up(question.hash);
  lock.lock();
  give(seam::PieceLookedUp{.lookup = question.lookup, .piece = std::move(piece)});
}

void Workers::give(seam::Event&& event) {
  const bool were_none = results_.empty();
  results_.push_back(std::move(event));
  if (were_none) options_.on_results();
}

void Workers::fail(seam::StoreError&& error) {
  if (std::exchange(has_failed_, true)) return;
  give(seam::StoreFailed{std::move(error)});
}

}  // namespace shoal::net
