// The course client among peers that lie, break, drip and stay silent (course-protocol section 4).
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

TEST(CourseClientFaults, AsksAnotherWhenAnOwnerHasNotGotTheChunk) {
  const Shared shared;
  ClientWorld world(step_1(shared));
  make_honest(world.host(kAlice), {});
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
}

TEST(CourseClientFaults, AsksAnotherWhenTheBytesAreWrong) {
  const Shared shared{.chunks = {"one", "two"}, .owners = {{kAlice}, {kAlice, kBob}}};
  ClientWorld world(step_1(shared));
  world.host(kAlice).on_message = [](Link& link, const Bytes& message) {
    link.send(chunk_message(bytes_of("XXX"), asked_hash(message)));
  };
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
  EXPECT_FALSE(world.traces<seam::PieceTrace>().empty());
}

TEST(CourseClientFaults, AsksAnotherWhenAChunkOfAnotherHashComes) {
  const Shared shared{.chunks = {"one", "two"}, .owners = {{kAlice}, {kAlice, kBob}}};
  ClientWorld world(step_1(shared));
  world.host(kAlice).on_message = [](Link& link, const Bytes&) {
    link.send(chunk_message(bytes_of("something else")));
  };
  make_honest(world.host(kBob), shared.chunks);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
}

TEST(CourseClientFaults, SaysWhichChunksDidNotMatch) {
  const Shared shared;
  ClientWorld world(step_1(shared));
  make_honest(world.host(kAlice), shared.chunks);
  world.host(kAlice).on_message = [&](Link& link, const Bytes& message) {
    if (asked_hash(message) == base::sha1(base::view_of(shared.chunks[2]))) {
      link.send(chunk_message(bytes_of("789abd"), asked_hash(message)));
    } else {
      answer_honestly(link, message, shared.chunks);
    }
  };
  world.host(kBob).on_dial = [] { return Dialled::refuses; };
  const auto& finish = world.run();
  EXPECT_EQ(finish.result, Result::mismatched);
  EXPECT_EQ(finish.missing, std::vector<PieceIndex>{PieceIndex(2)});
  EXPECT_NE(finish.message.find("wrong bytes for 2"), std::string::npos) << finish.message;
  EXPECT_FALSE(world.was_store_finished);
}

TEST(CourseClientFaults, SaysWhatIsMissingAndWhatEachPeerAnswered) {
  const Shared shared;
  ClientWorld world(step_1(shared));
  make_honest(world.host(kAlice), {shared.chunks[0]});
  world.host(kBob).on_dial = [] { return Dialled::refuses; };
  const auto& finish = world.run();
  EXPECT_EQ(finish.result, Result::incomplete);
  EXPECT_EQ(finish.missing, (std::vector<PieceIndex>{PieceIndex(1), PieceIndex(2)}));
  EXPECT_NE(finish.message.find("could not be got: 1-2"), std::string::npos) << finish.message;
  EXPECT_NE(finish.message.find("10.0.0.2:8001 (gave 1 chunk, did not give 1-2)"), std::string::npos) << finish.message;
  EXPECT_NE(finish.message.find("10.0.0.3:8002 (refused the connection)"), std::string::npos) << finish.message;
  EXPECT_EQ(world.host(kBob).dials, 3);
  EXPECT_LE(world.elapsed(), 3s);
}

TEST(CourseClientFaults, SaysThatNobodyIsListed) {
  Shared shared;
  shared.owners = {{}, {}, {}};
  ClientWorld world(step_1(shared));
  const auto& finish = world.run();
  EXPECT_EQ(finish.result, Result::incomplete);
  EXPECT_NE(finish.message.find("Nobody is listed"), std::string::npos) << finish.message;
}

TEST(CourseClientFaults, SaysThatEverybodyRefuses) {
  ClientWorld world(step_1(Shared{}));
  world.host(kAlice).on_dial = world.host(kBob).on_dial = [] { return Dialled::refuses; };
  const auto& finish = world.run();
  EXPECT_EQ(finish.result, Result::incomplete);
  EXPECT_NE(finish.message.find("10.0.0.2:8001 (refused the connection)"), std::string::npos) << finish.message;
  EXPECT_NE(finish.message.find("10.0.0.3:8002 (refused the connection)"), std::string::npos) << finish.message;
}

TEST(CourseClientFaults, SaysThatEverybodyIsSilent) {
  ClientWorld world(step_1(Shared{}));
  world.host(kAlice).on_dial = [] { return Dialled::stays_silent; };  // Bob accepts and never answers
  const auto& finish = world.run();
  EXPECT_EQ(finish.result, Result::incomplete);
  EXPECT_NE(finish.message.find("did not answer the attempt to connect"), std::string::npos) << finish.message;
  EXPECT_NE(finish.message.find("did not answer in time"), std::string::npos) << finish.message;
}

