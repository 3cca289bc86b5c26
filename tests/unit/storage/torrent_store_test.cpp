#include "storage/torrent_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include "storage/files.hpp"
#include "unit/storage/torrent_fixture.hpp"

namespace shoal::storage::testing {
namespace {

using seam::StoreErrorKind;

class TorrentStoreTest : public TorrentStoreFixture {};

TEST_F(TorrentStoreTest, MakesAFolderAndNothingElse) {
  const TorrentShare share = TorrentShare::mixed();
  {
    const auto store = make_store();
    EXPECT_TRUE(open_indices(*store, share.manifest).empty());
    put_pieces(*store, share, {6, 0, 3, 1, 5, 2, 4});
    EXPECT_FALSE(std::filesystem::exists(in("share")));
    EXPECT_EQ(store->finish(), in("share").native());
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"share"});
  EXPECT_EQ(names_in(in("share")), (std::vector<std::string>{"a.bin", "sub", "z.txt"}));
  EXPECT_EQ(names_in(in("share/sub")), (std::vector<std::string>{"b.bin", "deep", "empty"}));
  expect_files(share, {0, 1, 2, 3, 4});
}

TEST_F(TorrentStoreTest, KeepsWhatIsUnfinishedUnderHiddenNames) {
  const TorrentShare share = TorrentShare::mixed();
  const auto store = make_store();
  open_indices(*store, share.manifest);
  put_pieces(*store, share, {0});
  EXPECT_EQ(names_in(folder_.path()),
            (std::vector<std::string>{".share.shoal-journal", ".share.shoal-lock", ".share.shoal-part"}));
}

TEST_F(TorrentStoreTest, TakesAnotherNameThanTheShares) {
  const TorrentShare share = TorrentShare::mixed();
  const auto store =
      TorrentStore::download({.folder = folder_.path(), .name = "mine", .info_hash = {}, .selected = {}});
  open_indices(*store, share.manifest);
  put_pieces(*store, share, share.all_pieces());
  EXPECT_EQ(store->finish(), in("mine").native());
  EXPECT_TRUE(std::filesystem::exists(in("mine/z.txt")));
}

TEST_F(TorrentStoreTest, TakesNoNameThatIsAPath) {
  const TorrentShare share = TorrentShare::mixed();
  for (const std::string name : {"..", ".", "a/b", ""}) {
    const auto store =
        TorrentStore::download({.folder = folder_.path(), .name = name, .info_hash = {}, .selected = {}});
    expect_error(store->open(share.manifest), StoreErrorKind::unwritable, "not the name of one file or folder");
  }
}

TEST_F(TorrentStoreTest, TakesBlocksInAnyOrderAndTwice) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    const TemporaryFolder folder;
    const TorrentShare share = TorrentShare::mixed();
    const auto store = TorrentStore::download({.folder = folder.path(), .name = {}, .info_hash = {}, .selected = {}});
    open_indices(*store, share.manifest);
    base::Rng rng(seed);
    for (const std::uint32_t piece : share.all_pieces()) {
      const seam::WriteId write(piece);
      const base::ByteView bytes = share.piece(piece);
      ASSERT_TRUE(store->begin(write, share.places_of(piece), bytes.size()));
      std::vector<ByteRange> blocks;
      for (std::size_t at = 0; at < bytes.size(); at += 130) {
        const ByteRange block{at, std::min<std::size_t>(130, bytes.size() - at)};
        blocks.push_back(block);
        if (rng.chance(0.2)) blocks.push_back(block);
      }
      for (std::size_t i = blocks.size(); i > 1; --i) std::swap(blocks[i - 1], blocks[rng.below(i)]);
      for (const ByteRange& block : blocks) {
        ASSERT_TRUE(store->put(write, block.offset, bytes.subspan(block.offset, block.size_bytes)));
      }
      EXPECT_EQ(store->complete(write), true);
    }
    ASSERT_TRUE(store->finish());
    EXPECT_TRUE(read_file(folder.path() / "share/sub/deep/c.bin") == share.bytes_of(3));
  }
}

