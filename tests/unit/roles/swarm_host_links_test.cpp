// Which connections a swarm host makes, takes and keeps, whoever else wants them.
#include <gtest/gtest.h>

#include "unit/support/swarm_hosts.hpp"

namespace shoal::testing {
namespace {

wire::PeerId stranger_id(int number) {
  wire::PeerId id{};
  const std::string text = "-XX0001-" + std::to_string(number);
  std::memcpy(id.data(), text.data(), text.size());
  return id;
}

// Each from an address of its own; they stay, and neither give nor take, though they may say that they want to.
void add_strangers(SwarmWorld& world, const SharedTorrent& shared, const Host& to, int count,
                   bool are_interested = false) {
  for (int i = 0; i < count; ++i) {
    Host& stranger = world.add("10.1.0." + std::to_string(i) + ":1");
    base::Bytes says = hello_of(shared, stranger_id(i));
    const base::Bytes interested = wire::encode(wire::Interested{});
    if (are_interested) says.insert(says.end(), interested.begin(), interested.end());
    stranger.boot(std::make_unique<Stranger>(to.listening(), std::move(says)));
  }
}

TEST(SwarmHostLinks, StrangersWhoFillItsPlacesDoNotKeepItFromDialling) {
  for (const int strangers : {9, 30}) {  // of ten places: nearly all, or all
    SwarmWorld world;
    const SharedTorrent shared;
    Host& seed = world.add("10.0.0.1:6000");
    Host& getter = world.add("10.0.0.2:6000");
    auto options = download_from(getter, shared, {seed.listening()});
    options.connections_max = 10;
    boot(getter, std::move(options));
    add_strangers(world, shared, getter, strangers);
    world.run_for(1s);
    EXPECT_GE(getter.connections(), 8u);
    boot_seed(seed, shared);
    EXPECT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 20s)) << strangers;
    EXPECT_TRUE(shared.is_whole_at(getter));
  }
}

TEST(SwarmHostLinks, LeavesPlacesToThoseWhoDialIt) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 4'000'000});
  Host& getter = world.add("10.0.0.100:6000");
  std::vector<base::Endpoint> peers;
  for (int i = 1; i <= 20; ++i) {  // they have nothing yet
    Host& peer = world.add("10.0.0." + std::to_string(i) + ":6000");
    boot(peer, options_for(peer, shared));
    peers.push_back(peer.listening());
  }
  auto options = download_from(getter, shared, peers);
  options.connections_max = 10;
  boot(getter, std::move(options));
  world.run_for(5s);
  EXPECT_EQ(getter.connections(), 8u);
  Host& seed = world.add("10.0.0.200:6000");
  shared.give_all(seed);
  auto giving = download_from(seed, shared, {getter.listening()});
  giving.gives_after_done = true;
  boot(seed, std::move(giving));
  EXPECT_TRUE(world.run_until([&] { return shared.is_whole_at(getter); }, 20s));
}

TEST(SwarmHostLinks, WhoIsOfNoUseMakesRoomForOthersWhoDial) {
  for (const bool are_interested : {false, true}) {
    SwarmWorld world;
    const SharedTorrent shared;
    Host& seed = world.add("10.0.0.1:6000");
    boot_seed(seed, shared, [](auto& giving) { giving.connections_max = 5; });
    add_strangers(world, shared, seed, 5, are_interested);
    world.run_for(1s);
    EXPECT_EQ(seed.connections(), 4u);
    const auto is_taken = [&](int number) {
      Host& late = world.add("10.2.0." + std::to_string(number) + ":1");
      late.boot(std::make_unique<Stranger>(seed.listening(), hello_of(shared, stranger_id(100 + number))));
      world.run_for(1s);
      return late.connections() == 1;
    };
    EXPECT_FALSE(is_taken(1));
    world.run_for(60s);
    EXPECT_TRUE(is_taken(2)) << are_interested;
  }
}

TEST(SwarmHostLinks, WhoWaitsForWhatItAskedForKeepsItsPlace) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  boot_seed(seed, shared, [](auto& giving) {
    giving.connections_max = 5;
    giving.limit_up_bytes_per_s = 1000;  // a block in 16 s, and in more than a minute to each
  });
  for (int i = 2; i < 6; ++i) {
    Host& getter = world.add("10.0.0." + std::to_string(i) + ":6000");
    boot(getter, download_from(getter, shared, {seed.listening()}));
  }
  world.run_for(170s);
  EXPECT_EQ(seed.connections(), 4u);
  EXPECT_EQ(world.dials[seed.listening()], 4);
}

// How many connections of strangers from its own address a seed holds: 40 of peers, or 600 of course clients.
std::size_t connections_from(std::string_view address, bool are_peers) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add(std::string(address) + ":6000");
  boot_seed(seed, shared);
  for (int i = 0; i < (are_peers ? 40 : 12); ++i) {
    Host& stranger = world.add(std::string(address) + ":" + std::to_string(100 + i));
    // No more at once than may have said nothing yet.
    stranger.boot(are_peers ? std::make_unique<Stranger>(seed.listening(), hello_of(shared, stranger_id(i)))
                            : std::make_unique<Stranger>(seed.listening(), course::encode_get_file_info(), 50));
    world.run_for(100ms);
  }
  return seed.connections();
}

TEST(SwarmHostLinks, TakesOnlySoManyConnectionsFromOneAddress) {
  EXPECT_EQ(connections_from("10.0.0.1", true), 20u);
  EXPECT_EQ(connections_from("127.0.0.1", true), 40u) << "everybody here has this one";
}

