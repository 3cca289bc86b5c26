// The runner's pool as a machine meets it: a download into a store, and pieces looked up in a library.
#include <gtest/gtest.h>

#include "base/buffer_pool.hpp"
#include "net/runner.hpp"
#include "storage/memory.hpp"
#include "unit/net/fake_machine.hpp"

namespace shoal::net {
namespace {

constexpr std::size_t kBlockBytes = 1000;
constexpr seam::WriteId kWrite{1};

// Block `number` of the piece.
void store_block(FakeMachine& machine, base::BufferPool& pool, std::size_t number, std::string_view text) {
  std::optional<base::Buffer> buffer = pool.take();
  ASSERT_TRUE(buffer.has_value());
  std::ranges::copy(base::view_of(text), buffer->bytes().begin());
  machine.want(seam::StoreBlock{
      .write = kWrite, .buffer = std::move(*buffer), .count = text.size(), .offset_bytes = number * kBlockBytes});
}

TEST(RunnerStorage, StoresADownload) {
  const std::string content = noise(10 * kBlockBytes);
  base::BufferPool pool(kBlockBytes, 10);
  storage::MemoryPieceStore store;
  Runner runner({.store = &store});
  FakeMachine machine;
  int blocks_stored = 0;
  machine.on_start = [&](FakeMachine& self) {
    self.want(seam::OpenStore{{.name = "file", .pieces = {base::sha1(base::view_of(content))}}});
  };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (std::holds_alternative<seam::StoreOpened>(event)) {
      self.want(seam::BeginPiece{.write = kWrite, .places = {base::PieceIndex{0}}, .size_bytes = content.size()});
      for (std::size_t i = 0; i < 10; ++i) {
        store_block(self, pool, i, std::string_view(content).substr(i * kBlockBytes, kBlockBytes));
      }
      self.want(seam::CompletePiece{kWrite});
    }
    if (std::holds_alternative<seam::BlockStored>(event)) ++blocks_stored;
    if (std::holds_alternative<seam::PieceVerified>(event)) self.want(seam::FinishStore{});
    if (std::holds_alternative<seam::PieceMismatched>(event)) self.finish("mismatched");
    if (std::holds_alternative<seam::StoreFailed>(event)) self.finish("failed");
    if (std::holds_alternative<seam::StoreFinished>(event)) self.finish("stored");
  };
  EXPECT_EQ(runner.run(machine).message, "stored");
  EXPECT_EQ(blocks_stored, 10);
  EXPECT_EQ(store.file(), bytes_of(content));
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(RunnerStorage, BringsEveryBufferHomeWhenTheRunEndsInTheMiddle) {
  base::BufferPool pool(kBlockBytes, 10);
  storage::MemoryPieceStore store;
  {
    Runner runner({.pool_threads = 1, .store = &store});
    FakeMachine machine;
    machine.on_start = [](FakeMachine& self) { self.want(seam::OpenStore{{.name = "file", .pieces = {{}}}}); };
    machine.on_any = [&](FakeMachine& self, seam::Event& event) {
      if (!std::holds_alternative<seam::StoreOpened>(event)) return;
      self.want(seam::BeginPiece{.write = kWrite, .places = {base::PieceIndex{0}}, .size_bytes = 10 * kBlockBytes});
      for (std::size_t i = 0; i < 8; ++i) store_block(self, pool, i, noise(kBlockBytes));
      self.finish();
      store_block(self, pool, 8, noise(kBlockBytes));  // comes too late to be carried out
    };
    (void)runner.run(machine);
    EXPECT_EQ(pool.in_use(), 0u);
  }
  EXPECT_EQ(store.writes_under_way(), 0u);
}

TEST(RunnerStorage, AnswersLookUpsFromTheLibrary) {
  storage::MemoryPieceLibrary library;
  const base::Sha1Hash held = library.add(bytes_of("content"));
  const base::Sha1Hash damaged = base::sha1(base::view_of("original"));
  library.add_as(damaged, bytes_of("damaged"));
  Runner runner({.library = &library});
  FakeMachine machine;
  std::map<std::uint64_t, std::optional<std::uint64_t>> sizes;
  machine.on_start = [&](FakeMachine& self) {
    self.want(seam::LookUpPiece{.lookup = seam::LookupId{1}, .hash = held});
    self.want(seam::LookUpPiece{.lookup = seam::LookupId{2}, .hash = damaged});
    self.want(seam::LookUpPiece{.lookup = seam::LookupId{3}, .hash = base::sha1(base::view_of("never heard of"))});
  };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    const auto& looked_up = std::get<seam::PieceLookedUp>(event);
    sizes[looked_up.lookup.value] =
        looked_up.piece ? std::optional(looked_up.piece->size_bytes()) : std::optional<std::uint64_t>();
    // Verified by now, so that the second answer needs no pool.
    if (looked_up.lookup.value == 1) self.want(seam::LookUpPiece{.lookup = seam::LookupId{4}, .hash = held});
    if (sizes.size() == 4) self.finish();
  };
  (void)runner.run(machine);
  EXPECT_EQ(sizes[1], 7u);
  EXPECT_EQ(sizes[2], std::nullopt);
  EXPECT_EQ(sizes[3], std::nullopt);
  EXPECT_EQ(sizes[4], 7u);
}

}  // namespace
}  // namespace shoal::net
