#include "net/closing.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "storage/descriptors.hpp"

namespace shoal::net {

namespace {

constexpr std::chrono::milliseconds kSweepInterval{20};
// For one connection in one turn of the loop.
constexpr std::size_t kDiscardBytesPerTurn = 8u << 20;
// Of the descriptors for others, those that are closing take no more: somebody may want to come.
constexpr std::size_t kClosingShare = 8;

}  // namespace

ClosingConnections::ClosingConnections(asio::io_context& loop, std::span<std::byte> scratch)
    : loop_(loop), scratch_(scratch), sweep_timer_(loop) {}

void ClosingConnections::add(Descriptor socket, SendQueue queue, bool waits_for_end) {
  const std::size_t closing_max = std::min(kClosingMax, storage::descriptors_for_others() / kClosingShare);
  if (!connections_.empty() && connections_.size() >= closing_max) connections_.erase(connections_.begin());
  const Key key = next_key_++;
  Closing& connection =
      connections_
          .emplace(key, Closing{.socket = std::move(socket), .queue = std::move(queue), .waits_for_end = waits_for_end})
          .first->second;
  connection.final_deadline = SteadyClock::now() + patience_.total;
  note_progress(connection);
  turn(key);
  start_sweeping();
}

void ClosingConnections::hurry() {
  patience_ = kPatienceAtEnd;
  const SteadyClock::time_point now = SteadyClock::now();
  for (auto& [id, connection] : connections_) {
    connection.queue.drop_not_begun();
    connection.final_deadline = std::min(connection.final_deadline, now + patience_.total);
    note_progress(connection);
    asio::post(loop_, [this, key = id] { turn(key); });
  }
}

void ClosingConnections::close_now() {
  connections_.clear();
}

void ClosingConnections::turn(Key key) {
  const auto found = connections_.find(key);
  if (found == connections_.end()) return;
  Closing& connection = found->second;
  switch (step(connection)) {
    case Step::again:
      asio::post(loop_, [this, key] { turn(key); });
      return;
    case Step::wait_for_input:
      return wait(key, connection, Descriptor::wait_read);
    case Step::wait_for_room:
      return wait(key, connection, Descriptor::wait_write);
    case Step::over:
      connections_.erase(found);
  }
}

ClosingConnections::Step ClosingConnections::step(Closing& connection) {
  const int socket = connection.socket.native_handle();
  if (!connection.is_fin_sent) {
    switch (connection.queue.flush(socket, scratch_)) {
      case FlushResult::drained:
        break;
      case FlushResult::blocked:
        return Step::wait_for_room;
      case FlushResult::turn_ended:
        note_progress(connection);
        return Step::again;
      case FlushResult::failed:
        return Step::over;
    }
    ::shutdown(socket, SHUT_WR);
    connection.is_fin_sent = true;
    note_progress(connection);
  }
  return discard_input(connection);
}

ClosingConnections::Step ClosingConnections::discard_input(Closing& connection) {
  std::size_t discarded = 0;
  while (discarded < kDiscardBytesPerTurn) {
    // With MSG_TRUNC TCP drops the bytes where they are.
    const std::ptrdiff_t count =
        ::recv(connection.socket.native_handle(), nullptr, kDiscardBytesPerTurn, MSG_TRUNC | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (discarded > 0) note_progress(connection);
      return connection.waits_for_end || discarded > 0 ? Step::wait_for_input : Step::over;
    }
    if (count <= 0) return Step::over;
    discarded += static_cast<std::size_t>(count);
  }
  note_progress(connection);
  return Step::again;
}

void ClosingConnections::wait(Key key, Closing& connection, asio::posix::descriptor_base::wait_type readiness) {
  connection.socket.async_wait(readiness, [this, key, readiness](const ErrorCode& error) {
    if (error) return;
    const auto found = connections_.find(key);
    if (found == connections_.end()) return;
    if (readiness == Descriptor::wait_write) note_progress(found->second);
    turn(key);
  });
}

void ClosingConnections::note_progress(Closing& connection) const {
  const base::Duration patience = connection.is_fin_sent ? patience_.quiet : patience_.sending;
  connection.progress_deadline = SteadyClock::now() + patience;
}

void ClosingConnections::start_sweeping() {
  if (is_sweeping_ || connections_.empty()) return;
  is_sweeping_ = true;
  sweep_timer_.expires_after(kSweepInterval);
  sweep_timer_.async_wait([this](const ErrorCode& error) {
    if (error) return;
    is_sweeping_ = false;
    sweep();
    start_sweeping();
  });
}

void ClosingConnections::sweep() {
  const SteadyClock::time_point now = SteadyClock::now();
  std::erase_if(connections_, [now](const auto& entry) {
    return now >= entry.second.progress_deadline || now >= entry.second.final_deadline;
  });
}

}  // namespace shoal::net
