#include "net/http_connection.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <utility>

#include <fmt/format.h>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

namespace shoal::net {

namespace {

namespace http = beast::http;

constexpr std::size_t kReadBytes = 128u << 10;  // room for one read of a body

// Makes OpenSSL compare the certificate with `host`.
bool expect_host(SSL* tls, const std::string& host) {
  ErrorCode not_an_address;
  (void)asio::ip::make_address(host, not_an_address);
  if (!not_an_address) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host.c_str()) == 1;
  SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  // What SSL_set_tlsext_host_name() is a macro for, whose cast is of the old style.
  return SSL_set1_host(tls, host.c_str()) == 1 &&
         SSL_ctrl(tls, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str())) == 1;
}

}  // namespace

HttpConnection::HttpConnection(asio::io_context& loop, asio::ssl::context* tls)
    : socket_(loop), tls_context_(tls), patience_timer_(loop) {}

void HttpConnection::abort() {
  is_aborted_ = true;
  patience_timer_.cancel();
  close();
}

void HttpConnection::close() {
  ErrorCode closed_all_the_same;
  (void)socket_.close(closed_all_the_same);
}

asio::awaitable<std::expected<void, std::string>> HttpConnection::connect(HttpUrl url, IpAddresses addresses) {
  std::string reason = "there is no address for " + url.host;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    const asio::ip::tcp::endpoint remote(addresses[i], url.port);
    const ErrorCode error = co_await connect_to(remote, i + 1 == addresses.size());
    if (!error) {
      if (tls_context_ == nullptr) co_return std::expected<void, std::string>{};
      co_return co_await shake_hands(url.host);
    }
    const std::string where =
        remote.address().is_v6() ? fmt::format("[{}]", remote.address().to_string()) : remote.address().to_string();
    reason = fmt::format("cannot connect to {}:{}: {}", where, remote.port(), error.message());
    if (is_aborted_) break;
  }
  co_return std::unexpected(std::move(reason));
}

asio::awaitable<ErrorCode> HttpConnection::connect_to(asio::ip::tcp::endpoint remote, bool is_last) {
  ErrorCode error;
  if (is_aborted_) co_return asio::error::operation_aborted;
  if (socket_.is_open() && socket_.close(error)) co_return error;
  if (socket_.open(remote.protocol(), error)) co_return error;
  if (socket_.set_option(asio::ip::tcp::no_delay(true), error)) co_return error;
  is_connecting_ = true;
  if (!is_last) {
    patience_timer_.expires_after(kConnectPatience);
    patience_timer_.async_wait([self = shared_from_this()](const ErrorCode& cancelled) {
      if (!cancelled && self->is_connecting_) self->close();
    });
  }
  const auto [connected] = co_await socket_.async_connect(remote, kNoThrow);
  is_connecting_ = false;
  patience_timer_.cancel();
  if (!socket_.is_open() && !is_aborted_) co_return asio::error::timed_out;
  // Nobody listens there, but the kernel gave us that very port: connected to ourselves.
  if (!connected && socket_.local_endpoint(error) == remote) co_return asio::error::connection_refused;
  co_return connected;
}

asio::awaitable<std::expected<void, std::string>> HttpConnection::shake_hands(std::string host) {
  tls_.emplace(socket_, *tls_context_);
  if (!expect_host(tls_->native_handle(), host)) co_return std::unexpected("TLS cannot be set up for " + host);
  const auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::client, kNoThrow);
  if (!error) co_return std::expected<void, std::string>{};
  const long verified = SSL_get_verify_result(tls_->native_handle());
  if (verified != X509_V_OK) {
    co_return std::unexpected(
        fmt::format("the certificate of {} is not good: {}", host, X509_verify_cert_error_string(verified)));
  }
  const bool is_cut = error == asio::ssl::error::stream_truncated || error == asio::error::eof;
  co_return std::unexpected(
      fmt::format("no TLS with {}: {}", host, is_cut ? "the server closed the connection" : error.message()));
}

asio::awaitable<ErrorCode> HttpConnection::write(std::shared_ptr<const HttpRequestMessage> request) {
  http::serializer<true, HttpBody> serializer(*request);
  if (tls_) {
    const auto [error, count] = co_await http::async_write(*tls_, serializer, kNoThrow);
    co_return error;
  }
  const auto [error, count] = co_await http::async_write(socket_, serializer, kNoThrow);
  co_return error;
}

