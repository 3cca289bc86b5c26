#include "swarm/peer_output.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/overloaded.hpp"

namespace shoal::swarm {
namespace {

std::string describe(base::PieceIndex piece) {
  return "piece " + std::to_string(piece.value);
}

// What distinguishes a message that is not about a block.
std::string detail_of(const wire::Message& message) {
  return std::visit(base::Overloaded{
                        [](const wire::Have& have) { return describe(have.piece); },
                        [](const wire::SuggestPiece& suggest) { return describe(suggest.piece); },
                        [](const wire::AllowedFast& allowed) { return describe(allowed.piece); },
                        [](const wire::BitfieldMessage& field) { return std::to_string(field.bits.size()) + " bytes"; },
                        [](const wire::Unknown& unknown) { return "id " + std::to_string(unknown.id); },
                        [](const auto&) { return std::string(); },
                    },
                    message);
}

std::optional<wire::BlockRange> block_of(const wire::Message& message) {
  if (const auto* request = std::get_if<wire::Request>(&message)) return request->range;
  if (const auto* head = std::get_if<wire::PieceHead>(&message)) return head->range;
  if (const auto* cancel = std::get_if<wire::Cancel>(&message)) return cancel->range;
  if (const auto* reject = std::get_if<wire::Reject>(&message)) return reject->range;
  return std::nullopt;
}

}  // namespace

void PeerOutput::send_handshake(const wire::Handshake& handshake, base::Instant now) {
  write(wire::encode(handshake), now);
  trace(seam::MessageDirection::sent, "handshake", "");
}

void PeerOutput::send(const wire::Message& message, base::Instant now) {
  write(wire::encode(message), now);
  trace(seam::MessageDirection::sent, message);
}

void PeerOutput::send_extended(std::uint8_t id, base::Bytes payload, std::string_view what, base::Instant now) {
  write(wire::encode(wire::Extended{id, std::move(payload)}), now);
  trace(seam::MessageDirection::sent, "extended", std::string(what));
}

void PeerOutput::send_block(const wire::BlockRange& block, const seam::ReadablePiecePtr& piece, base::Instant now) {
  SHOAL_CHECK(has_room());
  const wire::Message head = wire::PieceHead{block};
  actions_.push_back(seam::SendPiece{.conn = conn_,
                                     .header = wire::encode(head),
                                     .piece = piece,
                                     .offset_bytes = block.offset_bytes,
                                     .count_bytes = block.size_bytes});
  is_joinable_ = false;
  ++writes_;
  unsent_bytes_ += wire::kPieceHeadBytes + block.size_bytes;
  last_sent_ = now;
  trace(seam::MessageDirection::sent, head);
}

void PeerOutput::resume_reading() {
  actions_.push_back(seam::ResumeReading{conn_});
}

void PeerOutput::on_drained(base::Instant now) {
  // What was not handed to the runner yet is not sent either.
  writes_ = 0;
  unsent_bytes_ = 0;
  for (const seam::Action& action : actions_) {
    if (const auto* send = std::get_if<seam::Send>(&action)) {
      ++writes_;
      unsent_bytes_ += send->bytes.size();
    } else if (const auto* block = std::get_if<seam::SendPiece>(&action)) {
      ++writes_;
      unsent_bytes_ += block->header.size() + block->count_bytes.value_or(0);
    }
  }
  if (waiting_.empty() || !has_room_for_message()) return;
  // Not all at once: who stops reading again makes the runner keep no more than others do.
  const auto count = static_cast<std::ptrdiff_t>(std::min<std::size_t>(waiting_.size(), kUnsentBytesMax));
  last_sent_ = now;
  hand_over(base::Bytes(waiting_.begin(), waiting_.begin() + count));
  waiting_.erase(waiting_.begin(), waiting_.begin() + count);
  if (waiting_.empty()) waiting_ = base::Bytes();
}

void PeerOutput::write(base::Bytes bytes, base::Instant now) {
  last_sent_ = now;
  if (waiting_.empty() && has_room_for_message()) return hand_over(std::move(bytes));
  waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
}

bool PeerOutput::has_room_for_message() const {
  return unsent_bytes_ < kUnsentBytesMax && (writes_ < kWritesMax || is_joinable_);
}

void PeerOutput::hand_over(base::Bytes bytes) {
  unsent_bytes_ += bytes.size();
  if (is_joinable_) {
    base::Bytes& last = std::get<seam::Send>(actions_[last_write_]).bytes;
    last.insert(last.end(), bytes.begin(), bytes.end());
    return;
  }
  last_write_ = actions_.size();
  is_joinable_ = true;
  ++writes_;
  actions_.push_back(seam::Send{conn_, std::move(bytes)});
}

seam::Actions PeerOutput::take_actions() {
  flush_trace();
  is_joinable_ = false;
  return std::exchange(actions_, {});
}

void PeerOutput::trace_received(const wire::Message& message) {
  trace(seam::MessageDirection::received, message);
}

void PeerOutput::trace_received(std::string_view name, std::string detail) {
  trace(seam::MessageDirection::received, name, std::move(detail));
}

void PeerOutput::trace(seam::MessageDirection direction, const wire::Message& message) {
  if (const auto block = block_of(message)) {
    trace_block({direction, wire::name_of(message), *block});
  } else {
    trace(direction, wire::name_of(message), detail_of(message));
  }
}

void PeerOutput::trace(seam::MessageDirection direction, std::string_view name, std::string detail) {
  flush_trace();
  actions_.push_back(seam::Tell{seam::MessageTrace{
      .direction = direction, .remote = remote_, .message = std::string(name), .detail = std::move(detail)}});
}

void PeerOutput::trace_block(const BlockTrace& block) {
  if (block_trace_ && block_trace_->direction == block.direction && block_trace_->name == block.name) {
    Run& range = block_trace_->range;
    const bool goes_on = range.piece == block.range.piece &&
                         std::uint64_t{range.offset_bytes} + range.size_bytes == block.range.offset_bytes &&
                         std::uint64_t{range.size_bytes} + block.range.size_bytes <= kRunBytesMax;
    if (goes_on) {
      range.size_bytes += block.range.size_bytes;
      return;
    }
  }
  flush_trace();
  block_trace_ = block;
}

void PeerOutput::flush_trace() {
  const auto block = std::exchange(block_trace_, std::nullopt);
  if (!block) return;
  const Run& range = block->range;
  trace(block->direction, block->name,
        describe(range.piece) + ", " + std::to_string(range.size_bytes) + " bytes at " +
            std::to_string(range.offset_bytes));
}

}  // namespace shoal::swarm
