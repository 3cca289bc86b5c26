// Inside of TorrentStore; nobody else includes this.
//
// A piece on its way has a home: its place in the share, when nobody else is writing there and it is not verified yet;
// otherwise a nameless file of its own; so does one with bytes of finished files, which are compared and never written.
// So a place has at most one writer, and verified bytes have none. When a piece
// in a file of its own turns out right before the one at the place is complete, it takes the place, and the other goes
// on in a file of its own.
//
// Locks, in the order they are taken: Write::mutex, writing_, mutex_.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "storage/torrent_finishing.hpp"
#include "storage/torrent_journal.hpp"
#include "storage/torrent_opening.hpp"
#include "storage/torrent_store.hpp"

namespace shoal::storage {

class TorrentStore::Impl {
 public:
  explicit Impl(TorrentStoreOptions options);  // download()
  Impl(std::shared_ptr<const metainfo::Manifest> manifest, std::shared_ptr<TorrentFiles> files, std::string path);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();

  StoreResult<std::vector<seam::HeldPiece>> open(const metainfo::Manifest& manifest);
  StoreResult<void> keep_torrent(base::ByteView torrent);
  StoreResult<void> begin(seam::WriteId write, const std::vector<base::PieceIndex>& places, std::uint64_t size_bytes);
  StoreResult<void> put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes);
  StoreResult<bool> complete(seam::WriteId write);
  void abandon(seam::WriteId write);
  StoreResult<std::string> finish();
  // Nothing: it takes more than a quick look.
  enum class Look : std::uint8_t { quick, thorough };
  std::optional<seam::ReadablePiecePtr> look_up(const base::Sha1Hash& hash, Look look);

 private:
  struct Write {
    std::vector<base::PieceIndex> places;  // where it goes; the first one is its home; none: its size is a lie
    std::uint64_t size_bytes = 0;
    base::Sha1Hash hash;

    std::mutex mutex;   // guards what follows
    UniqueFd own_file;  // open: instead of the home
    base::Sha1Hasher hasher;
    std::uint64_t hashed_bytes = 0;  // from the front, as they came
    bool is_hashed_in_order = true;  // nothing of that was written over
    bool is_spoilt = false;          // a write failed, or something else than zeros came for padding
    bool is_ended = false;

    bool is_claiming = false;  // with mutex_: it is right, and on its way to its places
  };
  using WritePtr = std::shared_ptr<Write>;

  // What a piece of files that somebody touched turned out to be, as long as they stay as they were then.
  struct Judged {
    std::vector<FileVersion> versions;
    bool is_right = false;
  };

  // --- open and finish (torrent_store_ends.cpp) ---
  StoreResult<std::vector<seam::HeldPiece>> open_nameless(std::shared_ptr<const metainfo::Manifest> manifest);
  StoreResult<void> prepare_place(const metainfo::Manifest& manifest);
  StoreResult<void> choose_files(const metainfo::Manifest& manifest);
  void remove_journal();
  void adopt(OpenedTorrent& opened, std::shared_ptr<const metainfo::Manifest> manifest,
             std::optional<TorrentJournal> journal);
  [[nodiscard]] std::vector<seam::HeldPiece> held() const;
  StoreResult<void> finish_part(const std::vector<bool>& rest);
  StoreResult<void> sync_and_check();
  StoreResult<void> keep_or_remove_journal(const std::vector<bool>& rest);

  // --- giving ---
  std::optional<seam::ReadablePiecePtr> look_up_touched(const std::shared_ptr<TorrentFiles>& files,
                                                        base::PieceIndex piece, const base::Sha1Hash& hash, Look look);
  [[nodiscard]] std::optional<bool> judged(base::PieceIndex piece, const std::vector<FileVersion>& versions) const;

  // --- writing ---
  [[nodiscard]] WritePtr find(seam::WriteId write);
  [[nodiscard]] WritePtr extract(seam::WriteId write);
  StoreResult<void> write_aside(Write& write, std::uint64_t offset_bytes, base::ByteView bytes);
  StoreResult<void> write_to_share(ByteRange range, base::ByteView bytes);
  [[nodiscard]] bool is_right(Write& write);
  StoreResult<void> settle(const WritePtr& write);
  StoreResult<void> move_aside(Write& write);
  StoreResult<void> bring_to(base::PieceIndex place, Write& write);
  StoreResult<void> claim(const WritePtr& write);
  void release(const WritePtr& write);
  StoreResult<void> mark_dirty(ByteRange range);
  StoreResult<void> mark_dirty(std::uint32_t file);
  void note_changed();
  StoreResult<void> sync();
  [[nodiscard]] StoreResult<std::vector<TorrentJournal::Note>> sync_files(const std::vector<std::uint32_t>& files);

  TorrentStoreOptions options_;
  TorrentPlace place_;
  std::string path_;  // of the finished share
  bool is_serving_ = false;
  std::optional<LockFile> lock_;
  std::vector<bool> wanted_;  // by file
  base::Bitfield wanted_pieces_;
  bool has_whole_ = false;  // something of the share bears its final name

  std::shared_mutex
      writing_;               // shared: while bytes go into files of the share; alone: while dirty_ is read and cleared
  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<const metainfo::Manifest> manifest_;
  std::shared_ptr<TorrentFiles> files_;
  std::vector<base::PieceIndex> by_hash_;
  base::Bitfield verified_;
  std::unordered_map<base::PieceIndex, Judged> judged_;
  std::unordered_map<seam::WriteId, WritePtr> writes_;
  std::unordered_map<base::PieceIndex, WritePtr> owners_;  // who writes at this place
  std::optional<TorrentJournal> journal_;
  // Whether the journal says that a file is being written to; the side file is the last one. Set with mutex_.
  std::unique_ptr<std::atomic<bool>[]> is_dirty_;
  std::vector<std::uint32_t> dirty_;
  NotedStamps noted_;
  std::uint64_t unsynced_bytes_ = 0;
  bool is_syncing_ = false;
  bool has_sync_failed_ = false;
};

}  // namespace shoal::storage
