#include "roles/piece_lookups.hpp"

#include <gtest/gtest.h>

#include "unit/support/swarm_world.hpp"

namespace shoal::roles {
namespace {

using namespace std::chrono_literals;
using base::Instant;
using swarm::SourceId;

constexpr Instant kStart{1h};

base::Sha1Hash hash_of(int number) {
  return base::sha1(base::view_of(std::to_string(number)));
}
seam::ReadablePiecePtr a_piece() {
  return std::make_shared<testing::MemoryPiece>(base::Bytes(10));
}
// Asks for it and is answered.
void look_up(PieceLookups& lookups, int number, Instant now) {
  seam::Actions actions;
  lookups.ask(hash_of(number), SourceId(1), actions);
  static_cast<void>(lookups.on_looked_up({std::get<seam::LookUpPiece>(actions.at(0)).lookup, a_piece()}, now));
}

TEST(PieceLookups, AsksTheLibraryOnceForAllWhoWantAPieceAtTheSameTime) {
  PieceLookups lookups;
  seam::Actions actions;
  lookups.ask(hash_of(1), SourceId(1), actions);
  lookups.ask(hash_of(1), SourceId(2), actions);
  lookups.ask(hash_of(2), SourceId(1), actions);
  ASSERT_EQ(actions.size(), 2u);
  const auto answered = lookups.on_looked_up({std::get<seam::LookUpPiece>(actions.front()).lookup, a_piece()}, kStart);
  EXPECT_EQ(answered.hash, hash_of(1));
  ASSERT_EQ(answered.waiters.size(), 2u);
  EXPECT_EQ(std::get<SourceId>(answered.waiters.back()), SourceId(2));
}

TEST(PieceLookups, KeepsWhatWasLookedUpForAShortWhile) {
  PieceLookups lookups;
  look_up(lookups, 1, kStart);
  EXPECT_NE(lookups.find(hash_of(1), kStart + kPieceKeptFor - 1ms), nullptr);
  EXPECT_EQ(lookups.find(hash_of(1), kStart + kPieceKeptFor), nullptr);
  EXPECT_EQ(lookups.find(hash_of(2), kStart), nullptr);
}

TEST(PieceLookups, DoesNotKeepThatSomethingIsNotThere) {
  PieceLookups lookups;
  seam::Actions actions;
  lookups.ask(hash_of(1), SourceId(1), actions);
  const seam::LookupId first = std::get<seam::LookUpPiece>(actions.at(0)).lookup;
  EXPECT_EQ(lookups.on_looked_up({first, nullptr}, kStart).waiters.size(), 1u);
  lookups.ask(hash_of(1), SourceId(1), actions);
  EXPECT_EQ(actions.size(), 2u);
}

TEST(PieceLookups, LetsGoOfTheLeastUsedOfTooMany) {
  PieceLookups lookups;
  for (int i = 0; i < static_cast<int>(kPiecesKeptMax); ++i) look_up(lookups, i, kStart);
  EXPECT_NE(lookups.find(hash_of(0), kStart + 1ms), nullptr);
  look_up(lookups, 1000, kStart + 2ms);
  EXPECT_NE(lookups.find(hash_of(0), kStart + 2ms), nullptr);
  EXPECT_NE(lookups.find(hash_of(1000), kStart + 2ms), nullptr);
  int kept = 0;
  for (int i = 0; i < static_cast<int>(kPiecesKeptMax); ++i) kept += lookups.find(hash_of(i), kStart + 2ms) ? 1 : 0;
  EXPECT_EQ(kept, static_cast<int>(kPiecesKeptMax) - 1);
}

TEST(PieceLookups, IgnoresAnAnswerNobodyWaitsFor) {
  PieceLookups lookups;
  EXPECT_TRUE(lookups.on_looked_up({seam::LookupId(99), a_piece()}, kStart).waiters.empty());
}

}  // namespace
}  // namespace shoal::roles
