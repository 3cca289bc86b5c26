#include "swarm/tracker_url.hpp"

#include <gtest/gtest.h>

namespace shoal::swarm {
namespace {

using Scheme = TrackerUrl::Scheme;

TrackerUrl parsed(std::string_view url) {
  return parse_tracker_url(url).value();
}

TEST(TrackerUrl, IsTakenApart) {
  const TrackerUrl url = parsed("UDP://Tracker.Example.ORG:6969/announce?key=1#x");
  EXPECT_EQ(url.scheme, Scheme::udp);
  EXPECT_EQ(url.host, "tracker.example.org");
  EXPECT_EQ(url.port, 6969);
  EXPECT_EQ(url.path_and_query, "/announce?key=1");
  EXPECT_EQ(url.text, "UDP://Tracker.Example.ORG:6969/announce?key=1");
}

TEST(TrackerUrl, HasTheUsualPortOfItsScheme) {
  EXPECT_EQ(parsed("http://a/announce").port, 80);
  EXPECT_EQ(parsed("https://a/announce").port, 443);
  EXPECT_EQ(parsed("http://a:8080/announce").port, 8080);
  EXPECT_EQ(parsed("http://a:/announce").port, 80);
}

TEST(TrackerUrl, MayHaveNoPathAQueryAloneOrAUser) {
  EXPECT_EQ(parsed("udp://a:1").path_and_query, "");
  EXPECT_EQ(parsed("udp://a:1?b").path_and_query, "?b");
  EXPECT_EQ(parsed("http://me:secret@a:8080/x").host, "a");
  EXPECT_EQ(parsed("http://me:secret@a:8080/x").port, 8080);
}

TEST(TrackerUrl, MayHaveAnIpv6AddressOverHttp) {
  EXPECT_EQ(parsed("http://[::1]:8080/x").host, "[::1]");
  EXPECT_EQ(parsed("http://[::1]:8080/x").port, 8080);
  EXPECT_EQ(parsed("http://[::1]/x").port, 80);
}

TEST(TrackerUrl, IsRefusedWhenItCannotBeAsked) {
  for (const char* url : {"",
                          "http",
                          "http:",
                          "http://",
                          "http:///announce",
                          "http://?x",
                          "http://:80/",
                          "ftp://a/",
                          "wss://a/",
                          "udp://a",
                          "udp://a:/",
                          "udp://a/announce",
                          "http://a:0/",
                          "http://a:65536/",
                          "http://a:80x/",
                          "http://a:-1/",
                          "udp://a:b/",
                          "udp://[::1]:80/",
                          "http://[::1/",
                          "http://[::1]80/",
                          "//a:80/",
                          "a:80",
                          "http://me@/"}) {
    EXPECT_FALSE(parse_tracker_url(url)) << url;
  }
}

TEST(TrackerUrl, TellsWhenItNamesThisHost) {
  EXPECT_TRUE(parsed("http://127.0.0.1/").is_on_this_host());
  EXPECT_TRUE(parsed("http://127.5.6.7:80/").is_on_this_host());
  EXPECT_TRUE(parsed("http://LocalHost/").is_on_this_host());
  EXPECT_FALSE(parsed("http://10.0.0.1/").is_on_this_host());
  EXPECT_FALSE(parsed("http://127.0.0.1.example.org/").is_on_this_host());
}

TEST(TrackerUrl, TakesAQueryBehindWhatItHasOfOneItself) {
  EXPECT_EQ(with_query(parsed("http://a/announce"), "q=1"), "http://a/announce?q=1");
  EXPECT_EQ(with_query(parsed("http://a/announce?key=7"), "q=1"), "http://a/announce?key=7&q=1");
  EXPECT_EQ(with_query(parsed("http://a/announce?"), "q=1"), "http://a/announce?q=1");
  EXPECT_EQ(with_query(parsed("http://a/announce?key=7&"), "q=1"), "http://a/announce?key=7&q=1");
  EXPECT_EQ(with_query(parsed("http://a"), "q=1"), "http://a/?q=1");
  EXPECT_EQ(with_query(parsed("http://a?k"), "q=1"), "http://a?k&q=1");
  EXPECT_EQ(with_query(parsed("http://a/announce#part"), "q=1"), "http://a/announce?q=1");
}

}  // namespace
}  // namespace shoal::swarm