TEST_F(TorrentStoreTest, LosesNothingOfAPieceThatAnotherWriterCompletesFirst) {
  const TorrentShare share = TorrentShare::mixed();
  const auto store = make_store();
  open_indices(*store, share.manifest);
  const seam::WriteId slow(1);
  // Piece 2 lies in three files; of the first one nothing is there yet.
  ASSERT_TRUE(store->begin(slow, share.places_of(2), 1000));
  ASSERT_TRUE(store->put(slow, 500, share.piece(2).subspan(500)));
  put_pieces(*store, share, {2});
  ASSERT_TRUE(store->put(slow, 0, share.piece(2).first(500)));
  EXPECT_EQ(store->complete(slow), true);
}

TEST_F(TorrentStoreTest, BelievesWhatIsThereAndNotWhatCameBefore) {
  const TorrentShare share = TorrentShare::mixed();
  const auto store = make_store();
  open_indices(*store, share.manifest);
  ASSERT_TRUE(store->begin(seam::WriteId(1), share.places_of(0), 1000));
  ASSERT_TRUE(store->put(seam::WriteId(1), 0, share.piece(0)));
  ASSERT_TRUE(store->put(seam::WriteId(1), 300, base::Bytes(10)));
  EXPECT_EQ(store->complete(seam::WriteId(1)), false);
  ASSERT_TRUE(store->begin(seam::WriteId(2), share.places_of(0), 1000));
  ASSERT_TRUE(store->put(seam::WriteId(2), 0, base::Bytes(500)));
  ASSERT_TRUE(store->put(seam::WriteId(2), 0, share.piece(0)));
  EXPECT_EQ(store->complete(seam::WriteId(2)), true);
}

TEST_F(TorrentStoreTest, RefusesAPieceOfAnotherSizeAndTouchesNoNeighbour) {
  const TorrentShare share = TorrentShare::mixed();
  const auto store = make_store();
  open_indices(*store, share.manifest);
  put_pieces(*store, share, {1});
  ASSERT_TRUE(store->begin(seam::WriteId(1), share.places_of(0), 5000));
  ASSERT_TRUE(store->put(seam::WriteId(1), 0, make_content(5000, 9)));
  EXPECT_EQ(store->complete(seam::WriteId(1)), false);
  put_pieces(*store, share, {0, 2, 3, 4, 5, 6});
  ASSERT_TRUE(store->finish());
  expect_files(share, {0, 1, 2, 3, 4});
}

TEST_F(TorrentStoreTest, FillsEveryPlaceOfARepeatedPiece) {
  TorrentShare share(1000);
  share.file_of({"a"}, base::Bytes(3000)).file({"b"}, 1000).file_of({"c"}, base::Bytes(2000)).cut();
  const auto store = make_store();
  open_indices(*store, share.manifest);
  put_pieces(*store, share, {0, 3});
  ASSERT_TRUE(store->finish());
  expect_files(share, {0, 1, 2});
}

TEST_F(TorrentStoreTest, MakesAShareWithoutAnyBytes) {
  TorrentShare share(1000);
  share.file({"empty"}, 0).file({"sub", "empty"}, 0).cut();
  const auto store = make_store();
  EXPECT_TRUE(open_indices(*store, share.manifest).empty());
  ASSERT_TRUE(store->finish());
  expect_files(share, {0, 1});
}

TEST_F(TorrentStoreTest, WritesNoPaddingAndReadsItAsZeros) {
  TorrentShare share(1000);
  share.file({"a"}, 1300).padding(700).file({"b"}, 900).cut();
  const auto store = make_store();
  open_indices(*store, share.manifest);
  put_pieces(*store, share, {0, 1, 2});
  const auto piece = store->look_up(share.manifest.pieces[1]);
  ASSERT_NE(piece, nullptr);
  const base::ByteView expected = share.piece(1);
  EXPECT_EQ(read_all(*piece), base::Bytes(expected.begin(), expected.end()));
  ASSERT_TRUE(store->finish());
  EXPECT_EQ(names_in(in("share")), (std::vector<std::string>{"a", "b"}));
  expect_files(share, {0, 2});
}

TEST_F(TorrentStoreTest, TakesNothingButZerosForPadding) {
  TorrentShare share(1000);
  share.file({"a"}, 300).padding(700).cut();
  share.content[999] = std::byte{1};
  share.cut();
  const auto store = make_store();
  open_indices(*store, share.manifest);
  EXPECT_EQ(try_put(*store, share, 0), false);
}

