#include "net/http_client.hpp"

#include <gtest/gtest.h>

#include <latch>

#include "unit/net/web_server.hpp"

namespace shoal::net {
namespace {

using namespace std::chrono_literals;

// Sends these bytes to whoever asks, then ends.
WebServer::Serve send_raw(std::string bytes) {
  return [bytes = std::move(bytes)](WebVisitor& visitor) {
    if (visitor.request()) visitor.send(bytes);
  };
}

Outcome get_raw(std::string bytes, std::size_t reply_bytes_max = 1000) {
  const WebServer server(send_raw(std::move(bytes)));
  Browser browser;
  return browser.get(seam::Fetch{.url = server.url("/file"), .reply_bytes_max = reply_bytes_max});
}

TEST(HttpClient, FetchesABodyOfKnownLength) {
  std::string asked;
  WebServer server(answer_each([&](WebVisitor& visitor, const std::string& request) {
    asked = request;
    visitor.answer("hello");
  }));
  Browser browser;
  const Outcome outcome = browser.get(server.url("/a%20b/c?info_hash=%00%FFx&n=1#here"));
  EXPECT_EQ(outcome.status, 200);
  EXPECT_EQ(outcome.body, "hello");
  EXPECT_TRUE(asked.starts_with("GET /a%20b/c?info_hash=%00%FFx&n=1 HTTP/1.1\r\n")) << asked;
  EXPECT_TRUE(contains(asked, "Host: " + server.local().to_string() + "\r\n")) << asked;
  EXPECT_TRUE(contains(asked, "Accept-Encoding: identity\r\n")) << asked;
}

TEST(HttpClient, FetchesBodiesOfEveryForm) {
  EXPECT_EQ(
      get_raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\n").body,
      "abcde");
  EXPECT_EQ(get_raw("HTTP/1.1 200 OK\r\n\r\nto the end").body, "to the end");
  EXPECT_EQ(get_raw("HTTP/1.0 200 OK\r\n\r\nold").body, "old");
  EXPECT_EQ(get_raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").status, 200);
  EXPECT_EQ(get_raw("HTTP/1.1 204 No Content\r\n\r\n").status, 204);
  EXPECT_EQ(get_raw("HTTP/1.1 304 Not Modified\r\n\r\n").status, 304);
}

std::optional<seam::ByteRange> range_of(const std::string& fields) {
  const Outcome outcome = get_raw("HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n" + fields + "\r\nab");
  EXPECT_EQ(outcome.body, "ab") << fields;
  return outcome.range;
}

TEST(HttpClient, TellsWhichRangeAnAnswerSaysItIs) {
  EXPECT_EQ(range_of("Content-Range: bytes 7-8/100\r\n"), (seam::ByteRange{7, 8}));
  EXPECT_EQ(range_of("content-range:bytes 0-1/2\r\n"), (seam::ByteRange{0, 1}));
  EXPECT_EQ(range_of(""), std::nullopt);
  EXPECT_EQ(range_of("Content-Range: nonsense\r\n"), std::nullopt);
  EXPECT_EQ(range_of("Content-Type: multipart/byteranges; boundary=x\r\n"), std::nullopt);
  // Which of the two should hold?
  EXPECT_EQ(range_of("Content-Range: bytes 7-8/100\r\nContent-Range: bytes 0-1/100\r\n"), std::nullopt);
}

TEST(HttpClient, TellsEveryOtherStatusWithItsBody) {
  for (const int status : {400, 404, 416, 500, 503}) {
    const Outcome outcome = get_raw("HTTP/1.1 " + std::to_string(status) + " Oh\r\nContent-Length: 3\r\n\r\nwhy");
    EXPECT_EQ(outcome.status, status);
    EXPECT_EQ(outcome.body, "why");
  }
}

TEST(HttpClient, WaitsForTheRealAnswerBehindInterimOnes) {
  EXPECT_EQ(get_raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .body,
            "ok");
  std::string endless;
  for (int i = 0; i < 100; ++i) endless += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_TRUE(contains(get_raw(endless).reason, "again and again"));
}

TEST(HttpClient, AsksForAHeadWithoutWaitingForABody) {
  WebServer server(answer_each([](WebVisitor& visitor, const std::string& request) {
    EXPECT_TRUE(request.starts_with("HEAD /"));
    visitor.send("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n");
  }));
  Browser browser;
  const Outcome outcome = browser.get(seam::Fetch{.url = server.url(), .method = "HEAD", .reply_bytes_max = 10});
  EXPECT_EQ(outcome.status, 200) << outcome.reason;
  EXPECT_EQ(outcome.body, "");
}

TEST(HttpClient, SendsABodyAndHeaders) {
  std::string asked;
  WebServer server(answer_each([&](WebVisitor& visitor, const std::string& request) {
    asked = request;
    visitor.answer("", "201 Created");
  }));
  Browser browser;
  const Outcome outcome = browser.get({.url = server.url("/shares"),
                                       .method = "POST",
                                       .body = bytes_of("torrent"),
                                       .headers = {{"Authorization", "Bearer abc"}, {"Range", "bytes=1-2"}}});
  EXPECT_EQ(outcome.status, 201);
  EXPECT_TRUE(asked.starts_with("POST /shares HTTP/1.1\r\n"));
  EXPECT_TRUE(contains(asked, "Content-Length: 7\r\n"));
  EXPECT_TRUE(contains(asked, "Authorization: Bearer abc\r\n"));
  EXPECT_TRUE(contains(asked, "Range: bytes=1-2\r\n"));
  EXPECT_TRUE(asked.ends_with("\r\n\r\ntorrent"));
}

TEST(HttpClient, HearsAServerThatRefusesALongBodyWithoutReadingIt) {
  const WebServer server([](WebVisitor& visitor) {
    visitor.answer("too long", "413 Payload Too Large", "Connection: close\r\n");
    visitor.wait_until_closed();
  });
  Browser browser;
  const std::string body = noise(4'000'000);
  EXPECT_EQ(browser.get({.url = server.url(), .method = "POST", .body = bytes_of(body)}).status, 413);
}

TEST(HttpClient, SendsTheNameAndPasswordOfAUrl) {
  std::string asked;
  WebServer server(answer_each([&](WebVisitor& visitor, const std::string& request) {
    asked = request;
    visitor.answer("");
  }));
  Browser browser;
  const std::string host = server.local().to_string();
  EXPECT_EQ(browser.get("http://user:p%40ss@" + host + "/").status, 200);
  EXPECT_TRUE(contains(asked, "Authorization: Basic dXNlcjpwQHNz\r\n")) << asked;
  EXPECT_TRUE(contains(asked, "Host: " + host + "\r\n"));
}

TEST(HttpClient, RefusesWhatItCannotFetch) {
  Browser browser;
  EXPECT_TRUE(contains(browser.get("ftp://host/file").reason, "only http and https"));
  EXPECT_TRUE(contains(browser.get("nonsense").reason, "cannot fetch nonsense: it is no URL"));
  EXPECT_TRUE(contains(browser.get("http:///file").reason, "it names no host"));
  EXPECT_TRUE(contains(browser.get("http://host:99999/").reason, "its port is not between 1 and 65535"));
  const Outcome outcome =
      browser.get({.url = "http://127.0.0.1/", .headers = {{"Range", "bytes=0-1\r\nHost: elsewhere"}}});
  EXPECT_TRUE(contains(outcome.reason, "more than one line"));
}

TEST(HttpClient, SaysThatNobodyListens) {
  const UniqueFd deaf(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const std::string host = bind_socket(deaf.get(), kAnyLoopbackPort)->to_string();
  Browser browser;
  const Outcome outcome = browser.get("http://" + host + "/announce?secret=1");
  EXPECT_TRUE(contains(outcome.reason, "cannot fetch http://" + host + "/announce: ")) << outcome.reason;
  EXPECT_TRUE(contains(outcome.reason, "cannot connect to " + host + ": Connection refused")) << outcome.reason;
  EXPECT_FALSE(contains(outcome.reason, "secret"));
}

TEST(HttpClient, SaysThatThereIsNoSuchHost) {
  Browser browser([](const std::string&) { return IpAddresses{}; });
  EXPECT_TRUE(contains(browser.get("http://nowhere.example/").reason, "there is no address for nowhere.example"));
}

TEST(HttpClient, TriesTheAddressesOfAHostInTurn) {
  const WebServer server(answer_each([](WebVisitor& visitor, const std::string& request) {
    EXPECT_TRUE(contains(request, "Host: many.example:"));
    visitor.answer("found");
  }));
  Browser browser([](const std::string&) {
    return IpAddresses{asio::ip::make_address("127.0.0.2"), asio::ip::make_address("127.0.0.1")};
  });
  EXPECT_EQ(browser.get(server.url("/", "many.example")).body, "found");
}

TEST(HttpClient, LooksUpTheNamesThatTheSystemKnows) {
  const WebServer server(answer_each([](WebVisitor& visitor, const std::string&) { visitor.answer("here"); }));
  Browser browser;
  EXPECT_EQ(browser.get(server.url("/", "localhost")).body, "here");
}

TEST(HttpClient, TakesAnIpv6Address) {
  const UniqueFd listener(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  socklen_t size = sizeof address;
  const bool has_ipv6 = ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::listen(listener.get(), 1);
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  const std::string host = "[::1]:" + std::to_string(has_ipv6 ? ntohs(address.sin6_port) : 1);
  std::thread thread([&] {
    if (!has_ipv6) return;
    WebVisitor visitor(UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)), nullptr);
    EXPECT_TRUE(contains(visitor.request().value_or(""), "Host: " + host + "\r\n"));
    visitor.answer("six");
  });
  Browser browser;
  const Outcome outcome = browser.get("http://" + host + "/");
  thread.join();
  if (has_ipv6) {
    EXPECT_EQ(outcome.body, "six") << outcome.reason;
  } else {
    EXPECT_TRUE(contains(outcome.reason, "cannot connect to [::1]:1: "));
  }
}

TEST(HttpClient, StopsAtABodyThatIsTooLong) {
  const std::string long_body(1001, 'x');
  for (const std::string& head :
       {std::string("Content-Length: 1001\r\n\r\n"), std::string("Content-Length: 999999999999999\r\n\r\n"),
        std::string("Transfer-Encoding: chunked\r\n\r\n3e9\r\n"), std::string("\r\n")}) {
    const Outcome outcome = get_raw("HTTP/1.1 200 OK\r\n" + head + long_body);
    EXPECT_EQ(outcome.status, 0) << head;
    EXPECT_EQ(outcome.failed_status, 200) << head;
    EXPECT_TRUE(contains(outcome.reason, "the answer is longer than 1000 bytes")) << head << outcome.reason;
  }
  EXPECT_EQ(get_raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x')).body.size(), 1000u);
}

TEST(HttpClient, StopsAtABodyThatNeverEnds) {
  const WebServer server([](WebVisitor& visitor) {
    if (!visitor.request() || !visitor.send("HTTP/1.1 200 OK\r\n\r\n")) return;
    while (visitor.send(std::string(65'536, 'x'))) {
    }
  });
  Browser browser;
  EXPECT_TRUE(contains(browser.get(server.url()).reason, "longer than 1048576 bytes"));
}

TEST(HttpClient, StopsAtAHeadThatNeverEnds) {
  const WebServer server([](WebVisitor& visitor) {
    if (!visitor.request() || !visitor.send("HTTP/1.1 200 OK\r\n")) return;
    while (visitor.send("X-More: and more\r\n")) {
    }
  });
  Browser browser;
  const Outcome outcome = browser.get(server.url());
  EXPECT_TRUE(contains(outcome.reason, "the head of the answer is longer than")) << outcome.reason;
  EXPECT_TRUE(contains(get_raw("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n").reason,
                       "the head of the answer is longer than"));
}

TEST(HttpClient, RefusesGarbage) {
  for (const std::string& garbage :
       {std::string("\x13"
                    "BitTorrent protocol, which has nothing to do with it\r\n\r\n"),
        std::string("HTTP/9.9 200 OK\r\n\r\n"), std::string("HTTP/1.1 two hundred\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        std::string("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), noise(2000)}) {
    const Outcome outcome = get_raw(garbage);
    EXPECT_EQ(outcome.status, 0) << garbage;
    EXPECT_TRUE(contains(outcome.reason, "the answer is no HTTP: ")) << outcome.reason;
  }
}

TEST(HttpClient, NoticesAnAnswerThatEndsEarly) {
  EXPECT_TRUE(contains(get_raw("").reason, "the server closed the connection without an answer"));
  EXPECT_TRUE(contains(get_raw("HTTP/1.1 200 OK\r\nConte").reason, "the answer ended within its head"));
  EXPECT_TRUE(contains(get_raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").reason,
                       "the answer ended early, after 3 bytes"));
  EXPECT_TRUE(contains(get_raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n").reason,
                       "the answer ended early, after 5 bytes"));
}

TEST(HttpClient, GivesUpAtItsTimeoutWhereverTheServerStops) {
  for (const std::string_view begun : {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"}) {
    const WebServer server([begun](WebVisitor& visitor) {
      if (visitor.request() && visitor.send(begun)) visitor.wait_until_closed();
    });
    Browser browser;
    const Outcome outcome = browser.get({.url = server.url("/slow"), .timeout = 50ms});
    EXPECT_EQ(outcome.reason,
              "cannot fetch " + server.url("/slow") + ": no answer within 0.05 s (waiting for the server's answer)");
  }
}

TEST(HttpClient, GivesUpOnAServerThatDripsWithinTheWholeTime) {
  std::latch is_over(1);
  const WebServer server([&](WebVisitor& visitor) {
    if (!visitor.request()) return;
    visitor.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    pollfd closed{.fd = visitor.fd(), .events = POLLIN, .revents = 0};
    while (::poll(&closed, 1, 5) == 0 && visitor.send("x")) {
    }
    is_over.count_down();
  });
  Browser browser;
  EXPECT_TRUE(contains(browser.get({.url = server.url(), .timeout = 100ms}).reason, "no answer within 0.1 s"));
  is_over.wait();
}

TEST(HttpClient, GivesUpOnAHostThatDoesNotAnswerAtAll) {
  // A full backlog drops what comes.
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const base::Endpoint local = *bind_socket(listener.get(), kAnyLoopbackPort);
  ::listen(listener.get(), 0);
  std::vector<UniqueFd> others;
  for (int i = 0; i < 4; ++i) {
    others.push_back(make_socket(SOCK_STREAM));
    const sockaddr_in address = sockaddr_of(local);
    (void)::connect(others.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  Browser browser;
  EXPECT_TRUE(contains(browser.get({.url = "http://" + local.to_string() + "/", .timeout = 50ms}).reason,
                       "no answer within 0.05 s (connecting)"));
}

TEST(HttpClient, GivesUpOnANameServerThatDoesNotAnswer) {
  // The thread that waits outlives the test by a moment.
  const auto may_answer = std::make_shared<std::latch>(1);
  {
    Browser browser([may_answer](const std::string&) {
      may_answer->wait();
      return IpAddresses{};
    });
    EXPECT_TRUE(contains(browser.get({.url = "http://slow.example/", .timeout = 50ms}).reason,
                         "no answer within 0.05 s (looking for its address)"));
  }
  may_answer->count_down();
}

}  // namespace
}  // namespace shoal::net
