// A torrent on disk: where a download's pieces go, and where those who ask are given from, for one file or a folder of
// many. It is the PieceStore of `get` and the PieceLibrary of `get` and `share`.
//
// Two ways to make one:
//  - download(): while it is not finished everything lies beside its final place under a hidden name (.NAME.shoal-part,
//    a file or a folder with the tree of files), with a journal (.NAME.shoal-journal) of the pieces that are verified
//    and on disk, the .torrent (.NAME.shoal-torrent), and a lock; finish() gives files their modes and times, makes
//    links and empty files, and renames the whole in one step. The journal stays while somebody goes on giving
//    (keeps_journal).
//  - serve(): data that is there already, made or checked by the caller; nothing is ever written.
//
// Always holds: the journal claims a piece only after its bytes are in their place, and says which claims outlive a
// power cut (fsync of the data first, every kSyncBytes); the others outlive the process being killed (see
// torrent_journal.hpp). So a kill loses the pieces in flight and nothing is hashed; a power cut costs hashing
// kSyncBytes at most. open() believes the journal without hashing when sizes and times of the files are as it noted,
// and hashes what is in doubt. No path leaves the output folder, links in the way are never followed; a second process
// in the same place gets StoreErrorKind::in_use. Of pieces at the border of files that are not selected the bytes of
// those files are kept in a side file (.NAME.shoal-side) until finish(), or as long as the journal.
//
// NAME that exists already is never written over. Finished files that are there count as held, and are hashed when no
// journal knows them; one that is wanted and is not what the share holds is an error that says so. Files of a folder
// that are missing go to the part, and from there into it one by one. What is verified stays when another selection no
// longer wants it: after finish() in the part, with the journal, until some later download of the share finishes it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "metainfo/torrent.hpp"
#include "storage/files.hpp"
#include "storage/piece_library.hpp"
#include "storage/piece_store.hpp"

namespace shoal::storage {

struct TorrentStoreOptions {
  std::filesystem::path folder;       // where NAME goes; must exist
  std::optional<std::string> name;    // instead of the manifest's (--output)
  metainfo::InfoHash info_hash;       // what the journal is for
  std::vector<std::string> selected;  // globs over paths ("*.iso", "a/b/*"); empty: every file
  bool keeps_journal = false;         // after finish(): a later run begins without hashing
  // For a share of one file that is only passed on: it never has a name, and goes with the process, however that ends.
  bool is_nameless = false;
};

class TorrentStore final : public PieceStore, public PieceLibrary {
 public:
  // So much is written between two rounds of fsync.
  static constexpr std::uint64_t kSyncBytes = 64u << 20;
  // A file that changed is looked at again when nobody has changed it for so long.
  static constexpr std::chrono::seconds kTouchedSettles{2};

  static std::unique_ptr<TorrentStore> download(TorrentStoreOptions options);
  // `root`: the file, or the folder that holds the files. All pieces are taken as verified while sizes and times stay
  // as they are now; of a file that changed each piece is hashed before it is given. `hashed`: of each file as its
  // pieces were hashed; one that is another now is an error. Without it the pieces are to be hashed from now on.
  static StoreResult<std::unique_ptr<TorrentStore>> serve(const metainfo::Manifest& manifest,
                                                          const std::filesystem::path& root,
                                                          std::span<const FileVersion> hashed = {});
  ~TorrentStore() override;

  // PieceStore. put() takes the bytes of a piece in any order, also twice. Of one that serve() made, open() and
  // finish() only.
  StoreResult<std::vector<seam::HeldPiece>> open(const metainfo::Manifest& manifest) override;
  StoreResult<void> keep_torrent(base::ByteView torrent) override;
  StoreResult<void> begin(seam::WriteId write, std::vector<base::PieceIndex> places, std::uint64_t size_bytes) override;
  StoreResult<void> put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) override;
  StoreResult<bool> complete(seam::WriteId write) override;
  void abandon(seam::WriteId write) override;
  StoreResult<std::string> finish() override;

  // PieceLibrary. Only verified pieces.
  std::optional<seam::ReadablePiecePtr> look_up_verified(const base::Sha1Hash& hash) override;
  seam::ReadablePiecePtr look_up(const base::Sha1Hash& hash) override;

 private:
  class Impl;
  explicit TorrentStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The .torrent files that downloads into this folder keep while they are not finished or go on giving; of the one that
// is to be called `name` only.
[[nodiscard]] std::vector<std::filesystem::path> kept_torrents(const std::filesystem::path& folder,
                                                               const std::optional<std::string>& name);

}  // namespace shoal::storage
