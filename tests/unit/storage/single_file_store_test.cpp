#include "storage/single_file_store.hpp"

#include <sys/stat.h>

#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {
namespace {

using seam::StoreErrorKind;

class SingleFileStoreTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path in(std::string_view name) const { return folder_.path() / name; }
  [[nodiscard]] std::filesystem::path output() const { return in("film"); }
  std::string journal() { return std::string(base::text_of(read_file(in(".film.shoal-journal")).value())); }
  void put_all(PieceStore& store) {
    for (std::uint32_t i = 0; i < file_.manifest.piece_count(); ++i) put(store, file_, i);
  }
  // A download that stopped with these pieces.
  void leave_behind(const std::vector<std::uint32_t>& pieces) {
    SingleFileStore store(output());
    ASSERT_TRUE(store.open(file_.manifest));
    for (const std::uint32_t piece : pieces) put(store, file_, piece);
  }
  void expect_unwritable(const std::filesystem::path& path, std::string_view why) {
    SingleFileStore store(path);
    const auto opened = store.open(file_.manifest);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, StoreErrorKind::unwritable);
    EXPECT_NE(opened.error().message.find(why), std::string::npos) << opened.error().message;
  }

  TemporaryFolder folder_;
  const CutFile file_ = CutFile::regular(6, 1000, 700);
};

TEST_F(SingleFileStoreTest, LeavesTheFileAndNothingElse) {
  {
    SingleFileStore store(output());
    ASSERT_TRUE(store.open(file_.manifest));
    put_all(store);
    EXPECT_EQ(store.finish(), output().native());
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"film"});
  EXPECT_TRUE(read_file(output()) == file_.whole());
}

TEST_F(SingleFileStoreTest, WritesPiecesOfTheUsualSizeStraightToTheirPlace) {
  SingleFileStore store(output());
  ASSERT_TRUE(store.open(file_.manifest));
  for (const std::uint32_t piece : {3u, 0u, 4u, 5u, 1u, 2u}) put(store, file_, piece);
  EXPECT_TRUE(read_file(in(".film.shoal-part")) == file_.whole());
  EXPECT_FALSE(std::filesystem::exists(in(".film.shoal-side")));
}

TEST_F(SingleFileStoreTest, KeepsAnOlderFileUntilTheNewOneIsWhole) {
  write_file(output(), "older");
  SingleFileStore store(output());
  ASSERT_TRUE(store.open(file_.manifest));
  put_all(store);
  EXPECT_EQ(base::text_of(*read_file(output())), "older");
  ASSERT_TRUE(store.finish());
  EXPECT_TRUE(read_file(output()) == file_.whole());
}

TEST_F(SingleFileStoreTest, RecognisesTheFileOfAnEarlierDownload) {
  for (const std::size_t usual : {1000u, 1024u, 524288u, 999u}) {
    for (const std::uint32_t count : {1u, 2u, 3u, 20u}) {
      const CutFile file = CutFile::regular(count, usual, usual / 2);
      write_file(output(), file.whole());
      SingleFileStore store(output());
      const auto held = store.open(file.manifest);
      ASSERT_TRUE(held);
      EXPECT_EQ(held->size(), count) << usual << " x " << count;
      EXPECT_EQ(store.finish(), output().native());
    }
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"film"});
}

TEST_F(SingleFileStoreTest, DoesNotTakeADamagedFileForTheResult) {
  base::Bytes damaged = file_.whole();
  damaged[5600] ^= std::byte{1};
  write_file(output(), damaged);
  SingleFileStore store(output());
  EXPECT_EQ(store.open(file_.manifest), std::vector<seam::HeldPiece>{});
}

TEST_F(SingleFileStoreTest, RefusesToFinishWhenTheRecognisedFileChangedMeanwhile) {
  write_file(output(), file_.whole());
  SingleFileStore store(output());
  EXPECT_EQ(store.open(file_.manifest), file_.held({0, 1, 2, 3, 4, 5}));
  write_file(output(), "shorter");
  EXPECT_FALSE(store.finish());
}

TEST_F(SingleFileStoreTest, BelievesNoJournalWithoutHashing) {
  leave_behind({0, 2, 5});
  base::Bytes part = read_file(in(".film.shoal-part")).value();
  part[2500] ^= std::byte{1};
  write_file(in(".film.shoal-part"), part);
  SingleFileStore store(output());
  EXPECT_EQ(store.open(file_.manifest), file_.held({0, 5}));
}

