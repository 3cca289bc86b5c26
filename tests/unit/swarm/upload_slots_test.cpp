#include "swarm/upload_slots.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace shoal::swarm::test {
namespace {

using std::chrono::seconds;
using Peers = std::vector<UploadCandidate>;

// Interested ones 0, 1, ..., count - 1.
Peers interested(std::uint32_t count) {
  Peers peers;
  for (std::uint32_t i = 0; i < count; ++i) peers.push_back({.peer = SourceId(i), .is_interested = true});
  return peers;
}

class UploadSlotsTest : public testing::Test {
 protected:
  void make(std::uint32_t slots, std::uint32_t slots_max = 64, std::uint64_t seed = 1) {
    slots_.emplace(UploadSlotsOptions{.slots = slots, .slots_max = slots_max}, base::Rng(seed));
  }
  std::set<std::uint32_t> review(const Peers& peers, bool is_seeding) {
    now_ = std::max(now_, slots_->next_review());
    std::set<std::uint32_t> unchoked;
    for (const SourceId peer : slots_->review(peers, is_seeding, now_).unchoked) {
      EXPECT_TRUE(unchoked.insert(peer.value).second) << "named twice";
    }
    return unchoked;
  }
  std::set<std::uint32_t> download(const Peers& peers) { return review(peers, false); }
  std::set<std::uint32_t> seed(const Peers& peers) { return review(peers, true); }

