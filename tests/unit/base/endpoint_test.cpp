#include "base/endpoint.hpp"

#include <gtest/gtest.h>

#include <string>
#include <unordered_set>

namespace shoal::base {
namespace {

TEST(Ipv4Address, ReadsFourDecimalNumbers) {
  EXPECT_EQ(Ipv4Address::parse("127.0.0.1"), Ipv4Address::loopback());
  EXPECT_EQ(Ipv4Address::parse("255.255.255.255"), Ipv4Address::limited_broadcast());
  EXPECT_EQ(Ipv4Address::parse("0.0.0.0"), Ipv4Address{});
  EXPECT_EQ(Ipv4Address::parse("1.2.3.4"), Ipv4Address{0x01020304});
}

TEST(Ipv4Address, RefusesEverythingElse) {
  for (const std::string text : {"",         ".",        "...",       "1.2.3",     "1.2.3.",
                                 ".1.2.3",   "1.2.3.4.", "1.2.3.4.5", "1.2.3.256", "01.2.3.4",
                                 "1.2.3.04", "+1.2.3.4", "-1.2.3.4",  " 1.2.3.4",  "1.2.3.4 ",
                                 "1. 2.3.4", "1.2.3.a",  "localhost", "::1",       "1.2.3.99999999999999999999"}) {
    EXPECT_FALSE(Ipv4Address::parse(text)) << "'" << text << "'";
  }
}

TEST(Ipv4Address, WritesWhatItReads) {
  for (const std::string text : {"0.0.0.0", "10.0.200.3", "255.255.255.255"}) {
    EXPECT_EQ(Ipv4Address::parse(text)->to_string(), text);
  }
}

TEST(Ipv4Address, KnowsTheAddressesThatMeanThisHost) {
  EXPECT_TRUE(Ipv4Address::parse("0.0.0.0")->is_any());
  EXPECT_FALSE(Ipv4Address::parse("0.0.0.1")->is_any());
  EXPECT_TRUE(Ipv4Address::parse("127.9.9.9")->is_loopback());
  EXPECT_FALSE(Ipv4Address::parse("128.0.0.1")->is_loopback());
}

TEST(Endpoint, ReadsAddressAndPort) {
  EXPECT_EQ(Endpoint::parse("1.2.3.4:80"), (Endpoint{{0x01020304}, 80}));
  EXPECT_EQ(Endpoint::parse("1.2.3.4:0"), (Endpoint{{0x01020304}, 0}));
  EXPECT_EQ(Endpoint::parse("1.2.3.4:65535")->to_string(), "1.2.3.4:65535");
}

TEST(Endpoint, RefusesEverythingElse) {
  for (const std::string text : {"", ":", "1.2.3.4", "1.2.3.4:", ":80", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:080",
                                 "1.2.3.4:80 ", "1.2.3.4::80", "1.2.3.4:8:0", "host:80"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << "'" << text << "'";
  }
}

TEST(ParsePort, TakesPlainDecimalNumbersThatFit) {
  EXPECT_EQ(parse_port("0"), 0);
  EXPECT_EQ(parse_port("65535"), 65535);
  for (const std::string text : {"", "65536", "00", "+1", "-0", " 1", "1 ", "0x1", "1e3"}) {
    EXPECT_FALSE(parse_port(text)) << "'" << text << "'";
  }
}

TEST(Endpoint, OrdersByAddressThenPort) {
  EXPECT_LT(*Endpoint::parse("1.2.3.4:9"), *Endpoint::parse("1.2.3.5:1"));
  EXPECT_LT(*Endpoint::parse("1.2.3.4:1"), *Endpoint::parse("1.2.3.4:9"));
}

TEST(Endpoint, CanBeKeptInASet) {
  const std::unordered_set<Endpoint> known = {*Endpoint::parse("1.2.3.4:1"), *Endpoint::parse("1.2.3.4:2"),
                                              *Endpoint::parse("1.2.3.4:1")};
  EXPECT_EQ(known.size(), 2u);
}

}  // namespace
}  // namespace shoal::base