asio::awaitable<ErrorCode> HttpConnection::read_head() {
  if (tls_) {
    const auto [error, count] = co_await http::async_read_header(*tls_, buffer_, *parser_, kNoThrow);
    co_return error;
  }
  const auto [error, count] = co_await http::async_read_header(socket_, buffer_, *parser_, kNoThrow);
  co_return error;
}

asio::awaitable<ErrorCode> HttpConnection::read_body() {
  if (tls_) {
    const auto [error, count] = co_await http::async_read(*tls_, buffer_, *parser_, kNoThrow);
    co_return error;
  }
  const auto [error, count] = co_await http::async_read(socket_, buffer_, *parser_, kNoThrow);
  co_return error;
}

void HttpConnection::expect_answer(bool is_head, std::size_t reply_bytes_max) {
  parser_.emplace();
  parser_->header_limit(kHttpHeadBytesMax);
  parser_->body_limit(reply_bytes_max);
  parser_->skip(is_head);
}

asio::awaitable<std::expected<HttpAnswer, HttpTrouble>> HttpConnection::ask(
    std::shared_ptr<const HttpRequestMessage> request, std::size_t reply_bytes_max) {
  is_reusable_ = false;
  buffer_.reserve(kReadBytes);
  parser_.reset();
  // A server that does not want the whole request may have answered already.
  const ErrorCode written = co_await write(request);
  const bool is_head = request->method() == http::verb::head;
  for (int interim = 0; interim <= kInterimAnswersMax; ++interim) {
    expect_answer(is_head, reply_bytes_max);
    ErrorCode error = co_await read_head();
    if (error && written) error = written;
    if (error) co_return std::unexpected(trouble_of(error, reply_bytes_max));
    if (parser_->get().result_int() / 100 == 1) continue;
    if (!parser_->is_done()) error = co_await read_body();
    if (error) co_return std::unexpected(trouble_of(error, reply_bytes_max));
    is_reusable_ = parser_->keep_alive() && !parser_->need_eof() && buffer_.size() == 0 && socket_.is_open();
    co_return parser_->release();
  }
  co_return std::unexpected(HttpTrouble{.reason = "the server says that it goes on, again and again"});
}

HttpTrouble HttpConnection::trouble_of(ErrorCode error, std::size_t reply_bytes_max) const {
  const bool is_begun = parser_ && (parser_->got_some() || buffer_.size() > 0);
  HttpTrouble trouble{.reason = {}, .is_before_answer = !is_begun};
  const bool is_cut = error == asio::error::eof || error == asio::ssl::error::stream_truncated ||
                      error == http::error::end_of_stream || error == http::error::partial_message ||
                      error == asio::error::connection_reset || error == asio::error::broken_pipe;
  if (error == http::error::body_limit || (parser_ && parser_->is_header_done())) {
    trouble.status = static_cast<int>(parser_->get().result_int());
  }
  if (error == http::error::body_limit) {
    trouble.reason = fmt::format("the answer is longer than {} bytes", reply_bytes_max);
  } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    trouble.reason = fmt::format("the head of the answer is longer than {} bytes", kHttpHeadBytesMax);
  } else if (is_cut && !is_begun) {
    trouble.reason = "the server closed the connection without an answer";
  } else if (is_cut && parser_->is_header_done()) {
    trouble.reason = fmt::format("the answer ended early, after {} bytes of its body", parser_->get().body().size());
  } else if (is_cut) {
    trouble.reason = "the answer ended within its head";
  } else if (is_begun && error.category() == http::make_error_code(http::error::bad_version).category()) {
    trouble.reason = fmt::format("the answer is no HTTP: {}", error.message());
  } else {
    trouble.reason = error.message();
  }
  return trouble;
}

bool HttpConnection::is_still_good() {
  if (!socket_.is_open()) return false;
  std::byte next{};
  const std::ptrdiff_t count = ::recv(socket_.native_handle(), &next, 1, MSG_PEEK | MSG_DONTWAIT);
  return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

}  // namespace shoal::net
