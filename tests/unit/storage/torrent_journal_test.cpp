#include "storage/torrent_journal.hpp"

#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {
namespace {

using base::PieceIndex;

class TorrentJournalTest : public ::testing::Test {
 protected:
  TorrentJournalTest() : folder_(*Folder::open(directory_.path(), Folder::Missing::is_an_error)) {}

  [[nodiscard]] std::string header(const std::string& boot = "b1") const {
    return "shoal torrent journal 1\nshare " + key_.info_hash.to_hex() + " 10 3\nboot " + boot + "\n";
  }
  [[nodiscard]] TorrentClaims parse(const std::string& text) const {
    auto claims = parse_torrent_journal(text, key_, "b1");
    EXPECT_TRUE(claims);
    return claims.value_or(TorrentClaims{});
  }
  static std::vector<std::uint32_t> held(const TorrentClaims& claims) {
    std::vector<std::uint32_t> indices;
    for (std::uint32_t i = 0; i < claims.held.size(); ++i) {
      if (claims.held.test(PieceIndex(i))) indices.push_back(i);
    }
    return indices;
  }
  static std::vector<std::uint32_t> fresh(const TorrentClaims& claims) {
    std::vector<std::uint32_t> indices;
    for (const PieceIndex piece : claims.new_pieces) indices.push_back(piece.value);
    return indices;
  }

  using Indices = std::vector<std::uint32_t>;
  const JournalKey key_{.info_hash = base::sha1(base::view_of("share")), .piece_count = 10, .file_count = 3};
  TemporaryFolder directory_;
  FolderPtr folder_;
};

TEST_F(TorrentJournalTest, ReadsEveryLine) {
  const TorrentClaims claims = parse(header() + "tree a0\nheld 8040\nfile 0 12 345\ndirty 3\npiece 4\npiece 5\n");
  EXPECT_EQ(held(claims), (Indices{0, 9}));
  EXPECT_EQ(fresh(claims), (Indices{4, 5}));
  EXPECT_EQ(claims.in_tree, (std::vector<bool>{true, false, true}));
  EXPECT_EQ(claims.files.at(0).stamp, (FileStamp{.size_bytes = 12, .modified_ns = 345}));
  EXPECT_FALSE(claims.files.at(0).is_dirty);
  EXPECT_TRUE(claims.files.at(3).is_dirty);
  EXPECT_TRUE(claims.is_same_boot);
  EXPECT_FALSE(claims.is_closed);
}

TEST_F(TorrentJournalTest, CountsAsSyncedOnlyWhatWasNamedBeforeThatByte) {
  const std::string before = header() + "piece 1\npiece 2\n";
  const TorrentClaims claims = parse(before + "piece 3\nsynced " + std::to_string(before.size()) + "\n");
  EXPECT_EQ(held(claims), (Indices{1, 2}));
  EXPECT_EQ(fresh(claims), Indices{3});
}

TEST_F(TorrentJournalTest, TakesAFileForWrittenToUntilItIsNotedAgain) {
  EXPECT_TRUE(parse(header() + "file 1 5 6\ndirty 1\n").files.at(1).is_dirty);
  EXPECT_TRUE(parse(header() + "file 1 5 6\ndirty 1\n").files.at(1).stamp.has_value());
  EXPECT_FALSE(parse(header() + "dirty 1\nfile 1 5 6\n").files.at(1).is_dirty);
}

TEST_F(TorrentJournalTest, NotesNothingOfAFileThatSomebodyChanged) {
  const TorrentClaims claims = parse(header() + "file 0 1 2\nfile 1 5 6\nchanged 1\ndirty 1\nfile 1 5 6\n");
  EXPECT_TRUE(claims.files.contains(0));
  EXPECT_FALSE(claims.files.contains(1));
}

TEST_F(TorrentJournalTest, IsClosedOnlyWhenNothingFollows) {
  EXPECT_TRUE(parse(header() + "closed\n").is_closed);
  EXPECT_FALSE(parse(header() + "closed\npiece 1\n").is_closed);
}

TEST_F(TorrentJournalTest, KnowsWhetherTheMachineWasStartedAnew) {
  EXPECT_TRUE(parse(header()).is_same_boot);
  EXPECT_FALSE(parse(header("b2")).is_same_boot);
  EXPECT_FALSE(parse(header() + "boot unknown\n").is_same_boot);
  EXPECT_FALSE(parse_torrent_journal(header(""), key_, "")->is_same_boot);
}

TEST_F(TorrentJournalTest, IsOfOneShareOnly) {
  JournalKey other = key_;
  other.piece_count = 11;
  EXPECT_EQ(parse_torrent_journal(header(), other, "b1").error(), JournalError::other_share);
  other = key_;
  other.info_hash = base::sha1(base::view_of("other"));
  EXPECT_EQ(parse_torrent_journal(header(), other, "b1").error(), JournalError::other_share);
  EXPECT_EQ(parse_torrent_journal("shoal journal 1\n", key_, "b1").error(), JournalError::unreadable);
  EXPECT_EQ(parse_torrent_journal("", key_, "b1").error(), JournalError::unreadable);
}

TEST_F(TorrentJournalTest, LeavesOutLinesThatMakeNoSense) {
  const TorrentClaims claims =
      parse(header() +
            "piece\npiece 10\npiece -1\npiece 3 4\npiece 1piece 2\npiece 4294967296\nfile 4 1 1\nfile 1 1\n"
            "dirty 9\nheld 80\nheld 80zz\nheld 8001\ntree 11\nsynced x\n\n" +
            std::string("piece 7\0\n", 9) + "piece 6\n");
  EXPECT_EQ(held(claims), Indices{});
  EXPECT_EQ(fresh(claims), Indices{6});
  EXPECT_TRUE(claims.files.empty());
  EXPECT_EQ(claims.in_tree, std::vector<bool>(3, true));
}

TEST_F(TorrentJournalTest, ClaimsNothingWrongWhereverItIsCutShort) {
  const std::string whole =
      header() + "tree e0\nheld 0400\nfile 0 12 345\npiece 1\npiece 2\nsynced 119\npiece 3\nclosed\n";
  const Indices claimed = {1, 2, 3, 5};
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto claims = parse_torrent_journal(whole.substr(0, size), key_, "b1");
    if (!claims) continue;
    for (const std::uint32_t piece : held(*claims)) EXPECT_NE(std::ranges::find(claimed, piece), claimed.end());
    for (const std::uint32_t piece : fresh(*claims)) EXPECT_NE(std::ranges::find(claimed, piece), claimed.end());
    EXPECT_EQ(claims->is_closed, size == whole.size());
  }
}

