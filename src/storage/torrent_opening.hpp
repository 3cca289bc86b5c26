// What is there of a torrent when a download of it begins, found out without hashing what need not be. Used by
// TorrentStore::open().
//
// A claim of the journal is believed when its files are as the journal noted them. A file that was being written when
// the last run was killed cannot be: it may have been written to until kKilledSlack (after a power cut: kPowerCutSlack)
// after the journal was last touched. What is in doubt is hashed, and only that: the pieces of a file that was changed
// otherwise, and after a power cut the pieces that had not been synced (TorrentStore::kSyncBytes of them at most).
//
// A file lies among the finished ones when something of its size is there, else in the part. Of finished files the
// wanted ones are hashed when no journal knows them, and are an error when they are not what the share holds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "metainfo/torrent.hpp"
#include "storage/torrent_files.hpp"
#include "storage/torrent_journal.hpp"

namespace shoal::storage {

// The touch() before a write and the write, with the wait of a busy processor between them. What somebody else writes
// into a file within this time after the kill is not noticed; nor is what is written over while the program runs.
inline constexpr base::Duration kKilledSlack = std::chrono::milliseconds(100);
// The kernel writes times back every few seconds, and not all at once.
inline constexpr base::Duration kPowerCutSlack = std::chrono::seconds(60);

// The names a download uses, all in one folder.
struct TorrentPlace {
  FolderPtr folder;
  std::string name;  // the finished share
  std::string part;  // the share on its way
  std::string side;  // bytes of files nobody wants
  std::string journal;
  std::string torrent;
  metainfo::InfoHash info_hash;

  [[nodiscard]] std::string whole_path() const { return folder->path_of(name); }
};

struct OpenedTorrent {
  std::unique_ptr<TorrentFiles> files;
  TorrentClaims claims;      // all of them true
  bool has_whole = false;    // something of the share bears its final name
  bool is_complete = false;  // all that is wanted is finished, and there is no part
};

// `wanted`: by file. Hashes on all processors.
[[nodiscard]] StoreResult<OpenedTorrent> open_torrent(const TorrentPlace& place,
                                                      const std::shared_ptr<const metainfo::Manifest>& manifest,
                                                      const std::vector<bool>& wanted);

}  // namespace shoal::storage
