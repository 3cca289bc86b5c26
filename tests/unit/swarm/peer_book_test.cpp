#include "swarm/peer_book.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace shoal::swarm {
namespace {

using base::Endpoint;
using base::Instant;
using base::Ipv4Address;
using namespace std::chrono_literals;

Endpoint endpoint(std::string_view text) {
  return Endpoint::parse(text).value();
}
Ipv4Address address(std::string_view text) {
  return Ipv4Address::parse(text).value();
}
// The n-th of many addresses that differ.
Endpoint numbered(std::uint32_t n, std::uint32_t network = 0x0a000000) {
  return {Ipv4Address{network + 1 + n}, 6881};
}

class PeerBookTest : public ::testing::Test {
 protected:
  void add(std::string_view peer, PeerOrigin origin = PeerOrigin::tracker) { book_.add(endpoint(peer), origin, now_); }
  // The next one to dial, "" for none.
  std::string next() {
    const auto next = book_.next(now_);
    return next ? next->endpoint.to_string() : "";
  }
  std::vector<std::string> all_next() {
    std::vector<std::string> all;
    for (std::string each = next(); !each.empty(); each = next()) all.push_back(each);
    return all;
  }
  // How long after now the next one is due.
  base::Duration wait() { return book_.next_deadline().value() - now_; }

