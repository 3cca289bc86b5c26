#include "storage/torrent_finishing.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace shoal::storage {
namespace {

using metainfo::FileEntry;
using seam::StoreError;
using seam::StoreErrorKind;

// Calls `visit` with each wanted file that is no link until one fails.
template <typename Visit>
StoreResult<void> for_each_wanted(TorrentFiles& files, const std::vector<bool>& wanted, const Visit& visit) {
  for (std::uint32_t i = 0; i < files.file_count(); ++i) {
    const FileEntry& file = files.layout().files[i];
    if (!wanted[i] || !file.link_target.empty()) continue;
    if (auto visited = visit(i, file); !visited) return visited;
  }
  return {};
}

StoreResult<void> move_file_by_file(TorrentFiles& files, const std::vector<bool>& wanted, const TorrentPlace& place) {
  bool has_moved = false;
  for (std::uint32_t i = 0; i < files.file_count(); ++i) {
    if (!wanted[i] || files.layout().files[i].is_padding || files.is_whole(i)) continue;
    if (auto moved = files.move_to_whole(i); !moved) return moved;
    has_moved = true;
  }
  if (!has_moved) return {};
  // There may be many folders; their files are on the disk already.
  if (::syncfs(place.folder->fd()) != 0) return std::unexpected(store_error(errno, "write", place.whole_path()));
  return {};
}

}  // namespace

std::vector<bool> find_rest(TorrentFiles& files, const std::vector<bool>& wanted, const base::Bitfield& verified) {
  std::vector<bool> rest(files.file_count());
  for (std::uint32_t i = 0; i < files.file_count(); ++i) {
    const FileEntry& file = files.layout().files[i];
    if (wanted[i] || !files.is_in_tree(i) || files.is_whole(i) || file.is_padding) continue;
    for_each_piece(files.layout(), file, [&](base::PieceIndex piece) { rest[i] = rest[i] || verified.test(piece); });
    rest[i] = rest[i] && files.look_at(i);
  }
  return rest;
}

StoreResult<void> complete_tree(TorrentFiles& files, const std::vector<bool>& wanted,
                                const BeforeChange& before_change) {
  return for_each_wanted(files, wanted, [&](std::uint32_t i, const FileEntry& file) -> StoreResult<void> {
    if (files.is_whole(i)) return {};
    if (file.size_bytes == 0) {
      if (auto created = files.create(i); !created) return std::unexpected(std::move(created.error()));
    }
    const auto stamp = files.look_at(i);
    const bool is_too_long = stamp && stamp->size_bytes > file.size_bytes;
    if (is_too_long || file.modified_s) {
      if (auto told = before_change(i); !told) return told;
    }
    if (is_too_long) {
      if (auto trimmed = files.trim(i); !trimmed) return trimmed;
    }
    if (file.is_executable) {
      if (auto made = files.make_executable(i); !made) return made;
    }
    return file.modified_s ? files.set_time(i) : StoreResult<void>{};
  });
}

StoreResult<void> check_unchanged(TorrentFiles& files, const std::vector<bool>& wanted, const NotedStamps& noted) {
  return for_each_wanted(files, wanted, [&](std::uint32_t i, const FileEntry& file) -> StoreResult<void> {
    if (file.size_bytes == 0) return {};
    const auto stamp = files.look_at(i);
    const auto expected = noted.find(i);
    if (stamp && expected != noted.end() && *stamp == expected->second) return {};
    const std::string what = stamp ? " was changed" : " was removed";
    return std::unexpected(
        StoreError{StoreErrorKind::failed, files.path_of(i) + what + " during the download; run the command again"});
  });
}

StoreResult<void> move_into_place(TorrentFiles& files, const std::vector<bool>& wanted, const TorrentPlace& place,
                                  bool goes_file_by_file) {
  if (files.layout().is_folder && !goes_file_by_file) {
    const auto root = place.folder->open_inner(place.part, Folder::Missing::is_created);
    if (!root) return std::unexpected(store_error(root.error(), "create", place.folder->path_of(place.part)));
  }
  for (std::uint32_t i = 0; i < files.file_count(); ++i) {
    if (!wanted[i] || files.layout().files[i].link_target.empty()) continue;
    if (auto made = files.make_link(i); !made) return made;
  }
  if (goes_file_by_file) return move_file_by_file(files, wanted, place);
  if (auto moved = files.move_all_to_whole(); !moved) return moved;
  if (const auto synced = place.folder->sync(); !synced) {
    return std::unexpected(store_error(synced.error(), "write", place.whole_path()));
  }
  return {};
}

void clear_part(const TorrentPlace& place, const std::shared_ptr<const metainfo::Manifest>& manifest,
                const std::vector<bool>& kept) {
  if (place.folder->kind_of(place.part) == Folder::EntryKind::none) return;
  const std::size_t file_count = manifest->layout->files.size();
  TorrentFiles part({.folder = place.folder,
                     .part = place.part,
                     .whole = {},
                     .side = {},
                     .manifest = manifest,
                     .in_tree = std::vector<bool>(file_count, true),
                     .is_whole = {}});
  for (std::uint32_t i = 0; i < file_count; ++i) {
    if (!manifest->layout->files[i].is_padding && !kept[i]) part.remove(i);
  }
  ::unlinkat(place.folder->fd(), place.part.c_str(), AT_REMOVEDIR);
}

}  // namespace shoal::storage
