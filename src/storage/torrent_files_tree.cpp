// What TorrentFiles does to files besides reading and writing their bytes.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "metainfo/paths.hpp"
#include "storage/torrent_files.hpp"

namespace shoal::storage {
namespace {

using metainfo::FileEntry;

// "../../a/b": from the folder a link lies in to what it points to, both below the same root.
std::string relative_target(const FileEntry& link) {
  std::string target;
  for (std::size_t i = 1; i < link.path.size(); ++i) target += "../";
  return target + metainfo::join_path(link.link_target);
}

}  // namespace

StoreResult<void> TorrentFiles::trim(std::uint32_t file) {
  const std::uint64_t size_bytes = layout().files[file].size_bytes;
  const auto handle = open(file);
  if (!handle) return std::unexpected(error_at(file, handle.error(), "open"));
  if (::ftruncate((*handle)->get(), static_cast<off_t>(size_bytes)) != 0) {
    return std::unexpected(error_at(file, errno, "cut"));
  }
  know(file, size_bytes);
  return {};
}

void TorrentFiles::remove(std::uint32_t file) {
  SHOAL_CHECK(!is_whole(file));
  forget(file);
  if (const auto location = locate(file, Folder::Missing::is_an_error)) location->folder->remove(location->name);
  if (file != side_number() && layout().is_folder) remove_empty_folders(folders_of(layout().files[file]));
  const std::lock_guard guard(mutex_);
  known_[file] = false;
  last_folder_ = nullptr;
}

void TorrentFiles::remove_empty_folders(std::span<const std::string> path) {
  auto folder = root_folder(Root::part, Folder::Missing::is_an_error);
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

StoreResult<void> TorrentFiles::move_all_to_whole() {
  const std::lock_guard guard(mutex_);
  if (const auto renamed = folder_->rename_to_free(part_, *folder_, whole_); !renamed) {
    return std::unexpected(store_error(renamed.error(), "write", folder_->path_of(whole_)));
  }
  is_whole_.assign(is_whole_.size(), true);
  whole_folder_ = std::exchange(part_folder_, nullptr);
  last_folder_ = nullptr;
  return {};
}

StoreResult<void> TorrentFiles::move_to_whole(std::uint32_t file) {
  const auto from = locate_in(Root::part, file, Folder::Missing::is_an_error);
  if (!from) return std::unexpected(error_at(file, from.error(), "find"));
  const auto to = locate_in(Root::whole, file, Folder::Missing::is_created);
  SysResult<void> moved;
  {
    // Whoever does not find the file at its old place finds it at the new one: see open_anew().
    const std::lock_guard guard(mutex_);
    moved = to ? from->folder->rename_to_free(from->name, *to->folder, to->name) : std::unexpected(to.error());
    if (moved) is_whole_[file] = true;
  }
  if (!moved) {
    const std::string path = folder_->path_of(whole_) + "/" + metainfo::join_path(layout().files[file].path);
    return std::unexpected(store_error(moved.error(), "write", path));
  }
  remove_empty_folders(folders_of(layout().files[file]));
  return {};
}

StoreResult<void> TorrentFiles::make_link(std::uint32_t file) {
  const auto location = locate(file, Folder::Missing::is_created);
  if (!location) return std::unexpected(error_at(file, location.error(), "create"));
  const bool is_finished = is_whole(file);
  if (!is_finished) location->folder->remove(location->name);
  const std::string target = relative_target(layout().files[file]);
  if (::symlinkat(target.c_str(), location->folder->fd(), location->name.c_str()) != 0 &&
      !(is_finished && errno == EEXIST)) {
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

StoreResult<void> TorrentFiles::set_time(std::uint32_t file) {
  const auto handle = open(file);
  if (!handle) return std::unexpected(error_at(file, handle.error(), "open"));
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = *layout().files[file].modified_s, .tv_nsec = 0}};
  // EPERM: a file system that keeps none.
  if (::futimens((*handle)->get(), times) != 0 && errno != EPERM && errno != EOPNOTSUPP) {
    return std::unexpected(error_at(file, errno, "set the time of"));
  }
  return {};
}

}  // namespace shoal::storage
