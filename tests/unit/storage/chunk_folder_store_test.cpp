#include "storage/chunk_folder_store.hpp"

#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {
namespace {

using seam::StoreErrorKind;

class ChunkFolderStoreTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path in(std::string_view name) const {
    return folder_.path() / "chunks/charlie" / name;
  }
  [[nodiscard]] std::filesystem::path chunk(std::uint32_t piece) const {
    return in(file_.manifest.pieces[piece].to_hex() + ".bin");
  }
  [[nodiscard]] ChunkFolderStoreOptions options() const { return {.directory = folder_.path(), .ini_text = {}}; }
  void put_all(PieceStore& store, const CutFile& file) {
    for (std::uint32_t i = 0; i < file.manifest.piece_count(); ++i) put(store, file, i);
  }

  TemporaryFolder folder_;
  const CutFile file_ = CutFile::regular(3, 1000, 700);
};

TEST_F(ChunkFolderStoreTest, LeavesTheChunksTheFileAndTheIniAndNothingElse) {
  {
    ChunkFolderStore store({.directory = folder_.path(), .client = "charlie", .ini_text = [](const auto& manifest) {
                              return "[description]\nfilename = " + manifest.name + "\n";
                            }});
    ASSERT_TRUE(store.open(file_.manifest));
    put_all(store, file_);
    const auto path = store.finish();
    ASSERT_TRUE(path);
    EXPECT_EQ(*path, in("film.bin").native());
  }
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(read_file(chunk(i)) == file_.pieces[i]);
  EXPECT_TRUE(read_file(in("film.bin")) == file_.whole());
  const auto ini = read_file(in("file.ini"));
  ASSERT_TRUE(ini);
  EXPECT_EQ(base::text_of(*ini), "[description]\nfilename = film.bin\n");
  EXPECT_EQ(names_in(in("")).size(), 5u);
}

TEST_F(ChunkFolderStoreTest, ShowsAChunkUnderItsNameOnlyOnceItIsVerified) {
  ChunkFolderStore store(options());
  ASSERT_TRUE(store.open(file_.manifest));
  send(store, seam::WriteId(1), file_, 0, file_.pieces[0]);
  EXPECT_FALSE(std::filesystem::exists(chunk(0)));
  EXPECT_EQ(store.complete(seam::WriteId(1)), true);
  EXPECT_TRUE(read_file(chunk(0)) == file_.pieces[0]);
}

TEST_F(ChunkFolderStoreTest, TakesOverChunksOfOldProgramsButOnlyRightOnes) {
  write_file(chunk(0), file_.pieces[0]);
  write_file(chunk(1), base::ByteView(file_.pieces[1]).first(500));
  ChunkFolderStore store(options());
  EXPECT_EQ(store.open(file_.manifest), file_.held({0}));
  put(store, file_, 1);
  put(store, file_, 2);
  ASSERT_TRUE(store.finish());
  EXPECT_TRUE(read_file(chunk(1)) == file_.pieces[1]);
  EXPECT_TRUE(read_file(in("film.bin")) == file_.whole());
}

TEST_F(ChunkFolderStoreTest, RemovesWhatDeadDownloadsLeftAndKeepsTheUsersFiles) {
  write_file(in(".shoal-7.part"), "left over");
  write_file(in(".shoal.lock"), "");
  write_file(in("notes.part"), "mine");
  ChunkFolderStore store(options());
  ASSERT_TRUE(store.open(file_.manifest));
  EXPECT_EQ(names_in(in("")), (std::vector<std::string>{".shoal.lock", "notes.part"}));
}

TEST_F(ChunkFolderStoreTest, MakesTheFileWithoutAnyWriteWhenAllChunksAreThere) {
  for (std::uint32_t i = 0; i < 3; ++i) write_file(chunk(i), file_.pieces[i]);
  ChunkFolderStore store(options());
  EXPECT_EQ(store.open(file_.manifest), file_.held({0, 1, 2}));
  ASSERT_TRUE(store.finish());
  EXPECT_TRUE(read_file(in("film.bin")) == file_.whole());
}

TEST_F(ChunkFolderStoreTest, KeepsARightResultAndReplacesAWrongOneOfTheSameSize) {
  for (std::uint32_t i = 0; i < 3; ++i) write_file(chunk(i), file_.pieces[i]);
  base::Bytes wrong = file_.whole();
  wrong[1500] ^= std::byte{1};
  write_file(in("film.bin"), wrong);
  ChunkFolderStore store(options());
  ASSERT_TRUE(store.open(file_.manifest));
  ASSERT_TRUE(store.finish());
  EXPECT_TRUE(read_file(in("film.bin")) == file_.whole());

  const auto before = std::filesystem::last_write_time(in("film.bin"));
  ASSERT_TRUE(store.open(file_.manifest));
  ASSERT_TRUE(store.finish());
  EXPECT_EQ(std::filesystem::last_write_time(in("film.bin")), before);
}