  base::Instant now_{};
  std::optional<UploadSlots> slots_;
};

using Set = std::set<std::uint32_t>;

// --- Both ---

TEST_F(UploadSlotsTest, AReviewIsDueAtOnceAndThenNowAndThen) {
  make(2);
  EXPECT_LE(slots_->next_review(), now_);
  download({});
  EXPECT_EQ(slots_->next_review(), now_ + kReviewEvery);
}

TEST_F(UploadSlotsTest, OnlyWhoIsInterestedGetsASlot) {
  make(4);
  Peers peers = interested(3);
  peers[1].is_interested = false;
  peers[1].gives_bytes_per_s = 1e6;
  EXPECT_EQ(download(peers), (Set{0, 2}));
  EXPECT_EQ(seed(peers), (Set{0, 2}));
}

TEST_F(UploadSlotsTest, WhoBecomesInterestedTakesAFreeSlotAtOnce) {
  make(2);
  EXPECT_EQ(download(interested(1)), Set{0});
  EXPECT_TRUE(slots_->take_free_slot(SourceId(1)));
  EXPECT_FALSE(slots_->take_free_slot(SourceId(2)));
  EXPECT_TRUE(slots_->take_free_slot(SourceId(1))) << "it has one";
}

TEST_F(UploadSlotsTest, TheSlotOfWhoWentIsFree) {
  make(1);
  EXPECT_TRUE(slots_->take_free_slot(SourceId(0)));
  EXPECT_FALSE(slots_->take_free_slot(SourceId(1)));
  slots_->on_gone(SourceId(0));
  EXPECT_TRUE(slots_->take_free_slot(SourceId(1)));
  slots_->on_gone(SourceId(7));
  EXPECT_FALSE(slots_->take_free_slot(SourceId(2)));
}

TEST_F(UploadSlotsTest, AnUplinkWithRoomOpensMoreSlots) {
  make(2, 5);
  Peers peers = interested(20);
  EXPECT_EQ(seed(peers).size(), 2U);
  for (UploadCandidate& peer : peers) peer.takes_bytes_per_s = kSlotBytesPerS / 5;
  EXPECT_EQ(seed(peers).size(), 4U) << "4 MiB/s in all";
  for (UploadCandidate& peer : peers) peer.takes_bytes_per_s = kSlotBytesPerS * 10;
  EXPECT_EQ(seed(peers).size(), 5U) << "never more than the most";
  for (UploadCandidate& peer : peers) peer.takes_bytes_per_s = 0;
  EXPECT_EQ(seed(peers).size(), 2U);
}

TEST_F(UploadSlotsTest, LocalPeersNeedNoSlotOfTheUplink) {
  make(1);
  Peers peers = interested(10);
  for (std::uint32_t i = 2; i < 10; ++i) peers[i].is_local = true;
  for (const Set& unchoked : {seed(peers), download(peers)}) {
    for (std::uint32_t i = 2; i < 10; ++i) EXPECT_TRUE(unchoked.contains(i));
  }
  EXPECT_EQ(seed(peers).size(), 9U);
  EXPECT_TRUE(slots_->take_free_slot(SourceId(20), true));
  EXPECT_FALSE(slots_->take_free_slot(SourceId(21), false));
}

TEST_F(UploadSlotsTest, NeverMoreThanTheMostEvenOfLocalPeers) {
  make(2, 6);
  Peers peers = interested(50);
  for (UploadCandidate& peer : peers) peer.is_local = true;
  EXPECT_EQ(seed(peers).size(), 6U);
  EXPECT_EQ(download(peers).size(), 6U);
  EXPECT_FALSE(slots_->take_free_slot(SourceId(60), true));
}

TEST_F(UploadSlotsTest, FewerSlotsAtMostThanAtLeastMeansTheMost) {
  make(8, 1);
  EXPECT_EQ(seed(interested(5)).size(), 1U);
  EXPECT_EQ(download(interested(5)).size(), 1U);
}

// --- Downloading ---

TEST_F(UploadSlotsTest, WhoGivesMostGetsTheSlots) {
  make(3);
  Peers peers = interested(10);
  for (const std::uint32_t giver : {4U, 7U, 9U}) peers[giver].gives_bytes_per_s = 1000 + giver;
  peers[1].gives_bytes_per_s = 999;
  const Set unchoked = download(peers);
  EXPECT_EQ(unchoked.size(), 4U) << "and one optimistic one";
  for (const std::uint32_t giver : {4U, 7U, 9U}) EXPECT_TRUE(unchoked.contains(giver));
}

TEST_F(UploadSlotsTest, WhoGivesLessThanOthersLosesItsSlot) {
  make(1);
  Peers peers = interested(2);
  peers[0].gives_bytes_per_s = 100;
  EXPECT_TRUE(download(peers).contains(0));
  peers.push_back({.peer = SourceId(2), .is_interested = true, .gives_bytes_per_s = 200});
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(download(peers).contains(2));
}

TEST_F(UploadSlotsTest, AmongEqualsWhoHasASlotKeepsIt) {
  make(4);
  const Peers peers = interested(4);
  const Set first = download(peers);
  const Peers more = interested(40);
  for (int i = 0; i < 10; ++i) {
    const Set unchoked = download(more);
    EXPECT_TRUE(std::ranges::includes(unchoked, first));
  }
}

TEST_F(UploadSlotsTest, TheOptimisticOneStaysForItsTimeAndThenAnotherIsDrawn) {
  make(1);
  Peers peers = interested(200);
  peers[0].gives_bytes_per_s = 1;
  const auto optimistic = [&] {
    Set unchoked = download(peers);
    unchoked.erase(0);
    EXPECT_EQ(unchoked.size(), 1U);
    return *unchoked.begin();
  };
  const std::uint32_t first = optimistic();
  EXPECT_EQ(optimistic(), first);
  EXPECT_EQ(optimistic(), first);
  EXPECT_NE(optimistic(), first) << "after " << base::to_seconds(kOptimisticFor) << " s";
}

TEST_F(UploadSlotsTest, WhenTheOptimisticOneGoesAnotherIsDrawn) {
  make(1);
  Peers peers = interested(3);
  peers[0].gives_bytes_per_s = 1;
  const Set unchoked = download(peers);
  const std::uint32_t first = unchoked.contains(1) ? 1 : 2;
  slots_->on_gone(SourceId(first));
  peers[first].is_interested = false;
  EXPECT_EQ(download(peers), (Set{0, 3 - first}));
}

TEST_F(UploadSlotsTest, WhenTheOptimisticOneEarnsASlotAnotherIsDrawn) {
  make(1);
  Peers peers = interested(3);
  peers[0].gives_bytes_per_s = 1;
  const Set unchoked = download(peers);
  const std::uint32_t first = unchoked.contains(1) ? 1 : 2;
  peers[first].gives_bytes_per_s = 2;
  const Set next = download(peers);
  EXPECT_EQ(next.size(), 2U);
  EXPECT_TRUE(next.contains(first));
}

TEST_F(UploadSlotsTest, ANewPeerIsLikelierTheOptimisticOne) {
  int news = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    make(1, 64, seed);
    Peers peers = interested(5);
    peers[0].gives_bytes_per_s = 1;
    peers[4].is_new = true;
    news += download(peers).contains(4) ? 1 : 0;
  }
  // Weight 3 of 6.
  EXPECT_GT(news, 160);
  EXPECT_LT(news, 240);
}

