// Suspects, and others, that bring nothing keep no piece from anybody.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/unit/swarm/suspects_fixture.hpp"

namespace shoal::swarm::test {
namespace {

class SilentSuspectsTest : public SuspectsTest {
 protected:
  // Time goes on until it may be asked for something; "-" when that is not within the limit.
  std::string wait_for(std::uint32_t source, base::Duration limit, const std::function<void()>& meanwhile = {}) {
    const base::Instant end = now_ + limit;
    while (now_ < end) {
      if (const std::string picked = pick(source); picked != "-") return picked;
      if (meanwhile) meanwhile();
      wait(std::chrono::seconds(1));
    }
    return "-";
  }
  // Suspects 0 and 1 have piece 0 and deny piece 1, which only source 5 has, who chokes us: no end game.
  void make_before_the_end_game() {
    make_two_suspects(2);
    add(5, {1});
    for (const std::uint32_t suspect : {0U, 1U}) deny(suspect, 1);
  }
};

TEST_F(SilentSuspectsTest, DoNotKeepAPieceFromOthersByTakingItFromEachOther) {
  make_two_suspects(1);
  add_seed(2);
  for (const std::uint32_t fast : {0U, 1U}) set_rate(fast, 1e8);
  set_rate(2, 1e6);
  EXPECT_EQ(pick(0, 2), "0:0-15 0:16-31");
  const auto take_turns = [this] {
    for (const std::uint32_t suspect : {0U, 1U}) {
      while (pick(suspect) != "-") {
      }
    }
  };
  EXPECT_EQ(wait_for(2, std::chrono::minutes(1), take_turns), "0:0-15");
}

TEST_F(SilentSuspectsTest, DoNotKeepAPieceFromOthersBeforeTheEndGame) {
  make_before_the_end_game();
  EXPECT_EQ(pick(0, 2), "0:0-15 0:16-31");
  add(2, {0});
  EXPECT_FALSE(picker_->is_end_game());
  EXPECT_EQ(wait_for(2, std::chrono::minutes(1)), "0:0-15");
}

TEST_F(SilentSuspectsTest, LoseThePieceOfWhichTheLeastIsHere) {
  make_two_suspects(2);
  const std::string first = pick(0);
  const char other = first[0] == '0' ? '1' : '0';
  while (pick(0) != "-") {
  }
  const std::uint32_t nearly_whole = static_cast<std::uint32_t>(first[0] - '0');
  arrive(0, blocks(nearly_whole, 0, 15));
  arrive(0, blocks(nearly_whole, 16, 30));
  ASSERT_NE(wait_for(1, std::chrono::minutes(10)), "-");
  EXPECT_EQ(thrown_away(), std::string(1, other));
}

TEST_F(SilentSuspectsTest, ASuspectDoesNotWaitForLongWhereNobodyIsAsked) {
  make_two_suspects(1);
  picker_->remove_source(SourceId(1));
  for (std::uint32_t liar = 10; liar < 18; ++liar) {
    add_seed(liar);
    give_piece(liar, 0);
    ASSERT_EQ(mismatch(0), std::to_string(liar));
    picker_->remove_source(SourceId(liar));
  }
  add_seed(20);
  EXPECT_EQ(pick(20), "0:0-15");
  EXPECT_EQ(arrive(20, blocks(0, 0, 0)), "0:0-0");
  picker_->remove_source(SourceId(20));
  EXPECT_EQ(pick(0), "-") << "whoever began it may come back";
  EXPECT_EQ(wait_for(0, std::chrono::minutes(6)), "0:0-15");
}

// Each of them gets time to bring something, but not all of them together.
TEST_F(SilentSuspectsTest, OthersThatComeAndGoAndBringNothingDoNotKeepAPieceFromASuspect) {
  make_two_suspects(1);
  set_rate(0, 1e6);
  picker_->remove_source(SourceId(1));
  std::uint32_t holder = 10;
  add_seed(holder);
  EXPECT_EQ(pick(holder, 2), "0:0-15 0:16-31");
  EXPECT_EQ(arrive(holder, blocks(0, 0, 0)), "0:0-0");
  base::Instant since = now_;
  const auto exchange = [&] {
    if (now_ - since < std::chrono::seconds(20)) return;
    since = now_;
    add_seed(holder + 1);
    while (pick(holder + 1) != "-") {
    }
    picker_->remove_source(SourceId(holder));
    ++holder;
    while (pick(holder) != "-") {
    }
  };
  EXPECT_EQ(wait_for(0, std::chrono::minutes(10), exchange), "0:0-15");
}

// How long nothing came of a piece is forgotten with what was there of it.
class StandstillTest : public SuspectsTest {
 protected:
  // Of the only piece: all of it is asked of source 2, silent for half a minute, and a suspect waits.
  void make_standstill() {
    make_two_suspects(1);
    set_rate(0, 1e6);
    set_rate(1, 1e6);
    add_seed(2);
    add_seed(3);
    EXPECT_EQ(pick(2, 2), "0:0-15 0:16-31");
    EXPECT_EQ(pick(0), "-");
    wait(2 * kLetDownPauseMax);
    release(2, blocks(0, 0, 31));
  }
  void expect_that_a_suspect_waits_anew(std::uint32_t suspect) {
    wait(kLetDownPauseMax);
    EXPECT_EQ(pick(2, 2), "0:0-15 0:16-31");
    EXPECT_EQ(pick(suspect), "-");
    wait(2 * kLetDownPauseMax);
    EXPECT_EQ(pick(suspect), "0:0-15");
  }
};

TEST_F(StandstillTest, IsForgottenWhenThePieceIsTakenOver) {
  make_standstill();
  EXPECT_EQ(pick(3, 2), "0:0-15 0:16-31");
  release(3, blocks(0, 0, 31));
  EXPECT_EQ(pick(2), "-") << "paused";
  wait(kLetDownPauseMax);
  EXPECT_EQ(pick(2, 2), "0:0-15 0:16-31");
  EXPECT_EQ(pick(0), "0:0-15");
  picker_->remove_source(SourceId(0));
  expect_that_a_suspect_waits_anew(1);
}

TEST_F(StandstillTest, IsForgottenWhenNobodyLookedForLong) {
  make_standstill();
  wait(std::chrono::hours(1));
  EXPECT_EQ(pick(2, 2), "0:0-15 0:16-31");
  EXPECT_EQ(pick(0), "-");
}

TEST_F(StandstillTest, IsForgottenWhenThePieceIsWrong) {
  make_standstill();
  give_piece(3, 0);
  EXPECT_EQ(mismatch(0), "3");
  expect_that_a_suspect_waits_anew(0);
}

}  // namespace
}  // namespace shoal::swarm::test
