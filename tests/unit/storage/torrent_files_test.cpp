#include "storage/torrent_files.hpp"

#include "unit/storage/torrent_fixture.hpp"

namespace shoal::storage::testing {
namespace {

class TorrentFilesTest : public ::testing::Test {
 protected:
  TorrentFilesTest() : folder_(*Folder::open(directory_.path(), Folder::Missing::is_an_error)) {
    share_.file({"a"}, 1500).file({"sub", "none"}, 0).padding(500).file({"sub", "b"}, 300).file({"c"}, 800).cut();
  }
  [[nodiscard]] std::unique_ptr<TorrentFiles> make(std::vector<bool> in_tree, bool is_whole = false) const {
    return std::make_unique<TorrentFiles>(
        TorrentFilesOptions{.folder = folder_,
                            .part = is_whole ? "" : "root",
                            .whole = is_whole ? "root" : "final",
                            .side = "side",
                            .manifest = std::make_shared<const metainfo::Manifest>(share_.manifest),
                            .in_tree = std::move(in_tree),
                            .is_whole = std::vector<bool>(5, is_whole)});
  }
  [[nodiscard]] std::filesystem::path in(std::string_view name) const { return directory_.path() / name; }

  const std::vector<bool> all_ = std::vector<bool>(5, true);
  TorrentShare share_{1000};
  TemporaryFolder directory_;
  FolderPtr folder_;
};

TEST_F(TorrentFilesTest, SaysWhereARangeLies) {
  const auto files = make(all_);
  const auto stretches = files->stretches({1400, 1000});
  ASSERT_EQ(stretches.size(), 4u);
  EXPECT_EQ(stretches[0].file, 0u);
  EXPECT_EQ(stretches[0].offset, 1400u);
  EXPECT_EQ(stretches[0].size_bytes, 100u);
  EXPECT_TRUE(stretches[1].is_padding);
  EXPECT_EQ(stretches[1].size_bytes, 500u);
  EXPECT_EQ(stretches[2].file, 3u);
  EXPECT_EQ(stretches[2].from, 600u);
  EXPECT_EQ(stretches[3].file, 4u);
  EXPECT_EQ(stretches[3].size_bytes, 100u);
  EXPECT_TRUE(files->stretches({3100, 0}).empty());
}

TEST_F(TorrentFilesTest, KeepsTheBytesOfUnwantedFilesInOneRunOfTheSideFile) {
  const auto files = make({true, true, true, false, false});
  const auto stretches = files->stretches({2000, 1100});
  ASSERT_EQ(stretches.size(), 1u);
  EXPECT_EQ(stretches[0].file, files->side_number());
  EXPECT_EQ(stretches[0].offset, 2000u);
  ASSERT_TRUE(files->write(2000, base::ByteView(share_.content).subspan(2000)));
  EXPECT_FALSE(std::filesystem::exists(in("root")));
  EXPECT_EQ(std::filesystem::file_size(in("side")), 3100u);
}

TEST_F(TorrentFilesTest, ReadsWhatItWroteAcrossFiles) {
  const auto files = make(all_);
  ASSERT_TRUE(files->write(700, base::ByteView(share_.content).subspan(700, 2000)));
  base::Bytes back(2000);
  EXPECT_EQ(files->read(700, back), 2000u);
  EXPECT_TRUE(std::ranges::equal(back, base::ByteView(share_.content).subspan(700, 2000)));
  EXPECT_EQ(files->hash({1000, 1000}), share_.manifest.pieces[1]);
}

TEST_F(TorrentFilesTest, ReadsAsFarAsItIsThere) {
  const auto files = make(all_);
  ASSERT_TRUE(files->write(0, base::ByteView(share_.content).first(1200)));
  base::Bytes back(2500);
  EXPECT_EQ(files->read(0, back), 1200u);
  EXPECT_EQ(files->hash({1000, 1000}), std::nullopt);
}

TEST_F(TorrentFilesTest, RemovesFoldersThatAreEmptyWithoutAFile) {
  const auto files = make(all_);
  ASSERT_TRUE(files->create(3));
  ASSERT_TRUE(files->create(1));
  files->remove(3);
  EXPECT_EQ(names_in(in("root/sub")), std::vector<std::string>{"none"});
  files->remove(1);
  EXPECT_TRUE(names_in(in("root")).empty());
}

TEST_F(TorrentFilesTest, ReadsOnWhenTheRootGetsItsFinalName) {
  const auto files = make(all_);
  ASSERT_TRUE(files->write(0, share_.content));
  const auto fresh = make(all_);  // nothing opened yet but the first file
  ASSERT_TRUE(fresh->open(0));
  base::Bytes back(share_.content.size());
  ASSERT_TRUE(fresh->move_all_to_whole());
  EXPECT_EQ(fresh->read(0, back), back.size());
  EXPECT_EQ(fresh->path_of(3), in("final/sub/b").native());
}

TEST_F(TorrentFilesTest, ReadsNothingOfAFileThatIsNotAsItWasWhenFrozen) {
  share_.write_to(in("root"));
  const auto files = make(all_, true);
  files->freeze();
  EXPECT_EQ(files->hash({0, 1000}), share_.manifest.pieces[0]);
  std::filesystem::last_write_time(in("root/a"), std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_EQ(files->hash({0, 1000}), std::nullopt);
  EXPECT_EQ(files->open(0).error(), ESTALE);
}

}  // namespace
}  // namespace shoal::storage::testing
