#include "roles/name_files.hpp"

#include <gtest/gtest.h>

namespace shoal::roles {
namespace {

using base::PieceIndex;

// Pieces of 10 bytes.
metainfo::Layout layout_of(std::vector<metainfo::FileEntry> files) {
  std::uint64_t end = 0;
  for (metainfo::FileEntry& file : files) {
    file.offset_bytes = end;
    end += file.size_bytes;
  }
  return {.piece_bytes = 10, .total_bytes = end, .is_folder = true, .files = std::move(files)};
}

metainfo::Layout some_layout() {
  return layout_of({{.path = {"a"}, .size_bytes = 20},
                    {.path = {"none"}, .size_bytes = 0},
                    {.path = {"docs", "b"}, .size_bytes = 5},
                    {.path = {".pad", "15"}, .size_bytes = 15, .is_padding = true},
                    {.path = {"c"}, .size_bytes = 10}});
}

TEST(NameFiles, NamesThoseWithBytesInThePieces) {
  const metainfo::Layout layout = some_layout();
  EXPECT_EQ(name_files_with(layout, {PieceIndex(0)}), "a");
  EXPECT_EQ(name_files_with(layout, {PieceIndex(1)}), "a");
  EXPECT_EQ(name_files_with(layout, {PieceIndex(2)}), "docs/b");
  EXPECT_EQ(name_files_with(layout, {PieceIndex(3)}), "");  // nothing but padding
  EXPECT_EQ(name_files_with(layout, {PieceIndex(1), PieceIndex(4)}), "a, c");
  EXPECT_EQ(name_files_with(layout, {PieceIndex(1), PieceIndex(4)}, {"c", "b"}), "c");
  EXPECT_EQ(name_files_with(layout, {}), "");
}

TEST(NameFiles, NamesAllButPadding) {
  EXPECT_EQ(name_files(some_layout()), "a, none, docs/b, c");
}

TEST(NameFiles, CountsWhatAMessageHasNoRoomFor) {
  std::vector<metainfo::FileEntry> files;
  for (int i = 0; i < 12; ++i) files.push_back({.path = {std::to_string(i)}, .size_bytes = 1});
  EXPECT_EQ(name_files(layout_of(std::move(files))), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
}

}  // namespace
}  // namespace shoal::roles
