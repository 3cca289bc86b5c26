// What a torrent's download has verified so far, so that the next run begins at once, without hashing. Claims come in
// two strengths. A `piece` line is written as soon as the piece's bytes are in their place: it is true after the
// process was killed, because the kernel still has them, but not after a power cut. A `synced` line is written after
// fsync of the files those bytes are in, and makes the pieces named before it true for ever. Which of the two the last
// run ended with, the id of the machine's boot tells.
//
//   shoal torrent journal 1
//   share <info-hash> <pieces> <files>
//   boot <id>
//   tree <hex>                 the files that lie in the tree, one bit each; the bytes of others are in the side file
//   held <hex>                 the pieces that are on disk, one bit each
//   file <n> <bytes> <ns>      size and modification time of a file that nothing was written to since
//   dirty <n>                  something will be written to this file now
//   piece <n>                  verified, in its place
//   changed <n>                somebody else cut or removed this file: what is claimed of its pieces has to be hashed
//   synced <offset>            the bytes of pieces named before this byte of the journal are on disk
//   closed                     the program ended in peace; all stamps are what they will be
//
// A last line without its end, or a line that makes no sense, is no line. The journal's own modification time is moved
// on before and after each write to a file (touch()), so that a file that was changed later than that was changed by
// somebody else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bitfield.hpp"
#include "metainfo/torrent.hpp"
#include "storage/folder.hpp"
#include "storage/torrent_files.hpp"

namespace shoal::storage {

struct NotedFile {
  std::optional<FileStamp> stamp;
  bool is_dirty = false;
};

struct TorrentClaims {
  base::Bitfield held;                       // on disk
  std::vector<base::PieceIndex> new_pieces;  // in their place; on disk only by chance
  std::vector<bool> in_tree;                 // by file
  std::unordered_map<std::uint32_t, NotedFile> files;
  bool is_closed = false;
  bool is_same_boot = false;    // since the journal's last line
  std::int64_t touched_ns = 0;  // the journal's modification time
};

// Which share a journal is for.
struct JournalKey {
  metainfo::InfoHash info_hash;
  std::uint32_t piece_count = 0;
  std::uint32_t file_count = 0;  // of the layout; the side file has this number
};

enum class JournalError : std::uint8_t {
  unreadable,   // not there, or no journal
  other_share,  // a journal, but not of this share
};
[[nodiscard]] std::expected<TorrentClaims, JournalError> parse_torrent_journal(std::string_view text,
                                                                               const JournalKey& key,
                                                                               std::string_view boot_id);
[[nodiscard]] std::expected<TorrentClaims, JournalError> read_torrent_journal(const Folder& folder,
                                                                              const std::string& name,
                                                                              const JournalKey& key);

// Not for several threads at once, but sync() and touch().
class TorrentJournal {
 public:
  // Replaces the file `name` by one with these claims, in one step that survives a power cut.
  static StoreResult<TorrentJournal> create(const FolderPtr& folder, const std::string& name, const JournalKey& key,
                                            const TorrentClaims& claims);

  StoreResult<void> add_dirty(std::uint32_t file);
  StoreResult<void> add_pieces(std::span<const base::PieceIndex> pieces);
  struct Note {
    std::uint32_t file = 0;
    FileStamp stamp;
  };
  // The stamps, and that the pieces named before `offset` are on disk.
  StoreResult<void> add_synced(std::span<const Note> notes, std::uint64_t offset);
  StoreResult<void> add_closed();
  StoreResult<void> add_changed(std::uint32_t file);
  // What was not synced counts as after a power cut.
  StoreResult<void> add_boot_unknown();
  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }

  StoreResult<void> sync() const;
  void touch() const;

 private:
  TorrentJournal(std::string path, UniqueFd fd, std::uint64_t size_bytes)
      : path_(std::move(path)), fd_(std::move(fd)), size_bytes_(size_bytes) {}
  StoreResult<void> add(const std::string& lines);

  std::string path_;
  UniqueFd fd_;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace shoal::storage
