// Steps 2 and 3: trackers, and what they say.
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

TEST(CourseClientSearch, AsksTheTrackerInStep2AndClosesThatConnection) {
  const Shared shared;
  ClientWorld world(step_2());
  make_tracker(world.host(kTracker), shared.info());
  make_honest(world.host(kAlice), shared.chunks);
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.host(kTracker).messages, std::vector<Bytes>{course::encode_get_file_info()});
  EXPECT_EQ(world.file(), shared.whole());
}

TEST(CourseClientSearch, FindsATrackerInStep3WithinMilliseconds) {
  const Shared shared;
  ClientWorld world(step_3());
  discoverable(world, {kTracker});
  make_tracker(world.host(kTracker), shared.info());
  make_honest(world.host(kAlice), shared.chunks);
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_LT(world.elapsed(), 50ms);
  EXPECT_EQ(world.open_datagrams, 0u);
  const auto trackers = world.traces<seam::TrackerTrace>();
  ASSERT_EQ(trackers.size(), 2u);
  EXPECT_EQ(trackers[1].what, seam::TrackerTrace::What::chosen);
  EXPECT_EQ(trackers[1].tracker, endpoint(kTracker));
  EXPECT_FALSE(trackers[1].reason.empty());
}

TEST(CourseClientSearch, TriesTheNextTrackerWhenOneFails) {
  const Shared shared;
  Shared unlisted = shared;
  unlisted.owners = {{}, {}, {}};
  Shared unusable = shared;
  unusable.name = "..";
  ClientWorld world(step_3());
  discoverable(world, {"10.0.0.11:1", "10.0.0.12:1", "10.0.0.13:1", "10.0.0.14:1", kTracker});
  world.host("10.0.0.11:1").on_dial = [] { return Dialled::refuses; };
  world.host("10.0.0.12:1").on_message = [](Link& link, const Bytes&) {
    link.send(course::encode_error(course::ErrorCode::invalid_request));
  };
  make_tracker(world.host("10.0.0.13:1"), unlisted.info());
  make_tracker(world.host("10.0.0.14:1"), unusable.info());
  make_tracker(world.host(kTracker), shared.info());
  make_honest(world.host(kAlice), shared.chunks);
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
}

constexpr const char* kOtherTracker = "10.0.0.11:8000";
constexpr const char* kDeadPeer = "10.0.0.12:8001";

std::vector<seam::TrackerTrace> failed_trackers(const ClientWorld& world) {
  auto traces = world.traces<seam::TrackerTrace>();
  std::erase_if(traces, [](const auto& trace) { return trace.what != seam::TrackerTrace::What::failed; });
  return traces;
}

TEST(CourseClientSearch, GoesOnWithTheNextTrackerWhenThePeersOfOneDoNotGiveTheFile) {
  const Shared shared;
  Shared dead = shared;
  dead.owners = {{kAlice}, {kDeadPeer}, {kDeadPeer}};
  ClientWorld world(step_3());
  discoverable(world, {kOtherTracker, kTracker});
  make_tracker(world.host(kOtherTracker), dead.info());
  make_tracker(world.host(kTracker), shared.info());
  world.host(kDeadPeer).on_dial = [] { return Dialled::refuses; };
  make_honest(world.host(kAlice), {shared.chunks[0]});
  make_honest(world.host(kBob), shared.chunks);
  const auto& finish = world.run();
  EXPECT_EQ(finish.result, Result::done) << finish.message;
  EXPECT_EQ(world.file(), shared.whole());
  EXPECT_EQ(world.open_datagrams, 0u);
  const auto failed = failed_trackers(world);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].tracker, endpoint(kOtherTracker));
  EXPECT_NE(failed[0].reason.find("do not give the whole file"), std::string::npos) << failed[0].reason;
}

TEST(CourseClientSearch, GoesOnWithATrackerThatAnswersOnlyWhenAskedAgain) {
  const Shared shared;
  Shared dead = shared;
  dead.owners = {{kDeadPeer}, {kDeadPeer}, {kDeadPeer}};
  ClientWorld world(step_3());
  discoverable(world, {kOtherTracker});
  world.host(kDeadPeer).on_dial = [&] {
    discoverable(world, {kTracker});
    return Dialled::refuses;
  };
  make_tracker(world.host(kOtherTracker), dead.info());
  make_tracker(world.host(kTracker), shared.info());
  make_honest(world.host(kAlice), shared.chunks);
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
}

