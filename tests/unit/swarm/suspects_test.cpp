// Who lies is found out, and who does not is left alone.
#include "swarm/suspects.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/unit/swarm/suspects_fixture.hpp"

namespace shoal::swarm::test {
namespace {

using base::PieceIndex;

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
  const OriginId liar(7);
  for (int owed = 1; owed <= 64; owed *= 2) {
    suspects.on_wrong(std::vector{liar, OriginId(8), liar});
    for (int piece = 0; piece < owed; ++piece) {
      EXPECT_TRUE(suspects.is_suspect(liar));
      suspects.on_right_alone(liar);
    }
    EXPECT_FALSE(suspects.is_suspect(liar));
  }
}

TEST_F(SuspectsTest, ForgetsTheOldestOfTooMany) {
  Suspects suspects;
  for (std::uint64_t origin = 1; origin <= kSuspectsMax + 1; ++origin) suspects.on_wrong(std::vector{OriginId(origin)});
  EXPECT_FALSE(suspects.is_suspect(OriginId(1)));
  EXPECT_TRUE(suspects.is_suspect(OriginId(2)));
  EXPECT_TRUE(suspects.is_suspect(OriginId(kSuspectsMax + 1)));
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

// It may have given one wrong block, and would share the blame with whoever brings the rest.
TEST_F(SuspectsTest, WhatASuspectLeavesOthersBeginAnew) {
  make_two_suspects(1);
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(arrive(0, blocks(0, 0, 7)), "0:0-7");
  add_seed(2);
  EXPECT_EQ(pick(2), "-") << "the suspect may still bring the rest";
  EXPECT_EQ(thrown_away(), "");
  picker_->remove_source(SourceId(0));
  EXPECT_EQ(thrown_away(), "0");
  EXPECT_EQ(pick(2, 2), "0:0-15 0:16-31");
  EXPECT_EQ(arrive(2, blocks(0, 0, 15)), "0:0-15");
  EXPECT_EQ(arrive(2, blocks(0, 16, 31)), "0:16-31");
  EXPECT_EQ(mismatch(0), "2") << "it alone gave it";
}

TEST_F(SuspectsTest, ASuspectThatChokesGoesOnWithItsPieceLater) {
  make_two_suspects(1);
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(arrive(0, blocks(0, 0, 7)), "0:0-7");
  release(0, blocks(0, 8, 15));
  add_seed(2);
  EXPECT_EQ(pick(2), "-");
  EXPECT_EQ(pick(0), "0:8-23");
  EXPECT_EQ(thrown_away(), "");
}

TEST_F(SuspectsTest, ASuspectThatChokesForLongIsNotWaitedFor) {
  make_two_suspects(1);
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(arrive(0, blocks(0, 0, 7)), "0:0-7");
  release(0, blocks(0, 8, 15));
  add_seed(2);
  EXPECT_EQ(pick(2), "-");
  pass_deadline();
  EXPECT_EQ(pick(2), "0:0-15");
  EXPECT_EQ(thrown_away(), "0");
}

// Two suspects that choke in turns do not begin a piece anew for ever.
TEST_F(SuspectsTest, APieceIsTakenFromASuspectMoreAndMorePatiently) {
  make_two_suspects(1);
  std::array<base::Duration, 2> longest{};  // that each waited
  for (std::uint32_t round = 0; round < 12; ++round) {
    const std::uint32_t giver = round % 2;
    const base::Instant since = now_;
    while (pick(giver) != "0:0-15") pass_deadline();
    EXPECT_GE(now_ - since, longest[giver] * 3 / 2);
    longest[giver] = now_ - since;
    EXPECT_EQ(arrive(giver, blocks(0, 0, 7)), "0:0-7");
    release(giver, blocks(0, 8, 15));
    ASSERT_EQ(thrown_away(), round == 0 ? "" : "0");
  }
  EXPECT_GT(longest[1], std::chrono::minutes(1));
}

TEST_F(SuspectsTest, OthersHelpWithWhatASuspectBeganBeforeItWasCleared) {
  make_two_suspects(2);
  picker_->remove_source(SourceId(1));
  give_piece(0, 0);
  EXPECT_EQ(pick(0), "1:0-15");
  verify(0);
  EXPECT_EQ(arrive(0, blocks(1, 0, 7)), "1:0-7");
  release(0, blocks(1, 8, 15));
  EXPECT_EQ(pick_among(0, {1}), "1:8-23");
  add_seed(2);
  EXPECT_EQ(pick(2), "1:24-31");
}

// Nobody is there who could give the whole of it.
TEST_F(SuspectsTest, WhatTheLastSourceGaveIsKeptWhenItGoes) {
  make_two_suspects(1);
  picker_->remove_source(SourceId(1));
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(arrive(0, blocks(0, 0, 7)), "0:0-7");
  picker_->remove_source(SourceId(0));
  EXPECT_EQ(thrown_away(), "");
  add_seed(2);
  EXPECT_EQ(pick(2), "0:8-23");
}

TEST_F(SuspectsTest, APieceThatIsWholeIsJudgedThoughItsGiverWent) {
  make_two_suspects(1);
  give_piece(0, 0);
  picker_->remove_source(SourceId(0));
  EXPECT_EQ(thrown_away(), "");
  EXPECT_EQ(mismatch(0), "0");
}

TEST_F(SuspectsTest, WhatASuspectBringsTooSlowlyOthersBeginAnew) {
  make_two_suspects(1);
  set_rate(0, 1000);
  EXPECT_EQ(pick(0), "0:0-0");
  add_seed(2);
  set_rate(2, 1e6);
  EXPECT_EQ(pick(2), "0:0-15");
  EXPECT_EQ(cancelled(), "0<0:0-0 ");
  EXPECT_EQ(arrive(0, blocks(0, 0, 0)), "-") << "nobody asks it any more";
}

TEST_F(SuspectsTest, WhatASilentSuspectOwesOthersBeginAnew) {
  make_two_suspects(1);
  EXPECT_EQ(pick(0), "0:0-15");
  add_seed(2);
  EXPECT_EQ(pick(2), "-");
  pass_deadline();
  EXPECT_EQ(pick(2), "0:0-15");
  EXPECT_EQ(cancelled(), "0<0:0-15 ");
}

// --- Suspects that hang up and come back ---

TEST_F(SuspectsTest, WhoComesBackFromWhereASuspectWasIsOne) {
  make(3, 32);
  add_seed_from(0, 5);
  add_seed_from(1, 6);
  give_together(0);
  picker_->remove_source(SourceId(0));
  EXPECT_EQ(mismatch(0), "");
  add_seed_from(2, 5);
  const std::string its = pick(2);
  EXPECT_NE(pick(1)[0], its[0]) << "both give alone";
  add_seed_from(3, 7);
  const std::string first = pick(3);
  EXPECT_NE(first[0], its[0]);
}

TEST_F(SuspectsTest, ComingBackDoesNotMakeItOweLess) {
  make(8, 32);
  add_seed_from(0, 5);
  add_seed_from(1, 6);
  for (const std::uint32_t piece : {0U, 1U}) {
    give_together(piece);
    ASSERT_EQ(mismatch(piece), "");
    give_piece(0, piece);
    give_piece(1, piece + 2);
    verify(piece);
    verify(piece + 2);
  }
  // Twice suspected, they owe two each, and have given one of them.
  picker_->remove_source(SourceId(0));
  add_seed_from(2, 5);
  const std::string its = pick(2);
  EXPECT_NE(pick(1)[0], its[0]);
}

// A liar gives one wrong block, hangs up and comes back at once, again and again.
TEST_F(SuspectsTest, WhoGivesOneBlockAndHangsUpSpoilsOnePiece) {
  constexpr std::uint32_t pieces = 20;
  make(pieces, 32);
  add_seed_from(0, 5);
  std::uint32_t liar = 1;
  add_seed_from(liar, 6);
  int wrong = 0;
  std::vector<bool> is_bad(pieces);
  while (!picker_->is_done()) {
    if (const auto run = picker_->pick(SourceId(liar), now_)) {
      const Run block{run->piece, run->offset_bytes, kBlock};
      if (picker_->on_arrived(SourceId(liar), block)) is_bad[block.piece.value] = true;
    }
    picker_->remove_source(SourceId(liar));
    add_seed_from(++liar, 6);
    for (const base::PieceIndex piece : picker_->take_thrown_away()) is_bad[piece.value] = false;
    const auto run = picker_->pick(SourceId(0), now_);
    ASSERT_TRUE(run.has_value());
    for (const base::PieceIndex piece : picker_->take_thrown_away()) is_bad[piece.value] = false;
    ASSERT_TRUE(picker_->on_arrived(SourceId(0), *run).has_value());
    if (!picker_->is_whole(run->piece)) continue;
    if (is_bad[run->piece.value]) {
      ++wrong;
      is_bad[run->piece.value] = false;
      ASSERT_EQ(mismatch(run->piece.value), "");
    } else {
      verify(run->piece.value);
    }
  }
  EXPECT_EQ(wrong, 1);
}

// Behind one address may be a liar and others.
TEST_F(SuspectsTest, NobodyIsConvictedForWhatOthersOfItsOriginGave) {
  make_two_suspects(2);
  add_seed_from(2, 5);
  add_seed_from(3, 5);
  picker_->remove_source(SourceId(0));
  picker_->remove_source(SourceId(1));
  const std::vector<PieceIndex> among{PieceIndex(1)};
  for (const std::uint32_t source : {2U, 3U}) {
    const auto run = picker_->pick_among(SourceId(source), among, now_);
    ASSERT_TRUE(run.has_value());
    ASSERT_TRUE(picker_->on_arrived(SourceId(source), *run).has_value());
  }
  EXPECT_EQ(mismatch(1), "");
  const std::string first = pick(2);
  const auto piece = static_cast<std::uint32_t>(first[0] - '0');
  EXPECT_NE(pick(3)[0], first[0]) << "each of them gives alone";
  EXPECT_EQ(arrive(2, blocks(piece, 0, 15)), first);
  give_piece(2, piece);
  EXPECT_EQ(mismatch(piece), "2");
  EXPECT_TRUE(picker_->is_interesting(SourceId(3)));
}

TEST_F(SuspectsTest, ASuspectBeginsAnewWhatOthersLeftWhenItHasNothingElse) {
  make_two_suspects(1);
  add_seed(2);
  EXPECT_EQ(pick(2), "0:0-15");
  EXPECT_EQ(arrive(2, blocks(0, 0, 15)), "0:0-15");
  picker_->remove_source(SourceId(2));
  EXPECT_EQ(pick(0), "-") << "perhaps somebody goes on with it";
  pass_deadline();
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(thrown_away(), "0");
}

TEST_F(SuspectsTest, ASuspectDoesNotHelpOthersOut) {
  make_two_suspects(1);
  add_seed(2);
  set_rate(2, 1.0 * kBlock);
  for (int block = 0; block < 32; ++block) ASSERT_NE(pick(2), "-");
  set_rate(0, 1e9);
  EXPECT_EQ(pick(0), "-");
}

// Rates fade, and what they promise may be ages away.
TEST_F(SuspectsTest, ASuspectOfHardlyAnyRateIsNotAskedToLookAgainAllTheTime) {
  make_two_suspects(1);
  add_seed(2);
  EXPECT_EQ(pick(2, 2), "0:0-15 0:16-31");
  set_rate(0, 1e-12);
  EXPECT_EQ(pick(0), "-");
  ASSERT_TRUE(picker_->next_deadline().has_value());
  EXPECT_GT(*picker_->next_deadline() - now_, std::chrono::hours(1));
}

// Otherwise sources that never bring anything, each in the place of the other, would keep an honest suspect from it.
TEST_F(SuspectsTest, ASuspectTakesOverWhereOthersBringNothing) {
  make_two_suspects(1);
  set_rate(0, 1e6);
  add_seed(2);
  add_seed(3);
  std::uint32_t holder = 2;
  EXPECT_EQ(pick(holder, 2), "0:0-15 0:16-31");
  std::string taken = pick(0);
  EXPECT_EQ(taken, "-") << "it may still come";
  for (int round = 0; round < 4 && taken == "-"; ++round) {
    wait(kLetDownPauseMax);
    release(holder, blocks(0, 0, 31));
    holder = holder == 2 ? 3 : 2;
    EXPECT_EQ(pick(holder, 2), "0:0-15 0:16-31");
    taken = pick(0);
  }
  EXPECT_EQ(taken, "0:0-15");
  EXPECT_EQ(pick(holder), "-") << "it gives all of it alone";
}

TEST_F(SuspectsTest, ASuspectTakesOverWhatAnotherSuspectOwesThoughAllOfItIsAskedFor) {
  make_two_suspects(1);
  EXPECT_EQ(pick(0, 2), "0:0-15 0:16-31");
  EXPECT_EQ(pick(1), "-") << "it may still come";
  pass_deadline();
  EXPECT_EQ(pick(1), "0:0-15");
  EXPECT_EQ(cancelled(), "0<0:0-31 ");
  EXPECT_EQ(pick(0), "-") << "more patiently now";
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
