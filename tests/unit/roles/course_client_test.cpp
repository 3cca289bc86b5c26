// The course client among hosts that behave (course-protocol section 3).
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "roles/course_client.hpp"
#include "unit/support/client_world.hpp"
#include "unit/support/course_hosts.hpp"

namespace shoal::roles {
namespace {

using namespace std::chrono_literals;
using namespace shoal::testing;  // NOLINT: the world these tests are about
using base::PieceIndex;
using Result = seam::Finish::Result;

TEST(CourseClient, GetsTheFileFromItsOwners) {
  const Shared shared;
  ClientWorld world(step_1(shared));
  make_honest(world.host(kAlice), {shared.chunks[0], shared.chunks[1]});
  make_honest(world.host(kBob), {shared.chunks[1], shared.chunks[2]});
  const auto& finish = world.run();
  EXPECT_EQ(finish.result, Result::done) << finish.message;
  EXPECT_EQ(finish.path, "out/hello.txt");
  EXPECT_EQ(world.file(), shared.whole());
  EXPECT_EQ(world.host(kAlice).dials, 1);
  EXPECT_EQ(world.host(kBob).dials, 1);
  EXPECT_EQ(world.host(kAlice).messages.size() + world.host(kBob).messages.size(), 3u);
}

TEST(CourseClient, GetsTheFileAlsoWhenReadsAreSplitAnywhere) {
  const Shared shared;
  for (std::size_t read_bytes_max = 1; read_bytes_max <= 50; ++read_bytes_max) {
    ClientWorld world(step_2());
    world.read_bytes_max = read_bytes_max;
    make_tracker(world.host(kTracker), shared.info());
    make_honest(world.host(kAlice), shared.chunks, course::kPipeliningBit);
    make_honest(world.host(kBob), shared.chunks);
    EXPECT_EQ(world.run().result, Result::done);
    EXPECT_EQ(world.file(), shared.whole()) << read_bytes_max;
  }
}

TEST(CourseClient, MakesAnEmptyFileWithoutContactingAnybody) {
  ClientWorld world(step_1({.chunks = {}, .owners = {}, .name = "empty"}));
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_TRUE(world.was_store_finished);
}

TEST(CourseClient, ContactsNobodyWhenAllChunksAreThere) {
  const Shared shared;
  ClientWorld world(step_1(shared));
  world.held = shared.chunks;
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.host(kAlice).dials + world.host(kBob).dials, 0);
  EXPECT_EQ(world.traces<seam::ManifestTrace>().at(0).pieces_held, 3u);
}

TEST(CourseClient, AsksOnlyForWhatIsMissing) {
  const Shared shared;
  ClientWorld world(step_1(shared));
  world.held = {shared.chunks[0], shared.chunks[2]};
  make_honest(world.host(kAlice), shared.chunks);
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.host(kAlice).messages.size() + world.host(kBob).messages.size(), 1u);
}

TEST(CourseClient, AsksOnceForChunksThatAreEqual) {
  const Shared shared{.chunks = {"same", "other", "same", "same"}, .owners = {{kAlice}, {kBob}, {kBob}, {}}};
  ClientWorld world(step_1(shared));
  make_honest(world.host(kAlice), {"same"});
  make_honest(world.host(kBob), {"same", "other"});
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
  EXPECT_EQ(world.host(kAlice).messages.size() + world.host(kBob).messages.size(), 2u);
}

TEST(CourseClient, GetsChunksOfZeroBytes) {
  const Shared shared{.chunks = {"", "x"}, .owners = {{kAlice}, {kAlice}}};
  ClientWorld world(step_1(shared));
  make_honest(world.host(kAlice), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), "x");
}

TEST(CourseClient, GetsThousandsOfTinyChunksWithFewBuffers) {
  Shared shared{.chunks = {}, .owners = {}};
  for (int i = 0; i < 3000; ++i) {
    shared.chunks.push_back(std::to_string(i));
    shared.owners.push_back({kAlice, kBob});
  }
  ClientWorld world(step_1(shared), 4096, 2);
  world.store_delay = 1ms;
  make_honest(world.host(kAlice), shared.chunks, course::kPipeliningBit);
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
  EXPECT_EQ(world.buffers_in_use(), 0u);
}

