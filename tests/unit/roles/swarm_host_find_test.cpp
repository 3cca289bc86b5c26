// How hosts of a swarm find each other: trackers, local discovery, exchange; and what a private torrent keeps to
// itself.
#include <gtest/gtest.h>

#include "unit/support/swarm_hosts.hpp"
#include "wire/extensions.hpp"
#include "wire/tracker_messages.hpp"
#include "wire/utp.hpp"

namespace shoal::testing {
namespace {

using Result = seam::Finish::Result;

// A tracker that remembers what it was told and names `peers` to everybody.
struct FakeTracker {
  explicit FakeTracker(SwarmWorld& world) {
    world.on_fetch = [this](const seam::Fetch& fetch) -> std::optional<seam::Fetched> {
      const std::string_view url = fetch.url;
      if (!url.starts_with("http://tracker/announce?")) return std::nullopt;
      const auto request = wire::parse_announce_query(url.substr(url.find('?') + 1));
      if (!request) {
        ADD_FAILURE() << request.error();
        return std::nullopt;
      }
      requests.push_back(*request);
      wire::AnnounceReply reply{
          .interval_s = interval_s, .min_interval_s = min_interval_s, .seeds = 1, .leechers = 1, .peers = {}};
      for (const base::Endpoint& peer : peers) reply.peers.push_back({peer, {}});
      return seam::Fetched{.status = 200, .body = wire::encode_http_announce_reply(reply, *request)};
    };
  }
  [[nodiscard]] std::vector<wire::AnnounceEvent> events() const {
    std::vector<wire::AnnounceEvent> seen;
    for (const auto& request : requests) {
      if (request.event != wire::AnnounceEvent::none) seen.push_back(request.event);
    }
    return seen;
  }

  std::uint32_t interval_s = 120;
  std::uint32_t min_interval_s = 15;
  std::vector<base::Endpoint> peers;
  std::vector<wire::AnnounceRequest> requests;
};

TEST(SwarmHostFind, LearnsPeersFromATrackerAndTellsItHowFarItIs) {
  SwarmWorld world;
  FakeTracker tracker(world);
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  tracker.peers = {seed.listening()};
  auto options = options_for(getter, shared);
  options.tracker_tiers = {{"http://tracker/announce"}};
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 30s));
  EXPECT_EQ(getter.finish()->result, Result::done);
  using enum wire::AnnounceEvent;
  EXPECT_EQ(tracker.events(), (std::vector{started, completed, stopped}));
  EXPECT_EQ(tracker.requests.front().left, shared.torrent.manifest.layout->total_bytes);
  EXPECT_EQ(tracker.requests.front().port, 6000);
  EXPECT_EQ(tracker.requests.front().held, "");
  EXPECT_EQ(tracker.requests.back().left, 0u);
  EXPECT_EQ(tracker.requests.back().downloaded, shared.torrent.manifest.layout->total_bytes);
  EXPECT_EQ(tracker.requests.back().held, "0-" + std::to_string(shared.count() - 1));
}

TEST(SwarmHostFind, UsesTheTrackersOfTheTorrentBesideThoseItIsTold) {
  SwarmWorld world;
  const SharedTorrent shared;
  std::set<std::string> asked;
  world.on_fetch = [&](const seam::Fetch& fetch) -> std::optional<seam::Fetched> {
    asked.insert(fetch.url.substr(0, fetch.url.find('?')));
    return std::nullopt;
  };
  Host& getter = world.add("10.0.0.2:6000");
  auto options = options_for(getter, shared);
  options.tracker_tiers = {{"http://one/announce"}, {"http://two/announce"}};
  options.torrent->tracker_tiers = {{"http://two/announce", "http://three/announce"}};
  boot(getter, std::move(options));
  world.run_for(5s);
  EXPECT_EQ(asked, (std::set<std::string>{"http://one/announce", "http://two/announce", "http://three/announce"}));
}

