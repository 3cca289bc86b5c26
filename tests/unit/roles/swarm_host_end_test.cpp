// How a swarm host ends, waits and holds back: seeding times, stops, missing sources, full disks, limits, strangers on
// its port.
#include <gtest/gtest.h>

#include "swarm/metadata_exchange.hpp"
#include "unit/support/swarm_hosts.hpp"
#include "wire/extensions.hpp"

namespace shoal::testing {
namespace {

using Result = seam::Finish::Result;

double seconds_since(base::Instant began, const SwarmWorld& world) {
  return base::to_seconds(world.now() - began);
}

TEST(SwarmHostEnd, GivesForAsLongAsItIsToldAfterItIsComplete) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  auto options = download_from(getter, shared, {seed.listening()});
  options.gives_for = 10min;
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return shared.is_whole_at(getter); }, 30s));
  const base::Instant complete = world.now();
  world.run_for(9min);
  EXPECT_TRUE(getter.is_running());
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 2min));
  EXPECT_NEAR(seconds_since(complete, world), 600, 1);
  EXPECT_EQ(getter.finish()->result, Result::done);
  EXPECT_EQ(getter.finish()->path, "out/data");
}

TEST(SwarmHostEnd, GivesUntilItHasGivenEnough) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& first = world.add("10.0.0.2:6000");
  Host& second = world.add("10.0.0.3:6000");
  shared.give_all(seed);
  auto options = options_for(seed, shared);
  options.gives_until_ratio = 1.5;
  boot(seed, std::move(options));
  boot(first, download_from(first, shared, {seed.listening()}));
  ASSERT_TRUE(world.run_until([&] { return first.finish().has_value(); }, 30s));
  EXPECT_TRUE(seed.is_running());
  boot(second, download_from(second, shared, {seed.listening()}));
  ASSERT_TRUE(world.run_until([&] { return seed.finish().has_value(); }, 30s));
  EXPECT_EQ(seed.finish()->result, Result::done);
}

TEST(SwarmHostEnd, AStopKeepsWhatHasArrived) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 4'000'000});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared, [](auto& giving) { giving.limit_up_bytes_per_s = 500'000; });
  boot(getter, download_from(getter, shared, {seed.listening()}));
  world.run_for(3s);
  const base::Instant stopped = world.now();
  getter.stop();
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 10s));
  EXPECT_EQ(getter.finish()->result, Result::interrupted);
  EXPECT_NE(getter.finish()->message.find("again"), std::string::npos);
  EXPECT_LT(seconds_since(stopped, world), 1);
  EXPECT_EQ(getter.pool().in_use(), 0u);
}

TEST(SwarmHostEnd, AStopOfASeedIsHowItIsMeantToEnd) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  boot_seed(seed, shared);
  world.run_for(1min);
  seed.stop();
  ASSERT_TRUE(world.run_until([&] { return seed.finish().has_value(); }, 10s));
  EXPECT_EQ(seed.finish()->result, Result::done);
}

TEST(SwarmHostEnd, AStopWaitsForSilentTrackersOnlySoLong) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& getter = world.add("10.0.0.2:6000");
  auto options = options_for(getter, shared);
  options.tracker_tiers = {{"udp://10.9.9.9:80/announce"}};
  boot(getter, std::move(options));
  world.run_for(5s);
  const base::Instant stopped = world.now();
  getter.stop();
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 10s));
  EXPECT_LE(seconds_since(stopped, world), 5);
}

TEST(SwarmHostEnd, EndsWhenNobodyIsThereAndSaysWhatWasTried) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& getter = world.add("10.0.0.2:6000");
  auto options = download_from(getter, shared, {base::Endpoint::parse("10.7.7.7:1234").value()});
  options.tracker_tiers = {{"http://tracker/announce"}};
  options.no_source_timeout = 30s;
  const base::Instant began = world.now();
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
  EXPECT_NEAR(seconds_since(began, world), 32, 4);
  EXPECT_EQ(getter.finish()->result, Result::incomplete);
  EXPECT_EQ(getter.finish()->missing.size(), shared.count());
  const std::string& message = getter.finish()->message;
  EXPECT_NE(message.find("16 of 16 pieces of data are missing"), std::string::npos) << message;
  EXPECT_NE(message.find("10.7.7.7:1234 refused the connection"), std::string::npos) << message;
  EXPECT_NE(message.find("http://tracker/announce: nobody is there"), std::string::npos) << message;
  EXPECT_NE(message.find("again"), std::string::npos) << message;
}

