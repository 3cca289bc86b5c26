// Downloads of some of the files of a share and then of others: what is verified stays, finished files are added to.
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "unit/storage/torrent_fixture.hpp"

namespace shoal::storage::testing {
namespace {

using seam::StoreErrorKind;
using Indices = std::vector<std::uint32_t>;
using Names = std::vector<std::string>;

// Pieces 0-2 are of a.bin, 2 of b.bin too, 2-6 of c.bin, 6 of z.txt too.
class TorrentSelectionTest : public TorrentStoreFixture {
 protected:
  void finish(const std::vector<std::string>& selected, const Indices& held, const Indices& missing,
              bool keeps_journal = false) const {
    const auto store = make_store(selected, keeps_journal);
    ASSERT_EQ(open_indices(*store, share_.manifest), held);
    put_pieces(*store, share_, missing);
    const auto path = store->finish();
    ASSERT_TRUE(path) << path.error().message;
    for (const std::uint32_t piece : share_.pieces_of(selected)) {
      const auto readable = store->look_up(share_.manifest.pieces[piece]);
      ASSERT_NE(readable, nullptr) << piece;
      EXPECT_TRUE(std::ranges::equal(read_all(*readable), share_.piece(piece))) << piece;
    }
  }

  const TorrentShare share_ = TorrentShare::mixed();
};

// --- unfinished ---

TEST_F(TorrentSelectionTest, KeepsWhatItHasWhenMoreFilesAreWanted) {
  leave_behind(share_, {2}, {"b.bin"});
  finish({}, {2}, {0, 1, 3, 4, 5, 6});
  expect_files(share_, {0, 1, 2, 3, 4});
  EXPECT_EQ(names_in(folder_.path()), Names{"share"});
}

TEST_F(TorrentSelectionTest, KeepsWhatItHasWhenFewerFilesAreWanted) {
  leave_behind(share_, {0, 1, 2, 3, 4});
  finish({"c.bin"}, {0, 1, 2, 3, 4}, {5, 6});
  EXPECT_EQ(names_in(in("share")), Names{"sub"});
  EXPECT_EQ(names_in(in("share/sub")), Names{"deep"});
  expect_files(share_, {3});
  finish({}, {0, 1, 2, 3, 4, 5, 6}, {});
  expect_files(share_, {0, 1, 2, 3, 4});
  EXPECT_EQ(names_in(folder_.path()), Names{"share"});
}

TEST_F(TorrentSelectionTest, KeepsWhatItHasWhenOtherFilesAreWanted) {
  leave_behind(share_, {0}, {"a.bin"});
  leave_behind(share_, {3, 4}, {"c.bin"});
  leave_behind(share_, {}, {"z.txt"});
  finish({"a.bin"}, {0, 3, 4}, {1, 2});
  EXPECT_EQ(names_in(in("share")), Names{"a.bin"});
  finish({"c.bin"}, {0, 1, 2, 3, 4}, {5, 6});
  expect_files(share_, {0, 3});
  EXPECT_EQ(names_in(folder_.path()), Names{"share"});
}

TEST_F(TorrentSelectionTest, RemovesOnlyWhatWasNeverVerified) {
  {
    const auto store = make_store();
    open_indices(*store, share_.manifest);
    ASSERT_TRUE(store->begin(seam::WriteId(1), share_.places_of(0), 1000));
    ASSERT_TRUE(store->put(seam::WriteId(1), 0, share_.piece(0).first(500)));
  }
  EXPECT_TRUE(std::filesystem::exists(in(".share.shoal-part/a.bin")));
  finish({"z.txt"}, {}, {6});
  EXPECT_EQ(names_in(folder_.path()), Names{"share"});
  EXPECT_EQ(names_in(in("share")), Names{"z.txt"});
}

TEST_F(TorrentSelectionTest, GoesOnWithAnUnfinishedFileBesideFinishedOnesWhenTheJournalIsLost) {
  leave_behind(share_, {0, 1});
  finish({"z.txt"}, {0, 1}, {6});
  std::filesystem::remove(in(".share.shoal-journal"));
  finish({}, {0, 1, 6}, {2, 3, 4, 5});
  expect_files(share_, {0, 1, 2, 3, 4});
  EXPECT_EQ(names_in(folder_.path()), Names{"share"});
}

// --- finished ---

TEST_F(TorrentSelectionTest, AddsFilesToFinishedOnes) {
  finish({"c.bin"}, {}, {2, 3, 4, 5, 6});
  finish({"a.bin"}, {}, {0, 1, 2});
  expect_files(share_, {0, 3});
  EXPECT_EQ(names_in(in("share")), (Names{"a.bin", "sub"}));
  EXPECT_EQ(names_in(folder_.path()), Names{"share"});
  finish({}, {0, 1, 3, 4, 5}, {2, 6});
  expect_files(share_, {0, 1, 2, 3, 4});
  EXPECT_EQ(names_in(folder_.path()), Names{"share"});
}

TEST_F(TorrentSelectionTest, AddsFilesWithoutHashingWhenTheJournalStayed) {
  finish({"c.bin"}, {}, {2, 3, 4, 5, 6}, true);
  // Times as noted, bytes not: who hashes sees it.
  const auto modified = std::filesystem::last_write_time(in("share/sub/deep/c.bin"));
  const base::Bytes right = share_.bytes_of(3);
  write_file(in("share/sub/deep/c.bin"), base::ByteView(make_content(3700, 55)));
  std::filesystem::last_write_time(in("share/sub/deep/c.bin"), modified);
  EXPECT_EQ(open_indices(*make_store({}, true), share_.manifest), (Indices{2, 3, 4, 5, 6}));
  write_file(in("share/sub/deep/c.bin"), base::ByteView(right));
  std::filesystem::last_write_time(in("share/sub/deep/c.bin"), modified);
  finish({}, {2, 3, 4, 5, 6}, {0, 1}, true);
  expect_files(share_, {0, 1, 2, 3, 4});
}

TEST_F(TorrentSelectionTest, FetchesAFileAgainThatIsMissingInAFinishedShare) {
  share_.write_to(in("share"));
  write_file(in("share/notes"), "mine");
  std::filesystem::remove(in("share/a.bin"));
  std::filesystem::remove(in("share/sub/empty"));
  finish({}, {3, 4, 5, 6}, {0, 1, 2});
  expect_files(share_, {0, 1, 2, 3, 4});
  EXPECT_EQ(base::text_of(read_file(in("share/notes")).value()), "mine");
  EXPECT_EQ(names_in(folder_.path()), Names{"share"});
}

TEST_F(TorrentSelectionTest, OverwritesNoFinishedFileThatIsNotWhatTheShareHolds) {
  finish({"c.bin"}, {}, {2, 3, 4, 5, 6});
  base::Bytes other = share_.bytes_of(3);
  other[0] ^= std::byte{1};  // in piece 2, at the border
  write_file(in("share/sub/deep/c.bin"), base::ByteView(other));
  {
    const auto store = make_store();
    open_indices(*store, share_.manifest);
    put_pieces(*store, share_, {0, 1});
    const auto refused = try_put(*store, share_, 2);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, StoreErrorKind::unwritable);
    EXPECT_NE(refused.error().message.find("c.bin is not what the share holds"), std::string::npos);
  }
  other[1500] ^= std::byte{1};
  write_file(in("share/sub/deep/c.bin"), base::ByteView(other));
  expect_error(make_store()->open(share_.manifest), StoreErrorKind::unwritable, "c.bin is not what the share holds");
  EXPECT_TRUE(read_file(in("share/sub/deep/c.bin")) == other);
  // Who does not want it is not disturbed by it.
  finish({"z.txt"}, {0, 1, 4, 5}, {6});
  EXPECT_TRUE(read_file(in("share/sub/deep/c.bin")) == other);
}

TEST_F(TorrentSelectionTest, OverwritesNoFileThatAppearsUnderWay) {
  finish({"z.txt"}, {}, {6});
  const auto store = make_store();
  open_indices(*store, share_.manifest);
  put_pieces(*store, share_, {0, 1, 2, 3, 4, 5, 6});
  write_file(in("share/a.bin"), "somebody else's");
  const auto path = store->finish();
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().message.find("share/a.bin: File exists"), std::string::npos) << path.error().message;
  EXPECT_EQ(base::text_of(read_file(in("share/a.bin")).value()), "somebody else's");
  std::filesystem::remove(in("share/a.bin"));
  EXPECT_EQ(open_indices(*store, share_.manifest), share_.all_pieces());
  ASSERT_TRUE(store->finish());
  expect_files(share_, {0, 1, 2, 3, 4});
}