TEST(SwarmHostFind, ASeedDoesNotClaimToHaveCompletedAnything) {
  SwarmWorld world;
  FakeTracker tracker(world);
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  shared.give_all(seed);
  auto options = options_for(seed, shared);
  options.gives_after_done = true;
  options.tracker_tiers = {{"http://tracker/announce"}};
  boot(seed, std::move(options));
  world.run_for(10s);
  seed.stop();
  ASSERT_TRUE(world.run_until([&] { return seed.finish().has_value(); }, 10s));
  using enum wire::AnnounceEvent;
  EXPECT_EQ(tracker.events(), (std::vector{started, stopped}));
  EXPECT_EQ(tracker.requests.front().left, 0u);
}

TEST(SwarmHostFind, TellsTrackersWhatItHasWhileItIsGettingIt) {
  SwarmWorld world;
  FakeTracker tracker(world);
  const SharedTorrent shared({.total_bytes = 4'000'000});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared, [](auto& giving) { giving.limit_up_bytes_per_s = 50'000; });
  auto options = download_from(getter, shared, {seed.listening()});
  options.tracker_tiers = {{"http://tracker/announce"}};
  boot(getter, std::move(options));
  world.run_for(61s);
  ASSERT_GE(tracker.requests.size(), 3u);
  EXPECT_NE(tracker.requests.back().held, "");
}

TEST(SwarmHostFind, LeavesTrackersThatDoNotWantToHearOftenAloneWhileItIsGettingPieces) {
  SwarmWorld world;
  FakeTracker tracker(world);
  tracker.interval_s = 1800;
  tracker.min_interval_s = 0;
  const SharedTorrent shared({.total_bytes = 4'000'000});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared, [](auto& giving) { giving.limit_up_bytes_per_s = 40'000; });
  auto options = download_from(getter, shared, {seed.listening()});
  options.tracker_tiers = {{"http://tracker/announce"}};
  boot(getter, std::move(options));
  world.run_for(70s);
  EXPECT_FALSE(getter.finish().has_value());
  EXPECT_EQ(tracker.requests.size(), 1u);
}

TEST(SwarmHostFind, TwoHostsFindEachOtherOnTheLocalNetworkWithinASecond) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared, [](auto& giving) { giving.uses_local_discovery = true; });
  world.run_for(30s);
  auto options = options_for(getter, shared);
  options.uses_local_discovery = true;
  options.torrent.reset();
  boot(getter, std::move(options));
  EXPECT_TRUE(world.run_until([&] { return getter.connections() > 0; }, 1s));
  EXPECT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 10s));
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_EQ(getter.open_datagrams, 0u);
}

const base::Bytes kUtpHello = base::ByteWriter().u8(0x41).u8(0).u16(0x1234).zeros(12).u16(7).zeros(2).take();

// Programs that try uTP first would wait for seconds.
TEST(SwarmHostFind, WhoComesByUtpIsRefusedAtOnce) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  boot_seed(seed, shared);
  world.run_for(1s);
  const base::Endpoint stranger = *base::Endpoint::parse("10.0.0.9:51413");
  const auto arrive = [&](const base::Bytes& bytes) {
    seed.hear({seam::kUtpSocket, stranger, seed.listening().address, bytes});
    world.run_for(1s);
  };
  arrive(kUtpHello);
  arrive(base::Bytes(20));
  ASSERT_EQ(seed.own_datagrams.size(), 1u);
  EXPECT_EQ(seed.own_datagrams[0].to, stranger);
  EXPECT_EQ(seed.own_datagrams[0].bytes, *wire::refuse_utp(kUtpHello));
}

// Transmission 3.00 hangs up when uTP fails, and would try again a quarter of an hour later.
TEST(SwarmHostFind, WhoComesByUtpIsDialledBack) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  boot(getter, options_for(getter, shared));
  world.run_for(2s);
  EXPECT_FALSE(shared.is_whole_at(getter));
  seed.hear({seam::kUtpSocket, getter.listening(), seed.listening().address, kUtpHello});
  EXPECT_TRUE(world.run_until([&] { return shared.is_whole_at(getter); }, 10s));
}

