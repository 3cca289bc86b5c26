#include "net/http_url.hpp"

#include <gtest/gtest.h>

namespace shoal::net {
namespace {

HttpUrl parsed(std::string_view text) {
  const auto url = parse_http_url(text);
  EXPECT_TRUE(url.has_value()) << text << ": " << url.error();
  return url.value_or(HttpUrl{});
}

TEST(HttpUrl, IsTakenApart) {
  EXPECT_EQ(parsed("http://example.org/a/b?c=d#e"),
            (HttpUrl{.is_https = false, .host = "example.org", .port = 80, .target = "/a/b?c=d", .user_info = ""}));
  EXPECT_EQ(parsed("HTTPS://user:pa%3Ass@10.0.0.1:8443"),
            (HttpUrl{.is_https = true, .host = "10.0.0.1", .port = 8443, .target = "/", .user_info = "user:pa:ss"}));
  EXPECT_EQ(parsed("http://[2001:db8::1]:81/x"),
            (HttpUrl{.is_https = false, .host = "2001:db8::1", .port = 81, .target = "/x", .user_info = ""}));
  EXPECT_EQ(parsed("http://Example.ORG/Path").host, "example.org");
  EXPECT_EQ(parsed("http://host?query").target, "/?query");
  EXPECT_EQ(parsed("http://host:/").port, 80);
}

TEST(HttpUrl, KeepsWhatIsEncodedByteForByte) {
  const std::string target = "/announce?info_hash=%00%ff%41~-._%20+&x=%2F";
  EXPECT_EQ(parsed("http://host" + target).target, target);
}

TEST(HttpUrl, ForgivesWhatBrowsersForgive) {
  EXPECT_EQ(parsed("http://host/a b/[1].iso?q={x}|y").target, "/a%20b/%5B1%5D.iso?q=%7Bx%7D%7Cy");
  EXPECT_EQ(parsed("http://host/\xc3\xa4").target, "/%C3%A4");
  EXPECT_EQ(parsed("http://host/100%/50%x").target, "/100%25/50%25x");
}

TEST(HttpUrl, NamesItsServer) {
  EXPECT_EQ(parsed("http://host:80/").host_and_port(), "host");
  EXPECT_EQ(parsed("https://host:443/").origin(), "https://host");
  EXPECT_EQ(parsed("https://host:80/").origin(), "https://host:80");
  EXPECT_EQ(parsed("http://[::1]:8080/").host_and_port(), "[::1]:8080");
}

TEST(HttpUrl, ShowsNothingPrivate) {
  EXPECT_EQ(parsed("http://user:word@host:81/a/b?passkey=1").shown(), "http://host:81/a/b");
  EXPECT_LT(parsed("http://host/" + std::string(5000, 'x')).shown().size(), 250u);
}

TEST(HttpUrl, SaysWhatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"", "it is no URL"},
      {"host/file", "it is no URL"},
      {"http://[::1/", "it names no host"},
      {"http://[::g]/", "it names no host"},
      {"http://[::1]x/", "its port is not between 1 and 65535"},
      {"udp://host:1/announce", "only http and https can be fetched"},
      {"file:///etc/passwd", "only http and https can be fetched"},
      {"https:#x/", "it is no URL"},
      {"http:/host/", "it is no URL"},
      {"http://us%er@host/", "its user name is wrongly encoded"},
      {"http:///x", "it names no host"},
      {"http://:80/x", "it names no host"},
      {"http://ho%20st/", "it names no host"},
      {"http://ho%0D%0Ast/", "it names no host"},
      {"http://ho%3Ast/", "it names no host"},
      {"http://[v1.x:y]/", "it names no host"},
      {"http://" + std::string(254, 'x') + "/", "it names no host"},
      {"http://host:0/", "its port is not between 1 and 65535"},
      {"http://host:65536/", "its port is not between 1 and 65535"},
      {"http://host:99999999999999999999/", "its port is not between 1 and 65535"},
      {"http://host/" + std::string(10'000, 'x'), "it is longer than 8192 bytes"},
  };
  for (const auto& [text, reason] : wrong) {
    const auto url = parse_http_url(text);
    ASSERT_FALSE(url.has_value()) << text;
    EXPECT_EQ(url.error(), reason) << text;
  }
}

TEST(HttpUrl, CannotSmuggleLinesIntoARequest) {
  const HttpUrl url = parsed("http://host/a\r\nHost: other\r\n\r\nx");
  EXPECT_EQ(url.target.find_first_of("\r\n "), std::string::npos);
}

TEST(HttpUrl, FollowsALocation) {
  const HttpUrl from = parsed("https://host:444/a/b/c?d#e");
  const std::vector<std::pair<std::string, std::string>> places{
      // As in RFC 3986, 5.4, with another base.
      {"https://g", "https://g/"},
      {"http://other:80/x?y#z", "http://other/x?y"},
      {"//other/x", "https://other/x"},
      {"/x", "https://host:444/x"},
      {"/./x/../y/.", "https://host:444/y/"},
      {"g", "https://host:444/a/b/g"},
      {"g?y#s", "https://host:444/a/b/g?y"},
      {"./g/", "https://host:444/a/b/g/"},
      {"?y", "https://host:444/a/b/c?y"},
      {"#s", "https://host:444/a/b/c?d"},
      {"", "https://host:444/a/b/c?d"},
      {"..", "https://host:444/a/"},
      {"../g", "https://host:444/a/g"},
      {"../../../g", "https://host:444/g"},
      {"../../../..", "https://host:444/"},
      {"..g/...", "https://host:444/a/b/..g/..."},
      {"g?y/../x", "https://host:444/a/b/g?y/../x"},
      {"%41/ \xc3[", "https://host:444/a/b/%41/%20%C3%5B"},
  };
  for (const auto& [location, place] : places) {
    const auto to = follow_location(from, location);
    ASSERT_TRUE(to.has_value()) << location;
    EXPECT_EQ(to->origin() + to->target, place) << location;
  }
  EXPECT_FALSE(follow_location(from, "mailto:somebody").has_value());
  EXPECT_FALSE(follow_location(from, "http://[").has_value());
  EXPECT_FALSE(follow_location(from, std::string(10'000, 'x')).has_value());
  EXPECT_FALSE(follow_location(from, std::string(4'000, ' ')).has_value());
}

}  // namespace
}  // namespace shoal::net
