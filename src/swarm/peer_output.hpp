// What goes out to one peer: messages as bytes, few at a time in one write, blocks straight from their files, and the
// traces that tell of them. Used by swarm::PeerSession.
//
// Always holds: everything goes out in the order in which it was given; the runner has at most kWritesMax writes of
// this connection and is given none once they come to kUnsentBytesMax; what is more waits here, as bytes, up to
// kWaitingBytesMax.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "seam/actions.hpp"
#include "swarm/picker.hpp"
#include "wire/peer_messages.hpp"

namespace shoal::swarm {

// With the runner and not yet with the kernel; less than a kernel takes at once on a fast link.
inline constexpr std::uint64_t kUnsentBytesMax = 1u << 20;
inline constexpr std::size_t kWritesMax = 1024;
inline constexpr std::size_t kWaitingBytesMax = 4u << 20;

class PeerOutput {
 public:
  PeerOutput(seam::ConnId conn, base::Endpoint remote) : conn_(conn), remote_(remote) {}

  void send_handshake(const wire::Handshake& handshake, base::Instant now);
  void send(const wire::Message& message, base::Instant now);
  // `what` names the extended message in traces.
  void send_extended(std::uint8_t id, base::Bytes payload, std::string_view what, base::Instant now);
  // Requires has_room().
  void send_block(const wire::BlockRange& block, const seam::ReadablePiecePtr& piece, base::Instant now);
  void resume_reading();
  void on_drained(base::Instant now);

  void trace_received(const wire::Message& message);
  void trace_received(std::string_view name, std::string detail);

  // For one more block.
  [[nodiscard]] bool has_room() const {
    return unsent_bytes_ < kUnsentBytesMax && writes_ < kWritesMax && waiting_.empty();
  }
  // The peer reads nothing of all that it makes us send.
  [[nodiscard]] bool is_overrun() const { return waiting_.size() > kWaitingBytesMax; }
  [[nodiscard]] std::uint64_t unsent_bytes() const { return unsent_bytes_; }
  [[nodiscard]] base::Instant last_sent() const { return last_sent_; }
  [[nodiscard]] seam::Actions take_actions();

 private:
  // Messages about blocks that follow each other are told as one.
  struct BlockTrace {
    seam::MessageDirection direction = seam::MessageDirection::sent;
    std::string_view name;
    Run range;
  };
  void write(base::Bytes bytes, base::Instant now);
  void hand_over(base::Bytes bytes);
  [[nodiscard]] bool has_room_for_message() const;
  void trace(seam::MessageDirection direction, const wire::Message& message);
  void trace(seam::MessageDirection direction, std::string_view name, std::string detail);
  void trace_block(const BlockTrace& block);
  void flush_trace();

  seam::ConnId conn_;
  base::Endpoint remote_;
  seam::Actions actions_;
  bool is_joinable_ = false;    // the last write of actions_ can be added to
  std::size_t last_write_ = 0;  // its place there
  std::size_t writes_ = 0;      // since the last on_drained()
  std::uint64_t unsent_bytes_ = 0;
  base::Bytes waiting_;  // for on_drained()
  base::Instant last_sent_{};
  std::optional<BlockTrace> block_trace_;
};

}  // namespace shoal::swarm