TEST_F(TorrentSelectionTest, FinishesWhatWasOnlyHalfMoved) {
  leave_behind(share_, share_.all_pieces());
  std::filesystem::create_directories(in("share/sub"));
  const std::uint64_t before = bytes_read();
  EXPECT_EQ(open_indices(*make_store(), share_.manifest), share_.all_pieces());
  std::filesystem::rename(in(".share.shoal-part/sub/b.bin"), in("share/sub/b.bin"));
  EXPECT_EQ(open_indices(*make_store(), share_.manifest), share_.all_pieces());
  EXPECT_LT(bytes_read() - before, 6'000u);
  finish({}, share_.all_pieces(), {});
  expect_files(share_, {0, 1, 2, 3, 4});
  EXPECT_EQ(names_in(folder_.path()), Names{"share"});
}

TEST_F(TorrentSelectionTest, MakesLinksWhereNothingIs) {
  TorrentShare share(1000);
  share.file({"a"}, 1500).link({"sub", "one"}, {"a"}).link({"two"}, {"a"}).cut();
  const auto get = [&](const std::vector<std::string>& selected, const Indices& held, const Indices& missing) {
    const auto store = make_store(selected);
    ASSERT_EQ(open_indices(*store, share.manifest), held);
    put_pieces(*store, share, missing);
    ASSERT_TRUE(store->finish());
  };
  get({"a"}, {}, {0, 1});
  write_file(in("share/two"), "mine");
  get({}, {0, 1}, {});
  EXPECT_EQ(std::filesystem::read_symlink(in("share/sub/one")), "../a");
  EXPECT_EQ(base::text_of(read_file(in("share/two")).value()), "mine");
  EXPECT_EQ(names_in(folder_.path()), Names{"share"});
}

// --- any history ---

struct History {
  base::Rng rng;
  TorrentShare share{1};
  std::vector<std::string> selected;
  std::vector<std::uint32_t> wanted;  // pieces
  std::vector<bool> is_verified;
  std::vector<bool> is_finished;  // by file: these are hashed when they are wanted
  bool has_finished = false;
  bool has_journal = true;  // else: perhaps not

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
    is_finished.assign(share.manifest.layout->files.size(), false);
    select();
  }
  void select() {
    selected.clear();
    if (rng.chance(0.6)) selected = {"last", std::to_string(rng.below(5)), std::to_string(rng.below(5))};
    wanted = share.pieces_of(selected);
  }
  [[nodiscard]] std::vector<bool> wanted_files() const {
    return metainfo::select_files(*share.manifest.layout, selected);
  }
  void note_finish() {
    has_finished = true;
    has_journal = false;
    const std::vector<bool> is_wanted = wanted_files();
    for (std::size_t i = 0; i < is_wanted.size(); ++i) {
      if (is_wanted[i]) is_finished[i] = true;
    }
  }
  // Opens, and looks at what is said to be held.
  void open(TorrentStore& store) {
    const std::vector<std::uint32_t> held = open_indices(store, share.manifest);
    std::vector<bool> is_held(is_verified.size());
    for (const std::uint32_t piece : held) {
      is_held[piece] = true;
      const auto readable = store.look_up(share.manifest.pieces[piece]);
      ASSERT_NE(readable, nullptr) << piece;
      EXPECT_TRUE(std::ranges::equal(read_all(*readable), share.piece(piece))) << piece;
    }
    for (std::uint32_t piece = 0; piece < is_held.size(); ++piece) {
      const bool is_expected = has_journal ? is_verified[piece] : lies_in_finished_files(piece);
      EXPECT_TRUE(is_held[piece] || !is_expected) << piece;
      EXPECT_TRUE(is_held[piece] == is_expected || has_finished) << piece;
    }
    is_verified = is_held;
  }
  [[nodiscard]] bool lies_in_finished_files(std::uint32_t piece) const {
    const metainfo::Layout& layout = *share.manifest.layout;
    const std::vector<bool> is_wanted = wanted_files();
    bool is_of_interest = false;
    for (std::size_t i = 0; i < layout.files.size(); ++i) {
      const metainfo::FileEntry& file = layout.files[i];
      const std::uint64_t begin = share.manifest.offset_of(base::PieceIndex(piece));
      const std::uint64_t end = begin + share.manifest.size_of(base::PieceIndex(piece));
      if (file.is_padding || file.size_bytes == 0 || file.offset_bytes >= end ||
          file.offset_bytes + file.size_bytes <= begin)
        continue;
      if (!is_finished[i]) return false;
      is_of_interest = is_of_interest || is_wanted[i];
    }
    return is_of_interest;
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
      const auto completed = store.complete(writer.id);
      ASSERT_TRUE(completed) << completed.error().message;
      EXPECT_EQ(*completed, is_right);
      for (const base::PieceIndex place : share.places_of(writer.piece)) {
        if (is_right && std::ranges::find(wanted, place.value) != wanted.end()) history.is_verified[place.value] = true;
      }
    } else {
      continue;
    }
    writers.erase(writers.begin() + static_cast<std::ptrdiff_t>(which));
  }
}

