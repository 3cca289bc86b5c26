#include "storage/course_files.hpp"

#include "storage/folder.hpp"
#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {
namespace {

using Kind = CourseFileError::Kind;

class CourseFiles : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path in(std::string_view name) const { return folder_.path() / name; }
  // Even chunks are alice's, odd ones bob's, every third both's.
  [[nodiscard]] SplitOptions options(std::uint64_t chunk_bytes) const {
    return {.file = in("files/film"),
            .directory = folder_.path(),
            .chunk_bytes = chunk_bytes,
            .peers = {"alice", "bob"},
            .owners_of_chunk = [](std::uint32_t index, std::uint32_t) -> std::vector<std::size_t> {
              if (index % 3 == 0) return {0, 1};
              return {index % 2};
            }};
  }
  [[nodiscard]] std::filesystem::path chunk(std::string_view peer, const base::Sha1Hash& hash) const {
    return in("chunks") / peer / (hash.to_hex() + ".bin");
  }

  TemporaryFolder folder_;
};

TEST_F(CourseFiles, CutsAFileIntoVerifiableChunksForTheirOwners) {
  const base::Bytes content = make_content(4500);
  write_file(in("files/film"), content);
  const auto split = split_file(options(1000));
  ASSERT_TRUE(split) << split.error().message;
  EXPECT_EQ(split->file_bytes, 4500u);
  ASSERT_EQ(split->chunks.size(), 5u);
  EXPECT_EQ(split->owners, (std::vector<std::vector<std::size_t>>{{0, 1}, {1}, {0}, {0, 1}, {0}}));
  for (std::size_t i = 0; i < 5; ++i) {
    const base::ByteView expected = base::ByteView(content).subspan(i * 1000, i == 4 ? 500 : 1000);
    EXPECT_EQ(split->chunks[i], base::sha1(expected));
    for (std::size_t peer = 0; peer < 2; ++peer) {
      const auto found = read_file(chunk(peer == 0 ? "alice" : "bob", split->chunks[i]));
      const bool is_owner = std::ranges::find(split->owners[i], peer) != split->owners[i].end();
      EXPECT_EQ(found.has_value(), is_owner);
      if (found) {
        EXPECT_TRUE(std::ranges::equal(*found, expected));
      }
    }
  }
}

TEST_F(CourseFiles, LeavesNothingElseInTheChunkFolders) {
  write_file(in("files/film"), make_content(4500));
  write_file(in("chunks/alice/keep.txt"), "mine");
  ASSERT_TRUE(split_file(options(1000)));
  const std::vector<std::string> names = names_in(in("chunks/alice"));
  EXPECT_EQ(names.size(), 5u);  // four chunks and keep.txt
  EXPECT_TRUE(std::ranges::find(names, "keep.txt") != names.end());
}

TEST_F(CourseFiles, GivesEachOwnerAChunkOfItsOwn) {
  write_file(in("files/film"), make_content(1000));
  const auto split = split_file(options(1000));
  ASSERT_TRUE(split);
  // Damaged in place: a link would damage the other owner's too.
  std::fstream(chunk("alice", split->chunks[0]), std::ios::in | std::ios::out | std::ios::binary).write("damage", 6);
  EXPECT_TRUE(read_file(chunk("bob", split->chunks[0])) == make_content(1000));
}

