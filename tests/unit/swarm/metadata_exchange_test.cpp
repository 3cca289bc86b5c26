#include "swarm/metadata_exchange.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/rng.hpp"

namespace shoal::swarm {
namespace {

using base::Bytes;
using base::Instant;
using namespace std::chrono_literals;
using Ask = MetadataExchange::Ask;

constexpr std::uint32_t kPiece = wire::kMetadataPieceBytes;

Bytes make_info(std::uint32_t bytes, std::uint64_t seed = 1) {
  base::Rng rng(seed);
  Bytes info(bytes);
  for (std::byte& each : info) each = static_cast<std::byte>(rng.next());
  return info;
}
std::uint32_t size_of(const Bytes& info) {
  return static_cast<std::uint32_t>(info.size());
}
wire::MetadataPiece piece_of(const Bytes& info, std::uint32_t piece) {
  const auto begin = static_cast<std::ptrdiff_t>(std::min<std::size_t>(info.size(), std::size_t{piece} * kPiece));
  const auto end = static_cast<std::ptrdiff_t>(std::min<std::size_t>(info.size(), std::size_t{piece + 1} * kPiece));
  return {piece, size_of(info), Bytes(info.begin() + begin, info.begin() + end)};
}
SourceId peer(std::uint32_t id) {
  return SourceId(id);
}

class MetadataExchangeTest : public ::testing::Test {
 protected:
  std::vector<Ask> asks() { return exchange_.take_asks(now_); }
  // Everybody who is asked until nobody is answers with these bytes.
  void answer_all(const Bytes& with) {
    for (std::vector<Ask> asked = asks(); !asked.empty(); asked = asks()) {
      for (const Ask& ask : asked) exchange_.on_piece(ask.peer, piece_of(with, ask.piece), now_);
    }
  }
  std::map<std::uint32_t, int> asked_of_each() {
    std::map<std::uint32_t, int> counts;
    for (const Ask& ask : asks()) ++counts[ask.peer.value];
    return counts;
  }
  void pass(base::Duration duration) {
    const Instant end = now_ + duration;
    while (exchange_.next_deadline() && *exchange_.next_deadline() <= end) {
      ASSERT_GT(*exchange_.next_deadline(), now_);
      now_ = *exchange_.next_deadline();
      exchange_.on_deadline(now_);
    }
    now_ = end;
  }

