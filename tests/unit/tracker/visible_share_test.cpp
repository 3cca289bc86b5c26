#include "tracker/visible_share.hpp"

#include <gtest/gtest.h>

namespace shoal::tracker {
namespace {

using base::Endpoint;

constexpr course::Asker kRemote{{0x0a000009}, {0x0a000001}};  // 10.0.0.9 asks us at 10.0.0.1
constexpr course::Asker kLocal{base::Ipv4Address::loopback(), base::Ipv4Address::loopback()};

Endpoint at(std::string_view text) {
  return *Endpoint::parse(text);
}

course::FileInfo share_of(std::vector<std::vector<Endpoint>> peers_of_chunks) {
  course::FileInfo share{.filename = "f", .chunks = {}};
  for (auto& peers : peers_of_chunks) share.chunks.push_back({.hash = {}, .peers = std::move(peers)});
  return share;
}

std::vector<std::vector<Endpoint>> peers_of(const course::FileInfo& share) {
  std::vector<std::vector<Endpoint>> peers;
  for (const course::ChunkRecord& chunk : share.chunks) peers.push_back(chunk.peers);
  return peers;
}

course::FileInfo seen_by(const course::Asker& asker, const course::FileInfo& share,
                         const std::vector<Endpoint>& dead = {}) {
  return visible_share(share, asker, visible_peers(share, asker, [](Endpoint) { return true; }), dead);
}

using Lists = std::vector<std::vector<Endpoint>>;

TEST(VisibleShare, NeverTellsARemoteAskerAnyOrLoopback) {
  const auto share = share_of({{at("0.0.0.0:1"), at("127.0.0.1:2"), at("127.9.9.9:3"), at("10.0.0.7:4")}});
  EXPECT_EQ(peers_of(seen_by(kRemote, share)),
            (Lists{{at("10.0.0.1:1"), at("10.0.0.1:2"), at("10.0.0.1:3"), at("10.0.0.7:4")}}));
}

TEST(VisibleShare, LeavesLoopbackToAnAskerOnThisHostHoweverItCame) {
  const auto share = share_of({{at("0.0.0.0:1"), at("127.0.0.1:2")}});
  EXPECT_EQ(peers_of(seen_by(kLocal, share)), (Lists{{at("127.0.0.1:1"), at("127.0.0.1:2")}}));
  const course::Asker through_the_network{{0x0a000001}, {0x0a000001}};
  EXPECT_EQ(peers_of(seen_by(through_the_network, share)), (Lists{{at("10.0.0.1:1"), at("127.0.0.1:2")}}));
}

TEST(VisibleShare, LeavesOutDeadPeersAndKeepsTheOrderOfTheOthers) {
  const auto share = share_of({{at("10.0.0.3:1"), at("10.0.0.2:1"), at("10.0.0.1:1")}});
  EXPECT_EQ(peers_of(seen_by(kRemote, share, {at("10.0.0.2:1")})), (Lists{{at("10.0.0.3:1"), at("10.0.0.1:1")}}));
}

TEST(VisibleShare, KeepsTheFullListOfAChunkWhosePeersAllLookDead) {
  const auto share = share_of({{at("10.0.0.2:1"), at("10.0.0.3:1")}, {at("10.0.0.2:1"), at("10.0.0.4:1")}});
  EXPECT_EQ(peers_of(seen_by(kRemote, share, {at("10.0.0.2:1"), at("10.0.0.3:1")})),
            (Lists{{at("10.0.0.2:1"), at("10.0.0.3:1")}, {at("10.0.0.4:1")}}));
}

TEST(VisibleShare, InventsNoPeerWhereThereIsNone) {
  EXPECT_EQ(peers_of(seen_by(kRemote, share_of({{}}))), Lists{{}});
}

TEST(VisibleShare, NamesEverybodyForAChunkThatIsGivenToNobody) {
  const auto share = share_of({{at("10.0.0.7:1")}, {}, {at("10.0.0.8:1")}});
  EXPECT_EQ(peers_of(seen_by(kRemote, share)),
            (Lists{{at("10.0.0.7:1")}, {at("10.0.0.7:1"), at("10.0.0.8:1")}, {at("10.0.0.8:1")}}));
}

TEST(VisibleShare, KeepsNameAndHashes) {
  course::FileInfo share{.filename = "hello.txt", .chunks = {{.hash = base::sha1({}), .peers = {at("10.0.0.2:1")}}}};
  EXPECT_EQ(seen_by(kRemote, share), share);
}

TEST(VisibleShare, TellsNobodyOfThoseWhoMayNotBeTold) {
  const auto share = share_of({{at("172.17.0.2:1"), at("10.0.0.7:1")}, {at("172.17.0.2:1")}});
  const auto is_outside = [](Endpoint peer) { return peer.address != at("172.17.0.2:1").address; };
  const std::vector<Endpoint> visible = visible_peers(share, kRemote, is_outside);
  EXPECT_EQ(visible, std::vector{at("10.0.0.7:1")});
  EXPECT_EQ(peers_of(visible_share(share, kRemote, visible, {})), (Lists{{at("10.0.0.7:1")}, {at("10.0.0.7:1")}}));
  EXPECT_EQ(peers_of(visible_share(share, kRemote, {}, {})), (Lists{{}, {}}));
}

TEST(VisiblePeers, NamesEachPeerOnceAsThisAskerSeesIt) {
  const auto share = share_of({{at("127.0.0.1:2"), at("10.0.0.7:4")}, {at("0.0.0.0:2"), at("10.0.0.7:4")}});
  EXPECT_EQ(visible_peers(share, kRemote, [](Endpoint) { return true; }),
            (std::vector{at("10.0.0.1:2"), at("10.0.0.7:4")}));
}

}  // namespace
}  // namespace shoal::tracker
