#include "storage/download_journal.hpp"

#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {
namespace {

using Where = Placement::Where;

class DownloadJournalTest : public ::testing::Test {
 protected:
  void SetUp() override { folder_ = Folder::open(temporary_.path(), Folder::Missing::is_an_error).value(); }
  std::string written(const JournalClaims& claims) {
    EXPECT_TRUE(DownloadJournal::create(folder_, "journal", file_.manifest, claims));
    return text();
  }
  std::string text() { return std::string(base::text_of(read_file(temporary_.path() / "journal").value())); }

  TemporaryFolder temporary_;
  FolderPtr folder_;
  const CutFile file_ = CutFile::regular(6, 1000, 700);
};

TEST_F(DownloadJournalTest, ReadsWhatItWrote) {
  auto journal = DownloadJournal::create(folder_, "journal", file_.manifest, {});
  ASSERT_TRUE(journal);
  ASSERT_TRUE(journal->add_usual(1000));
  ASSERT_TRUE(journal->add({base::PieceIndex(3), {{Where::part, 3000}, 1000}}));
  ASSERT_TRUE(journal->add({base::PieceIndex(5), {{Where::side, 77}, 700}}));
  const JournalClaims claims = parse_journal(text(), file_.manifest);
  EXPECT_EQ(claims.usual_bytes, 1000u);
  ASSERT_EQ(claims.entries.size(), 2u);
  EXPECT_EQ(claims.entries[0].piece, base::PieceIndex(3));
  EXPECT_EQ(claims.entries[0].extent.size_bytes, 1000u);
  EXPECT_EQ(claims.entries[1].extent.spot, (Placement::Spot{Where::side, 77}));
}

TEST_F(DownloadJournalTest, StartsWithTheClaimsItIsGivenAndNothingElse) {
  written({.usual_bytes = 5, .entries = {{base::PieceIndex(1), {{Where::part, 5}, 5}}}});
  EXPECT_EQ(parse_journal(written({}), file_.manifest).entries.size(), 0u);
  EXPECT_EQ(names_in(temporary_.path()), std::vector<std::string>{"journal"});
}

TEST_F(DownloadJournalTest, ClaimsNothingForAnotherManifestOrVersion) {
  const std::string text = written({.usual_bytes = 5, .entries = {{base::PieceIndex(1), {{Where::part, 5}, 5}}}});
  ASSERT_EQ(parse_journal(text, file_.manifest).entries.size(), 1u);
  EXPECT_EQ(parse_journal(text, CutFile::regular(6, 999, 700).manifest).entries.size(), 0u);
  std::string other = text;
  other.replace(0, 15, "shoal journal 2");
  EXPECT_EQ(parse_journal(other, file_.manifest).entries.size(), 0u);
}

TEST_F(DownloadJournalTest, GoesByTheWholeLinesOfEveryPrefix) {
  const std::string text = written(
      {.usual_bytes = 5,
       .entries = {{base::PieceIndex(1), {{Where::part, 5}, 5}}, {base::PieceIndex(2), {{Where::side, 12}, 34}}}});
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string prefix = text.substr(0, size);
    const auto lines = std::ranges::count(prefix, '\n');
    EXPECT_EQ(parse_journal(prefix, file_.manifest).entries.size(), static_cast<std::size_t>(std::max(lines - 3, 0L)));
  }
}

TEST_F(DownloadJournalTest, LeavesOutLinesThatMakeNoSense) {
  const std::string start = written({});
  for (const std::string line : {"", "part", "part 1", "part 1 x", "part 1 1000 0", "part 6 1000", "side 1 1000",
                                 "part -1 1000", "part 1 99999999999999999999", "elsewhere 1 1000", " part 1 1000"}) {
    EXPECT_EQ(parse_journal(start + line + "\n", file_.manifest).entries.size(), 0u) << line;
  }
}

}  // namespace
}  // namespace shoal::storage::testing
