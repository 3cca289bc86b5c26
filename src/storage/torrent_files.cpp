#include "storage/torrent_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "metainfo/paths.hpp"
#include "storage/descriptors.hpp"
#include "storage/files.hpp"

namespace shoal::storage {
namespace {

using metainfo::FileEntry;
using seam::StoreError;
using seam::StoreErrorKind;

bool lacks_descriptor(int error_number) {
  return error_number == EMFILE || error_number == ENFILE;
}
bool lacks_descriptor(const StoreError& error) {
  return error.kind == StoreErrorKind::no_descriptor;
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
      part_(std::move(options.part)),
      whole_(std::move(options.whole)),
      side_(std::move(options.side)),
      is_nameless_(options.is_nameless),
      manifest_(std::move(options.manifest)),
      in_tree_(std::move(options.in_tree)),
      open_files_max_(kept_descriptors() / 2),
      is_whole_(std::move(options.is_whole)),
      known_(manifest_->layout->files.size() + 1),
      reached_(known_.size()) {
  is_whole_.resize(layout().files.size());
  SHOAL_CHECK(in_tree_.size() == layout().files.size());
}

bool TorrentFiles::is_whole(std::uint32_t file) const {
  const std::lock_guard guard(mutex_);
  return file < file_count() && is_whole_[file];
}

bool TorrentFiles::touches_whole(ByteRange range) const {
  return std::ranges::any_of(stretches(range), [this](const Stretch& one) { return is_whole(one.file); });
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
  const std::string root = folder_->path_of(name_of(root_of(file)));
  return layout().is_folder ? root + "/" + metainfo::join_path(layout().files[file].path) : root;
}

StoreError TorrentFiles::error_at(std::uint32_t file, int error_number, std::string_view tried) const {
  return store_error(error_number, tried, path_of(file));
}

// --- opening ---

template <typename Open>
auto TorrentFiles::with_room(const Open& open) {
  auto opened = open();
  while (!opened && lacks_descriptor(opened.error()) && make_room()) opened = open();
  return opened;
}

SysResult<FolderPtr> TorrentFiles::root_folder(Root root, Folder::Missing missing) {
  const std::lock_guard guard(mutex_);
  FolderPtr& known = root == Root::whole ? whole_folder_ : part_folder_;
  if (known != nullptr) return known;
  auto folder = folder_->open_inner(name_of(root), missing);
  if (folder) known = *folder;
  return folder;
}

SysResult<FolderPtr> TorrentFiles::parent_of(Root root, const FileEntry& entry, Folder::Missing missing) {
  const std::span<const std::string> path = folders_of(entry);
  {
    const std::lock_guard guard(mutex_);
    if (last_folder_ != nullptr && last_root_ == root && std::ranges::equal(path, last_path_)) return last_folder_;
  }
  auto folder = root_folder(root, missing);
  for (const std::string& name : path) {
    if (!folder) return folder;
    folder = (*folder)->open_inner(name, missing);
  }
  if (!folder) return folder;
  const std::lock_guard guard(mutex_);
  last_root_ = root;
  last_path_ = path;
  last_folder_ = *folder;
  return folder;
}

SysResult<TorrentFiles::Location> TorrentFiles::locate(std::uint32_t file, Folder::Missing missing) {
  if (file != side_number()) return locate_in(root_of(file), file, missing);
  if (side_.empty()) return std::unexpected(ENOENT);
  return Location{folder_, side_};
}

SysResult<TorrentFiles::Location> TorrentFiles::locate_in(Root root, std::uint32_t file, Folder::Missing missing) {
  if (name_of(root).empty()) return std::unexpected(ENOENT);
  if (!layout().is_folder) return Location{folder_, name_of(root)};
  const FileEntry& entry = layout().files[file];
  auto folder = with_room([&] { return parent_of(root, entry, missing); });
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
  if (ages_.size() >= open_files_max_) (void)drop_oldest();
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

bool TorrentFiles::make_room() {
  const std::lock_guard guard(mutex_);
  return drop_oldest();
}

bool TorrentFiles::drop_oldest() {
  // What has no name is lost with its descriptor: also the side file, once the download is finished.
  if (is_nameless_) return false;
  auto oldest = ages_.end();
  do {
    if (oldest == ages_.begin()) return false;
    --oldest;
  } while (*oldest == side_number());
  open_.erase(*oldest);
  ages_.erase(oldest);
  return true;
}

SysResult<TorrentFiles::Handle> TorrentFiles::open_anew(std::uint32_t file) {
  const bool was_whole = is_whole(file);
  const auto location = locate(file, Folder::Missing::is_an_error);
  int error_number = location ? 0 : location.error();
  if (location) {
    auto opened =
        with_room([&] { return location->folder->open_plain(location->name, was_whole ? O_RDONLY : O_RDWR); });
    if (opened) return keep(file, std::move(opened->fd));
    error_number = opened.error();
  }
  if (!was_whole && is_whole(file)) return open_anew(file);  // it has just got its final place
  return std::unexpected(error_number);
}

SysResult<TorrentFiles::Handle> TorrentFiles::open(std::uint32_t file, Changes changes) {
  const std::shared_ptr<const Stamps> stamps = frozen();
  const bool is_frozen = stamps != nullptr && file < stamps->size() && (*stamps)[file];
  Handle handle = cached(file);
  if (handle != nullptr && !is_frozen) return handle;
  if (handle != nullptr && link_count(handle->get()) == 0) {
    // It was removed or replaced: what bears the name now is what counts.
    forget(file);
    handle = nullptr;
  }
  const bool was_open = handle != nullptr;
  if (!was_open) {
    auto opened = open_anew(file);
    if (!opened) return opened;
    handle = *std::move(opened);
  }
  if (!is_frozen) return handle;
  const auto version = version_of(handle->get());
  if (!version) return std::unexpected(version.error());
  if ((*stamps)[file] == stamp_of(*version)) return handle;
  if (changes == Changes::refused) return std::unexpected(ESTALE);
  if (!was_open) return handle;
  forget(file);  // it may have lost its name to another
  return open_anew(file);
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
  auto created = with_room(
      [&] { return is_nameless_ ? location->folder->create_nameless() : location->folder->create(location->name); });
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
  if (status.st_nlink == 0 && file != side_number() && !is_nameless_)
    return std::unexpected(change_of(file, " was removed"));
  if (static_cast<std::uint64_t>(status.st_size) < reached) return std::unexpected(change_of(file, " was cut short"));
  return {};
}

SysResult<FileStamp> TorrentFiles::look_at(std::uint32_t file) {
  const auto location = locate(file, Folder::Missing::is_an_error);
  if (!location) return std::unexpected(location.error());
  const auto version = version_of(location->folder->fd(), location->name.c_str());
  if (!version) return std::unexpected(version.error());
  return stamp_of(*version);
}

std::optional<std::vector<FileVersion>> TorrentFiles::versions_of(ByteRange range) {
  std::vector<FileVersion> versions;
  for (const Stretch& stretch : stretches(range)) {
    if (stretch.is_padding) continue;
    const auto handle = open(stretch.file, Changes::accepted);
    if (!handle) return std::nullopt;
    const auto version = version_of((*handle)->get());
    if (!version) return std::nullopt;
    versions.push_back(*version);
  }
  return versions;
}

void TorrentFiles::freeze() {
  auto stamps = std::make_shared<Stamps>(file_count());
  for (std::uint32_t file = 0; file < file_count(); ++file) {
    if (!is_whole(file) || layout().files[file].is_padding) continue;
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

StoreResult<TorrentFiles::Handle> TorrentFiles::open_to_write(std::uint32_t file) {
  auto handle = create(file);
  if (!handle) return handle;
  if (auto ours = check_ours(file, (*handle)->get()); !ours) return std::unexpected(std::move(ours.error()));
  return handle;
}

StoreResult<void> TorrentFiles::write(std::uint64_t offset, base::ByteView bytes) {
  for (const Stretch& stretch : stretches({offset, bytes.size()})) {
    if (auto written = write_stretch(stretch, bytes.subspan(stretch.from, stretch.size_bytes)); !written) {
      return written;
    }
  }
  return {};
}

StoreResult<void> TorrentFiles::write_stretch(const Stretch& stretch, base::ByteView bytes) {
  if (stretch.is_padding) return {};
  if (is_whole(stretch.file)) return compare(stretch, bytes);
  const auto file = open_to_write(stretch.file);
  if (!file) return std::unexpected(file.error());
  if (const auto written = write_all_at((*file)->get(), bytes, stretch.offset); !written) {
    return std::unexpected(error_at(stretch.file, written.error(), "write"));
  }
  reach(stretch.file, stretch.offset + stretch.size_bytes);
  return {};
}

StoreResult<void> TorrentFiles::compare(const Stretch& stretch, base::ByteView bytes) {
  base::Bytes found(std::min<std::uint64_t>(bytes.size(), kReadBytes));
  for (std::uint64_t done = 0; done < bytes.size();) {
    const std::size_t count = std::min<std::uint64_t>(found.size(), bytes.size() - done);
    const std::span<std::byte> there = std::span(found).first(count);
    const Stretch part{.file = stretch.file, .offset = stretch.offset + done, .size_bytes = count};
    if (read_stretch(part, there) != count || !std::ranges::equal(there, bytes.subspan(done, count))) {
      return std::unexpected(StoreError{StoreErrorKind::unwritable,
                                        "cannot write " + folder_->path_of(whole_) + ": it is there already, and " +
                                            path_of(stretch.file) + " " + std::string(kIsSomethingElse)});
    }
    done += count;
  }
  return {};
}

std::size_t TorrentFiles::read_stretch(const Stretch& stretch, std::span<std::byte> target, Changes changes) {
  if (stretch.is_padding) {
    std::ranges::fill(target, std::byte{0});
    return target.size();
  }
  const auto file = open(stretch.file, changes);
  return file ? read_at((*file)->get(), target, stretch.offset) : 0;
}

std::size_t TorrentFiles::read(std::uint64_t offset, std::span<std::byte> target, Changes changes) {
  for (const Stretch& stretch : stretches({offset, target.size()})) {
    const std::size_t count = read_stretch(stretch, target.subspan(stretch.from, stretch.size_bytes), changes);
    if (count < stretch.size_bytes) return stretch.from + count;
  }
  return target.size();
}

std::optional<base::Sha1Hash> TorrentFiles::hash(ByteRange range, Changes changes) {
  const std::size_t buffer_bytes = std::min<std::uint64_t>(std::max<std::uint64_t>(range.size_bytes, 1), kReadBytes);
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
  base::Sha1Hasher hasher;
  for (std::uint64_t done = 0; done < range.size_bytes;) {
    const std::size_t count = std::min<std::uint64_t>(buffer_bytes, range.size_bytes - done);
    const std::span<std::byte> bytes(buffer.get(), count);
    if (read(range.offset + done, bytes, changes) != count) return std::nullopt;
    hasher.update(bytes);
    done += count;
  }
  return hasher.finish();
}

StoreResult<void> TorrentFiles::copy_in(int source, std::uint64_t from, ByteRange to) {
  for (const Stretch& stretch : stretches(to)) {
    if (auto copied = copy_stretch(source, from + stretch.from, stretch); !copied) return copied;
  }
  return {};
}

StoreResult<void> TorrentFiles::copy_stretch(int source, std::uint64_t from, const Stretch& to) {
  if (to.is_padding) return {};
  if (is_whole(to.file)) {
    base::Bytes bytes(std::min<std::uint64_t>(to.size_bytes, kReadBytes));
    for (std::uint64_t done = 0; done < to.size_bytes;) {
      const std::size_t count = std::min<std::uint64_t>(bytes.size(), to.size_bytes - done);
      const std::span<std::byte> some = std::span(bytes).first(count);
      if (read_at(source, some, from + done) != count) return std::unexpected(error_at(to.file, EIO, "read back"));
      const Stretch part{.file = to.file, .offset = to.offset + done, .size_bytes = count};
      if (auto compared = compare(part, some); !compared) return compared;
      done += count;
    }
    return {};
  }
  const auto file = open_to_write(to.file);
  if (!file) return std::unexpected(file.error());
  if (const auto copied = copy_range(source, {from, to.size_bytes}, (*file)->get(), to.offset); !copied) {
    return std::unexpected(error_at(to.file, copied.error(), "write"));
  }
  reach(to.file, to.offset + to.size_bytes);
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

}  // namespace shoal::storage
