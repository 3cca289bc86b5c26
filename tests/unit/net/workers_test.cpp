#include "net/workers.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <set>

#include "base/buffer_pool.hpp"

namespace shoal::net {
namespace {

using seam::WriteId;

// Records every call; fails on demand; notices when two calls of one piece overlap.
class RecordingStore final : public storage::PieceStore {
 public:
  std::mutex mutex;
  std::vector<std::string> calls;
  std::map<WriteId, std::string> contents;
  std::set<WriteId> busy;
  std::set<std::thread::id> threads;
  bool is_alone_busy = false;
  bool overlapped = false;
  std::optional<int> fails_at_put;  // counted from 1
  int puts = 0;
  bool waits_at_complete = false;  // until it may wait no longer
  std::condition_variable changed;

  storage::StoreResult<std::vector<seam::HeldPiece>> open(const metainfo::Manifest& manifest) override {
    alone("open " + manifest.name);
    return std::vector<seam::HeldPiece>{{.piece = base::PieceIndex{7}, .size_bytes = 70}};
  }
  storage::StoreResult<void> begin(WriteId write, std::vector<base::PieceIndex>, std::uint64_t) override {
    const Call call(*this, write, "begin");
    return {};
  }
  storage::StoreResult<void> put(WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) override {
    const Call call(*this, write, "put");
    const std::lock_guard lock(mutex);
    EXPECT_EQ(offset_bytes, contents[write].size());
    contents[write].append(base::text_of(bytes));
    if (fails_at_put && ++puts >= *fails_at_put) {
      return std::unexpected(seam::StoreError{.kind = seam::StoreErrorKind::disk_full, .message = "full"});
    }
    return {};
  }
  storage::StoreResult<bool> complete(WriteId write) override {
    const Call call(*this, write, "complete");
    std::unique_lock lock(mutex);
    changed.notify_all();
    changed.wait(lock, [this] { return !waits_at_complete; });
    return write.value % 2 == 1;
  }
  void abandon(WriteId write) override { const Call call(*this, write, "abandon"); }
  storage::StoreResult<std::string> finish() override {
    alone("finish");
    return "path";
  }
  void stop_waiting() override {
    const std::lock_guard lock(mutex);
    waits_at_complete = false;
    changed.notify_all();
  }

 private:
  struct Call {
    Call(RecordingStore& store, WriteId write, const std::string& name) : store_(store), write_(write) {
      const std::lock_guard lock(store_.mutex);
      store_.overlapped = store_.overlapped || store_.is_alone_busy || !store_.busy.insert(write).second;
      store_.calls.push_back(name + " " + std::to_string(write.value));
      store_.threads.insert(std::this_thread::get_id());
    }
    ~Call() {
      const std::lock_guard lock(store_.mutex);
      store_.busy.erase(write_);
    }
    RecordingStore& store_;
    WriteId write_;
  };
  void alone(const std::string& name) {
    const std::lock_guard lock(mutex);
    overlapped = overlapped || !busy.empty();
    calls.push_back(name);
  }
};

class WorkersTest : public ::testing::Test {
 protected:
  WorkersTest() {
    workers_.emplace(WorkersOptions{.threads = 3, .store = &store_, .library = nullptr, .on_results = [this] {
                                      const std::lock_guard lock(mutex_);
                                      has_results_ = true;
                                      results_arrived_.notify_one();
                                    }});
  }

  // Until `count` more events came.
  std::vector<seam::Event> wait_for(std::size_t count) {
    std::vector<seam::Event> all;
    while (all.size() < count) {
      {
        std::unique_lock lock(mutex_);
        if (!results_arrived_.wait_for(lock, std::chrono::seconds(20), [this] { return has_results_; })) break;
        has_results_ = false;
      }
      for (seam::Event& event : workers_->take_results()) all.push_back(std::move(event));
    }
    EXPECT_EQ(all.size(), count);
    return all;
  }
  void begin(WriteId write) { workers_->submit(seam::BeginPiece{.write = write, .places = {}, .size_bytes = 0}); }
  void block(WriteId write, std::string_view text) {
    std::optional<base::Buffer> buffer = pool_.take();
    ASSERT_TRUE(buffer.has_value());
    std::ranges::copy(base::view_of(text), buffer->bytes().begin());
    std::uint64_t& offset = next_offset_[write];
    workers_->submit(
        seam::StoreBlock{.write = write, .buffer = std::move(*buffer), .count = text.size(), .offset_bytes = offset});
    offset += text.size();
  }
  void complete(WriteId write) { workers_->submit(seam::CompletePiece{write}); }

