// Stores on a disk that is full or takes no big files, and programs that are killed at any moment.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <memory>

#include "storage/chunk_folder_store.hpp"
#include "storage/single_file_store.hpp"
#include "storage/torrent_store.hpp"
#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {
namespace {

struct Layout {
  const char* name;
  std::unique_ptr<PieceStore> (*make)(const std::filesystem::path& folder);
  const char* result;  // relative to the folder
};

void PrintTo(const Layout& layout, std::ostream* out) {
  *out << layout.name;
}

const Layout kChunkFolder = {
    "chunk_folder",
    [](const std::filesystem::path& folder) -> std::unique_ptr<PieceStore> {
      return std::make_unique<ChunkFolderStore>(ChunkFolderStoreOptions{.directory = folder, .ini_text = {}});
    },
    "chunks/charlie/film.bin"};
const Layout kSingleFile = {"single_file",
                            [](const std::filesystem::path& folder) -> std::unique_ptr<PieceStore> {
                              return std::make_unique<SingleFileStore>(folder / "film.bin");
                            },
                            "film.bin"};

const Layout kTorrent = {
    "torrent",
    [](const std::filesystem::path& folder) -> std::unique_ptr<PieceStore> {
      return TorrentStore::download({.folder = folder, .name = {}, .info_hash = {}, .selected = {}});
    },
    "film.bin"};

class StoreFault : public ::testing::TestWithParam<Layout> {
 protected:
  [[nodiscard]] std::unique_ptr<PieceStore> make_store() const { return GetParam().make(folder_.path()); }
  [[nodiscard]] std::filesystem::path result() const { return folder_.path() / GetParam().result; }

  TemporaryFolder folder_;
};

// Files cannot grow beyond a limit, in this process, for a while.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_limit_);
    rlimit limit = old_limit_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_limit_{};
  void (*old_handler_)(int);
};

// The first error of a download of all pieces, if any.
std::optional<seam::StoreError> download(PieceStore& store, const CutFile& file) {
  if (const auto opened = store.open(file.with_layout()); !opened) return opened.error();
  for (std::uint32_t i = 0; i < file.manifest.piece_count(); ++i) {
    const seam::WriteId write(i);
    if (const auto begun = store.begin(write, file.places_of(i), file.pieces[i].size()); !begun) return begun.error();
    if (const auto stored = store.put(write, 0, file.pieces[i]); !stored) return stored.error();
    if (const auto completed = store.complete(write); !completed) return completed.error();
  }
  const auto finished = store.finish();
  return finished ? std::nullopt : std::optional(finished.error());
}

TEST_P(StoreFault, SaysThatAFileIsTooBigForTheDiskAndGoesOnWhereItIsNot) {
  const CutFile file = CutFile::regular(8, 100'000, 50'000);
  {
    const FileSizeLimit limit(450'000);
    const auto store = make_store();
    const auto error = download(*store, file);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, seam::StoreErrorKind::unwritable) << error->message;
    EXPECT_FALSE(std::filesystem::exists(result()));
  }
  const auto store = make_store();
  const auto held = store->open(file.with_layout());
  ASSERT_TRUE(held);
  EXPECT_GE(held->size(), 4u);
  const auto error = download(*store, file);
  EXPECT_FALSE(error) << error->message;
  EXPECT_TRUE(read_file(result()) == file.whole());
}

TEST(ChunkFolderStoreOnASmallDisk, KeepsChunksThatFitThoughTheWholeFileDoesNotAndMakesItLater) {
  const TemporaryFolder folder;
  const CutFile file = CutFile::regular(4, 100'000, 50'000);
  const auto store = kChunkFolder.make(folder.path());
  ASSERT_TRUE(store->open(file.with_layout()));
  {
    const FileSizeLimit limit(150'000);
    for (std::uint32_t i = 0; i < 4; ++i) put(*store, file, i);
    const auto finished = store->finish();
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().kind, seam::StoreErrorKind::unwritable);
  }
  ASSERT_TRUE(store->finish());
  EXPECT_TRUE(read_file(folder.path() / kChunkFolder.result) == file.whole());
}

