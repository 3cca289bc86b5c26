#include "swarm/download.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <span>
#include <string>

#include "tests/unit/swarm/fluid_swarm.hpp"

namespace shoal::swarm::test {
namespace {

using std::chrono::milliseconds;

std::vector<base::PieceIndex> pieces(std::initializer_list<std::uint32_t> values) {
  std::vector<base::PieceIndex> result;
  for (const std::uint32_t value : values) result.emplace_back(value);
  return result;
}

// A download driven by hand. Sources are 0, 1, ...; what is asked is drawn as "source:piece" in order.
class DownloadTest : public ::testing::Test {
 protected:
  void make(std::uint32_t piece_count, std::vector<base::PieceIndex> not_wanted = {}) {
    download_.emplace(DownloadOptions{.piece_count = piece_count, .not_wanted = std::move(not_wanted)}, base::Rng(1));
  }
  void add(std::uint32_t source, std::initializer_list<std::uint32_t> listed) {
    download_->add_source(SourceId(source), pieces(listed), now_);
    download_->on_source_ready(SourceId(source), now_);
  }
  std::string asked() {
    std::string result;
    for (const Request& request : download_->take_requests(now_)) {
      result += std::to_string(request.source.value) + ":" + std::to_string(request.piece.value) + " ";
    }
    return result;
  }
  void receive(std::uint32_t source, std::uint32_t piece) {
    download_->on_piece_sized(SourceId(source), base::PieceIndex(piece), kBytes, now_);
    download_->on_payload(SourceId(source), kBytes, now_);
    download_->on_piece_received(SourceId(source), base::PieceIndex(piece), now_);
  }
  void give(std::uint32_t source, std::uint32_t piece) {
    receive(source, piece);
    download_->on_piece_verified(SourceId(source), base::PieceIndex(piece), now_);
  }
  void refuse(std::uint32_t source, std::uint32_t piece) {
    download_->on_piece_refused(SourceId(source), base::PieceIndex(piece), now_);
  }
  void give_wrong(std::uint32_t source, std::uint32_t piece) {
    receive(source, piece);
    download_->on_piece_mismatched(SourceId(source), base::PieceIndex(piece), now_);
  }

