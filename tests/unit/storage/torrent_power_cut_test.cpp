// Power cuts: whatever was not synced may be lost, at any moment, and no piece is claimed that is not there.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdarg>
#include <cstring>
#include <set>
#include <thread>

#include "unit/storage/disk_recorder.hpp"
#include "unit/storage/torrent_fixture.hpp"

namespace shoal::storage::testing {
namespace {

// As if the machine had been started anew, while it lives. Nothing is synced then: no second cut follows.
class AnotherBoot {
 public:
  AnotherBoot() { is_now_ = true; }
  AnotherBoot(const AnotherBoot&) = delete;
  AnotherBoot& operator=(const AnotherBoot&) = delete;
  ~AnotherBoot() { is_now_ = false; }

  static bool is_now() { return is_now_; }
  // The file to be opened instead of this one.
  static const char* replace(const char* path) {
    const bool is_boot_id = is_now_ && std::strcmp(path, "/proc/sys/kernel/random/boot_id") == 0;
    return is_boot_id ? "/proc/sys/kernel/random/uuid" : path;
  }

 private:
  static inline std::atomic<bool> is_now_ = false;
};

template <typename Function>
Function* real_call(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

template <typename Call>
auto noted(DiskCall kind, const char* name, int fd, const Call& call) {
  DiskRecorder* const recorder = DiskRecorder::active();
  if (recorder != nullptr) return recorder->note(kind, name, fd, call);
  const bool is_needless = kind != DiskCall::change && AnotherBoot::is_now();
  return is_needless ? decltype(call()){0} : call();
}

}  // namespace
}  // namespace shoal::storage::testing

// The whole test program calls these instead of the C library's, which they call. What other calls change is seen at
// the next of these; a sync by another call would go unseen, and so fail the tests.
extern "C" {

using shoal::storage::testing::DiskCall;
using shoal::storage::testing::noted;
using shoal::storage::testing::real_call;

int openat(int folder, const char* path, int flags, ...) {
  static const auto real = real_call<int(int, const char*, int, ...)>("openat");
  std::va_list rest;
  va_start(rest, flags);
  const bool is_new = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  const mode_t mode = is_new ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  const char* const opened = shoal::storage::testing::AnotherBoot::replace(path);
  const auto call = [&] { return real(folder, opened, flags, mode); };
  return (flags & O_CREAT) != 0 ? noted(DiskCall::change, "openat", folder, call) : call();
}

ssize_t write(int fd, const void* bytes, size_t size) {
  static const auto real = real_call<ssize_t(int, const void*, size_t)>("write");
  return noted(DiskCall::change, "write", fd, [&] { return real(fd, bytes, size); });
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  static const auto real = real_call<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return noted(DiskCall::change, "pwrite", fd, [&] { return real(fd, bytes, size, offset); });
}

int ftruncate(int fd, off_t size) noexcept {
  static const auto real = real_call<int(int, off_t)>("ftruncate");
  return noted(DiskCall::change, "ftruncate", fd, [&] { return real(fd, size); });
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  static const auto real = real_call<int(int, const char*, int, const char*)>("renameat");
  return noted(DiskCall::change, "renameat", to_folder, [&] { return real(from_folder, from, to_folder, to); });
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  static const auto real = real_call<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return noted(DiskCall::change, "renameat2", to_folder, [&] { return real(from_folder, from, to_folder, to, flags); });
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  static const auto real = real_call<int(int, const char*, int)>("unlinkat");
  return noted(DiskCall::change, "unlinkat", folder, [&] { return real(folder, path, flags); });
}

int fsync(int fd) {
  static const auto real = real_call<int(int)>("fsync");
  return noted(DiskCall::sync_file, "fsync", fd, [&] { return real(fd); });
}

int fdatasync(int fd) {
  static const auto real = real_call<int(int)>("fdatasync");
  return noted(DiskCall::sync_content, "fdatasync", fd, [&] { return real(fd); });
}

int syncfs(int fd) noexcept {
  static const auto real = real_call<int(int)>("syncfs");
  return noted(DiskCall::sync_all, "syncfs", fd, [&] { return real(fd); });
}

}  // extern "C"

namespace shoal::storage::testing {
namespace {

// What open() may read though it hashes nothing: the journal.
constexpr std::uint64_t kJournalReadMax = 4000;

std::vector<PowerCut> all_cuts() {
  std::vector<PowerCut> cuts;
  for (const Unsynced data : {Unsynced::kept, Unsynced::lost, Unsynced::zeros}) {
    for (const Unsynced journal : {Unsynced::kept, Unsynced::lost}) {
      for (const Unsynced names : {Unsynced::kept, Unsynced::lost}) {
        cuts.push_back({.data = data, .journal = journal, .names = names});
      }
    }
  }
  return cuts;
}

std::string describe(const PowerCut& cut) {
  const std::array<const char*, 3> fates = {"kept", "lost", "zeros"};
  const auto fate_of = [&](Unsynced unsynced) { return std::string(fates.at(static_cast<std::size_t>(unsynced))); };
  return "data " + fate_of(cut.data) + ", journal " + fate_of(cut.journal) + ", names " + fate_of(cut.names);
}

class TorrentPowerCutTest : public TorrentStoreFixture {
 protected:
  // Opens a store on each disk that a power cut at any of the moments may leave.
  void expect_honest(const std::vector<DiskMoment>& moments, const TorrentShare& share) {
    std::set<std::string> seen;
    int number = 0;
    for (const DiskMoment& moment : moments) {
      ++number;
      for (const PowerCut& cut : all_cuts()) {
        const DiskImage disk = disk_after(moment, cut);
        Promise promise = moment.promise;
        if (cut.names == Unsynced::lost) promise = {.is_finished = promise.is_finished};
        if (!seen.insert(digest_of(disk, promise)).second) continue;
        SCOPED_TRACE(::testing::Message()
                     << "cut after call " << number << ", " << moment.call << ": " << describe(cut));
        open_on(disk, promise, share);
        if (HasFailure()) return;
      }
    }
    // Of what was recorded more than a few states differ, or the calls are not seen.
    EXPECT_GT(seen.size(), 5u);
  }

