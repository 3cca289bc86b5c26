#include "storage/torrent_piece.hpp"

#include <algorithm>
#include <utility>

#include "storage/descriptors.hpp"

namespace shoal::storage {
namespace {

class PieceInOneFile final : public seam::ReadablePiece {
 public:
  PieceInOneFile(TorrentFiles::Handle file, ByteRange range) : file_(std::move(file)), range_(range) {}

  [[nodiscard]] std::uint64_t size_bytes() const override { return range_.size_bytes; }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    if (offset >= range_.size_bytes) return 0;
    const std::size_t count = std::min<std::uint64_t>(target.size(), range_.size_bytes - offset);
    return storage::read_at(file_->get(), target.first(count), range_.offset + offset);
  }
  [[nodiscard]] int file_descriptor() const override { return file_->get(); }
  [[nodiscard]] std::uint64_t file_offset() const override { return range_.offset; }

 private:
  TorrentFiles::Handle file_;
  ByteRange range_;  // in the file
};

class PieceAcrossFiles final : public seam::ReadablePiece {
 public:
  PieceAcrossFiles(std::shared_ptr<TorrentFiles> files, ByteRange range) : files_(std::move(files)), range_(range) {}

  [[nodiscard]] std::uint64_t size_bytes() const override { return range_.size_bytes; }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    if (offset >= range_.size_bytes) return 0;
    const std::size_t count = std::min<std::uint64_t>(target.size(), range_.size_bytes - offset);
    return files_->read(range_.offset + offset, target.first(count), Changes::accepted);
  }

 private:
  std::shared_ptr<TorrentFiles> files_;
  ByteRange range_;  // in the share
};

}  // namespace

seam::ReadablePiecePtr make_torrent_piece(const std::shared_ptr<TorrentFiles>& files, ByteRange range,
                                          Changes changes) {
  const std::vector<TorrentFiles::Stretch> stretches = files->stretches(range);
  TorrentFiles::Handle last;
  for (const TorrentFiles::Stretch& stretch : stretches) {
    if (stretch.is_padding) continue;
    auto opened = files->open(stretch.file, changes);
    if (!opened) return nullptr;
    last = *std::move(opened);
  }
  const bool holds_its_file = stretches.size() == 1 && last != nullptr && !is_of_the_kept(last->get());
  if (!holds_its_file) return std::make_shared<const PieceAcrossFiles>(files, range);
  return std::make_shared<const PieceInOneFile>(std::move(last), ByteRange{stretches.front().offset, range.size_bytes});
}

}  // namespace shoal::storage