TEST_F(TorrentStoreTest, GivesExecutableBitsAndRelativeLinks) {
  TorrentShare share(1000);
  share.executable({"bin", "run"}, 100)
      .file({"data"}, 100)
      .link({"bin", "data"}, {"data"})
      .link({"run"}, {"bin", "run"});
  share.cut();
  download_all(share);
  struct stat status{};
  ASSERT_EQ(::stat(in("share/bin/run").c_str(), &status), 0);
  EXPECT_NE(status.st_mode & 0100, 0u);
  ASSERT_EQ(::stat(in("share/data").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0111, 0u);
  EXPECT_EQ(std::filesystem::read_symlink(in("share/bin/data")), "../data");
  EXPECT_EQ(std::filesystem::read_symlink(in("share/run")), "bin/run");
  EXPECT_TRUE(read_file(std::filesystem::canonical(in("share/bin/data"))) == share.bytes_of(1));
}

TEST_F(TorrentStoreTest, GivesFilesTheTimesThatTheShareSays) {
  TorrentShare share(1000);
  share.file({"old"}, 1500).file({"new"}, 700).file({"empty"}, 0).cut();
  share.manifest.layout->files[0].modified_s = 1'000'000'000;
  share.manifest.layout->files[2].modified_s = 0;
  struct stat before{};
  struct stat status{};
  ASSERT_EQ(::stat(folder_.path().c_str(), &before), 0);
  download_all(share, true);
  ASSERT_EQ(::stat(in("share/old").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 1'000'000'000);
  ASSERT_EQ(::stat(in("share/empty").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, 0);
  ASSERT_EQ(::stat(in("share/new").c_str(), &status), 0);
  EXPECT_GE(status.st_mtim.tv_sec, before.st_mtim.tv_sec);
  EXPECT_EQ(open_indices(*make_store({}, true), share.manifest), share.all_pieces());
}

TEST_F(TorrentStoreTest, GivesANamelessFileNoNameAtAnyTime) {
  TorrentShare share(1000);
  share.file({"share"}, 2'500).cut();
  share.manifest.layout->is_folder = false;
  const auto store = TorrentStore::download(
      {.folder = folder_.path(), .name = {}, .info_hash = {}, .selected = {}, .is_nameless = true});
  EXPECT_TRUE(open_indices(*store, share.manifest).empty());
  put_pieces(*store, share, {0, 2});
  EXPECT_TRUE(names_in(folder_.path()).empty());
  // Opened again, as after a full disk.
  ASSERT_TRUE(store->begin(seam::WriteId(1), share.places_of(1), 1000));
  EXPECT_EQ(open_indices(*store, share.manifest), (std::vector<std::uint32_t>{0, 2}));
  put_pieces(*store, share, {1});
  ASSERT_TRUE(store->finish());
  for (const std::uint32_t piece : {0u, 1u, 2u}) {
    EXPECT_TRUE(std::ranges::equal(read_all(*store->look_up(share.manifest.pieces[piece])), share.piece(piece)));
  }
  EXPECT_TRUE(names_in(folder_.path()).empty());
}

TEST_F(TorrentStoreTest, TakesPiecesFromSeveralThreadsAndLooksThemUpMeanwhile) {
  TorrentShare share(1000);
  for (int i = 0; i < 40; ++i) share.file({"d" + std::to_string(i % 3), std::to_string(i)}, 50 + 77 * i);
  share.cut();
  const auto store = make_store();
  open_indices(*store, share.manifest);
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint32_t i = 0; i < share.manifest.piece_count(); ++i) {
          if (i % 4 != t) continue;
          put_pieces(*store, share, {i});
          EXPECT_NE(store->look_up(share.manifest.pieces[i]), nullptr);
        }
      });
    }
  }
  ASSERT_TRUE(store->finish());
  for (std::size_t i = 0; i < 40; ++i) expect_files(share, {i});
}

// --- giving ---

TEST_F(TorrentStoreTest, GivesOnlyVerifiedPiecesAndGoesOnAfterFinish) {
  const TorrentShare share = TorrentShare::mixed();
  const auto store = make_store({}, true);
  EXPECT_EQ(store->look_up(share.manifest.pieces[0]), nullptr);
  open_indices(*store, share.manifest);
  EXPECT_EQ(store->look_up_verified(share.manifest.pieces[0]), seam::ReadablePiecePtr{});
  put_pieces(*store, share, share.all_pieces());
  const auto early = store->look_up(share.manifest.pieces[2]);  // of three files
  ASSERT_TRUE(store->finish());
  for (const std::uint32_t i : share.all_pieces()) {
    const auto piece = store->look_up_verified(share.manifest.pieces[i]);
    ASSERT_TRUE(piece && *piece) << i;
    EXPECT_TRUE(std::ranges::equal(read_all(**piece), share.piece(i))) << i;
  }
  EXPECT_TRUE(std::ranges::equal(read_all(*early), share.piece(2)));
  EXPECT_EQ(store->look_up(base::sha1(base::view_of("other"))), nullptr);
}

