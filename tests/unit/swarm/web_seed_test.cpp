#include "swarm/web_seed.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "unit/swarm/web_seed_fixture.hpp"

namespace shoal::swarm::test {
namespace {

TEST(WebSeed, AsksForTheRangeOfARunAndGivesItWhole) {
  Seeding seeding(one_file(3 * kPieceBytes + 100));
  seeding.files["http://host/file"] = content_of(3 * kPieceBytes + 100);
  const wire::BlockRange run = run_of(1, wire::kBlockBytes, 2 * wire::kBlockBytes);
  ASSERT_TRUE(seeding.seed.has_room(kStart));
  seeding.seed.request(run, kStart);
  const auto fetches = seeding.take_fetches();
  ASSERT_EQ(fetches.size(), 1u);
  EXPECT_EQ(fetches[0].url, "http://host/file");
  EXPECT_EQ(range_of(fetches[0]), (Range{kPieceBytes + wire::kBlockBytes, kPieceBytes + 3 * wire::kBlockBytes - 1}));
  seeding.answer_all();
  const auto seen = seeding.take_seen();
  ASSERT_EQ(seen.arrived.size(), 1u);
  EXPECT_TRUE(seen.arrived.at(run) ==
              content_of(3 * kPieceBytes + 100).substr(kPieceBytes + wire::kBlockBytes, run.size_bytes));
  EXPECT_TRUE(seen.released.empty());
}

TEST(WebSeed, ReadsTheLastShortPiece) {
  Seeding seeding(one_file(kPieceBytes + 100));
  seeding.files["http://host/file"] = content_of(kPieceBytes + 100);
  seeding.seed.request(run_of(1, 0, 100), kStart);
  seeding.answer_all();
  EXPECT_TRUE(seeding.take_seen().arrived.at(run_of(1, 0, 100)) == content_of(kPieceBytes + 100).substr(kPieceBytes));
}

TEST(WebSeed, NamesItsFetchesFromItsOwnNumbers) {
  Seeding seeding(one_file(8 * kPieceBytes));
  for (std::uint32_t i = 0; i < 3; ++i) seeding.seed.request(run_of(i, 0, kPieceBytes), kStart);
  std::vector<std::uint64_t> ids;
  for (const seam::Fetch& fetch : seeding.take_fetches()) ids.push_back(fetch.fetch.value);
  EXPECT_EQ(ids, (std::vector<std::uint64_t>{7, 10, 13}));
  EXPECT_FALSE(seeding.seed.on_event(seam::FetchFailed{seam::FetchId(8), ""}, kStart));
  EXPECT_FALSE(seeding.seed.on_event(seam::Fetched{seam::FetchId(16), 200, {}}, kStart));
  EXPECT_FALSE(seeding.seed.on_event(seam::DeadlineReached{}, kStart));
}

TEST(WebSeed, HasRoomForAFewFetchesAtOnce) {
  Seeding seeding(one_file(8 * kPieceBytes));
  for (std::uint32_t i = 0; i < kFetchesAtOnce; ++i) {
    EXPECT_TRUE(seeding.seed.has_room(kStart));
    seeding.seed.request(run_of(i, 0, kPieceBytes), kStart);
  }
  EXPECT_FALSE(seeding.seed.has_room(kStart));
  seeding.take_fetches();
  seeding.answer(seeding.open.begin()->first, 206, content_of(kPieceBytes));
  EXPECT_TRUE(seeding.seed.has_room(kStart));
}

TEST(WebSeed, AppendsTheNameWhereTheUrlIsAFolder) {
  Seeding seeding(one_file(kPieceBytes), "https://host/pub/");
  seeding.seed.request(run_of(0, 0, kPieceBytes), kStart);
  EXPECT_EQ(seeding.take_fetches().at(0).url, "https://host/pub/the%20share");
}

TEST(WebSeed, FindsTheFilesOfAFolder) {
  for (const std::string url : {"http://host/pub", "http://host/pub/"}) {
    Seeding seeding(manifest_of({{.path = {"a b", "x&y?.txt"}, .size_bytes = kPieceBytes}}, true), url);
    seeding.seed.request(run_of(0, 0, kPieceBytes), kStart);
    EXPECT_EQ(seeding.take_fetches().at(0).url, "http://host/pub/the%20share/a%20b/x%26y%3F.txt");
  }
}

TEST(WebSeed, PutsARunTogetherFromItsFilesInAnyOrder) {
  constexpr std::uint32_t kFiles = 13;
  constexpr std::uint32_t kFileBytes = kPieceBytes / 10;
  std::vector<metainfo::FileEntry> entries;
  for (std::uint32_t i = 0; i < kFiles; ++i) {
    entries.push_back({.path = {std::to_string(i)}, .size_bytes = kFileBytes});
    entries.push_back({.path = {"empty" + std::to_string(i)}, .size_bytes = 0});
  }
  Seeding seeding(manifest_of(entries, true), "http://host/");
  std::string whole;
  for (std::uint32_t i = 0; i < kFiles; ++i) {
    const std::string bytes = content_of(kFileBytes, i);
    seeding.files["http://host/the%20share/" + std::to_string(i)] = bytes;
    whole += bytes;
  }
  const wire::BlockRange run = run_of(0, wire::kBlockBytes, 2 * wire::kBlockBytes);
  seeding.seed.request(run, kStart);
  seeding.take_fetches();
  EXPECT_EQ(seeding.open.size(), kFetchesAtOnce);
  seeding.answer_all();
  EXPECT_TRUE(seeding.take_seen().arrived.at(run) == whole.substr(wire::kBlockBytes, run.size_bytes));
}

TEST(WebSeed, KnowsThatPaddingIsZeros) {
  Seeding seeding(
      manifest_of({{.path = {"a"}, .size_bytes = 1000},
                   {.path = {".pad", "1"}, .size_bytes = kPieceBytes + wire::kBlockBytes - 1000, .is_padding = true},
                   {.path = {"b"}, .size_bytes = wire::kBlockBytes}},
                  true),
      "http://host/");
  seeding.files["http://host/the%20share/a"] = content_of(1000, 1);
  seeding.files["http://host/the%20share/b"] = content_of(wire::kBlockBytes, 2);
  const wire::BlockRange first = run_of(0, 0, wire::kBlockBytes);
  const wire::BlockRange padding = run_of(0, wire::kBlockBytes, wire::kBlockBytes);
  const wire::BlockRange second = run_of(1, 0, 2 * wire::kBlockBytes);
  for (const wire::BlockRange& run : {first, padding, second}) seeding.seed.request(run, kStart);
  seeding.answer_all();
  auto seen = seeding.take_seen();
  EXPECT_TRUE(seen.arrived.at(first) == content_of(1000, 1) + std::string(wire::kBlockBytes - 1000, '\0'));
  EXPECT_TRUE(seen.arrived.at(padding) == std::string(wire::kBlockBytes, '\0'));
  EXPECT_TRUE(seen.arrived.at(second) == std::string(wire::kBlockBytes, '\0') + content_of(wire::kBlockBytes, 2));
}

TEST(WebSeed, TakesAWholeSmallFileFromAServerWithoutRanges) {
  Seeding seeding(one_file(2 * kPieceBytes));
  const std::string file = content_of(2 * kPieceBytes);
  const wire::BlockRange run = run_of(1, wire::kBlockBytes, wire::kBlockBytes);
  seeding.seed.request(run, kStart);
  EXPECT_EQ(seeding.take_fetches().at(0).reply_bytes_max, file.size());
  seeding.answer(seeding.open.begin()->first, 200, file);
  EXPECT_TRUE(seeding.take_seen().arrived.at(run) == file.substr(kPieceBytes + wire::kBlockBytes, run.size_bytes));
}

TEST(WebSeed, DoesNotLoadAWholeBigFileForARun) {
  Seeding seeding(one_file(1000 * kPieceBytes));
  seeding.seed.request(run_of(3, 0, kPieceBytes), kStart);
  EXPECT_EQ(seeding.take_fetches().at(0).reply_bytes_max, kPieceBytes);
}

// A cache that asks its own server anew may leave out the range once, of whatever is asked of it meanwhile.
TEST(WebSeed, EndsWhenAServerSendsAllOfABigFileInsteadOfARangeAgain) {
  Seeding seeding(one_file(1000 * kPieceBytes));
  for (std::uint32_t i = 0; i < kFetchesAtOnce; ++i) seeding.seed.request(run_of(i, 0, kPieceBytes), kStart);
  seeding.take_fetches();
  while (!seeding.open.empty()) seeding.fail(seeding.open.begin()->first, 200);
  EXPECT_EQ(seeding.take_seen().ended, std::nullopt);
  seeding.now = *seeding.seed.next_deadline();
  seeding.seed.on_deadline(seeding.now);
  seeding.fail_next(200);
  EXPECT_NE(seeding.take_seen().ended.value_or("").find("does not answer ranges"), std::string::npos);
}

TEST(WebSeed, TriesAgainWhereAServerThatGaveRangesSendsAllAndBreaksOff) {
  Seeding seeding(one_file(1000 * kPieceBytes));
  seeding.seed.request(run_of(3, 0, kPieceBytes), kStart);
  seeding.take_fetches();
  seeding.answer(seeding.open.begin()->first, 206, content_of(kPieceBytes));
  for (int failure = 0; failure < 2; ++failure) {
    seeding.fail_next(200);
    EXPECT_EQ(seeding.take_seen().ended, std::nullopt);
    ASSERT_TRUE(seeding.seed.next_deadline().has_value());
    seeding.now = *seeding.seed.next_deadline();
    seeding.seed.on_deadline(seeding.now);
  }
}

TEST(WebSeed, TriesASmallFileAgainThatBreaksOff) {
  Seeding seeding(one_file(2 * kPieceBytes));
  seeding.fail_next(200);
  EXPECT_EQ(seeding.take_seen().ended, std::nullopt);
  EXPECT_TRUE(seeding.seed.next_deadline().has_value());
}

TEST(WebSeed, RefusesAnAnswerThatIsNotWhatWasAskedFor) {
  const std::string block = content_of(wire::kBlockBytes);
  const std::vector<std::pair<int, std::string>> wrong{{206, block + "x"}, {206, block.substr(1)},
                                                       {206, ""},          {200, block},
                                                       {403, block},       {503, ""},
                                                       {302, ""},          {304, ""},
                                                       {204, ""}};
  for (const auto& [status, body] : wrong) {
    Seeding seeding(one_file(8 * kPieceBytes));
    seeding.answer_next(status, body);
    const auto seen = seeding.take_seen();
    EXPECT_TRUE(seen.arrived.empty()) << status;
    EXPECT_EQ(seen.released, std::vector<wire::BlockRange>{run_of(0, 0, wire::kBlockBytes)}) << status;
    EXPECT_FALSE(seeding.seed.has_room(seeding.now)) << status;
  }
}

// A cache may give another part than was asked for, of the same length: nobody gave wrong bytes who says so.
TEST(WebSeed, TakesNoBytesOfAnotherRangeThanItAskedForAndTellsBoth) {
  constexpr std::uint64_t kFirst = kPieceBytes + wire::kBlockBytes;
  constexpr std::uint64_t kLast = kFirst + wire::kBlockBytes - 1;
  for (const Range range : {Range{kFirst - 1, kLast - 1}, Range{kFirst, kLast + 1}, Range{0, wire::kBlockBytes - 1}}) {
    Seeding seeding(one_file(8 * kPieceBytes));
    const wire::BlockRange run = run_of(1, wire::kBlockBytes, wire::kBlockBytes);
    seeding.seed.request(run, kStart);
    seeding.take_fetches();
    seeding.answer(seeding.open.begin()->first, 206, content_of(wire::kBlockBytes), range);
    const auto seen = seeding.take_seen();
    EXPECT_TRUE(seen.arrived.empty());
    EXPECT_EQ(seen.released, std::vector<wire::BlockRange>{run});
    EXPECT_EQ(seen.ended, std::nullopt);
    EXPECT_EQ(seeding.seed.next_deadline(), kStart + kWebSeedPauseFirst);
    for (const Range told : {Range{kFirst, kLast}, range}) {
      EXPECT_NE(seeding.noted.find(std::to_string(told.first) + "-" + std::to_string(told.last)), std::string::npos)
          << seeding.noted;
    }
  }
}

TEST(WebSeed, TakesNoPartThatDoesNotSayWhichItIs) {
  Seeding seeding(one_file(8 * kPieceBytes));
  seeding.seed.request(run_of(0, 0, wire::kBlockBytes), kStart);
  seeding.take_fetches();
  seeding.answer(seeding.open.begin()->first, 206, content_of(wire::kBlockBytes), std::nullopt);
  EXPECT_TRUE(seeding.take_seen().arrived.empty());
  EXPECT_FALSE(seeding.seed.has_room(kStart));
  EXPECT_NE(seeding.noted.find("does not say which"), std::string::npos) << seeding.noted;
}

TEST(WebSeed, TellsWhatTheServerLacksAndAsksForOtherThings) {
  for (const int status : {404, 410, 416}) {
    Seeding seeding(one_file(8 * kPieceBytes));
    seeding.answer_next(status, "not here");
    const auto seen = seeding.take_seen();
    EXPECT_EQ(seen.released, std::vector<wire::BlockRange>{run_of(0, 0, wire::kBlockBytes)}) << status;
    EXPECT_EQ(seen.lacking, seen.released) << status;
    EXPECT_TRUE(seeding.seed.has_room(seeding.now)) << status;
  }
}

TEST(WebSeed, EndsWithAServerThatLacksEverythingAndKeepsOneThatLacksALot) {
  for (const bool has_something : {false, true}) {
    Seeding seeding(one_file(8 * kPieceBytes));
    if (has_something) seeding.answer_next(206, content_of(wire::kBlockBytes));
    for (int i = 0; i < kWebSeedLackingMax - 1; ++i) seeding.answer_next(404, "");
    EXPECT_FALSE(seeding.take_seen().ended.has_value());
    seeding.answer_next(404, "");
    EXPECT_EQ(seeding.take_seen().ended.has_value(), !has_something);
  }
}

TEST(WebSeed, PausesLongerAfterEachFailureAndEndsAfterSeveral) {
  Seeding seeding(one_file(8 * kPieceBytes));
  base::Duration pause = kWebSeedPauseFirst;
  for (int failure = 1; failure < kWebSeedFailuresMax; ++failure) {
    seeding.answer_next(500, "");
    EXPECT_FALSE(seeding.take_seen().ended.has_value());
    EXPECT_EQ(seeding.notes, failure);
    EXPECT_EQ(seeding.seed.next_deadline(), seeding.now + pause);
    EXPECT_FALSE(seeding.seed.has_room(seeding.now + pause - 1ns));
    seeding.now += pause;
    seeding.seed.on_deadline(seeding.now);
    EXPECT_EQ(seeding.seed.next_deadline(), std::nullopt);
    ASSERT_TRUE(seeding.seed.has_room(seeding.now));
    pause *= 2;
  }
  seeding.answer_next(500, "");
  const auto seen = seeding.take_seen();
  ASSERT_TRUE(seen.ended.has_value());
  EXPECT_NE(seen.ended->find("500"), std::string::npos);
  EXPECT_NE(seen.ended->find("http://host/file"), std::string::npos);
  EXPECT_FALSE(seeding.seed.has_room(seeding.now + 1h));
  EXPECT_EQ(seeding.seed.next_deadline(), std::nullopt);
}

TEST(WebSeed, ForgetsFailuresOnceSomethingArrives) {
  Seeding seeding(one_file(8 * kPieceBytes));
  for (int round = 0; round < 3; ++round) {
    for (int failure = 1; failure < kWebSeedFailuresMax; ++failure) {
      seeding.answer_next(500, "");
      seeding.now += 1h;
      seeding.seed.on_deadline(seeding.now);
    }
    seeding.answer_next(206, content_of(wire::kBlockBytes));
    EXPECT_FALSE(seeding.take_seen().ended.has_value());
  }
}

TEST(WebSeed, CountsOneOutageOnceThoughSeveralFetchesMetIt) {
  Seeding seeding(one_file(8 * kPieceBytes));
  for (std::uint32_t i = 0; i < kFetchesAtOnce; ++i) seeding.seed.request(run_of(i, 0, kPieceBytes), kStart);
  seeding.take_fetches();
  seeding.now += 1s;
  while (!seeding.open.empty()) seeding.fail(seeding.open.begin()->first);
  EXPECT_EQ(seeding.take_seen().released.size(), kFetchesAtOnce);
  EXPECT_EQ(seeding.seed.next_deadline(), seeding.now + kWebSeedPauseFirst);
}

TEST(WebSeed, CancelsEveryFetchOfARunThatIsNotNeededAnyMore) {
  Seeding seeding(manifest_of({{.path = {"a"}, .size_bytes = wire::kBlockBytes},
                               {.path = {"b"}, .size_bytes = 3 * wire::kBlockBytes},
                               {.path = {"c"}, .size_bytes = kPieceBytes}},
                              true));
  const wire::BlockRange run = run_of(0, 0, kPieceBytes);
  const wire::BlockRange other = run_of(1, 0, kPieceBytes);
  seeding.seed.request(run, kStart);
  seeding.seed.request(other, kStart);
  seeding.take_fetches();
  EXPECT_EQ(seeding.open.size(), 3u);
  seeding.seed.cancel(run, seeding.now);
  seeding.take_fetches();
  EXPECT_EQ(seeding.open.size(), 1u);
  EXPECT_EQ(seeding.take_seen().released, std::vector<wire::BlockRange>{run});
  seeding.seed.cancel(run, seeding.now);
  EXPECT_TRUE(seeding.take_seen().released.empty());
}

TEST(WebSeed, CancelsEveryRunThatLiesInWhatIsCancelled) {
  Seeding seeding(one_file(8 * kPieceBytes));
  const std::vector<wire::BlockRange> halves{run_of(0, 0, 2 * wire::kBlockBytes),
                                             run_of(0, 2 * wire::kBlockBytes, 2 * wire::kBlockBytes)};
  for (const wire::BlockRange& half : halves) seeding.seed.request(half, kStart);
  seeding.seed.request(run_of(1, 0, kPieceBytes), kStart);
  seeding.take_fetches();
  seeding.seed.cancel(run_of(0, 0, kPieceBytes), seeding.now);
  seeding.take_fetches();
  EXPECT_EQ(seeding.open.size(), 1u);
  EXPECT_EQ(seeding.take_seen().released, halves);
}

TEST(WebSeed, ReleasesEverythingWhenItIsStopped) {
  Seeding seeding(one_file(8 * kPieceBytes));
  for (std::uint32_t i = 0; i < 3; ++i) seeding.seed.request(run_of(i, 0, kPieceBytes), kStart);
  seeding.take_fetches();
  seeding.seed.stop();
  seeding.take_fetches();
  EXPECT_TRUE(seeding.open.empty());
  EXPECT_EQ(seeding.take_seen().released.size(), 3u);
  seeding.seed.request(run_of(5, 0, kPieceBytes), kStart);
  EXPECT_EQ(seeding.take_seen().released, std::vector<wire::BlockRange>{run_of(5, 0, kPieceBytes)});
}

TEST(WebSeed, KeepsWhatArrivedUntilABufferIsFree) {
  Seeding seeding(one_file(8 * kPieceBytes));
  seeding.files["http://host/file"] = content_of(8 * kPieceBytes);
  std::vector<base::Buffer> taken;
  while (seeding.buffers.available() > 0) taken.push_back(std::move(*seeding.buffers.take()));
  for (std::uint32_t i = 0; i < kFetchesAtOnce; ++i) seeding.seed.request(run_of(i, 0, kPieceBytes), kStart);
  seeding.answer_all();
  EXPECT_TRUE(seeding.take_seen().arrived.empty());
  EXPECT_FALSE(seeding.seed.has_room(kStart));

  const auto retry = seeding.seed.next_deadline();
  ASSERT_TRUE(retry.has_value());
  EXPECT_GT(*retry, kStart);
  taken.resize(taken.size() - 1);
  seeding.seed.on_deadline(*retry);
  EXPECT_EQ(seeding.take_seen().arrived.size(), 1u);
  seeding.seed.cancel(run_of(1, 0, kPieceBytes), seeding.now);
  EXPECT_EQ(seeding.take_seen().released, std::vector<wire::BlockRange>{run_of(1, 0, kPieceBytes)});
  taken.clear();
  seeding.seed.on_deadline(*seeding.seed.next_deadline());
  EXPECT_EQ(seeding.take_seen().arrived.size(), 2u);
  EXPECT_EQ(seeding.seed.next_deadline(), std::nullopt);
}

TEST(WebSeed, GivesALongRunInSlicesOfTheBuffers) {
  const metainfo::Manifest manifest = one_file(4 * kPieceBytes);
  base::BufferPool small(wire::kBlockBytes + 100, 2);
  WebSeed seed({.url = "http://host/file"}, manifest, small);
  seed.request(run_of(1, 0, kPieceBytes), kStart);
  const std::string bytes = content_of(kPieceBytes);
  const base::ByteView view = base::view_of(bytes);
  const Range range{kPieceBytes, 2 * kPieceBytes - 1};
  EXPECT_TRUE(seed.on_event(seam::Fetched{seam::FetchId(0), 206, {view.begin(), view.end()}, range}, kStart));
  std::string together;
  base::Instant now = kStart;
  while (together.size() < bytes.size()) {
    std::vector<WebSeedEvent> events = seed.take_events();
    ASSERT_FALSE(events.empty());
    for (const WebSeedEvent& event : events) {
      const auto& run = std::get<RunArrived>(event);
      EXPECT_EQ(run.part.offset_bytes, together.size());
      together += base::text_of(base::ByteView(run.buffer.bytes()).first(run.part.size_bytes));
    }
    events.clear();
    now += 1s;
    seed.on_deadline(now);
  }
  EXPECT_TRUE(together == bytes);
}

TEST(WebSeed, MeasuresItsRate) {
  Seeding seeding(one_file(1000 * kPieceBytes));
  EXPECT_EQ(seeding.seed.rate_bytes_per_s(kStart), 0);
  for (std::uint32_t i = 0; i < 100; ++i) {
    seeding.seed.request(run_of(i, 0, kPieceBytes), seeding.now);
    seeding.take_fetches();
    seeding.now += 100ms;
    seeding.answer(seeding.open.begin()->first, 206, content_of(kPieceBytes));
    seeding.take_seen();
  }
  EXPECT_NEAR(seeding.seed.rate_bytes_per_s(seeding.now), 10.0 * kPieceBytes, kPieceBytes);
}

}  // namespace
}  // namespace shoal::swarm::test
