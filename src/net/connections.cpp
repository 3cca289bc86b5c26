#include "net/connections.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <utility>

namespace shoal::net {

namespace {

// One readv into the machine's own spans.
std::ptrdiff_t read_into(int socket, const seam::ReadTargets& targets) {
  std::array<iovec, 2> places{};
  int count = 0;
  for (const std::span<std::byte>& span : targets.spans) {
    if (!span.empty()) places.at(static_cast<std::size_t>(count++)) = {.iov_base = span.data(), .iov_len = span.size()};
  }
  while (true) {
    const std::ptrdiff_t result = ::readv(socket, places.data(), count);
    if (result >= 0 || errno != EINTR) return result;
  }
}

}  // namespace

Connections::Connections(asio::io_context& loop, EventSink& sink)
    : loop_(loop), sink_(sink), scratch_(kSendScratchBytes), closing_(loop, scratch_) {}

Connections::Connection* Connections::insert(seam::ConnId conn, UniqueFd socket) {
  Descriptor descriptor(loop_);
  ErrorCode error;
  if (descriptor.assign(socket.get(), error)) return nullptr;
  (void)socket.release();
  const auto [place, is_new] = connections_.emplace(conn, std::make_unique<Connection>(std::move(descriptor)));
  SHOAL_CHECK(is_new);
  return place->second.get();
}

Connections::Connection* Connections::find(seam::ConnId conn) {
  const auto found = connections_.find(conn);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Connections::accept(UniqueFd socket, base::Endpoint local, base::Endpoint remote) {
  const seam::ConnId conn{next_accepted_id_};
  Connection* connection = insert(conn, std::move(socket));
  if (connection == nullptr) return;
  next_accepted_id_ += 2;
  connection->reading = Reading::active;
  wait_for_input(conn, *connection);
  sink_.deliver(seam::Accepted{.conn = conn, .local = local, .remote = remote});
}

void Connections::dial(const seam::Dial& dial) {
  UniqueFd socket = make_socket(SOCK_STREAM);
  if (!socket.is_open()) return fail_dial(dial.conn, errno);
  set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  const sockaddr_in remote = sockaddr_of(dial.remote);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&remote), sizeof remote) != 0 && errno != EINPROGRESS &&
      errno != EINTR) {
    return fail_dial(dial.conn, errno);
  }
  Connection* connection = insert(dial.conn, std::move(socket));
  if (connection == nullptr) return fail_dial(dial.conn, EMFILE);
  connection->dialled = dial.remote;
  connection->socket.async_wait(Descriptor::wait_write, [this, conn = dial.conn](const ErrorCode& error) {
    if (!error) on_dial_ready(conn);
  });
}

void Connections::fail_dial(seam::ConnId conn, int error) {
  connections_.erase(conn);
  sink_.deliver(seam::ConnectFailed{.conn = conn, .error = net_error_of(error)});
}

void Connections::on_dial_ready(seam::ConnId conn) {
  Connection* connection = find(conn);
  if (connection == nullptr) return;
  const int socket = connection->socket.native_handle();
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  const base::Endpoint local = local_endpoint_of(socket);
  // Nobody listens there, but the kernel gave us that very port: connected to ourselves.
  if (error == 0 && local == connection->dialled) error = ECONNREFUSED;
  if (error != 0) return fail_dial(conn, error);
  connection->reading = Reading::active;
  wait_for_input(conn, *connection);
  sink_.deliver(seam::Connected{.conn = conn, .local = local, .remote = connection->dialled});
}

void Connections::wait_for_input(seam::ConnId conn, Connection& connection) {
  connection.socket.async_wait(Descriptor::wait_read, [this, conn](const ErrorCode& error) {
    if (!error) read_turn(conn);
  });
}

