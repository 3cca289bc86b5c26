#include "roles/course_client_plan.hpp"

#include <gtest/gtest.h>

#include "roles/course_client_report.hpp"

namespace shoal::roles {
namespace {

using base::Endpoint;
using base::PieceIndex;

Endpoint endpoint(std::string_view text) {
  return Endpoint::parse(text).value();
}
base::Sha1Hash hash(std::string_view text) {
  return base::sha1(base::view_of(text));
}
std::vector<PieceIndex> pieces(std::initializer_list<std::uint32_t> values) {
  std::vector<PieceIndex> all;
  for (const std::uint32_t value : values) all.emplace_back(value);
  return all;
}

TEST(CoursePlan, JoinsTheOwnersOfEqualChunks) {
  const course::FileInfo file{"f",
                              {{hash("same"), {endpoint("10.0.0.1:1"), endpoint("10.0.0.1:1")}},
                               {hash("other"), {endpoint("10.0.0.1:1")}},
                               {hash("same"), {endpoint("10.0.0.2:2")}}}};
  const CoursePlan plan = make_course_plan(file, "f", {});
  EXPECT_EQ(plan.first_of, pieces({0, 1, 0}));
  ASSERT_EQ(plan.sources.size(), 2u);
  EXPECT_EQ(plan.sources[0].listed, pieces({0, 1}));
  EXPECT_EQ(plan.sources[1].listed, pieces({0}));
}

TEST(CoursePlan, CoversEveryChunkBeforeItTakesSecondOwners) {
  course::FileInfo file{"f", {{hash("a"), {}}, {hash("b"), {endpoint("10.9.9.9:1")}}}};
  for (std::uint32_t i = 0; i < 2 * kSourcesMax; ++i) {
    file.chunks[0].peers.push_back({base::Ipv4Address{0x0a000000u + i}, 1});
  }
  const CoursePlan plan = make_course_plan(file, "f", {});
  EXPECT_EQ(plan.sources.size(), kSourcesMax);
  EXPECT_TRUE(plan.has_dropped_sources);
  EXPECT_EQ(plan.sources[1].endpoint, endpoint("10.9.9.9:1"));
}

TEST(CoursePlan, UsesThisHostForAnyAddressOfItsOwnConfiguration) {
  EXPECT_EQ(usable_peer(endpoint("0.0.0.0:8001"), {}), endpoint("127.0.0.1:8001"));
  EXPECT_EQ(usable_peer(endpoint("127.0.0.1:8001"), {}), endpoint("127.0.0.1:8001"));
  EXPECT_EQ(usable_peer(endpoint("10.0.0.1:0"), {}), std::nullopt);
}

TEST(CourseReport, ShowsRangesAndCutsLongLists) {
  EXPECT_EQ(describe_ranges(pieces({})), "");
  EXPECT_EQ(describe_ranges(pieces({4})), "4");
  EXPECT_EQ(describe_ranges(pieces({0, 1, 2, 5, 7, 8})), "0-2, 5, 7-8");
  std::vector<PieceIndex> odd;
  for (std::uint32_t i = 1; i < 101; i += 2) odd.emplace_back(i);
  const std::string text = describe_ranges(odd);
  EXPECT_TRUE(text.ends_with(", 39 and 30 more")) << text;
}

TEST(CourseReport, SaysMismatchedOnlyWhenWrongBytesCameForAMissingPiece) {
  const std::vector<PieceIndex> first_of = pieces({0, 1});
  std::vector<SourceRecord> sources(2);
  sources[0].trouble = "refused the connection";
  sources[1].wrong = pieces({1});
  const IncompleteReport report{
      .name = "f", .piece_count = 2, .missing = pieces({0}), .sources = sources, .first_of = first_of};
  EXPECT_EQ(make_incomplete_finish(report).result, seam::Finish::Result::incomplete);
  sources[1].wrong = pieces({0, 1});
  EXPECT_EQ(make_incomplete_finish(report).result, seam::Finish::Result::mismatched);
}

}  // namespace
}  // namespace shoal::roles
