// One connection to a web server, plain or TLS: connects, asks once or many times, one request at a time. Used by
// HttpClient, which keeps it while it is of use and tells it what to give up.
//
// Always holds: a coroutine of it runs while somebody holds a shared_ptr to it; abort() makes whatever it waits for end
// at once. A TLS connection is only there when the server's certificate is good and names the host.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/vector_body.hpp>

#include "base/bytes.hpp"
#include "net/http_url.hpp"
#include "net/loop.hpp"
#include "net/name_lookup.hpp"

namespace shoal::net {

namespace beast = boost::beast;

// What went wrong is returned beside the result; throws only when the whole loop ends.
inline constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

inline constexpr std::uint32_t kHttpHeadBytesMax = 16u << 10;  // of an answer
inline constexpr int kInterimAnswersMax = 8;                   // 1xx, before the real one
// For one of several addresses; the last one may take what is left of the whole time.
inline constexpr base::Duration kConnectPatience = std::chrono::seconds(3);

using HttpBody = beast::http::vector_body<std::byte>;
using HttpRequestMessage = beast::http::request<HttpBody>;
using HttpAnswer = beast::http::response<HttpBody>;

// What went wrong, in words; and whether nothing of an answer had come by then.
struct HttpTrouble {
  std::string reason;
  bool is_before_answer = false;
  int status = 0;  // when its body is too long, or cut
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  // `tls` is null for a plain connection, and outlives it otherwise.
  HttpConnection(asio::io_context& loop, asio::ssl::context* tls);

  // The error is in words. The addresses are tried in their order.
  [[nodiscard]] asio::awaitable<std::expected<void, std::string>> connect(HttpUrl url, IpAddresses addresses);
  [[nodiscard]] asio::awaitable<std::expected<HttpAnswer, HttpTrouble>> ask(
      std::shared_ptr<const HttpRequestMessage> request, std::size_t reply_bytes_max);
  void abort();

  // After ask(): another request may follow on it.
  [[nodiscard]] bool is_reusable() const { return is_reusable_; }
  // Nothing came, and it was not closed, since the last answer.
  [[nodiscard]] bool is_still_good();

 private:
  using Socket = asio::ip::tcp::socket;
  using TlsStream = asio::ssl::stream<Socket&>;
  using Parser = beast::http::response_parser<HttpBody>;

  [[nodiscard]] asio::awaitable<ErrorCode> connect_to(asio::ip::tcp::endpoint remote, bool is_last);
  [[nodiscard]] asio::awaitable<std::expected<void, std::string>> shake_hands(std::string host);
  [[nodiscard]] asio::awaitable<ErrorCode> write(std::shared_ptr<const HttpRequestMessage> request);
  [[nodiscard]] asio::awaitable<ErrorCode> read_head();
  [[nodiscard]] asio::awaitable<ErrorCode> read_body();
  void close();
  void expect_answer(bool is_head, std::size_t reply_bytes_max);
  [[nodiscard]] HttpTrouble trouble_of(ErrorCode error, std::size_t reply_bytes_max) const;

  Socket socket_;
  std::optional<TlsStream> tls_;
  asio::ssl::context* tls_context_;
  Timer patience_timer_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  bool is_connecting_ = false;
  bool is_aborted_ = false;
  bool is_reusable_ = false;
};

}  // namespace shoal::net