TEST_F(TorrentJournalTest, ReadsWhatItWrote) {
  TorrentClaims claims;
  claims.held = base::Bitfield(10);
  claims.held.set(PieceIndex(8));
  claims.new_pieces = {PieceIndex(2)};
  claims.in_tree = {true, true, false};
  claims.files[1] = {.stamp = FileStamp{77, 88}, .is_dirty = true};
  {
    auto journal = TorrentJournal::create(folder_, "j", key_, claims);
    ASSERT_TRUE(journal);
    const PieceIndex pieces[] = {PieceIndex(3), PieceIndex(4)};
    ASSERT_TRUE(journal->add_pieces(pieces));
    const std::uint64_t covered = journal->size_bytes();
    EXPECT_EQ(covered, std::filesystem::file_size(directory_.path() / "j"));
    ASSERT_TRUE(journal->add_dirty(3));
    ASSERT_TRUE(journal->add_pieces({&pieces[1], 1}));
    const TorrentJournal::Note notes[] = {{.file = 1, .stamp = {99, 100}}};
    ASSERT_TRUE(journal->add_synced(notes, covered));
    ASSERT_TRUE(journal->sync());
  }
  const auto read = read_torrent_journal(*folder_, "j", key_);
  ASSERT_TRUE(read);
  EXPECT_EQ(held(*read), (Indices{2, 3, 4, 8}));
  EXPECT_EQ(fresh(*read), Indices{4});
  EXPECT_EQ(read->in_tree, claims.in_tree);
  EXPECT_EQ(read->files.at(1).stamp, (FileStamp{99, 100}));
  EXPECT_FALSE(read->files.at(1).is_dirty);
  EXPECT_TRUE(read->files.at(3).is_dirty);
  EXPECT_TRUE(read->is_same_boot);
  EXPECT_GT(read->touched_ns, 0);
  EXPECT_EQ(names_in(directory_.path()), std::vector<std::string>{"j"});
}

TEST_F(TorrentJournalTest, IsUnreadableWhenItIsNotAFile) {
  EXPECT_EQ(read_torrent_journal(*folder_, "nothing", key_).error(), JournalError::unreadable);
  write_file(directory_.path() / "real", header());
  std::filesystem::create_symlink("real", directory_.path() / "link");
  EXPECT_EQ(read_torrent_journal(*folder_, "link", key_).error(), JournalError::unreadable);
}

}  // namespace
}  // namespace shoal::storage::testing
