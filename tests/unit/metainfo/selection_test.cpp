#include "metainfo/selection.hpp"

#include <gtest/gtest.h>

#include <cstdint>

#include "base/rng.hpp"

namespace shoal::metainfo {
namespace {

TEST(MatchesGlob, TakesAPathWithoutWildcardsAsItIs) {
  EXPECT_TRUE(matches_glob("a/b.txt", "a/b.txt"));
  EXPECT_FALSE(matches_glob("a/b.txt", "a/b.tx"));
  EXPECT_FALSE(matches_glob("a/b.txt", "a/b.txt2"));
  EXPECT_FALSE(matches_glob("a/B.txt", "a/b.txt"));
  EXPECT_FALSE(matches_glob("a/b.txt", ""));
}

TEST(MatchesGlob, ComparesAPatternWithoutASlashWithTheLastComponent) {
  EXPECT_TRUE(matches_glob("film.iso", "*.iso"));
  EXPECT_TRUE(matches_glob("discs/2/film.iso", "*.iso"));
  EXPECT_TRUE(matches_glob("discs/2/film.iso", "film.iso"));
  EXPECT_FALSE(matches_glob("film.iso/readme", "*.iso"));
  EXPECT_FALSE(matches_glob("discs/film.iso", "discs"));
}

TEST(MatchesGlob, StaysWithinAComponentWithOneStar) {
  EXPECT_TRUE(matches_glob("a/b/c", "a/*/c"));
  EXPECT_TRUE(matches_glob("a/bcd", "a/b*d*"));
  EXPECT_TRUE(matches_glob("a/", "a/*"));
  EXPECT_FALSE(matches_glob("a/b/c", "a/*"));
  EXPECT_FALSE(matches_glob("a/b/x/c", "a/*/c"));
}

TEST(MatchesGlob, CrossesComponentsWithTwoStars) {
  EXPECT_TRUE(matches_glob("a/b/c/d", "a/**"));
  EXPECT_TRUE(matches_glob("a/b/c/d", "a/**d"));
  EXPECT_TRUE(matches_glob("a/b/c", "**/c"));
  EXPECT_TRUE(matches_glob("c", "**/c"));
  EXPECT_TRUE(matches_glob("a/c", "a/**/c"));
  EXPECT_TRUE(matches_glob("a/b/b/c", "a/**/c"));
  EXPECT_FALSE(matches_glob("a/bc", "a/**/c"));
  EXPECT_FALSE(matches_glob("b/c", "a/**"));
}

TEST(MatchesGlob, TakesOneCharacterForAQuestionMarkAlsoWhenItIsSeveralBytes) {
  EXPECT_TRUE(matches_glob("disc1", "disc?"));
  EXPECT_TRUE(matches_glob("\u00e9t\u00e9", "?t?"));
  EXPECT_TRUE(matches_glob("a\xff", "a?"));
  EXPECT_TRUE(matches_glob("a\x80", "a?"));
  EXPECT_FALSE(matches_glob("disc", "disc?"));
  EXPECT_FALSE(matches_glob("disc10", "disc?"));
  EXPECT_FALSE(matches_glob("a/b", "a?b/"));
  EXPECT_FALSE(matches_glob("x/a/b", "x/a?b"));
}

TEST(MatchesGlob, TakesBracketsAndBackslashesAsThemselves) {
  EXPECT_TRUE(matches_glob("[1080p] film", "[1080p]*"));
  EXPECT_TRUE(matches_glob("a\\b", "a\\b"));
}

TEST(MatchesGlob, IsQuickForPatternsThatInviteBacktracking) {
  const std::string path(2000, 'a');
  std::string pattern;
  for (int i = 0; i < 40; ++i) pattern += "*a**a";
  EXPECT_TRUE(matches_glob(path, pattern));
  EXPECT_FALSE(matches_glob(path, pattern + "b"));
}

// What the header says, word by word, with backtracking.
bool matches_plainly(std::string_view path, std::string_view pattern, bool at_component) {
  if (pattern.empty()) return path.empty();
  if (at_component && pattern.starts_with("**/")) {
    if (matches_plainly(path, pattern.substr(3), true)) return true;
    for (std::size_t i = 0; i < path.size(); ++i) {
      if (path[i] == '/' && matches_plainly(path.substr(i + 1), pattern.substr(3), true)) return true;
    }
    return false;
  }
  if (pattern.front() == '*') {
    const bool crosses = pattern.starts_with("**");
    for (std::size_t i = 0; i <= path.size(); ++i) {
      if (matches_plainly(path.substr(i), pattern.substr(crosses ? 2 : 1), false)) return true;
      if (i < path.size() && path[i] == '/' && !crosses) return false;
    }
    return false;
  }
  if (path.empty()) return false;
  const bool is_same = pattern.front() == '?' ? path.front() != '/' : path.front() == pattern.front();
  return is_same && matches_plainly(path.substr(1), pattern.substr(1), pattern.front() == '/');
}

TEST(MatchesGlob, AgreesWithAMatcherThatTriesEverything) {
  base::Rng rng(7);
  int matched = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string path;
    std::string pattern = "/";
    for (std::uint64_t i = rng.below(8); i > 0; --i) path += "aab/"[rng.below(4)];
    for (std::uint64_t i = rng.below(7); i > 0; --i) pattern += "ab/?**"[rng.below(6)];
    const bool expected = matches_plainly("/" + path, pattern, true);
    matched += expected ? 1 : 0;
    EXPECT_EQ(matches_glob("/" + path, pattern), expected) << path << " " << pattern;
  }
  EXPECT_GT(matched, 300);
}

Layout make_layout(std::uint32_t piece_bytes, const std::vector<std::uint64_t>& sizes) {
  Layout layout{.piece_bytes = piece_bytes, .total_bytes = 0, .is_folder = true, .files = {}};
  for (const std::uint64_t size : sizes) {
    FileEntry file;
    file.path = {"d", "f" + std::to_string(layout.files.size())};
    file.offset_bytes = layout.total_bytes;
    file.size_bytes = size;
    layout.total_bytes += size;
    layout.files.push_back(file);
  }
  return layout;
}

TEST(SelectFiles, TakesAllButPaddingWithoutPatterns) {
  Layout layout = make_layout(10, {5, 5, 5});
  layout.files[1].is_padding = true;
  EXPECT_EQ(select_files(layout, {}), (std::vector<bool>{true, false, true}));
}

TEST(SelectFiles, TakesWhatAnyPatternMatchesButNoPadding) {
  Layout layout = make_layout(10, {5, 5, 5, 5});
  layout.files[3].is_padding = true;
  EXPECT_EQ(select_files(layout, {"f0", "d/*2", "f3"}), (std::vector<bool>{true, false, true, false}));
  EXPECT_EQ(select_files(layout, {"nothing"}), std::vector<bool>(4));
}

std::vector<std::uint32_t> indices(const base::Bitfield& pieces) {
  std::vector<std::uint32_t> set;
  for (std::uint32_t i = 0; i < pieces.size(); ++i) {
    if (pieces.test(base::PieceIndex(i))) set.push_back(i);
  }
  return set;
}

TEST(PiecesOfFiles, IncludesThePiecesAtTheBorders) {
  const Layout layout = make_layout(10, {25, 10, 0, 5, 13});
  EXPECT_EQ(indices(pieces_of_files(layout, {true, false, false, false, false})),
            (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(indices(pieces_of_files(layout, {false, true, false, false, false})), (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(indices(pieces_of_files(layout, {false, false, true, false, false})), std::vector<std::uint32_t>{});
  EXPECT_EQ(indices(pieces_of_files(layout, {false, false, false, true, true})), (std::vector<std::uint32_t>{3, 4, 5}));
}

TEST(PiecesOfFiles, HasNoneForAShareWithoutBytes) {
  EXPECT_EQ(pieces_of_files(make_layout(10, {0, 0}), {true, true}).size(), 0u);
}

}  // namespace
}  // namespace shoal::metainfo