  Bytes info_ = make_info(5 * kPiece + 100);
  Bytes lie_ = make_info(5 * kPiece + 100, 2);
  MetadataExchange exchange_{base::sha1(info_)};
  Instant now_ = Instant{} + 1h;
};

TEST_F(MetadataExchangeTest, PutsTheMetadataTogetherThatOnePeerHas) {
  exchange_.add_peer(peer(1), size_of(info_), now_);
  EXPECT_FALSE(exchange_.info());
  answer_all(info_);
  EXPECT_EQ(exchange_.info(), info_);
  EXPECT_TRUE(exchange_.take_liars().empty());
  EXPECT_FALSE(exchange_.next_deadline());
}

TEST_F(MetadataExchangeTest, AsksForAFewPiecesAtATime) {
  exchange_.add_peer(peer(1), size_of(info_), now_);
  EXPECT_EQ(asks(), (std::vector<Ask>{{peer(1), 0}, {peer(1), 1}, {peer(1), 2}, {peer(1), 3}}));
  EXPECT_TRUE(asks().empty());
  exchange_.on_piece(peer(1), piece_of(info_, 2), now_);
  EXPECT_EQ(asks(), (std::vector<Ask>{{peer(1), 4}}));
}

TEST_F(MetadataExchangeTest, TakesMetadataOfOnePieceAndOfExactPieces) {
  for (const std::uint32_t bytes : {1u, kPiece - 1, kPiece, kPiece + 1, 3 * kPiece}) {
    const Bytes info = make_info(bytes);
    MetadataExchange exchange(base::sha1(info));
    exchange.add_peer(peer(1), bytes, now_);
    for (int round = 0; round < 4; ++round) {
      for (const Ask& ask : exchange.take_asks(now_)) exchange.on_piece(peer(1), piece_of(info, ask.piece), now_);
    }
    EXPECT_EQ(exchange.info(), info) << bytes;
  }
}

TEST_F(MetadataExchangeTest, ConvictsAPeerWhoseMetadataDoesNotMatch) {
  exchange_.add_peer(peer(1), size_of(lie_), now_);
  answer_all(lie_);
  EXPECT_EQ(exchange_.take_liars(), std::vector<SourceId>{peer(1)});
  EXPECT_TRUE(exchange_.take_liars().empty());
  EXPECT_FALSE(exchange_.info());
  exchange_.add_peer(peer(2), size_of(info_), now_);
  answer_all(info_);
  EXPECT_EQ(exchange_.info(), info_);
}

TEST_F(MetadataExchangeTest, LetsALiarSpoilOnlyItsOwnTry) {
  exchange_.add_peer(peer(1), size_of(info_), now_);
  exchange_.add_peer(peer(2), size_of(info_), now_);
  for (std::vector<Ask> asked = asks(); !asked.empty(); asked = asks()) {
    for (const Ask& ask : asked) {
      exchange_.on_piece(ask.peer, piece_of(ask.peer == peer(1) ? lie_ : info_, ask.piece), now_);
    }
  }
  EXPECT_EQ(exchange_.info(), info_);
  EXPECT_LE(exchange_.take_liars().size(), 1u);
}

TEST_F(MetadataExchangeTest, AsksPeersThatDisagreeOnTheSizeEachForItsOwn) {
  exchange_.add_peer(peer(1), 2 * kPiece, now_);
  exchange_.add_peer(peer(2), size_of(info_), now_);
  EXPECT_EQ(asked_of_each(), (std::map<std::uint32_t, int>{{1, 2}, {2, 4}}));
  for (const std::uint32_t piece : {0u, 1u}) exchange_.on_piece(peer(1), piece_of(make_info(2 * kPiece), piece), now_);
  EXPECT_EQ(exchange_.take_liars(), std::vector<SourceId>{peer(1)});
  for (std::uint32_t piece = 0; piece < 6; ++piece) {
    exchange_.on_piece(peer(2), piece_of(info_, piece), now_);
    asks();
  }
  EXPECT_EQ(exchange_.info(), info_);
}

TEST_F(MetadataExchangeTest, ConvictsAPeerThatContradictsItsOwnSize) {
  const auto convicts = [&](const wire::MetadataPiece& piece) {
    MetadataExchange exchange(base::sha1(info_));
    exchange.add_peer(peer(1), size_of(info_), now_);
    EXPECT_EQ(exchange.take_asks(now_).size(), 4u);
    exchange.on_piece(peer(1), piece, now_);
    return exchange.take_liars() == std::vector<SourceId>{peer(1)};
  };
  const wire::MetadataPiece right = piece_of(info_, 1);
  EXPECT_FALSE(convicts(right));
  wire::MetadataPiece wrong = right;
  wrong.total_bytes = 0;
  EXPECT_TRUE(convicts(wrong));
  wrong = right;
  wrong.total_bytes = ~0u;
  EXPECT_TRUE(convicts(wrong));
  wrong = right;
  wrong.bytes.pop_back();
  EXPECT_TRUE(convicts(wrong));
  wrong.bytes.clear();
  EXPECT_TRUE(convicts(wrong));
  wrong = right;
  wrong.bytes.push_back({});
  EXPECT_TRUE(convicts(wrong));
}

TEST_F(MetadataExchangeTest, DoesNotBelieveImpossibleSizes) {
  for (const std::uint32_t bytes : {0u, kMetadataBytesMax + 1, ~0u}) exchange_.add_peer(peer(1), bytes, now_);
  EXPECT_TRUE(asks().empty());
  EXPECT_FALSE(exchange_.next_deadline());
  exchange_.add_peer(peer(2), kMetadataBytesMax, now_);
  EXPECT_EQ(asks().size(), kAskedAtOnce);
}

TEST_F(MetadataExchangeTest, IgnoresWhatItDidNotAskFor) {
  exchange_.on_piece(peer(1), piece_of(info_, 0), now_);
  exchange_.on_refused(peer(1), 0, now_);
  exchange_.remove_peer(peer(1), now_);
  exchange_.add_peer(peer(1), size_of(info_), now_);
  exchange_.on_piece(peer(1), piece_of(info_, 0), now_);
  EXPECT_EQ(asks().size(), kAskedAtOnce);
  for (const std::uint32_t piece : {5u, 6u, 1000u, ~0u}) {
    exchange_.on_piece(peer(1), {piece, size_of(info_), Bytes(kPiece)}, now_);
    exchange_.on_refused(peer(1), piece, now_);
  }
  exchange_.on_piece(peer(1), piece_of(info_, 0), now_);
  exchange_.on_piece(peer(1), piece_of(lie_, 0), now_);  // a second time
  EXPECT_TRUE(exchange_.take_liars().empty());
  for (std::uint32_t piece = 1; piece < 6; ++piece) {
    asks();
    exchange_.on_piece(peer(1), piece_of(info_, piece), now_);
  }
  EXPECT_EQ(exchange_.info(), info_);
}

TEST_F(MetadataExchangeTest, TriesAFewPeersAtFirstAndOneMoreEachSecond) {
  for (std::uint32_t id = 1; id <= 40; ++id) exchange_.add_peer(peer(id), size_of(info_), now_);
  EXPECT_EQ(asked_of_each().size(), kTriesFirst);
  pass(kAnotherTryEvery);
  EXPECT_EQ(asked_of_each().size(), 1u);
  pass(kAnotherTryEvery * 3);
  EXPECT_EQ(asked_of_each().size(), 3u);
  pass(14s - kAnotherTryEvery * 4);
  EXPECT_EQ(asked_of_each().size(), kTriesMax - kTriesFirst - 4);
}

TEST_F(MetadataExchangeTest, TriesTheNextAtOnceWhenAPeerLeavesOrLies) {
  for (std::uint32_t id = 1; id <= 4; ++id) exchange_.add_peer(peer(id), size_of(info_), now_);
  EXPECT_EQ(asked_of_each(), (std::map<std::uint32_t, int>{{1, 4}, {2, 4}}));
  exchange_.remove_peer(peer(1), now_);
  EXPECT_EQ(asked_of_each(), (std::map<std::uint32_t, int>{{3, 4}}));
  exchange_.on_piece(peer(2), {0, 1, {}}, now_);
  EXPECT_EQ(asked_of_each(), (std::map<std::uint32_t, int>{{4, 4}}));
}

TEST_F(MetadataExchangeTest, GivesTheTurnOfASilentPeerToAnother) {
  for (std::uint32_t id = 1; id <= kTriesMax + 2; ++id) exchange_.add_peer(peer(id), size_of(info_), now_);
  EXPECT_EQ(asked_of_each(), (std::map<std::uint32_t, int>{{1, 4}, {2, 4}}));
  pass(kMetadataPatience - 1ms);
  EXPECT_EQ(asked_of_each().size(), kTriesMax - 2);
  pass(1ms);
  EXPECT_EQ(asked_of_each(), (std::map<std::uint32_t, int>{{kTriesMax + 1, 4}, {kTriesMax + 2, 4}}));
}

TEST_F(MetadataExchangeTest, AsksTheOnlyPeerAgainForWhatDidNotCome) {
  exchange_.add_peer(peer(1), size_of(info_), now_);
  EXPECT_EQ(asks().size(), 4u);
  exchange_.on_piece(peer(1), piece_of(info_, 1), now_);
  EXPECT_EQ(asks().size(), 1u);
  pass(kMetadataPatience);
  EXPECT_EQ(asks(), (std::vector<Ask>{{peer(1), 0}, {peer(1), 2}, {peer(1), 3}, {peer(1), 4}}));
  for (const std::uint32_t piece : {0u, 2u, 3u, 4u}) exchange_.on_piece(peer(1), piece_of(info_, piece), now_);
  answer_all(info_);
  EXPECT_EQ(exchange_.info(), info_);
}

TEST_F(MetadataExchangeTest, HopesForWhoHasJustBegunOrBringsSomethingNow) {
  const auto is_hopeful = [&] { return exchange_.is_hopeful(now_); };
  EXPECT_FALSE(is_hopeful());
  exchange_.add_peer(peer(1), 0, now_);
  exchange_.add_peer(peer(1), kMetadataBytesMax + 1, now_);
  EXPECT_FALSE(is_hopeful()) << "nobody asks whoever claims that";
  exchange_.add_peer(peer(1), size_of(info_), now_);
  EXPECT_EQ(asks().size(), 4u);
  pass(kMetadataPatience - 1ms);
  EXPECT_TRUE(is_hopeful());
  pass(1ms);
  EXPECT_FALSE(is_hopeful());
  exchange_.on_piece(peer(1), piece_of(info_, 2), now_);
  EXPECT_TRUE(is_hopeful());
  pass(kMetadataPatience);
  EXPECT_FALSE(is_hopeful());
  exchange_.add_peer(peer(2), size_of(info_), now_);
  EXPECT_TRUE(is_hopeful());
  asks();
  exchange_.on_refused(peer(2), 0, now_);
  EXPECT_FALSE(is_hopeful());
}

TEST_F(MetadataExchangeTest, AsksAPeerThatRefusedAgainLater) {
  exchange_.add_peer(peer(1), size_of(info_), now_);
  EXPECT_EQ(asks().size(), 4u);
  exchange_.on_refused(peer(1), 0, now_);
  exchange_.on_refused(peer(1), 1, now_);
  EXPECT_TRUE(asks().empty());
  pass(kMetadataPatience);
  EXPECT_EQ(asks().size(), 4u);
  exchange_.on_refused(peer(1), 0, now_);
  pass(kMetadataPatience);
  EXPECT_TRUE(asks().empty());
  pass(kMetadataPatience);
  answer_all(info_);
  EXPECT_EQ(exchange_.info(), info_);
}

TEST_F(MetadataExchangeTest, LetsNoHugeClaimStandInTheWayOfSmallOnes) {
  for (std::uint32_t id = 1; id <= 20; ++id) exchange_.add_peer(peer(id), kMetadataBytesMax, now_);
  EXPECT_EQ(asked_of_each(), (std::map<std::uint32_t, int>{{1, 4}})) << "one huge one at a time";
  exchange_.add_peer(peer(21), size_of(info_), now_);
  EXPECT_EQ(asked_of_each(), (std::map<std::uint32_t, int>{{21, 4}}));
}

TEST_F(MetadataExchangeTest, GivesMoreTimeToAPeerThatComesRoundAgain) {
  // Everybody sends a piece each 10 seconds, which is never too slow in itself, but takes 300 seconds in all.
  const Bytes info = make_info(30 * kPiece);
  MetadataExchange exchange(base::sha1(info));
  for (std::uint32_t id = 1; id <= 40; ++id) exchange.add_peer(peer(id), size_of(info), now_);
  std::map<std::uint32_t, std::vector<std::uint32_t>> owed;
  int waited = 0;
  for (; waited < 3600 && !exchange.info(); waited += 10) {
    for (const Ask& ask : exchange.take_asks(now_)) owed[ask.peer.value].push_back(ask.piece);
    now_ += 10s;
    exchange.on_deadline(now_);
    for (auto& [id, pieces] : owed) {
      if (pieces.empty()) continue;
      exchange.on_piece(peer(id), piece_of(info, pieces.front()), now_);
      pieces.erase(pieces.begin());
    }
  }
  EXPECT_TRUE(exchange.info()) << "after " << waited << " s";
}

TEST_F(MetadataExchangeTest, BeginsAnewWithAPeerThatNamesAnotherSize) {
  exchange_.add_peer(peer(1), 3 * kPiece, now_);
  EXPECT_EQ(asks().size(), 3u);
  exchange_.add_peer(peer(1), 3 * kPiece, now_);
  EXPECT_TRUE(asks().empty());
  exchange_.add_peer(peer(1), size_of(info_), now_);
  answer_all(info_);
  EXPECT_EQ(exchange_.info(), info_);
}

TEST_F(MetadataExchangeTest, GivesEachPieceAFewTimesToEachPeer) {
  MetadataExchange exchange(base::sha1(info_), info_);
  EXPECT_EQ(exchange.info(), info_);
  for (std::uint32_t piece = 0; piece < 6; ++piece) {
    for (int time = 0; time < kGivenMax; ++time) EXPECT_EQ(exchange.answer(peer(1), piece), piece_of(info_, piece));
    EXPECT_FALSE(exchange.answer(peer(1), piece));
    EXPECT_TRUE(exchange.answer(peer(2), piece));
  }
  EXPECT_FALSE(exchange.answer(peer(3), 6));
  EXPECT_FALSE(exchange.answer(peer(3), ~0u));
  exchange.remove_peer(peer(1), now_);
  EXPECT_TRUE(exchange.answer(peer(1), 0)) << "a new connection";
}

TEST_F(MetadataExchangeTest, GivesWhatItGotAndNothingBefore) {
  EXPECT_FALSE(exchange_.answer(peer(9), 0));
  exchange_.add_peer(peer(1), size_of(info_), now_);
  answer_all(info_);
  EXPECT_EQ(exchange_.answer(peer(9), 5), piece_of(info_, 5));
}

TEST_F(MetadataExchangeTest, AnswersALimitedNumberOfPeers) {
  MetadataExchange exchange(base::sha1(info_), info_);
  for (std::uint32_t id = 0; id < kMetadataPeersMax; ++id) EXPECT_TRUE(exchange.answer(peer(id), 0));
  EXPECT_FALSE(exchange.answer(peer(kMetadataPeersMax), 0));
  EXPECT_TRUE(exchange.answer(peer(0), 1));
}

// One honest peer among many that are anything but, each seed another crowd: the honest one always wins, in time, and
// is never convicted.
class Crowd {
 public:
  Crowd(std::uint64_t seed, std::uint32_t info_bytes)
      : rng_(seed), info_(make_info(info_bytes, seed)), exchange_(base::sha1(info_)) {
    const std::size_t liars = rng_.below(60);
    honest_ = static_cast<std::uint32_t>(rng_.below(liars + 1));
    for (std::uint32_t id = 0; id <= liars; ++id) {
      members_.push_back(id == honest_ ? Kind::honest : static_cast<Kind>(1 + rng_.below(kLiarKinds)));
      exchange_.add_peer(peer(id), claim_of(members_.back()), now_);
    }
  }