  static constexpr std::uint64_t kBytes = 1000;
  base::Instant now_{};
  std::optional<Download> download_;
};

FluidSource fluid(double rate, std::size_t piece_count, double latency_s = 0.001) {
  FluidSource source;
  source.rate_bytes_per_s = rate;
  source.latency_s = latency_s;
  source.has.assign(piece_count, true);
  return source;
}

FluidResult run(std::size_t piece_count, double size, std::vector<FluidSource> sources) {
  return FluidSwarm(std::vector<double>(piece_count, size), std::move(sources)).run(10'000);
}

}  // namespace

// --- What is asked ---

TEST_F(DownloadTest, IsDoneWhenNothingIsWanted) {
  make(0);
  EXPECT_EQ(download_->state(), DownloadState::done);
  make(2, pieces({0, 1}));
  EXPECT_EQ(download_->state(), DownloadState::done);
  EXPECT_TRUE(download_->missing().empty());
}

TEST_F(DownloadTest, AsksNobodyForAPieceThatIsNotWanted) {
  make(3, pieces({0}));
  add(0, {0, 1, 2});
  EXPECT_EQ(asked(), "0:1 ");
  EXPECT_EQ(download_->missing(), pieces({1, 2}));
}

TEST_F(DownloadTest, AsksFirstForWhatOnlyThisSourceHas) {
  make(4);
  add(0, {0, 1, 3});
  add(1, {0, 1, 2});
  EXPECT_EQ(asked(), "0:3 1:2 ");
  give(0, 3);
  give(1, 2);
  EXPECT_EQ(asked(), "0:0 1:1 ");
}

TEST_F(DownloadTest, AsksInFileOrderAmongEqualPieces) {
  make(3);
  add(0, {2, 1, 0});
  EXPECT_EQ(asked(), "0:0 ");
  give(0, 0);
  EXPECT_EQ(asked(), "0:1 ");
}

TEST_F(DownloadTest, AsksTheOthersForAPieceThatWasRefused) {
  make(1);
  add(0, {0});
  EXPECT_EQ(asked(), "0:0 ");
  add(1, {0});
  refuse(0, 0);
  EXPECT_EQ(asked(), "1:0 ");
  give(1, 0);
  EXPECT_EQ(download_->state(), DownloadState::done);
}

TEST_F(DownloadTest, AsksAnUnlistedSourceOnlyWhenAllListedOnesFailed) {
  make(1);
  add(0, {0});
  add(1, {});
  EXPECT_EQ(asked(), "0:0 ");
  refuse(0, 0);
  EXPECT_EQ(asked(), "1:0 ");
  refuse(1, 0);
  EXPECT_EQ(asked(), "");
  EXPECT_EQ(download_->state(), DownloadState::incomplete);
  EXPECT_EQ(download_->missing(), pieces({0}));
}

TEST_F(DownloadTest, AsksUnlistedSourcesWhileTheListedOneIsInterrupted) {
  make(2);
  add(0, {0, 1});
  add(1, {});
  EXPECT_EQ(asked(), "0:0 ");
  download_->on_source_interrupted(SourceId(0), now_);
  EXPECT_EQ(asked(), "1:0 ");
  refuse(1, 0);
  EXPECT_EQ(asked(), "1:1 ");
  refuse(1, 1);
  EXPECT_EQ(download_->state(), DownloadState::running) << "the listed one may return";
  download_->on_source_ready(SourceId(0), now_);
  EXPECT_EQ(asked(), "0:0 ");
}

TEST_F(DownloadTest, AsksUnlistedSourcesForWhatASilentOneOwes) {
  make(2);
  add(0, {0});
  add(1, {1});
  EXPECT_EQ(asked(), "0:0 1:1 ");
  now_ += milliseconds(100);
  give(1, 1);
  std::string again;
  while (again.empty() && download_->next_deadline() && now_ < base::Instant{} + std::chrono::seconds(3)) {
    now_ = std::max(now_, *download_->next_deadline());
    again = asked();
  }
  EXPECT_EQ(again, "1:0 ");
  give(1, 0);
  EXPECT_EQ(download_->state(), DownloadState::done);
}

TEST_F(DownloadTest, RemembersRefusalsThroughAnInterruption) {
  make(2);
  add(0, {0, 1});
  EXPECT_EQ(asked(), "0:0 ");
  refuse(0, 0);
  download_->on_source_interrupted(SourceId(0), now_);
  download_->on_source_ready(SourceId(0), now_);
  EXPECT_EQ(asked(), "0:1 ");
  give(0, 1);
  EXPECT_EQ(asked(), "");
  EXPECT_EQ(download_->state(), DownloadState::incomplete);
}

TEST_F(DownloadTest, OpensAgainWhatAGoneSourceWasAskedFor) {
  make(2);
  add(0, {0, 1});
  EXPECT_EQ(asked(), "0:0 ");
  add(1, {0, 1});
  download_->on_payload(SourceId(0), 500, now_);
  download_->on_source_gone(SourceId(0), now_);
  EXPECT_EQ(asked(), "1:0 ");
  give(1, 0);
  EXPECT_EQ(asked(), "1:1 ");
  give(1, 1);
  EXPECT_EQ(download_->state(), DownloadState::done);
}

TEST_F(DownloadTest, TakesTheVerdictOnAPieceWhoseSourceIsGone) {
  make(2);
  add(0, {0, 1});
  EXPECT_EQ(asked(), "0:0 ");
  receive(0, 0);
  download_->on_source_gone(SourceId(0), now_);
  EXPECT_EQ(download_->state(), DownloadState::running);  // the store still has its say
  download_->on_piece_verified(SourceId(0), base::PieceIndex(0), now_);
  EXPECT_EQ(download_->state(), DownloadState::incomplete);
  EXPECT_EQ(download_->missing(), pieces({1}));
}

TEST_F(DownloadTest, DoesNotAskTheSameSourceAgainForAWrongPiece) {
  make(1);
  add(0, {0});
  EXPECT_EQ(asked(), "0:0 ");
  add(1, {0});
  give_wrong(0, 0);
  EXPECT_EQ(asked(), "1:0 ");
  give_wrong(1, 0);
  EXPECT_EQ(asked(), "");
  EXPECT_EQ(download_->state(), DownloadState::incomplete);
}

TEST_F(DownloadTest, AsksASourceNothingMoreAfterThreeWrongPieces) {
  make(9);
  add(0, {0, 1, 2, 3, 4, 5, 6, 7, 8});
  for (std::uint32_t piece = 0; piece < 3; ++piece) {
    EXPECT_EQ(asked(), "0:" + std::to_string(piece) + " ");
    EXPECT_EQ(download_->state(), DownloadState::running);
    give_wrong(0, piece);
  }
  EXPECT_EQ(asked(), "");
  EXPECT_EQ(download_->state(), DownloadState::incomplete);
  EXPECT_EQ(download_->missing().size(), 9u);
}

TEST_F(DownloadTest, AcceptsASourceThatComesLateAfterAllFailed) {
  make(1);
  EXPECT_EQ(download_->state(), DownloadState::incomplete);
  add(0, {0});
  EXPECT_EQ(asked(), "0:0 ");
  refuse(0, 0);
  EXPECT_EQ(download_->state(), DownloadState::incomplete);
  add(1, {0});
  EXPECT_EQ(download_->state(), DownloadState::running);
  EXPECT_EQ(asked(), "1:0 ");
}

// --- The tail ---

TEST_F(DownloadTest, AsksASecondSourceWhenTheFirstFallsSilent) {
  make(4);
  add(0, {0, 1, 2, 3});
  add(1, {0, 1, 2, 3});
  EXPECT_EQ(asked(), "0:0 1:1 ");
  now_ += milliseconds(100);
  give(0, 0);
  give(1, 1);
  EXPECT_EQ(asked(), "0:2 1:3 ");
  now_ += milliseconds(100);
  give(1, 3);
  std::string again;
  const base::Instant limit = now_ + std::chrono::seconds(2);
  while (again.empty() && download_->next_deadline() && now_ < limit) {
    again = asked();
    if (!again.empty()) break;
    ASSERT_TRUE(download_->next_deadline());
    ASSERT_GT(*download_->next_deadline(), now_);
    now_ = *download_->next_deadline();
  }
  EXPECT_EQ(again, "1:2 ");
  EXPECT_FALSE(download_->is_piece_settled(base::PieceIndex(2)));
  give(1, 2);
  EXPECT_EQ(download_->state(), DownloadState::done);
  EXPECT_TRUE(download_->is_piece_settled(base::PieceIndex(2)));
  receive(0, 2);  // the loser ends its answer, too
  EXPECT_EQ(download_->state(), DownloadState::done);
  EXPECT_EQ(asked(), "");
}

TEST_F(DownloadTest, TriesAnIdleSourceForTheLastBigPieceOfASlowOne) {
  make(1);
  add(0, {0});
  add(1, {0});
  EXPECT_EQ(asked(), "0:0 ");
  download_->on_piece_sized(SourceId(0), base::PieceIndex(0), 4'000'000, now_);
  std::string again;
  while (again.empty() && now_ < base::Instant{} + std::chrono::seconds(1)) {
    now_ += milliseconds(50);
    download_->on_payload(SourceId(0), 10'000, now_);  // it would take twenty seconds
    again = asked();
  }
  EXPECT_EQ(again, "1:0 ");
}

TEST_F(DownloadTest, HasNoDeadlineWhileEverySourceIsBusy) {
  make(2);
  add(0, {0, 1});
  add(1, {0, 1});
  EXPECT_EQ(asked(), "0:0 1:1 ");
  EXPECT_FALSE(download_->next_deadline());
}

TEST(Download, GetsTheTailOfASlowSourceFromAFastOne) {
  // The slow one is asked before anybody can know; waiting for its answer would take 65 s.
  const FluidResult result = run(100, 65536, {fluid(1e3, 100), fluid(1e6, 100)});
  EXPECT_EQ(result.state, DownloadState::done);
  EXPECT_LT(result.end_s, 101 * 0.0675);
  EXPECT_EQ(result.asked.at(0).size(), 1u);
}

TEST(Download, LeavesAPieceWithItsHolderWhenThatEndsSooner) {
  const FluidResult result = run(31, 65536, {fluid(1e6, 31), fluid(1e6, 31)});
  EXPECT_EQ(result.answered, 31u);
}

// --- How well it goes ---

TEST(Download, TakesOwnThirdsFirstAndSharesTheMiddle) {
  for (const double slowness : {1.0, 3.0}) {
    std::vector<FluidSource> peers{fluid(4e6, 90), fluid(4e6 / slowness, 90)};
    std::fill(peers[0].has.begin() + 60, peers[0].has.end(), false);
    std::fill(peers[1].has.begin(), peers[1].has.begin() + 30, false);
    const FluidResult result = run(90, 65536, peers);
    ASSERT_EQ(result.state, DownloadState::done);
    EXPECT_EQ(result.answered, 90u);
    EXPECT_LT(result.end_s, 1.03 * least_time_s(peers, 90, 65536));
    EXPECT_TRUE(std::ranges::all_of(std::span(result.asked.at(0)).first(30), [](auto piece) { return piece < 30; }));
    if (slowness == 1.0) {
      EXPECT_TRUE(std::ranges::all_of(std::span(result.asked.at(1)).first(30), [](auto piece) { return piece >= 60; }));
    }
  }
}

TEST(Download, SurvivesListsThatAreWrongBothWays) {
  std::vector<FluidSource> peers{fluid(1e6, 60), fluid(2e6, 60), fluid(1e6, 60)};
  base::Rng rng(5);
  for (FluidSource& peer : peers) {
    peer.listed.assign(60, false);
    for (std::size_t piece = 0; piece < 60; ++piece) {
      peer.listed[piece] = rng.chance(0.5);
      peer.has[piece] = rng.chance(0.5);
    }
  }
  for (std::size_t piece = 0; piece < 60; ++piece) peers[rng.below(3)].has[piece] = true;
  const FluidResult result = run(60, 65536, peers);
  EXPECT_EQ(result.state, DownloadState::done);
  EXPECT_EQ(result.answered, 60u);
}

TEST(Download, FinishesDespiteALiar) {
  std::vector<FluidSource> peers{fluid(9e6, 50), fluid(1e6, 50)};
  peers[0].is_liar = true;
  const FluidResult result = run(50, 65536, peers);
  EXPECT_EQ(result.state, DownloadState::done);
  EXPECT_EQ(result.asked.at(0).size(), 3u);
}

TEST(Download, EndsWellWhateverSourcesDo) {
  // Sources interrupt, return, refuse, lie and go at random; the last one has everything and stays.
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    base::Rng rng(seed);
    const auto piece_count = static_cast<std::uint32_t>(1 + rng.below(60));
    const auto source_count = static_cast<std::uint32_t>(2 + rng.below(6));
    const std::uint32_t honest = source_count - 1;
    Download download({.piece_count = piece_count, .not_wanted = {}, .queue_depth_max = 8}, rng.fork());
    base::Instant now{};
    std::vector<std::deque<base::PieceIndex>> asked(source_count);
    std::vector<bool> is_gone(source_count);
    for (std::uint32_t source = 0; source < source_count; ++source) {
      std::vector<base::PieceIndex> listed;
      for (std::uint32_t piece = 0; piece < piece_count; ++piece) {
        if (rng.chance(0.5)) listed.emplace_back(piece);
      }
      download.add_source(SourceId(source), listed, now);
      download.on_source_ready(SourceId(source), now);
      download.on_queue_depth_changed(SourceId(source), static_cast<std::uint32_t>(1 + rng.below(8)), now);
    }
    for (int turn = 0; turn < 20'000 && download.state() == DownloadState::running; ++turn) {
      now += milliseconds(rng.below(20));
      for (const Request& request : download.take_requests(now)) {
        ASSERT_FALSE(is_gone[request.source.value]);
        ASSERT_FALSE(download.is_piece_settled(request.piece));
        ASSERT_EQ(std::ranges::count(asked[request.source.value], request.piece), 0);
        asked[request.source.value].push_back(request.piece);
      }
      const auto index = static_cast<std::uint32_t>(rng.below(source_count));
      const SourceId source(index);
      if (is_gone[index]) continue;
      if (index != honest && rng.chance(0.02)) {
        is_gone[index] = rng.chance(0.2);
        asked[index].clear();
        is_gone[index] ? download.on_source_gone(source, now) : download.on_source_interrupted(source, now);
        continue;
      }
      download.on_source_ready(source, now);
      if (asked[index].empty()) continue;
      const base::PieceIndex piece = asked[index].front();
      asked[index].pop_front();
      if (index != honest && rng.chance(0.2)) {
        download.on_piece_refused(source, piece, now);
        continue;
      }
      download.on_piece_sized(source, piece, 1000, now);
      download.on_payload(source, 1000, now);
      const bool was_settled = download.is_piece_settled(piece);
      download.on_piece_received(source, piece, now);
      if (was_settled) continue;
      if (index != honest && rng.chance(0.1)) {
        download.on_piece_mismatched(source, piece, now);
      } else {
        download.on_piece_verified(source, piece, now);
      }
    }
    EXPECT_EQ(download.state(), DownloadState::done) << "seed " << seed;
  }
}

// --- How much is asked ahead ---

TEST(Download, KeepsManySmallRequestsUnderWayAtADistantSource) {
  std::vector<FluidSource> peers{fluid(10e6, 5000, 0.05)};
  peers[0].queue_depth = 64;
  const FluidResult result = run(5000, 1000, peers);
  EXPECT_EQ(result.outstanding_max, 64u);
  EXPECT_LT(result.end_s, 1.15 * 5000 / 64 * 0.05);
}

TEST(Download, KeepsTwoRequestsUnderWayWhenPiecesAreBig) {
  std::vector<FluidSource> peers{fluid(10e6, 30, 0.01)};
  peers[0].queue_depth = 64;
  const FluidResult result = run(30, 4e6, peers);
  EXPECT_EQ(result.outstanding_max, 2u);
  EXPECT_LT(result.end_s, 0.02 + 30 * 0.4);
}

TEST(Download, AsksOnePieceAtATimeWhereThatIsAllTheSourceTakes) {
  const FluidResult result = run(200, 1000, {fluid(10e6, 200, 0.01)});
  EXPECT_EQ(result.outstanding_max, 1u);
}

TEST(Download, DoesNotLetASlowSourceHoardTheEnd) {
  std::vector<FluidSource> peers{fluid(10e6, 300, 0.02), fluid(0.5e6, 300, 0.02)};
  for (FluidSource& peer : peers) peer.queue_depth = 64;
  const FluidResult result = run(300, 65536, peers);
  EXPECT_LT(result.end_s, 1.04 * least_time_s(peers, 300, 65536));
  EXPECT_LE(result.answered, 302u);
}

// --- Size ---

TEST(Download, ChoosesAmong65535PiecesAndEightSources) {
  constexpr std::uint32_t kPieces = 65535;
  base::Rng rng(3);
  std::vector<FluidSource> peers;
  for (int index = 0; index < 8; ++index) {
    peers.push_back(fluid(1e6 * (1 + index), kPieces));
    peers.back().queue_depth = 64;
    for (std::size_t piece = 0; piece < kPieces; ++piece) peers.back().has[piece] = index == 7 || rng.chance(0.5);
  }
  const FluidResult result = run(kPieces, 20'000, peers);
  EXPECT_EQ(result.state, DownloadState::done);
  EXPECT_LT(result.end_s, 1.02 * least_time_s(peers, kPieces, 20'000));
}

TEST(Download, CopesWithManySourcesThatAllDiffer) {
  constexpr std::uint32_t kPieces = 4000;
  constexpr std::uint32_t kSources = 150;
  base::Rng rng(4);
  std::vector<FluidSource> peers;
  for (std::uint32_t index = 0; index < kSources; ++index) {
    peers.push_back(fluid(1e6 * (1 + rng.unit()), kPieces));
    for (std::size_t piece = 0; piece < kPieces; ++piece) peers.back().has[piece] = index == 0 || rng.chance(0.3);
  }
  const FluidResult result = run(kPieces, 65536, peers);
  EXPECT_EQ(result.state, DownloadState::done);
  EXPECT_LE(result.answered, kPieces + kSources);
}

}  // namespace shoal::swarm::test