TEST(CourseClientSearch, ReportsTheDownloadThatLacksLeastWhenNoTrackerLeadsToTheWholeFile) {
  const Shared shared{.chunks = {"one", "two", "three"}, .owners = {{kDeadPeer}, {kDeadPeer}, {kDeadPeer}}};
  Shared better = shared;
  better.owners = {{kAlice}, {kDeadPeer}, {kDeadPeer}};
  Shared unlisted = shared;
  unlisted.owners = {{}, {}, {}};
  Shared other{.chunks = {"a", "b", "c", "d"}, .owners = {{kBob}, {kBob}, {kBob}, {kBob}}, .name = "other.txt"};
  ClientWorld world(step_3());
  const std::vector<std::string> trackers = {"10.0.0.21:1", "10.0.0.22:1", "10.0.0.23:1", "10.0.0.24:1"};
  discoverable(world, trackers);
  make_tracker(world.host(trackers[0]), unlisted.info());
  make_tracker(world.host(trackers[1]), shared.info());
  make_tracker(world.host(trackers[2]), better.info());
  make_tracker(world.host(trackers[3]), other.info());
  world.host(kDeadPeer).on_dial = [] { return Dialled::refuses; };
  make_honest(world.host(kAlice), {shared.chunks[0]});
  make_honest(world.host(kBob), {});
  const auto& finish = world.run();
  EXPECT_EQ(finish.result, Result::incomplete);
  EXPECT_EQ(finish.missing, (std::vector<PieceIndex>{PieceIndex(1), PieceIndex(2)}));
  EXPECT_NE(finish.message.find("hello.txt is incomplete"), std::string::npos) << finish.message;
  for (const std::string& tracker : trackers) EXPECT_EQ(world.host(tracker).dials, 1) << tracker;
  EXPECT_LE(world.elapsed(), 30s);
}

TEST(CourseClientSearch, SaysThatNoTrackerWasFound) {
  ClientWorld world(step_3());
  const auto& finish = world.run();
  EXPECT_EQ(finish.result, Result::nothing_found);
  EXPECT_NE(finish.message.find("9000"), std::string::npos) << finish.message;
  EXPECT_LE(world.elapsed(), 4s);
}

TEST(CourseClientSearch, SaysHowTheNamedTrackerFailed) {
  struct Case {
    const char* what;
    std::function<void(ClientWorld::Host&)> set_up;
    Result result;
  };
  const std::vector<Case> cases = {
      {"refuses", [](auto& host) { host.on_dial = [] { return Dialled::refuses; }; }, Result::refused},
      {"dead", [](auto& host) { host.on_dial = [] { return Dialled::stays_silent; }; }, Result::timed_out},
      {"accepts and stays silent", [](auto&) {}, Result::timed_out},
      {"resets", [](auto& host) { host.on_message = [](Link& link, const Bytes&) { link.reset(); }; },
       Result::nothing_found},
      {"closes", [](auto& host) { host.on_connect = [](Link& link) { link.end(); }; }, Result::nothing_found},
      {"ERROR",
       [](auto& host) {
         host.on_message = [](Link& link, const Bytes&) {
           link.send(course::encode_error(course::ErrorCode::invalid_message_format));
         };
       },
       Result::nothing_found},
      {"little-endian",
       [](auto& host) {
         host.on_message = [](Link& link, const Bytes&) {
           link.send(base::ByteWriter().u32(0x01030000).u32(0x20000000).take());
         };
       },
       Result::nothing_found},
  };
  for (const Case& each : cases) {
    ClientWorld world(step_2());
    each.set_up(world.host(kTracker));
    const auto& finish = world.run();
    EXPECT_EQ(finish.result, each.result) << each.what << ": " << finish.message;
    EXPECT_NE(finish.message.find(kTracker), std::string::npos) << finish.message;
    EXPECT_FALSE(world.manifest);
  }
}

TEST(CourseClientSearch, RefusesFileNamesThatCannotBeUsed) {
  for (const std::string& name : {std::string(), std::string("."), std::string(".."), std::string("a\0b", 3),
                                  std::string("dir/"), std::string(300, 'x')}) {
    Shared shared;
    shared.name = name;
    ClientWorld world(step_2());
    make_tracker(world.host(kTracker), shared.info());
    EXPECT_EQ(world.run().result, Result::nothing_found) << name;
    EXPECT_FALSE(world.manifest) << "nothing was opened";
  }
}

TEST(CourseClientSearch, KeepsTheBaseNameOfAHostileFileName) {
  Shared shared;
  shared.name = "../../etc/passwd";
  ClientWorld world(step_2());
  make_tracker(world.host(kTracker), shared.info());
  make_honest(world.host(kAlice), shared.chunks);
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.manifest->name, "passwd");
}

TEST(CourseClientSearch, ReplacesPeerAddressesThatCannotBeMeantForUs) {
  const Shared shared{.chunks = {"one", "two", "three"},
                      .owners = {{"0.0.0.0:8001"}, {"127.0.0.1:8002"}, {"10.0.0.7:0", "10.0.0.3:8002"}}};
  ClientWorld world(step_2());
  make_tracker(world.host(kTracker), shared.info());
  make_honest(world.host("10.0.0.1:8001"), shared.chunks);
  make_honest(world.host("10.0.0.1:8002"), shared.chunks);
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.host("10.0.0.1:8001").dials, 1);
  EXPECT_EQ(world.host("10.0.0.1:8002").dials, 1);
  EXPECT_EQ(world.host("10.0.0.7:0").dials, 0);
}

TEST(CourseClientSearch, KeepsLoopbackPeersOfATrackerOnThisHost) {
  const Shared shared{.chunks = {"one"}, .owners = {{"127.0.0.1:8001"}}};
  ClientWorld world(step_2("10.0.0.99:8000"));  // the address the client itself has
  make_tracker(world.host("10.0.0.99:8000"), shared.info());
  make_honest(world.host("127.0.0.1:8001"), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
}

}  // namespace
}  // namespace shoal::roles
