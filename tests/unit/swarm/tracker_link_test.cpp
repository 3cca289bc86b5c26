#include "swarm/tracker_link.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace shoal::swarm {
namespace {

using base::Endpoint;
using base::Instant;
using base::Ipv4Address;
using namespace std::chrono_literals;

class TrackerLinkTest : public ::testing::Test {
 protected:
  TrackerLink link(std::string_view url) { return {parse_tracker_url(url).value(), base::Rng(1)}; }
  void announce(TrackerLink& link, wire::AnnounceEvent event = wire::AnnounceEvent::none) {
    wire::AnnounceRequest request;
    request.port = 6881;
    request.event = event;
    link.announce(request, ids_, 15s, now_);
  }
  template <typename Action>
  static std::vector<Action> take(TrackerLink& link) {
    std::vector<Action> taken;
    for (seam::Action& action : link.take_actions()) {
      if (auto* one = std::get_if<Action>(&action)) taken.push_back(std::move(*one));
    }
    return taken;
  }
  // "" for an answer of a tracker, else the reason.
  static std::string result(TrackerLink& link) {
    const auto result = link.take_result();
    if (!result) return "nothing";
    const auto* failure = std::get_if<wire::Failure>(&*result);
    return failure == nullptr ? "" : failure->reason;
  }
  static base::Bytes bytes(std::string_view text) {
    const base::ByteView view = base::view_of(text);
    return {view.begin(), view.end()};
  }
  std::string result_of(int status, std::string_view body) {
    TrackerLink one = link("http://a/announce");
    announce(one);
    const auto fetch = take<seam::Fetch>(one).at(0).fetch;
    one.on_event(seam::Fetched{.fetch = fetch, .status = status, .body = bytes(body)}, now_);
    EXPECT_FALSE(one.is_under_way());
    return result(one);
  }

  WebIds ids_{7, 7};
  Instant now_ = Instant{} + 1h;
};

TEST_F(TrackerLinkTest, FetchesOverHttp) {
  TrackerLink one = link("https://a:8080/announce?pass=1");
  announce(one, wire::AnnounceEvent::started);
  EXPECT_TRUE(one.is_under_way());
  EXPECT_TRUE(one.may_have_been_heard());
  const auto fetches = take<seam::Fetch>(one);
  ASSERT_EQ(fetches.size(), 1u);
  EXPECT_EQ(fetches[0].fetch, seam::FetchId(7));
  EXPECT_TRUE(fetches[0].url.starts_with("https://a:8080/announce?pass=1&info_hash=")) << fetches[0].url;
  EXPECT_NE(fetches[0].url.find("event=started"), std::string::npos);
  EXPECT_EQ(fetches[0].method, "GET");
  EXPECT_EQ(fetches[0].timeout, 15s);
}

TEST_F(TrackerLinkTest, TakesAnAnswerForOneOnlyWhenItIsATrackers) {
  EXPECT_EQ(result_of(200, "d8:intervali60e5:peers0:e"), "");
  EXPECT_EQ(result_of(200, "d14:failure reason6:no waye"), "no way");
  EXPECT_EQ(result_of(403, "d14:failure reason6:no waye"), "no way");
  EXPECT_EQ(result_of(404, "<html>"), "answers with HTTP status 404");
  EXPECT_EQ(result_of(500, "d8:intervali60e5:peers0:e"), "answers with HTTP status 500");
  EXPECT_EQ(result_of(200, ""), "answers with something else than a tracker's reply");
  EXPECT_EQ(result_of(200, "<html>"), "answers with something else than a tracker's reply");
}

TEST_F(TrackerLinkTest, SaysWhyAFetchFailed) {
  TrackerLink one = link("http://a/announce");
  announce(one);
  const auto fetch = take<seam::Fetch>(one).at(0).fetch;
  one.on_event(seam::FetchFailed{.fetch = seam::FetchId(fetch.value + 2), .reason = "of another"}, now_);
  EXPECT_EQ(result(one), "nothing");
  one.on_event(seam::FetchFailed{.fetch = fetch, .reason = "redirects in circles"}, now_);
  EXPECT_EQ(result(one), "redirects in circles");
  one.on_event(seam::FetchFailed{.fetch = fetch, .reason = "again"}, now_);
  EXPECT_EQ(result(one), "nothing");
}

TEST_F(TrackerLinkTest, CancelsWhatIsUnderWay) {
  TrackerLink one = link("http://a/announce");
  announce(one);
  const auto first = take<seam::Fetch>(one).at(0).fetch;
  one.cancel();
  EXPECT_FALSE(one.is_under_way());
  const auto cancelled = take<seam::CancelFetch>(one);
  ASSERT_EQ(cancelled.size(), 1u);
  EXPECT_EQ(cancelled[0].fetch, first);
  announce(one);
  EXPECT_NE(take<seam::Fetch>(one).at(0).fetch, first);
}

TEST_F(TrackerLinkTest, AsksForTheAddressesOfANameOverUdp) {
  TrackerLink one = link("udp://tracker.example:6969/announce");
  announce(one);
  EXPECT_FALSE(one.may_have_been_heard());
  const auto resolves = take<seam::Resolve>(one);
  ASSERT_EQ(resolves.size(), 1u);
  EXPECT_EQ(resolves[0].host, "tracker.example");
  EXPECT_EQ(resolves[0].resolve, seam::ResolveId(7));
  one.on_event(seam::NameResolved{.resolve = seam::ResolveId(9), .addresses = {{0x0a000002}}}, now_);
  EXPECT_TRUE(take<seam::SendDatagram>(one).empty()) << "somebody else's";
  one.on_event(seam::NameResolved{.resolve = seam::ResolveId(7), .addresses = {{0x0a000001}}}, now_);
  const auto sent = take<seam::SendDatagram>(one);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].socket, seam::kAnnouncerSocket);
  EXPECT_EQ(sent[0].to, (Endpoint{{0x0a000001}, 6969}));
}

