// What stands in the way of a download, what is there already, and downloads of some of the files.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/storage/torrent_fixture.hpp"

namespace shoal::storage::testing {
namespace {

using seam::StoreErrorKind;

class TorrentPlaceTest : public TorrentStoreFixture {
 protected:
  const TorrentShare share_ = TorrentShare::mixed();
};

// --- the share is there already ---

TEST_F(TorrentPlaceTest, HoldsAShareThatIsThereAlready) {
  share_.write_to(in("share"));
  const auto store = make_store();
  EXPECT_EQ(open_indices(*store, share_.manifest), share_.all_pieces());
  EXPECT_NE(store->look_up(share_.manifest.pieces[2]), nullptr);
  EXPECT_EQ(store->finish(), in("share").native());
  EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{".share.shoal-lock", "share"}));
}

TEST_F(TorrentPlaceTest, LeavesSomethingElseOfThatNameAlone) {
  share_.write_to(in("share"));
  base::Bytes other = share_.bytes_of(3);
  other[1000] ^= std::byte{1};
  write_file(in("share/sub/deep/c.bin"), base::ByteView(other));
  expect_error(make_store()->open(share_.manifest), StoreErrorKind::unwritable,
               "share/sub/deep/c.bin is not what the share holds");
  std::filesystem::resize_file(in("share/a.bin"), 10);
  expect_error(make_store()->open(share_.manifest), StoreErrorKind::unwritable, "share/a.bin has another size");
  std::filesystem::remove(in("share/a.bin"));
  std::filesystem::create_symlink("/etc/passwd", in("share/a.bin"));
  expect_error(make_store()->open(share_.manifest), StoreErrorKind::unwritable, "share/a.bin is in the way");
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"share"});
}

TEST_F(TorrentPlaceTest, AddsNothingToAFolderThatHoldsNoFileOfTheShare) {
  std::filesystem::create_directory(in("share"));
  write_file(in("share/diary"), "mine");
  expect_error(make_store()->open(share_.manifest), StoreErrorKind::unwritable, "holds no file of the share");
  EXPECT_EQ(names_in(in("share")), std::vector<std::string>{"diary"});
}

TEST_F(TorrentPlaceTest, LeavesThePartOfAnotherShareAloneBesideAFinishedOne) {
  leave_behind(share_, {0, 1});
  share_.write_to(in("share"));
  const auto other = TorrentStore::download(
      {.folder = folder_.path(), .name = {}, .info_hash = base::sha1(base::view_of("other share")), .selected = {}});
  expect_error(other->open(share_.manifest), StoreErrorKind::unwritable, "an unfinished download of another share");
  EXPECT_TRUE(std::filesystem::exists(in(".share.shoal-part/a.bin")));
}

TEST_F(TorrentPlaceTest, FollowsNoLinkAndReplacesNoFile) {
  const std::filesystem::path outside = in("outside");
  share_.write_to(outside);
  std::filesystem::create_directory_symlink(outside, in("share"));
  expect_error(make_store()->open(share_.manifest), StoreErrorKind::unwritable, "a symbolic link is in the way");
  std::filesystem::remove(in("share"));
  write_file(in("share"), "a file");
  expect_error(make_store()->open(share_.manifest), StoreErrorKind::unwritable, "something else is in the way");
  std::filesystem::remove(in("share"));
  std::filesystem::create_directory_symlink(outside, in(".share.shoal-part"));
  expect_error(make_store()->open(share_.manifest), StoreErrorKind::unwritable, "a symbolic link is in the way");
}

TEST_F(TorrentPlaceTest, WritesThroughNoLinkBelowThePart) {
  const std::filesystem::path outside = in("outside");
  std::filesystem::create_directories(outside);
  write_file(outside / "a.bin", "precious");
  std::filesystem::create_directory(in(".share.shoal-part"));
  std::filesystem::create_directory_symlink(outside, in(".share.shoal-part/sub"));
  std::filesystem::create_symlink(outside / "a.bin", in(".share.shoal-part/a.bin"));
  const auto store = make_store();
  EXPECT_TRUE(open_indices(*store, share_.manifest).empty());
  put_pieces(*store, share_, {0, 1});
  EXPECT_FALSE(std::filesystem::is_symlink(in(".share.shoal-part/a.bin")));
  const auto refused = try_put(*store, share_, 3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, StoreErrorKind::unwritable) << refused.error().message;
  EXPECT_EQ(names_in(outside), std::vector<std::string>{"a.bin"});
  EXPECT_EQ(base::text_of(read_file(outside / "a.bin").value()), "precious");
}

TEST_F(TorrentPlaceTest, SaysThatTheFolderIsNotThere) {
  const auto store = TorrentStore::download({.folder = in("nowhere"), .name = {}, .info_hash = {}, .selected = {}});
  expect_error(store->open(share_.manifest), StoreErrorKind::unwritable, "nowhere");
}

