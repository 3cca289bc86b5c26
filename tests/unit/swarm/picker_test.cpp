// What is asked for, and in which order; what is known of pieces and sources. The tail: picker_choice_test.cpp. Who
// lies: suspects_test.cpp. Whole swarms: picker_swarm_test.cpp.
#include "swarm/picker.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/unit/swarm/picker_fixture.hpp"

namespace shoal::swarm::test {
namespace {

using base::PieceIndex;

// --- Which piece ---

TEST_F(PickerTest, AsksForTheRarestPieceFirst) {
  make(4, 1);
  add_seed(0);
  add(1, {0, 1, 3});
  add(2, {0, 1});
  add(3, {0});
  EXPECT_EQ(pick(0, 4), "2:0-0 3:0-0 1:0-0 0:0-0");
}

TEST_F(PickerTest, FollowsWhatBecomesCommon) {
  make(2, 1);
  add_seed(0);
  add(1, {0});
  picker_->on_has(SourceId(1), PieceIndex(1));
  add(2, {1});
  EXPECT_EQ(pick(0, 2), "0:0-0 1:0-0");
}

TEST_F(PickerTest, FollowsWhatBecomesRare) {
  make(2, 1);
  add_seed(0);
  add(1, {1});
  add(2, {0});
  add(3, {0});
  picker_->remove_source(SourceId(2));
  picker_->remove_source(SourceId(3));
  EXPECT_EQ(pick(0, 2), "0:0-0 1:0-0");
}

TEST_F(PickerTest, FindsTheRarestOfASourceThatHasFewAmongMany) {
  make(1000, 1);
  add_seed(0);
  add(1, {17, 400, 999});
  add(2, {17, 999});
  add(3, {17});
  EXPECT_EQ(pick(1, 4), "400:0-0 999:0-0 17:0-0 -");
}

TEST_F(PickerTest, DrawsAmongEquallyRarePieces) {
  std::set<std::string> first;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    make({.piece_count = 8, .piece_bytes = kBlock, .total_bytes = 8 * kBlock}, seed);
    add_seed(0);
    first.insert(pick(0));
  }
  EXPECT_EQ(first.size(), 8U);
}

TEST_F(PickerTest, DrawsAmongTheNeighboursOfOneSource) {
  std::set<std::string> first;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    make({.piece_count = 100, .piece_bytes = kBlock, .total_bytes = 100 * kBlock}, seed);
    add_seed(0);
    add(1, {50, 51, 52, 53});
    first.insert(pick(1));
  }
  EXPECT_EQ(first.size(), 4U);
}

TEST_F(PickerTest, FinishesABegunPieceBeforeItBeginsAnother) {
  make(3, 32);
  add_seed(0);
  add(1, {0, 1});
  add(2, {0, 1});
  EXPECT_EQ(pick(0, 2), "2:0-15 2:16-31");
  EXPECT_EQ(pick(1).substr(1), ":0-15");
  const std::string rest = pick(2);
  EXPECT_EQ(rest.substr(1), ":16-31");
}

TEST_F(PickerTest, BeginsAnotherPieceWhenTheSourceLacksTheBegunOnes) {
  make(2, 32);
  add(0, {0});
  add(1, {1});
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(pick(1), "1:0-15");
}

TEST_F(PickerTest, GoesOnWithTheBegunPieceThatIsNearestToBeingWhole) {
  make(2, 64);
  add(0, {0});
  add(1, {1});
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(pick(1, 2), "1:0-15 1:16-31");
  add_seed(2);
  EXPECT_EQ(pick(2), "1:32-47");
}

TEST_F(PickerTest, AsksInOrderWhenSequential) {
  make(3, 17, {.is_sequential = true});
  add_seed(0);
  add(1, {1, 2});
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(pick(1, 2), "1:0-15 1:16-16");
  EXPECT_EQ(pick(1), "2:0-15");
  EXPECT_EQ(pick(0, 2), "0:16-16 2:16-16");
}

