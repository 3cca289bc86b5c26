// Shares of many files for the tests of TorrentStore: their content, their manifest, and downloads of them.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "metainfo/paths.hpp"
#include "metainfo/selection.hpp"
#include "storage/torrent_store.hpp"
#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {

struct TorrentShare {
  metainfo::Manifest manifest;
  base::Bytes content;

  explicit TorrentShare(std::uint32_t piece_bytes, std::string name = "share") {
    manifest.name = std::move(name);
    manifest.layout = metainfo::Layout{.piece_bytes = piece_bytes, .total_bytes = 0, .is_folder = true, .files = {}};
  }

  TorrentShare& file(const std::vector<std::string>& path, std::size_t size) {
    return add(path, make_content(size, ++files_));
  }
  TorrentShare& file_of(const std::vector<std::string>& path, base::Bytes bytes) { return add(path, std::move(bytes)); }
  TorrentShare& executable(const std::vector<std::string>& path, std::size_t size) {
    file(path, size);
    manifest.layout->files.back().is_executable = true;
    return *this;
  }
  TorrentShare& padding(std::size_t size) {
    add({".pad", std::to_string(size)}, base::Bytes(size));
    manifest.layout->files.back().is_padding = true;
    return *this;
  }
  TorrentShare& link(const std::vector<std::string>& path, std::vector<std::string> target) {
    add(path, {});
    manifest.layout->files.back().link_target = std::move(target);
    return *this;
  }
  // After the last file.
  TorrentShare& cut() {
    const base::ByteView all = content;
    manifest.pieces.clear();
    for (std::size_t at = 0; at < all.size(); at += manifest.layout->piece_bytes) {
      manifest.pieces.push_back(
          base::sha1(all.subspan(at, std::min<std::size_t>(manifest.layout->piece_bytes, all.size() - at))));
    }
    return *this;
  }

  [[nodiscard]] base::ByteView piece(std::uint32_t index) const {
    const base::PieceIndex piece(index);
    return base::ByteView(content).subspan(manifest.offset_of(piece), manifest.size_of(piece));
  }
  [[nodiscard]] base::Bytes bytes_of(std::size_t file) const {
    const metainfo::FileEntry& entry = manifest.layout->files[file];
    const base::ByteView bytes = base::ByteView(content).subspan(entry.offset_bytes, entry.size_bytes);
    return {bytes.begin(), bytes.end()};
  }
  [[nodiscard]] std::vector<base::PieceIndex> places_of(std::uint32_t index) const {
    std::vector<base::PieceIndex> places;
    for (std::uint32_t i = 0; i < manifest.piece_count(); ++i) {
      if (manifest.pieces[i] == manifest.pieces[index]) places.emplace_back(i);
    }
    return places;
  }
  [[nodiscard]] std::vector<std::uint32_t> all_pieces() const {
    std::vector<std::uint32_t> all(manifest.piece_count());
    for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
    return all;
  }
  [[nodiscard]] std::vector<std::uint32_t> pieces_of(const std::vector<std::string>& patterns) const {
    const auto wanted = metainfo::pieces_of_files(*manifest.layout, metainfo::select_files(*manifest.layout, patterns));
    std::vector<std::uint32_t> pieces;
    for (std::uint32_t i = 0; i < wanted.size(); ++i) {
      if (wanted.test(base::PieceIndex(i))) pieces.push_back(i);
    }
    return pieces;
  }
  // As they lie on a disk: without padding and links.
  void write_to(const std::filesystem::path& root) const {
    const metainfo::Layout& layout = *manifest.layout;
    for (std::size_t i = 0; i < layout.files.size(); ++i) {
      if (layout.files[i].is_padding || !layout.files[i].link_target.empty()) continue;
      write_file(root / metainfo::join_path(layout.files[i].path), bytes_of(i));
    }
  }
  // A few files across piece borders, a folder in a folder, an empty file.
  static TorrentShare mixed() {
    TorrentShare share(1000);
    share.file({"a.bin"}, 2300)
        .file({"sub", "b.bin"}, 50)
        .file({"sub", "empty"}, 0)
        .file({"sub", "deep", "c.bin"}, 3700);
    return share.file({"z.txt"}, 20).cut();
  }

 private:
  TorrentShare& add(const std::vector<std::string>& path, base::Bytes bytes) {
    metainfo::FileEntry entry{
        .path = path, .offset_bytes = content.size(), .size_bytes = bytes.size(), .link_target = {}};
    manifest.layout->files.push_back(std::move(entry));
    content.insert(content.end(), bytes.begin(), bytes.end());
    manifest.layout->total_bytes = content.size();
    return *this;
  }