TEST_F(TorrentStoreTest, GivesADescriptorForAPieceWithinOneFile) {
  const TorrentShare share = TorrentShare::mixed();
  share.write_to(in("data"));
  const auto store = TorrentStore::serve(share.manifest, in("data"));
  ASSERT_TRUE(store) << store.error().message;
  const auto within = (*store)->look_up(share.manifest.pieces[1]);
  EXPECT_GE(within->file_descriptor(), 0);
  EXPECT_EQ(within->file_offset(), 1000u);
  EXPECT_EQ(within->size_bytes(), 1000u);
  const auto across = (*store)->look_up(share.manifest.pieces[2]);
  EXPECT_EQ(across->file_descriptor(), -1);
  base::Bytes middle(400);
  EXPECT_EQ(across->read_at(200, middle), 400u);
  EXPECT_TRUE(std::ranges::equal(middle, share.piece(2).subspan(200, 400)));
  EXPECT_EQ(across->read_at(900, middle), 100u);
  EXPECT_EQ(across->read_at(1000, middle), 0u);
}

TEST_F(TorrentStoreTest, ServesAllOfWhatIsThereAndWritesNothing) {
  const TorrentShare share = TorrentShare::mixed();
  share.write_to(in("data"));
  const auto store = TorrentStore::serve(share.manifest, in("data"));
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ(open_indices(**store, share.manifest), share.all_pieces());
  EXPECT_EQ((*store)->finish(), in("data").native());
  for (const std::uint32_t i : share.all_pieces()) {
    EXPECT_TRUE(std::ranges::equal(read_all(*(*store)->look_up(share.manifest.pieces[i])), share.piece(i))) << i;
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"data"});
}

TEST_F(TorrentStoreTest, DoesNotServeWhatIsMissingOrOfAnotherSize) {
  const TorrentShare share = TorrentShare::mixed();
  share.write_to(in("data"));
  std::filesystem::resize_file(in("data/sub/b.bin"), 49);
  const auto shorter = TorrentStore::serve(share.manifest, in("data"));
  ASSERT_FALSE(shorter);
  EXPECT_NE(shorter.error().message.find("b.bin has 49 bytes; in the share it has 50"), std::string::npos);
  std::filesystem::remove(in("data/sub/b.bin"));
  EXPECT_FALSE(TorrentStore::serve(share.manifest, in("data")));
  EXPECT_FALSE(TorrentStore::serve(share.manifest, in("nothing")));
}

TEST_F(TorrentStoreTest, DoesNotServeWhatChangedSinceItWasHashed) {
  const TorrentShare share = TorrentShare::mixed();
  share.write_to(in("data"));
  std::vector<FileVersion> hashed;
  for (const metainfo::FileEntry& file : share.manifest.layout->files) {
    const auto version = version_of(AT_FDCWD, (in("data") / metainfo::join_path(file.path)).c_str());
    ASSERT_TRUE(version);
    hashed.push_back(*version);
  }
  EXPECT_TRUE(TorrentStore::serve(share.manifest, in("data"), hashed));
  const auto before = std::filesystem::last_write_time(in("data/sub/b.bin"));
  write_file(in("data/sub/b.bin"), make_content(50, 99));
  std::filesystem::last_write_time(in("data/sub/b.bin"), before + std::chrono::seconds(1));
  const auto store = TorrentStore::serve(share.manifest, in("data"), hashed);
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("b.bin changed since it was read"), std::string::npos) << store.error().message;
}

