// For the tests of net: a machine whose behaviour a test writes down, a runner around it in a thread of its own, and
// counterparts on plain blocking sockets that give up after a while instead of hanging.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.hpp"
#include "net/runner.hpp"
#include "net/socket.hpp"
#include "seam/machine.hpp"

namespace shoal::net {

inline constexpr int kGiveUpMilliseconds = 20'000;

inline base::Bytes bytes_of(std::string_view text) {
  const base::ByteView view = base::view_of(text);
  return {view.begin(), view.end()};
}

// `count` bytes that look random but are always the same.
inline std::string noise(std::size_t count) {
  std::string bytes(count, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

// Reads everything into per-connection strings; everything else is the test's. Ends when asked to stop.
class FakeMachine final : public seam::Machine {
 public:
  std::function<void(FakeMachine&)> on_start = [](FakeMachine&) {};
  std::function<void(FakeMachine&, seam::Event&)> on_any = [](FakeMachine&, seam::Event&) {};
  std::function<void(FakeMachine&, seam::ConnId)> on_next_read = [](FakeMachine&, seam::ConnId) {};
  std::optional<base::Instant> deadline;
  std::size_t read_bytes = 64u << 10;  // room offered; 0: reading stops
  std::map<seam::ConnId, std::string> received;
  base::Instant now;

  void want(seam::Action action) { actions_.push_back(std::move(action)); }
  void finish(std::string message = {}) {
    want(seam::Finish{.result = seam::Finish::Result::done, .message = std::move(message), .missing = {}, .path = {}});
  }

  void start(base::Instant at) override {
    now = at;
    on_start(*this);
  }
  void on_event(seam::Event&& event, base::Instant at) override {
    now = at;
    if (const auto* arrived = std::get_if<seam::BytesArrived>(&event)) {
      received[arrived->conn].append(base::text_of(base::ByteView(room_).first(arrived->count)));
    }
    on_any(*this, event);
    if (std::holds_alternative<seam::StopRequested>(event)) finish("stopped");
    seam::Event consumed = std::move(event);
  }
  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId conn) override {
    on_next_read(*this, conn);
    room_.resize(read_bytes);
    return {{std::span(room_).first(read_bytes / 2), std::span(room_).subspan(read_bytes / 2)}};
  }
  [[nodiscard]] std::optional<base::Instant> next_deadline() const override { return deadline; }
  [[nodiscard]] seam::Actions take_actions() override { return std::exchange(actions_, {}); }

 private:
  base::Bytes room_;
  seam::Actions actions_;
};

// Runs a machine in its own thread until it ends.
class RunnerThread {
 public:
  RunnerThread(Runner& runner, seam::Machine& machine)
      : runner_(runner), thread_([this, &machine] { finish_ = runner_.run(machine); }) {}
  ~RunnerThread() {
    if (thread_.joinable()) stop();
  }

  seam::Finish stop() {
    runner_.request_stop();
    return wait();
  }
  seam::Finish wait() {
    thread_.join();
    return finish_;
  }

 private:
  Runner& runner_;
  seam::Finish finish_;
  std::thread thread_;
};

// The other end of a connection.
class Counterpart {
 public:
  explicit Counterpart(base::Endpoint remote, int receive_buffer_bytes = 0)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer_bytes > 0) set_option(socket_.get(), SOL_SOCKET, SO_RCVBUF, receive_buffer_bytes);
    const sockaddr_in address = sockaddr_of(remote);
    is_connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  explicit Counterpart(UniqueFd accepted) : socket_(std::move(accepted)), is_connected_(socket_.is_open()) {}

  [[nodiscard]] bool is_connected() const { return is_connected_; }
  [[nodiscard]] int fd() const { return socket_.get(); }
  void send(std::string_view text) const {
    EXPECT_EQ(::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  void end_output() const { ::shutdown(socket_.get(), SHUT_WR); }

  // Up to `count` bytes; fewer when the other side ends or breaks first: then error() is 0, or what happened.
  std::string receive(std::size_t count) {
    std::string bytes(count, '\0');
    std::size_t have = 0;
    while (have < count) {
      pollfd readable{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&readable, 1, kGiveUpMilliseconds) <= 0) {
        error_ = ETIMEDOUT;
        break;
      }
      const ssize_t result = ::recv(socket_.get(), bytes.data() + have, count - have, 0);
      if (result < 0) error_ = errno;
      if (result <= 0) break;
      have += static_cast<std::size_t>(result);
    }
    bytes.resize(have);
    return bytes;
  }
  // True when the other side ended in order, with nothing before it.
  bool sees_end() { return receive(1).empty() && error_ == 0; }
  [[nodiscard]] int error() const { return error_; }

 private:
  UniqueFd socket_;
  bool is_connected_ = false;
  int error_ = 0;
};

// A listening socket that a machine dials.
class CounterpartListener {
 public:
  CounterpartListener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    endpoint_ =
        bind_socket(socket_.get(), {.address = base::Ipv4Address::loopback(), .port = 0}).value_or(base::Endpoint{});
    ::listen(socket_.get(), 16);
  }
  [[nodiscard]] base::Endpoint endpoint() const { return endpoint_; }
  Counterpart accept() const {
    pollfd readable{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, kGiveUpMilliseconds) <= 0) return Counterpart(UniqueFd());
    return Counterpart(UniqueFd(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }

 private:
  UniqueFd socket_;
  base::Endpoint endpoint_;
};

inline constexpr base::Endpoint kAnyLoopbackPort{.address = base::Ipv4Address::loopback(), .port = 0};

}  // namespace shoal::net