// A run that ends before the download does, in peace or killed.
void run_for_a_while(const std::function<std::unique_ptr<TorrentStore>()>& make, History& history) {
  const bool is_killed = history.rng.chance(0.5);
  int report[2];
  ASSERT_EQ(::pipe(report), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto store = make();
    history.open(*store);
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
}

TEST_F(TorrentSelectionTest, EndsWithTheRightFilesAfterAnyHistoryOfKillsSelectionsAndFinishes) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    std::filesystem::remove_all(in("share"));
    std::filesystem::remove_all(in(".share.shoal-part"));
    History history(seed);
    const TorrentShare& share = history.share;
    const auto make = [&] { return make_store(history.selected); };
    for (std::uint64_t finishes = 1 + history.rng.below(3); finishes > 0; --finishes) {
      for (std::uint64_t run = history.rng.below(4); run > 0; --run) {
        if (history.rng.chance(0.4)) history.select();
        run_for_a_while(make, history);
        if (HasFatalFailure()) return;
        history.has_journal = std::filesystem::exists(in(".share.shoal-journal"));
        if (history.rng.chance(0.3) && history.has_journal) forget_boot();
      }
      const auto store = make();
      history.open(*store);
      for (const std::uint32_t piece : history.wanted) {
        if (history.is_verified[piece]) continue;
        put_pieces(*store, share, {piece});
        for (const base::PieceIndex place : share.places_of(piece)) history.is_verified[place.value] = true;
      }
      const auto path = store->finish();
      ASSERT_TRUE(path) << path.error().message;
      history.note_finish();
      for (std::size_t i = 0; i < history.is_finished.size(); ++i) {
        if (share.manifest.layout->files[i].is_padding) continue;
        const auto file = in("share") / metainfo::join_path(share.manifest.layout->files[i].path);
        EXPECT_EQ(std::filesystem::exists(file), history.is_finished[i]) << file;
        if (history.is_finished[i]) expect_files(share, {i});
      }
      history.select();
    }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace shoal::storage::testing