TEST_F(TorrentPlaceTest, SaysThatTheFolderCannotBeWritten) {
  if (::geteuid() == 0) {
    // Root may write anywhere but here.
    const auto store = TorrentStore::download({.folder = "/proc/self", .name = {}, .info_hash = {}, .selected = {}});
    const auto opened = store->open(share_.manifest);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, StoreErrorKind::unwritable) << opened.error().message;
    return;
  }
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  expect_error(make_store()->open(share_.manifest), StoreErrorKind::unwritable, "Permission denied");
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::owner_all);
}

TEST_F(TorrentPlaceTest, SaysAtTheEndThatSomethingTookTheNameMeanwhile) {
  const auto store = make_store();
  open_indices(*store, share_.manifest);
  put_pieces(*store, share_, share_.all_pieces());
  write_file(in("share"), "somebody else's");
  const auto path = store->finish();
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().kind, StoreErrorKind::unwritable);
  EXPECT_EQ(base::text_of(read_file(in("share")).value()), "somebody else's");
  std::filesystem::remove(in("share"));
  EXPECT_EQ(open_indices(*store, share_.manifest), share_.all_pieces());
  EXPECT_EQ(store->finish(), in("share").native());
}

TEST_F(TorrentPlaceTest, RemovesAPartThatIsOfNoUse) {
  leave_behind(share_, {0, 1, 4});
  share_.write_to(in("share"));
  {
    const auto store = make_store();
    EXPECT_EQ(open_indices(*store, share_.manifest), share_.all_pieces());
    ASSERT_TRUE(store->finish());
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"share"});
}

TEST_F(TorrentPlaceTest, TellsFilesApartThatDifferInCaseWhereTheFileSystemDoes) {
  TorrentShare share(1000);
  share.file({"Read"}, 700).file({"read"}, 900).file({"READ", "me"}, 100).cut();
  download_all(share);
  expect_files(share, {0, 1, 2});
}

// --- the .torrent that is kept ---

TEST_F(TorrentPlaceTest, KeepsTheTorrentWhileItIsNotFinished) {
  const std::filesystem::path kept = in(".share.shoal-torrent");
  {
    const auto store = make_store();
    open_indices(*store, share_.manifest);
    ASSERT_TRUE(store->keep_torrent(base::view_of("a torrent")));
    put_pieces(*store, share_, {0});
  }
  EXPECT_EQ(kept_torrents(folder_.path(), std::nullopt), std::vector{kept});
  EXPECT_EQ(kept_torrents(folder_.path(), "share"), std::vector{kept});
  EXPECT_TRUE(kept_torrents(folder_.path(), "another").empty());
  const auto store = make_store();
  open_indices(*store, share_.manifest);
  ASSERT_TRUE(store->keep_torrent(base::view_of("the torrent")));
  EXPECT_EQ(base::text_of(read_file(kept).value()), "the torrent");
  put_pieces(*store, share_, share_.all_pieces());
  ASSERT_TRUE(store->finish());
  EXPECT_TRUE(kept_torrents(folder_.path(), std::nullopt).empty());
}

TEST_F(TorrentPlaceTest, TakesNoPipeAndNoLinkForATorrentThatWasKept) {
  ASSERT_EQ(::mkfifo(in(".pipe.shoal-torrent").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", in(".link.shoal-torrent"));
  EXPECT_TRUE(kept_torrents(folder_.path(), std::nullopt).empty());
}

TEST_F(TorrentPlaceTest, KeepsNoTorrentOfWhatNeverBegan) {
  {
    const auto store = make_store();
    open_indices(*store, share_.manifest);
    ASSERT_TRUE(store->keep_torrent(base::view_of("a torrent")));
  }
  EXPECT_TRUE(names_in(folder_.path()).empty());
}

TEST_F(TorrentPlaceTest, KeepsTheTorrentWithTheJournalThatStays) {
  download_all(share_, true);
  {
    const auto store = make_store({}, true);
    open_indices(*store, share_.manifest);
    ASSERT_TRUE(store->keep_torrent(base::view_of("a torrent")));
    ASSERT_TRUE(store->finish());
  }
  EXPECT_EQ(kept_torrents(folder_.path(), "share").size(), 1u);
  download_all(share_);
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"share"});
}

TEST_F(TorrentPlaceTest, KeepsNoTorrentBesideWhatIsWholeAndHasNoJournal) {
  download_all(share_);
  const auto store = make_store();
  open_indices(*store, share_.manifest);
  ASSERT_TRUE(store->keep_torrent(base::view_of("a torrent")));
  EXPECT_TRUE(kept_torrents(folder_.path(), std::nullopt).empty());
}

// --- the journal that stays ---

