// What a swarm host takes from: peers of both protocols and web seeds, honest ones and others; and course clients that
// take from it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "unit/support/swarm_hosts.hpp"

namespace shoal::testing {
namespace {

using Result = seam::Finish::Result;

void boot_course_peer(Host& host, const SharedTorrent& shared, std::uint32_t first, std::uint32_t end) {
  shared.give(host, first, end);
  host.boot(roles::make_course_peer({}));
}

// An HTTP server with the file, but for what lies before `first_byte`.
void serve_web(SwarmWorld& world, const SharedTorrent& shared, std::string url, std::uint64_t first_byte = 0) {
  base::Bytes whole;
  for (const base::Bytes& piece : shared.pieces) whole.insert(whole.end(), piece.begin(), piece.end());
  world.on_fetch = [whole = std::move(whole), url = std::move(url),
                    first_byte](const seam::Fetch& fetch) -> std::optional<seam::Fetched> {
    if (fetch.url != url) return std::nullopt;
    std::string range;
    for (const auto& [name, value] : fetch.headers) {
      if (name == "Range") range = value;
    }
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    if (std::sscanf(range.c_str(), "bytes=%lu-%lu", &first, &last) != 2) return seam::Fetched{.status = 400};
    if (first < first_byte) return seam::Fetched{.status = 416};
    return seam::Fetched{.status = 206,
                         .body = base::Bytes(whole.begin() + static_cast<std::ptrdiff_t>(first),
                                             whole.begin() + static_cast<std::ptrdiff_t>(last + 1)),
                         .range = seam::ByteRange{first, last}};
  };
}

std::map<base::Endpoint, std::uint64_t> payload_by_source(const Host& host) {
  std::map<base::Endpoint, std::uint64_t> bytes;
  for (const auto& payload : host.traces<seam::PayloadTrace>()) bytes[payload.source] += payload.bytes;
  return bytes;
}

// A client that was told that the host has these chunks.
void boot_course_client(Host& client, const std::vector<base::Sha1Hash>& hashes, base::Endpoint owner) {
  course::FileInfo file{.filename = "data", .chunks = {}};
  for (const base::Sha1Hash& hash : hashes) file.chunks.push_back({hash, {owner}});
  client.boot(roles::make_course_client({.file_info = file, .tracker = {}, .interfaces = {}, .extra_peers = {}},
                                        client.pool(), base::Rng(1)));
}

TEST(SwarmHostSources, TellsTheUserOfWhatACourseClientCannotBeGiven) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& first = world.add("10.0.0.2:6000");
  Host& second = world.add("10.0.0.3:6000");
  seed.hidden.insert(shared.torrent.manifest.pieces.at(3));
  boot_seed(seed, shared);
  boot_course_client(first, {base::Sha1Hash{}}, seed.listening());  // what the seed never had
  ASSERT_TRUE(world.run_until([&] { return first.finish().has_value(); }, 30s));
  EXPECT_FALSE(seed.has_noted("cannot be read any more"));
  world.run_for(2s);  // such questions are not looked into faster
  boot_course_client(second, {shared.torrent.manifest.pieces.at(3)}, seed.listening());
  ASSERT_TRUE(world.run_until([&] { return second.finish().has_value(); }, 30s));
  EXPECT_TRUE(seed.has_noted("piece 3 of data and perhaps others"));
}

TEST(SwarmHostSources, GivesToCourseClientsOnTheSamePort) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& client = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  boot_course_client(client, shared.torrent.manifest.pieces, seed.listening());
  ASSERT_TRUE(world.run_until([&] { return client.finish().has_value(); }, 30s));
  EXPECT_EQ(client.finish()->result, Result::done);
  EXPECT_TRUE(shared.is_whole_at(client));
  std::uint64_t given = 0;
  for (const auto& upload : seed.traces<seam::UploadTrace>()) given += upload.bytes;
  EXPECT_EQ(given, shared.torrent.manifest.layout->total_bytes);
}