TEST(CourseClientFaults, ComesBackToAPeerThatStartsLate) {
  const Shared shared{.chunks = {"x"}, .owners = {{kAlice}}};
  ClientWorld world(step_1(shared));
  auto& alice = world.host(kAlice);
  make_honest(alice, shared.chunks);
  alice.on_dial = [&alice] { return alice.dials < 3 ? Dialled::refuses : Dialled::accepts; };
  EXPECT_EQ(world.run().result, Result::done);
}

TEST(CourseClientFaults, ComesBackToAPeerThatVanishesInsideEachChunkOnce) {
  const Shared shared{.chunks = {"one", "two", "three", "four", "five"},
                      .owners = {{kAlice}, {kAlice}, {kAlice}, {kAlice}, {kAlice}}};
  ClientWorld world(step_1(shared));
  std::set<base::Sha1Hash> seen;
  world.host(kAlice).on_message = [&](Link& link, const Bytes& message) {
    if (!seen.insert(asked_hash(message)).second) {
      answer_honestly(link, message, shared.chunks);
      return;
    }
    Bytes part = chunk_message(bytes_of(*find_content(shared.chunks, asked_hash(message))));
    part.resize(part.size() - 4);
    link.send(part);
    link.end();
  };
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
}

TEST(CourseClientFaults, LivesWithAPeerThatClosesAfterEachAnswer) {
  Shared shared{.chunks = {}, .owners = {}};
  for (int i = 0; i < 50; ++i) {
    shared.chunks.push_back(std::to_string(i));
    shared.owners.push_back({kAlice});
  }
  ClientWorld world(step_1(shared));
  world.host(kAlice).on_message = [&](Link& link, const Bytes& message) {
    answer_honestly(link, message, shared.chunks);
    link.end();
  };
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_LT(world.elapsed(), 1s);
}

TEST(CourseClientFaults, LivesWithAPeerThatSendsSurplusBehindEachAnswer) {
  const Shared shared{.chunks = {"one", "two", "three"}, .owners = {{kAlice}, {kAlice}, {kAlice}}};
  ClientWorld world(step_1(shared));
  world.host(kAlice).on_message = [&](Link& link, const Bytes& message) {
    Bytes answer = chunk_message(bytes_of(*find_content(shared.chunks, asked_hash(message))));
    answer.resize(answer.size() + 8);
    link.send(answer);
  };
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
}

TEST(CourseClientFaults, DoesNotLoseAPeerForTheOneChunkThatBreaksIt) {
  const Shared shared{.chunks = {"bad", "one", "two"}, .owners = {{kAlice, kBob}, {kAlice}, {kAlice}}};
  ClientWorld world(step_1(shared));
  world.host(kAlice).on_message = [&](Link& link, const Bytes& message) {
    if (asked_hash(message) == base::sha1(base::view_of("bad"))) {
      link.reset();
    } else {
      answer_honestly(link, message, shared.chunks);
    }
  };
  make_honest(world.host(kBob), {"bad"}, 0, 5s);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
}

TEST(CourseClientFaults, ReconnectsToAnIdlePeerOnlyWhenItIsNeeded) {
  const Shared shared{.chunks = {"one", "two"}, .owners = {{kAlice}, {kBob}}};
  ClientWorld world(step_1(shared));
  make_honest(world.host(kAlice), {"one", "two"});
  world.host(kAlice).on_connect = [&](Link& link) {
    if (world.host(kAlice).dials == 1) link.end(1s);  // gives up on the idle connection
  };
  // Bob says only after a while that he has not got it.
  make_honest(world.host(kBob), {}, 0, 4s);
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_LE(world.host(kAlice).dials, 2);
}

TEST(CourseClientFaults, IsNotHeldUpByOneBytePerSecondWhenAnotherHasTheChunk) {
  const Shared shared{.chunks = {std::string(2000, 'x')}, .owners = {{kAlice, kBob}}};
  ClientWorld world(step_1(shared));
  const auto drip = [&](Link& link, const Bytes&) {
    const Bytes whole = chunk_message(bytes_of(shared.chunks[0]));
    for (std::size_t i = 0; i < whole.size(); ++i) link.send({whole[i]}, 1s * static_cast<std::int64_t>(i));
  };
  // Whoever is asked first drips; the other is honest.
  bool is_first = true;
  for (const char* name : {kAlice, kBob}) {
    world.host(name).on_message = [&](Link& link, const Bytes& message) {
      if (std::exchange(is_first, false)) {
        drip(link, message);
      } else {
        answer_honestly(link, message, shared.chunks);
      }
    };
  }
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_LE(world.elapsed(), 13s);
}

