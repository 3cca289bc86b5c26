// What the storage tests share: a folder that lives as long as the test, files in it, and content cut in pieces.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/rng.hpp"
#include "base/sha1.hpp"
#include "metainfo/manifest.hpp"
#include "storage/piece_store.hpp"

namespace shoal::storage::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "shoal-storage-XXXXXX").native();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, base::ByteView bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(base::text_of(bytes).data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(out.good()) << path;
}
inline void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(path, base::view_of(text));
}

// Nothing when there is no such plain file.
inline std::optional<base::Bytes> read_file(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(path))) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const base::ByteView bytes = base::view_of(text);
  return base::Bytes(bytes.begin(), bytes.end());
}

inline std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

inline base::Bytes make_content(std::size_t size, std::uint64_t seed = 1) {
  base::Rng rng(seed);
  base::Bytes content(size);
  for (std::byte& byte : content) byte = static_cast<std::byte>(rng.next());
  return content;
}

// A file as its pieces, with the manifest that describes it.
struct CutFile {
  metainfo::Manifest manifest;
  std::vector<base::Bytes> pieces;

  explicit CutFile(std::vector<base::Bytes> parts, std::string name = "film.bin") : pieces(std::move(parts)) {
    manifest.name = std::move(name);
    for (const base::Bytes& piece : pieces) manifest.pieces.push_back(base::sha1(piece));
  }
  // `count` pieces of `usual` bytes, the last one of `last`.
  static CutFile regular(std::uint32_t count, std::size_t usual, std::size_t last) {
    std::vector<base::Bytes> parts;
    for (std::uint32_t i = 0; i < count; ++i) parts.push_back(make_content(i + 1 < count ? usual : last, i + 1));
    return CutFile(std::move(parts));
  }

  [[nodiscard]] base::Bytes whole() const {
    base::Bytes all;
    for (const base::Bytes& piece : pieces) all.insert(all.end(), piece.begin(), piece.end());
    return all;
  }
  // As a torrent of one file describes it.
  [[nodiscard]] metainfo::Manifest with_layout() const {
    metainfo::Manifest described = manifest;
    const std::uint64_t total = whole().size();
    const auto usual = static_cast<std::uint32_t>(pieces.empty() ? 1 : pieces.front().size());
    metainfo::FileEntry entry{.path = {manifest.name}, .offset_bytes = 0, .size_bytes = total, .link_target = {}};
    described.layout =
        metainfo::Layout{.piece_bytes = usual, .total_bytes = total, .is_folder = false, .files = {std::move(entry)}};
    return described;
  }
  [[nodiscard]] std::vector<base::PieceIndex> places_of(std::uint32_t piece) const {
    std::vector<base::PieceIndex> places;
    for (std::uint32_t i = 0; i < manifest.piece_count(); ++i) {
      if (manifest.pieces[i] == manifest.pieces[piece]) places.emplace_back(i);
    }
    return places;
  }
  // What open() says when exactly these are there.
  [[nodiscard]] std::vector<seam::HeldPiece> held(const std::vector<std::uint32_t>& indices) const {
    std::vector<seam::HeldPiece> held;
    for (const std::uint32_t i : indices) held.push_back({base::PieceIndex(i), pieces[i].size()});
    return held;
  }
};

// Sends `bytes` as piece `index` of the file, in blocks, without completing it.
inline void send(PieceStore& store, seam::WriteId write, const CutFile& file, std::uint32_t index,
                 base::ByteView bytes) {
  ASSERT_TRUE(store.begin(write, file.places_of(index), bytes.size()));
  const std::size_t half = bytes.size() / 2;
  std::uint64_t offset_bytes = 0;
  for (const base::ByteView block : {bytes.first(half), bytes.subspan(half)}) {
    const auto stored = store.put(write, offset_bytes, block);
    ASSERT_TRUE(stored) << stored.error().message;
    offset_bytes += block.size();
  }
}

inline void put(PieceStore& store, const CutFile& file, std::uint32_t index, std::uint64_t write_number = 0) {
  const seam::WriteId write(write_number == 0 ? 1000000 + index : write_number);
  send(store, write, file, index, file.pieces[index]);
  const auto completed = store.complete(write);
  ASSERT_TRUE(completed) << completed.error().message;
  EXPECT_TRUE(*completed) << "piece " << index;
}

}  // namespace shoal::storage::testing