TEST_F(TrackerLinkTest, SendsAtOnceToAnAddress) {
  TrackerLink one = link("udp://10.0.0.1:6969");
  announce(one);
  const auto sent = take<seam::SendDatagram>(one);
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].to, (Endpoint{{0x0a000001}, 6969}));
  EXPECT_EQ(one.endpoint(), (Endpoint{{0x0a000001}, 6969}));
}

TEST_F(TrackerLinkTest, FailsWhenANameHasNoAddressOrNoneOfAHost) {
  const auto result_of_addresses = [&](std::vector<Ipv4Address> addresses) {
    TrackerLink one = link("udp://tracker.example:6969");
    announce(one);
    one.on_event(
        seam::NameResolved{.resolve = take<seam::Resolve>(one).at(0).resolve, .addresses = std::move(addresses)}, now_);
    EXPECT_TRUE(take<seam::SendDatagram>(one).empty());
    EXPECT_FALSE(one.is_under_way());
    return result(one);
  };
  EXPECT_EQ(result_of_addresses({}), "its name is not known");
  EXPECT_EQ(result_of_addresses({{0}, {0xffffffff}, {0xe0000001}}), "its address is none of a host");
  TrackerLink broadcast = link("udp://255.255.255.255:6969");
  announce(broadcast);
  EXPECT_EQ(result(broadcast), "its address is none of a host");
}

TEST_F(TrackerLinkTest, TriesALimitedNumberOfAddresses) {
  TrackerLink one = link("udp://tracker.example:6969");
  announce(one);
  std::vector<Ipv4Address> addresses;
  for (std::uint32_t n = 0; n < 100; ++n) addresses.push_back({0x0a000001 + n / 2});
  one.on_event(seam::NameResolved{.resolve = take<seam::Resolve>(one).at(0).resolve, .addresses = addresses}, now_);
  std::vector<Endpoint> asked;
  for (const auto& sent : take<seam::SendDatagram>(one)) asked.push_back(sent.to);
  for (int n = 0; n < kUdpRepeatsMax; ++n) {
    now_ = one.next_deadline().value();
    one.on_deadline(now_);
    for (const auto& sent : take<seam::SendDatagram>(one)) asked.push_back(sent.to);
  }
  ASSERT_EQ(asked.size(), kTrackerAddressesMax + 1);
  EXPECT_EQ(asked[1].address.value, 0x0a000002u);
  EXPECT_EQ(asked.back(), asked.front());
}

TEST_F(TrackerLinkTest, SaysGoodbyeWithoutAskingForTheNameAgain) {
  TrackerLink one = link("udp://tracker.example:6969");
  announce(one);
  one.on_event(seam::NameResolved{.resolve = take<seam::Resolve>(one).at(0).resolve, .addresses = {{0x0a000001}}},
               now_);
  take<seam::SendDatagram>(one);
  announce(one);
  EXPECT_EQ(take<seam::Resolve>(one).size(), 1u) << "addresses may change";
  announce(one, wire::AnnounceEvent::stopped);
  EXPECT_EQ(take<seam::SendDatagram>(one).size(), 1u);
}

TEST_F(TrackerLinkTest, KnowsATrackerOnThisHost) {
  EXPECT_TRUE(link("http://127.0.0.1/announce").is_on_this_host());
  EXPECT_FALSE(link("http://10.0.0.1/announce").is_on_this_host());
  TrackerLink named = link("udp://tracker.example:6969");
  announce(named);
  EXPECT_FALSE(named.is_on_this_host());
  named.on_event(seam::NameResolved{.resolve = take<seam::Resolve>(named).at(0).resolve, .addresses = {{0x7f000001}}},
                 now_);
  EXPECT_TRUE(named.is_on_this_host());
}

}  // namespace
}  // namespace shoal::swarm