TEST(SwarmHostEnd, EndsWhenNobodyHasTheLastPiece) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& partial = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  shared.give(partial, 0, shared.count() - 1);
  boot(partial, options_for(partial, shared));
  auto options = download_from(getter, shared, {partial.listening()});
  options.no_source_timeout = 20s;
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
  EXPECT_EQ(getter.finish()->result, Result::incomplete);
  EXPECT_EQ(getter.finish()->missing, std::vector{base::PieceIndex(shared.count() - 1)});
}

TEST(SwarmHostEnd, NamesTheSelectedFilesThatLackSomething) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 500'000,
                              .piece_bytes = 16 * 1024,
                              .files = {{.path = {"a.iso"}, .offset_bytes = 0, .size_bytes = 100'000},
                                        {.path = {"b.iso"}, .offset_bytes = 100'000, .size_bytes = 300'000},
                                        {.path = {"b.txt"}, .offset_bytes = 400'000, .size_bytes = 50'000},
                                        {.path = {"empty.iso"}, .offset_bytes = 450'000, .size_bytes = 0},
                                        {.path = {"z.iso"}, .offset_bytes = 450'000, .size_bytes = 50'000}}});
  Host& partial = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  shared.give(partial, 0, 15);  // all of a.iso
  boot(partial, options_for(partial, shared));
  auto options = download_from(getter, shared, {partial.listening()});
  options.selected = {"*.iso"};
  options.no_source_timeout = 20s;
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
  const std::string& message = getter.finish()->message;
  EXPECT_NE(message.find(", of b.iso, z.iso): nobody"), std::string::npos) << message;
}

TEST(SwarmHostEnd, EndsWhenAWebSeedLacksWhatIsMissing) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 300'000});  // fewer pieces than a web seed may lack before it ends
  ASSERT_LT(shared.count(), 32u);
  Host& getter = world.add("10.0.0.2:6000");
  world.on_fetch = [](const seam::Fetch&) { return std::optional(seam::Fetched{.status = 404}); };
  auto options = options_for(getter, shared);
  options.web_seeds = {"http://web/data"};
  options.no_source_timeout = 20s;
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
  EXPECT_EQ(getter.finish()->result, Result::incomplete);
}

TEST(SwarmHostEnd, ASourceThatIsSilentGivesNoHope) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  seed.swallows_pieces = true;
  boot_seed(seed, shared);
  auto options = download_from(getter, shared, {seed.listening()});
  options.no_source_timeout = 20s;
  const base::Instant began = world.now();
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
  EXPECT_NEAR(seconds_since(began, world), 50, 6);
  EXPECT_EQ(getter.finish()->result, Result::incomplete);
}

TEST(SwarmHostEnd, WaitsForASourceThatIsSilentForAMinute) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  seed.swallows_pieces = true;
  boot_seed(seed, shared);
  boot(getter, download_from(getter, shared, {seed.listening()}));
  world.run_for(70s);
  seed.swallows_pieces = false;
  EXPECT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 31s));
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_EQ(world.dials[seed.listening()], 1);
}

TEST(SwarmHostEnd, EndsWhenNobodyKnowsAMagnetLink) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& getter = world.add("10.0.0.2:6000");
  auto options = options_for(getter, shared);
  options.torrent.reset();
  options.no_source_timeout = 20s;
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
  EXPECT_EQ(getter.finish()->result, Result::incomplete);
  EXPECT_NE(getter.finish()->message.find(shared.torrent.info_hash.to_hex()), std::string::npos);
}