TEST(CourseClientFaults, EndsWhenTheOnlySourceSendsOneBytePerSecond) {
  const Shared shared{.chunks = {std::string(2000, 'x')}, .owners = {{kAlice}}};
  ClientWorld world(step_1(shared));
  world.host(kAlice).on_message = [&](Link& link, const Bytes&) {
    const Bytes whole = chunk_message(bytes_of(shared.chunks[0]));
    for (std::size_t i = 0; i < whole.size(); ++i) link.send({whole[i]}, 1s * static_cast<std::int64_t>(i));
  };
  EXPECT_EQ(world.run().result, Result::incomplete);
  EXPECT_LE(world.elapsed(), 60s);
}

TEST(CourseClientFaults, GivesUpAPeerThatOnlySendsNonsense) {
  struct Case {
    const char* what;
    Bytes answer;
  };
  const auto header = [](std::uint8_t version, std::uint8_t type, std::uint32_t dwords) {
    return base::ByteWriter().u8(version).u8(type).u16(0).u32(dwords).take();
  };
  for (const Case& each : std::vector<Case>{{"length 0", header(1, 5, 0)},
                                            {"length 1", header(1, 5, 1)},
                                            {"length 2^32-1", header(1, 5, 0xffffffff)},
                                            {"little-endian length", header(1, 5, 0x0b000000)},
                                            {"unknown type", header(1, 9, 3)},
                                            {"unknown version", header(3, 5, 11)}}) {
    const Shared shared{.chunks = {"one", "two"}, .owners = {{kAlice}, {kAlice}}};
    ClientWorld world(step_1(shared));
    world.host(kAlice).on_message = [&](Link& link, const Bytes&) { link.send(each.answer); };
    const auto& finish = world.run();
    EXPECT_EQ(finish.result, Result::incomplete) << each.what;
    EXPECT_EQ(finish.missing.size(), 2u);
    EXPECT_LE(world.elapsed(), 10s);
    EXPECT_EQ(world.buffers_in_use(), 0u);
  }
}

TEST(CourseClientFaults, StartsWithOneRequestAgainAfterAPipeliningPeerBroke) {
  Shared shared{.chunks = {}, .owners = {}};
  for (int i = 0; i < 60; ++i) {
    shared.chunks.push_back(std::to_string(i));
    shared.owners.push_back({kAlice});
  }
  ClientWorld world(step_1(shared));
  int answered = 0;
  world.host(kAlice).on_message = [&](Link& link, const Bytes& message) {
    answer_honestly(link, message, shared.chunks, course::kPipeliningBit, 1ms);
    if (++answered % 7 == 0) link.reset(1ms);
  };
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
}

// Two hold the same chunk; the first becomes slow in the middle of it, and the second finishes it.
void run_with_a_duplicate_under_way(std::uint16_t slow_reserved, base::Duration expected_max, bool is_drained) {
  const Shared shared{.chunks = {"warm up a", "warm up b", std::string(40'000, 'x')},
                      .owners = {{kAlice}, {kBob}, {kAlice, kBob}}};
  ClientWorld world(step_1(shared));
  bool is_first = true;
  std::size_t slow_reads = 0;
  for (const char* name : {kAlice, kBob}) {
    world.host(name).on_message = [&](Link& link, const Bytes& message) {
      const bool is_big = asked_hash(message) == base::sha1(base::view_of(shared.chunks[2]));
      if (!is_big || !std::exchange(is_first, false)) {
        answer_honestly(link, message, shared.chunks, slow_reserved, 1ms);
        return;
      }
      const Bytes whole = chunk_message(bytes_of(shared.chunks[2]), slow_reserved);
      for (std::size_t at = 0; at < whole.size(); at += 100) {
        const std::size_t count = std::min<std::size_t>(100, whole.size() - at);
        const auto from = whole.begin() + static_cast<std::ptrdiff_t>(at);
        link.send(Bytes(from, from + static_cast<std::ptrdiff_t>(count)),
                  1ms * static_cast<std::int64_t>(++slow_reads));
      }
    };
  }
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.file(), shared.whole());
  EXPECT_LE(world.elapsed(), expected_max);
  EXPECT_EQ(world.elapsed() >= 400ms, is_drained);
  EXPECT_EQ(world.buffers_in_use(), 0u);
}

TEST(CourseClientFaults, ReadsAnUnneededAnswerOfAnOldPeerToItsEnd) {
  run_with_a_duplicate_under_way(0, 1s, true);
}

TEST(CourseClientFaults, LeavesAPeerOfItsOwnKindAtOnce) {
  run_with_a_duplicate_under_way(course::kPipeliningBit, 350ms, false);
}

}  // namespace
}  // namespace shoal::roles