 private:
  static std::string digest_of(const DiskImage& disk, const Promise& promise) {
    std::string text = std::to_string(promise.read_bytes_max) + " " + std::to_string(promise.held_min) +
                       (promise.is_finished ? " finished" : "");
    for (const auto& [path, image] : disk) {
      text += "\n" + path + " " + base::sha1(base::view_of(*image.bytes)).to_hex() + " " +
              std::to_string(image.modified.time_since_epoch().count());
    }
    return text;
  }

  static void open_on(const DiskImage& disk, const Promise& promise, const TorrentShare& share) {
    const TemporaryFolder folder;
    write_disk(disk, folder.path());
    for (std::size_t i = 0; promise.is_finished && i < share.manifest.layout->files.size(); ++i) {
      const std::string path = metainfo::join_path(share.manifest.layout->files[i].path);
      EXPECT_TRUE(read_file(folder.path() / "share" / path) == share.bytes_of(i)) << path;
    }
    const AnotherBoot boot;
    const auto store = TorrentStore::download(
        {.folder = folder.path(), .name = {}, .info_hash = base::sha1(base::view_of("this share")), .selected = {}});
    const std::uint64_t before = bytes_read();
    const std::vector<std::uint32_t> held = open_indices(*store, share.manifest);
    EXPECT_LE(bytes_read() - before, promise.read_bytes_max);
    EXPECT_GE(held.size(), promise.held_min);
    for (const std::uint32_t index : held) {
      const auto piece = store->look_up(share.manifest.pieces[index]);
      ASSERT_NE(piece, nullptr) << index;
      EXPECT_TRUE(base::sha1(read_all(*piece)) == share.manifest.pieces[index]) << "wrong bytes in piece " << index;
    }
  }
};

// Files of several pieces, small ones within a piece, an empty one; pieces 0 to 14. The first one gets a time.
TorrentShare some_files() {
  TorrentShare share(4000);
  share.file({"a.bin"}, 18'000).file({"sub", "b.bin"}, 50).file({"sub", "empty"}, 0);
  share.file({"sub", "deep", "c.bin"}, 38'000).file({"z.txt"}, 900).cut();
  share.manifest.layout->files[0].modified_s = 1'000'000'000;
  return share;
}

TEST_F(TorrentPowerCutTest, ClaimsNoPieceThatIsNotThereAfterACutDuringTheFirstRun) {
  const TorrentShare share = some_files();
  DiskRecorder recorder(folder_.path());
  leave_behind(share, {0, 2, 3, 4, 9});
  recorder.promise({.read_bytes_max = kJournalReadMax, .held_min = 5});  // it ended in peace
  expect_honest(recorder.take_moments(), share);
}

TEST_F(TorrentPowerCutTest, ClaimsNoPieceThatIsNotThereAfterACutWhileAnotherRunFinishes) {
  const TorrentShare share = some_files();
  leave_behind(share, {0, 1, 2, 3, 4, 9, 10, 11});
  DiskRecorder recorder(folder_.path());
  const auto store = make_store({}, true);
  recorder.promise({.read_bytes_max = kJournalReadMax, .held_min = 8});
  open_indices(*store, share.manifest);
  recorder.promise({.read_bytes_max = kJournalReadMax + 7 * 4000, .held_min = 8});  // the new ones
  put_pieces(*store, share, {14, 5, 6, 13, 12, 7, 8});
  ASSERT_TRUE(store->finish());
  recorder.promise({.read_bytes_max = kJournalReadMax, .held_min = 15, .is_finished = true});
  expect_honest(recorder.take_moments(), share);
}

TEST_F(TorrentPowerCutTest, ClaimsNoPieceThatIsNotThereAfterACutWhileMoreFilesAreAdded) {
  const TorrentShare share = some_files();
  {
    const auto store = make_store({"a.bin"}, true);
    open_indices(*store, share.manifest);
    put_pieces(*store, share, share.pieces_of({"a.bin"}));
    ASSERT_TRUE(store->finish());
  }
  DiskRecorder recorder(folder_.path());
  const auto store = make_store();
  std::vector<std::uint32_t> missing;
  std::ranges::set_difference(share.all_pieces(), open_indices(*store, share.manifest), std::back_inserter(missing));
  put_pieces(*store, share, missing);
  ASSERT_TRUE(store->finish());
  recorder.promise({.is_finished = true});
  expect_honest(recorder.take_moments(), share);
}

TEST_F(TorrentPowerCutTest, ClaimsNoPieceThatIsNotThereThoughManyFilesAreSyncedAtOnce) {
  TorrentShare share(1000);
  for (int i = 0; i < 40; ++i) share.file({"file " + std::to_string(i)}, 500);
  share.cut();
  leave_behind(share, {0});
  DiskRecorder recorder(folder_.path(), true);
  leave_behind(share, share.all_pieces());
  recorder.promise({.read_bytes_max = kJournalReadMax, .held_min = 20});
  expect_honest(recorder.take_moments(), share);
}

TEST_F(TorrentPowerCutTest, ClaimsNoPieceThatIsNotThereThoughSeveralThreadsWrite) {
  const TorrentShare share = some_files();
  DiskRecorder recorder(folder_.path());
  {
    const auto store = make_store();
    open_indices(*store, share.manifest);
    std::vector<std::jthread> threads;
    for (std::uint32_t t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] { put_pieces(*store, share, {t, t + 3, t + 6}); });
    }
  }
  recorder.promise({.read_bytes_max = kJournalReadMax, .held_min = 9});
  expect_honest(recorder.take_moments(), share);
}

TEST_F(TorrentPowerCutTest, KeepsWhatWasWrittenBeforeASyncOnTheWayAndNotWhatCameDuringIt) {
  base::Bytes content;
  const base::Bytes block = make_content(1u << 20);
  while (content.size() < TorrentStore::kSyncBytes) content.insert(content.end(), block.begin(), block.end());
  const base::Bytes tail = make_content(1000, 2);
  content.insert(content.end(), tail.begin(), tail.end());
  TorrentShare share(TorrentStore::kSyncBytes);
  share.file_of({"big"}, std::move(content)).cut();
  const auto store = make_store();
  open_indices(*store, share.manifest);
  DiskRecorder recorder(folder_.path(), true);
  bool has_begun = false;
  recorder.during_next_sync([&] {
    has_begun = true;
    put_pieces(*store, share, {1});
  });
  put_pieces(*store, share, {0});
  EXPECT_TRUE(has_begun);
  recorder.promise({.read_bytes_max = kJournalReadMax + tail.size(), .held_min = 1});
  expect_honest({recorder.take_moments().back()}, share);
}

}  // namespace
}  // namespace shoal::storage::testing