TEST(SwarmHostEnd, EndsWhenWhoClaimsToKnowAMagnetLinkSaysNothingOfIt) {
  for (const std::uint32_t claimed_bytes : {0u, 20'000u, swarm::kMetadataBytesMax + 1}) {
    SwarmWorld world;
    const SharedTorrent shared;
    Host& getter = world.add("10.0.0.2:6000");
    auto options = options_for(getter, shared);
    options.torrent.reset();
    options.no_source_timeout = 20s;
    boot(getter, std::move(options));
    Host& claims = world.add("10.0.0.9:1");
    base::Bytes says = hello_of(shared);
    const base::Bytes extensions = wire::encode(wire::Extended{
        .id = 0, .payload = wire::encode(wire::ExtensionHandshake{.metadata_id = 1, .metadata_bytes = claimed_bytes})});
    says.insert(says.end(), extensions.begin(), extensions.end());
    claims.boot(std::make_unique<Stranger>(getter.listening(), std::move(says)));
    world.run_for(5s);
    EXPECT_EQ(getter.connections(), 1u) << claimed_bytes;
    EXPECT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 40s)) << claimed_bytes;
  }
}

TEST(SwarmHostEnd, EndsWhenATrueDescriptionCannotBeUsed) {
  SwarmWorld world;
  SharedTorrent shared;
  std::string info(base::text_of(shared.torrent.info));
  const std::string_view name = "4:name4:data";
  const std::size_t at = info.find(name);
  ASSERT_NE(at, std::string::npos);
  info.replace(at, name.size(), "4:name4:../x");
  const base::ByteView hostile = base::view_of(info);
  shared.torrent.info.assign(hostile.begin(), hostile.end());
  shared.torrent.info_hash = base::sha1(hostile);
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  auto options = download_from(getter, shared, {seed.listening()});
  options.torrent.reset();
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 30s));
  EXPECT_EQ(getter.finish()->result, Result::nothing_found);
  EXPECT_NE(getter.finish()->message.find("cannot be used"), std::string::npos) << getter.finish()->message;
}

TEST(SwarmHostEnd, WaitsForRoomOnAFullDiskAndSaysSoOnce) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 2'000'000});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  getter.disk_room_bytes = 700'000;
  boot(getter, download_from(getter, shared, {seed.listening()}));
  world.run_for(60s);
  ASSERT_TRUE(getter.is_running());
  const auto warnings = [&] {
    return std::ranges::count_if(getter.traces<seam::NoteTrace>(), [](const seam::NoteTrace& note) {
      return note.level == seam::NoteTrace::Level::warning && note.text.find("disk") != std::string::npos;
    });
  };
  EXPECT_EQ(warnings(), 1);
  getter.disk_room_bytes.reset();
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 30s));
  EXPECT_EQ(getter.finish()->result, Result::done);
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_EQ(warnings(), 1);
  EXPECT_TRUE(getter.has_noted("there is room"));
}

TEST(SwarmHostEnd, TellsOfEachPieceAlsoWhenTheDiskWasFullBehindIt) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  getter.fails_behind = {shared.torrent.manifest.pieces.at(2), shared.torrent.manifest.pieces.at(7)};
  boot(getter, download_from(getter, shared, {seed.listening()}));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 60s));
  EXPECT_TRUE(shared.is_whole_at(getter));
  std::set<base::PieceIndex> told;
  for (const auto& trace : getter.traces<seam::PieceTrace>()) {
    if (trace.what != seam::PieceTrace::What::verified) continue;
    EXPECT_TRUE(told.insert(trace.piece).second) << trace.piece.value;
    EXPECT_EQ(trace.source, seed.listening());
  }
  EXPECT_EQ(told.size(), shared.count());
}

TEST(SwarmHostEnd, KeepsToItsLimitOfTaking) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 2'000'000});
  Host& getter = world.add("10.0.0.9:6000");
  std::vector<base::Endpoint> seeds;
  for (int i = 1; i <= 4; ++i) {
    Host& seed = world.add("10.0.0." + std::to_string(i) + ":6000");
    boot_seed(seed, shared);
    seeds.push_back(seed.listening());
  }
  auto options = download_from(getter, shared, seeds);
  options.limit_down_bytes_per_s = 100'000;
  const base::Instant began = world.now();
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_GT(seconds_since(began, world), 19);
  EXPECT_LT(seconds_since(began, world), 23);
}