TEST(SwarmHostSources, TakesFromACoursePeerThatAUserNamed) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& peer = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_course_peer(peer, shared, 0, shared.count());
  boot(getter, download_from(getter, shared, {peer.listening()}));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 30s));
  EXPECT_EQ(getter.finish()->result, Result::done);
  EXPECT_TRUE(shared.is_whole_at(getter));
}

TEST(SwarmHostSources, TakesFromACoursePeerThatHangsUpOnWhatItDoesNotUnderstand) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& peer = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  // Closes whatever does not begin like a course message.
  class Strict final : public seam::Machine {
   public:
    explicit Strict(std::unique_ptr<seam::Machine> honest) : honest_(std::move(honest)) {}
    void start(base::Instant now) override { honest_->start(now); }
    void on_event(seam::Event&& event, base::Instant now) override {
      const auto* bytes = std::get_if<seam::BytesArrived>(&event);
      if (bytes != nullptr && !judged_.contains(bytes->conn)) {
        judged_.insert(bytes->conn);
        if (*first_ == wire::kHandshakeFirstByte) {
          honest_->on_event(seam::ConnectionLost{bytes->conn, seam::NetError::other}, now);
          actions_.emplace_back(seam::Close{bytes->conn});
          return;
        }
      }
      honest_->on_event(std::move(event), now);
    }
    seam::ReadTargets next_read(seam::ConnId conn) override {
      const seam::ReadTargets targets = honest_->next_read(conn);
      if (targets.size_bytes() > 0) first_ = targets.spans[0].data();
      return targets;
    }
    std::optional<base::Instant> next_deadline() const override { return honest_->next_deadline(); }
    seam::Actions take_actions() override {
      if (!actions_.empty()) return std::exchange(actions_, {});
      return honest_->take_actions();
    }

   private:
    std::unique_ptr<seam::Machine> honest_;
    seam::Actions actions_;
    const std::byte* first_ = nullptr;
    std::set<seam::ConnId> judged_;
  };
  shared.give_all(peer);
  peer.boot(std::make_unique<Strict>(roles::make_course_peer({})));
  boot(getter, download_from(getter, shared, {peer.listening()}));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 60s));
  EXPECT_TRUE(shared.is_whole_at(getter));
}

TEST(SwarmHostSources, AsksACoursePeerOnceTheDescriptionOfAMagnetLinkHasCome) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& course = world.add("10.0.0.1:6000");
  Host& knows = world.add("10.0.0.3:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_course_peer(course, shared, 0, shared.count());
  auto knowing = options_for(knows, shared);  // has the description and nothing else
  boot(knows, std::move(knowing));
  auto options = download_from(getter, shared, {course.listening(), knows.listening()});
  options.torrent.reset();
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 30s));
  EXPECT_TRUE(shared.is_whole_at(getter));
}

TEST(SwarmHostSources, TakesFromACoursePeerAPeerAndAWebSeedOfWhichNoneHasEverything) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 3'000'000});
  Host& course = world.add("10.0.0.1:6000");
  Host& peer = world.add("10.0.0.2:6000");
  Host& getter = world.add("10.0.0.3:6000");
  const std::uint32_t third = shared.count() / 3;
  boot_course_peer(course, shared, 0, third);
  shared.give(peer, third, 2 * third);
  auto partial = options_for(peer, shared);
  partial.limit_up_bytes_per_s = 300'000;
  partial.gives_after_done = true;
  boot(peer, std::move(partial));
  serve_web(world, shared, "http://web/data", std::uint64_t{2} * third * 64 * 1024);
  auto options = download_from(getter, shared, {course.listening(), peer.listening()});
  options.web_seeds = {"http://web/data"};
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 600s));
  EXPECT_EQ(getter.finish()->result, Result::done);
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_EQ(payload_by_source(getter).size(), 3u);
}

TEST(SwarmHostSources, TakesEverythingFromAWebSeedWhenNobodyElseIsThere) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 3'000'000});
  Host& getter = world.add("10.0.0.3:6000");
  serve_web(world, shared, "http://web/data");
  auto options = options_for(getter, shared);
  options.web_seeds = {"http://web/data"};
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 60s));
  EXPECT_TRUE(shared.is_whole_at(getter));
}

