// A download into one file of the user's choice. Each byte is written once: a piece goes straight to its place in a
// part file beside the final one, which is renamed at the end. placement.hpp decides where a piece goes,
// download_journal.hpp remembers what is there.
//
// Beside FILE, while the download is not finished: .FILE.shoal-part, .FILE.shoal-side (what does not fit),
// .FILE.shoal-journal and .FILE.shoal-lock; .FILE.shoal-whole while odd pieces are put together. An existing FILE stays
// as it is until the new one replaces it in one step.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/download_journal.hpp"
#include "storage/files.hpp"
#include "storage/folder.hpp"
#include "storage/piece_store.hpp"
#include "storage/placement.hpp"

namespace shoal::storage {

class SingleFileStore final : public PieceStore {
 public:
  // The folder of `file` must exist.
  explicit SingleFileStore(const std::filesystem::path& file);
  ~SingleFileStore() override;

  StoreResult<std::vector<seam::HeldPiece>> open(const metainfo::Manifest& manifest) override;
  StoreResult<void> begin(seam::WriteId write, std::vector<base::PieceIndex> places, std::uint64_t size_bytes) override;
  StoreResult<void> put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) override;
  StoreResult<bool> complete(seam::WriteId write) override;
  void abandon(seam::WriteId write) override;
  StoreResult<std::string> finish() override;

 private:
  struct Write;
  using SharedFd = std::shared_ptr<const UniqueFd>;  // writers may outlive an exchanged part file

  StoreResult<void> prepare_folder();
  [[nodiscard]] JournalClaims verified_claims() const;
  StoreResult<void> resume(const JournalClaims& claims);
  [[nodiscard]] bool recognise_existing();

  StoreResult<SharedFd> file_for(Placement::Where where);
  StoreResult<void> place_verified(const Write& write);
  StoreResult<void> copy_to_place(const SharedFd& from, const Placement::Extent& extent, base::PieceIndex place);
  StoreResult<void> complete_part();
  StoreResult<void> assemble();
  void remove_leftovers() const;

  const std::filesystem::path path_;
  const std::string name_;
  const std::string part_name_;
  const std::string side_name_;
  const std::string journal_name_;
  const std::string whole_name_;
  FolderPtr folder_;
  std::optional<LockFile> lock_;
  metainfo::Manifest manifest_;
  // The file was there already, whole: its version, and its pieces.
  std::optional<FileVersion> existing_;
  std::vector<ByteRange> existing_places_;

  std::mutex mutex_;  // guards what follows
  Placement placement_;
  std::optional<DownloadJournal> journal_;
  SharedFd part_;
  SharedFd side_;  // null until something goes there
  std::unordered_map<seam::WriteId, std::shared_ptr<Write>> writes_;
};

}  // namespace shoal::storage
