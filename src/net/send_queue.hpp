// What is on its way out of one connection. Whole messages go in; flush() hands them to the kernel in order, payload
// straight from its file with sendfile.
//
// Always holds: a message that was begun is completed whatever happens to its file; what is missing becomes zeros.
// Belongs to the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "seam/storage_types.hpp"

namespace shoal::net {

// Of one connection. A counterpart that asks on and on without reading the answers is dropped beyond it.
inline constexpr std::size_t kMessagesQueuedMax = 4096;
// For one connection in one turn of the loop; then the others have theirs.
inline constexpr std::size_t kSendBytesPerTurn = 2u << 20;
// What flush() needs to copy through.
inline constexpr std::size_t kSendScratchBytes = 64u << 10;

// head, then piece_bytes of the piece from piece_offset on if there is one, then zeros.
struct OutgoingMessage {
  base::Bytes head = {};
  seam::ReadablePiecePtr piece = {};
  std::uint64_t piece_offset = 0;
  std::uint64_t piece_bytes = 0;
  std::uint32_t padding_bytes = 0;

  [[nodiscard]] std::uint64_t content_end() const { return head.size() + piece_bytes; }
  [[nodiscard]] std::uint64_t total_bytes() const { return content_end() + padding_bytes; }
};

enum class FlushResult : std::uint8_t {
  drained,     // nothing is left
  blocked,     // again when the socket can be written
  turn_ended,  // again after the others had their turn
  failed,      // errno says why
};

class SendQueue {
 public:
  void push(OutgoingMessage message);
  [[nodiscard]] FlushResult flush(int socket, std::span<std::byte> scratch);
  // Forgets every message of which nothing was sent yet.
  void drop_not_begun();

  [[nodiscard]] bool is_empty() const { return front_ == messages_.size(); }
  [[nodiscard]] std::size_t message_count() const { return messages_.size() - front_; }

 private:
  // Like send(2).
  [[nodiscard]] std::ptrdiff_t send_some(int socket, std::span<std::byte> scratch);
  [[nodiscard]] std::span<const std::byte> copy_of_rest(const OutgoingMessage& message,
                                                        std::span<std::byte> scratch) const;
  void advance(std::uint64_t count);

  std::vector<OutgoingMessage> messages_;
  std::size_t front_ = 0;
  std::uint64_t sent_ = 0;        // of the front message
  bool is_front_copied_ = false;  // its file ended early or cannot be sent from
};

}  // namespace shoal::net
