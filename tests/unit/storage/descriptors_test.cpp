#include "storage/descriptors.hpp"

#include "storage/torrent_piece.hpp"
#include "unit/storage/torrent_fixture.hpp"
#include "unit/support/descriptor_limit.hpp"

namespace shoal::storage::testing {
namespace {

using shoal::testing::DescriptorLimit;
using shoal::testing::next_descriptor;

std::size_t open_descriptors() {
  return names_in("/proc/self/fd").size();
}

// A folder of many small files, all of them in one piece.
class DescriptorsTest : public ::testing::Test {
 protected:
  DescriptorsTest() : folder_(*Folder::open(directory_.path(), Folder::Missing::is_an_error)) {
    for (std::size_t i = 0; i < kFiles; ++i) share_.file({"sub", std::to_string(i)}, 10);
    share_.cut();
  }
  [[nodiscard]] std::shared_ptr<TorrentFiles> make() const {
    return std::make_shared<TorrentFiles>(
        TorrentFilesOptions{.folder = folder_,
                            .part = "root",
                            .whole = "final",
                            .side = "side",
                            .manifest = std::make_shared<const metainfo::Manifest>(share_.manifest),
                            .in_tree = std::vector<bool>(kFiles, true),
                            .is_whole = {}});
  }
  [[nodiscard]] base::Bytes read_all(TorrentFiles& files) const {
    base::Bytes back(share_.content.size());
    EXPECT_EQ(files.read(0, back), back.size());
    return back;
  }

  static constexpr std::size_t kFiles = 100;
  TorrentShare share_{1 << 14};
  TemporaryFolder directory_;
  FolderPtr folder_;
};

TEST_F(DescriptorsTest, HalfOfFewAreKeptAndSoManyOfALot) {
  {
    const DescriptorLimit few(300);
    EXPECT_EQ(kept_descriptors(), 150u);
    EXPECT_EQ(descriptors_for_others(), 150u);
    EXPECT_FALSE(is_of_the_kept(149));
    EXPECT_TRUE(is_of_the_kept(150));
  }
  const DescriptorLimit many(2000);
  EXPECT_EQ(kept_descriptors(), kKeptDescriptorsMax);
  EXPECT_EQ(descriptors_for_others(), 2000 - kKeptDescriptorsMax);
}

TEST_F(DescriptorsTest, ATorrentKeepsFewFilesOpenWhereFewMayBe) {
  const DescriptorLimit few(100);
  const std::size_t before = open_descriptors();
  const auto files = make();
  ASSERT_TRUE(files->write(0, share_.content));
  EXPECT_LE(open_descriptors() - before, 25u + 2) << "files and two folders";
  EXPECT_EQ(read_all(*files), share_.content);
  EXPECT_LE(open_descriptors() - before, 25u + 2);
}

TEST_F(DescriptorsTest, FilesKeptOpenMakeRoomWhenNoneIsLeft) {
  const auto files = make();
  const DescriptorLimit few(next_descriptor() + 8);
  ASSERT_TRUE(files->write(0, share_.content));
  EXPECT_EQ(read_all(*files), share_.content);
}

TEST_F(DescriptorsTest, APieceThatIsGivenHoldsNoneOfTheKept) {
  TorrentShare share(1000);
  share.file({"a"}, 1000).cut();
  const auto files = std::make_shared<TorrentFiles>(
      TorrentFilesOptions{.folder = folder_,
                          .part = "root",
                          .whole = "final",
                          .side = "side",
                          .manifest = std::make_shared<const metainfo::Manifest>(share.manifest),
                          .in_tree = {true},
                          .is_whole = {}});
  ASSERT_TRUE(files->write(0, share.content));
  const auto is_held = [&] { return make_torrent_piece(files, {0, 1000})->file_descriptor() >= 0; };
  EXPECT_TRUE(is_held());
  const auto opened = files->open(0);
  ASSERT_TRUE(opened);
  const DescriptorLimit few(2 * static_cast<std::size_t>((*opened)->get()));
  EXPECT_FALSE(is_held());
  base::Bytes back(1000);
  EXPECT_EQ(make_torrent_piece(files, {0, 1000})->read_at(0, back), 1000u);
  EXPECT_EQ(back, share.content);
}

}  // namespace
}  // namespace shoal::storage::testing
