#include "storage/torrent_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "metainfo/paths.hpp"

namespace shoal::storage {
namespace {

using metainfo::FileEntry;
using seam::StoreError;
using seam::StoreErrorKind;

constexpr std::size_t kReadBytes = 256 * 1024;

std::span<const std::string> folders_of(const FileEntry& entry) {
  return std::span(entry.path).first(entry.path.size() - 1);
}

// "../../a/b": from the folder a link lies in to what it points to, both below the same root.
std::string relative_target(const FileEntry& link) {
  std::string target;
  for (std::size_t i = 1; i < link.path.size(); ++i) target += "../";
  return target + metainfo::join_path(link.link_target);
}

nlink_t link_count(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 ? status.st_nlink : 0;
}

}  // namespace

FileStamp stamp_of(const FileVersion& version) {
  return {.size_bytes = version.size_bytes, .modified_ns = version.modified_ns};
}

TorrentFiles::TorrentFiles(TorrentFilesOptions options)
    : folder_(std::move(options.folder)),
      side_(std::move(options.side)),
      manifest_(std::move(options.manifest)),
      in_tree_(std::move(options.in_tree)),
      root_(std::move(options.root)),
      is_writable_(options.is_writable),
      known_(manifest_->layout->files.size() + 1),
      reached_(known_.size()) {
  SHOAL_CHECK(in_tree_.size() == layout().files.size());
}

std::vector<TorrentFiles::Stretch> TorrentFiles::stretches(ByteRange range) const {
  SHOAL_CHECK(range.offset <= layout().total_bytes && range.size_bytes <= layout().total_bytes - range.offset);
  std::vector<Stretch> found;
  const std::vector<FileEntry>& files = layout().files;
  // The last file that begins at or before the range; empty ones at the same offset come before it or do not matter.
  auto file = std::ranges::upper_bound(files, range.offset, {}, &FileEntry::offset_bytes);
  if (file != files.begin()) --file;
  for (std::uint64_t done = 0; done < range.size_bytes; ++file) {
    SHOAL_CHECK(file != files.end());
    const std::uint64_t at = range.offset + done;
    const std::uint64_t skipped = at - file->offset_bytes;
    if (skipped >= file->size_bytes) continue;
    const std::uint64_t size_bytes = std::min(file->size_bytes - skipped, range.size_bytes - done);
    const auto number = static_cast<std::uint32_t>(file - files.begin());
    if (file->is_padding) {
      found.push_back({.file = number, .offset = 0, .size_bytes = size_bytes, .from = done, .is_padding = true});
    } else if (is_in_tree(number)) {
      found.push_back({.file = number, .offset = skipped, .size_bytes = size_bytes, .from = done});
    } else if (!found.empty() && found.back().file == side_number()) {
      found.back().size_bytes += size_bytes;
    } else {
      found.push_back({.file = side_number(), .offset = at, .size_bytes = size_bytes, .from = done});
    }
    done += size_bytes;
  }
  return found;
}

ByteRange TorrentFiles::range_of(base::PieceIndex piece) const {
  return {manifest_->offset_of(piece), manifest_->size_of(piece)};
}

std::string TorrentFiles::path_of(std::uint32_t file) const {
  if (file == side_number()) return folder_->path_of(side_);
  const std::lock_guard guard(mutex_);
  const std::string root = folder_->path_of(root_);
  return layout().is_folder ? root + "/" + metainfo::join_path(layout().files[file].path) : root;
}

StoreError TorrentFiles::error_at(std::uint32_t file, int error_number, std::string_view tried) const {
  return store_error(error_number, tried, path_of(file));
}

// --- opening ---

SysResult<FolderPtr> TorrentFiles::root_folder(Folder::Missing missing) {
  const std::lock_guard guard(mutex_);
  if (root_folder_ != nullptr) return root_folder_;
  auto folder = folder_->open_inner(root_, missing);
  if (folder) root_folder_ = *folder;
  return folder;
}

SysResult<FolderPtr> TorrentFiles::parent_of(const FileEntry& entry, Folder::Missing missing) {
  const std::span<const std::string> path = folders_of(entry);
  {
    const std::lock_guard guard(mutex_);
    if (last_folder_ != nullptr && std::ranges::equal(path, last_path_)) return last_folder_;
  }
  auto folder = root_folder(missing);
  for (const std::string& name : path) {
    if (!folder) return folder;
    folder = (*folder)->open_inner(name, missing);
  }
  if (!folder) return folder;
  const std::lock_guard guard(mutex_);
  last_path_ = path;
  last_folder_ = *folder;
  return folder;
}

SysResult<TorrentFiles::Location> TorrentFiles::locate(std::uint32_t file, Folder::Missing missing) {
  if (file == side_number()) {
    if (side_.empty()) return std::unexpected(ENOENT);
    return Location{folder_, side_};
  }
  if (!layout().is_folder) {
    const std::lock_guard guard(mutex_);
    return Location{folder_, root_};
  }
  const FileEntry& entry = layout().files[file];
  auto folder = parent_of(entry, missing);
  if (!folder) return std::unexpected(folder.error());
  return Location{*std::move(folder), entry.path.back()};
}

TorrentFiles::Handle TorrentFiles::cached(std::uint32_t file) {
  const std::lock_guard guard(mutex_);
  const auto found = open_.find(file);
  if (found == open_.end()) return nullptr;
  ages_.splice(ages_.begin(), ages_, found->second.age);
  return found->second.handle;
}

TorrentFiles::Handle TorrentFiles::keep(std::uint32_t file, UniqueFd fd) {
  const std::lock_guard guard(mutex_);
  const auto found = open_.find(file);
  if (found != open_.end()) return found->second.handle;  // another thread was quicker
  // The side file stays: once the download is finished it has no name.
  if (ages_.size() >= kOpenFilesMax) {
    auto oldest = std::prev(ages_.end());
    if (*oldest == side_number()) --oldest;
    open_.erase(*oldest);
    ages_.erase(oldest);
  }
  ages_.push_front(file);
  auto handle = std::make_shared<const UniqueFd>(std::move(fd));
  open_.emplace(file, Cached{handle, ages_.begin()});
  return handle;
}

void TorrentFiles::forget(std::uint32_t file) {
  const std::lock_guard guard(mutex_);
  const auto found = open_.find(file);
  if (found == open_.end()) return;
  ages_.erase(found->second.age);
  open_.erase(found);
}

SysResult<TorrentFiles::Handle> TorrentFiles::open_anew(std::uint32_t file) {
  const auto location = locate(file, Folder::Missing::is_an_error);
  if (!location) return std::unexpected(location.error());
  int flags = O_RDWR;
  if (file != side_number()) {
    const std::lock_guard guard(mutex_);
    flags = is_writable_ ? O_RDWR : O_RDONLY;
  }
  auto opened = location->folder->open_plain(location->name, flags);
  if (!opened) return std::unexpected(opened.error());
  return keep(file, std::move(opened->fd));
}

SysResult<TorrentFiles::Handle> TorrentFiles::open(std::uint32_t file) {
  const std::shared_ptr<const Stamps> stamps = frozen();
  const bool is_frozen = stamps != nullptr && file < stamps->size();
  Handle handle = cached(file);
  if (handle != nullptr && !is_frozen) return handle;
  if (handle != nullptr && link_count(handle->get()) == 0) {
    // It was removed or replaced: what bears the name now is what counts.
    forget(file);
    handle = nullptr;
  }
  if (handle == nullptr) {
    auto opened = open_anew(file);
    if (!opened) return opened;
    handle = *std::move(opened);
  }
  if (!is_frozen) return handle;
  const auto version = version_of(handle->get());
  if (!version) return std::unexpected(version.error());
  if ((*stamps)[file] != stamp_of(*version)) return std::unexpected(ESTALE);
  return handle;
}

bool TorrentFiles::is_known(std::uint32_t file) {
  const std::lock_guard guard(mutex_);
  return known_[file];
}

StoreResult<TorrentFiles::Handle> TorrentFiles::create(std::uint32_t file) {
  if (Handle handle = cached(file)) return handle;
  const std::lock_guard one_at_a_time(creating_);
  if (is_known(file)) {
    auto opened = open(file);
    if (opened) return *std::move(opened);
    if (opened.error() == ENOENT || opened.error() == ENOTDIR) return std::unexpected(change_of(file, " was removed"));
    return std::unexpected(error_at(file, opened.error(), "open"));
  }
  const auto location = locate(file, Folder::Missing::is_created);
  if (!location) return std::unexpected(error_at(file, location.error(), "create"));
  auto created = location->folder->create(location->name);
  if (!created) return std::unexpected(std::move(created.error()));
  know(file, 0);
  return keep(file, *std::move(created));
}

void TorrentFiles::know(std::uint32_t file, std::uint64_t size_bytes) {
  const std::lock_guard guard(mutex_);
  known_[file] = true;
  reached_[file] = size_bytes;
}

void TorrentFiles::reach(std::uint32_t file, std::uint64_t end) {
  const std::lock_guard guard(mutex_);
  reached_[file] = std::max(reached_[file], end);
}

StoreError TorrentFiles::change_of(std::uint32_t file, std::string_view what) {
  {
    const std::lock_guard guard(mutex_);
    changed_.push_back(file);
  }
  return {StoreErrorKind::failed, path_of(file).append(what) + " during the download; run the command again"};
}

std::vector<std::uint32_t> TorrentFiles::take_changed() {
  const std::lock_guard guard(mutex_);
  return std::exchange(changed_, {});
}

StoreResult<void> TorrentFiles::check_ours(std::uint32_t file, int fd) {
  std::uint64_t reached = 0;
  {
    const std::lock_guard guard(mutex_);
    reached = reached_[file];  // read before the size: only somebody else makes that smaller
  }
  struct stat status{};
  if (::fstat(fd, &status) != 0) return std::unexpected(error_at(file, errno, "examine"));
  // The side file has no name once the download is finished.
  if (status.st_nlink == 0 && file != side_number()) return std::unexpected(change_of(file, " was removed"));
  if (static_cast<std::uint64_t>(status.st_size) < reached) return std::unexpected(change_of(file, " was cut short"));
  return {};
}

StoreResult<void> TorrentFiles::trim(std::uint32_t file) {
  const std::uint64_t size_bytes = layout().files[file].size_bytes;
  const auto stamp = look_at(file);
  if (!stamp || stamp->size_bytes <= size_bytes) return {};
  const auto handle = open(file);
  if (!handle) return std::unexpected(error_at(file, handle.error(), "open"));
  if (::ftruncate((*handle)->get(), static_cast<off_t>(size_bytes)) != 0) {
    return std::unexpected(error_at(file, errno, "cut"));
  }
  return {};
}

SysResult<FileStamp> TorrentFiles::look_at(std::uint32_t file) {
  const auto location = locate(file, Folder::Missing::is_an_error);
  if (!location) return std::unexpected(location.error());
  const auto version = version_of(location->folder->fd(), location->name.c_str());
  if (!version) return std::unexpected(version.error());
  return stamp_of(*version);
}

void TorrentFiles::remove(std::uint32_t file) {
  forget(file);
  if (const auto location = locate(file, Folder::Missing::is_an_error)) location->folder->remove(location->name);
  if (file != side_number() && layout().is_folder) remove_empty_folders(folders_of(layout().files[file]));
  const std::lock_guard guard(mutex_);
  known_[file] = false;
  last_folder_ = nullptr;
}

void TorrentFiles::remove_empty_folders(std::span<const std::string> path) {
  auto folder = root_folder(Folder::Missing::is_an_error);
  if (!folder) return;
  std::vector<FolderPtr> parents;
  for (const std::string& name : path) {
    parents.push_back(*folder);
    folder = parents.back()->open_inner(name, Folder::Missing::is_an_error);
    if (!folder) return;
  }
  for (std::size_t i = path.size(); i-- > 0;) {
    if (::unlinkat(parents[i]->fd(), path[i].c_str(), AT_REMOVEDIR) != 0) return;
  }
}

void TorrentFiles::move_root(std::string root) {
  const std::lock_guard guard(mutex_);
  root_ = std::move(root);
  is_writable_ = false;
}

void TorrentFiles::freeze() {
  auto stamps = std::make_shared<Stamps>(file_count());
  for (std::uint32_t file = 0; file < file_count(); ++file) {
    if (!is_in_tree(file) || layout().files[file].is_padding) continue;
    if (const auto stamp = look_at(file)) (*stamps)[file] = *stamp;
  }
  const std::lock_guard guard(mutex_);
  frozen_ = std::move(stamps);
}

std::shared_ptr<const TorrentFiles::Stamps> TorrentFiles::frozen() {
  const std::lock_guard guard(mutex_);
  return frozen_;
}

// --- bytes ---

StoreResult<void> TorrentFiles::write(std::uint64_t offset, base::ByteView bytes) {
  for (const Stretch& stretch : stretches({offset, bytes.size()})) {
    if (stretch.is_padding) continue;
    auto file = create(stretch.file);
    if (!file) return std::unexpected(std::move(file.error()));
    if (auto ours = check_ours(stretch.file, (*file)->get()); !ours) return ours;
    const base::ByteView part = bytes.subspan(stretch.from, stretch.size_bytes);
    if (const auto written = write_all_at((*file)->get(), part, stretch.offset); !written) {
      return std::unexpected(error_at(stretch.file, written.error(), "write"));
    }
    reach(stretch.file, stretch.offset + stretch.size_bytes);
  }
  return {};
}

std::size_t TorrentFiles::read_stretch(const Stretch& stretch, std::span<std::byte> target) {
  if (stretch.is_padding) {
    std::ranges::fill(target, std::byte{0});
    return target.size();
  }
  const auto file = open(stretch.file);
  return file ? read_at((*file)->get(), target, stretch.offset) : 0;
}

std::size_t TorrentFiles::read(std::uint64_t offset, std::span<std::byte> target) {
  for (const Stretch& stretch : stretches({offset, target.size()})) {
    const std::size_t count = read_stretch(stretch, target.subspan(stretch.from, stretch.size_bytes));
    if (count < stretch.size_bytes) return stretch.from + count;
  }
  return target.size();
}

std::optional<base::Sha1Hash> TorrentFiles::hash(ByteRange range) {
  const std::size_t buffer_bytes = std::min<std::uint64_t>(std::max<std::uint64_t>(range.size_bytes, 1), kReadBytes);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
  base::Sha1Hasher hasher;
  for (std::uint64_t done = 0; done < range.size_bytes;) {
    const std::size_t count = std::min<std::uint64_t>(buffer_bytes, range.size_bytes - done);
    const std::span<std::byte> bytes(buffer.get(), count);
    if (read(range.offset + done, bytes) != count) return std::nullopt;
    hasher.update(bytes);
    done += count;
  }
  return hasher.finish();
}

StoreResult<void> TorrentFiles::copy_in(int source, std::uint64_t from, ByteRange to) {
  for (const Stretch& stretch : stretches(to)) {
    if (stretch.is_padding) continue;
    auto file = create(stretch.file);
    if (!file) return std::unexpected(std::move(file.error()));
    if (auto ours = check_ours(stretch.file, (*file)->get()); !ours) return ours;
    const ByteRange part{from + stretch.from, stretch.size_bytes};
    if (const auto copied = copy_range(source, part, (*file)->get(), stretch.offset); !copied) {
      return std::unexpected(error_at(stretch.file, copied.error(), "write"));
    }
    reach(stretch.file, stretch.offset + stretch.size_bytes);
  }
  return {};
}

StoreResult<void> TorrentFiles::copy_within(std::uint64_t from, ByteRange to) {
  const std::size_t buffer_bytes = std::min<std::uint64_t>(std::max<std::uint64_t>(to.size_bytes, 1), kReadBytes);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
  for (std::uint64_t done = 0; done < to.size_bytes;) {
    const std::size_t count = std::min<std::uint64_t>(buffer_bytes, to.size_bytes - done);
    const std::span<std::byte> bytes(buffer.get(), count);
    if (read(from + done, bytes) != count) {
      return std::unexpected(error_at(stretches({from + done, count}).front().file, ENODATA, "read"));
    }
    if (auto written = write(to.offset + done, bytes); !written) return written;
    done += count;
  }
  return {};
}

// --- what is not bytes ---

StoreResult<void> TorrentFiles::make_link(std::uint32_t file) {
  const auto location = locate(file, Folder::Missing::is_created);
  if (!location) return std::unexpected(error_at(file, location.error(), "create"));
  location->folder->remove(location->name);
  const std::string target = relative_target(layout().files[file]);
  if (::symlinkat(target.c_str(), location->folder->fd(), location->name.c_str()) != 0) {
    return std::unexpected(error_at(file, errno, "create"));
  }
  return {};
}

StoreResult<void> TorrentFiles::make_executable(std::uint32_t file) {
  const auto handle = open(file);
  if (!handle) return std::unexpected(error_at(file, handle.error(), "open"));
  struct stat status{};
  if (::fstat((*handle)->get(), &status) != 0) return std::unexpected(error_at(file, errno, "examine"));
  // Whoever may read it may run it.
  const mode_t mode = (status.st_mode | ((status.st_mode & 0444) >> 2)) & 07777;
  // EPERM: a file system without such bits.
  if (::fchmod((*handle)->get(), mode) != 0 && errno != EPERM && errno != EOPNOTSUPP) {
    return std::unexpected(error_at(file, errno, "make executable"));
  }
  return {};
}

}  // namespace shoal::storage