TEST_F(TorrentPlaceTest, BeginsAFinishedShareWithoutHashingWhenTheJournalStayed) {
  download_all(share_, true);
  EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{".share.shoal-journal", "share"}));
  // Times as noted, bytes not: found only by who looks, as `verify` does.
  const auto modified = std::filesystem::last_write_time(in("share/a.bin"));
  write_file(in("share/a.bin"), base::ByteView(make_content(2300, 55)));
  std::filesystem::last_write_time(in("share/a.bin"), modified);
  {
    const auto store = make_store({}, true);
    EXPECT_EQ(open_indices(*store, share_.manifest), share_.all_pieces());
    EXPECT_TRUE(store->finish());
  }
  std::filesystem::last_write_time(in("share/a.bin"), modified + std::chrono::seconds(1));
  expect_error(make_store({}, true)->open(share_.manifest), StoreErrorKind::unwritable,
               "share/a.bin is not what the share holds");
  write_file(in("share/a.bin"), base::ByteView(share_.bytes_of(0)));
  EXPECT_EQ(open_indices(*make_store({}, true), share_.manifest), share_.all_pieces());
}

TEST_F(TorrentPlaceTest, FinishesWhatWasRenamedButNotSaidInTheJournal) {
  leave_behind(share_, share_.all_pieces());
  std::filesystem::rename(in(".share.shoal-part"), in("share"));
  std::filesystem::create_directories(in("share/sub"));
  write_file(in("share/sub/empty"), "");
  {
    const auto store = make_store();
    EXPECT_EQ(open_indices(*store, share_.manifest), share_.all_pieces());
    ASSERT_TRUE(store->finish());
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"share"});
}

// --- some of the files ---

TEST_F(TorrentPlaceTest, MakesOnlyTheFilesThatAreWanted) {
  const std::vector<std::string> selected = {"b.bin", "z.txt"};
  EXPECT_EQ(share_.pieces_of(selected), (std::vector<std::uint32_t>{2, 6}));
  {
    const auto store = make_store(selected);
    open_indices(*store, share_.manifest);
    put_pieces(*store, share_, {2, 6});
    EXPECT_TRUE(std::ranges::equal(read_all(*store->look_up(share_.manifest.pieces[2])), share_.piece(2)));
    ASSERT_TRUE(store->finish());
    EXPECT_TRUE(std::ranges::equal(read_all(*store->look_up(share_.manifest.pieces[2])), share_.piece(2)));
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"share"});
  EXPECT_EQ(names_in(in("share")), (std::vector<std::string>{"sub", "z.txt"}));
  EXPECT_EQ(names_in(in("share/sub")), std::vector<std::string>{"b.bin"});
  expect_files(share_, {1, 4});
}

TEST_F(TorrentPlaceTest, SaysThatNothingIsSelected) {
  expect_error(make_store({"*.iso"})->open(share_.manifest), StoreErrorKind::unwritable, "no file that was selected");
}

TEST_F(TorrentPlaceTest, HoldsPiecesAtBordersAfterARestart) {
  leave_behind(share_, {2}, {"b.bin"});
  EXPECT_TRUE(std::filesystem::exists(in(".share.shoal-side")));
  EXPECT_FALSE(std::filesystem::exists(in(".share.shoal-part/a.bin")));
  EXPECT_EQ(open_indices(*make_store({"b.bin"}), share_.manifest), std::vector<std::uint32_t>{2});
}

TEST_F(TorrentPlaceTest, ChecksAFinishedSelectionWithPiecesThatComeAgain) {
  {
    const auto store = make_store({"c.bin"});
    open_indices(*store, share_.manifest);
    put_pieces(*store, share_, {2, 3, 4, 5, 6});
    ASSERT_TRUE(store->finish());
  }
  {
    const auto store = make_store({"c.bin"});
    EXPECT_EQ(open_indices(*store, share_.manifest), (std::vector<std::uint32_t>{3, 4, 5}));
    put_pieces(*store, share_, {2, 6});
    EXPECT_NE(store->look_up(share_.manifest.pieces[2]), nullptr);
    ASSERT_TRUE(store->finish());
  }
  expect_files(share_, {3});
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"share"});
  base::Bytes other = share_.bytes_of(3);
  other[0] ^= std::byte{1};  // in piece 2, at the border
  write_file(in("share/sub/deep/c.bin"), base::ByteView(other));
  const auto store = make_store({"c.bin"});
  EXPECT_EQ(open_indices(*store, share_.manifest), (std::vector<std::uint32_t>{3, 4, 5}));
  const auto refused = try_put(*store, share_, 2);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("c.bin is not what the share holds"), std::string::npos);
}

TEST_F(TorrentPlaceTest, GivesBorderPiecesAsLongAsTheJournalStays) {
  {
    const auto store = make_store({"c.bin"}, true);
    open_indices(*store, share_.manifest);
    put_pieces(*store, share_, {2, 3, 4, 5, 6});
    ASSERT_TRUE(store->finish());
  }
  const auto store = make_store({"c.bin"}, true);
  EXPECT_EQ(open_indices(*store, share_.manifest), (std::vector<std::uint32_t>{2, 3, 4, 5, 6}));
  EXPECT_TRUE(std::ranges::equal(read_all(*store->look_up(share_.manifest.pieces[2])), share_.piece(2)));
}

}  // namespace
}  // namespace shoal::storage::testing