  PeerBook book_{{}, base::Rng(1)};
  Instant now_ = Instant{} + 1h;
};

TEST(PeerPriority, IsThatOfTheExamplesOfBep40) {
  EXPECT_EQ(peer_priority(endpoint("123.213.32.10:1"), endpoint("98.76.54.32:2")), 0xec2d7224);
  EXPECT_EQ(peer_priority(endpoint("123.213.32.10:1"), endpoint("123.213.32.234:2")), 0x99568189);
}

TEST(PeerPriority, IsTheSameForBothSides) {
  for (const char* other : {"98.76.54.32:2", "123.213.32.234:2", "123.213.99.1:2", "123.213.32.10:2"}) {
    EXPECT_EQ(peer_priority(endpoint("123.213.32.10:1"), endpoint(other)),
              peer_priority(endpoint(other), endpoint("123.213.32.10:1")));
  }
}

TEST(PeerPriority, LooksAtAsMuchOfTheAddressesAsTheyAreNear) {
  const Endpoint us = endpoint("10.1.2.3:1");
  EXPECT_EQ(peer_priority(us, endpoint("11.1.0.0:1")), peer_priority(us, endpoint("11.1.170.170:1")))
      << "of other networks every other bit of the lower half is masked";
  EXPECT_NE(peer_priority(us, endpoint("10.1.0.0:1")), peer_priority(us, endpoint("10.1.170.0:1")));
  EXPECT_EQ(peer_priority(us, endpoint("10.1.0.0:1")), peer_priority(us, endpoint("10.1.0.170:1")));
  EXPECT_NE(peer_priority(us, endpoint("10.1.2.0:1")), peer_priority(us, endpoint("10.1.2.170:1")));
}

TEST(PeerPriority, LooksAtThePortsOnOneHost) {
  const Endpoint us = endpoint("10.1.2.3:1");
  EXPECT_NE(peer_priority(us, endpoint("10.1.2.3:7")), peer_priority(us, endpoint("10.1.2.3:8")));
  EXPECT_EQ(peer_priority(us, endpoint("10.1.2.4:7")), peer_priority(us, endpoint("10.1.2.4:8")));
}

TEST_F(PeerBookTest, GivesEachAddressOnce) {
  add("10.0.0.1:6881");
  add("10.0.0.1:6881", PeerOrigin::exchange);
  EXPECT_EQ(book_.known(), 1u);
  EXPECT_EQ(next(), "10.0.0.1:6881");
  EXPECT_EQ(next(), "");
  EXPECT_FALSE(book_.next_deadline());
}

TEST_F(PeerBookTest, GivesWhatTheUserNamedFirst) {
  for (std::uint32_t n = 0; n < 50; ++n) book_.add(numbered(n), PeerOrigin::tracker, now_);
  add("10.9.9.9:1", PeerOrigin::user);
  add("10.9.9.9:2", PeerOrigin::user);
  const auto order = all_next();
  EXPECT_EQ((std::set<std::string>{order[0], order[1]}), (std::set<std::string>{"10.9.9.9:1", "10.9.9.9:2"}));
}

TEST_F(PeerBookTest, LetsOriginsTakeTurnsSoThatNoneDelaysTheOthers) {
  for (std::uint32_t n = 0; n < 1000; ++n) book_.add(numbered(n), PeerOrigin::tracker, now_);
  for (std::uint32_t n = 0; n < 500; ++n) book_.add(numbered(n, 0x0b000000), PeerOrigin::exchange, now_);
  add("10.9.9.9:1", PeerOrigin::local);
  add("10.9.9.9:2", PeerOrigin::incoming);
  std::set<std::string> first;
  for (int i = 0; i < 4; ++i) first.insert(next());
  EXPECT_TRUE(first.contains("10.9.9.9:1"));
  EXPECT_TRUE(first.contains("10.9.9.9:2"));
}

TEST_F(PeerBookTest, OrdersEqualsByTheirCanonicalPriority) {
  const Endpoint us = endpoint("10.1.2.3:6881");
  for (std::uint32_t n = 0; n < 100; ++n) book_.add(numbered(n * 7919), PeerOrigin::tracker, now_);
  book_.add_own(us);
  std::uint32_t last = ~0u;
  while (const auto next = book_.next(now_)) {
    EXPECT_LE(peer_priority(us, next->endpoint), last);
    last = peer_priority(us, next->endpoint);
  }
}

TEST_F(PeerBookTest, ReckonsPriorityFromOurAddressNearestToThePeer) {
  const Endpoint near = endpoint("192.168.7.1:6881");
  book_.add_own(endpoint("10.1.2.3:6881"));
  book_.add_own(near);
  book_.add_own(endpoint("172.16.0.1:6881"));
  std::uint32_t last = ~0u;
  for (std::uint32_t n = 1; n < 100; ++n) book_.add(numbered(n, 0xc0a80700), PeerOrigin::tracker, now_);
  while (const auto next = book_.next(now_)) {
    EXPECT_LE(peer_priority(near, next->endpoint), last);
    last = peer_priority(near, next->endpoint);
  }
}

TEST_F(PeerBookTest, WaitsLongerAfterEachFailureAndThenForgets) {
  add("10.0.0.1:6881");
  base::Duration last{};
  for (int failure = 1; failure < kFailuresMax; ++failure) {
    ASSERT_EQ(next(), "10.0.0.1:6881");
    book_.on_failed(endpoint("10.0.0.1:6881"), now_);
    EXPECT_EQ(next(), "");
    EXPECT_GE(wait(), kFirstPause * (1 << (failure - 1)));
    EXPECT_LE(wait(), kFirstPause * (1 << (failure - 1)) * 5 / 4);
    EXPECT_GT(wait(), last);
    last = wait();
    now_ += last;
  }
  ASSERT_EQ(next(), "10.0.0.1:6881");
  book_.on_failed(endpoint("10.0.0.1:6881"), now_);
  EXPECT_EQ(book_.known(), 0u);
  EXPECT_FALSE(book_.next_deadline());
}

TEST_F(PeerBookTest, NeverForgetsWhatTheUserNamed) {
  add("10.0.0.1:6881", PeerOrigin::user);
  for (int failure = 1; failure <= 30; ++failure) {
    ASSERT_EQ(next(), "10.0.0.1:6881") << failure;
    book_.on_failed(endpoint("10.0.0.1:6881"), now_);
    EXPECT_LE(wait(), kPauseMax * 5 / 4);
    now_ += wait();
  }
}

TEST_F(PeerBookTest, PrefersThoseThatWereUsefulAndTriesFailedOnesLast) {
  for (const char* peer : {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"}) add(peer);
  EXPECT_EQ(all_next().size(), 3u);
  for (const char* peer : {"10.0.0.1:1", "10.0.0.2:1"}) book_.on_connected(endpoint(peer), now_);
  book_.on_ended(endpoint("10.0.0.1:1"), false, now_);
  book_.on_ended(endpoint("10.0.0.2:1"), true, now_);
  book_.on_failed(endpoint("10.0.0.3:1"), now_);
  book_.on_failed(endpoint("10.0.0.3:1"), now_);
  now_ += 1min;
  add("10.0.0.4:1");
  EXPECT_EQ(all_next(), (std::vector<std::string>{"10.0.0.2:1", "10.0.0.4:1", "10.0.0.1:1", "10.0.0.3:1"}));
}

TEST_F(PeerBookTest, WaitsAMomentBeforeDiallingALostPeerAgain) {
  add("10.0.0.1:6881");
  EXPECT_EQ(next(), "10.0.0.1:6881");
  book_.on_connected(endpoint("10.0.0.1:6881"), now_);
  now_ += 1h;
  EXPECT_EQ(next(), "");
  book_.on_ended(endpoint("10.0.0.1:6881"), true, now_);
  EXPECT_EQ(next(), "");
  now_ += kFirstPause * 5 / 4;
  EXPECT_EQ(next(), "10.0.0.1:6881");
}

TEST_F(PeerBookTest, DialsAPeerSoonThatSaysItIsThere) {
  add("10.0.0.1:6881", PeerOrigin::local);
  for (int failure = 0; failure < 6; ++failure) book_.on_failed(endpoint("10.0.0.1:6881"), now_);
  add("10.0.0.1:6881", PeerOrigin::tracker);
  EXPECT_GT(wait(), 1min) << "a tracker's word is nothing new";
  add("10.0.0.1:6881", PeerOrigin::local);
  EXPECT_EQ(next(), "");
  now_ += kFirstPause;
  EXPECT_EQ(next(), "10.0.0.1:6881");
}

TEST_F(PeerBookTest, DoesNotDialThoseThatConnectedToUs) {
  book_.on_connected(endpoint("10.0.0.1:6881"), now_);
  EXPECT_EQ(book_.known(), 1u);
  add("10.0.0.1:6881");
  EXPECT_EQ(next(), "");
  book_.on_ended(endpoint("10.0.0.1:6881"), true, now_);
  now_ += 1min;
  EXPECT_EQ(next(), "10.0.0.1:6881");
}

TEST_F(PeerBookTest, RefusesAddressesThatCannotBeDialled) {
  for (const char* peer : {"0.0.0.0:6881", "0.1.2.3:6881", "10.0.0.1:0", "224.0.0.1:6881", "239.192.152.143:6771",
                           "240.0.0.1:6881", "255.255.255.255:6881"}) {
    for (const auto origin :
         {PeerOrigin::user, PeerOrigin::local, PeerOrigin::tracker, PeerOrigin::exchange, PeerOrigin::incoming}) {
      add(peer, origin);
    }
  }
  EXPECT_EQ(book_.known(), 0u);
  EXPECT_EQ(next(), "");
}

TEST_F(PeerBookTest, TakesLoopbackByExchangeOnlyFromThisHost) {
  book_.add_own(endpoint("10.0.0.5:6881"));
  add("127.0.0.1:1", PeerOrigin::exchange);
  book_.add(endpoint("127.0.0.1:1"), PeerOrigin::exchange, now_, address("10.0.0.6"));
  EXPECT_EQ(book_.known(), 0u);
  book_.add(endpoint("127.0.0.1:1"), PeerOrigin::exchange, now_, address("127.0.0.9"));
  book_.add(endpoint("127.0.0.1:2"), PeerOrigin::exchange, now_, address("10.0.0.5"));
  add("127.0.0.1:3", PeerOrigin::user);
  add("127.0.0.1:4", PeerOrigin::local);
  add("127.0.0.1:5", PeerOrigin::tracker);
  add("127.0.0.1:6", PeerOrigin::incoming);
  EXPECT_EQ(book_.known(), 6u);
}

TEST_F(PeerBookTest, NeverDialsUs) {
  add("10.0.0.5:6881", PeerOrigin::user);
  book_.add_own(endpoint("10.0.0.5:6881"));
  add("10.0.0.5:6881");
  book_.on_connected(endpoint("10.0.0.5:6881"), now_);
  EXPECT_EQ(book_.known(), 0u);
  add("10.0.0.5:6882");  // another program on this host
  EXPECT_EQ(next(), "10.0.0.5:6882");
}

// Anybody may answer with our id.
TEST_F(PeerBookTest, DoesNotTakeAnAddressForOursBecauseItAnsweredWithOurId) {
  add("10.0.0.6:6881");
  book_.on_ourselves(endpoint("10.0.0.6:6881"));
  add("10.0.0.6:6881", PeerOrigin::user);
  book_.add(endpoint("127.0.0.1:1"), PeerOrigin::exchange, now_, address("10.0.0.6"));
  EXPECT_EQ(book_.known(), 0u);
  for (std::uint32_t n = 0; n < kOurselvesMax; ++n) book_.on_ourselves(numbered(n, 0x0b000000));
  add("10.0.0.6:6881");
  EXPECT_EQ(book_.known(), 1u) << "only so many are remembered";
}

TEST_F(PeerBookTest, NeverGivesOutABannedAddressWhateverItsPort) {
  add("10.0.0.1:1");
  add("10.0.0.1:65535", PeerOrigin::user);
  add("10.0.0.2:1");
  book_.ban(address("10.0.0.1"));
  add("10.0.0.1:3", PeerOrigin::user);
  book_.on_connected(endpoint("10.0.0.1:4"), now_);
  EXPECT_TRUE(book_.is_banned(address("10.0.0.1")));
  EXPECT_FALSE(book_.is_banned(address("10.0.0.2")));
  EXPECT_EQ(book_.banned(), 1u);
  EXPECT_EQ(all_next(), std::vector<std::string>{"10.0.0.2:1"});
}

TEST_F(PeerBookTest, BansWhileDiallingOrConnected) {
  add("10.0.0.1:1");
  EXPECT_EQ(next(), "10.0.0.1:1");
  book_.on_connected(endpoint("10.0.0.1:1"), now_);
  book_.ban(address("10.0.0.1"));
  book_.on_ended(endpoint("10.0.0.1:1"), true, now_);
  now_ += 1h;
  EXPECT_EQ(next(), "");
}

TEST_F(PeerBookTest, RemembersALimitedNumberOfBans) {
  for (std::uint32_t n = 0; n <= kBannedMax; ++n) book_.ban(numbered(n).address);
  EXPECT_EQ(book_.banned(), kBannedMax);
  EXPECT_FALSE(book_.is_banned(numbered(0).address));
  EXPECT_TRUE(book_.is_banned(numbered(kBannedMax).address));
}

TEST_F(PeerBookTest, DoesNotDialSeedsAsASeed) {
  add("10.0.0.1:1");
  add("10.0.0.2:1");
  book_.on_seed(endpoint("10.0.0.1:1"), true);
  book_.set_seeding(true);
  EXPECT_EQ(all_next(), std::vector<std::string>{"10.0.0.2:1"});
  EXPECT_FALSE(book_.next_deadline());
  book_.set_seeding(false);
  EXPECT_EQ(next(), "10.0.0.1:1");
  book_.on_failed(endpoint("10.0.0.1:1"), now_);
  book_.set_seeding(true);
  EXPECT_FALSE(book_.next_deadline());
  book_.on_seed(endpoint("10.0.0.1:1"), false);  // it lost something
  EXPECT_TRUE(book_.next_deadline());
}

TEST_F(PeerBookTest, DialsASeedAgainThatIsNamedLongAfterWeLeftIt) {
  for (const PeerOrigin origin : {PeerOrigin::user, PeerOrigin::local, PeerOrigin::tracker, PeerOrigin::exchange}) {
    PeerBook book({}, base::Rng(1));
    const Endpoint peer = endpoint("10.0.0.1:1");
    book.add(peer, PeerOrigin::exchange, now_);
    book.on_connected(peer, now_);
    book.on_seed(peer, true);
    book.set_seeding(true);
    book.on_ended(peer, true, now_);
    book.add(peer, origin, now_ + kSeedBelieved - 1s);
    EXPECT_FALSE(book.next(now_ + kSeedBelieved - 1s));
    book.add(peer, origin, now_ + kSeedBelieved);
    EXPECT_EQ(book.next(now_ + kSeedBelieved).has_value(), origin != PeerOrigin::exchange);
  }
}

TEST_F(PeerBookTest, NeverDialsACoursePeerAsASeed) {
  add("10.0.0.1:1");
  book_.on_protocol(endpoint("10.0.0.1:1"), PeerProtocol::course);
  book_.on_seed(endpoint("10.0.0.1:1"), true);
  book_.set_seeding(true);
  add("10.0.0.1:1");
  EXPECT_EQ(next(), "");
}

TEST_F(PeerBookTest, BelievesExchangeOnlyOfStrangersThatTheyAreSeeds) {
  add("10.0.0.1:1", PeerOrigin::user);
  add("10.0.0.2:1", PeerOrigin::local);
  add("10.0.0.3:1", PeerOrigin::tracker);
  add("10.0.0.4:1", PeerOrigin::exchange);
  add("10.0.0.5:1", PeerOrigin::exchange);
  book_.on_connected(endpoint("10.0.0.4:1"), now_);
  book_.on_ended(endpoint("10.0.0.4:1"), true, now_);
  for (const char* peer : {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1", "10.0.0.5:1"}) {
    book_.on_seed_told(endpoint(peer));
  }
  book_.set_seeding(true);
  now_ += 1min;
  const auto all = all_next();
  EXPECT_EQ((std::set<std::string>(all.begin(), all.end())),
            (std::set<std::string>{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"}));
  add("10.0.0.5:1");
  EXPECT_EQ(next(), "10.0.0.5:1") << "a tracker knows it as somebody to dial";
}

TEST_F(PeerBookTest, RemembersWhichProtocolAPeerSpeaks) {
  add("10.0.0.1:1");
  EXPECT_EQ(book_.next(now_)->protocol, PeerProtocol::bittorrent);
  book_.on_protocol(endpoint("10.0.0.1:1"), PeerProtocol::course);
  book_.on_failed(endpoint("10.0.0.1:1"), now_);
  now_ += 1min;
  EXPECT_EQ(book_.next(now_)->protocol, PeerProtocol::course);
}

TEST_F(PeerBookTest, KnowsOfEachOriginNoMoreThanItsShare) {
  for (std::uint32_t n = 0; n < 10'000; ++n) {
    book_.add(numbered(n, 0x0a000000), PeerOrigin::user, now_);
    book_.add(numbered(n, 0x0b000000), PeerOrigin::local, now_);
    book_.add(numbered(n, 0x0c000000), PeerOrigin::tracker, now_);
    book_.add(numbered(n, 0x0d000000), PeerOrigin::exchange, now_);
    book_.add(numbered(n, 0x0e000000), PeerOrigin::incoming, now_);
  }
  EXPECT_EQ(book_.known(), kPeersKnownMax);
  std::map<std::uint32_t, std::size_t> of_network;
  while (const auto next = book_.next(now_)) ++of_network[next->endpoint.address.value >> 24];
  for (std::uint32_t origin = 0; origin < kPeersKnownOf.size(); ++origin) {
    EXPECT_EQ(of_network[0x0a + origin], kPeersKnownOf[origin]);
  }
}

TEST_F(PeerBookTest, ForgetsTheLeastPromisingWhenItIsFull) {
  const std::size_t limit = kPeersKnownOf[static_cast<std::size_t>(PeerOrigin::tracker)];
  for (std::uint32_t n = 0; n < limit; ++n) book_.add(numbered(n), PeerOrigin::tracker, now_);
  for (std::uint32_t n = 0; n < 10; ++n) book_.on_failed(numbered(n), now_);
  book_.on_ended(numbered(20), true, now_);
  book_.on_connected(numbered(21), now_);
  for (std::uint32_t n = 0; n < 10; ++n) book_.add(numbered(n, 0x0b000000), PeerOrigin::tracker, now_);
  EXPECT_EQ(book_.known(), limit);
  now_ += 1h;
  std::set<Endpoint> given;
  while (const auto next = book_.next(now_)) given.insert(next->endpoint);
  for (std::uint32_t n = 0; n < 10; ++n) {
    EXPECT_FALSE(given.contains(numbered(n)));
    EXPECT_TRUE(given.contains(numbered(n, 0x0b000000)));
  }
}

TEST_F(PeerBookTest, LetsNoFloodPushOutThoseThatWereOfUse) {
  add("10.0.0.1:1");
  add("10.0.0.2:1");
  book_.on_ended(endpoint("10.0.0.1:1"), true, now_);
  book_.on_connected(endpoint("10.0.0.2:1"), now_);
  for (std::uint32_t n = 0; n < 100'000; ++n) book_.add(numbered(n, 0x0c000000), PeerOrigin::tracker, now_);
  book_.on_ended(endpoint("10.0.0.2:1"), true, now_);
  now_ += 1h;
  EXPECT_EQ((std::set<std::string>{next(), next()}), (std::set<std::string>{"10.0.0.1:1", "10.0.0.2:1"}));
}

TEST_F(PeerBookTest, TakesFewPortsOfOneAddressFromHearsay) {
  for (std::uint16_t port = 1; port <= 1000; ++port) {
    book_.add({address("10.0.0.1"), port}, PeerOrigin::tracker, now_);
    book_.add({address("10.0.0.2"), port}, PeerOrigin::exchange, now_);
    book_.add({address("10.0.0.3"), port}, PeerOrigin::incoming, now_);
  }
  EXPECT_EQ(book_.known(), 3 * kPortsPerAddressMax);
  book_.add(endpoint("10.0.0.1:2000"), PeerOrigin::user, now_);
  EXPECT_EQ(book_.known(), 3 * kPortsPerAddressMax + 1);
  for (std::uint16_t port = 1; port <= 200; ++port) {
    book_.add({Ipv4Address::loopback(), port}, PeerOrigin::tracker, now_);
  }
  EXPECT_EQ(book_.known(), 3 * kPortsPerAddressMax + 201) << "a whole swarm may be on this host";
}

TEST_F(PeerBookTest, CountsAnAddressAsItsStrongestOrigins) {
  add("10.0.0.1:1", PeerOrigin::exchange);
  add("10.0.0.1:1", PeerOrigin::user);
  add("10.0.0.1:1", PeerOrigin::tracker);
  for (std::uint32_t n = 0; n < 20; ++n) book_.add(numbered(n, 0x0b000000), PeerOrigin::local, now_);
  EXPECT_EQ(next(), "10.0.0.1:1");
}

TEST(PeerBook, TakesNeitherExchangeNorLocalPeersForAPrivateTorrent) {
  PeerBook book({.uses_exchange = false, .uses_local = false}, base::Rng(1));
  book.add(endpoint("10.0.0.1:1"), PeerOrigin::exchange, {});
  book.add(endpoint("10.0.0.2:1"), PeerOrigin::local, {});
  EXPECT_EQ(book.known(), 0u);
  book.add(endpoint("10.0.0.3:1"), PeerOrigin::tracker, {});
  book.add(endpoint("10.0.0.4:1"), PeerOrigin::user, {});
  EXPECT_EQ(book.known(), 2u);
}

TEST_F(PeerBookTest, ForgetsEverybodyButTheBannedWhenTheTorrentTurnsOutToBePrivate) {
  add("10.0.0.4:1", PeerOrigin::user);
  add("10.0.0.5:1", PeerOrigin::exchange);
  book_.ban(address("10.9.9.9"));
  book_.become_private();
  EXPECT_EQ(book_.known(), 0u);
  EXPECT_FALSE(book_.next_deadline());
  add("10.9.9.9:1", PeerOrigin::user);
  add("10.0.0.1:1", PeerOrigin::exchange);
  add("10.0.0.2:1", PeerOrigin::local);
  EXPECT_EQ(book_.known(), 0u);
  add("10.0.0.3:1");
  EXPECT_EQ(all_next(), std::vector<std::string>{"10.0.0.3:1"});
}

// Whatever happens in whatever order: limits hold, and nobody is given out who may not be.
TEST(PeerBook, KeepsItsPromisesThroughRandomHistories) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    base::Rng rng(seed);
    PeerBook book({}, base::Rng(seed));
    Instant now{};
    const Endpoint own = numbered(3);
    book.add_own(own);
    std::set<Endpoint> out;  // given out or connected
    std::set<Ipv4Address> banned;
    for (int step = 0; step < 2000; ++step) {
      const Endpoint peer{Ipv4Address{0x0a000001 + static_cast<std::uint32_t>(rng.below(60))},
                          static_cast<std::uint16_t>(6881 + rng.below(2))};
      switch (rng.below(9)) {
        case 0:
        case 1:
          book.add(peer, static_cast<PeerOrigin>(rng.below(5)), now);
          break;
        case 2:
        case 3:
          if (const auto next = book.next(now)) {
            EXPECT_TRUE(out.insert(next->endpoint).second) << "seed " << seed;
            EXPECT_FALSE(banned.contains(next->endpoint.address)) << "seed " << seed;
            EXPECT_NE(next->endpoint, own);
          }
          break;
        case 4:
          book.on_connected(peer, now);
          if (!banned.contains(peer.address) && peer != own) out.insert(peer);
          break;
        case 5:
          book.on_failed(peer, now);
          out.erase(peer);
          break;
        case 6:
          book.on_ended(peer, rng.chance(0.5), now);
          out.erase(peer);
          break;
        case 7:
          book.on_seed(peer, rng.chance(0.5));
          if (rng.chance(0.5)) book.on_seed_told(peer);
          if (rng.chance(0.1)) book.set_seeding(rng.chance(0.5));
          now += std::chrono::milliseconds(rng.below(20'000));
          break;
        default:
          if (!rng.chance(0.02)) break;
          book.ban(peer.address);
          banned.insert(peer.address);
          std::erase_if(out, [&](const Endpoint& each) { return each.address == peer.address; });
      }
      ASSERT_LE(book.known(), 120u);
    }
  }
}

}  // namespace
}  // namespace shoal::swarm