  base::BufferPool pool_{64, 1000};
  std::map<WriteId, std::uint64_t> next_offset_;
  RecordingStore store_;
  std::mutex mutex_;
  std::condition_variable results_arrived_;
  bool has_results_ = false;
  std::optional<Workers> workers_;
};

TEST_F(WorkersTest, KeepsTheOrderWithinAPieceAndRunsNoTwoOfItsJobsAtOnce) {
  for (std::uint64_t id = 1; id <= 20; ++id) begin(WriteId{id});
  for (int i = 0; i < 30; ++i) {
    for (std::uint64_t id = 1; id <= 20; ++id) block(WriteId{id}, std::to_string(i) + " ");
  }
  for (std::uint64_t id = 1; id <= 20; ++id) complete(WriteId{id});
  const std::vector<seam::Event> events = wait_for(20 * 31);
  std::string expected;
  for (int i = 0; i < 30; ++i) expected += std::to_string(i) + " ";
  for (std::uint64_t id = 1; id <= 20; ++id) EXPECT_EQ(store_.contents[WriteId{id}], expected);
  EXPECT_FALSE(store_.overlapped);

  std::map<WriteId, int> stored;
  for (const seam::Event& event : events) {
    if (const auto* block = std::get_if<seam::BlockStored>(&event)) ++stored[block->write];
    if (const auto* verified = std::get_if<seam::PieceVerified>(&event)) {
      EXPECT_EQ(verified->write.value % 2, 1u);
      EXPECT_EQ(stored[verified->write], 30);
    }
    if (const auto* mismatched = std::get_if<seam::PieceMismatched>(&event)) {
      EXPECT_EQ(mismatched->write.value % 2, 0u);
      EXPECT_EQ(stored[mismatched->write], 30);
    }
  }
}

TEST_F(WorkersTest, OpensAndFinishesTheStoreAlone) {
  workers_->submit(seam::OpenStore{metainfo::Manifest{.name = "file", .pieces = {}}});
  for (std::uint64_t id = 1; id <= 8; ++id) {
    begin(WriteId{id});
    block(WriteId{id}, "x");
    complete(WriteId{id});
  }
  workers_->submit(seam::FinishStore{});
  const std::vector<seam::Event> events = wait_for(1 + 16 + 1);
  ASSERT_TRUE(std::holds_alternative<seam::StoreOpened>(events.front()));
  EXPECT_EQ(std::get<seam::StoreOpened>(events.front()).held.size(), 1u);
  ASSERT_TRUE(std::holds_alternative<seam::StoreFinished>(events.back()));
  EXPECT_EQ(std::get<seam::StoreFinished>(events.back()).path, "path");
  EXPECT_EQ(store_.calls.front(), "open file");
  EXPECT_EQ(store_.calls.back(), "finish");
  EXPECT_FALSE(store_.overlapped);
}

TEST_F(WorkersTest, ReportsAFailureOnceAndBringsTheBuffersHome) {
  store_.fails_at_put = 2;
  begin(WriteId{1});
  for (int i = 0; i < 5; ++i) block(WriteId{1}, "x");
  complete(WriteId{1});
  std::vector<seam::Event> events = wait_for(6);
  int failures = 0;
  int blocks = 0;
  for (const seam::Event& event : events) {
    if (std::holds_alternative<seam::StoreFailed>(event)) ++failures;
    if (std::holds_alternative<seam::BlockStored>(event)) ++blocks;
  }
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(blocks, 5);
  EXPECT_TRUE(std::holds_alternative<seam::StoreFailed>(events[1]));  // before the block that could not be stored
  EXPECT_EQ(store_.puts, 2);
  events.clear();
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(WorkersTest, GoesOnWhenAFailedStoreIsOpenedAgain) {
  store_.fails_at_put = 1;
  begin(WriteId{1});
  block(WriteId{1}, "x");
  (void)wait_for(2);
  store_.fails_at_put.reset();
  workers_->submit(seam::OpenStore{metainfo::Manifest{.name = "again", .pieces = {}}});
  begin(WriteId{3});
  block(WriteId{3}, "y");
  complete(WriteId{3});
  const std::vector<seam::Event> events = wait_for(3);
  EXPECT_TRUE(std::holds_alternative<seam::PieceVerified>(events.back()));
}

TEST_F(WorkersTest, BringsTheBuffersOfAnAbandonedPieceHome) {
  begin(WriteId{1});
  for (int i = 0; i < 50; ++i) block(WriteId{1}, "x");
  workers_->submit(seam::AbandonPiece{WriteId{1}});
  std::vector<seam::Event> events = wait_for(50);
  for (const seam::Event& event : events) EXPECT_TRUE(std::holds_alternative<seam::BlockStored>(event));
  events.clear();
  EXPECT_EQ(pool_.in_use(), 0u);
  workers_->stop();
  EXPECT_TRUE(store_.calls.empty() || store_.calls.back() == "abandon 1");
}

TEST_F(WorkersTest, BringsEveryBufferHomeAndAbandonsWhatWasBegunWhenItStops) {
  begin(WriteId{1});
  block(WriteId{1}, "x");
  (void)wait_for(1);
  for (int i = 0; i < 100; ++i) block(WriteId{1}, "x");
  workers_->stop();
  EXPECT_EQ(pool_.in_use(), 0u);
  EXPECT_EQ(store_.calls.back(), "abandon 1");
}

TEST_F(WorkersTest, StopsThoughAJobWaitsForSomebodyElse) {
  store_.waits_at_complete = true;
  begin(WriteId{1});
  block(WriteId{1}, "x");
  (void)wait_for(1);
  workers_->submit(seam::CompletePiece{.write = WriteId{1}});
  {
    std::unique_lock lock(store_.mutex);
    EXPECT_TRUE(store_.changed.wait_for(lock, std::chrono::seconds(20),
                                        [this] { return store_.calls.back() == "complete 1"; }));
  }
  workers_->stop();
}

}  // namespace
}  // namespace shoal::net
