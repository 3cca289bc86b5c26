// The tail of a download: who takes over from whom, and what is cancelled then.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/unit/swarm/picker_fixture.hpp"

namespace shoal::swarm::test {
namespace {

using base::PieceIndex;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr double kSlow = 1.0 * kBlock;  // bytes per second
constexpr double kFast = 16.0 * kBlock;

class PickerTailTest : public PickerTest {
 protected:
  // All of one piece of 8 blocks is asked of source 0, which is slow: one run for each block.
  void ask_all_of_a_slow_source() {
    make(1, 8);
    add_seed(0);
    set_rate(0, kSlow);
    for (int block = 0; block < 8; ++block) ASSERT_NE(pick(0), "-");
    ASSERT_TRUE(picker_->is_end_game());
  }
};

TEST_F(PickerTailTest, IsTheEndGameWhenNothingIsLeftThatIsNotAskedFor) {
  make(2, 32);
  add(0, {0});
  EXPECT_FALSE(picker_->is_end_game());
  EXPECT_EQ(pick(0), "0:0-15");
  EXPECT_FALSE(picker_->is_end_game());
  EXPECT_EQ(pick(0), "0:16-31");
  EXPECT_TRUE(picker_->is_end_game()) << "piece 1 has no source";
  add_seed(1);
  EXPECT_FALSE(picker_->is_end_game());
  EXPECT_EQ(pick(1, 2), "1:0-15 1:16-31");
  EXPECT_TRUE(picker_->is_end_game());
}

TEST_F(PickerTailTest, AFasterSourceTakesOverTheTail) {
  ask_all_of_a_slow_source();
  add_seed(1);
  set_rate(1, 4 * kSlow);
  EXPECT_EQ(pick(1), "0:4-7");
}

TEST_F(PickerTailTest, ASourceThatWouldNotBringItSoonerTakesNothingOver) {
  ask_all_of_a_slow_source();
  add_seed(1);
  set_rate(1, kSlow / 8);
  EXPECT_EQ(pick(1), "-");
}

TEST_F(PickerTailTest, TakesOverFromWhoWouldEndLast) {
  make(2, 4);
  add(0, {0});
  add(1, {1});
  set_rate(0, kSlow);
  set_rate(1, kSlow / 2);
  for (int i = 0; i < 4; ++i) ASSERT_NE(pick(0), "-");
  for (int i = 0; i < 4; ++i) ASSERT_NE(pick(1), "-");
  add_seed(2);
  set_rate(2, 4 * kSlow);
  EXPECT_EQ(pick(2), "1:0-3");
}

TEST_F(PickerTailTest, AsksNoMoreThanTwoForABlock) {
  ask_all_of_a_slow_source();
  add_seed(1);
  add_seed(2);
  set_rate(1, kFast);
  set_rate(2, kFast);
  EXPECT_EQ(pick(1), "0:0-7");
  EXPECT_EQ(pick(2), "-");
}

TEST_F(PickerTailTest, CancelsWhereItIsNotNeededAnyMore) {
  ask_all_of_a_slow_source();
  add_seed(1);
  set_rate(1, 4 * kSlow);
  EXPECT_EQ(pick(1), "0:4-7");
  EXPECT_EQ(arrive(1, blocks(0, 4, 5)), "0:4-5");
  EXPECT_EQ(cancelled(), "0<0:4-5 ");
  EXPECT_EQ(arrive(0, blocks(0, 6, 6)), "0:6-6");
  EXPECT_EQ(cancelled(), "1<0:6-6 ");
  EXPECT_EQ(cancelled(), "");
}

TEST_F(PickerTailTest, WhatWasCancelledIsNotStoredWhenItComesAnyhow) {
  ask_all_of_a_slow_source();
  add_seed(1);
  set_rate(1, kFast);
  EXPECT_EQ(pick(1), "0:0-7");
  EXPECT_EQ(arrive(1, blocks(0, 0, 7)), "0:0-7");
  EXPECT_EQ(cancelled(), "0<0:0-7 ");
  EXPECT_EQ(arrive(0, blocks(0, 0, 0)), "-");
  release(0, blocks(0, 1, 7));
  EXPECT_TRUE(picker_->is_whole(PieceIndex(0)));
}

TEST_F(PickerTailTest, StoresOnlyWhatNobodyElseBrought) {
  make(1, 8);
  add_seed(0);
  EXPECT_EQ(pick(0), "0:0-7");
  set_rate(0, kSlow);
  add_seed(1);
  set_rate(1, 4 * kSlow);
  EXPECT_EQ(pick(1), "0:4-7");
  EXPECT_EQ(arrive(1, blocks(0, 4, 7)), "0:4-7");
  EXPECT_EQ(arrive(0, blocks(0, 0, 7)), "0:0-3");
  EXPECT_TRUE(picker_->is_whole(PieceIndex(0)));
}

TEST_F(PickerTailTest, WhatIsCutOffByWhatAnotherBroughtIsAskedForAgain) {
  make(1, 8);
  add_seed(0);
  EXPECT_EQ(pick(0), "0:0-7");
  add_seed(1);
  set_rate(0, kSlow);
  set_rate(1, 8 * kSlow);
  EXPECT_EQ(pick(1), "0:0-7");
  EXPECT_EQ(arrive(1, blocks(0, 2, 2)), "0:2-2");
  EXPECT_EQ(arrive(0, blocks(0, 0, 7)), "0:3-7") << "the longest row of what is new";
  release(1, blocks(0, 0, 1));
  EXPECT_EQ(pick(1), "0:0-1");
}

TEST_F(PickerTailTest, GoesOnWithTheOtherWhenOneOfTwoReleasesIt) {
  ask_all_of_a_slow_source();
  add_seed(1);
  set_rate(1, kFast);
  EXPECT_EQ(pick(1), "0:0-7");
  release(1, blocks(0, 0, 7));
  EXPECT_TRUE(picker_->is_end_game());
  EXPECT_EQ(arrive(0, blocks(0, 0, 0)), "0:0-0");
  EXPECT_EQ(cancelled(), "");
}

TEST_F(PickerTailTest, ASilentSourceIsReplacedAtTheDeadline) {
  make(1, 4);
  add_seed(0);
  add_seed(1);
  EXPECT_EQ(pick(0), "0:0-3");
  EXPECT_EQ(pick(1), "-") << "no reason yet to think it would be sooner";
  const auto deadline = picker_->next_deadline();
  ASSERT_TRUE(deadline.has_value());
  EXPECT_LT(*deadline, now_ + seconds(1));
  now_ = *deadline;
  picker_->on_deadline(now_);
  EXPECT_EQ(picker_->next_deadline(), std::nullopt);
  EXPECT_EQ(pick(1), "0:0-3");
}

// Whether it chokes and unchokes, or rejects: it would be the first to be asked again each time.
TEST_F(PickerTailTest, OthersAreAskedBeforeASourceThatGaveEverythingBack) {
  make(1, 4);
  for (std::uint32_t source = 0; source < 4; ++source) add_seed(source);
  for (std::uint32_t source = 0; source < 3; ++source) {
    EXPECT_EQ(pick(source), "0:0-3");
    release(source, blocks(0, 0, 3));
    EXPECT_EQ(pick(source), "-");
  }
  EXPECT_EQ(pick(3), "0:0-3");
}

TEST_F(PickerTailTest, OthersAreAskedBeforeASourceThatAlwaysGivesAPartBack) {
  make(2, 1);
  add_seed(0);
  const std::string first = pick(0);
  const std::string second = pick(0);
  const auto piece_of = [](const std::string& run) { return static_cast<std::uint32_t>(run[0] - '0'); };
  release(0, blocks(piece_of(first), 0, 0));
  EXPECT_EQ(pick(0), "-");
  release(0, blocks(piece_of(second), 0, 0));
  add_seed(1);
  EXPECT_NE(pick(1, 2).find(first), std::string::npos);
}

// It says what it lacks; with all the rest it may be honest.
TEST_F(PickerTailTest, ASourceThatDeniesWhatItGivesBackIsAskedForTheRestAtOnce) {
  make(2, 1);
  add(0, {0, 1});
  const std::string first = pick(0);
  const auto piece = static_cast<std::uint32_t>(first[0] - '0');
  release(0, blocks(piece, 0, 0));
  deny(0, piece);
  EXPECT_EQ(pick(0), first == "0:0-0" ? "1:0-0" : "0:0-0");
}

TEST_F(PickerTailTest, ASourceThatGivesEverythingBackIsAskedLessAndLess) {
  make(1, 4);
  add_seed(0);
  int asked = 0;
  for (const base::Instant end = now_ + seconds(100); now_ < end;) {
    if (pick(0) != "-") {
      ++asked;
      EXPECT_EQ(picker_->has_let_us_down(SourceId(0)), asked > 5);
      release(0, blocks(0, 0, 3));
      EXPECT_EQ(pick(0), "-");
    }
    ASSERT_TRUE(picker_->next_deadline().has_value());
    now_ = *picker_->next_deadline();
    picker_->on_deadline(now_);
  }
  EXPECT_GT(asked, 8);
  EXPECT_LT(asked, 14);
}

TEST_F(PickerTailTest, ASourceThatBringsBeforeItGivesBackIsAskedAgainAtOnce) {
  make(1, 16);
  add_seed(0);
  EXPECT_EQ(pick(0), "0:0-15");
  for (std::uint32_t block = 0; block < 15; ++block) {
    wait(milliseconds(50));
    EXPECT_EQ(arrive(0, blocks(0, block, block)), draw(blocks(0, block, block)));
    release(0, blocks(0, block + 1, 15));
    EXPECT_EQ(pick(0), draw(blocks(0, block + 1, 15)));
  }
}

TEST_F(PickerTailTest, ASourceThatKeepsBringingIsNotReplaced) {
  make(1, 8);
  add_seed(0);
  set_rate(0, 2 * kSlow);
  for (int i = 0; i < 4; ++i) ASSERT_NE(pick(0), "-");
  add_seed(1);
  set_rate(1, kSlow / 4);
  for (std::uint32_t block = 0; block < 8; ++block) {
    wait(milliseconds(500));
    ASSERT_NE(arrive(0, blocks(0, block, block)), "-");
    EXPECT_EQ(pick(1), "-");
  }
}

TEST_F(PickerTailTest, BeforeTheEndGameAnIdleSourceHelpsOnlyWhereItIsMuchSooner) {
  make(2, 8);
  add(0, {0});
  set_rate(0, kSlow);
  for (int block = 0; block < 8; ++block) ASSERT_NE(pick(0), "-");
  add(1, {0});
  add(2, {1});  // not asked for anything: piece 1 is open
  set_rate(1, 2 * kSlow);
  EXPECT_EQ(pick(1), "0:6-7") << "1 s instead of 8 s";
  EXPECT_EQ(pick(1), "-") << "2 s instead of 8 s";
}

TEST_F(PickerTailTest, HelpsOnlyAmongTheAllowedPieces) {
  ask_all_of_a_slow_source();
  add_seed(1);
  set_rate(1, kFast);
  EXPECT_EQ(pick_among(1, {}), "-");
  EXPECT_EQ(pick_among(1, {0}), "0:0-7");
}

TEST_F(PickerTailTest, ACoursePeerHelpsWithAWholePieceAndIsCancelledWithTheWhole) {
  ask_all_of_a_slow_source();
  picker_->add_source(SourceId(1), SourceKind::whole_pieces);
  picker_->on_has(SourceId(1), PieceIndex(0));
  set_rate(1, 4 * kSlow);
  EXPECT_EQ(pick(1), "0:0-7");
  for (std::uint32_t block = 0; block < 7; ++block) {
    EXPECT_NE(arrive(0, blocks(0, block, block)), "-");
    EXPECT_EQ(cancelled(), "") << "it cannot be cancelled in part";
  }
  EXPECT_EQ(arrive(0, blocks(0, 7, 7)), "0:7-7");
  EXPECT_EQ(cancelled(), "1<0:0-7 ");
}

TEST_F(PickerTailTest, NothingIsCancelledAtASourceThatWent) {
  ask_all_of_a_slow_source();
  add_seed(1);
  set_rate(1, kFast);
  EXPECT_EQ(pick(1), "0:0-7");
  EXPECT_EQ(arrive(1, blocks(0, 0, 7)), "0:0-7");
  picker_->remove_source(SourceId(0));
  EXPECT_EQ(cancelled(), "");
}

}  // namespace
}  // namespace shoal::swarm::test