TEST_F(SingleFileStoreTest, SurvivesJournalsThatLie) {
  leave_behind({0, 2});
  const std::string honest = journal();
  const base::Bytes part = read_file(in(".film.shoal-part")).value();
  const std::vector<std::string> lies = {
      "usual 0\n",
      "usual 1\n",
      "usual 18446744073709551615\n",
      "part 1 1000\n",
      "part 4294967295 1000\n",
      "part 5 18446744073709551615\n",
      "side 3 18446744073709551615 18446744073709551615\n",
      "side 3 1000 0\n",
      "part -1 x\n",
      "nonsense\n",
      "part 3",
  };
  for (const std::string& lie : lies) {
    SCOPED_TRACE(lie);
    write_file(in(".film.shoal-journal"), honest + lie);
    write_file(in(".film.shoal-part"), part);
    SingleFileStore store(output());
    const auto held = store.open(file_.manifest);
    ASSERT_TRUE(held);
    for (const seam::HeldPiece& piece : *held) EXPECT_TRUE(piece.piece.value == 0 || piece.piece.value == 2);
    put_all(store);
    ASSERT_TRUE(store.finish());
    EXPECT_TRUE(read_file(output()) == file_.whole());
    std::filesystem::remove(output());
  }
}

TEST_F(SingleFileStoreTest, TakesNoPieceForPlacedWhileItsPlaceIsUnknown) {
  leave_behind({0});
  write_file(in(".film.shoal-part"), file_.pieces[5]);
  write_file(in(".film.shoal-journal"), journal() + "usual 0\npart 5 700\n");
  SingleFileStore store(output());
  EXPECT_EQ(store.open(file_.manifest), std::vector<seam::HeldPiece>{});
  put_all(store);
  ASSERT_TRUE(store.finish());
  EXPECT_TRUE(read_file(output()) == file_.whole());
}

TEST_F(SingleFileStoreTest, GoesOnAfterAJournalLineWasCutShort) {
  leave_behind({0, 2});
  write_file(in(".film.shoal-journal"), journal() + "part 1 10");
  {
    SingleFileStore store(output());
    EXPECT_EQ(store.open(file_.manifest), file_.held({0, 2}));
    put(store, file_, 4);
  }
  SingleFileStore store(output());
  EXPECT_EQ(store.open(file_.manifest), file_.held({0, 2, 4}));
}

TEST_F(SingleFileStoreTest, StartsAfreshWithoutAJournal) {
  leave_behind({0, 2});
  std::filesystem::remove(in(".film.shoal-journal"));
  SingleFileStore store(output());
  EXPECT_EQ(store.open(file_.manifest), std::vector<seam::HeldPiece>{});
}

TEST_F(SingleFileStoreTest, KeepsASecondDownloadAwayFromTheSameFileUntilTheFirstEnds) {
  auto first = std::make_unique<SingleFileStore>(output());
  ASSERT_TRUE(first->open(file_.manifest));
  SingleFileStore second(output());
  const auto opened = second.open(file_.manifest);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, StoreErrorKind::in_use);
  SingleFileStore elsewhere(in("other"));
  EXPECT_TRUE(elsewhere.open(file_.manifest)) << "another file of the same folder";
  first.reset();
  EXPECT_TRUE(second.open(file_.manifest));
}

TEST_F(SingleFileStoreTest, RefusesAnythingButAPlainFileBeforeDownloading) {
  std::filesystem::create_directory(in("folder"));
  expect_unwritable(in("folder"), "it is a folder; name a file in it");
  expect_unwritable(in("folder/"), "it is a folder");
  std::filesystem::create_symlink(in("elsewhere"), in("link"));
  expect_unwritable(in("link"), "symbolic link");
  ASSERT_EQ(::mkfifo(in("pipe").c_str(), 0600), 0);
  expect_unwritable(in("pipe"), "not a plain file");
  expect_unwritable(in("missing/film"), "No such file or directory");
}

TEST_F(SingleFileStoreTest, TakesTheLongestNamesAFileSystemHas) {
  const std::filesystem::path longest = in(std::string(255, 'x'));
  {
    SingleFileStore store(longest);
    ASSERT_TRUE(store.open(file_.manifest));
    put(store, file_, 1);
  }
  SingleFileStore store(longest);
  EXPECT_EQ(store.open(file_.manifest), file_.held({1}));
  put_all(store);
  ASSERT_TRUE(store.finish());
  EXPECT_TRUE(read_file(longest) == file_.whole());
}

}  // namespace
}  // namespace shoal::storage::testing
