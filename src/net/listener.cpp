#include "net/listener.hpp"

#include <netinet/tcp.h>

#include <cerrno>
#include <utility>

#include "storage/descriptors.hpp"

namespace shoal::net {

namespace {

constexpr int kBacklog = 4096;  // the kernel cuts it to its own limit
constexpr int kAcceptsPerTurn = 64;
// When there are no descriptors left: until somebody has closed something.
constexpr std::chrono::milliseconds kRetryInterval{100};
// A host that vanished without a word is found out after kProbeIdle + kProbes * kProbeInterval seconds, so that its
// connections do not stay for ever; nobody who is alive is hurt.
constexpr int kProbeIdleSeconds = 120;
constexpr int kProbeIntervalSeconds = 30;
constexpr int kProbes = 4;

// Accepted connections inherit these.
void set_connection_options(int socket) {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, kProbeIdleSeconds);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, kProbeIntervalSeconds);
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
}

}  // namespace

Listener::Listener(asio::io_context& loop) : loop_(loop), socket_(loop), retry_timer_(loop) {}

std::expected<base::Endpoint, NetFailure> Listener::open(base::Endpoint local) {
  const std::string tried = "listen on " + local.to_string();
  UniqueFd socket = make_socket(SOCK_STREAM);
  if (!socket.is_open()) return std::unexpected(failure_of(tried, errno));
  set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  set_connection_options(socket.get());
  const std::expected<base::Endpoint, int> bound = bind_socket(socket.get(), local);
  if (!bound) return std::unexpected(failure_of(tried, bound.error()));
  if (::listen(socket.get(), kBacklog) != 0) return std::unexpected(failure_of(tried, errno));
  ErrorCode error;
  if (socket_.assign(socket.get(), error)) return std::unexpected(failure_of(tried, error.value()));
  (void)socket.release();
  local_ = *bound;
  return local_;
}

void Listener::start(OnAccepted on_accepted) {
  on_accepted_ = std::move(on_accepted);
  wait();
}

void Listener::close() {
  socket_ = Descriptor(loop_);
  retry_timer_.cancel();
}

void Listener::wait() {
  socket_.async_wait(Descriptor::wait_read, [this](const ErrorCode& error) {
    if (!error) accept_turn();
  });
}

void Listener::accept_turn() {
  for (int accepts = 0; accepts < kAcceptsPerTurn; ++accepts) {
    if (!socket_.is_open()) return;
    sockaddr_in remote{};
    socklen_t size = sizeof remote;
    UniqueFd socket(
        ::accept4(socket_.native_handle(), reinterpret_cast<sockaddr*>(&remote), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.is_open()) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return wait();
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        retry_timer_.expires_after(kRetryInterval);
        retry_timer_.async_wait([this](const ErrorCode& error) {
          if (!error) accept_turn();
        });
        return;
      }
      continue;  // that connection was gone again before it was accepted
    }
    if (storage::is_of_the_kept(socket.get())) continue;  // closed: whoever waits for a place that may never come hangs
    const base::Endpoint local = local_.address.is_any() ? local_endpoint_of(socket.get()) : local_;
    on_accepted_(std::move(socket), local, endpoint_of(remote));
  }
  asio::post(loop_, [this] { accept_turn(); });
}

}  // namespace shoal::net