  std::uint64_t files_ = 0;
};

// The indices of what open() says is there, or what went wrong.
inline std::vector<std::uint32_t> open_indices(PieceStore& store, const metainfo::Manifest& manifest) {
  const auto held = store.open(manifest);
  EXPECT_TRUE(held) << held.error().message;
  std::vector<std::uint32_t> indices;
  for (const seam::HeldPiece& piece : held.value_or(std::vector<seam::HeldPiece>{})) {
    EXPECT_EQ(piece.size_bytes, manifest.size_of(piece.piece));
    indices.push_back(piece.piece.value);
  }
  return indices;
}

inline StoreResult<bool> try_put(PieceStore& store, const TorrentShare& share, std::uint32_t index) {
  const seam::WriteId write(500'000 + index);
  const base::ByteView bytes = share.piece(index);
  if (auto begun = store.begin(write, share.places_of(index), bytes.size()); !begun)
    return std::unexpected(begun.error());
  if (auto stored = store.put(write, 0, bytes); !stored) return std::unexpected(stored.error());
  return store.complete(write);
}

inline void put_pieces(PieceStore& store, const TorrentShare& share, const std::vector<std::uint32_t>& indices) {
  for (const std::uint32_t index : indices) {
    const auto stored = try_put(store, share, index);
    ASSERT_TRUE(stored) << stored.error().message;
    EXPECT_TRUE(*stored) << "piece " << index;
  }
}

// How many bytes this process has read so far.
inline std::uint64_t bytes_read() {
  std::ifstream io("/proc/self/io");
  std::string label;
  std::uint64_t count = 0;
  io >> label >> count;
  return count;
}

inline base::Bytes read_all(const seam::ReadablePiece& piece) {
  base::Bytes bytes(piece.size_bytes());
  bytes.resize(piece.read_at(0, bytes));
  return bytes;
}

class TorrentStoreFixture : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path in(std::string_view name) const { return folder_.path() / name; }
  [[nodiscard]] std::unique_ptr<TorrentStore> make_store(std::vector<std::string> selected = {},
                                                         bool keeps_journal = false) const {
    return TorrentStore::download({.folder = folder_.path(),
                                   .name = {},
                                   .info_hash = base::sha1(base::view_of("this share")),
                                   .selected = std::move(selected),
                                   .keeps_journal = keeps_journal});
  }
  // A download of these pieces that ended before it was finished.
  void leave_behind(const TorrentShare& share, const std::vector<std::uint32_t>& pieces,
                    std::vector<std::string> selected = {}) const {
    const auto store = make_store(std::move(selected));
    open_indices(*store, share.manifest);
    put_pieces(*store, share, pieces);
  }
  void download_all(const TorrentShare& share, bool keeps_journal = false) const {
    const auto store = make_store({}, keeps_journal);
    open_indices(*store, share.manifest);
    put_pieces(*store, share, share.all_pieces());
    const auto path = store->finish();
    ASSERT_TRUE(path) << path.error().message;
  }
  [[nodiscard]] std::string journal() const {
    return std::string(base::text_of(read_file(in(".share.shoal-journal")).value()));
  }
  // As if the machine had been started anew since.
  void forget_boot() const {
    std::string text = journal();
    const std::size_t at = text.find("\nboot ") + 6;
    text[at] = text[at] == '0' ? '1' : '0';
    const auto modified = std::filesystem::last_write_time(in(".share.shoal-journal"));
    write_file(in(".share.shoal-journal"), text);
    std::filesystem::last_write_time(in(".share.shoal-journal"), modified);
  }
  void expect_files(const TorrentShare& share, const std::vector<std::size_t>& files) const {
    for (const std::size_t file : files) {
      const std::string path = metainfo::join_path(share.manifest.layout->files[file].path);
      EXPECT_TRUE(read_file(in(share.manifest.name) / path) == share.bytes_of(file)) << path;
    }
  }
  void expect_error(const StoreResult<std::vector<seam::HeldPiece>>& opened, seam::StoreErrorKind kind,
                    std::string_view what) const {
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, kind) << opened.error().message;
    EXPECT_NE(opened.error().message.find(what), std::string::npos) << opened.error().message;
  }

  TemporaryFolder folder_;
};

}  // namespace shoal::storage::testing
