// Who lies is found out, and who does not is left alone.
#include "swarm/suspects.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/swarm/picker_fixture.hpp"

namespace shoal::swarm::test {
namespace {

using base::PieceIndex;

class SuspectsTest : public PickerTest {
 protected:
  // Sources 0 and 1 give a half of the piece each.
  void give_together(std::uint32_t piece) {
    const std::vector<PieceIndex> among{PieceIndex(piece)};
    for (const std::uint32_t source : {0U, 1U}) {
      const auto run = picker_->pick_among(SourceId(source), among, now_);
      ASSERT_TRUE(run.has_value());
      ASSERT_EQ(run->size_bytes, 16 * kBlock);
      ASSERT_EQ(picker_->on_arrived(SourceId(source), *run), run);
    }
    ASSERT_TRUE(picker_->is_whole(PieceIndex(piece)));
  }
  // Pieces of two runs; two seeds that are suspects now, and piece 0 was wrong.
  void make_two_suspects(std::uint32_t piece_count) {
    make(piece_count, 32);
    add_seed(0);
    add_seed(1);
    give_together(0);
    ASSERT_EQ(mismatch(0), "");
  }
};

TEST_F(SuspectsTest, WhoGaveAWrongPieceAloneIsConvicted) {
  make(2, 32);
  add_seed(0);
  give_piece(0, 1);
  EXPECT_EQ(mismatch(1), "0");
  EXPECT_EQ(pick(0), "-") << "not asked any more";
  EXPECT_FALSE(picker_->is_interesting(SourceId(0)));
  add_seed(1);
  EXPECT_NE(pick_among(1, {1}), "-");
}

TEST_F(SuspectsTest, NobodyIsConvictedForAPieceThatSeveralGave) {
  make_two_suspects(2);
  EXPECT_TRUE(picker_->is_interesting(SourceId(0)));
  EXPECT_TRUE(picker_->is_interesting(SourceId(1)));
}

TEST_F(SuspectsTest, ASuspectGivesWholePiecesAlone) {
  make_two_suspects(3);
  const std::string first = pick(0);
  const std::string other = pick(1);
  EXPECT_NE(first[0], other[0]);
  EXPECT_EQ(pick(0), first.substr(0, 1) + ":16-31");
  EXPECT_EQ(pick(1), other.substr(0, 1) + ":16-31");
}

TEST_F(SuspectsTest, OthersDoNotGoOnWithAPieceThatASuspectGives) {
  make_two_suspects(2);
  const std::string first = pick(0);
  add_seed(2);
  EXPECT_NE(pick(2)[0], first[0]);
}

TEST_F(SuspectsTest, AWrongPieceOfItsOwnConvictsASuspect) {
  make_two_suspects(2);
  give_piece(0, 0);
  give_piece(1, 1);
  EXPECT_EQ(mismatch(0), "0");
  verify(1);
  EXPECT_TRUE(picker_->is_interesting(SourceId(1)));
}

TEST_F(SuspectsTest, ARightPieceOfItsOwnClearsASuspect) {
  make_two_suspects(3);
  for (const std::uint32_t source : {0U, 1U}) {
    give_piece(source, source);
    verify(source);
  }
  EXPECT_EQ(pick(0), "2:0-15");
  EXPECT_EQ(pick(1), "2:16-31") << "they share pieces again";
}

TEST_F(SuspectsTest, EachTimeASuspectOwesTwiceAsManyPieces) {
  Suspects suspects;
  const SourceId liar(0);
  for (int owed = 1; owed <= 64; owed *= 2) {
    EXPECT_EQ(suspects.on_wrong(std::vector{liar, SourceId(1)}), std::nullopt);
    for (int piece = 0; piece < owed; ++piece) {
      EXPECT_TRUE(suspects.is_suspect(liar));
      suspects.on_right_alone(liar);
    }
    EXPECT_FALSE(suspects.is_suspect(liar));
  }
}

TEST_F(SuspectsTest, APieceThatALiarGaveOfBlamesNobodyElse) {
  make(3, 32);
  add_seed(0);
  add_seed(1);
  give_together(0);
  give_piece(0, 1);
  EXPECT_EQ(mismatch(1), "0");
  EXPECT_EQ(mismatch(0), "");
  add_seed(2);
  EXPECT_EQ(pick_among(1, {0}), "0:0-15");
  EXPECT_EQ(pick_among(2, {0}), "0:16-31") << "source 1 is no suspect";
}

TEST_F(SuspectsTest, WhatWasAskedOfALiarIsAskedForElsewhere) {
  make(2, 16);
  add_seed(0);
  give_piece(0, 0);
  EXPECT_EQ(pick(0), "1:0-15");
  EXPECT_EQ(mismatch(0), "0");
  EXPECT_EQ(arrive(0, blocks(1, 0, 15)), "-") << "nothing of it is stored";
  add_seed(1);
  EXPECT_EQ(pick(1, 2).size(), std::string("1:0-15 0:0-15").size());
}

TEST_F(SuspectsTest, ALiarThatWentIsNamedNevertheless) {
  make(1, 16);
  add_seed(0);
  give_piece(0, 0);
  picker_->remove_source(SourceId(0));
  EXPECT_EQ(mismatch(0), "0");
}

TEST_F(SuspectsTest, WhatASuspectLeavesOthersFinish) {
  make_two_suspects(1);
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(arrive(0, blocks(0, 0, 7)), "0:0-7");
  add_seed(2);
  EXPECT_EQ(pick(2), "-") << "the suspect may still bring the rest";
  release(0, blocks(0, 8, 15));
  EXPECT_EQ(pick(2, 2), "0:8-23 0:24-31");
  EXPECT_EQ(arrive(2, blocks(0, 8, 23)), "0:8-23");
  EXPECT_EQ(arrive(2, blocks(0, 24, 31)), "0:24-31");
  EXPECT_EQ(mismatch(0), "") << "two gave it";
}

TEST_F(SuspectsTest, WhatASuspectBringsTooSlowlyOthersFinish) {
  make_two_suspects(1);
  set_rate(0, 1000);
  EXPECT_EQ(pick(0), "0:0-0");
  add_seed(2);
  set_rate(2, 1e6);
  EXPECT_EQ(pick(2), "0:1-16");
}

TEST_F(SuspectsTest, WhatASilentSuspectOwesOthersFinish) {
  make_two_suspects(1);
  EXPECT_EQ(pick(0), "0:0-15");
  add_seed(2);
  EXPECT_EQ(pick(2), "-");
  ASSERT_TRUE(picker_->next_deadline().has_value());
  now_ = *picker_->next_deadline();
  picker_->on_deadline(now_);
  EXPECT_EQ(pick(2), "0:16-31");
}

TEST_F(SuspectsTest, ASuspectFinishesWhatOthersLeftWhenItHasNothingElse) {
  make_two_suspects(1);
  add_seed(2);
  EXPECT_EQ(pick(2), "0:0-15");
  EXPECT_EQ(arrive(2, blocks(0, 0, 15)), "0:0-15");
  picker_->remove_source(SourceId(2));
  EXPECT_EQ(pick(0), "0:16-31");
}

TEST_F(SuspectsTest, ASuspectDoesNotHelpOthersOut) {
  make_two_suspects(1);
  add_seed(2);
  set_rate(2, 1.0 * kBlock);
  for (int block = 0; block < 32; ++block) ASSERT_NE(pick(2), "-");
  set_rate(0, 1e9);
  EXPECT_EQ(pick(0), "-");
}

TEST_F(SuspectsTest, ReportsOfPiecesThatAreNotWholeBlameNobody) {
  make(2, 32);
  add_seed(0);
  EXPECT_EQ(mismatch(0), "");
  const std::string first = pick(0);
  EXPECT_EQ(mismatch(first[0] - '0'), "");
  EXPECT_EQ(pick(0), first.substr(0, 1) + ":16-31");
}

}  // namespace
}  // namespace shoal::swarm::test