TEST(SwarmHostSources, ComesBackAtOnceToWhatAWebSeedFailedToGiveInOrder) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 8'000'000});
  Host& getter = world.add("10.0.0.1:6000");
  serve_web(world, shared, "http://web/data");
  std::vector<std::string> asked;
  world.on_fetch = [&asked, honest = world.on_fetch](const seam::Fetch& fetch) {
    asked.push_back(fetch.headers.at(0).second);
    return asked.size() == 1 ? std::nullopt : honest(fetch);
  };
  auto options = options_for(getter, shared);
  options.web_seeds = {"http://web/data"};
  options.is_sequential = true;
  boot(getter, std::move(options));
  world.run_for(1s);
  const std::size_t before = asked.size();
  ASSERT_TRUE(asked.at(0).starts_with("bytes=0-"));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 60s));
  EXPECT_TRUE(asked.at(before).starts_with("bytes=0-")) << asked.at(before);
  EXPECT_TRUE(shared.is_whole_at(getter));
}

TEST(SwarmHostSources, KeepsToItsLimitOfTakingWhateverAWebSeedSends) {
  for (const bool has_peer : {false, true}) {
    SwarmWorld world;
    const SharedTorrent shared({.total_bytes = 2'000'000});
    Host& seed = world.add("10.0.0.1:6000");
    Host& getter = world.add("10.0.0.3:6000");
    serve_web(world, shared, "http://web/data");
    boot_seed(seed, shared);
    auto options = options_for(getter, shared);
    if (has_peer) options.peers = {seed.listening()};
    options.web_seeds = {"http://web/data"};
    options.limit_down_bytes_per_s = 100'000;
    const base::Instant began = world.now();
    boot(getter, std::move(options));
    ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
    EXPECT_TRUE(shared.is_whole_at(getter));
    EXPECT_GT(base::to_seconds(world.now() - began), 18) << has_peer;
    EXPECT_LT(base::to_seconds(world.now() - began), 23) << has_peer;
    EXPECT_EQ(payload_by_source(getter).contains(seed.listening()), has_peer) << "it is not left without";
  }
}

TEST(SwarmHostSources, SleepsOnAFullDiskThoughAWebSeedCouldBeAsked) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 2'000'000});
  Host& getter = world.add("10.0.0.3:6000");
  serve_web(world, shared, "http://web/data");
  auto options = options_for(getter, shared);
  options.web_seeds = {"http://web/data"};
  options.limit_down_bytes_per_s = 100'000;
  getter.disk_room_bytes = 300'000;
  boot(getter, std::move(options));
  world.run_for(30s);
  ASSERT_TRUE(getter.is_running());
  getter.disk_room_bytes.reset();
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 60s));
  EXPECT_TRUE(shared.is_whole_at(getter));
}

TEST(SwarmHostSources, LeavesAWebSeedAloneWhilePeersAreFast) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 60'000'000, .piece_bytes = 256 * 1024});
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared, [](auto& giving) { giving.limit_up_bytes_per_s = 4'000'000; });
  serve_web(world, shared, "http://web/data");
  auto options = download_from(getter, shared, {seed.listening()});
  options.web_seeds = {"http://web/data"};
  boot(getter, std::move(options));
  world.run_for(2s);  // by then it is known how fast they are
  const std::uint64_t before = getter.fetches();
  world.run_for(5s);
  EXPECT_EQ(getter.fetches(), before);
}

TEST(SwarmHostSources, GoesOnWithoutAWebSeedThatIsBroken) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  boot_seed(seed, shared);
  world.on_fetch = [](const seam::Fetch&) { return std::optional(seam::Fetched{.status = 500}); };
  auto options = download_from(getter, shared, {seed.listening()});
  options.web_seeds = {"http://web/data"};
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 60s));
  EXPECT_TRUE(shared.is_whole_at(getter));
}