TEST_F(TorrentStoreTest, StopsGivingAFileThatWasChangedRemovedOrReplaced) {
  const TorrentShare share = TorrentShare::mixed();
  share.write_to(in("data"));
  const auto made = TorrentStore::serve(share.manifest, in("data"));
  ASSERT_TRUE(made);
  TorrentStore& store = **made;
  ASSERT_NE(store.look_up(share.manifest.pieces[4]), nullptr);
  const std::filesystem::path file = in("data/sub/deep/c.bin");
  std::filesystem::rename(file, in("elsewhere"));
  write_file(file, base::ByteView(make_content(3700, 77)));
  std::filesystem::remove(in("elsewhere"));
  EXPECT_EQ(store.look_up(share.manifest.pieces[4]), nullptr);
  ASSERT_NE(store.look_up(share.manifest.pieces[1]), nullptr);
  std::filesystem::resize_file(in("data/a.bin"), 1500);
  EXPECT_EQ(store.look_up(share.manifest.pieces[1]), nullptr);
  EXPECT_EQ(store.look_up_verified(share.manifest.pieces[1]), seam::ReadablePiecePtr{}) << "known to be wrong by now";
  EXPECT_EQ(store.look_up(share.manifest.pieces[2]), nullptr) << "which spans files";
  std::filesystem::remove(in("data/z.txt"));
  EXPECT_EQ(store.look_up(share.manifest.pieces[6]), nullptr);
}

TEST_F(TorrentStoreTest, GoesOnGivingWhatIsStillRightOfAFileThatWasTouched) {
  const TorrentShare share = TorrentShare::mixed();
  share.write_to(in("data"));
  const auto made = TorrentStore::serve(share.manifest, in("data"));
  ASSERT_TRUE(made);
  TorrentStore& store = **made;
  const std::filesystem::path file = in("data/a.bin");
  const auto wait_settled = [&] {
    const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!is_settled(version_of(AT_FDCWD, file.c_str()).value(), TorrentStore::kTouchedSettles)) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up_at);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  };
  const base::Bytes content = read_file(file).value();
  const auto gives = [&](std::uint32_t piece) {
    const auto found = store.look_up(share.manifest.pieces[piece]);
    const auto quick = store.look_up_verified(share.manifest.pieces[piece]);
    EXPECT_TRUE(quick && (*quick == nullptr) == (found == nullptr)) << "it is known now";
    return found != nullptr && std::ranges::equal(read_all(*found), share.piece(piece));
  };
  // Another file takes the name, with the same bytes; the old one is open, and is changed under another name.
  std::filesystem::rename(file, in("elsewhere"));
  write_file(file, content);
  write_file(in("elsewhere"), base::ByteView(make_content(2300, 77)));
  EXPECT_EQ(store.look_up(share.manifest.pieces[1]), nullptr) << "somebody may be writing to it";
  wait_settled();
  EXPECT_FALSE(store.look_up_verified(share.manifest.pieces[1]).has_value()) << "that takes hashing";
  for (const std::uint32_t piece : {0, 1, 2}) EXPECT_TRUE(gives(piece)) << piece;

  base::Bytes other = content;
  other[1500] ^= std::byte{1};  // piece 1
  write_file(file, other);
  wait_settled();
  EXPECT_FALSE(gives(1));
  for (const std::uint32_t piece : {0, 2, 4}) EXPECT_TRUE(gives(piece)) << piece;

  const auto across = store.look_up(share.manifest.pieces[2]);
  ASSERT_NE(across, nullptr);
  write_file(file, content);
  EXPECT_TRUE(std::ranges::equal(read_all(*across), share.piece(2))) << "found before it was touched once more";
  wait_settled();
  EXPECT_TRUE(gives(1)) << "it was put back";
}

TEST_F(TorrentStoreTest, KeepsFewFilesOpenHoweverManyThereAre) {
  TorrentShare share(1000);
  for (int i = 0; i < 1200; ++i) share.file({std::to_string(i % 7), std::to_string(i)}, 100);
  share.cut();
  share.write_to(in("data"));
  const auto store = TorrentStore::serve(share.manifest, in("data"));
  ASSERT_TRUE(store);
  const auto open_now = [] {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
  };
  const std::size_t before = open_now();
  std::vector<seam::ReadablePiecePtr> pieces;
  for (const std::uint32_t i : share.all_pieces()) {
    EXPECT_FALSE((*store)->look_up_verified(share.manifest.pieces[i]).has_value()) << "needs many files opened";
    pieces.push_back((*store)->look_up(share.manifest.pieces[i]));
    EXPECT_TRUE(std::ranges::equal(read_all(*pieces.back()), share.piece(i)));
  }
  EXPECT_LE(open_now(), before + 256 + 4);
}

}  // namespace
}  // namespace shoal::storage::testing
