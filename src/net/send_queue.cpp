#include "net/send_queue.hpp"

#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace shoal::net {

namespace {

// In one call, so that a turn ends near its limit.
constexpr std::size_t kSendfileBytesMax = 1u << 20;
// An idle connection keeps room for this many messages at most.
constexpr std::size_t kIdleCapacity = 4;

std::ptrdiff_t send_bytes(int socket, std::span<const std::byte> bytes, int flags) {
  return ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | flags);
}

}  // namespace

void SendQueue::push(OutgoingMessage message) {
  if (message.total_bytes() == 0) return;
  messages_.push_back(std::move(message));
}

FlushResult SendQueue::flush(int socket, std::span<std::byte> scratch) {
  std::size_t turn_bytes = 0;
  while (!is_empty()) {
    if (turn_bytes >= kSendBytesPerTurn) return FlushResult::turn_ended;
    const std::ptrdiff_t count = send_some(socket, scratch);
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? FlushResult::blocked : FlushResult::failed;
    }
    advance(static_cast<std::uint64_t>(count));
    turn_bytes += static_cast<std::size_t>(count);
  }
  return FlushResult::drained;
}

std::ptrdiff_t SendQueue::send_some(int socket, std::span<std::byte> scratch) {
  const OutgoingMessage& message = messages_[front_];
  const std::uint64_t head_bytes = message.head.size();
  if (message.piece == nullptr) return send_bytes(socket, std::span(message.head).subspan(sent_), 0);

  // What fits the scratch goes out whole in one write; more comes straight from its file.
  const bool uses_sendfile =
      !is_front_copied_ && message.piece->file_descriptor() >= 0 && message.total_bytes() > scratch.size();
  if (uses_sendfile && sent_ < head_bytes) {
    return send_bytes(socket, std::span(message.head).subspan(sent_), MSG_MORE);
  }
  if (uses_sendfile && sent_ < message.content_end()) {
    const std::uint64_t offset = sent_ - head_bytes;
    auto file_offset = static_cast<off_t>(message.piece->file_offset() + message.piece_offset + offset);
    const std::size_t wanted = std::min<std::uint64_t>(message.piece_bytes - offset, kSendfileBytesMax);
    const std::ptrdiff_t count = ::sendfile(socket, message.piece->file_descriptor(), &file_offset, wanted);
    if (count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR))) return count;
    // The file ended early, its disk failed, or it is of a kind that cannot be sent from. Copying copes with all three,
    // and meets the socket's own error if it was that.
    is_front_copied_ = true;
  }
  return send_bytes(socket, copy_of_rest(message, scratch), 0);
}

std::span<const std::byte> SendQueue::copy_of_rest(const OutgoingMessage& message, std::span<std::byte> scratch) const {
  std::span<std::byte> room = scratch;
  std::uint64_t at = sent_;
  if (at < message.head.size()) {
    const std::size_t count = std::min<std::uint64_t>(message.head.size() - at, room.size());
    std::memcpy(room.data(), message.head.data() + at, count);
    room = room.subspan(count);
    at += count;
  }
  if (at >= message.head.size() && at < message.content_end()) {
    const std::size_t count = std::min<std::uint64_t>(message.content_end() - at, room.size());
    const std::uint64_t offset = message.piece_offset + at - message.head.size();
    const std::size_t read = message.piece->read_at(offset, room.first(count));
    SHOAL_CHECK(read <= count);
    std::ranges::fill(room.subspan(read, count - read), std::byte{0});
    room = room.subspan(count);
    at += count;
  }
  if (at >= message.content_end()) {
    const std::size_t count = std::min<std::uint64_t>(message.total_bytes() - at, room.size());
    std::ranges::fill(room.first(count), std::byte{0});
    room = room.subspan(count);
  }
  return scratch.first(scratch.size() - room.size());
}

void SendQueue::advance(std::uint64_t count) {
  sent_ += count;
  OutgoingMessage& message = messages_[front_];
  SHOAL_CHECK(sent_ <= message.total_bytes());
  if (sent_ < message.total_bytes()) return;
  message = {};  // lets go of the piece
  sent_ = 0;
  is_front_copied_ = false;
  ++front_;
  if (is_empty()) {
    messages_.clear();
    front_ = 0;
    if (messages_.capacity() > kIdleCapacity) messages_.shrink_to_fit();
  } else if (front_ * 2 >= messages_.size()) {
    messages_.erase(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(front_));
    front_ = 0;
  }
}

void SendQueue::drop_not_begun() {
  const std::size_t kept = front_ + (sent_ > 0 ? 1 : 0);
  messages_.resize(kept);
}

}  // namespace shoal::net