base::Bytes with_a_flipped_bit(base::Bytes piece) {
  piece.at(piece.size() / 2) ^= std::byte{1};
  return piece;
}

TEST(SwarmHostSources, BansWhoGivesWrongBytesAndGetsItAllFromOthers) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 4'000'000});
  Host& liar = world.add("10.0.0.9:6000");
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  liar.bends_piece = with_a_flipped_bit;
  boot_seed(liar, shared);
  boot_seed(seed, shared);
  boot(getter, download_from(getter, shared, {liar.listening(), seed.listening()}));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
  EXPECT_EQ(getter.finish()->result, Result::done);
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_TRUE(getter.has_noted("10.0.0.9 gave wrong bytes"));
  EXPECT_FALSE(getter.has_noted("10.0.0.1 gave wrong bytes"));
}

TEST(SwarmHostSources, WhoGivesABlockAndHangsUpAgainAndAgainSpoilsLittle) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 8'000'000, .piece_bytes = 1024 * 1024});
  Host& liar = world.add("10.0.0.9:6000");
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  liar.bends_piece = [](base::Bytes piece) {
    for (std::byte& each : piece) each ^= std::byte{1};
    return piece;
  };
  shared.give_all(liar);
  boot_seed(seed, shared, [](auto& giving) { giving.limit_up_bytes_per_s = 1'000'000; });
  boot(getter, download_from(getter, shared, {seed.listening()}));
  world.run_for(500ms);
  int visits = 0;
  while (!getter.finish() && visits < 100) {
    auto lying = download_from(liar, shared, {getter.listening()});
    lying.gives_after_done = true;
    lying.peer_id[19] = static_cast<std::byte>(++visits);
    const std::uint64_t given = liar.given_bytes();
    boot(liar, std::move(lying));
    world.run_until([&] { return getter.finish() || liar.given_bytes() > given; }, 2s);
    liar.kill();
    world.run_for(10ms);
  }
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 60s));
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_GT(visits, 20);
  const auto pieces = getter.traces<seam::PieceTrace>();
  const auto is_wrong = [](const auto& piece) { return piece.what == seam::PieceTrace::What::mismatched; };
  EXPECT_LE(std::ranges::count_if(pieces, is_wrong), 3);
  EXPECT_FALSE(getter.has_noted("10.0.0.1 gave wrong bytes"));
}

// As a cache does that leaves the range out of its keys.
TEST(SwarmHostSources, SuspectsNobodyWhenAWebSeedAnswersAnotherRangeAndSaysSo) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& getter = world.add("10.0.0.2:6000");
  serve_web(world, shared, "http://web/data");
  int strayed = 0;
  world.on_fetch = [&strayed, honest = world.on_fetch](const seam::Fetch& fetch) {
    if (strayed == 2) return honest(fetch);
    ++strayed;
    seam::Fetch other = fetch;
    const auto asked = honest(fetch)->range.value();
    const std::uint64_t shift = asked.first == 0 ? 1 : -1ull;
    other.headers = {{"Range", fmt::format("bytes={}-{}", asked.first + shift, asked.last + shift)}};
    return honest(other);
  };
  auto options = options_for(getter, shared);
  options.web_seeds = {"http://web/data"};
  boot(getter, std::move(options));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 60s));
  EXPECT_EQ(getter.finish()->result, Result::done);
  EXPECT_EQ(strayed, 2);
  EXPECT_FALSE(getter.has_noted("gave wrong bytes"));
  for (const auto& piece : getter.traces<seam::PieceTrace>()) {
    EXPECT_NE(piece.what, seam::PieceTrace::What::mismatched);
  }
}

