#include <gtest/gtest.h>

#include "net/http_client.hpp"
#include "unit/net/web_server.hpp"

namespace shoal::net {
namespace {

std::string path_of(const std::string& request) {
  const std::size_t begin = request.find(' ') + 1;
  return request.substr(begin, request.find(' ', begin) - begin);
}

void redirect(WebVisitor& visitor, const std::string& location, std::string_view status = "302 Found") {
  visitor.answer("moved", status, "Location: " + location + "\r\n");
}

// Answers with the path, but sends those who ask for a path in `moved` elsewhere.
WebServer::Serve serve_moved(std::map<std::string, std::string> moved) {
  return answer_each([moved = std::move(moved)](WebVisitor& visitor, const std::string& request) {
    const auto found = moved.find(path_of(request));
    if (found != moved.end()) return redirect(visitor, found->second);
    visitor.answer("at " + path_of(request));
  });
}

TEST(HttpRedirects, AreFollowedWhereverTheyLead) {
  const WebServer elsewhere(serve_moved({}));
  const WebServer server(serve_moved({{"/absolute", elsewhere.url("/other?x=1")},
                                      {"/a/b/relative", "../c?y=2"},
                                      {"/rooted", "/top"},
                                      {"/schemeless", "//" + elsewhere.local().to_string() + "/there"},
                                      {"/query", "?only=this"},
                                      {"/blank", "/with blank/\xc3\xa4"}}));
  Browser browser;
  EXPECT_EQ(browser.get(server.url("/absolute")).body, "at /other?x=1");
  EXPECT_EQ(browser.get(server.url("/a/b/relative")).body, "at /a/c?y=2");
  EXPECT_EQ(browser.get(server.url("/rooted")).body, "at /top");
  EXPECT_EQ(browser.get(server.url("/schemeless")).body, "at /there");
  EXPECT_EQ(browser.get(server.url("/query")).body, "at /query?only=this");
  EXPECT_EQ(browser.get(server.url("/blank")).body, "at /with%20blank/%C3%A4");
}

TEST(HttpRedirects, AreFollowedAsOftenAsAllowedAndNotOnce) {
  std::map<std::string, std::string> moved;
  for (int i = 1; i <= seam::Fetch::kRedirectsMax + 1; ++i) {
    moved["/" + std::to_string(i)] = "/" + std::to_string(i - 1);
  }
  const WebServer server(serve_moved(moved));
  Browser browser;
  EXPECT_EQ(browser.get(server.url("/" + std::to_string(seam::Fetch::kRedirectsMax))).body, "at /0");
  const Outcome outcome = browser.get(server.url("/" + std::to_string(seam::Fetch::kRedirectsMax + 1)));
  EXPECT_TRUE(contains(outcome.reason, "more than 5 redirects, the last one to " + server.url("/0"))) << outcome.reason;
}

TEST(HttpRedirects, InACircleAreFoundOut) {
  const WebServer server(serve_moved({{"/a", "/b"}, {"/b", "/a"}, {"/self", "/self"}}));
  Browser browser;
  EXPECT_TRUE(contains(
      browser.get(server.url("/a")).reason,
      "the redirects go in a circle: " + server.url("/a") + " -> " + server.url("/b") + " -> " + server.url("/a")));
  EXPECT_TRUE(contains(browser.get(server.url("/self")).reason, "the redirects go in a circle"));
}

TEST(HttpRedirects, ToNowhereAreErrors) {
  const WebServer server(answer_each([](WebVisitor& visitor, const std::string& request) {
    if (path_of(request) == "/silent") return visitor.answer("", "301 Moved Permanently");
    redirect(visitor, path_of(request) == "/ftp" ? "ftp://host/file" : "http://[nonsense");
  }));
  Browser browser;
  EXPECT_TRUE(contains(browser.get(server.url("/silent")).reason, "does not say where to"));
  EXPECT_TRUE(contains(browser.get(server.url("/ftp")).reason, "only http and https"));
  EXPECT_TRUE(contains(browser.get(server.url("/nonsense")).reason, "redirects to a wrong address"));
}

TEST(HttpRedirects, KeepOrChangeTheMethodAsTheStatusSays) {
  std::string last;
  const WebServer server(answer_each([&](WebVisitor& visitor, const std::string& request) {
    const std::string path = path_of(request);
    if (path != "/end") return redirect(visitor, "/end", path.substr(1) + " Moved");
    last = request;
    visitor.answer("");
  }));
  Browser browser;
  for (const std::string status : {"301", "302", "303"}) {
    browser.get({.url = server.url("/" + status), .method = "POST", .body = bytes_of("body")});
    EXPECT_TRUE(last.starts_with("GET /end ")) << status;
    EXPECT_FALSE(contains(last, "body")) << status;
  }
  for (const std::string status : {"307", "308"}) {
    browser.get({.url = server.url("/" + status), .method = "POST", .body = bytes_of("body")});
    EXPECT_TRUE(last.starts_with("POST /end ")) << status;
    EXPECT_TRUE(last.ends_with("\r\n\r\nbody")) << status;
  }
}

TEST(HttpRedirects, TakeSecretsToNobodyElse) {
  std::string last;
  const auto remember = answer_each([&](WebVisitor& visitor, const std::string& request) {
    last = request;
    visitor.answer("");
  });
  const WebServer elsewhere(remember);
  const WebServer server(answer_each([&](WebVisitor& visitor, const std::string& request) {
    last = request;
    if (path_of(request) == "/here") return redirect(visitor, "/end");
    if (path_of(request) == "/there") return redirect(visitor, elsewhere.url("/end"));
    visitor.answer("");
  }));
  Browser browser;
  const auto get = [&](const std::string& path) {
    const std::string url = "http://user:word@" + server.local().to_string() + path;
    browser.get({.url = url, .headers = {{"authorization", "Bearer abc"}, {"Range", "bytes=0-1"}}});
  };
  get("/here");
  EXPECT_TRUE(contains(last, "Bearer abc"));
  EXPECT_TRUE(contains(last, "Range: bytes=0-1"));
  get("/there");
  EXPECT_TRUE(last.starts_with("GET /end "));
  EXPECT_FALSE(contains(last, "uthorization"));
  EXPECT_TRUE(contains(last, "Range: bytes=0-1"));
}

TEST(HttpRedirects, ShareOneTimeout) {
  std::atomic<int> asked = 0;
  const WebServer server(answer_each([&](WebVisitor& visitor, const std::string&) {
    // The second one never answers.
    if (++asked == 1) return redirect(visitor, "/end");
    visitor.wait_until_closed();
  }));
  Browser browser;
  const Outcome outcome = browser.get({.url = server.url("/begin"), .timeout = std::chrono::milliseconds(80)});
  EXPECT_TRUE(contains(outcome.reason, "cannot fetch " + server.url("/end") + ": no answer within 0.08 s"))
      << outcome.reason;
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace shoal::net
