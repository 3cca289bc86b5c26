// What a disk could hold had the power gone at any moment of a test. While a DiskRecorder lives, each system call that
// changes or syncs files is a moment (the test program overrides them: see torrent_power_cut_test.cpp), with the files
// of one folder as they are then and as far as they were synced. disk_after() gives what a cut then may leave.
//
// Content counts as on disk as it was when a sync of that file began, names as they were when a sync of the folder or
// the file system began. So a sync that is missing, late, or of something else leaves states without the bytes.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/files.hpp"
#include "storage/unique_fd.hpp"
#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {

struct FileImage {
  ino_t inode = 0;
  std::filesystem::file_time_type modified;
  std::shared_ptr<const std::string> bytes;
  friend bool operator==(const FileImage&, const FileImage&) = default;
};
using DiskImage = std::map<std::string, FileImage>;  // by path, relative to the folder

// What holds from a moment on, said by the test.
struct Promise {
  // Of open(), after a power cut that left the names as they were.
  std::uint64_t read_bytes_max = UINT64_MAX;
  std::size_t held_min = 0;
  bool is_finished = false;  // all files have their final names and bytes
};

struct DiskMoment {
  std::string call;
  DiskImage now;
  DiskImage names;                    // as last synced
  std::map<ino_t, FileImage> synced;  // content and times
  Promise promise;
};

enum class DiskCall : std::uint8_t { change, sync_content, sync_file, sync_all };

class DiskRecorder {
 public:
  // What is there already is on disk. `only_syncs`: for big files, which take long to look at.
  explicit DiskRecorder(std::filesystem::path folder, bool only_syncs = false)
      : folder_(std::move(folder)), only_syncs_(only_syncs) {
    names_ = look();
    for (const auto& [path, image] : names_) synced_[image.inode] = image;
    add("the begin", names_);
    active_ = this;
  }
  DiskRecorder(const DiskRecorder&) = delete;
  DiskRecorder& operator=(const DiskRecorder&) = delete;
  ~DiskRecorder() { active_ = nullptr; }

  static DiskRecorder* active() { return active_; }

  void promise(Promise promise) {
    const std::lock_guard guard(mutex_);
    promise_ = promise;
    add("a promise", look());
  }
  // Called once, when the next sync of a file's content and times has begun.
  void during_next_sync(std::function<void()> work) { during_sync_ = std::move(work); }
  // Ends the recording.
  std::vector<DiskMoment> take_moments() {
    active_ = nullptr;
    return std::move(moments_);
  }

  // Makes the call and notes it. Changes come one after the other; other calls may be made during a sync.
  template <typename Call>
  auto note(DiskCall kind, const char* name, int fd, const Call& call) {
    if (kind == DiskCall::change) {
      const std::lock_guard guard(mutex_);
      const auto result = call();
      const int error_number = errno;
      if (!only_syncs_) add(name, look());
      errno = error_number;
      return result;
    }
    std::unique_lock guard(mutex_);
    const DiskImage begun = look();
    guard.unlock();
    if (kind == DiskCall::sync_file && during_sync_) std::exchange(during_sync_, nullptr)();
    const auto result = call();
    const int error_number = errno;
    guard.lock();
    if (result == 0) take_synced(kind, fd, begun);
    add(name, look());
    errno = error_number;
    return result;
  }

 private:
  DiskImage look() {
    namespace fs = std::filesystem;
    DiskImage found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (!entry.is_regular_file()) continue;
      struct stat status{};
      EXPECT_EQ(::stat(entry.path().c_str(), &status), 0);
      FileImage image{.inode = status.st_ino, .modified = entry.last_write_time(), .bytes = {}};
      UniqueFd& fd = files_[image.inode];
      if (!fd.is_open()) fd = UniqueFd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
      std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
      bytes.resize(read_at(fd.get(), std::as_writable_bytes(std::span(bytes)), 0));
      auto& last = last_[image.inode];
      if (last == nullptr || *last != bytes) last = std::make_shared<const std::string>(std::move(bytes));
      image.bytes = last;
      found.emplace(fs::relative(entry.path(), folder_).native(), std::move(image));
    }
    return found;
  }

  void take_synced(DiskCall kind, int fd, const DiskImage& begun) {
    struct stat status{};
    EXPECT_EQ(::fstat(fd, &status), 0);
    if (kind == DiskCall::sync_all || S_ISDIR(status.st_mode)) names_ = begun;
    for (const auto& [path, image] : begun) {
      if (kind != DiskCall::sync_all && image.inode != status.st_ino) continue;
      const auto [synced, is_new] = synced_.try_emplace(image.inode, image);
      synced->second.bytes = image.bytes;
      if (kind != DiskCall::sync_content) synced->second.modified = image.modified;
    }
  }

  void add(const char* call, DiskImage now) {
    moments_.push_back({.call = call, .now = std::move(now), .names = names_, .synced = synced_, .promise = promise_});
  }

  static inline std::atomic<DiskRecorder*> active_ = nullptr;

  const std::filesystem::path folder_;
  const bool only_syncs_;
  std::function<void()> during_sync_;
  std::mutex mutex_;                 // guards what follows
  std::map<ino_t, UniqueFd> files_;  // kept open: their numbers are given to no others
  std::map<ino_t, std::shared_ptr<const std::string>> last_;
  DiskImage names_;
  std::map<ino_t, FileImage> synced_;
  Promise promise_;
  std::vector<DiskMoment> moments_;
};

// What becomes of what was not synced. Zeros: the file has its length and times, its new blocks were never written.
enum class Unsynced : std::uint8_t { kept, lost, zeros };

struct PowerCut {
  Unsynced data = Unsynced::kept;
  Unsynced journal = Unsynced::kept;
  Unsynced names = Unsynced::kept;
};

inline FileImage image_after(const DiskMoment& moment, const FileImage& latest, Unsynced unsynced) {
  if (unsynced == Unsynced::kept) return latest;
  const auto synced = moment.synced.find(latest.inode);
  FileImage image = synced != moment.synced.end() ? synced->second : latest;
  std::string bytes = synced != moment.synced.end() ? *image.bytes : std::string();
  if (unsynced == Unsynced::zeros) {
    bytes.resize(latest.bytes->size());
    image.modified = latest.modified;
  }
  image.bytes = std::make_shared<const std::string>(std::move(bytes));
  return image;
}

inline DiskImage disk_after(const DiskMoment& moment, const PowerCut& cut) {
  DiskImage disk;
  for (const auto& [path, named] : cut.names == Unsynced::kept ? moment.now : moment.names) {
    const auto is_this = [&](const auto& entry) { return entry.second.inode == named.inode; };
    const auto latest = std::ranges::find_if(moment.now, is_this);
    const bool is_journal = path.find(".shoal-journal") != std::string::npos;
    disk[path] =
        image_after(moment, latest != moment.now.end() ? latest->second : named, is_journal ? cut.journal : cut.data);
  }
  return disk;
}

inline void write_disk(const DiskImage& disk, const std::filesystem::path& folder) {
  for (const auto& [path, image] : disk) {
    write_file(folder / path, *image.bytes);
    std::filesystem::last_write_time(folder / path, image.modified);
  }
}

}  // namespace shoal::storage::testing
