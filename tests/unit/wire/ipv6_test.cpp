#include "wire/ipv6.hpp"

#include <gtest/gtest.h>

namespace shoal::wire {
namespace {

std::string canonical(std::string_view text) {
  const auto address = parse_ipv6(text);
  return address ? to_string(*address) : "nothing";
}

TEST(Ipv6, IsReadInEveryForm) {
  EXPECT_EQ(canonical("2001:db8:0:0:8:800:200c:417a"), "2001:db8:0:0:8:800:200c:417a");
  EXPECT_EQ(canonical("2001:DB8::8:800:200C:417A"), "2001:db8:0:0:8:800:200c:417a");
  EXPECT_EQ(canonical("ff01::101"), "ff01:0:0:0:0:0:0:101");
  EXPECT_EQ(canonical("::1"), "0:0:0:0:0:0:0:1");
  EXPECT_EQ(canonical("1::"), "1:0:0:0:0:0:0:0");
  EXPECT_EQ(canonical("::"), "0:0:0:0:0:0:0:0");
  EXPECT_EQ(canonical("1:2:3:4:5:6:7::"), "1:2:3:4:5:6:7:0");
  EXPECT_EQ(canonical("::ffff:129.144.52.38"), "0:0:0:0:0:ffff:8190:3426");
  EXPECT_EQ(canonical("0:0:0:0:0:0:13.1.68.3"), "0:0:0:0:0:0:d01:4403");
}

TEST(Ipv6, RefusesEverythingElse) {
  for (const std::string_view text : {"",
                                      ":",
                                      ":::",
                                      "1",
                                      "1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4:5:6:7:8::",
                                      "::1::",
                                      "1::2::3",
                                      ":1:2::",
                                      "1:2:",
                                      "::12345",
                                      "::g",
                                      "::-1",
                                      "::+1",
                                      "::0x1",
                                      "fe80::1%eth0",
                                      "1.2.3.4",
                                      "1.2.3.4::",
                                      "::1.2.3",
                                      "::1.2.3.256",
                                      "::1.2.3.4:1",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "[::1]",
                                      " ::1"}) {
    EXPECT_EQ(canonical(text), "nothing") << text;
  }
}

TEST(Ipv6Endpoint, HasItsOwnPortOrTheUsualOne) {
  EXPECT_EQ(parse_ipv6_endpoint("::1", 6881), (Ipv6Endpoint{*parse_ipv6("::1"), 6881}));
  EXPECT_EQ(parse_ipv6_endpoint("[2001:db8::2]:80", 6881), (Ipv6Endpoint{*parse_ipv6("2001:db8::2"), 80}));
  EXPECT_EQ(to_string(Ipv6Endpoint{*parse_ipv6("::1"), 6881}), "[0:0:0:0:0:0:0:1]:6881");
}

TEST(Ipv6Endpoint, RefusesEverythingElse) {
  for (const std::string_view text : {"", "[", "[]", "[]:1", "[::1]", "[::1]80", "[::1]:", "[::1]:65536", "[::1]:-1",
                                      "[::1:80", "::1]:80", "[1.2.3.4]:80", "tracker:80"}) {
    EXPECT_FALSE(parse_ipv6_endpoint(text, 6881)) << text;
  }
}

}  // namespace
}  // namespace shoal::wire
