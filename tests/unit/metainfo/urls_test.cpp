#include "metainfo/urls.hpp"

#include <gtest/gtest.h>

namespace shoal::metainfo {
namespace {

TEST(Urls, AUsableUrlHasASchemeAndSomethingBehindIt) {
  for (const std::string_view usable : {"http://a", "udp://1.2.3.4:80", "https://x/announce?key=%20", "ftp://u:p@h/"}) {
    EXPECT_TRUE(is_usable_url(usable)) << usable;
  }
  for (const std::string_view unusable : {"", "http", "http:/a", "://a", "http://", "ht tp://a", "/x://a"}) {
    EXPECT_FALSE(is_usable_url(unusable)) << unusable;
  }
}

TEST(Urls, BlanksAndControlCharactersWouldSplitARequest) {
  for (const std::string_view unusable : {"http://a b", "http://a\r\nHost: b", "http://a\tb", "http://a\x7f"}) {
    EXPECT_FALSE(is_usable_url(unusable));
  }
  EXPECT_FALSE(is_usable_url(std::string_view("http://a\0b", 10)));
}

TEST(Urls, AnOverlongUrlIsNotUsable) {
  EXPECT_TRUE(is_usable_url("http://" + std::string(kUrlBytesMax - 7, 'a')));
  EXPECT_FALSE(is_usable_url("http://" + std::string(kUrlBytesMax - 6, 'a')));
}

TEST(Urls, AddsEachOnceWithoutBlanksAroundIt) {
  std::vector<std::string> urls;
  EXPECT_TRUE(add_url(urls, " http://a\r\n", 2));
  EXPECT_TRUE(add_url(urls, "http://a", 2));
  EXPECT_FALSE(add_url(urls, "nothing", 2));
  EXPECT_FALSE(add_url(urls, "  ", 2));
  EXPECT_TRUE(add_url(urls, "http://b", 2));
  EXPECT_FALSE(add_url(urls, "http://c", 2));
  EXPECT_TRUE(add_url(urls, "http://b", 2));
  EXPECT_EQ(urls, (std::vector<std::string>{"http://a", "http://b"}));
}

}  // namespace
}  // namespace shoal::metainfo