TEST_F(ChunkFolderStoreTest, RefusesToMergeAChunkThatWasDamagedDuringTheDownload) {
  write_file(chunk(1), file_.pieces[1]);
  ChunkFolderStore store(options());
  ASSERT_EQ(store.open(file_.manifest), file_.held({1}));
  put(store, file_, 0);
  put(store, file_, 2);
  write_file(chunk(1), make_content(1000, 77));
  const auto path = store.finish();
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().message.find(chunk(1).native()), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(in("film.bin")));
}

TEST_F(ChunkFolderStoreTest, MergesAChunkThatWasReplacedByAnEqualOne) {
  for (std::uint32_t i = 0; i < 3; ++i) write_file(chunk(i), file_.pieces[i]);
  ChunkFolderStore store(options());
  ASSERT_TRUE(store.open(file_.manifest));
  std::filesystem::remove(chunk(1));
  write_file(chunk(1), file_.pieces[1]);
  ASSERT_TRUE(store.finish());
  EXPECT_TRUE(read_file(in("film.bin")) == file_.whole());
}

TEST_F(ChunkFolderStoreTest, KeepsASecondDownloadOutOfTheFolderUntilTheFirstEnds) {
  auto first = std::make_unique<ChunkFolderStore>(options());
  ASSERT_TRUE(first->open(file_.manifest));
  ChunkFolderStore second(options());
  const auto opened = second.open(file_.manifest);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, StoreErrorKind::in_use);
  EXPECT_NE(opened.error().message.find("chunks/charlie"), std::string::npos) << opened.error().message;
  first.reset();
  EXPECT_TRUE(second.open(file_.manifest));
}

TEST_F(ChunkFolderStoreTest, ReplacesALinkInsteadOfWritingThroughIt) {
  const std::filesystem::path outside = folder_.path() / "outside";
  write_file(outside, "precious");
  std::filesystem::create_directories(in(""));
  std::filesystem::create_symlink(outside, chunk(0));
  std::filesystem::create_symlink(outside, in("film.bin"));
  ChunkFolderStore store(options());
  EXPECT_EQ(store.open(file_.manifest), std::vector<seam::HeldPiece>{});
  put_all(store, file_);
  ASSERT_TRUE(store.finish());
  EXPECT_TRUE(read_file(in("film.bin")) == file_.whole());
  EXPECT_EQ(base::text_of(*read_file(outside)), "precious");
}

TEST_F(ChunkFolderStoreTest, RefusesAFolderInPlaceOfAChunkOrTheResultBeforeDownloading) {
  for (const std::filesystem::path& path : {chunk(1), in("film.bin")}) {
    std::filesystem::create_directories(path);
    ChunkFolderStore store(options());
    const auto opened = store.open(file_.manifest);
    ASSERT_FALSE(opened) << path;
    EXPECT_EQ(opened.error().kind, StoreErrorKind::unwritable);
    EXPECT_NE(opened.error().message.find(path.native()), std::string::npos) << opened.error().message;
    std::filesystem::remove(path);
  }
}

TEST_F(ChunkFolderStoreTest, RefusesAFileInPlaceOfTheFolder) {
  write_file(folder_.path() / "chunks", "in the way");
  ChunkFolderStore store(options());
  const auto opened = store.open(file_.manifest);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, StoreErrorKind::unwritable);
}

TEST_F(ChunkFolderStoreTest, RefusesNamesThatWouldLeaveTheFolderOrTakeItsOwn) {
  for (const std::string name :
       {"", ".", "..", "a/b", ".shoal.lock", ".shoal-0.part", "0ff54d8f53a4b321b098b601a70d7408b0422f70.bin"}) {
    CutFile file = file_;
    file.manifest.name = name;
    ChunkFolderStore store(options());
    const auto opened = store.open(file.manifest);
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(opened.error().kind, StoreErrorKind::unwritable);
  }
  ChunkFolderStore store({.directory = folder_.path(), .client = "../../elsewhere", .ini_text = {}});
  EXPECT_FALSE(store.open(file_.manifest));
}

TEST_F(ChunkFolderStoreTest, PrefersTheUsersFileToAnIniOfTheSameName) {
  CutFile file = file_;
  file.manifest.name = "file.ini";
  ChunkFolderStore store({.directory = folder_.path(), .ini_text = [](const auto&) { return std::string("ini"); }});
  ASSERT_TRUE(store.open(file.manifest));
  put_all(store, file);
  ASSERT_TRUE(store.finish());
  EXPECT_TRUE(read_file(in("file.ini")) == file.whole());
}

}  // namespace
}  // namespace shoal::storage::testing
