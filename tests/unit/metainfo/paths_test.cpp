#include "metainfo/paths.hpp"

#include <gtest/gtest.h>

namespace shoal::metainfo {
namespace {

// "first | second" for each clash.
std::string clashes(const std::vector<std::vector<std::string>>& paths, Letters letters, std::size_t clashes_max = 10) {
  std::vector<FileEntry> files;
  files.reserve(paths.size());
  for (const auto& path : paths) files.push_back({.path = path});
  std::string text;
  for (const PathClash& clash : find_clashes(files, letters, clashes_max)) {
    text += (text.empty() ? "" : ", ") + join_path(clash.first->path) + " | " + join_path(clash.second->path);
  }
  return text;
}

TEST(Paths, ASafeComponentIsANameAndNoWayElsewhere) {
  for (const std::string_view safe : {"a", "...", "..a", ".hidden", "a b", "\xff", "back\\slash", "a\nb"}) {
    EXPECT_TRUE(is_safe_component(safe)) << safe;
  }
  for (const std::string_view unsafe : {"", ".", "..", "/", "a/b", "/a"}) {
    EXPECT_FALSE(is_safe_component(unsafe)) << unsafe;
  }
  EXPECT_FALSE(is_safe_component(std::string_view("a\0b", 3)));
  EXPECT_TRUE(is_safe_component(std::string(255, 'a')));
  EXPECT_FALSE(is_safe_component(std::string(256, 'a')));
}

TEST(Paths, EqualPathsClash) {
  EXPECT_EQ(clashes({{"a"}, {"b"}, {"a"}}, Letters::exact), "a | a");
  EXPECT_EQ(clashes({{"a"}, {"b"}, {"A"}}, Letters::exact), "");
}

TEST(Paths, AFileClashesWithWhatIsBelowItHoweverFarApart) {
  EXPECT_EQ(clashes({{"a", "b", "c"}, {"a!"}, {"a", "z"}, {"a"}}, Letters::exact), "a | a/b/c");
  EXPECT_EQ(clashes({{"ab"}, {"a", "b"}, {"a "}}, Letters::exact), "");
}

TEST(Paths, CaseCountsOnlyWhereAsked) {
  EXPECT_EQ(clashes({{"READ", "me"}, {"read", "ME"}}, Letters::exact), "");
  EXPECT_FALSE(clashes({{"READ", "me"}, {"read", "ME"}}, Letters::either_case).empty());
  EXPECT_EQ(clashes({{"Read"}, {"rEAD", "x"}}, Letters::either_case), "Read | rEAD/x");
  EXPECT_EQ(clashes({{"a_"}, {"A-"}, {"a["}, {"a{"}}, Letters::either_case), "");
}

TEST(Paths, GivesNotMoreClashesThanAsked) {
  EXPECT_EQ(clashes({{"a"}, {"a"}, {"a"}, {"a"}}, Letters::exact, 2), "a | a, a | a");
}

TEST(Paths, PaddingClashesWithNothing) {
  const std::vector<FileEntry> files = {{.path = {"a"}}, {.path = {"a"}, .is_padding = true}};
  EXPECT_TRUE(find_clashes(files, Letters::exact, 10).empty());
}

}  // namespace
}  // namespace shoal::metainfo