TEST_F(UploadSlotsTest, NobodyWaitsForTheOptimisticSlotForever) {
  make(1);
  Peers peers = interested(10);
  peers[0].gives_bytes_per_s = 1;
  Set had;
  for (int i = 0; i < 400; ++i) had.merge(download(peers));
  EXPECT_EQ(had.size(), 10U);
}

// --- Seeding ---

TEST_F(UploadSlotsTest, ASeedGivesEverybodyTurns) {
  make(4);
  const Peers peers = interested(40);
  std::map<std::uint32_t, int> reviews;
  for (int i = 0; i < 600; ++i) {
    const Set unchoked = seed(peers);
    EXPECT_EQ(unchoked.size(), 4U);
    for (const std::uint32_t peer : unchoked) ++reviews[peer];
  }
  EXPECT_EQ(reviews.size(), 40U);
}

TEST_F(UploadSlotsTest, NobodyStarvesHoweverFastOthersTake) {
  make(4);
  Peers peers = interested(24);
  for (const std::uint32_t fast : {0U, 1U, 2U}) peers[fast].takes_bytes_per_s = 1e5;
  std::map<std::uint32_t, int> last_turn;
  int longest_wait = 0;
  for (int i = 0; i < 500; ++i) {
    for (const std::uint32_t peer : seed(peers)) {
      longest_wait = std::max(longest_wait, i - last_turn[peer]);
      last_turn[peer] = i;
    }
  }
  EXPECT_EQ(last_turn.size(), 24U);
  // Two of the four slots go round among at most 22, for three reviews each.
  EXPECT_LE(longest_wait, 22 / 2 * 3 + 4);
  for (const auto& [peer, turn] : last_turn) EXPECT_GT(turn, 460);
}

TEST_F(UploadSlotsTest, NobodyStarvesWithOneSlot) {
  make(1);
  Peers peers = interested(5);
  peers[0].takes_bytes_per_s = 1e6;
  Set had;
  for (int i = 0; i < 16; ++i) had.merge(seed(peers));
  EXPECT_EQ(had.size(), 5U);
}

TEST_F(UploadSlotsTest, NobodyStarvesAmongManyLocalPeers) {
  make(2, 8);
  Peers peers = interested(40);
  for (std::uint32_t i = 1; i < 40; ++i) peers[i].is_local = true;
  Set had;
  for (int i = 0; i < 60; ++i) had.merge(seed(peers));
  EXPECT_EQ(had.size(), 40U);
}

TEST_F(UploadSlotsTest, TheFastestTakersOfASeedKeepTheirSlots) {
  make(4);
  Peers peers = interested(4);
  peers[1].takes_bytes_per_s = 5e5;
  peers[2].takes_bytes_per_s = 4e5;
  seed(peers);
  const Peers newcomers = interested(30);
  for (std::uint32_t i = 4; i < 30; ++i) peers.push_back(newcomers[i]);
  for (int i = 0; i < 20; ++i) {
    const Set unchoked = seed(peers);
    EXPECT_TRUE(unchoked.contains(1) && unchoked.contains(2));
  }
}

TEST_F(UploadSlotsTest, ATurnIsNotCutShort) {
  make(2);
  const Set first = seed(interested(2));
  const Peers more = interested(10);
  EXPECT_EQ(seed(more), first);
  EXPECT_EQ(seed(more), first);
  EXPECT_NE(seed(more), first);
}

TEST_F(UploadSlotsTest, WhenNobodyWaitsEverybodyKeepsItsSlot) {
  make(4);
  const Peers peers = interested(4);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(seed(peers).size(), 4U);
}

TEST_F(UploadSlotsTest, WhoComesAndGoesDoesNotPushAheadOfWhoWaits) {
  make(1);
  Peers peers = interested(3);
  Set first = seed(peers);
  std::uint32_t served = *first.begin();
  // It gives its slot up and wants it again: the other two were there before.
  for (int turn = 0; turn < 2; ++turn) {
    slots_->on_gone(SourceId(served));
    const Set next = seed(peers);
    EXPECT_FALSE(next.contains(*first.begin()));
    served = *next.begin();
  }
}

TEST_F(UploadSlotsTest, ForgetsWhoIsNotThereAnyMore) {
  make(2);
  EXPECT_EQ(seed(interested(2)).size(), 2U);
  EXPECT_TRUE(seed({}).empty());
  EXPECT_TRUE(slots_->take_free_slot(SourceId(5)));
  EXPECT_TRUE(slots_->take_free_slot(SourceId(6)));
}

}  // namespace
}  // namespace shoal::swarm::test