// BEP 27: whom the tracker did not name is not met.
TEST(SwarmHostFind, WhoComesByUtpIsRefusedAndNotDialledBackForAPrivateTorrent) {
  SwarmWorld world;
  const SharedTorrent shared({.is_private = true});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  boot(getter, options_for(getter, shared));
  world.run_for(2s);
  seed.hear({seam::kUtpSocket, getter.listening(), seed.listening().address, kUtpHello});
  world.run_for(60s);
  EXPECT_EQ(seed.own_datagrams.size(), 1u);
  EXPECT_FALSE(world.dials.contains(getter.listening()));
}

TEST(SwarmHostFind, HostsThatKnowOneInTheMiddleLearnOfEachOther) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 4'000'000});
  Host& middle = world.add("10.0.0.1:6000");
  Host& seed = world.add("10.0.0.2:6000");
  Host& getter = world.add("10.0.0.3:6000");
  const auto with_exchange = [&](Host& host, std::vector<base::Endpoint> peers) {
    auto options = download_from(host, shared, std::move(peers));
    options.uses_exchange = true;
    options.gives_after_done = true;
    options.limit_down_bytes_per_s = 200'000;
    boot(host, std::move(options));
  };
  shared.give_all(seed);
  with_exchange(middle, {});
  with_exchange(seed, {middle.listening()});
  with_exchange(getter, {middle.listening()});
  EXPECT_TRUE(world.run_until([&] { return seed.connections() == 2 && getter.connections() == 2; }, 5s));
  middle.kill();
  EXPECT_TRUE(world.run_until([&] { return shared.is_whole_at(getter); }, 60s));
}

TEST(SwarmHostFind, TellsNobodyOfPeersThatOnlyItsOwnNetworksReach) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 4'000'000});
  const auto with_exchange = [&](Host& host, std::vector<base::Endpoint> peers) {
    auto options = download_from(host, shared, std::move(peers));
    options.uses_exchange = true;
    options.internal_networks = {{*base::Ipv4Address::parse("172.17.0.1"), 16}};
    boot(host, std::move(options));
  };
  Host& middle = world.add("10.0.0.1:6000");
  with_exchange(middle, {});
  std::vector<base::Endpoint> all;
  for (const std::string_view each :
       {"172.17.0.2:6000", "172.17.0.3:6000", "10.0.0.2:6000", "10.0.0.3:6000", "8.8.8.8:6000", "8.8.4.4:6000"}) {
    Host& host = world.add(each);
    with_exchange(host, {middle.listening()});
    all.push_back(host.listening());
  }
  std::map<base::Endpoint, std::set<base::Endpoint>> heard_of;
  world.run_for(100s);
  for (const base::Endpoint& host : all) {
    for (const auto& source : world.find(host)->traces<seam::SourceTrace>()) {
      if (source.status == seam::SourceStatus::connecting) heard_of[host].insert(source.source);
    }
    heard_of[host].erase(middle.listening());
  }
  const auto does_hear = [&](std::size_t who, std::size_t of) { return heard_of[all[who]].contains(all[of]); };
  EXPECT_TRUE(does_hear(0, 1) || does_hear(1, 0)) << "containers of each other";
  EXPECT_TRUE(does_hear(2, 3) || does_hear(3, 2)) << "the local network of itself";
  EXPECT_TRUE(does_hear(4, 5) || does_hear(5, 4)) << "the world of itself";
  for (const std::size_t container : {0u, 1u}) {
    for (const std::size_t other : {2u, 3u, 4u, 5u}) EXPECT_FALSE(does_hear(other, container)) << other;
  }
  for (const std::size_t local : {2u, 3u}) {
    for (const std::size_t other : {4u, 5u}) EXPECT_FALSE(does_hear(other, local)) << other;
  }
}

// What `heard`, with one message of exchange in it, says of each peer.
std::map<base::Endpoint, wire::PexPeer> told_in(const std::string& heard) {
  std::map<base::Endpoint, wire::PexPeer> told;
  const std::size_t begin = heard.find("d5:added");
  if (begin == std::string::npos) return told;
  const std::size_t end = heard.find("7:dropped0:e", begin) + 12;
  const auto message = wire::parse_pex_message(base::view_of(std::string_view(heard).substr(begin, end - begin)));
  for (const wire::PexPeer& peer : message.value().added) told[peer.endpoint] = peer;
  return told;
}

