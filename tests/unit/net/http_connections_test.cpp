// How HttpClient uses connections: again, side by side, and what ends them.
#include <gtest/gtest.h>

#include <latch>
#include <set>

#include "net/http_client.hpp"
#include "unit/net/web_server.hpp"

namespace shoal::net {
namespace {

using namespace std::chrono_literals;

WebServer::Serve hello() {
  return answer_each([](WebVisitor& visitor, const std::string&) { visitor.answer("hello"); });
}

TEST(HttpConnections, AreUsedAgain) {
  const WebServer server(hello());
  Browser browser;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(browser.get(server.url()).body, "hello");
  EXPECT_EQ(server.connections(), 1);
}

TEST(HttpConnections, AreNotUsedAgainWhenTheServerSaysSo) {
  const WebServer server(answer_each(
      [](WebVisitor& visitor, const std::string&) { visitor.answer("hello", "200 OK", "Connection: close\r\n"); }));
  Browser browser;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(browser.get(server.url()).body, "hello");
  EXPECT_EQ(server.connections(), 3);
}

TEST(HttpConnections, AreNotUsedAgainWhenMoreCameThanTheAnswer) {
  const WebServer server([](WebVisitor& visitor) {
    if (!visitor.request()) return;
    visitor.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    visitor.wait_until_closed();
  });
  Browser browser;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(browser.get(server.url()).body, "ok");
}

TEST(HttpConnections, AreReplacedWhenTheServerClosedThemMeanwhile) {
  std::atomic<int> closed = 0;
  const WebServer server([&](WebVisitor& visitor) {
    if (!visitor.request()) return;
    visitor.answer("hello");
    ++closed;
  });
  Browser browser;
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(browser.get(server.url()).body, "hello");
    while (closed < i) std::this_thread::yield();
  }
}

TEST(HttpConnections, AreReplacedWhenTheServerDropsThemOnTheNextRequest) {
  std::atomic<int> asked = 0;
  const WebServer server([&](WebVisitor& visitor) {
    for (int i = 0; visitor.request(); ++i) {
      ++asked;
      if (i > 0) return visitor.reset_when_closed();
      visitor.answer("hello");
    }
  });
  Browser browser;
  EXPECT_EQ(browser.get(server.url()).body, "hello");
  EXPECT_EQ(browser.get(server.url()).body, "hello");
  EXPECT_EQ(asked, 3);
  // What changes something is not risked on a connection that may be gone.
  EXPECT_EQ(browser.get({.url = server.url(), .method = "POST", .body = bytes_of("once")}).body, "hello");
  EXPECT_EQ(asked, 4);
}

TEST(HttpConnections, AreNotTriedAgainAfterHalfAnAnswer) {
  std::atomic<int> asked = 0;
  const WebServer server([&](WebVisitor& visitor) {
    for (int i = 0; visitor.request(); ++i) {
      ++asked;
      if (i > 0) {
        visitor.send("HTTP/1.1 200");
        return;
      }
      visitor.answer("hello");
    }
  });
  Browser browser;
  EXPECT_EQ(browser.get(server.url()).body, "hello");
  EXPECT_TRUE(contains(browser.get(server.url()).reason, "ended within its head"));
  EXPECT_EQ(asked, 2);
}

TEST(HttpConnections, AreKeptForOneServerOnly) {
  const WebServer one(answer_each([](WebVisitor& visitor, const std::string&) { visitor.answer("one"); }));
  const WebServer other(answer_each([](WebVisitor& visitor, const std::string&) { visitor.answer("other"); }));
  Browser browser;
  EXPECT_EQ(browser.get(one.url()).body, "one");
  EXPECT_EQ(browser.get(other.url()).body, "other");
  EXPECT_EQ(browser.get(one.url()).body, "one");
  EXPECT_EQ(browser.get(one.url("/", "localhost")).body, "one");
  EXPECT_EQ(one.connections(), 2);
}

TEST(HttpConnections, RunSideBySideAndAreKeptInABoundedNumber) {
  constexpr int kAtOnce = 20;
  std::latch all_are_here(kAtOnce);
  std::atomic<int> closed = 0;
  const WebServer server([&](WebVisitor& visitor) {
    if (!visitor.request()) return;
    all_are_here.arrive_and_wait();
    visitor.answer("together");
    visitor.wait_until_closed();
    ++closed;
  });
  Browser browser;
  for (int i = 0; i < kAtOnce; ++i) browser.begin({.url = server.url()});
  browser.run_until([&] { return browser.outcomes.size() == kAtOnce; });
  for (const auto& [id, outcome] : browser.outcomes) EXPECT_EQ(outcome.body, "together") << outcome.reason;
  EXPECT_EQ(server.connections(), kAtOnce);
  browser.run_until([&] { return closed == kAtOnce - static_cast<int>(kIdlePerServerMax); });
}

TEST(HttpConnections, AreClosedAtOnceWhenTheirFetchIsCancelled) {
  std::latch has_begun(1);
  std::latch is_closed(1);
  const WebServer server([&](WebVisitor& visitor) {
    if (!visitor.request()) return;
    visitor.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin");
    has_begun.count_down();
    visitor.wait_until_closed();
    is_closed.count_down();
  });
  Browser browser;
  browser.begin({.url = server.url()});
  browser.run_until([&] { return has_begun.try_wait(); });
  browser.client.cancel(seam::FetchId(1));
  browser.client.cancel(seam::FetchId(1));
  browser.client.cancel(seam::FetchId(77));
  browser.run_until([&] { return browser.client.is_quiet(); });
  is_closed.wait();
  EXPECT_TRUE(browser.outcomes.empty());
}

TEST(HttpConnections, AreCancelledInEveryStage) {
  const UniqueFd deaf(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const base::Endpoint local = *bind_socket(deaf.get(), kAnyLoopbackPort);
  ::listen(deaf.get(), 16);  // connects, and nobody answers
  // The thread that waits outlives the test by a moment.
  const auto may_answer = std::make_shared<std::latch>(1);
  Browser browser([may_answer](const std::string&) {
    may_answer->wait();
    return IpAddresses{};
  });
  for (const std::string url : {"http://slow.example/", "https://slow.example/"}) browser.begin({.url = url});
  for (const std::string scheme : {"http://", "https://"}) browser.begin({.url = scheme + local.to_string() + "/"});
  browser.client.cancel(seam::FetchId(4));  // before it did anything
  for (int i = 0; i < 20; ++i) browser.loop.run_one_for(5ms);
  for (std::uint64_t id = 1; id <= 3; ++id) browser.client.cancel(seam::FetchId(id));
  browser.run_until([&] { return browser.client.is_quiet(); });
  EXPECT_TRUE(browser.outcomes.empty());
  may_answer->count_down();
}

TEST(HttpConnections, AreNotMoreThanAllowed) {
  const UniqueFd deaf(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const base::Endpoint local = *bind_socket(deaf.get(), kAnyLoopbackPort);
  ::listen(deaf.get(), 16);
  Browser browser;
  for (std::size_t i = 0; i < kFetchesMax; ++i) browser.begin({.url = "http://" + local.to_string() + "/"});
  EXPECT_TRUE(browser.outcomes.empty());
  EXPECT_TRUE(contains(browser.get("http://" + local.to_string() + "/").reason, "requests are under way already"));
}

}  // namespace
}  // namespace shoal::net
