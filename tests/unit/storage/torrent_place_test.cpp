// What stands in the way of a download, what is there already, and downloads of some of the files.
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
  std::filesystem::remove(in("share/sub/empty"));
  share_.write_to(in("share"));
  std::filesystem::remove(in("share/sub/empty"));
  expect_error(make_store()->open(share_.manifest), StoreErrorKind::unwritable, "share/sub/empty is missing");
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"share"});
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

TEST_F(TorrentPlaceTest, KeepsWhatItCanWhenMoreFilesAreWanted) {
  leave_behind(share_, {2}, {"b.bin"});
  const auto store = make_store();
  EXPECT_EQ(open_indices(*store, share_.manifest), std::vector<std::uint32_t>{2});
  put_pieces(*store, share_, {0, 1, 3, 4, 5, 6});
  ASSERT_TRUE(store->finish());
  expect_files(share_, {0, 1, 2, 3, 4});
}

TEST_F(TorrentPlaceTest, KeepsWhatItCanWhenFewerFilesAreWanted) {
  leave_behind(share_, {0, 1, 2, 3, 4});
  {
    const auto store = make_store({"c.bin"});
    EXPECT_EQ(open_indices(*store, share_.manifest), (std::vector<std::uint32_t>{2, 3, 4}));
    put_pieces(*store, share_, {5, 6});
    ASSERT_TRUE(store->finish());
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"share"});
  EXPECT_EQ(names_in(in("share")), std::vector<std::string>{"sub"});
  EXPECT_EQ(names_in(in("share/sub")), std::vector<std::string>{"deep"});
  expect_files(share_, {3});
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

// --- any history ---

struct History {
  base::Rng rng;
  TorrentShare share{1};
  std::vector<std::string> selected;
  std::vector<std::uint32_t> wanted;  // pieces
  std::vector<bool> is_verified;      // and wanted ever since

  explicit History(std::uint64_t seed) : rng(seed), share(static_cast<std::uint32_t>(1 + rng.below(400))) {
    const std::uint64_t count = 1 + rng.below(8);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::vector<std::string> path = {"d" + std::to_string(rng.below(2)), std::to_string(i)};
      if (rng.chance(0.15)) {
        share.padding(rng.below(300));
      } else if (rng.chance(0.15)) {
        share.file_of(path, base::Bytes(rng.below(2000)));
      } else {
        share.file(path, rng.chance(0.2) ? 0 : rng.below(1500));
      }
    }
    share.file({"last"}, 1 + rng.below(100)).cut();
    is_verified.assign(share.manifest.piece_count(), false);
    select();
  }
  void select() {
    selected.clear();
    if (rng.chance(0.6)) selected = {"last", std::to_string(rng.below(5)), std::to_string(rng.below(5))};
    wanted = share.pieces_of(selected);
    for (std::uint32_t i = 0; i < is_verified.size(); ++i) {
      if (std::ranges::find(wanted, i) == wanted.end()) is_verified[i] = false;
    }
  }
  [[nodiscard]] std::vector<std::uint32_t> held() const {
    std::vector<std::uint32_t> held;
    for (std::uint32_t i = 0; i < is_verified.size(); ++i) {
      if (is_verified[i]) held.push_back(i);
    }
    return held;
  }
};

struct Writer {
  seam::WriteId id;
  std::uint32_t piece = 0;
  base::Bytes bytes;
  std::vector<std::pair<std::size_t, std::size_t>> blocks;  // still to be sent: from, size
};

