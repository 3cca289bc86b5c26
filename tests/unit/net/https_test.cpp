#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "net/http_client.hpp"
#include "unit/net/web_server.hpp"

namespace shoal::net {
namespace {

using namespace std::chrono_literals;

// With an authority that this process trusts, and no other.
class Https : public ::testing::Test {
 protected:
  Https() : folder_(std::filesystem::temp_directory_path() / ("shoal-https-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_ / "none");
    authority_.write_certificate(folder_ / "authority.pem");
    ::setenv("SSL_CERT_FILE", (folder_ / "authority.pem").c_str(), 1);
    ::setenv("SSL_CERT_DIR", (folder_ / "none").c_str(), 1);
  }
  ~Https() override { std::filesystem::remove_all(folder_); }

  static WebServer::Serve hello() {
    return answer_each([](WebVisitor& visitor, const std::string&) { visitor.answer("hello"); });
  }

  TestAuthority authority_;
  std::filesystem::path folder_;
};

TEST_F(Https, FetchesFromAServerWhoseCertificateIsGood) {
  const WebServer server(hello(), authority_.server_context());
  Browser browser;
  EXPECT_EQ(browser.get(server.url("/", "localhost")).body, "hello");
  EXPECT_EQ(browser.get(server.url("/", "127.0.0.1")).body, "hello");
}

TEST_F(Https, UsesOneConnectionForSeveralRequests) {
  const WebServer server(hello(), authority_.server_context());
  Browser browser;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(browser.get(server.url()).body, "hello");
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(Https, RefusesACertificateForAnotherHost) {
  const WebServer server(hello(), authority_.server_context({.names = "DNS:example.org,IP:192.0.2.1"}));
  Browser browser;
  const Outcome by_name = browser.get(server.url("/", "localhost"));
  EXPECT_TRUE(contains(by_name.reason, "the certificate of localhost is not good: hostname mismatch"))
      << by_name.reason;
  const Outcome by_address = browser.get(server.url("/", "127.0.0.1"));
  EXPECT_TRUE(contains(by_address.reason, "the certificate of 127.0.0.1 is not good: IP address mismatch"))
      << by_address.reason;
}

TEST_F(Https, RefusesACertificateOfAnUnknownAuthority) {
  const TestAuthority stranger;
  const WebServer server(hello(), stranger.server_context());
  Browser browser;
  EXPECT_TRUE(contains(browser.get(server.url()).reason, "the certificate of 127.0.0.1 is not good: "));
}

TEST_F(Https, RefusesACertificateThatIsOverOrNotYetGood) {
  const WebServer expired(hello(), authority_.server_context({.valid_from_days = -3, .valid_to_days = -1}));
  const WebServer early(hello(), authority_.server_context({.valid_from_days = 1, .valid_to_days = 3}));
  Browser browser;
  EXPECT_TRUE(contains(browser.get(expired.url()).reason, "certificate has expired"));
  EXPECT_TRUE(contains(browser.get(early.url()).reason, "certificate is not yet valid"));
}

TEST_F(Https, RefusesAServerThatSpeaksNoTls) {
  const WebServer plain([](WebVisitor& visitor) {
    visitor.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    visitor.wait_until_closed();
  });
  const WebServer closing([](WebVisitor&) {});
  Browser browser;
  const auto https = [](const WebServer& server) { return "https://" + server.local().to_string() + "/"; };
  EXPECT_TRUE(contains(browser.get(https(plain)).reason, "no TLS with 127.0.0.1: "));
  EXPECT_TRUE(contains(browser.get(https(closing)).reason, "no TLS with 127.0.0.1: "));
}

TEST_F(Https, RefusesOutdatedTls) {
  TlsContextPtr outdated = authority_.server_context();
  SSL_CTX_set_min_proto_version(outdated.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(outdated.get(), TLS1_1_VERSION);
  const WebServer server(hello(), std::move(outdated));
  Browser browser;
  EXPECT_TRUE(contains(browser.get(server.url()).reason, "no TLS with 127.0.0.1: "));
}

TEST_F(Https, GivesUpOnAServerThatDoesNotFinishTheHandshake) {
  const WebServer silent([](WebVisitor& visitor) { visitor.wait_until_closed(); });
  Browser browser;
  const Outcome outcome = browser.get({.url = "https://" + silent.local().to_string() + "/", .timeout = 50ms});
  EXPECT_TRUE(contains(outcome.reason, "no answer within 0.05 s (connecting)")) << outcome.reason;
}

TEST_F(Https, TakesAnAnswerWithoutALengthOnlyWithAProperEnd) {
  for (const bool says_goodbye : {true, false}) {
    const WebServer server(
        [says_goodbye](WebVisitor& visitor) {
          if (!visitor.request()) return;
          visitor.send("HTTP/1.1 200 OK\r\n\r\nall of it?");
          if (says_goodbye) visitor.say_goodbye();
        },
        authority_.server_context());
    Browser browser;
    const Outcome outcome = browser.get(server.url());
    if (says_goodbye) {
      EXPECT_EQ(outcome.body, "all of it?") << outcome.reason;
    } else {
      EXPECT_TRUE(contains(outcome.reason, "the answer ended early")) << outcome.reason;
    }
  }
}

TEST_F(Https, IsNeverLeftForPlainHttp) {
  const WebServer plain(hello());
  const WebServer server(answer_each([&](WebVisitor& visitor, const std::string&) {
                           visitor.answer("", "302 Found", "Location: " + plain.url() + "\r\n");
                         }),
                         authority_.server_context());
  Browser browser;
  EXPECT_TRUE(contains(browser.get(server.url()).reason, "which is not encrypted"));
  EXPECT_EQ(plain.connections(), 0);
}

TEST_F(Https, IsReachedFromPlainHttp) {
  const WebServer server(hello(), authority_.server_context());
  const WebServer plain(answer_each([&](WebVisitor& visitor, const std::string&) {
    visitor.answer("", "301 Moved Permanently", "Location: " + server.url() + "\r\n");
  }));
  Browser browser;
  EXPECT_EQ(browser.get(plain.url()).body, "hello");
}

}  // namespace
}  // namespace shoal::net