TEST(SwarmHostLinks, TakesOnlySoManyCourseClientsFromOneAddress) {
  EXPECT_EQ(connections_from("10.0.0.1", false), 500u);
  EXPECT_EQ(connections_from("127.0.0.1", false), 600u) << "everybody here has this one";
}

TEST(SwarmHostLinks, TakesNoMoreCourseClientsThanItMay) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  boot_seed(seed, shared, [](auto& giving) { giving.course_clients_max = 5; });
  for (int i = 0; i < 10; ++i) {
    Host& stranger = world.add("10.1.0." + std::to_string(i) + ":1");
    stranger.boot(std::make_unique<Stranger>(seed.listening(), course::encode_get_file_info()));
  }
  world.run_for(1s);
  EXPECT_EQ(seed.connections(), 5u);
}

// Peer ids are told to everybody.
TEST(SwarmHostLinks, AStrangerWithTheIdOfAPeerDoesNotKeepItOut) {
  for (const bool is_stranger_first : {true, false}) {
    SwarmWorld world;
    const SharedTorrent shared({.total_bytes = 2'000'000});
    Host& seed = world.add("10.0.0.3:6000");
    Host& stranger = world.add("10.0.0.9:6000");
    Host& getter = world.add("10.0.0.2:6000");
    shared.give_all(seed);
    auto giving = options_for(seed, shared);
    giving.gives_after_done = true;
    giving.limit_up_bytes_per_s = 100'000;
    const auto come = [&] {
      stranger.boot(std::make_unique<Stranger>(getter.listening(), hello_of(shared, peer_id_of(seed))));
      world.run_for(1s);
    };
    boot(getter, download_from(getter, shared, {seed.listening()}));
    if (is_stranger_first) come();
    boot(seed, std::move(giving));
    world.run_for(5s);
    if (!is_stranger_first) come();
    EXPECT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 40s)) << is_stranger_first;
  }
}

TEST(SwarmHostLinks, KeepsOneConnectionToAPeerOfThisHostWithTwoAddresses) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 4'000'000});
  Host& getter = world.add("10.0.0.1:6000");
  Host& seed = world.add("127.0.0.1:6001");
  boot_seed(seed, shared, [](auto& giving) { giving.limit_up_bytes_per_s = 100'000; });
  boot(getter, download_from(getter, shared, {seed.listening()}));
  world.run_for(2s);
  EXPECT_EQ(getter.connections(), 1u);
  Host& seed_elsewhere = world.add("10.0.0.1:6001");
  seed_elsewhere.boot(std::make_unique<Stranger>(getter.listening(), hello_of(shared, peer_id_of(seed))));
  world.run_for(2s);
  EXPECT_EQ(getter.connections(), 1u);
}

TEST(SwarmHostLinks, HangsUpAtOnceOnACourseClientTooMany) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  boot_seed(seed, shared);
  const auto come = [&](int number, std::uint64_t connections) -> Host& {
    Host& client = world.add("10.1.0." + std::to_string(number) + ":1");
    client.boot(std::make_unique<Stranger>(seed.listening(), base::Bytes{std::byte{course::kVersion}}, connections));
    world.run_for(5ms);
    return client;
  };
  world.run_for(500ms);
  for (int i = 0; i < 40; ++i) come(i, 50);
  ASSERT_EQ(seed.connections(), 2000u);
  EXPECT_EQ(come(40, 1).connections(), 0u);
  EXPECT_EQ(seed.connections(), 2000u);
}

// A store that hashes what is there takes minutes.
TEST(SwarmHostLinks, KeepsWhoCameWhileTheStoreWasOpenedHoweverLongThatTakes) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  seed.opening_time = 100s;
  boot_seed(seed, shared);
  add_strangers(world, shared, seed, 1);
  Host& silent = world.add("10.0.0.9:1");
  silent.boot(std::make_unique<Stranger>(seed.listening(), base::Bytes()));
  world.run_for(99s);
  EXPECT_EQ(seed.connections(), 2u);
  world.run_for(14s);
  EXPECT_EQ(seed.connections(), 2u) << "only now could it be heard";
  world.run_for(10s);
  EXPECT_EQ(seed.connections(), 1u) << "the silent one has gone";
}

TEST(SwarmHostLinks, TellsWhoCameWhileTheStoreWasOpenedInOneMessageWhatIsThere) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& stranger = world.add("10.0.0.9:1");
  Host& client = world.add("10.0.0.3:6000");
  seed.opening_time = 3s;
  boot_seed(seed, shared);
  stranger.boot(std::make_unique<Stranger>(seed.listening(), hello_of(shared)));
  course::FileInfo file{.filename = "data", .chunks = {}};
  for (const base::Sha1Hash& hash : shared.torrent.manifest.pieces) file.chunks.push_back({hash, {seed.listening()}});
  client.boot(roles::make_course_client({.file_info = file, .tracker = {}, .interfaces = {}, .extra_peers = {}},
                                        client.pool(), base::Rng(1)));
  world.run_for(2s);
  EXPECT_TRUE(seed.traces<seam::MessageTrace>().empty());
  world.run_for(2s);
  std::vector<std::string> told;
  for (const auto& trace : seed.traces<seam::MessageTrace>()) {
    if (trace.remote.address == stranger.listening().address && trace.direction == seam::MessageDirection::sent) {
      told.push_back(trace.message);
    }
  }
  EXPECT_EQ(std::ranges::count(told, "have_all"), 1);
  EXPECT_EQ(std::ranges::count(told, "have"), 0);
  EXPECT_TRUE(shared.is_whole_at(client)) << "course clients are answered, too";
}

}  // namespace
}  // namespace shoal::testing
