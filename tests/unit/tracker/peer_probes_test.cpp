#include "tracker/peer_probes.hpp"

#include <gtest/gtest.h>

#include "support/server_script.hpp"
#include "unit/tracker/hosts.hpp"

namespace shoal::tracker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PeerProbesTest : public ::testing::Test {
 public:
  bool ask(base::Endpoint peer) { return probes.is_known_or_begin(peer, now, actions); }
  std::vector<seam::Dial> dials() { return testing::all_of<seam::Dial>(actions); }
  std::vector<seam::Close> closes() { return testing::all_of<seam::Close>(actions); }

  base::Instant now;
  seam::Actions actions;
  PeerProbes probes{{.validity = seconds(2), .timeout = milliseconds(300)}};
};

TEST_F(PeerProbesTest, BelievesAPeerThatConnectsAndClosesAtOnce) {
  EXPECT_FALSE(ask(kAlice));
  ASSERT_EQ(dials().size(), 1u);
  EXPECT_EQ(dials()[0].remote, kAlice);
  probes.on_connected(dials()[0].conn, now, actions);
  ASSERT_EQ(closes().size(), 1u);
  EXPECT_EQ(closes()[0].conn, dials()[0].conn);
  EXPECT_EQ(probes.take_ended(), std::vector{kAlice});
  EXPECT_TRUE(probes.accepts(kAlice));
  EXPECT_TRUE(ask(kAlice));
}

TEST_F(PeerProbesTest, GivesUpAPeerThatRefusesOrCannotBeReached) {
  for (const auto error : {seam::NetError::refused, seam::NetError::unreachable, seam::NetError::timed_out}) {
    PeerProbes fresh{{}};
    actions.clear();
    EXPECT_FALSE(fresh.is_known_or_begin(kAlice, now, actions));
    fresh.on_connect_failed(dials().at(0).conn, error, now, actions);
    EXPECT_FALSE(fresh.accepts(kAlice));
  }
}

TEST_F(PeerProbesTest, DoesNotBlameAPeerForTroubleOfOurOwn) {
  EXPECT_FALSE(ask(kAlice));
  probes.on_connect_failed(dials().at(0).conn, seam::NetError::other, now, actions);
  EXPECT_TRUE(probes.accepts(kAlice));
}

TEST_F(PeerProbesTest, GivesUpASilentPeerAfterTheTimeout) {
  EXPECT_FALSE(ask(kAlice));
  EXPECT_EQ(probes.next_deadline(), now + milliseconds(300));
  now += milliseconds(300);
  probes.on_deadline_reached(now, actions);
  EXPECT_FALSE(probes.accepts(kAlice));
  EXPECT_EQ(closes().size(), 1u);
  EXPECT_EQ(probes.next_deadline(), std::nullopt);
}

TEST_F(PeerProbesTest, ProbesEachPeerOnceHoweverManyAsk) {
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(ask(kAlice));
  EXPECT_EQ(dials().size(), 1u);
}

TEST_F(PeerProbesTest, ProbesAllPeersAtOnce) {
  EXPECT_FALSE(ask(kAlice));
  EXPECT_FALSE(ask(kBob));
  EXPECT_EQ(dials().size(), 2u);
}

TEST_F(PeerProbesTest, ProbesAgainWhenWhatItKnowsIsOld) {
  EXPECT_FALSE(ask(kAlice));
  probes.on_connected(dials().at(0).conn, now, actions);
  now += milliseconds(1999);
  EXPECT_TRUE(ask(kAlice));
  now += milliseconds(1);
  EXPECT_FALSE(ask(kAlice));
  ASSERT_EQ(dials().size(), 2u);
  EXPECT_NE(dials()[0].conn, dials()[1].conn);
  EXPECT_TRUE(probes.accepts(kAlice)) << "until the new probe says otherwise";
}

TEST_F(PeerProbesTest, BoundsTheProbesUnderWayAndGetsToAllPeersInTheEnd) {
  constexpr std::size_t kPeers = 3 * PeerProbes::kProbesAtOnceMax;
  for (std::uint32_t i = 0; i < kPeers; ++i) EXPECT_FALSE(ask({{0x0a000000 + i}, 8001}));
  EXPECT_EQ(dials().size(), PeerProbes::kProbesAtOnceMax);
  std::size_t ended = 0;
  while (probes.next_deadline()) {
    now = *probes.next_deadline();
    probes.on_deadline_reached(now, actions);
    ended += probes.take_ended().size();
  }
  EXPECT_EQ(ended, kPeers);
  EXPECT_EQ(dials().size(), kPeers);
}

TEST_F(PeerProbesTest, ForgetsPeersNobodyAskedAboutForLong) {
  EXPECT_FALSE(ask(kAlice));
  probes.on_connect_failed(dials().at(0).conn, seam::NetError::refused, now, actions);
  now += seconds(2) + PeerProbes::kForgetAfter;
  probes.forget_old(now);
  EXPECT_FALSE(probes.accepts(kAlice));
  now += milliseconds(1);
  probes.forget_old(now);
  EXPECT_TRUE(probes.accepts(kAlice)) << "nothing is known of it any more";
}

TEST_F(PeerProbesTest, SaysOnceWhenAPeerWentAndWhenItCameBack) {
  std::vector<std::string> notes;
  for (const bool accepts : {true, false, false, true, true}) {
    actions.clear();
    EXPECT_FALSE(ask(kAlice));
    const seam::ConnId conn = dials().at(0).conn;
    if (accepts) {
      probes.on_connected(conn, now, actions);
    } else {
      probes.on_connect_failed(conn, seam::NetError::refused, now, actions);
    }
    for (const seam::Tell& tell : testing::all_of<seam::Tell>(actions)) {
      notes.push_back(std::get<seam::NoteTrace>(tell.trace).text);
    }
    now += seconds(2);
  }
  EXPECT_EQ(notes, (std::vector<std::string>{"10.0.0.2:8001 accepts no connections: only told for what nobody else has",
                                             "10.0.0.2:8001 accepts connections again"}));
}

TEST_F(PeerProbesTest, IgnoresConnectionsThatAreNotItsOwn) {
  probes.on_connected(seam::ConnId(7), now, actions);
  probes.on_connect_failed(seam::ConnId(9), seam::NetError::refused, now, actions);
  EXPECT_TRUE(actions.empty());
  EXPECT_TRUE(probes.take_ended().empty());
}

}  // namespace
}  // namespace shoal::tracker