TEST(SwarmHostFind, TellsByExchangeWhomItReachedItself) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& middle = world.add("10.0.0.2:6000");
  Host& getter = world.add("10.0.0.3:6000");
  Host& listener = world.add("10.0.0.4:6000");
  boot_seed(seed, shared);
  auto options = download_from(middle, shared, {seed.listening()});
  options.uses_exchange = true;
  options.limit_down_bytes_per_s = 1000;
  boot(middle, std::move(options));
  auto slow = download_from(getter, shared, {middle.listening()});
  slow.limit_down_bytes_per_s = 1000;
  boot(getter, std::move(slow));
  world.run_for(2s);
  base::Bytes says = hello_of(shared, peer_id_of(listener));
  const auto extensions = wire::encode(wire::Extended{0, wire::encode(wire::ExtensionHandshake{.pex_id = 1})});
  says.insert(says.end(), extensions.begin(), extensions.end());
  auto stranger = std::make_unique<Stranger>(middle.listening(), std::move(says));
  const Stranger& ears = *stranger;
  listener.boot(std::move(stranger));
  world.run_for(5s);
  const auto told = told_in(ears.heard());
  ASSERT_TRUE(told.contains(seed.listening()) && told.contains(getter.listening()));
  EXPECT_TRUE(told.at(seed.listening()).is_reachable && told.at(seed.listening()).is_seed);
  EXPECT_FALSE(told.at(getter.listening()).is_reachable) << "it dialled, and said itself where it listens";
}

TEST(SwarmHostFind, APrivateTorrentIsFoundNeitherLocallyNorByExchange) {
  SwarmWorld world;
  const SharedTorrent shared({.is_private = true});
  Host& middle = world.add("10.0.0.1:6000");
  Host& seed = world.add("10.0.0.2:6000");
  Host& getter = world.add("10.0.0.3:6000");
  const auto with_all = [&](Host& host, std::vector<base::Endpoint> peers) {
    auto options = download_from(host, shared, std::move(peers));
    options.uses_exchange = true;
    options.uses_local_discovery = true;
    options.gives_after_done = true;
    boot(host, std::move(options));
  };
  shared.give_all(seed);
  with_all(middle, {});
  with_all(seed, {middle.listening()});
  with_all(getter, {middle.listening()});
  world.run_for(200s);
  EXPECT_EQ(world.datagrams, 0);
  EXPECT_FALSE(world.dials.contains(seed.listening()));
  EXPECT_FALSE(world.dials.contains(getter.listening()));
  EXPECT_TRUE(shared.is_whole_at(getter)) << "whom the user named is used";
}

TEST(SwarmHostFind, StopsLookingLocallyOnceItLearnsThatTheTorrentIsPrivate) {
  SwarmWorld world;
  const SharedTorrent shared({.is_private = true});
  Host& seed = world.add("10.0.0.2:6000");
  Host& getter = world.add("10.0.0.3:6000");
  Host& other = world.add("10.0.0.4:6000");
  boot_seed(seed, shared);
  auto options = download_from(getter, shared, {seed.listening()});
  options.uses_local_discovery = true;
  options.uses_exchange = true;
  options.gives_after_done = true;
  options.torrent.reset();
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return shared.is_whole_at(getter); }, 60s));
  EXPECT_EQ(getter.open_groups, 0u);
  const int before = world.datagrams;
  auto looking = options_for(other, shared);
  looking.torrent.reset();
  looking.uses_local_discovery = true;
  boot(other, std::move(looking));
  world.run_for(2s);
  EXPECT_EQ(other.connections(), 0u) << "nobody answers";
  EXPECT_GT(world.datagrams, before);
}

TEST(SwarmHostFind, FindsThePeersThatAreLeftWhenTheTrackerIsGone) {
  SwarmWorld world;
  FakeTracker tracker(world);
  const SharedTorrent shared({.total_bytes = 2'000'000});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  world.on_fetch = nullptr;
  auto options = download_from(getter, shared, {});
  options.tracker_tiers = {{"http://tracker/announce"}};
  options.uses_local_discovery = true;
  boot(getter, std::move(options));
  world.run_for(10s);
  Host& third = world.add("10.0.0.3:6000");
  boot_seed(third, shared, [](auto& giving) { giving.uses_local_discovery = true; });
  EXPECT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 10s));
}