void Connections::read_turn(seam::ConnId conn) {
  std::size_t turn_bytes = 0;
  for (int reads = 0; reads < kReadsPerTurn && turn_bytes < kReadBytesPerTurn; ++reads) {
    Connection* connection = find(conn);
    if (connection == nullptr || connection->reading != Reading::active) return;
    const seam::ReadTargets targets = sink_.next_read(conn);
    const std::size_t wanted = targets.size_bytes();
    if (wanted == 0) {
      connection->reading = Reading::paused;
      return;
    }
    const std::ptrdiff_t result = read_into(connection->socket.native_handle(), targets);
    if (result < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return wait_for_input(conn, *connection);
      return lose(conn, errno);
    }
    if (result == 0) {
      connection->reading = Reading::ended;
      return sink_.deliver(seam::InputEnded{conn});
    }
    const auto count = static_cast<std::size_t>(result);
    turn_bytes += count;
    // Fewer than there was room for: the kernel has no more at the moment, and need not be asked.
    const bool is_exhausted = count < wanted;
    if (is_exhausted) wait_for_input(conn, *connection);
    sink_.deliver(seam::BytesArrived{.conn = conn, .count = count});
    if (is_exhausted) return;
  }
  asio::post(loop_, [this, conn] { read_turn(conn); });
}

void Connections::resume_reading(seam::ConnId conn) {
  Connection* connection = find(conn);
  if (connection == nullptr || connection->reading != Reading::paused) return;
  connection->reading = Reading::active;
  // Something is most likely there: no need to wait for the kernel to say so.
  asio::post(loop_, [this, conn] { read_turn(conn); });
}

void Connections::send(seam::ConnId conn, OutgoingMessage message) {
  Connection* connection = find(conn);
  if (connection == nullptr || connection->is_fin_wanted || connection->reading == Reading::not_yet) return;
  if (connection->queue.message_count() == kMessagesQueuedMax) return lose(conn, ENOBUFS);
  connection->queue.push(std::move(message));
  if (!connection->is_send_waiting) send_turn(conn);
}

bool Connections::is_drained(seam::ConnId conn) {
  const Connection* connection = find(conn);
  return connection != nullptr && connection->queue.is_empty();
}

void Connections::send_turn(seam::ConnId conn) {
  Connection* connection = find(conn);
  if (connection == nullptr) return;
  connection->is_send_waiting = false;
  if (!flush(conn, *connection)) return;
  if (connection->is_fin_wanted) ::shutdown(connection->socket.native_handle(), SHUT_WR);
  sink_.deliver(seam::OutputDrained{conn});
}

bool Connections::flush(seam::ConnId conn, Connection& connection) {
  switch (connection.queue.flush(connection.socket.native_handle(), scratch_)) {
    case FlushResult::drained:
      return true;
    case FlushResult::blocked:
      connection.is_send_waiting = true;
      connection.socket.async_wait(Descriptor::wait_write, [this, conn](const ErrorCode& error) {
        if (!error) send_turn(conn);
      });
      return false;
    case FlushResult::turn_ended:
      connection.is_send_waiting = true;
      asio::post(loop_, [this, conn] { send_turn(conn); });
      return false;
    case FlushResult::failed:
      break;
  }
  lose(conn, errno);
  return false;
}

void Connections::shutdown_send(seam::ConnId conn) {
  Connection* connection = find(conn);
  if (connection == nullptr || connection->is_fin_wanted || connection->reading == Reading::not_yet) return;
  connection->is_fin_wanted = true;
  if (connection->queue.is_empty()) ::shutdown(connection->socket.native_handle(), SHUT_WR);
}

void Connections::lose(seam::ConnId conn, int error) {
  connections_.erase(conn);
  sink_.deliver(seam::ConnectionLost{.conn = conn, .error = net_error_of(error)});
}

void Connections::close(seam::ConnId conn) {
  const auto found = connections_.find(conn);
  if (found == connections_.end()) return;
  const std::unique_ptr<Connection> connection = std::move(found->second);
  connections_.erase(found);
  if (connection->reading == Reading::not_yet) return;  // the dial is given up
  closing_.add(std::move(connection->socket), std::move(connection->queue), true);
}

void Connections::close_all() {
  closing_.hurry();
  for (auto& [conn, connection] : std::exchange(connections_, {})) {
    if (connection->reading == Reading::not_yet) continue;
    connection->queue.drop_not_begun();
    // Whoever we dialled may be about to answer, or in the middle of it; whoever dialled us waits for nothing more than
    // what is queued.
    closing_.add(std::move(connection->socket), std::move(connection->queue), connection->is_dialled());
  }
}

void Connections::close_now() {
  connections_.clear();
  closing_.close_now();
}

}  // namespace shoal::net
