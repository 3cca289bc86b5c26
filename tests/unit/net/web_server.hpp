// For the tests of HttpClient: a web server whose every byte a test writes down, plain or TLS, on blocking sockets with
// a thread for each connection; and a client around it that collects what came of each request.
#pragma once

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "net/http_client.hpp"
#include "net/socket.hpp"
#include "unit/net/fake_machine.hpp"
#include "unit/net/test_authority.hpp"

namespace shoal::net {

// One accepted connection, as the server sees it.
class WebVisitor {
 public:
  WebVisitor(UniqueFd socket, SSL_CTX* tls)
      : socket_(std::move(socket)), tls_(tls != nullptr ? SSL_new(tls) : nullptr) {
    if (tls_) SSL_set_fd(tls_.get(), socket_.get());
  }

  // True when it is a plain connection, too.
  bool shake_hands() { return !tls_ || SSL_accept(tls_.get()) == 1; }

  // The next whole request, head and body; nothing when the client closed instead.
  std::optional<std::string> request() {
    while (true) {
      const std::size_t head_end = input_.find("\r\n\r\n");
      if (head_end != std::string::npos) {
        const std::size_t size = head_end + 4 + body_bytes(input_.substr(0, head_end));
        if (input_.size() >= size) {
          std::string request = input_.substr(0, size);
          input_.erase(0, size);
          return request;
        }
      }
      if (!receive()) return std::nullopt;
    }
  }
  // False once the client is gone.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const std::ptrdiff_t count = tls_ ? SSL_write(tls_.get(), text.data(), static_cast<int>(text.size()))
                                        : ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  void answer(std::string_view body, std::string_view status = "200 OK", std::string_view headers = "") {
    send("HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(headers) + "\r\n" + std::string(body));
  }
  void wait_until_closed() {
    while (receive()) input_.clear();
  }
  // As HTTPS should end. Without it the end could be anybody's doing.
  void say_goodbye() {
    if (tls_) SSL_shutdown(tls_.get());
  }
  void reset_when_closed() const {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  [[nodiscard]] int fd() const { return socket_.get(); }

 private:
  static std::size_t body_bytes(const std::string& head) {
    const std::size_t at = head.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
  }
  bool receive() {
    std::array<char, 4096> chunk{};
    const std::ptrdiff_t count =
        tls_ ? SSL_read(tls_.get(), chunk.data(), chunk.size()) : ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
    if (count <= 0) return false;
    input_.append(chunk.data(), static_cast<std::size_t>(count));
    return true;
  }

  UniqueFd socket_;
  std::unique_ptr<SSL, FreeWith<SSL_free>> tls_;
  std::string input_;
};

class WebServer {
 public:
  using Serve = std::function<void(WebVisitor&)>;

  // `serve` is called for each connection on a thread of its own; the connection is closed when it returns.
  explicit WebServer(Serve serve, TlsContextPtr tls = nullptr) : serve_(std::move(serve)), tls_(std::move(tls)) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without the option that avoids it
    const auto bound = bind_socket(listener_.get(), kAnyLoopbackPort);
    EXPECT_TRUE(bound.has_value());
    local_ = bound.value_or(base::Endpoint{});
    ::listen(listener_.get(), 64);
    thread_ = std::thread([this] { accept_all(); });
  }
  ~WebServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    {
      const std::lock_guard lock(mutex_);
      for (Guest& guest : guests_) {
        if (!guest.is_over) ::shutdown(guest.fd, SHUT_RDWR);
      }
    }
    for (Guest& guest : guests_) guest.thread.join();
  }

  [[nodiscard]] std::string url(const std::string& path = "/", const std::string& host = "127.0.0.1") const {
    return (tls_ ? "https://" : "http://") + host + ":" + std::to_string(local_.port) + path;
  }
  [[nodiscard]] base::Endpoint local() const { return local_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  struct Guest {
    int fd = -1;
    bool is_over = false;
    std::thread thread;
  };

  void accept_all() {
    while (true) {
      UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket.is_open()) return;
      ++connections_;
      const std::lock_guard lock(mutex_);
      Guest& guest = guests_.emplace_back();
      guest.fd = socket.get();
      guest.thread = std::thread([this, &guest, fd = socket.release()] { welcome(guest, UniqueFd(fd)); });
    }
  }
  void welcome(Guest& guest, UniqueFd socket) {
    std::optional<WebVisitor> visitor(std::in_place, std::move(socket), tls_.get());
    if (visitor->shake_hands()) serve_(*visitor);
    const std::lock_guard lock(mutex_);
    guest.is_over = true;
    visitor.reset();
  }

  Serve serve_;
  TlsContextPtr tls_;
  UniqueFd listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  base::Endpoint local_;
  std::atomic<int> connections_ = 0;
  std::mutex mutex_;
  std::list<Guest> guests_;
  std::thread thread_;
};

// Answers each request with what `respond` makes of it, as long as there are any.
inline WebServer::Serve answer_each(std::function<void(WebVisitor&, const std::string& request)> respond) {
  return [respond = std::move(respond)](WebVisitor& visitor) {
    while (const auto request = visitor.request()) respond(visitor, *request);
  };
}

struct Outcome {
  int status = 0;  // 0: it failed
  std::string body;
  std::string reason;
  int failed_status = 0;
  std::optional<seam::ByteRange> range = {};
};

// A loop with a client in it.
class Browser final : public EventSink {
 public:
  explicit Browser(NameLookup::Ask ask = ask_system) : names(loop, std::move(ask)), client(loop, *this, names) {}
  ~Browser() override {
    client.cancel_all();
    names.stop();
    while (!client.is_quiet()) loop.run_one();
  }

  void begin(seam::Fetch fetch) {
    fetch.fetch = seam::FetchId(next_id++);
    client.fetch(std::move(fetch));
  }
  void run_until(const std::function<bool()>& is_reached) {
    const auto give_up_at = SteadyClock::now() + std::chrono::milliseconds(kGiveUpMilliseconds);
    while (!is_reached() && SteadyClock::now() < give_up_at) {
      loop.restart();
      loop.run_one_for(std::chrono::milliseconds(100));
    }
    EXPECT_TRUE(is_reached());
  }
  Outcome get(seam::Fetch fetch) {
    const std::uint64_t id = next_id;
    begin(std::move(fetch));
    run_until([this, id] { return outcomes.contains(id); });
    return outcomes[id];
  }
  Outcome get(const std::string& url) { return get(seam::Fetch{.url = url}); }

  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId) override { return {}; }
  void deliver(seam::Event&& event) override {
    if (const auto* fetched = std::get_if<seam::Fetched>(&event)) {
      EXPECT_FALSE(outcomes.contains(fetched->fetch.value));
      outcomes[fetched->fetch.value] = {.status = fetched->status,
                                        .body = std::string(base::text_of(fetched->body)),
                                        .reason = {},
                                        .range = fetched->range};
    } else {
      const auto& failed = std::get<seam::FetchFailed>(event);
      EXPECT_FALSE(outcomes.contains(failed.fetch.value));
      outcomes[failed.fetch.value] = {0, {}, failed.reason, failed.status};
    }
  }
  void note(std::string) override {}

  asio::io_context loop{1};
  NameLookup names;
  HttpClient client;
  std::map<std::uint64_t, Outcome> outcomes;
  std::uint64_t next_id = 1;
};

inline bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace shoal::net