TEST(SwarmHostFind, DialsNoMoreAtOnceThanItMay) {
  SwarmWorld world;
  FakeTracker tracker(world);
  const SharedTorrent shared;
  Host& getter = world.add("10.0.0.2:6000");
  for (int i = 0; i < 100; ++i) {
    Host& dead = world.add("10.1.0." + std::to_string(i) + ":6000");
    dead.is_reachable = false;
    tracker.peers.push_back(dead.listening());
  }
  auto options = options_for(getter, shared);
  options.tracker_tiers = {{"http://tracker/announce"}};
  options.dials_at_once_max = 7;
  boot(getter, std::move(options));
  world.run_for(1s);
  EXPECT_EQ(getter.connections(), 7u);
  // One address after the other gives up its place.
  world.run_for(8s);
  EXPECT_EQ(world.dials.size(), 14u);
}

TEST(SwarmHostFind, FindsTheOnePeerThatLivesAmongThousandsOfDeadOnes) {
  SwarmWorld world;
  FakeTracker tracker(world);
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  for (std::uint32_t i = 1; i < wire::kAnnouncePeersMax; ++i) tracker.peers.push_back({{0x0a010000 + i}, 6000});
  tracker.peers.push_back(seed.listening());
  auto options = options_for(getter, shared);
  options.tracker_tiers = {{"http://tracker/announce"}};
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
  EXPECT_EQ(getter.finish()->result, Result::done);
  EXPECT_TRUE(shared.is_whole_at(getter));
}

// It had what it wanted then, and is begun anew to get the rest; only the other side can dial.
TEST(SwarmHostFind, APeerThatNeededNothingOnceIsDialledAgain) {
  SwarmWorld world;
  FakeTracker tracker(world);
  const SharedTorrent shared({.total_bytes = 400'000,
                              .piece_bytes = 16 * 1024,
                              .files = {{.path = {"a.txt"}, .offset_bytes = 0, .size_bytes = 100'000},
                                        {.path = {"b.iso"}, .offset_bytes = 100'000, .size_bytes = 300'000}}});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  shared.give(getter, 0, 7);
  auto some = options_for(getter, shared);
  some.selected = {"*.txt"};
  some.gives_after_done = true;
  boot(getter, std::move(some));
  shared.give_all(seed);
  tracker.peers = {getter.listening()};
  auto giving = options_for(seed, shared);
  giving.tracker_tiers = {{"http://tracker/announce"}};
  giving.gives_after_done = true;
  boot(seed, std::move(giving));
  world.run_for(60s);
  EXPECT_EQ(world.dials[getter.listening()], 1);
  EXPECT_EQ(world.dials[seed.listening()], 0) << "neither needs the other";
  getter.kill();
  boot(getter, options_for(getter, shared));
  EXPECT_TRUE(world.run_until([&] { return shared.is_whole_at(getter); }, 15min));
}

TEST(SwarmHostFind, NeverDialsItself) {
  SwarmWorld world;
  FakeTracker tracker(world);
  const SharedTorrent shared;
  Host& getter = world.add("10.0.0.2:6000");
  tracker.peers = {getter.listening()};
  auto options = options_for(getter, shared);
  options.tracker_tiers = {{"http://tracker/announce"}};
  options.uses_local_discovery = true;
  boot(getter, std::move(options));
  world.run_for(100s);
  EXPECT_FALSE(world.dials.contains(getter.listening()));
}

TEST(SwarmHostFind, KnowsItselfUnderAnAddressItDidNotKnow) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& getter = world.add("10.0.0.2:6000");
  auto options = download_from(getter, shared, {getter.listening()});
  options.interfaces.clear();
  options.listening.address = {};
  boot(getter, std::move(options));
  world.run_for(100s);
  EXPECT_EQ(world.dials[getter.listening()], 1);
}

}  // namespace
}  // namespace shoal::testing
