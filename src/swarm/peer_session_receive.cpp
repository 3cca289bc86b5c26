// The stream of bytes as messages and blocks. See peer_session.hpp.
#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "swarm/peer_session.hpp"

namespace shoal::swarm {
namespace {

using base::Instant;
using wire::MessageId;

constexpr std::size_t kLengthBytes = 4;
constexpr std::uint32_t kPieceBodyBytes = wire::kPieceHeadBytes - kLengthBytes;  // before the payload
// Up to this length a message is waited for in the scratch, longer ones gather elsewhere.
constexpr std::uint32_t kShortMessageBytes = 32 * 1024;
static_assert(kLengthBytes + kShortMessageBytes < kPeerScratchBytes);
static_assert(wire::kPieceHeadBytes + wire::kBlockBytes < kPeerScratchBytes);
// What a handshake begins with: the protocol's name, eight bytes of flags, and whose it is.
constexpr std::size_t kNameEnd = 20;
constexpr std::size_t kHashBegin = 28;
constexpr std::size_t kHashEnd = 48;
// The version with which every course message begins.
constexpr std::byte kCourseFirstByte{1};

// Answers nobody asked for cost a whole block of the line each.
constexpr double kUnaskedBlockCost = 100;

enum class LongKind : std::uint8_t { gathered, impossible, unknown };
LongKind kind_of_long(MessageId id) {
  switch (id) {
    case MessageId::bitfield:
    case MessageId::extended:
      return LongKind::gathered;
    case MessageId::choke:
    case MessageId::unchoke:
    case MessageId::interested:
    case MessageId::not_interested:
    case MessageId::have:
    case MessageId::request:
    case MessageId::piece:
    case MessageId::cancel:
    case MessageId::suggest_piece:
    case MessageId::have_all:
    case MessageId::have_none:
    case MessageId::reject:
    case MessageId::allowed_fast:
      return LongKind::impossible;
    case MessageId::port:
      break;
  }
  return LongKind::unknown;
}

}  // namespace

seam::ReadTargets PeerSession::next_read() {
  seam::ReadTargets targets;
  if (has_ended_) return targets;
  if (is_blocked_) {
    is_read_stopped_ = true;
    return targets;
  }
  if (!scratch_) scratch_ = std::make_unique_for_overwrite<std::byte[]>(kPeerScratchBytes);
  if (begin_ > 0) {
    std::memmove(scratch_.get(), scratch_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // The rest of this block and about three more in one call: copying them from here, while they are warm, costs less
  // than a call for each.
  targets.spans = {block_room_, std::span(scratch_.get() + end_, kPeerScratchBytes - end_)};
  return targets;
}

void PeerSession::on_bytes(std::size_t count, Instant now) {
  if (has_ended_) return;
  received_at_ = now;
  const std::size_t direct = std::min(count, block_room_.size());
  end_ += count - direct;
  SHOAL_CHECK(end_ <= kPeerScratchBytes);
  if (direct > 0) {
    block_room_ = block_room_.subspan(direct);
    count_payload(static_cast<std::uint32_t>(direct), now);
    if (block_room_.empty()) finish_block(now);
  }
  advance(now);
}

void PeerSession::advance(Instant now) {
  bool goes_on = true;
  while (goes_on && !has_ended_ && !is_blocked_) {
    switch (phase_) {
      case Phase::handshake:
        goes_on = take_handshake(now);
        break;
      case Phase::message:
        goes_on = take_message(now);
        break;
      case Phase::gather:
        goes_on = take_gathered(now);
        break;
      case Phase::block:
        goes_on = take_block(now);
        break;
      case Phase::skip:
        goes_on = take_skipped();
        break;
    }
  }
  if (has_ended_) return;
  report_payload(now);
  send_requests(now);
  if (output_.is_overrun()) return end(PeerFailure::flood, "reads nothing of what it asks for");
  if (is_input_ended_ && !is_blocked_) return end(PeerFailure::closed, "");
  // Many connections are idle at any time.
  if (begin_ == end_ && phase_ == Phase::message && asked_.is_empty()) {
    scratch_.reset();
    begin_ = end_ = 0;
  }
  audit();
}

bool PeerSession::take_handshake(Instant now) {
  const base::ByteView bytes = unread();
  if (bytes.empty()) return false;
  static const base::Bytes kUsual = wire::encode(wire::Handshake{});
  const std::size_t name_bytes = std::min(bytes.size(), kNameEnd);
  if (!std::ranges::equal(bytes.first(name_bytes), base::ByteView(kUsual).first(name_bytes))) {
    const bool is_course = bytes.front() == kCourseFirstByte;
    end(is_course ? PeerFailure::course_peer : PeerFailure::not_bittorrent, "");
    return false;
  }
  if (bytes.size() < kHashEnd) return false;
  if (!std::ranges::equal(bytes.subspan(kHashBegin, kHashEnd - kHashBegin), options_.info_hash.bytes)) {
    end(PeerFailure::wrong_info_hash, "");
    return false;
  }
  // Some wait for our handshake before they tell their id.
  if (!is_hello_sent_) send_hello(now);
  if (bytes.size() < wire::kHandshakeBytes) return false;
  const auto handshake = wire::parse_handshake(bytes.first(wire::kHandshakeBytes));
  SHOAL_CHECK(handshake);
  begin_ += wire::kHandshakeBytes;
  output_.trace_received("handshake", "");
  if (handshake->peer_id == options_.our_id) {
    end(PeerFailure::ourselves, "");
    return false;
  }
  phase_ = Phase::message;
  become_ready(*handshake, now);
  return true;
}

bool PeerSession::take_message(Instant now) {
  const base::ByteView bytes = unread();
  if (bytes.size() < kLengthBytes) return false;
  const std::uint32_t length = base::ByteReader(bytes).u32();
  if (length > kPeerMessageBytesMax) {
    end(PeerFailure::bad_message, "a message of " + std::to_string(length) + " bytes");
    return false;
  }
  if (length > 0 && bytes.size() == kLengthBytes) return false;
  const bool is_block = length > 0 && bytes[kLengthBytes] == static_cast<std::byte>(MessageId::piece);
  if (!is_block && length > kShortMessageBytes) return take_long_message(length, now);
  const std::uint32_t body_bytes = is_block ? std::min(length, kPieceBodyBytes) : length;
  if (bytes.size() < kLengthBytes + body_bytes) return false;
  auto message = wire::parse_message(length, bytes.subspan(kLengthBytes, body_bytes));
  begin_ += kLengthBytes + body_bytes;
  if (!message) {
    end(PeerFailure::bad_message, "a message of the wrong length");
  } else if (is_block) {
    begin_block(std::get<wire::PieceHead>(*message).range, now);
  } else {
    on_message(*message, now);
  }
  return !has_ended_;
}

bool PeerSession::take_long_message(std::uint32_t length, Instant now) {
  const auto id = static_cast<MessageId>(unread()[kLengthBytes]);
  begin_ += kLengthBytes;
  switch (kind_of_long(id)) {
    case LongKind::gathered:
      phase_ = Phase::gather;
      gather_bytes_ = length;
      return true;
    case LongKind::impossible:
      end(PeerFailure::bad_message, "a message of the wrong length");
      return false;
    case LongKind::unknown:
      break;
  }
  phase_ = Phase::skip;
  skip_left_ = length;
  spend_patience(kUnaskedBlockCost, "long messages of an unknown kind", now);
  return true;
}

bool PeerSession::take_gathered(Instant now) {
  const std::size_t count = std::min<std::size_t>(unread().size(), gather_bytes_ - gathered_.size());
  gathered_.insert(gathered_.end(), unread().begin(), unread().begin() + static_cast<std::ptrdiff_t>(count));
  begin_ += count;
  if (gathered_.size() < gather_bytes_) return false;
  phase_ = Phase::message;
  const base::Bytes body = std::exchange(gathered_, {});
  const auto message = wire::parse_message(gather_bytes_, body);
  if (message) {
    on_message(*message, now);
  } else {
    end(PeerFailure::bad_message, "a message of the wrong length");
  }
  return true;
}

bool PeerSession::take_skipped() {
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(unread().size(), skip_left_));
  begin_ += count;
  skip_left_ -= count;
  if (skip_left_ > 0) return false;
  phase_ = Phase::message;
  return true;
}

void PeerSession::begin_block(const wire::BlockRange& block, Instant now) {
  if (block.size_bytes > wire::kRequestBytesMax || (geometry_ && !is_in_torrent(block))) {
    return end(PeerFailure::bad_message, "a block that is not of this torrent");
  }
  const AskedRuns::Asked* asked = asked_.find_awaited(block);
  if (asked == nullptr) {
    phase_ = Phase::skip;
    skip_left_ = block.size_bytes;
    if (!late_.take(block, now)) spend_patience(kUnaskedBlockCost, "blocks nobody asked for", now);
    return;
  }
  // It may be the answer to an older request for the same.
  if (late_.is_empty(now)) window_.on_answer(now - asked->sent_at);
  phase_ = Phase::block;
  block_ = block;
  block_run_ = asked->run;
  is_direct_ = is_fast_link(now);
  block_counted_ = 0;
}

bool PeerSession::take_block(Instant now) {
  const auto available = static_cast<std::uint32_t>(std::min<std::size_t>(unread().size(), block_.size_bytes));
  if (!is_direct_) {
    count_payload(available - block_counted_, now);
    if (available < block_.size_bytes) return false;
  }
  if (block_room_.empty() && !find_room(now)) return false;
  const std::size_t count = std::min<std::size_t>(available, block_room_.size());
  if (count == 0) return false;
  std::memcpy(block_room_.data(), unread().data(), count);
  begin_ += count;
  block_room_ = block_room_.subspan(count);
  if (is_direct_) count_payload(static_cast<std::uint32_t>(count), now);
  if (block_room_.empty()) finish_block(now);
  return true;
}

bool PeerSession::find_room(Instant now) {
  const auto room = slabs_.room_for(block_run_, block_, now);
  tell_handed_over(now);
  is_blocked_ = !room;
  if (room) block_room_ = *room;
  return room.has_value();
}

void PeerSession::count_payload(std::uint32_t bytes, Instant now) {
  if (bytes == 0) return;
  block_counted_ += bytes;
  payload_bytes_ += bytes;
  owed_since_ = now;
}

void PeerSession::finish_block(Instant now) {
  phase_ = Phase::message;
  if (now < block_since_ + kStallMax) is_stalled_ = false;
  block_since_ = now;
  rejects_in_a_row_ = 0;
  output_.trace_received(wire::PieceHead{block_});
  slabs_.on_block(block_run_, block_);
  const bool is_run_over = asked_.settle(block_);
  if (is_run_over || !is_fast_link(now)) slabs_.hand_over(block_run_);
  tell_handed_over(now);
  const AskedRuns::Withdrawn dropped = asked_.withdraw_overtaken(kOvertakenBlocks, now - kOvertakenAfter);
  if (!dropped.parts.empty()) take_back(dropped, now);
}

// What is still to come of the block is of no use any more.
void PeerSession::abandon_block() {
  phase_ = Phase::skip;
  skip_left_ = block_room_.empty() ? block_.size_bytes : static_cast<std::uint32_t>(block_room_.size());
  block_room_ = {};
}

// The slab is needed elsewhere: the rest of the block comes through the scratch, behind what is there of it.
void PeerSession::leave_slab() {
  if (phase_ != Phase::block) return;
  is_direct_ = false;
  if (block_room_.empty()) return;
  SHOAL_CHECK(begin_ == end_);
  const std::size_t count = block_.size_bytes - block_room_.size();
  if (!scratch_) scratch_ = std::make_unique_for_overwrite<std::byte[]>(kPeerScratchBytes);
  std::memcpy(scratch_.get(), block_room_.data() - count, count);
  begin_ = 0;
  end_ = count;
  block_room_ = {};
}

void PeerSession::unblock(Instant now) {
  is_blocked_ = false;
  received_at_ = owed_since_ = block_since_ = now;
  advance(now);
  if (is_blocked_ || has_ended_ || !is_read_stopped_) return;
  is_read_stopped_ = false;
  output_.resume_reading();
}

}  // namespace shoal::swarm
