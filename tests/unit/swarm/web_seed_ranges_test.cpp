// Runs that follow each other are fetched from a web seed in one range.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "unit/swarm/web_seed_fixture.hpp"

namespace shoal::swarm::test {
namespace {

// All its places are taken while runs wait that follow each other: pieces 10, 11, 12, and 20.
class Waiting : public Seeding {
 public:
  explicit Waiting(base::Duration delay) : Seeding(one_file(100 * kPieceBytes)) {
    files["http://host/file"] = content_of(100 * kPieceBytes);
    for (int i = 0; i < 20; ++i) {
      seed.request(run_of(50, 0, kPieceBytes), now);
      take_fetches();
      now += delay;
      answer_all();
      take_seen();
    }
    for (const std::uint32_t piece : {40U, 42U, 44U, 46U, 10U, 11U, 12U, 20U}) seed.request(whole(piece), now);
    take_fetches();
  }
  static wire::BlockRange whole(std::uint32_t piece) { return run_of(piece, 0, kPieceBytes); }
  // What is asked for when one of the places is free; the range of the new fetch.
  std::optional<Range> free_a_place() {
    const auto first = open.begin()->second;
    const auto range = range_of(first);
    EXPECT_EQ(open.erase(first.fetch), 1u);
    const base::Bytes bytes(range->last - range->first + 1);
    EXPECT_TRUE(seed.on_event(seam::Fetched{first.fetch, 206, bytes, range}, now));
    take_seen();
    const auto begun = take_fetches();
    return begun.size() == 1 ? range_of(begun[0]) : std::nullopt;
  }
};

TEST(WebSeed, FetchesRunsThatFollowEachOtherInOneRange) {
  Waiting waiting(10ms);
  EXPECT_EQ(waiting.free_a_place(), (Range{10 * kPieceBytes, 13 * kPieceBytes - 1}));
  EXPECT_EQ(waiting.free_a_place(), (Range{20 * kPieceBytes, 21 * kPieceBytes - 1}));
  waiting.answer_all();
  const auto seen = waiting.take_seen();
  for (const std::uint32_t piece : {10U, 11U, 12U, 20U}) {
    EXPECT_TRUE(seen.arrived.at(Waiting::whole(piece)) ==
                waiting.files["http://host/file"].substr(piece * kPieceBytes, kPieceBytes));
  }
}

TEST(WebSeed, FetchesNoMoreInOneRangeThanASlowServerSendsInASecond) {
  Waiting waiting(2s);
  EXPECT_EQ(waiting.free_a_place(), (Range{10 * kPieceBytes, 11 * kPieceBytes - 1}));
}

TEST(WebSeed, HasRoomForWhatAFastServerSendsMeanwhile) {
  const Waiting fast(10ms);
  EXPECT_TRUE(fast.seed.has_room(fast.now));
  const Waiting slow(10s);
  EXPECT_FALSE(slow.seed.has_room(slow.now));
}

TEST(WebSeed, ARangeGoesOnWhileAnyOfItsRunsIsNeeded) {
  Waiting waiting(10ms);
  waiting.free_a_place();
  const seam::FetchId several = std::prev(waiting.open.end())->first;
  waiting.seed.cancel(Waiting::whole(11), waiting.now);
  EXPECT_EQ(waiting.take_seen().released, std::vector<wire::BlockRange>{Waiting::whole(11)});
  waiting.take_fetches();
  EXPECT_TRUE(waiting.open.contains(several));
  waiting.seed.cancel(Waiting::whole(10), waiting.now);
  waiting.seed.cancel(Waiting::whole(12), waiting.now);
  waiting.take_fetches();
  EXPECT_FALSE(waiting.open.contains(several));
  waiting.answer_all();
  EXPECT_FALSE(waiting.take_seen().arrived.contains(Waiting::whole(11)));
}

TEST(WebSeed, WhatWaitsTakesThePlacesOfWhatIsCancelled) {
  Waiting waiting(10ms);
  for (const std::uint32_t piece : {40U, 42U, 44U, 46U}) waiting.seed.cancel(Waiting::whole(piece), waiting.now);
  waiting.take_seen();
  EXPECT_FALSE(waiting.take_fetches().empty());
  waiting.answer_all();
  EXPECT_EQ(waiting.take_seen().arrived.size(), 4u);
}

TEST(WebSeed, AsksForEachRunAloneWhereARangeOfSeveralIsAnsweredShort) {
  Waiting waiting(10ms);
  waiting.free_a_place();
  const seam::FetchId several = std::prev(waiting.open.end())->first;
  waiting.answer(several, 206, content_of(kPieceBytes), Range{10 * kPieceBytes, 11 * kPieceBytes - 1});
  waiting.take_seen();
  waiting.now += 1h;
  waiting.seed.on_deadline(waiting.now);
  for (const std::uint32_t piece : {10U, 11U}) waiting.seed.request(Waiting::whole(piece), waiting.now);
  waiting.take_fetches();
  for (const auto& [id, fetch] : waiting.open) {
    const auto range = range_of(fetch);
    EXPECT_EQ(range->last - range->first + 1, kPieceBytes);
  }
}

TEST(WebSeed, AsksForEachRunAloneWhereARangeOfSeveralLeavesTheFile) {
  Waiting waiting(10ms);
  waiting.free_a_place();
  const seam::FetchId several = std::prev(waiting.open.end())->first;
  waiting.answer(several, 416, "");
  auto seen = waiting.take_seen();
  EXPECT_TRUE(seen.lacking.empty());
  EXPECT_EQ(seen.released.size(), 3u);
  for (const std::uint32_t piece : {10U, 11U}) waiting.seed.request(Waiting::whole(piece), waiting.now);
  EXPECT_EQ(waiting.free_a_place(), (Range{10 * kPieceBytes, 11 * kPieceBytes - 1}));
  EXPECT_EQ(waiting.free_a_place(), (Range{11 * kPieceBytes, 12 * kPieceBytes - 1}));
}

}  // namespace
}  // namespace shoal::swarm::test
