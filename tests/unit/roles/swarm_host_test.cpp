// Whole hosts of a swarm with each other: everything moves between machines that ship.
#include "roles/swarm_host.hpp"

#include <gtest/gtest.h>

#include "unit/support/swarm_hosts.hpp"

namespace shoal::testing {
namespace {

using Result = seam::Finish::Result;

TEST(SwarmHost, GetsEverythingFromASeed) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  boot(getter, download_from(getter, shared, {seed.listening()}));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 20s));
  EXPECT_EQ(getter.finish()->result, Result::done);
  EXPECT_EQ(getter.finish()->path, "out/data");
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_TRUE(seed.is_running());
  EXPECT_EQ(getter.traces<seam::ManifestTrace>().size(), 1u);
}

TEST(SwarmHost, GetsPiecesThatAreLongerThanABuffer) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 5'000'001, .piece_bytes = 1024 * 1024});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  boot(getter, download_from(getter, shared, {seed.listening()}));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 20s));
  EXPECT_TRUE(shared.is_whole_at(getter));
}

TEST(SwarmHost, GetsTheDescriptionFromPeersWhenItHasOnlyAMagnetLink) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 2'000'000, .piece_bytes = 16 * 1024});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  auto options = download_from(getter, shared, {seed.listening()});
  options.torrent.reset();
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 30s));
  EXPECT_EQ(getter.finish()->result, Result::done);
  EXPECT_TRUE(shared.is_whole_at(getter));
}

TEST(SwarmHost, DoesNotBelieveADescriptionThatIsNotTheOneItWants) {
  SwarmWorld world;
  const SharedTorrent shared;
  const SharedTorrent other({.total_bytes = 500'000});
  Host& liar = world.add("10.0.0.9:6000");
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  auto lies = options_for(liar, other);
  lies.info_hash = shared.torrent.info_hash;
  lies.gives_after_done = true;
  other.give_all(liar);
  boot(liar, std::move(lies));
  boot_seed(seed, shared);
  auto options = download_from(getter, shared, {liar.listening()});
  options.torrent.reset();
  boot(getter, std::move(options));
  world.run_for(20s);
  EXPECT_TRUE(getter.traces<seam::ManifestTrace>().empty());
  EXPECT_TRUE(getter.has_noted("10.0.0.9"));
  // Somebody honest comes by.
  auto meets = options_for(seed, shared);
  Host& third = world.add("10.0.0.3:6000");
  shared.give_all(third);
  meets.peers = {getter.listening()};
  meets.gives_after_done = true;
  meets.peer_id = peer_id_of(third);
  meets.listening = third.listening();
  boot(third, std::move(meets));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 30s));
  EXPECT_TRUE(shared.is_whole_at(getter));
}

TEST(SwarmHost, GivesWhatItHasWhileItIsStillTaking) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 2'000'000});
  Host& one = world.add("10.0.0.1:6000");
  Host& other = world.add("10.0.0.2:6000");
  shared.give(one, 0, shared.count() / 2);
  shared.give(other, shared.count() / 2, shared.count());
  auto options = download_from(one, shared, {other.listening()});
  options.gives_after_done = true;  // the other may still need it
  boot(one, std::move(options));
  boot(other, options_for(other, shared));
  ASSERT_TRUE(world.run_until([&] { return other.finish() && shared.is_whole_at(one); }, 60s));
  EXPECT_TRUE(shared.is_whole_at(other));
}

TEST(SwarmHost, SpreadsThroughThoseWhoDoNotKnowTheSeed) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& middle = world.add("10.0.0.2:6000");
  Host& far = world.add("10.0.0.3:6000");
  boot_seed(seed, shared);
  auto options = download_from(middle, shared, {seed.listening()});
  options.gives_after_done = true;
  boot(middle, std::move(options));
  boot(far, download_from(far, shared, {middle.listening()}));
  ASSERT_TRUE(world.run_until([&] { return far.finish().has_value(); }, 60s));
  EXPECT_TRUE(shared.is_whole_at(far));
}

TEST(SwarmHost, GoesOnWithWhatItHasFromBefore) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  shared.give(getter, 0, shared.count() - 1);
  boot(getter, download_from(getter, shared, {seed.listening()}));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 20s));
  EXPECT_EQ(getter.traces<seam::ManifestTrace>().at(0).pieces_held, shared.count() - 1);
  std::uint64_t arrived = 0;
  for (const auto& payload : getter.traces<seam::PayloadTrace>()) arrived += payload.bytes;
  EXPECT_EQ(arrived, shared.pieces.back().size());
}

