// Downloads that go on where others ended: in peace, killed, or cut off; with what was changed meanwhile.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <new>
#include <numeric>
#include <thread>

#include "storage/files.hpp"
#include "unit/storage/torrent_fixture.hpp"

namespace shoal::storage::testing {
namespace {

using seam::StoreErrorKind;

// Runs `work` in a process of its own, which ends without any cleaning up.
void run_and_die(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

class TorrentResumeTest : public TorrentStoreFixture {
 protected:
  TorrentResumeTest() { share_.file({"big"}, 400'000).file({"small"}, 30'000).file({"sub", "other"}, 170'000).cut(); }
  [[nodiscard]] std::filesystem::path part(std::string_view file) const { return in(".share.shoal-part") / file; }
  void kill_after(const std::vector<std::uint32_t>& pieces) const {
    run_and_die([&] {
      const auto store = make_store();
      open_indices(*store, share_.manifest);
      put_pieces(*store, share_, pieces);
      ::_exit(::testing::Test::HasFailure() ? 1 : 0);  // before the store is destroyed
    });
  }
  void flip(const std::filesystem::path& file, std::uint64_t offset, std::chrono::milliseconds later) const {
    base::Bytes bytes = read_file(file).value();
    bytes.at(offset) ^= std::byte{1};
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(offset));
    out.put(static_cast<char>(bytes[offset]));
    out.close();
    const auto touched = std::filesystem::last_write_time(in(".share.shoal-journal"));
    std::filesystem::last_write_time(file, touched + later);
  }
  [[nodiscard]] static std::int64_t modified_ns(const std::filesystem::path& file) {
    const auto version = version_of(AT_FDCWD, file.c_str());
    return version ? version->modified_ns : -1;
  }
  void finish_with(const std::vector<std::uint32_t>& held) const {
    const auto store = make_store();
    ASSERT_EQ(open_indices(*store, share_.manifest), held);
    std::vector<std::uint32_t> missing;
    std::ranges::set_difference(share_.all_pieces(), held, std::back_inserter(missing));
    put_pieces(*store, share_, missing);
    const auto path = store->finish();
    ASSERT_TRUE(path) << path.error().message;
    expect_files(share_, {0, 1, 2});
  }

  TorrentShare share_{10'000};  // pieces 0-39 big, 40-42 small, 43-59 sub/other
};

TEST_F(TorrentResumeTest, GoesOnAfterACleanEndWithoutReadingTheFiles) {
  leave_behind(share_, {0, 5, 39, 41, 50});
  const std::uint64_t before = bytes_read();
  EXPECT_EQ(open_indices(*make_store(), share_.manifest), (std::vector<std::uint32_t>{0, 5, 39, 41, 50}));
  EXPECT_LT(bytes_read() - before, 9'000u);
  finish_with({0, 5, 39, 41, 50});
}

TEST_F(TorrentResumeTest, GivesItsTimeToAFileThatAnEarlierRunBrought) {
  share_.manifest.layout->files[0].modified_s = 1'000'000'000;
  std::vector<std::uint32_t> big(40);
  std::iota(big.begin(), big.end(), 0u);
  leave_behind(share_, big);
  finish_with(big);
  EXPECT_EQ(modified_ns(in("share/big")), 1'000'000'000'000'000'000);
}

TEST_F(TorrentResumeTest, GivesItsTimeToAFileThatWasSyncedBeforeTheLast) {
  TorrentShare share(1u << 20);
  share.file_of({"big"}, base::Bytes(TorrentStore::kSyncBytes)).file({"small"}, 1000).cut();
  share.manifest.layout->files[0].modified_s = 1'000'000'000;
  const auto store = make_store();
  open_indices(*store, share.manifest);
  put_pieces(*store, share, {0, share.manifest.piece_count() - 1});  // all but the last are zeros
  const auto path = store->finish();
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_EQ(modified_ns(in("share/big")), 1'000'000'000'000'000'000);
}

TEST_F(TorrentResumeTest, DoesNotFinishWithAFileThatOthersChangedThoughItGetsATime) {
  share_.manifest.layout->files[0].modified_s = 1'000'000'000;
  std::vector<std::uint32_t> big(40);
  std::iota(big.begin(), big.end(), 0u);
  leave_behind(share_, big);
  const auto store = make_store();
  ASSERT_EQ(open_indices(*store, share_.manifest), big);
  for (std::uint32_t piece = 40; piece < share_.manifest.piece_count(); ++piece) put_pieces(*store, share_, {piece});
  flip(part("big"), 500, std::chrono::seconds(1));
  const auto path = store->finish();
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().message.find("big was changed"), std::string::npos) << path.error().message;
}

TEST_F(TorrentResumeTest, GoesOnAfterBeingKilledWithoutReadingTheFiles) {
  kill_after({0, 5, 39, 41, 50});
  const std::uint64_t before = bytes_read();
  EXPECT_EQ(open_indices(*make_store(), share_.manifest), (std::vector<std::uint32_t>{0, 5, 39, 41, 50}));
  EXPECT_LT(bytes_read() - before, 9'000u);
  finish_with({0, 5, 39, 41, 50});
}

TEST_F(TorrentResumeTest, HashesAfterAPowerCutOnlyWhatWasNotSynced) {
  leave_behind(share_, {0, 1, 2, 3, 50, 51});
  kill_after({4, 5, 42});
  // Of the unsynced pieces one did not reach the disk.
  flip(part("big"), 45'000, std::chrono::seconds(1));
  forget_boot();
  const std::uint64_t before = bytes_read();
  const std::vector<std::uint32_t> expected = {0, 1, 2, 3, 5, 42, 50, 51};
  EXPECT_EQ(open_indices(*make_store(), share_.manifest), expected);
  EXPECT_LT(bytes_read() - before, 3u * 10'000 + 9'000);
  finish_with(expected);
}

TEST_F(TorrentResumeTest, BelievesACleanEndAlsoAfterTheMachineWasStartedAnew) {
  leave_behind(share_, {0, 1, 50});
  forget_boot();
  const std::uint64_t before = bytes_read();
  EXPECT_EQ(open_indices(*make_store(), share_.manifest), (std::vector<std::uint32_t>{0, 1, 50}));
  EXPECT_LT(bytes_read() - before, 9'000u);
}

TEST_F(TorrentResumeTest, NoticesAFileThatWasChangedAndHashesOnlyThatOne) {
  leave_behind(share_, {0, 1, 2, 40, 50, 51});
  flip(part("sub/other"), 75'000, std::chrono::seconds(1));  // in piece 50
  const std::uint64_t before = bytes_read();
  EXPECT_EQ(open_indices(*make_store(), share_.manifest), (std::vector<std::uint32_t>{0, 1, 2, 40, 51}));
  EXPECT_LT(bytes_read() - before, 2u * 10'000 + 9'000);
  finish_with({0, 1, 2, 40, 51});
}

TEST_F(TorrentResumeTest, NoticesAFileThatWasChangedAfterAKill) {
  kill_after({0, 1, 50});
  flip(part("big"), 500, std::chrono::milliseconds(150));
  finish_with({1, 50});
}

TEST_F(TorrentResumeTest, BelievesAWriteThatWasTheLastThingBeforeAKill) {
  kill_after({0, 1, 50});
  const auto touched = std::filesystem::last_write_time(in(".share.shoal-journal"));
  std::filesystem::last_write_time(part("big"), touched + std::chrono::milliseconds(50));
  const std::uint64_t before = bytes_read();
  EXPECT_EQ(open_indices(*make_store(), share_.manifest), (std::vector<std::uint32_t>{0, 1, 50}));
  EXPECT_LT(bytes_read() - before, 9'000u);
}

TEST_F(TorrentResumeTest, MovesTheJournalsTimeOnBeforeItWrites) {
  run_and_die([&] {
    const auto store = make_store();
    open_indices(*store, share_.manifest);
    ASSERT_TRUE(store->begin(seam::WriteId(1), share_.places_of(1), 10'000));
    ASSERT_TRUE(store->put(seam::WriteId(1), 0, share_.piece(1).first(100)));
    const std::filesystem::path journal = in(".share.shoal-journal");
    const auto long_ago = std::filesystem::last_write_time(journal) - std::chrono::hours(1);
    std::filesystem::last_write_time(journal, long_ago);
    // A write that fails, so that nothing comes after it.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{.rlim_cur = 5'000, .rlim_max = RLIM_INFINITY};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    EXPECT_FALSE(store->put(seam::WriteId(1), 100, share_.piece(1).subspan(100)));
    EXPECT_GT(std::filesystem::last_write_time(journal), long_ago + std::chrono::minutes(59));
  });
}

TEST_F(TorrentResumeTest, NoticesAFileThatWasChangedAfterAPowerCut) {
  leave_behind(share_, {0, 50});
  kill_after({1});
  flip(part("big"), 500, std::chrono::seconds(100));
  forget_boot();
  finish_with({1, 50});
}

TEST_F(TorrentResumeTest, NoticesFilesThatWereCutOrRemoved) {
  for (const bool is_killed : {false, true}) {
    const std::vector<std::uint32_t> pieces = {0, 1, 39, 40, 50, 59};
    if (is_killed) {
      kill_after(pieces);
    } else {
      leave_behind(share_, pieces);
    }
    std::filesystem::resize_file(part("big"), 12'000);
    std::filesystem::last_write_time(part("big"),
                                     std::filesystem::last_write_time(part("big")) + std::chrono::seconds(9));
    std::filesystem::remove(part("sub/other"));
    finish_with({0, 40});
    std::filesystem::remove_all(in("share"));
  }
}

TEST_F(TorrentResumeTest, HashesAllOfItWhenTheJournalIsLost) {
  leave_behind(share_, {0, 1, 41, 50});
  std::filesystem::remove(in(".share.shoal-journal"));
  EXPECT_EQ(open_indices(*make_store(), share_.manifest), (std::vector<std::uint32_t>{0, 1, 41, 50}));
  write_file(in(".share.shoal-journal"), "nonsense\n");
  finish_with({0, 1, 41, 50});
}

TEST_F(TorrentResumeTest, TakesALastLineWithoutItsEndForNoLine) {
  kill_after({0, 1, 12});
  std::string text = journal();
  ASSERT_TRUE(text.ends_with("piece 12\n"));
  text.pop_back();
  write_file(in(".share.shoal-journal"), text);
  finish_with({0, 1});
}

TEST_F(TorrentResumeTest, LeavesTheUnfinishedDownloadOfAnotherShareAlone) {
  leave_behind(share_, {0, 1});
  auto other = TorrentStore::download(
      {.folder = folder_.path(), .name = {}, .info_hash = base::sha1(base::view_of("other share")), .selected = {}});
  expect_error(other->open(share_.manifest), StoreErrorKind::unwritable, "an unfinished download of another share");
  other.reset();
  finish_with({0, 1});
}

TEST_F(TorrentResumeTest, ForgetsAJournalWhoseFilesAreGone) {
  leave_behind(share_, {0, 1});
  std::filesystem::remove_all(in(".share.shoal-part"));
  finish_with({});
}

TEST_F(TorrentResumeTest, GoesOnInTheSameProcessAfterItIsOpenedAgain) {
  const auto store = make_store();
  open_indices(*store, share_.manifest);
  put_pieces(*store, share_, {0, 7, 44});
  ASSERT_TRUE(store->begin(seam::WriteId(1), share_.places_of(1), 10'000));
  EXPECT_EQ(open_indices(*store, share_.manifest), (std::vector<std::uint32_t>{0, 7, 44}));
  put_pieces(*store, share_, {1});
}

TEST_F(TorrentResumeTest, HashesNothingWhenItWasKilledAfterItSetTheTimesOfFiles) {
  share_.manifest.layout->files[0].modified_s = 1'000'000'000;
  kill_after(share_.all_pieces());
  std::filesystem::last_write_time(
      part("big"), std::chrono::file_clock::from_sys(std::chrono::sys_seconds(std::chrono::seconds(1'000'000'000))));
  const std::uint64_t before = bytes_read();
  EXPECT_EQ(open_indices(*make_store(), share_.manifest), share_.all_pieces());
  EXPECT_LT(bytes_read() - before, 9'000u);
  finish_with(share_.all_pieces());
}

// --- what happens under way ---

TEST_F(TorrentResumeTest, SaysThatAFileWasRemovedUnderWayAndFetchesItAgain) {
  {
    const auto store = make_store();
    open_indices(*store, share_.manifest);
    put_pieces(*store, share_, share_.all_pieces());
    std::filesystem::remove(part("small"));
    const auto path = store->finish();
    ASSERT_FALSE(path);
    EXPECT_NE(path.error().message.find("small was removed during the download"), std::string::npos);
    const auto held = open_indices(*store, share_.manifest);
    EXPECT_EQ(held.size(), 57u);
  }
  std::vector<std::uint32_t> held = share_.all_pieces();
  held.erase(held.begin() + 40, held.begin() + 43);
  finish_with(held);
}

TEST_F(TorrentResumeTest, SaysThatAFileWasCutOrChangedUnderWay) {
  for (const bool is_cut : {true, false}) {
    leave_behind(share_, share_.all_pieces());
    const auto store = make_store();
    EXPECT_EQ(open_indices(*store, share_.manifest), share_.all_pieces());
    if (is_cut) {
      std::filesystem::resize_file(part("big"), 399'999);
    } else {
      flip(part("big"), 77, std::chrono::seconds(0));
    }
    const auto path = store->finish();
    ASSERT_FALSE(path);
    EXPECT_NE(path.error().message.find("big was changed during the download"), std::string::npos);
    EXPECT_EQ(open_indices(*store, share_.manifest).size(), 59u);
    put_pieces(*store, share_, {is_cut ? 39u : 0u});
    ASSERT_TRUE(store->finish());
    expect_files(share_, {0, 1, 2});
    std::filesystem::remove_all(in("share"));
  }
}

TEST_F(TorrentResumeTest, KeepsASecondDownloadOut) {
  const auto first = make_store();
  open_indices(*first, share_.manifest);
  const auto second = make_store();
  expect_error(second->open(share_.manifest), StoreErrorKind::in_use, "in use by another command");
}

// --- killed at any moment ---

// What a child tells its parent about, also when it is killed.
struct Report {
  std::array<std::atomic<bool>, 64> is_verified{};
  [[nodiscard]] std::uint64_t count() const {
    return static_cast<std::uint64_t>(std::ranges::count_if(is_verified, [](const auto& one) { return one.load(); }));
  }
  static Report* make() {
    void* memory = ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return new (memory) Report();
  }
};

TEST_F(TorrentResumeTest, LosesNothingThatWasVerifiedWhenItIsKilledAtAnyMoment) {
  Report* const report = Report::make();
  base::Rng rng(3);
  int kills = 0;
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(::testing::Message() << "round " << round);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto store = make_store();
      const auto held = store->open(share_.manifest);
      std::vector<std::jthread> threads;
      for (std::uint32_t t = 0; t < 2; ++t) {
        threads.emplace_back([&, t] {
          for (std::uint32_t i = 0; i < share_.manifest.piece_count(); ++i) {
            const std::uint32_t piece = (i * 7 + 11) % 60;
            if (piece % 2 != t || report->is_verified[piece]) continue;
            if (try_put(*store, share_, piece) == true) report->is_verified[piece] = true;
            std::this_thread::yield();
          }
        });
      }
      threads.clear();
      ::_exit(0);
    }
    const auto enough = report->count() + rng.below(12);
    int status = 0;
    bool has_ended = false;
    while (report->count() < enough && !has_ended) {
      std::this_thread::yield();
      has_ended = ::waitpid(child, &status, WNOHANG) != 0;
    }
    if (!has_ended) {
      ++kills;
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
    }
    const std::uint64_t before = bytes_read();
    const auto store = make_store();
    const std::vector<std::uint32_t> held = open_indices(*store, share_.manifest);
    EXPECT_LT(bytes_read() - before, 20'000u);
    for (std::uint32_t i = 0; i < 60; ++i) {
      const bool is_held = std::ranges::find(held, i) != held.end();
      EXPECT_TRUE(is_held || !report->is_verified[i]) << i;
      const auto piece = store->look_up(share_.manifest.pieces[i]);
      ASSERT_EQ(piece != nullptr, is_held);
      EXPECT_TRUE(piece == nullptr || std::ranges::equal(read_all(*piece), share_.piece(i))) << i;
      report->is_verified[i] = is_held;
    }
    if (held.size() == 60) {
      ASSERT_TRUE(store->finish());
      expect_files(share_, {0, 1, 2});
      std::filesystem::remove_all(in("share"));
      for (auto& is_verified : report->is_verified) is_verified = false;
    }
  }
  EXPECT_GT(kills, 10);
  ::munmap(report, sizeof(Report));
}

}  // namespace
}  // namespace shoal::storage::testing