TEST(CourseClient, GetsChunksThatAreBiggerThanAllBuffers) {
  const Shared shared{.chunks = {std::string(100'000, 'a'), std::string(77'777, 'b')}, .owners = {{kAlice}, {kBob}}};
  ClientWorld world(step_1(shared), 8192, 3);
  world.store_delay = 1ms;
  make_honest(world.host(kAlice), shared.chunks);
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
}

TEST(CourseClient, PipelinesOnlyWhereItIsWelcome) {
  Shared shared{.chunks = {}, .owners = {}};
  for (int i = 0; i < 40; ++i) {
    shared.chunks.push_back(std::to_string(i));
    shared.owners.push_back({i % 2 == 0 ? kAlice : kBob});
  }
  ClientWorld world(step_1(shared));
  struct Load {
    int now = 0;
    int most = 0;
  } alice, bob;
  const auto count = [&](Load& load, std::uint16_t reserved) {
    return [&, reserved](Link& link, const Bytes& message) {
      load.most = std::max(load.most, ++load.now);
      world.after(10ms, [&, message, reserved] {
        --load.now;
        answer_honestly(link, message, shared.chunks, reserved);
      });
    };
  };
  world.host(kAlice).on_message = count(alice, course::kPipeliningBit);
  world.host(kBob).on_message = count(bob, 0);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_GT(alice.most, 1);
  EXPECT_EQ(bob.most, 1);
}

TEST(CourseClient, AsksPeersNobodyListed) {
  const Shared shared{.chunks = {"one"}, .owners = {{}}};
  CourseClientOptions options = step_1(shared);
  options.extra_peers = {endpoint(kBob)};
  ClientWorld world(std::move(options));
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
}

TEST(CourseClient, EndsWhenTheDiskIsFull) {
  const Shared shared;
  ClientWorld world(step_1(shared));
  world.store_error = seam::StoreError{seam::StoreErrorKind::disk_full, "disk full"};
  make_honest(world.host(kAlice), shared.chunks);
  make_honest(world.host(kBob), shared.chunks);
  const auto& finish = world.run();
  EXPECT_EQ(finish.result, Result::disk);
  EXPECT_EQ(finish.message, "disk full");
}

TEST(CourseClient, EndsWhenItIsInterruptedAndAsksNothingMore) {
  const Shared shared;
  ClientWorld world(step_1(shared));
  world.after(10ms, [&] { world.feed(seam::StopRequested{}); });
  make_honest(world.host(kAlice), shared.chunks, 0, 1s);
  make_honest(world.host(kBob), shared.chunks, 0, 1s);
  EXPECT_EQ(world.run().result, Result::interrupted);
  EXPECT_LT(world.elapsed(), 100ms);
}

TEST(CourseClient, TellsAboutMessagesSourcesAndPieces) {
  const Shared shared;
  ClientWorld world(step_2());
  make_tracker(world.host(kTracker), shared.info());
  make_honest(world.host(kAlice), shared.chunks);
  make_honest(world.host(kBob), shared.chunks);
  world.run();
  std::multiset<std::string> messages;
  for (const auto& trace : world.traces<seam::MessageTrace>()) messages.insert(trace.message);
  EXPECT_EQ(messages.count("GET_FILE_INFO"), 1u);
  EXPECT_EQ(messages.count("FILE_INFO"), 1u);
  EXPECT_EQ(messages.count("GET_CHUNK"), 3u);
  EXPECT_EQ(messages.count("CHUNK"), 3u);
  std::uint64_t payload = 0;
  for (const auto& trace : world.traces<seam::PayloadTrace>()) payload += trace.bytes;
  EXPECT_EQ(payload, shared.whole().size());
  const auto pieces = world.traces<seam::PieceTrace>();
  EXPECT_EQ(std::ranges::count(pieces, seam::PieceTrace::What::verified, &seam::PieceTrace::what), 3);
}

}  // namespace
}  // namespace shoal::roles
