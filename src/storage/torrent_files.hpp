// The bytes of a torrent's share as one run from 0 to total_bytes, wherever they lie: in finished files, in files of
// the part, or, when they belong to files nobody wants (pieces at borders), at the same offset of the side file.
// Padding is nowhere and reads as zeros. TorrentStore and the pieces it gives read and write through this.
//
// Always holds: nothing outside `folder` is touched and no link below it is followed, whatever others put there
// meanwhile; a finished file is never written to; of the kept descriptors (storage/descriptors.hpp) half at most are
// files that stay open, besides those in use at the moment, and these make room when none is left.
//
// Threads: all functions from several at once.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.hpp"
#include "base/sha1.hpp"
#include "metainfo/manifest.hpp"
#include "metainfo/selection.hpp"
#include "storage/files.hpp"
#include "storage/folder.hpp"
#include "storage/piece_store.hpp"

namespace shoal::storage {

// What changes when a file's content does, and survives a restart of the machine.
struct FileStamp {
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};
[[nodiscard]] FileStamp stamp_of(const FileVersion& version);

// How messages go on that name a file which is there already.
inline constexpr std::string_view kIsSomethingElse =
    "is not what the share holds; move it away, or choose another place";

// The names of the folders that it lies in.
[[nodiscard]] inline std::span<const std::string> folders_of(const metainfo::FileEntry& entry) {
  return std::span(entry.path).first(entry.path.size() - 1);
}

struct TorrentFilesOptions {
  FolderPtr folder;
  // In it: the file, or the folder that holds the files. Empty: there is none.
  std::string part;
  std::string whole;  // likewise, of finished files
  std::string side;
  std::shared_ptr<const metainfo::Manifest> manifest;  // with a layout
  std::vector<bool> in_tree;                           // by file: the others' bytes belong to the side file
  std::vector<bool> is_whole;                          // by file: it is a finished one; empty: none is
  bool is_nameless = false;                            // the part of a single file: it goes with this object
};

// Of a finished file since freeze().
enum class Changes : std::uint8_t { refused, accepted };

class TorrentFiles {
 public:
  // Bytes that lie in one place. `file`: an index of the layout, or side_number().
  struct Stretch {
    std::uint32_t file = 0;
    std::uint64_t offset = 0;  // in that file
    std::uint64_t size_bytes = 0;
    std::uint64_t from = 0;  // in what was asked for
    bool is_padding = false;
  };
  using Handle = std::shared_ptr<const UniqueFd>;

  explicit TorrentFiles(TorrentFilesOptions options);

  [[nodiscard]] const metainfo::Layout& layout() const { return *manifest_->layout; }
  [[nodiscard]] std::uint32_t file_count() const { return static_cast<std::uint32_t>(layout().files.size()); }
  [[nodiscard]] std::uint32_t side_number() const { return file_count(); }
  [[nodiscard]] bool is_in_tree(std::uint32_t file) const { return file < file_count() && in_tree_[file]; }
  [[nodiscard]] const std::vector<bool>& in_tree() const { return in_tree_; }
  [[nodiscard]] bool is_whole(std::uint32_t file) const;
  [[nodiscard]] bool touches_whole(ByteRange range) const;
  // Where the range lies, in order. Neighbours of one place are one.
  [[nodiscard]] std::vector<Stretch> stretches(ByteRange range) const;
  [[nodiscard]] ByteRange range_of(base::PieceIndex piece) const;
  [[nodiscard]] std::string path_of(std::uint32_t file) const;  // for messages

  // Bytes of padding go nowhere; those of finished files must be there already, or it is an error. Creates files and
  // folders where none were. A file that somebody else has cut or removed since it was written to is an error, from
  // then on.
  [[nodiscard]] StoreResult<void> write(std::uint64_t offset, base::ByteView bytes);
  // How many bytes could be read: fewer when something is missing, cut short, or changed where that is refused.
  [[nodiscard]] std::size_t read(std::uint64_t offset, std::span<std::byte> target, Changes changes = Changes::refused);
  [[nodiscard]] std::optional<base::Sha1Hash> hash(ByteRange range, Changes changes = Changes::refused);
  // The bytes at `from` of a file of the caller's, or of this share, to `to`.
  [[nodiscard]] StoreResult<void> copy_in(int source, std::uint64_t from, ByteRange to);
  [[nodiscard]] StoreResult<void> copy_within(std::uint64_t from, ByteRange to);

  [[nodiscard]] SysResult<Handle> open(std::uint32_t file, Changes changes = Changes::refused);
  [[nodiscard]] StoreResult<Handle> create(std::uint32_t file);  // or open, when it is there by our hand
  [[nodiscard]] SysResult<FileStamp> look_at(std::uint32_t file);
  // Of each file of the range, in order, as what bears its name is now; nothing when one cannot be read.
  [[nodiscard]] std::optional<std::vector<FileVersion>> versions_of(ByteRange range);
  // A symbolic link to its target, and the executable bit. What bears a link's name in the part is removed first; what
  // bears it among finished files stays.
  [[nodiscard]] StoreResult<void> make_link(std::uint32_t file);
  [[nodiscard]] StoreResult<void> make_executable(std::uint32_t file);
  // The time of the file's last change that the share says.
  [[nodiscard]] StoreResult<void> set_time(std::uint32_t file);
  void remove(std::uint32_t file);  // and folders that are empty without it

