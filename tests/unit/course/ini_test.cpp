#include "course/ini.hpp"

#include <gtest/gtest.h>

#include <string>

namespace shoal::course {
namespace {

// "section/key=value@line" for each entry.
std::string flat(std::string_view text) {
  const auto ini = parse_ini(text);
  if (!ini) return "error: " + ini.error().describe("x.ini");
  std::string result;
  for (const IniSection& section : ini->sections) {
    result += "[" + section.name + "]@" + std::to_string(section.line) + "\n";
    for (const IniEntry& entry : section.entries) {
      result += entry.key + "=" + entry.value + "@" + std::to_string(entry.line) + "\n";
    }
  }
  return result;
}

TEST(Ini, ReadsSectionsAndEntriesWithTheirLines) {
  EXPECT_EQ(flat("[a]\nx = 1\n\n[b]\ny = 2\n"), "[a]@1\nx=1@2\n[b]@4\ny=2@5\n");
}

TEST(Ini, AnEmptyFileHasNoSections) {
  EXPECT_EQ(flat(""), "");
  EXPECT_EQ(flat("\xEF\xBB\xBF"), "");
  EXPECT_EQ(flat("\n\r\n# nothing\n"), "");
}

TEST(Ini, TakesEqualsSignAndColon) {
  EXPECT_EQ(flat("[a]\nx=1\ny:2\nz : 3\n"), "[a]@1\nx=1@2\ny=2@3\nz=3@4\n");
}

TEST(Ini, SplitsAtTheFirstSeparatorOnly) {
  EXPECT_EQ(flat("[a]\nx = b=c:d\ny: e=f"), "[a]@1\nx=b=c:d@2\ny=e=f@3\n");
}

TEST(Ini, PassesOverCommentsAlsoIndentedOnes) {
  EXPECT_EQ(flat("; one\n[a]\n# two\n  ; three = 3\nx = 1\n"), "[a]@2\nx=1@5\n");
}

TEST(Ini, CommentSignsInsideAValueAreOrdinary) {
  EXPECT_EQ(flat("[a]\nx = one ;two #three\n"), "[a]@1\nx=one ;two #three@2\n");
}

TEST(Ini, PercentIsOrdinary) {
  EXPECT_EQ(flat("[a]\nx = 100%(y)s %%\n"), "[a]@1\nx=100%(y)s %%@2\n");
}

TEST(Ini, TakesAnyLineEndAndNoneAtTheEnd) {
  EXPECT_EQ(flat("[a]\r\nx = 1\r\ny = 2\r\n"), "[a]@1\nx=1@2\ny=2@3\n");
  EXPECT_EQ(flat("[a]\rx = 1\ry = 2"), "[a]@1\nx=1@2\ny=2@3\n");
  EXPECT_EQ(flat("[a]\nx = 1"), "[a]@1\nx=1@2\n");
  EXPECT_EQ(flat("[a]"), "[a]@1\n");
}

TEST(Ini, PassesOverAByteOrderMark) {
  EXPECT_EQ(flat("\xEF\xBB\xBF[a]\nx = 1\n"), "[a]@1\nx=1@2\n");
}

TEST(Ini, BlanksAroundLinesKeysAndValuesDoNotCount) {
  EXPECT_EQ(flat("  [a]\t\n \t x  =\t one two  \n"), "[a]@1\nx=one two@2\n");
}

TEST(Ini, KeysAreTheSameInEitherCase) {
  EXPECT_EQ(flat("[a]\nIP_Address = B\n"), "[a]@1\nip_address=B@2\n");
}

TEST(Ini, SectionNamesAreExact) {
  EXPECT_EQ(flat("[Alice]\n[alice]\n[ alice]\n"), "[Alice]@1\n[alice]@2\n[ alice]@3\n");
}

TEST(Ini, ACommentMayFollowASectionHeader) {
  EXPECT_EQ(flat("[a] ; the first\n[b]# x\n"), "[a]@1\n[b]@2\n");
}

TEST(Ini, AValueMayBeEmptyOrVeryLong) {
  EXPECT_EQ(flat("[a]\nx =\n"), "[a]@1\nx=@2\n");
  const std::string value(100'000, 'v');
  EXPECT_EQ(flat("[a]\nx = " + value + "\n"), "[a]@1\nx=" + value + "@2\n");
}

TEST(Ini, FindsSectionsAndKeys) {
  const auto ini = parse_ini("[a]\nx = 1\n");
  ASSERT_TRUE(ini);
  ASSERT_NE(ini->find("a"), nullptr);
  EXPECT_EQ(ini->find("b"), nullptr);
  ASSERT_NE(ini->find("a")->find("x"), nullptr);
  EXPECT_EQ(ini->find("a")->find("x")->value, "1");
  EXPECT_EQ(ini->find("a")->find("y"), nullptr);
}

TEST(Ini, RefusesALineThatIsNothing) {
  EXPECT_EQ(flat("[a]\nx = 1\nhello\n"), "error: x.ini:3: neither a [section], nor 'key = value', nor a comment");
}

TEST(Ini, RefusesAnEntryBeforeTheFirstSection) {
  EXPECT_EQ(flat("\nx = 1\n"), "error: x.ini:2: x: stands before the first [section]");
}

TEST(Ini, RefusesAnEntryWithoutAKey) {
  EXPECT_EQ(flat("[a]\n= 1\n"), "error: x.ini:2: nothing stands before the '='");
}

TEST(Ini, RefusesABrokenSectionHeader) {
  EXPECT_EQ(flat("[a\n"), "error: x.ini:1: a section header lacks its ']'");
  EXPECT_EQ(flat("[a] b\n"), "error: x.ini:1: something stands behind the section header's ']'");
  EXPECT_EQ(flat("[]\n"), "error: x.ini:1: a section has no name");
}

TEST(Ini, RefusesASectionThatIsThereTwice) {
  EXPECT_EQ(flat("[a]\n[b]\n[a]\n"), "error: x.ini:3: a: this section is there already, at line 1");
}

TEST(Ini, RefusesAKeyThatIsThereTwiceInOneSection) {
  EXPECT_EQ(flat("[a]\nx = 1\nX: 2\n"), "error: x.ini:3: a.x: is there already, at line 2");
  EXPECT_EQ(flat("[a]\nx = 1\n[b]\nx = 2\n"), "[a]@1\nx=1@2\n[b]@3\nx=2@4\n");
}

TEST(Ini, AnErrorSaysFileLineKeyAndWhat) {
  EXPECT_EQ((ConfigError{12, "chunks.7", "is wrong"}.describe("config/file.ini")),
            "config/file.ini:12: chunks.7: is wrong");
  EXPECT_EQ((ConfigError{0, "chunks", "is missing"}.describe("file.ini")), "file.ini: chunks: is missing");
  EXPECT_EQ((ConfigError{3, "", "is odd"}.describe("file.ini")), "file.ini:3: is odd");
}

}  // namespace
}  // namespace shoal::course