TEST(SwarmHostEnd, WhoUsesUpTheLimitOfTakingKeepsNobodyElseFromBeingHeard) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 8'000'000});
  Host& first = world.add("10.0.0.1:6000");
  Host& second = world.add("10.0.0.2:6000");
  Host& getter = world.add("10.0.0.3:6000");
  boot_seed(first, shared);
  auto options = download_from(getter, shared, {first.listening()});
  options.limit_down_bytes_per_s = 400'000;
  boot(getter, std::move(options));
  world.run_for(5s);
  shared.give_all(second);
  auto giving = download_from(second, shared, {getter.listening()});
  giving.gives_after_done = true;
  boot(second, std::move(giving));
  world.run_for(8s);
  std::size_t by_second = 0;
  for (const auto& trace : getter.traces<seam::PieceTrace>()) {
    by_second += trace.what == seam::PieceTrace::What::verified && trace.source.address == second.listening().address;
  }
  EXPECT_GT(by_second, 5u);
}

TEST(SwarmHostEnd, AVerySlowLimitLosesNoPeer) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 500'000});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  auto options = download_from(getter, shared, {seed.listening()});
  options.limit_down_bytes_per_s = 2'000;
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 400s));
  EXPECT_EQ(world.dials.at(seed.listening()), 1);
}

TEST(SwarmHostEnd, KeepsToItsLimitOfGivingWhoeverAsks) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 2'000'000});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  Host& client = world.add("10.0.0.3:6000");
  shared.give_all(seed);
  auto options = options_for(seed, shared);
  options.gives_after_done = true;
  options.limit_up_bytes_per_s = 200'000;
  boot(seed, std::move(options));
  course::FileInfo file{.filename = "data", .chunks = {}};
  for (const base::Sha1Hash& hash : shared.torrent.manifest.pieces) file.chunks.push_back({hash, {seed.listening()}});
  const base::Instant began = world.now();
  boot(getter, download_from(getter, shared, {seed.listening()}));
  client.boot(roles::make_course_client({.file_info = file, .tracker = {}, .interfaces = {}, .extra_peers = {}},
                                        client.pool(), base::Rng(1)));
  ASSERT_TRUE(world.run_until([&] { return getter.finish() && client.finish(); }, 120s));
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_TRUE(shared.is_whole_at(client));
  EXPECT_GT(seconds_since(began, world), 19);
  EXPECT_LT(seconds_since(began, world), 24);
}

TEST(SwarmHostEnd, HangsUpOnWhoSpeaksNeitherProtocolOrNotAtAll) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  boot_seed(seed, shared);
  Host& web = world.add("10.0.0.2:1");
  const base::ByteView get = base::view_of("GET / HTTP/1.1\r\n\r\n");
  web.boot(std::make_unique<Stranger>(seed.listening(), base::Bytes(get.begin(), get.end())));
  world.run_for(1s);
  EXPECT_EQ(seed.connections(), 0u);
  Host& silent = world.add("10.0.0.3:1");
  silent.boot(std::make_unique<Stranger>(seed.listening(), base::Bytes()));
  world.run_for(10s);
  EXPECT_EQ(seed.connections(), 1u);
  world.run_for(10s);
  EXPECT_EQ(seed.connections(), 0u);
}

TEST(SwarmHostEnd, SilentStrangersKeepNobodyOut) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  for (int i = 0; i < 300; ++i) {
    Host& silent = world.add("10.1." + std::to_string(i / 200) + "." + std::to_string(i % 200) + ":1");
    silent.boot(std::make_unique<Stranger>(seed.listening(), base::Bytes()));
  }
  world.run_for(1s);
  EXPECT_LE(seed.connections(), 64u);
  boot(getter, download_from(getter, shared, {seed.listening()}));
  EXPECT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 10s));
}

TEST(SwarmHostEnd, AnythingAtAllOnItsPortBreaksNothing) {
  base::Rng rng(7);
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  const base::Bytes hello = hello_of(shared);
  for (int i = 0; i < 200; ++i) {
    base::Bytes noise = rng.chance(0.5) ? hello : base::Bytes{std::byte{1}};
    const std::size_t count = rng.below(3000);
    for (std::size_t k = 0; k < count; ++k) {
      noise.push_back(static_cast<std::byte>(rng.chance(0.6) ? 0 : rng.below(24)));
    }
    Host& stranger = world.add("10.2.0." + std::to_string(i) + ":1");
    stranger.boot(std::make_unique<Stranger>(seed.listening(), std::move(noise)));
  }
  world.run_for(20s);
  boot(getter, download_from(getter, shared, {seed.listening()}));
  EXPECT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 20s));
  EXPECT_EQ(getter.finish()->result, Result::done);
}

}  // namespace
}  // namespace shoal::testing