TEST(ChunkFolderStoreOnASmallDisk, TrustsNoCopyThatDidNotFit) {
  const TemporaryFolder folder;
  const CutFile file = CutFile::regular(4, 100'000, 50'000);
  const auto store = kChunkFolder.make(folder.path());
  ASSERT_TRUE(store->open(file.with_layout()));
  for (std::uint32_t i = 0; i < 4; ++i) {
    const FileSizeLimit limit(i == 2 ? 150'000 : RLIM_INFINITY);
    put(*store, file, i);
  }
  ASSERT_TRUE(store->finish());
  EXPECT_TRUE(read_file(folder.path() / kChunkFolder.result) == file.whole());
}

TEST_P(StoreFault, DoesNotCountAPieceOfWhichAWriteFailed) {
  const CutFile file = CutFile::regular(2, 100'000, 50'000);
  const auto store = make_store();
  ASSERT_TRUE(store->open(file.with_layout()));
  ASSERT_TRUE(store->begin(seam::WriteId(1), file.places_of(0), 100'000));
  ASSERT_TRUE(store->put(seam::WriteId(1), 0, base::ByteView(file.pieces[0]).first(30'000)));
  {
    const FileSizeLimit limit(40'000);
    EXPECT_FALSE(store->put(seam::WriteId(1), 30'000, base::ByteView(file.pieces[0]).subspan(30'000)));
  }
  EXPECT_EQ(store->complete(seam::WriteId(1)), false);
}

// Runs `work` in a process of its own and gives its exit code.
int run_apart(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_P(StoreFault, SaysThatAFileSystemIsFull) {
  constexpr int kNotAllowed = 99;
  const CutFile file = CutFile::regular(8, 100'000, 50'000);
  const int code = run_apart([&] {
    const char* target = folder_.path().c_str();
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", target, "tmpfs", 0, "size=400k") != 0) {
      return kNotAllowed;
    }
    const auto store = make_store();
    const auto error = download(*store, file);
    return error && error->kind == seam::StoreErrorKind::disk_full ? 0 : 1;
  });
  if (code == kNotAllowed) GTEST_SKIP() << "may not mount a small file system";
  EXPECT_EQ(code, 0);
}

// A download, step by step, with a second source that lies, an abandoned piece and a repeat. Ends the process without
// any cleaning up after `steps` of them.
void run_and_die(PieceStore& store, const CutFile& file, int steps) {
  const auto step = [&steps] {
    if (steps-- == 0) ::_exit(0);
  };
  const base::Bytes lie = make_content(1000, 999);
  (void)store.open(file.with_layout());
  step();
  for (std::uint32_t i = file.manifest.piece_count(); i-- > 0;) {
    const seam::WriteId honest(2 * i);
    const seam::WriteId other(2 * i + 1);
    (void)store.begin(other, file.places_of(i), lie.size());
    step();
    (void)store.begin(honest, file.places_of(i), file.pieces[i].size());
    step();
    (void)store.put(other, 0, lie);
    step();
    (void)store.put(honest, 0, base::ByteView(file.pieces[i]).first(200));
    step();
    (void)store.put(honest, 200, base::ByteView(file.pieces[i]).subspan(200));
    step();
    (void)store.complete(honest);
    step();
    if (i % 2 == 0) {
      (void)store.complete(other);
    } else {
      store.abandon(other);
    }
    step();
  }
  (void)store.finish();
  step();
}

TEST_P(StoreFault, CountsNothingWrongAfterBeingKilledAnywhere) {
  const base::Bytes repeated = make_content(1000, 5);
  const CutFile file({repeated, make_content(1000, 1), repeated, make_content(1000, 2), make_content(700, 3)});
  const int steps_in_all = 2 + 7 * 5;
  for (int steps = 0; steps < steps_in_all; ++steps) {
    SCOPED_TRACE(::testing::Message() << "killed after step " << steps);
    std::filesystem::remove_all(folder_.path());
    std::filesystem::create_directory(folder_.path());
    ASSERT_EQ(run_apart([&] {
                run_and_die(*make_store(), file, steps);
                return 1;
              }),
              0);
    const bool is_finished = steps == steps_in_all - 1;
    EXPECT_EQ(std::filesystem::exists(result()), is_finished);
    const auto store = make_store();
    const auto held = store->open(file.with_layout());
    ASSERT_TRUE(held) << held.error().message;
    for (const seam::HeldPiece& piece : *held) EXPECT_EQ(piece.size_bytes, file.pieces[piece.piece.value].size());
    // Every piece that complete() said was in place is there: the last one after step 6, the one before after step 13.
    std::vector<std::uint32_t> expected;
    for (std::uint32_t i = 0; i < 5; ++i) {
      const std::uint32_t first_put = i == 0 ? 2 : i;  // the repeat
      if (steps >= 6 + 7 * static_cast<int>(4 - first_put)) expected.push_back(i);
    }
    EXPECT_EQ(*held, file.held(expected));
    for (std::uint32_t i = 0; i < 5; ++i) {
      if (std::ranges::find(expected, i) == expected.end()) put(*store, file, i);
    }
    ASSERT_TRUE(store->finish());
    EXPECT_TRUE(read_file(result()) == file.whole());
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, StoreFault, ::testing::Values(kChunkFolder, kSingleFile, kTorrent),
                         [](const auto& layout) { return std::string(layout.param.name); });

}  // namespace
}  // namespace shoal::storage::testing
