#include "swarm/peer_pieces.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using base::PieceIndex;
using Verdict = PeerPieces::Verdict;

PeerPieces counted(std::uint32_t piece_count) {
  PeerPieces pieces;
  EXPECT_EQ(pieces.set_piece_count(piece_count), Verdict::nothing_new);
  return pieces;
}

TEST(PeerPieces, TakesOnePieceAfterTheOther) {
  PeerPieces pieces = counted(9);
  EXPECT_EQ(pieces.on_have(PieceIndex(8)), Verdict::news);
  EXPECT_EQ(pieces.on_have(PieceIndex(8)), Verdict::nothing_new);
  EXPECT_EQ(pieces.on_have(PieceIndex(9)), Verdict::wrong);
  EXPECT_EQ(pieces.pieces().count(), 1u);
}

TEST(PeerPieces, TakesASet) {
  PeerPieces pieces = counted(9);
  EXPECT_EQ(pieces.on_bits({std::byte{0x81}, std::byte{0x80}}), Verdict::news);
  EXPECT_EQ(pieces.pieces().count(), 3u);
  EXPECT_EQ(counted(9).on_bits({std::byte{0x81}}), Verdict::wrong);
  EXPECT_EQ(counted(9).on_bits({std::byte{0}, std::byte{1}}), Verdict::wrong);
  PeerPieces all = counted(9);
  EXPECT_EQ(all.on_all(), Verdict::news);
  EXPECT_TRUE(all.pieces().is_all());
  EXPECT_EQ(counted(9).on_none(), Verdict::nothing_new);
}

TEST(PeerPieces, AddsALaterSetToWhatItKnows) {
  PeerPieces pieces = counted(9);
  EXPECT_EQ(pieces.on_have(PieceIndex(8)), Verdict::news);
  EXPECT_EQ(pieces.on_bits({std::byte{0x81}, std::byte{0}}), Verdict::news);
  EXPECT_EQ(pieces.on_bits({std::byte{0x81}, std::byte{0x80}}), Verdict::nothing_new);
  EXPECT_EQ(pieces.pieces().count(), 3u);
  EXPECT_EQ(pieces.on_all(), Verdict::news);

  PeerPieces early;
  EXPECT_EQ(early.on_bits({std::byte{0x80}, std::byte{0}}), Verdict::kept);
  EXPECT_EQ(early.on_bits({std::byte{0x01}, std::byte{0}}), Verdict::kept);
  EXPECT_EQ(early.on_bits({std::byte{0x01}}), Verdict::wrong);
  EXPECT_EQ(early.set_piece_count(9), Verdict::news);
  EXPECT_EQ(early.pieces().count(), 2u);
}

TEST(PeerPieces, KeepsWhatComesBeforeTheNumberIsKnown) {
  PeerPieces one_by_one;
  EXPECT_EQ(one_by_one.on_none(), Verdict::kept);
  EXPECT_EQ(one_by_one.on_have(PieceIndex(3)), Verdict::kept);
  EXPECT_FALSE(one_by_one.is_counted());
  EXPECT_EQ(one_by_one.set_piece_count(9), Verdict::news);
  EXPECT_TRUE(one_by_one.pieces().test(PieceIndex(3)));

  PeerPieces bits;
  EXPECT_EQ(bits.on_bits({std::byte{0x80}, std::byte{0}}), Verdict::kept);
  EXPECT_EQ(bits.on_have(PieceIndex(0)), Verdict::nothing_new);
  EXPECT_EQ(bits.on_have(PieceIndex(8)), Verdict::kept);
  EXPECT_EQ(bits.on_have(PieceIndex(16)), Verdict::wrong);
  EXPECT_EQ(bits.set_piece_count(9), Verdict::news);
  EXPECT_EQ(bits.pieces().count(), 2u);

  PeerPieces all;
  EXPECT_EQ(all.on_all(), Verdict::kept);
  EXPECT_EQ(all.on_have(PieceIndex(1'000'000)), Verdict::nothing_new);
  EXPECT_EQ(all.set_piece_count(9), Verdict::news);
  EXPECT_TRUE(all.pieces().is_all());
}

TEST(PeerPieces, JudgesLaterWhatItKept) {
  PeerPieces high;
  EXPECT_EQ(high.on_have(PieceIndex(9)), Verdict::kept);
  EXPECT_EQ(high.set_piece_count(9), Verdict::wrong);
  PeerPieces spare;
  EXPECT_EQ(spare.on_bits({std::byte{0}, std::byte{0}}), Verdict::kept);
  EXPECT_EQ(spare.on_have(PieceIndex(9)), Verdict::kept);
  EXPECT_EQ(spare.set_piece_count(9), Verdict::wrong);
}

TEST(PeerPieces, KeepsOnlySoMany) {
  PeerPieces pieces;
  for (std::uint32_t i = 0; i < kEarlyHavesMax; ++i) EXPECT_EQ(pieces.on_have(PieceIndex(i)), Verdict::kept);
  EXPECT_EQ(pieces.on_have(PieceIndex(0)), Verdict::too_many);
}

TEST(PeerPieces, KnowsATorrentWithoutPieces) {
  PeerPieces pieces = counted(0);
  EXPECT_EQ(pieces.on_bits({}), Verdict::nothing_new);
  EXPECT_EQ(pieces.on_have(PieceIndex(0)), Verdict::wrong);
}

}  // namespace
}  // namespace shoal::swarm
