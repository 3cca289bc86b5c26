#include "storage/memory.hpp"

#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {
namespace {

TEST(MemoryPieceStore, SaysThatTheDiskIsFullUntilThereIsRoom) {
  const CutFile file = CutFile::regular(2, 1000, 700);
  MemoryPieceStore store({.disk_full_from_put = 2, .flipped_puts = {}});
  ASSERT_TRUE(store.open(file.manifest));
  ASSERT_TRUE(store.begin(seam::WriteId(1), file.places_of(0), 1000));
  ASSERT_TRUE(store.put(seam::WriteId(1), 0, base::ByteView(file.pieces[0]).first(500)));
  const auto full = store.put(seam::WriteId(1), 500, base::ByteView(file.pieces[0]).subspan(500));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, seam::StoreErrorKind::disk_full);
  store.make_room();
  EXPECT_TRUE(store.put(seam::WriteId(1), 500, base::ByteView(file.pieces[0]).subspan(500)));
  EXPECT_EQ(store.complete(seam::WriteId(1)), true);
}

TEST(MemoryPieceStore, MismatchesAPieceOfWhichABitFlipped) {
  const CutFile file = CutFile::regular(2, 1000, 700);
  MemoryPieceStore store({.disk_full_from_put = std::nullopt, .flipped_puts = {2}});
  ASSERT_TRUE(store.open(file.manifest));
  send(store, seam::WriteId(1), file, 0, file.pieces[0]);
  EXPECT_EQ(store.complete(seam::WriteId(1)), false);
  put(store, file, 0);
}

TEST(MemoryPieceStore, LosesTornPiecesInACrash) {
  const CutFile file = CutFile::regular(3, 1000, 700);
  MemoryPieceStore store;
  ASSERT_TRUE(store.open(file.manifest));
  for (const std::uint32_t piece : {0u, 1u, 2u}) put(store, file, piece);
  const base::PieceIndex torn[] = {base::PieceIndex(1)};
  store.crash(torn);
  EXPECT_EQ(store.open(file.manifest), file.held({0, 2}));
}

TEST(MemoryPieceStore, TakesBlocksInAnyOrderWhenTheLayoutIsKnown) {
  CutFile file = CutFile::regular(1, 1000, 1000);
  file.manifest.layout = metainfo::Layout{.piece_bytes = 1000, .total_bytes = 1000, .files = {}};
  MemoryPieceStore store;
  ASSERT_TRUE(store.open(file.manifest));
  ASSERT_TRUE(store.begin(seam::WriteId(1), file.places_of(0), 1000));
  ASSERT_TRUE(store.put(seam::WriteId(1), 600, base::ByteView(file.pieces[0]).subspan(600)));
  ASSERT_TRUE(store.put(seam::WriteId(1), 0, base::ByteView(file.pieces[0]).first(600)));
  EXPECT_EQ(store.complete(seam::WriteId(1)), true);
}

TEST(MemoryPieceStore, GivesVerifiedPiecesAlsoAfterACrash) {
  const CutFile file = CutFile::regular(3, 1000, 700);
  MemoryPieceStore store;
  store.leave_behind(file.pieces[2]);
  EXPECT_EQ(store.look_up(file.manifest.pieces[2]), nullptr);
  ASSERT_TRUE(store.open(file.manifest));
  EXPECT_NE(store.look_up(file.manifest.pieces[2]), nullptr);
  EXPECT_EQ(store.look_up_verified(file.manifest.pieces[0]), seam::ReadablePiecePtr{});
  put(store, file, 0);
  const auto piece = store.look_up_verified(file.manifest.pieces[0]);
  ASSERT_TRUE(piece && *piece);
  base::Bytes content(1000);
  EXPECT_EQ((*piece)->read_at(0, content), 1000u);
  EXPECT_EQ(content, file.pieces[0]);
  store.crash();
  EXPECT_EQ(store.open(file.manifest), file.held({0, 2}));
  EXPECT_NE(store.look_up(file.manifest.pieces[0]), nullptr);
}

TEST(MemoryPieceLibrary, HashesAPieceBeforeItGivesIt) {
  MemoryPieceLibrary library;
  const base::Sha1Hash hash = library.add(make_content(1000));
  EXPECT_FALSE(library.look_up_verified(hash).has_value());
  ASSERT_NE(library.look_up(hash), nullptr);
  const auto piece = library.look_up_verified(hash);
  ASSERT_TRUE(piece && *piece);
  base::Bytes content(2000);
  EXPECT_EQ((*piece)->read_at(400, content), 600u);
}

TEST(MemoryPieceLibrary, DoesNotGiveAPieceThatIsWrongOrRemoved) {
  MemoryPieceLibrary library;
  const base::Sha1Hash wrong = base::sha1(base::view_of("right"));
  const base::ByteView content = base::view_of("wrong");
  library.add_as(wrong, base::Bytes(content.begin(), content.end()));
  EXPECT_EQ(library.look_up(wrong), nullptr);
  EXPECT_EQ(library.look_up_verified(wrong), seam::ReadablePiecePtr{});
  const base::Sha1Hash removed = library.add(make_content(10));
  library.remove(removed);
  EXPECT_EQ(library.look_up_verified(removed), seam::ReadablePiecePtr{});
  EXPECT_EQ(library.look_up(removed), nullptr);
}

}  // namespace
}  // namespace shoal::storage::testing
