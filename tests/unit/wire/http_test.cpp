#include "wire/http.hpp"

#include <gtest/gtest.h>

namespace shoal::wire {
namespace {

using base::view_of;
using namespace std::string_view_literals;

constexpr std::string_view kAnnounce =
    "GET /announce?info_hash=%01a&port=6881 HTTP/1.1\r\n"
    "Host: tracker:8000\r\n"
    "User-Agent: aria2/1.36.0\r\n"
    "Accept:*/*\r\n"
    "\r\n";

HttpRequest parsed(std::string_view text) {
  const auto head = parse_http_head(view_of(text));
  if (!head || !*head) {
    ADD_FAILURE() << text;
    return {};
  }
  EXPECT_EQ((*head)->head_bytes, text.size());
  return (*head)->request;
}

// 0: the head is good, or not complete.
int status_of(std::string_view text) {
  const auto head = parse_http_head(view_of(text));
  if (head) return 0;
  EXPECT_FALSE(head.error().reason.empty());
  return head.error().status;
}

HttpRequest with_target(std::string_view target) {
  return parsed("GET " + std::string(target) + " HTTP/1.0\r\n\r\n");
}

int status_of_target(std::string_view target) {
  return status_of("GET " + std::string(target) + " HTTP/1.0\r\n\r\n");
}

int status_of_fields(std::string_view fields) {
  return status_of("PUT / HTTP/1.0\r\n" + std::string(fields) + "\r\n");
}

HttpRequest with_fields(std::string_view fields) {
  return parsed("PUT / HTTP/1.0\r\n" + std::string(fields) + "\r\n");
}

// --- Request heads ---

TEST(HttpHead, IsTakenApart) {
  const HttpRequest request = parsed(kAnnounce);
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.path, "/announce");
  EXPECT_EQ(request.query, "info_hash=%01a&port=6881");
  EXPECT_EQ(request.header("host"), "tracker:8000");
  EXPECT_EQ(request.header("accept"), "*/*");
  EXPECT_EQ(request.header("cookie"), std::nullopt);
  EXPECT_EQ(request.body_bytes, 0u);
  EXPECT_TRUE(request.keeps_alive);
}

TEST(HttpHead, IsAwaitedWhateverPrefixHasCome) {
  for (std::size_t size = 0; size < kAnnounce.size(); ++size) {
    const auto head = parse_http_head(view_of(kAnnounce.substr(0, size)));
    ASSERT_TRUE(head) << size;
    EXPECT_FALSE(*head) << size;
  }
}

TEST(HttpHead, EndsAtTheEmptyLine) {
  const std::string text = "PUT / HTTP/1.0\r\nContent-Length: 3\r\n\r\n";
  const auto head = parse_http_head(view_of(text + "abcGET / HTTP/1.0\r\n\r\n"));
  ASSERT_TRUE(head && *head);
  EXPECT_EQ((*head)->head_bytes, text.size());
  EXPECT_EQ((*head)->request.body_bytes, 3u);
}

TEST(HttpHead, MayHaveLineFeedsAloneAndEmptyLinesBefore) {
  EXPECT_EQ(parsed("\r\n\nGET /shares HTTP/1.0\nHost: a\n\n").path, "/shares");
}

TEST(HttpHead, HasAPathThatIsDecodedAndAQueryThatIsNot) {
  EXPECT_EQ(with_target("/shares/my%20file+%C3%BC.torrent?a=%20&b=%zz").path, "/shares/my file+\xc3\xbc.torrent");
  EXPECT_EQ(with_target("/shares/my%20file.torrent?a=%20&b=%zz?c").query, "a=%20&b=%zz?c");
  EXPECT_EQ(with_target("/?").query, "");
  EXPECT_EQ(with_target("/\xc3\xbc").path, "/\xc3\xbc");
}

TEST(HttpHead, MayNameAWholeUrl) {
  EXPECT_EQ(with_target("http://tracker:8000/announce?x=1").path, "/announce");
  EXPECT_EQ(with_target("HTTP://tracker:8000/announce?x=1").query, "x=1");
  EXPECT_EQ(with_target("http://tracker").path, "/");
  EXPECT_EQ(with_target("http://tracker?x=1").path, "/");
  EXPECT_EQ(with_target("http://tracker?x=1").query, "x=1");
}

TEST(HttpHead, KeepsTheConnectionAsItsVersionAndFieldsSay) {
  EXPECT_FALSE(with_fields("").keeps_alive);
  EXPECT_TRUE(with_fields("Connection: keep-alive\r\n").keeps_alive);
  EXPECT_TRUE(with_fields("connection: upgrade , Keep-Alive\r\n").keeps_alive);
  EXPECT_FALSE(with_fields("Connection: close, keep-alive\r\n").keeps_alive);
  EXPECT_FALSE(parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n").keeps_alive);
  EXPECT_FALSE(parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n").keeps_alive);
  EXPECT_TRUE(parsed("GET / HTTP/1.1\r\nHost: a\r\nConnection: ,\r\n\r\n").keeps_alive);
}

TEST(HttpHead, GivesTheFirstFieldOfAName) {
  EXPECT_EQ(with_fields("X-A:  1 \t\r\nX-A: 2\r\nX-B:\r\n").header("x-a"), "1");
  EXPECT_EQ(with_fields("X-A: 1\r\nX-B:\r\n").header("x-b"), "");
}

TEST(HttpHead, ReadsTheLengthOfABody) {
  EXPECT_EQ(with_fields("Content-Length: 18446744073709551615\r\n").body_bytes, ~std::uint64_t{0});
  EXPECT_EQ(with_fields("Content-Length: 5\r\ncontent-length: 5\r\n").body_bytes, 5u);
}

TEST(HttpHead, RefusesWhatIsNoRequestLine) {
  for (const std::string_view line :
       {"GET", "GET /", "GET  HTTP/1.1", "/ HTTP/1.1", " / HTTP/1.1", "G(T / HTTP/1.1", "GET / x HTTP/1.1",
        "GET / HTP/1.1", "GET / http/1.1", "GET /\t HTTP/1.1", "\x01\x02 / HTTP/1.1", "GET / HTTP/1.1\r\r"}) {
    EXPECT_NE(status_of(std::string(line) + "\r\nHost: a\r\n\r\n"), 0) << line;
  }
  EXPECT_EQ(status_of("GET\r\n\r\n"), 400);
}

TEST(HttpHead, RefusesAnotherVersion) {
  for (const std::string_view version : {"HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/1.10", "HTTP/"}) {
    EXPECT_EQ(status_of("GET / " + std::string(version) + "\r\nHost: a\r\n\r\n"), 505) << version;
  }
}

TEST(HttpHead, RefusesATargetThatIsNoPath) {
  for (const std::string_view target : {"*", "shares", "tracker:8000", "https://tracker/", "http:/x", "?a"}) {
    EXPECT_EQ(status_of_target(target), 400) << target;
  }
}

TEST(HttpHead, RefusesATargetWithCharactersNoUrlHas) {
  for (const std::string_view target : {"/a#b"sv, "/a\x7f"sv, "/a\x01"sv, "/a\0b"sv, "/a\rb"sv}) {
    EXPECT_EQ(status_of_target(target), 400);
  }
}

TEST(HttpHead, RefusesABadlyEncodedPath) {
  for (const std::string_view target : {"/%", "/%2", "/%2g", "/%g2", "/%00"}) EXPECT_EQ(status_of_target(target), 400);
}

TEST(HttpHead, RefusesWhatIsNoField) {
  for (const std::string_view field : {"Host"sv, ": a"sv, "Ho st: a"sv, "Host : a"sv, " folded: a"sv, "H\xc3\xbc: a"sv,
                                       "A: b\x01"sv, "A: b\rc"sv, "A: \0"sv, "A: \x7f"sv}) {
    EXPECT_EQ(status_of_fields(std::string(field) + "\r\n"), 400) << field;
  }
  EXPECT_EQ(status_of_fields("A: b\r\n folded: c\r\n"), 400);
}

TEST(HttpHead, WantsOneHost) {
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.0\r\n\r\n"), 0);
}

TEST(HttpHead, RefusesABodyOfUnknownLength) {
  EXPECT_EQ(status_of_fields("Transfer-Encoding: Chunked\r\n"), 411);
  EXPECT_EQ(status_of_fields("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 411);
  EXPECT_EQ(status_of_fields("Transfer-Encoding: gzip, chunked\r\n"), 501);
}

TEST(HttpHead, RefusesAContentLengthThatIsNoNumber) {
  for (const std::string_view length : {"", "-1", "+1", "1 2", "0x10", "1, 1", "1.0"}) {
    EXPECT_EQ(status_of_fields("Content-Length: " + std::string(length) + "\r\n"), 400) << length;
  }
  EXPECT_EQ(status_of_fields("Content-Length: 1\r\nContent-Length: 2\r\n"), 400);
}

TEST(HttpHead, RefusesABodyLargerThanANumber) {
  EXPECT_EQ(status_of_fields("Content-Length: 18446744073709551616\r\n"), 413);
}

TEST(HttpHead, RefusesARequestLineWithoutEnd) {
  const std::string line = "GET /" + std::string(kHttpHeadBytesMax, 'a');
  EXPECT_EQ(status_of(line.substr(0, kHttpHeadBytesMax - 1)), 0);
  EXPECT_EQ(status_of(line.substr(0, kHttpHeadBytesMax)), 414);
  EXPECT_EQ(status_of(line), 414);
  EXPECT_EQ(status_of(std::string(kHttpHeadBytesMax, '\n')), 414);
}

TEST(HttpHead, RefusesAHeadWithoutEnd) {
  const std::string head = "GET / HTTP/1.1\r\nHost: " + std::string(kHttpHeadBytesMax, 'a');
  EXPECT_EQ(status_of(head.substr(0, kHttpHeadBytesMax - 1)), 0);
  EXPECT_EQ(status_of(head), 431);
}

TEST(HttpHead, MayBeExactlyAsLongAsItsLimit) {
  std::string head = "GET / HTTP/1.1\r\nHost: ";
  head += std::string(kHttpHeadBytesMax - head.size() - 4, 'a') + "\r\n\r\n";
  EXPECT_EQ(head.size(), kHttpHeadBytesMax);
  EXPECT_EQ(parsed(head).path, "/");
  head.insert(head.size() - 4, "a");
  EXPECT_EQ(status_of(head), 431);
}

TEST(HttpHead, RefusesTooManyFields) {
  std::string fields;
  for (std::size_t i = 0; i < kHttpFieldsMax; ++i) fields += "a: b\r\n";
  EXPECT_EQ(status_of_fields(fields), 0);
  EXPECT_EQ(status_of_fields(fields + "a: b\r\n"), 431);
}

// --- Responses ---

std::string encoded(const HttpResponse& response, bool keeps_alive, bool is_head) {
  return std::string(base::text_of(encode_http_response(response, keeps_alive, is_head)));
}

base::Bytes bytes_of(std::string_view text) {
  const auto view = view_of(text);
  return {view.begin(), view.end()};
}

TEST(HttpResponse, HasTheGoldenBytes) {
  EXPECT_EQ(encoded({.body = bytes_of("ok\n")}, true, false),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
            "Connection: keep-alive\r\n\r\nok\n");
  EXPECT_EQ(encoded({.status = 404, .content_type = "application/json", .headers = {{"Allow", "GET"}}}, false, false),
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 0\r\nConnection: close\r\n"
            "Allow: GET\r\n\r\n");
}

TEST(HttpResponse, ToHeadTellsTheLengthAndHasNoBody) {
  EXPECT_EQ(encoded({.body = bytes_of("ok\n")}, false, true),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
            "Connection: close\r\n\r\n");
}

TEST(HttpResponse, NamesEveryStatusOfTheParser) {
  for (const int status : {400, 411, 413, 414, 431, 501, 505}) {
    const std::string text = encoded({.status = status}, false, false);
    EXPECT_GT(text.find("\r\n"), "HTTP/1.1 400 "sv.size()) << text;
  }
  EXPECT_TRUE(encoded({.status = 299}, false, false).starts_with("HTTP/1.1 299 \r\n"));
}

TEST(HttpResponse, CannotBeSplitByANameFromOutside) {
  const std::string text = encoded({.headers = {{"Location", "/a\r\nSet-Cookie: b\x7f\xc3\xbc"}}}, false, false);
  EXPECT_TRUE(text.ends_with("Location: /a  Set-Cookie: b \xc3\xbc\r\n\r\n")) << text;
}

TEST(HttpFirstByte, IsAnUpperCaseLetter) {
  for (int code = 0; code < 256; ++code) {
    EXPECT_EQ(is_http_first_byte(static_cast<std::byte>(code)), code >= 'A' && code <= 'Z') << code;
  }
}

// --- Percent-encoding and queries ---

TEST(PercentEncoding, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(percent_encode("\0 /+%\xff"sv), "%00%20%2F%2B%25%FF");
}

TEST(PercentEncoding, DecodesEveryByteHoweverItIsWritten) {
  for (int code = 0; code < 256; ++code) {
    const std::string byte(1, static_cast<char>(code));
    EXPECT_EQ(percent_decode(percent_encode(byte)), byte);
    const char digits[] = {'%', "0123456789abcdef"[code / 16], "0123456789abcdef"[code % 16]};
    EXPECT_EQ(percent_decode({digits, 3}), byte);
    if (code != '%') {
      EXPECT_EQ(percent_decode(byte), byte);
    }
  }
}

TEST(PercentEncoding, RefusesASignWithoutTwoDigits) {
  for (const std::string_view text : {"%", "a%", "%1", "%1g", "%g1", "%%41", "% 1", "%+1"}) {
    EXPECT_FALSE(percent_decode(text)) << text;
  }
}

TEST(Query, IsTakenApartAtItsFirstSigns) {
  using Fields = std::vector<std::pair<std::string_view, std::string_view>>;
  EXPECT_EQ(query_fields("a=1&b&&c==2&=3&"), (Fields{{"a", "1"}, {"b", ""}, {"c", "=2"}, {"", "3"}}));
  EXPECT_TRUE(query_fields("").empty());
}

TEST(Query, GivesEveryValueOfANameDecoded) {
  EXPECT_EQ(query_values("a=1&b=2&a=%33+x%2b&a=%zz&a", "a"), (std::vector<std::string>{"1", "3 x+", ""}));
  EXPECT_TRUE(query_values("aa=1", "a").empty());
}

}  // namespace
}  // namespace shoal::wire
