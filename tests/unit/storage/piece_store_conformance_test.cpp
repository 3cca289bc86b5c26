#include "unit/storage/piece_store_conformance.hpp"

#include "storage/chunk_folder_store.hpp"
#include "storage/memory.hpp"
#include "storage/single_file_store.hpp"
#include "storage/torrent_store.hpp"

namespace shoal::storage::testing {
namespace {

class MemoryBench final : public StoreBench {
 public:
  PieceStore& store() override { return store_; }
  void restart() override { store_.crash(); }
  std::optional<base::Bytes> result(const metainfo::Manifest&) override { return store_.file(); }

 private:
  MemoryPieceStore store_;
};

class ChunkFolderBench final : public StoreBench {
 public:
  PieceStore& store() override { return *store_; }
  void restart() override {
    store_.reset();
    store_ = make();
  }
  std::optional<base::Bytes> result(const metainfo::Manifest& manifest) override {
    return read_file(folder_.path() / "chunks" / "charlie" / manifest.name);
  }

 private:
  [[nodiscard]] std::unique_ptr<ChunkFolderStore> make() const {
    return std::make_unique<ChunkFolderStore>(ChunkFolderStoreOptions{.directory = folder_.path(), .ini_text = {}});
  }

  TemporaryFolder folder_;
  std::unique_ptr<ChunkFolderStore> store_ = make();
};

class SingleFileBench final : public StoreBench {
 public:
  PieceStore& store() override { return *store_; }
  void restart() override {
    store_.reset();
    store_ = make();
  }
  std::optional<base::Bytes> result(const metainfo::Manifest&) override { return read_file(folder_.path() / "result"); }

 private:
  [[nodiscard]] std::unique_ptr<SingleFileStore> make() const {
    return std::make_unique<SingleFileStore>(folder_.path() / "result");
  }

  TemporaryFolder folder_;
  std::unique_ptr<SingleFileStore> store_ = make();
};

class TorrentBench final : public StoreBench {
 public:
  PieceStore& store() override { return *store_; }
  void restart() override {
    store_.reset();
    store_ = make();
  }
  std::optional<base::Bytes> result(const metainfo::Manifest& manifest) override {
    return read_file(folder_.path() / manifest.name);
  }
  [[nodiscard]] bool needs_layout() const override { return true; }

 private:
  [[nodiscard]] std::unique_ptr<TorrentStore> make() const {
    return TorrentStore::download({.folder = folder_.path(), .name = {}, .info_hash = {}, .selected = {}});
  }

  TemporaryFolder folder_;
  std::unique_ptr<TorrentStore> store_ = make();
};

template <typename Bench>
std::unique_ptr<StoreBench> make_bench() {
  return std::make_unique<Bench>();
}

INSTANTIATE_TEST_SUITE_P(Memory, PieceStoreConformance, ::testing::Values(&make_bench<MemoryBench>));
INSTANTIATE_TEST_SUITE_P(ChunkFolder, PieceStoreConformance, ::testing::Values(&make_bench<ChunkFolderBench>));
INSTANTIATE_TEST_SUITE_P(SingleFile, PieceStoreConformance, ::testing::Values(&make_bench<SingleFileBench>));
INSTANTIATE_TEST_SUITE_P(Torrent, PieceStoreConformance, ::testing::Values(&make_bench<TorrentBench>));
INSTANTIATE_TEST_SUITE_P(Memory, AnyLayoutConformance, ::testing::Values(&make_bench<MemoryBench>));
INSTANTIATE_TEST_SUITE_P(ChunkFolder, AnyLayoutConformance, ::testing::Values(&make_bench<ChunkFolderBench>));
INSTANTIATE_TEST_SUITE_P(SingleFile, AnyLayoutConformance, ::testing::Values(&make_bench<SingleFileBench>));

}  // namespace
}  // namespace shoal::storage::testing