  // A file that is there now, of this size, is one of ours: it is opened, not replaced, and an error when it goes.
  void know(std::uint32_t file, std::uint64_t size_bytes);
  // Whether it reaches as far as it did by our hand.
  [[nodiscard]] StoreResult<void> check_ours(std::uint32_t file, int fd);
  // Files found cut or removed since the last call.
  [[nodiscard]] std::vector<std::uint32_t> take_changed();
  // Cuts off what lies behind the end that the share says.
  [[nodiscard]] StoreResult<void> trim(std::uint32_t file);
  // The part gets the name of the whole, which nothing may bear: all files are finished ones now.
  [[nodiscard]] StoreResult<void> move_all_to_whole();
  // The same for one file of a folder.
  [[nodiscard]] StoreResult<void> move_to_whole(std::uint32_t file);
  // From now on a finished file that is not as it is now cannot be read, but where changes are accepted.
  void freeze();

 private:
  struct Location {
    FolderPtr folder;
    std::string name;
  };
  struct Cached {
    Handle handle;
    std::list<std::uint32_t>::iterator age;
  };

  enum class Root : std::uint8_t { part, whole };
  [[nodiscard]] Root root_of(std::uint32_t file) const { return is_whole(file) ? Root::whole : Root::part; }
  [[nodiscard]] const std::string& name_of(Root root) const { return root == Root::whole ? whole_ : part_; }
  [[nodiscard]] SysResult<Location> locate(std::uint32_t file, Folder::Missing missing);
  [[nodiscard]] SysResult<Location> locate_in(Root root, std::uint32_t file, Folder::Missing missing);
  [[nodiscard]] SysResult<FolderPtr> parent_of(Root root, const metainfo::FileEntry& entry, Folder::Missing missing);
  [[nodiscard]] Handle cached(std::uint32_t file);
  Handle keep(std::uint32_t file, UniqueFd fd);
  void forget(std::uint32_t file);
  // `open()`; as long as there is no descriptor for it, those kept open the longest without use go.
  template <typename Open>
  [[nodiscard]] auto with_room(const Open& open);
  [[nodiscard]] bool make_room();
  [[nodiscard]] bool drop_oldest();  // with mutex_ held
  [[nodiscard]] bool is_known(std::uint32_t file);
  void reach(std::uint32_t file, std::uint64_t end);
  [[nodiscard]] SysResult<Handle> open_anew(std::uint32_t file);
  void remove_empty_folders(std::span<const std::string> path);
  [[nodiscard]] std::size_t read_stretch(const Stretch& stretch, std::span<std::byte> target,
                                         Changes changes = Changes::refused);
  [[nodiscard]] StoreResult<void> write_stretch(const Stretch& stretch, base::ByteView bytes);
  [[nodiscard]] StoreResult<void> copy_stretch(int source, std::uint64_t from, const Stretch& to);
  [[nodiscard]] StoreResult<Handle> open_to_write(std::uint32_t file);
  [[nodiscard]] StoreResult<void> compare(const Stretch& stretch, base::ByteView bytes);
  [[nodiscard]] seam::StoreError error_at(std::uint32_t file, int error_number, std::string_view tried) const;
  [[nodiscard]] seam::StoreError change_of(std::uint32_t file, std::string_view what);

  using Stamps = std::vector<std::optional<FileStamp>>;  // by file
  [[nodiscard]] SysResult<FolderPtr> root_folder(Root root, Folder::Missing missing);
  [[nodiscard]] std::shared_ptr<const Stamps> frozen();

  const FolderPtr folder_;
  const std::string part_;
  const std::string whole_;
  const std::string side_;
  const bool is_nameless_;
  const std::shared_ptr<const metainfo::Manifest> manifest_;
  const std::vector<bool> in_tree_;
  const std::size_t open_files_max_;

  std::mutex creating_;       // held while a file is created, before mutex_
  mutable std::mutex mutex_;  // guards what follows
  std::vector<bool> is_whole_;
  // Once opened: a rename of the root changes nothing for what is below it.
  FolderPtr part_folder_;
  FolderPtr whole_folder_;
  std::shared_ptr<const Stamps> frozen_;
  std::vector<bool> known_;
  std::vector<std::uint64_t> reached_;  // by file: as far as it goes by our hand
  std::vector<std::uint32_t> changed_;  // found cut or removed, not taken yet
  std::list<std::uint32_t> ages_;       // the latest in front
  std::unordered_map<std::uint32_t, Cached> open_;
  // The folder that was used last: neighbours of a share lie together.
  Root last_root_ = Root::part;
  std::span<const std::string> last_path_;
  FolderPtr last_folder_;
};

}  // namespace shoal::storage