TEST_F(PickerTest, BeginsALowerPieceBeforeItGoesOnWithAHigherOneWhenSequential) {
  make(2, 32, {.is_sequential = true});
  add(0, {1});
  EXPECT_EQ(pick(0), "1:0-15");
  add_seed(1);
  EXPECT_EQ(pick(1, 3), "0:0-15 0:16-31 1:16-31");
}

TEST_F(PickerTest, AsksOnlyForWantedPieces) {
  make(4, 1, {.wanted = set_of(4, {1, 3})});
  add(0, {0, 1, 2});
  EXPECT_EQ(pick(0, 2), "1:0-0 -");
  EXPECT_EQ(picker_->left_bytes(), 2 * kBlock);
}

TEST_F(PickerTest, DoesNotAskForWhatIsHeld) {
  make(3, 1, {.held = set_of(3, {0, 2})});
  add_seed(0);
  EXPECT_EQ(pick(0, 2), "1:0-0 -");
}

TEST_F(PickerTest, AsksNobodyForAPieceTwice) {
  make(2, 1);
  add_seed(0);
  add_seed(1);
  const std::string first = pick(0);
  EXPECT_NE(pick(1), first);
}

TEST_F(PickerTest, AsksNothingOfASourceItDoesNotKnow) {
  make(2, 1);
  EXPECT_EQ(pick(7), "-");
  EXPECT_FALSE(picker_->is_interesting(SourceId(7)));
  EXPECT_EQ(arrive(7, blocks(0, 0, 0)), "-");
  release(7, blocks(0, 0, 0));
  deny(7, 0);
  picker_->on_has(SourceId(7), PieceIndex(0));
  picker_->remove_source(SourceId(7));
  EXPECT_EQ(picker_->sources_of(PieceIndex(0)), 0U);
}

TEST_F(PickerTest, AsksOnlyForTheAllowedPieces) {
  make(5, 32);
  add(0, {0, 1, 2, 3});
  add(1, {1, 2});
  EXPECT_EQ(pick_among(0, {}), "-");
  EXPECT_EQ(pick_among(0, {4, 99}), "-");
  EXPECT_EQ(pick_among(0, {1, 3, 4}), "3:0-15");  // the rarer one
  EXPECT_EQ(pick_among(0, {1, 3}), "3:16-31");    // begun
  EXPECT_EQ(pick_among(0, {3, 1}), "1:0-15");
}

TEST_F(PickerTest, AsksInOrderAmongTheAllowedPiecesWhenSequential) {
  make(3, 1, {.is_sequential = true});
  add_seed(0);
  add(1, {1});
  EXPECT_EQ(pick_among(0, {2, 1}), "1:0-0");
}

TEST_F(PickerTest, PrefersAPieceOnlyWhileItIsOpen) {
  make(4, 32);
  add_seed(0);
  add_seed(1);
  EXPECT_EQ(pick_preferring(0, 2), "2:0-15");
  EXPECT_EQ(pick_preferring(0, 2), "2:16-31");
  wait(std::chrono::minutes(2));  // it may be asked for again now, where nothing else is left
  for (int i = 0; i < 6; ++i) EXPECT_NE(pick_preferring(1, 2).front(), '2');
  EXPECT_EQ(pick_preferring(1, 2).front(), '2');
}

TEST_F(PickerTest, PrefersNothingThatIsNotThere) {
  make(1, 16);
  add_seed(0);
  EXPECT_EQ(pick_preferring(0, 1), "0:0-15");
}

// --- Runs ---

TEST_F(PickerTest, CutsAPieceIntoRunsOfASlab) {
  make(1, 40);
  add_seed(0);
  EXPECT_EQ(pick(0, 4), "0:0-15 0:16-31 0:32-39 -");
}

TEST_F(PickerTest, EndsTheLastRunWithTheFile) {
  make({.piece_count = 2, .piece_bytes = 2 * kBlock, .total_bytes = 2 * kBlock + 100, .is_sequential = true});
  add_seed(0);
  EXPECT_EQ(picker_->pick(SourceId(0), now_), (Run{PieceIndex(0), 0, 2 * kBlock}));
  EXPECT_EQ(picker_->pick(SourceId(0), now_), (Run{PieceIndex(1), 0, 100}));
}

