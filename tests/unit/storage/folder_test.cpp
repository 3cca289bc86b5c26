#include "storage/folder.hpp"

#include <fcntl.h>

#include <latch>
#include <thread>

#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {
namespace {

class FolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto folder = Folder::open(temporary_.path(), Folder::Missing::is_an_error);
    ASSERT_TRUE(folder);
    folder_ = *folder;
  }

  TemporaryFolder temporary_;
  FolderPtr folder_;
};

TEST_F(FolderTest, RemovesATemporaryThatNeverGotItsName) {
  {
    auto file = TemporaryFile::create(folder_, "temporary");
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write(base::view_of("half")));
    EXPECT_EQ(names_in(temporary_.path()), std::vector<std::string>{"temporary"});
  }
  EXPECT_TRUE(names_in(temporary_.path()).empty());
}

TEST_F(FolderTest, DoesNotWriteThroughALinkThatBearsATemporaryName) {
  write_file(temporary_.path() / "outside", "precious");
  std::filesystem::create_symlink("outside", temporary_.path() / "temporary");
  auto file = TemporaryFile::create(folder_, "temporary");
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->write(base::view_of("new")));
  EXPECT_EQ(base::text_of(*read_file(temporary_.path() / "outside")), "precious");
}

TEST_F(FolderTest, GivesALockToOneOfManyAtATime) {
  for (int round = 0; round < 50; ++round) {
    constexpr int kThreads = 4;
    std::latch all_ready(kThreads);
    std::latch all_tried(kThreads);
    std::atomic<int> holders = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        all_ready.arrive_and_wait();
        const auto lock = LockFile::acquire(folder_, "lock", "it");
        if (lock) ++holders;
        all_tried.arrive_and_wait();
      });
    }
    threads.clear();
    EXPECT_EQ(holders, 1);
  }
  EXPECT_TRUE(names_in(temporary_.path()).empty());
}

TEST_F(FolderTest, NeverGivesALockToTwoWhileHoldersComeAndGo) {
  std::atomic<int> holders = 0;
  std::atomic<bool> was_shared = false;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int held = 0; held < 60;) {
        const auto lock = LockFile::acquire(folder_, "lock", "it");
        if (!lock) continue;
        if (++holders != 1) was_shared = true;
        std::this_thread::yield();
        --holders;
        ++held;
      }
    });
  }
  threads.clear();
  EXPECT_FALSE(was_shared);
}

TEST_F(FolderTest, LeavesAFileAloneThatTookTheLocksName) {
  {
    const auto lock = LockFile::acquire(folder_, "lock", "it");
    ASSERT_TRUE(lock);
    std::filesystem::remove(temporary_.path() / "lock");
    write_file(temporary_.path() / "lock", "the user's");
  }
  EXPECT_EQ(base::text_of(*read_file(temporary_.path() / "lock")), "the user's");
}

TEST_F(FolderTest, NamesSiblingsWithinTheLimitOfAFileSystem) {
  EXPECT_EQ(sibling_name("film", ".shoal-part"), ".film.shoal-part");
  const std::string one = sibling_name(std::string(255, 'x'), ".shoal-part");
  EXPECT_LT(one.size(), 255u);
  EXPECT_NE(one, sibling_name(std::string(254, 'x'), ".shoal-part"));
}

TEST_F(FolderTest, SortsErrnoIntoWhatAUserCanDo) {
  using seam::StoreErrorKind;
  for (const int full : {ENOSPC, EDQUOT}) EXPECT_EQ(store_error(full, "write", "x").kind, StoreErrorKind::disk_full);
  for (const int unwritable : {EFBIG, EACCES, EPERM, EROFS, ENOTDIR, EISDIR}) {
    EXPECT_EQ(store_error(unwritable, "write", "x").kind, StoreErrorKind::unwritable);
  }
  EXPECT_EQ(store_error(EIO, "write", "x").kind, StoreErrorKind::failed);
  EXPECT_EQ(store_error(ENOSPC, "write", "a/b").message, "cannot write a/b: No space left on device");
  EXPECT_EQ(store_error(EFBIG, "write", "a/b").message,
            "cannot write a/b: File too large for the file system, or for ulimit -f; choose another place");
}

TEST_F(FolderTest, CopiesARangeWithinAndAcrossFileSystems) {
  const base::Bytes content = make_content(700'000);
  write_file(temporary_.path() / "from", content);
  const auto from = folder_->open_plain("from", O_RDONLY);
  ASSERT_TRUE(from);
  const UniqueFd elsewhere(::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const auto here = folder_->create("to");
  ASSERT_TRUE(here);
  for (const int to : {here->get(), elsewhere.get()}) {
    if (to < 0) continue;
    ASSERT_TRUE(copy_range(from->fd.get(), {1000, 600'000}, to, 50));
    base::Bytes copied(600'000);
    ASSERT_EQ(read_at(to, copied, 50), copied.size());
    EXPECT_TRUE(std::ranges::equal(copied, base::ByteView(content).subspan(1000, 600'000)));
  }
  const auto beyond = copy_range(from->fd.get(), {699'000, 5000}, here->get(), 0);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error(), ENODATA);
}

TEST_F(FolderTest, RunsEachTaskOfAParallelRunOnce) {
  for (const std::size_t count : {0u, 1u, 2u, 1000u}) {
    std::vector<std::atomic<int>> runs(count);
    run_in_parallel(count, [&](std::size_t i) { ++runs[i]; });
    EXPECT_TRUE(std::ranges::all_of(runs, [](const auto& times) { return times == 1; }));
  }
}

}  // namespace
}  // namespace shoal::storage::testing