TEST(SwarmHost, TakesOnlyThePiecesOfSelectedFiles) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 400'000,
                              .piece_bytes = 16 * 1024,
                              .files = {{.path = {"a.txt"}, .offset_bytes = 0, .size_bytes = 100'000},
                                        {.path = {"b.iso"}, .offset_bytes = 100'000, .size_bytes = 300'000}}});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  auto options = download_from(getter, shared, {seed.listening()});
  options.selected = {"*.txt"};
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 20s));
  EXPECT_EQ(getter.finish()->result, Result::done);
  EXPECT_TRUE(getter.has(shared.torrent.manifest.pieces.at(6)));
  EXPECT_FALSE(getter.has(shared.torrent.manifest.pieces.at(7)));
}

TEST(SwarmHost, SaysSoWhenNoFileIsSelected) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& getter = world.add("10.0.0.2:6000");
  auto options = options_for(getter, shared);
  options.selected = {"*.nothing"};
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 20s));
  EXPECT_EQ(getter.finish()->result, Result::unfit);
  EXPECT_NE(getter.finish()->message.find("--select"), std::string::npos);
}

TEST(SwarmHost, MakesAnEmptyFileWithoutAskingAnybody) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 0});
  Host& getter = world.add("10.0.0.2:6000");
  boot(getter, options_for(getter, shared));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 20s));
  EXPECT_EQ(getter.finish()->result, Result::done);
}

TEST(SwarmHost, KeepsOneConnectionWhenBothDialAtTheSameTime) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 100'000'000, .piece_bytes = 256 * 1024});
  Host& one = world.add("10.0.0.1:6000");
  Host& other = world.add("10.0.0.2:6000");
  shared.give_all(one);
  auto options = download_from(one, shared, {other.listening()});
  options.gives_after_done = true;
  options.limit_up_bytes_per_s = 1'000'000;
  boot(one, std::move(options));
  boot(other, download_from(other, shared, {one.listening()}));
  world.run_for(3s);
  EXPECT_EQ(one.connections(), 1u);
  EXPECT_EQ(other.connections(), 1u);
  world.run_for(30s);
  EXPECT_EQ(one.connections(), 1u);
  EXPECT_EQ(world.dials.at(one.listening()) + world.dials.at(other.listening()), 2) << "and it stays";
}

TEST(SwarmHost, LetsGoOfAnotherSeed) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& one = world.add("10.0.0.1:6000");
  Host& other = world.add("10.0.0.2:6000");
  boot_seed(one, shared);
  shared.give_all(other);
  auto options = download_from(other, shared, {one.listening()});
  options.gives_after_done = true;
  boot(other, std::move(options));
  world.run_for(10min);
  EXPECT_EQ(one.connections(), 0u);
  EXPECT_LE(world.dials.at(one.listening()), 1);
}

TEST(SwarmHost, TakesNoMoreConnectionsThanItMay) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 20'000'000, .piece_bytes = 256 * 1024});
  Host& seed = world.add("10.0.0.1:6000");
  shared.give_all(seed);
  auto options = options_for(seed, shared);
  options.gives_after_done = true;
  options.connections_max = 3;
  options.limit_up_bytes_per_s = 100'000;
  options.uses_local_discovery = true;
  boot(seed, std::move(options));
  for (int i = 2; i < 10; ++i) {
    Host& getter = world.add("10.0.0." + std::to_string(i) + ":6000");
    auto others = options_for(getter, shared);
    others.uses_local_discovery = true;
    boot(getter, std::move(others));
  }
  world.run_for(5s);
  EXPECT_EQ(seed.connections(), 3u);
}

TEST(SwarmHost, EveryoneOfAManyGetsItAll) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 3'000'000, .piece_bytes = 32 * 1024});
  Host& seed = world.add("10.0.0.1:6000");
  boot_seed(seed, shared);
  std::vector<Host*> getters;
  for (int i = 2; i < 22; ++i) {
    getters.push_back(&world.add("10.0.0." + std::to_string(i) + ":6000"));
    auto options = download_from(*getters.back(), shared, {seed.listening()});
    options.uses_exchange = true;
    options.gives_after_done = true;
    boot(*getters.back(), std::move(options));
  }
  const auto are_done = [&] {
    return std::ranges::all_of(getters, [&](const Host* getter) { return shared.is_whole_at(*getter); });
  };
  EXPECT_TRUE(world.run_until(are_done, 120s));
}

}  // namespace
}  // namespace shoal::testing