  // How long it took.
  base::Duration run(base::Duration limit) {
    while (!exchange_.info() && now_ - Instant{} < limit) {
      for (const Ask& ask : exchange_.take_asks(now_)) plan(ask);
      for (const SourceId liar : exchange_.take_liars()) EXPECT_NE(liar, peer(honest_));
      if (!step()) break;
    }
    EXPECT_EQ(exchange_.info(), info_);
    return now_ - Instant{};
  }

 private:
  enum class Kind : std::uint8_t { honest, silent, refuser, trickler, forger, wrong_total, wrong_size, half, leaver };
  static constexpr std::uint64_t kLiarKinds = 8;

  std::uint32_t claim_of(Kind kind) {
    if (kind == Kind::honest || rng_.chance(0.5)) return size_of(info_);
    return rng_.chance(0.3) ? kMetadataBytesMax : 1 + static_cast<std::uint32_t>(rng_.below(2 * info_.size()));
  }
  void plan(const Ask& ask) {
    const Kind kind = members_[ask.peer.value];
    if (kind == Kind::silent || (kind == Kind::half && ask.piece % 2 == 1)) return;
    const auto delay = kind == Kind::trickler ? 14s * (1 + ask.piece % 4) : 1ms * rng_.below(200);
    due_.emplace(now_ + delay, ask);
  }
  bool step() {
    const auto deadline = exchange_.next_deadline();
    if (due_.empty() && !deadline) return false;
    if (due_.empty() || (deadline && *deadline <= due_.begin()->first)) {
      now_ = std::max(now_, *deadline);
      exchange_.on_deadline(now_);
      return true;
    }
    const auto [at, ask] = *due_.begin();
    due_.erase(due_.begin());
    now_ = at;
    answer(ask);
    return true;
  }
  void answer(const Ask& ask) {
    wire::MetadataPiece piece = piece_of(info_, ask.piece);
    switch (members_[ask.peer.value]) {
      case Kind::silent:
        return;
      case Kind::refuser:
        return exchange_.on_refused(ask.peer, ask.piece, now_);
      case Kind::leaver:
        return exchange_.remove_peer(ask.peer, now_);
      case Kind::wrong_total:
        piece.total_bytes += 1;
        break;
      case Kind::wrong_size:
        piece.bytes.resize(rng_.below(2 * kPiece));
        break;
      case Kind::forger:
        if (!piece.bytes.empty()) piece.bytes.front() ^= std::byte{1};
        break;
      case Kind::honest:
      case Kind::trickler:
      case Kind::half:
        break;
    }
    exchange_.on_piece(ask.peer, piece, now_);
  }

  base::Rng rng_;
  Bytes info_;
  MetadataExchange exchange_;
  Instant now_{};
  std::uint32_t honest_ = 0;
  std::vector<Kind> members_;
  std::multimap<Instant, Ask> due_;
};

TEST(MetadataExchange, LetsOneHonestPeerWinAmongManyLiarsInBoundedTime) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    EXPECT_LE(Crowd(seed, 1 + static_cast<std::uint32_t>(base::Rng(seed).below(20 * kPiece))).run(1h), 3min);
  }
}

TEST(MetadataExchange, LetsOneHonestPeerWinWithLargeMetadata) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    EXPECT_LE(Crowd(seed, kSmallMetadataBytes + static_cast<std::uint32_t>(seed)).run(2h), 1h);
  }
}

}  // namespace
}  // namespace shoal::swarm