TEST_F(PickerTest, TakesPiecesThatAreNoWholeNumberOfBlocks) {
  make({.piece_count = 2, .piece_bytes = 20'000, .total_bytes = 40'000, .is_sequential = true});
  add_seed(0);
  EXPECT_EQ(picker_->pick(SourceId(0), now_), (Run{PieceIndex(0), 0, 20'000}));
  EXPECT_EQ(picker_->on_arrived(SourceId(0), {PieceIndex(0), 0, kBlock}), (Run{PieceIndex(0), 0, kBlock}));
  EXPECT_FALSE(picker_->is_whole(PieceIndex(0)));
  EXPECT_EQ(picker_->on_arrived(SourceId(0), {PieceIndex(0), kBlock, 20'000 - kBlock}),
            (Run{PieceIndex(0), kBlock, 20'000 - kBlock}));
  EXPECT_TRUE(picker_->is_whole(PieceIndex(0)));
}

TEST_F(PickerTest, TakesPiecesSmallerThanABlock) {
  make({.piece_count = 2, .piece_bytes = 1000, .total_bytes = 1500, .is_sequential = true});
  add_seed(0);
  EXPECT_EQ(picker_->pick(SourceId(0), now_), (Run{PieceIndex(0), 0, 1000}));
  EXPECT_EQ(picker_->pick(SourceId(0), now_), (Run{PieceIndex(1), 0, 500}));
}

TEST_F(PickerTest, AsksASlowSourceForShortRuns) {
  make(1, 64);
  add_seed(0);
  add_seed(1);
  set_rate(0, 3.5 * kBlock);
  EXPECT_EQ(pick(0), "0:0-2");
  set_rate(0, 10);
  EXPECT_EQ(pick(0), "0:3-3");
  set_rate(0, 1e9);
  EXPECT_EQ(pick(0), "0:4-19");
  EXPECT_EQ(pick(1), "0:20-35") << "one whose rate is not known yet";
}

TEST_F(PickerTest, AsksACoursePeerForWholePieces) {
  make(2, 40);
  add(0, {0, 1}, SourceKind::whole_pieces);
  add(1, {1});
  EXPECT_EQ(pick(0), "0:0-39");
  EXPECT_EQ(arrive(0, blocks(0, 0, 15)), "0:0-15");
  EXPECT_EQ(arrive(0, blocks(0, 16, 31)), "0:16-31");
  EXPECT_FALSE(picker_->is_whole(PieceIndex(0)));
  EXPECT_EQ(arrive(0, blocks(0, 32, 39)), "0:32-39");
  EXPECT_TRUE(picker_->is_whole(PieceIndex(0)));
}

TEST_F(PickerTest, AsksACoursePeerForAPieceThatIsPartlyHereWhenItHasNothingElse) {
  make(1, 40);
  add(0, {0});
  add(1, {0}, SourceKind::whole_pieces);
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(arrive(0, blocks(0, 0, 3)), "0:0-3");
  picker_->remove_source(SourceId(0));
  EXPECT_EQ(pick(1), "0:0-39");
  EXPECT_EQ(arrive(1, blocks(0, 0, 15)), "0:4-15") << "what is here is not stored again";
  EXPECT_EQ(arrive(1, blocks(0, 16, 31)), "0:16-31");
  EXPECT_EQ(arrive(1, blocks(0, 32, 39)), "0:32-39");
  EXPECT_TRUE(picker_->is_whole(PieceIndex(0)));
}

TEST_F(PickerTest, BeginsNoMorePiecesThanItMayWhileASourceCouldGoOnWithOne) {
  make(3, 4, {.begun_pieces_max = 1});
  add(0, {0});
  EXPECT_EQ(pick(0), "0:0-3");
  EXPECT_EQ(arrive(0, blocks(0, 0, 0)), "0:0-0");
  release(0, blocks(0, 1, 3));
  add(1, {0, 1}, SourceKind::whole_pieces);
  EXPECT_EQ(pick(1), "0:0-3") << "though a part of it comes twice";
  EXPECT_EQ(pick(1), "1:0-3") << "it can do nothing else";
}

// --- What was asked and does not come ---

TEST_F(PickerTest, AsksAgainForWhatWasReleased) {
  make(1, 32);
  add_seed(0);
  add_seed(1);
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_EQ(arrive(0, blocks(0, 0, 3)), "0:0-3");
  release(0, blocks(0, 4, 15));
  EXPECT_EQ(pick(1, 3), "0:4-19 0:20-31 -");
}

TEST_F(PickerTest, AsksAgainForWhatWasAskedOfASourceThatWent) {
  make(1, 32);
  add_seed(0);
  add_seed(1);
  EXPECT_EQ(pick(0, 2), "0:0-15 0:16-31");
  EXPECT_EQ(arrive(0, blocks(0, 0, 7)), "0:0-7");
  picker_->remove_source(SourceId(0));
  EXPECT_EQ(pick(1, 3), "0:8-23 0:24-31 -");
}

TEST_F(PickerTest, ForgetsThatAPieceWasBegunWhenNothingOfItCame) {
  make(2, 1);
  add(0, {0});
  EXPECT_EQ(pick(0), "0:0-0");
  release(0, blocks(0, 0, 0));
  add(1, {0, 1});
  EXPECT_EQ(pick(1, 2), "1:0-0 0:0-0") << "the rarer one is first again";
}

TEST_F(PickerTest, ReleasingWhatIsNotAskedChangesNothing) {
  make(2, 32);
  add_seed(0);
  const std::string first = pick(0);
  release(0, blocks(first[0] - '0', 16, 31));
  release(0, blocks('1' - first[0], 0, 31));
  EXPECT_EQ(pick(0), first.substr(0, 1) + ":16-31");
}

TEST_F(PickerTest, NeverAsksAgainWhereAPieceWasDenied) {
  make(2, 1);
  add(0, {0, 1});
  add(1, {1});
  EXPECT_EQ(pick(0), "0:0-0");
  deny(0, 0);
  EXPECT_EQ(picker_->sources_of(PieceIndex(0)), 0U);
  EXPECT_EQ(pick(0, 2), "1:0-0 -");
  picker_->on_has(SourceId(0), PieceIndex(0));
  picker_->on_has_set(SourceId(0), base::Bitfield(2, true));
  EXPECT_EQ(picker_->sources_of(PieceIndex(0)), 0U);
  EXPECT_EQ(pick(0), "-");
}

TEST_F(PickerTest, ASeedThatDeniesAPieceHasTheOthers) {
  make(3, 1);
  add_seed(0);
  deny(0, 1);
  EXPECT_EQ(picker_->sources_of(PieceIndex(0)), 1U);
  EXPECT_EQ(picker_->sources_of(PieceIndex(1)), 0U);
  EXPECT_EQ(picker_->without_source(), std::vector{PieceIndex(1)});
  EXPECT_EQ(pick(0, 3).size(), std::string("0:0-0 2:0-0 -").size());
}

// --- What is known ---

TEST_F(PickerTest, ASetReplacesWhatWasKnownOfASource) {
  make(3, 1);
  add(0, {0, 1});
  picker_->on_has_set(SourceId(0), set_of(3, {2}));
  EXPECT_EQ(picker_->sources_of(PieceIndex(0)), 0U);
  EXPECT_EQ(pick(0, 2), "2:0-0 -");
  picker_->on_has_set(SourceId(0), base::Bitfield(3, true));
  picker_->on_has_set(SourceId(0), base::Bitfield(3));
  EXPECT_EQ(picker_->without_source().size(), 3U);
  EXPECT_EQ(pick(0), "-");
}

TEST_F(PickerTest, ASourceIsInterestingWhileItHasAPieceThatIsWantedAndNotVerified) {
  make(3, 1, {.wanted = set_of(3, {0, 1})});
  add(0, {2});
  EXPECT_FALSE(picker_->is_interesting(SourceId(0)));
  picker_->on_has(SourceId(0), PieceIndex(1));
  EXPECT_TRUE(picker_->is_interesting(SourceId(0)));
  give_piece(0, 1);
  EXPECT_TRUE(picker_->is_interesting(SourceId(0))) << "it is not verified yet";
  verify(1);
  EXPECT_FALSE(picker_->is_interesting(SourceId(0)));
  picker_->on_lost(PieceIndex(1));
  EXPECT_TRUE(picker_->is_interesting(SourceId(0)));
}

TEST_F(PickerTest, IsDoneWhenEveryWantedPieceIsVerified) {
  make(3, 1, {.held = set_of(3, {2}), .wanted = set_of(3, {0, 2})});
  EXPECT_FALSE(picker_->is_done());
  add_seed(0);
  give_piece(0, 0);
  EXPECT_FALSE(picker_->is_done());
  verify(0);
  EXPECT_TRUE(picker_->is_done());
  EXPECT_EQ(picker_->left_bytes(), 0U);
  EXPECT_FALSE(picker_->is_end_game());
}

TEST_F(PickerTest, OfNothingIsDoneAtOnce) {
  make(0, 1);
  add_seed(0);
  EXPECT_TRUE(picker_->is_done());
  EXPECT_EQ(pick(0), "-");
}

TEST_F(PickerTest, TellsWhatNobodyHas) {
  make(4, 1, {.held = set_of(4, {0}), .wanted = set_of(4, {0, 1, 2})});
  add(0, {1});
  EXPECT_EQ(picker_->without_source(), std::vector{PieceIndex(2)});
  picker_->remove_source(SourceId(0));
  EXPECT_EQ(picker_->without_source(), (std::vector{PieceIndex(1), PieceIndex(2)}));
}

TEST_F(PickerTest, AsksAgainForALostPiece) {
  make(1, 2);
  add_seed(0);
  give_piece(0, 0);
  verify(0);
  picker_->on_lost(PieceIndex(0));
  EXPECT_FALSE(picker_->is_done());
  EXPECT_EQ(picker_->left_bytes(), 2 * kBlock);
  EXPECT_EQ(pick(0), "0:0-1");
}

TEST_F(PickerTest, AsksAgainForWhatWasLostBeforeItWasVerified) {
  make(1, 4);
  add_seed(0);
  set_rate(0, 2 * kBlock);
  EXPECT_EQ(pick(0, 2), "0:0-1 0:2-3");
  EXPECT_EQ(arrive(0, blocks(0, 0, 1)), "0:0-1");
  picker_->on_lost(PieceIndex(0));
  EXPECT_EQ(pick(0), "0:0-1");
  EXPECT_EQ(arrive(0, blocks(0, 2, 3)), "0:2-3");
  EXPECT_EQ(arrive(0, blocks(0, 0, 1)), "0:0-1");
  EXPECT_TRUE(picker_->is_whole(PieceIndex(0)));
  picker_->on_lost(PieceIndex(0));
  EXPECT_FALSE(picker_->is_whole(PieceIndex(0)));
  EXPECT_EQ(pick(0), "0:0-1");
}

TEST_F(PickerTest, StoresNothingOfAPieceThatIsVerified) {
  make(1, 2);
  add_seed(0);
  EXPECT_EQ(pick(0), "0:0-1");
  verify(0);  // found elsewhere
  EXPECT_EQ(cancelled(), "0<0:0-1 ");
  EXPECT_EQ(arrive(0, blocks(0, 0, 1)), "-");
  EXPECT_TRUE(picker_->is_done());
}

TEST_F(PickerTest, KeepsItsStateWhenMoved) {
  make(1, 1);
  add_seed(0);
  Picker moved = std::move(*picker_);
  EXPECT_TRUE(moved.pick(SourceId(0), now_).has_value());
}

}  // namespace
}  // namespace shoal::swarm::test