TEST_F(CourseFiles, WritesRepeatedChunksOnce) {
  write_file(in("files/film"), base::Bytes(50'000));
  const auto split = split_file(options(100));
  ASSERT_TRUE(split) << split.error().message;
  EXPECT_EQ(split->chunks.size(), 500u);
  EXPECT_EQ(names_in(in("chunks/alice")).size(), 1u);
}

TEST_F(CourseFiles, SplitsAnEmptyFileIntoNothing) {
  write_file(in("files/film"), "");
  const auto split = split_file(options(1000));
  ASSERT_TRUE(split);
  EXPECT_TRUE(split->chunks.empty());
}

TEST_F(CourseFiles, ReplacesAWrongChunkThatBearsTheName) {
  const base::Bytes content = make_content(1000);
  write_file(in("files/film"), content);
  write_file(chunk("alice", base::sha1(content)), "truncated");
  ASSERT_TRUE(split_file(options(1000)));
  EXPECT_TRUE(read_file(chunk("alice", base::sha1(content))) == content);
}

TEST_F(CourseFiles, RefusesMoreChunksThanTheProtocolCanNameAndWritesNothing) {
  write_file(in("files/film"), make_content(70'000));
  const auto split = split_file(options(1));
  ASSERT_FALSE(split);
  EXPECT_EQ(split.error().kind, Kind::too_many_chunks);
  EXPECT_EQ(split.error().file_bytes, 70'000u);
  EXPECT_FALSE(std::filesystem::exists(in("chunks")));
}

TEST_F(CourseFiles, SaysWhichFileCannotBeRead) {
  const auto missing = split_file(options(1000));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, Kind::unreadable);
  EXPECT_EQ(missing.error().message, "cannot read " + in("files/film").native() + ": No such file or directory");
  std::filesystem::create_directories(in("files/film"));
  const auto folder = split_file(options(1000));
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().message, "cannot read " + in("files/film").native() + ": it is a folder");
}

TEST_F(CourseFiles, RefusesAChunkFolderThatIsAFile) {
  write_file(in("files/film"), make_content(1000));
  write_file(in("chunks"), "in the way");
  const auto split = split_file(options(1000));
  ASSERT_FALSE(split);
  EXPECT_EQ(split.error().kind, Kind::unwritable);
}

TEST_F(CourseFiles, RefusesAFolderThatAnotherCommandWritesTo) {
  write_file(in("files/film"), make_content(1000));
  const auto folder = Folder::open(in("chunks/bob"), Folder::Missing::is_created);
  ASSERT_TRUE(folder);
  const auto lock = LockFile::acquire(*folder, ".shoal.lock", "bob");
  ASSERT_TRUE(lock);
  const auto split = split_file(options(1000));
  ASSERT_FALSE(split);
  EXPECT_EQ(split.error().kind, Kind::in_use);
}

class Merging : public CourseFiles {
 protected:
  void SetUp() override {
    for (const base::Bytes& piece : file_.pieces) write_file(chunk("charlie", base::sha1(piece)), piece);
  }
  [[nodiscard]] CourseFileResult<std::uint64_t> merge() const {
    return merge_chunks(in("chunks/charlie"), file_.manifest.pieces, in("chunks/charlie/film"));
  }

  const CutFile file_{{make_content(1000, 1), make_content(300'000, 2), make_content(1000, 1), make_content(7, 3)}};
};

TEST_F(Merging, PutsChunksTogetherInOrder) {
  const auto merged = merge();
  ASSERT_TRUE(merged) << merged.error().message;
  EXPECT_EQ(*merged, file_.whole().size());
  EXPECT_TRUE(read_file(in("chunks/charlie/film")) == file_.whole());
  EXPECT_EQ(names_in(in("chunks/charlie")).size(), 4u);  // three different chunks and the file
}

TEST_F(Merging, NamesTheChunksThatAreMissing) {
  std::filesystem::remove(chunk("charlie", file_.manifest.pieces[0]));
  const auto merged = merge();
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().kind, Kind::missing_chunks);
  EXPECT_EQ(merged.error().chunks, (std::vector{base::PieceIndex(0), base::PieceIndex(2)}));
  EXPECT_FALSE(std::filesystem::exists(in("chunks/charlie/film")));
}

TEST_F(Merging, NamesTheChunksWhoseBytesAreWrongAndKeepsTheOldResult) {
  write_file(in("chunks/charlie/film"), "old");
  write_file(chunk("charlie", file_.manifest.pieces[3]), "seven b");
  const auto merged = merge();
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().kind, Kind::wrong_chunks);
  EXPECT_EQ(merged.error().chunks, std::vector{base::PieceIndex(3)});
  const base::ByteView old = base::view_of("old");
  EXPECT_TRUE(read_file(in("chunks/charlie/film")) == base::Bytes(old.begin(), old.end()));
  EXPECT_EQ(names_in(in("chunks/charlie")).size(), 4u);
}

TEST_F(Merging, MakesAnEmptyFileOfNoChunks) {
  const auto merged = merge_chunks(in("chunks/charlie"), {}, in("empty"));
  ASSERT_TRUE(merged);
  EXPECT_TRUE(read_file(in("empty")) == base::Bytes{});
}

TEST_F(Merging, RefusesAFolderInPlaceOfTheResult) {
  std::filesystem::create_directory(in("chunks/charlie/film"));
  const auto merged = merge();
  ASSERT_FALSE(merged);
  EXPECT_EQ(merged.error().kind, Kind::unwritable);
}

TEST_F(CourseFiles, FindsEqualFilesEqual) {
  write_file(in("one"), make_content(600'000));
  write_file(in("two"), make_content(600'000));
  const auto compared = compare_files(in("one"), in("two"));
  ASSERT_TRUE(compared);
  EXPECT_TRUE(compared->is_equal());
}

TEST_F(CourseFiles, FindsTheFirstByteThatDiffers) {
  for (const std::size_t offset : {std::size_t{0}, std::size_t{262'143}, std::size_t{262'144}, std::size_t{599'999}}) {
    base::Bytes other = make_content(600'000);
    other[offset] ^= std::byte{1};
    other.back() ^= std::byte{2};
    write_file(in("one"), make_content(600'000));
    write_file(in("two"), other);
    const auto compared = compare_files(in("one"), in("two"));
    ASSERT_TRUE(compared);
    EXPECT_EQ(compared->first_difference, offset);
  }
}

TEST_F(CourseFiles, FindsAFileThatEndsEarlyDifferentFromThereOn) {
  write_file(in("one"), make_content(1000));
  write_file(in("two"), base::ByteView(make_content(1000)).first(900));
  const auto compared = compare_files(in("one"), in("two"));
  ASSERT_TRUE(compared);
  EXPECT_EQ(compared->first_difference, 900u);
  EXPECT_EQ(compared->first_bytes, 1000u);
  EXPECT_EQ(compared->second_bytes, 900u);
}

TEST_F(CourseFiles, SaysWhichOfTwoFilesIsMissing) {
  write_file(in("one"), "1");
  const auto compared = compare_files(in("one"), in("two"));
  ASSERT_FALSE(compared);
  EXPECT_EQ(compared.error().message, "cannot read " + in("two").native() + ": No such file or directory");
}

}  // namespace
}  // namespace shoal::storage::testing