// Random writers for a while: several of one piece, lying, abandoned, in any order.
void write_for_a_while(PieceStore& store, History& history) {
  base::Rng& rng = history.rng;
  const TorrentShare& share = history.share;
  const std::vector<std::uint32_t>& wanted = history.wanted;
  std::vector<Writer> writers;
  for (std::uint64_t step = 1; step <= 80; ++step) {
    if (rng.chance(0.3)) {
      Writer writer{seam::WriteId(step), wanted[rng.below(wanted.size())], {}, {}};
      const base::ByteView right = share.piece(writer.piece);
      writer.bytes.assign(right.begin(), right.end());
      if (rng.chance(0.25)) writer.bytes[rng.below(writer.bytes.size())] ^= std::byte{1};
      for (std::size_t at = 0; at < writer.bytes.size();) {
        const std::size_t size = std::min<std::size_t>(1 + rng.below(150), writer.bytes.size() - at);
        writer.blocks.emplace_back(at, size);
        if (rng.chance(0.1)) writer.blocks.emplace_back(at, size);
        at += size;
      }
      if (rng.chance(0.5)) std::swap(writer.blocks.front(), writer.blocks.back());
      ASSERT_TRUE(store.begin(writer.id, share.places_of(writer.piece), writer.bytes.size()));
      writers.push_back(std::move(writer));
      continue;
    }
    if (writers.empty()) continue;
    const std::size_t which = rng.below(writers.size());
    Writer& writer = writers[which];
    for (std::uint64_t i = rng.below(6); i > 0 && !writer.blocks.empty(); --i) {
      const auto [from, size] = writer.blocks.back();
      ASSERT_TRUE(store.put(writer.id, from, base::ByteView(writer.bytes).subspan(from, size)));
      writer.blocks.pop_back();
    }
    if (rng.chance(0.05)) {
      store.abandon(writer.id);
    } else if (writer.blocks.empty()) {
      const bool is_right = std::ranges::equal(writer.bytes, share.piece(writer.piece));
      EXPECT_EQ(store.complete(writer.id), is_right);
      for (const base::PieceIndex place : share.places_of(writer.piece)) {
        if (is_right && std::ranges::find(wanted, place.value) != wanted.end()) history.is_verified[place.value] = true;
      }
    } else {
      continue;
    }
    writers.erase(writers.begin() + static_cast<std::ptrdiff_t>(which));
  }
}

TEST_F(TorrentPlaceTest, EndsWithTheRightFilesAfterAnyHistoryOfKillsAndRestarts) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::filesystem::remove_all(in("share"));
    History history(seed);
    const TorrentShare& share = history.share;
    for (std::uint64_t run = history.rng.below(4); run > 0; --run) {
      const bool is_killed = history.rng.chance(0.5);
      if (history.rng.chance(0.4)) history.select();
      int report[2];
      ASSERT_EQ(::pipe(report), 0);
      const pid_t child = ::fork();
      if (child == 0) {
        auto store = make_store(history.selected);
        EXPECT_EQ(open_indices(*store, share.manifest), history.held());
        write_for_a_while(*store, history);
        for (const bool is_verified : history.is_verified) {
          const char letter = is_verified ? 'v' : '-';
          EXPECT_EQ(::write(report[1], &letter, 1), 1);
        }
        if (!is_killed) store.reset();
        ::_exit(::testing::Test::HasFailure() ? 1 : 0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      ASSERT_EQ(status, 0);
      std::string letters(history.is_verified.size(), '?');
      ASSERT_EQ(::read(report[0], letters.data(), letters.size()), static_cast<ssize_t>(letters.size()));
      for (std::size_t i = 0; i < letters.size(); ++i) history.is_verified[i] = letters[i] == 'v';
      ::close(report[0]);
      ::close(report[1]);
      for (std::uint64_t skip = 0; skip < 500; ++skip) (void)history.rng.next();  // what the child drew
      if (history.rng.chance(0.3)) forget_boot();
    }
    const auto store = make_store(history.selected);
    ASSERT_EQ(open_indices(*store, share.manifest), history.held());
    for (const std::uint32_t piece : history.wanted) {
      if (!history.is_verified[piece]) put_pieces(*store, share, {piece});
    }
    const auto path = store->finish();
    ASSERT_TRUE(path) << path.error().message;
    const auto is_wanted = metainfo::select_files(*share.manifest.layout, history.selected);
    for (std::size_t i = 0; i < is_wanted.size(); ++i) {
      if (share.manifest.layout->files[i].is_padding) continue;
      const auto file = in("share") / metainfo::join_path(share.manifest.layout->files[i].path);
      EXPECT_EQ(std::filesystem::exists(file), is_wanted[i]);
      if (is_wanted[i]) expect_files(share, {i});
    }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace shoal::storage::testing