TEST(SwarmHostSources, AsksAWebSeedNoMoreThatGivesWrongBytes) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  serve_web(world, shared, "http://web/data");
  world.on_fetch = [honest = world.on_fetch](const seam::Fetch& fetch) {
    auto answer = honest(fetch);
    if (answer) {
      for (std::byte& each : answer->body) each ^= std::byte{1};
    }
    return answer;
  };
  auto options = options_for(getter, shared);
  options.web_seeds = {"http://web/data"};
  boot(getter, std::move(options));
  world.run_for(10s);
  ASSERT_TRUE(getter.is_running());
  EXPECT_TRUE(getter.has_noted("http://web/data is not asked any more: it gave wrong bytes"));
  const auto told = getter.traces<seam::SourceTrace>();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].status, seam::SourceStatus::ready);
  EXPECT_EQ(told[1].status, seam::SourceStatus::gone);
  EXPECT_EQ(told[1].reason, "it gave wrong bytes");
  for (const auto& trace : told) EXPECT_EQ(trace.url, "http://web/data");
  const std::uint64_t fetches = getter.fetches();
  // Somebody honest comes by.
  shared.give_all(seed);
  auto meets = options_for(seed, shared);
  meets.peers = {getter.listening()};
  meets.gives_after_done = true;
  boot(seed, std::move(meets));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 60s));
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_EQ(getter.fetches(), fetches);
}

TEST(SwarmHostSources, NeverMeetsABannedHostAgain) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& liar = world.add("10.0.0.9:6000");
  Host& getter = world.add("10.0.0.2:6000");
  liar.bends_piece = with_a_flipped_bit;
  shared.give_all(liar);
  auto lying = download_from(liar, shared, {getter.listening()});  // it dials, too
  lying.gives_after_done = true;
  boot(liar, std::move(lying));
  boot(getter, download_from(getter, shared, {liar.listening()}));
  world.run_for(60s);
  ASSERT_TRUE(getter.has_noted("10.0.0.9 gave wrong bytes"));
  const int dials = world.dials[liar.listening()];
  world.run_for(300s);
  EXPECT_EQ(world.dials[liar.listening()], dials);
  EXPECT_EQ(getter.connections(), 0u);
}

TEST(SwarmHostSources, ForgivesACoursePeerTwoDamagedChunks) {
  SwarmWorld world;
  const SharedTorrent shared;
  Host& damaged = world.add("10.0.0.9:6000");
  Host& seed = world.add("10.0.0.1:6000");
  Host& getter = world.add("10.0.0.2:6000");
  int left = 2;
  damaged.bends_piece = [&left](base::Bytes piece) {
    return left-- > 0 ? with_a_flipped_bit(std::move(piece)) : piece;
  };
  boot_course_peer(damaged, shared, 0, shared.count());
  boot_seed(seed, shared, [](auto& giving) { giving.limit_up_bytes_per_s = 200'000; });
  boot(getter, download_from(getter, shared, {damaged.listening(), seed.listening()}));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 120s));
  EXPECT_TRUE(shared.is_whole_at(getter));
  EXPECT_FALSE(getter.has_noted("10.0.0.9 gave wrong bytes"));
}

TEST(SwarmHostSources, TellsWhoAsksForAPieceThatCannotBeReadAnyMore) {
  SwarmWorld world;
  const SharedTorrent shared({.total_bytes = 400'000,
                              .piece_bytes = 16 * 1024,
                              .files = {{.path = {"a.txt"}, .offset_bytes = 0, .size_bytes = 40'000},
                                        {.path = {"b.txt"}, .offset_bytes = 40'000, .size_bytes = 360'000}}});
  Host& seed = world.add("10.0.0.1:6000");
  Host& other = world.add("10.0.0.3:6000");
  Host& getter = world.add("10.0.0.2:6000");
  seed.hidden.insert(shared.torrent.manifest.pieces.at(3));
  boot_seed(seed, shared);
  boot(getter, download_from(getter, shared, {seed.listening()}));
  world.run_for(20s);
  EXPECT_TRUE(seed.has_noted("(of b.txt) and perhaps others were changed"));
  EXPECT_TRUE(getter.is_running());
  // Whoever has it gives it.
  shared.give(other, 3, 4);
  boot(other, download_from(other, shared, {getter.listening()}));
  ASSERT_TRUE(world.run_until([&] { return getter.finish().has_value(); }, 60s));
  EXPECT_TRUE(shared.is_whole_at(getter));
}

}  // namespace
}  // namespace shoal::testing
