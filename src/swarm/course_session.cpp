#include "swarm/course_session.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.hpp"

namespace shoal::swarm {
namespace {

using base::Instant;
using course::Header;
using course::MessageType;

constexpr std::size_t kPaddingBytesMax = 3;

std::string chunk_name(base::PieceIndex piece) {
  return "chunk " + std::to_string(piece.value);
}

}  // namespace

std::string_view describe(SessionFailure failure) {
  switch (failure) {
    case SessionFailure::bad_version:
      return "sent a message of an unknown protocol version";
    case SessionFailure::bad_type:
      return "answered with a message of the wrong type";
    case SessionFailure::bad_length:
      return "sent a message of an impossible length, or of more than --chunk-limit allows";
    case SessionFailure::overrun:
      return "sent a CHUNK whose content is longer than its message";
    case SessionFailure::unsolicited:
      return "sent bytes nobody had asked for";
    case SessionFailure::closed:
      return "closed the connection";
    case SessionFailure::reset:
      return "broke the connection";
    case SessionFailure::no_answer:
      return "did not answer in time";
    case SessionFailure::stalled:
      return "stopped sending in the middle of an answer, or nearly";
  }
  return "";
}

CourseSession::CourseSession(seam::ConnId conn, CourseSessionOptions options, base::BufferPool& buffers)
    : conn_(conn), options_(options), buffers_(buffers), pace_(options.stall_timeout) {}

void CourseSession::request(base::PieceIndex piece, const base::Sha1Hash& hash, Instant now) {
  SHOAL_CHECK(!has_ended_);
  SHOAL_CHECK(asked_.size() < request_max());
  if (asked_.empty()) awaiting_since_ = now;
  asked_.push_back({piece, hash});
  const std::uint16_t reserved = options_.offers_pipelining ? course::kPipeliningBit : std::uint16_t{0};
  actions_.push_back(seam::Send{conn_, course::encode_get_chunk(hash, reserved)});
  actions_.push_back(seam::Tell{seam::MessageTrace{.direction = seam::MessageDirection::sent,
                                                   .remote = options_.remote,
                                                   .message = std::string(to_string(MessageType::get_chunk)),
                                                   .detail = chunk_name(piece)}});
}

void CourseSession::discard(base::PieceIndex piece) {
  if (phase_ == Phase::head || use_ != Use::store || asked_.front().piece != piece) return;
  use_ = Use::discard;
  slab_ = base::Buffer();
  slab_used_ = 0;
}

seam::ReadTargets CourseSession::next_read() {
  seam::ReadTargets targets;
  if (has_ended_) return targets;
  const bool is_direct = phase_ == Phase::content && use_ == Use::store;
  if (is_blocked_ || (is_direct && !has_slab())) {
    is_blocked_ = true;
    is_read_stopped_ = true;
    return targets;
  }
  if (scratch_.empty()) scratch_.resize(kScratchBytes);
  std::memmove(scratch_.data(), scratch_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const auto scratch = std::span(scratch_).subspan(end_, scratch_read_bytes());
  if (!is_direct) {
    targets.spans[0] = scratch;
    return targets;
  }
  targets.spans[0] = direct_target();
  if (targets.spans[0].size() == content_left_) targets.spans[1] = scratch;
  return targets;
}

// One read should take many answers when they are tiny, and only the next head when they are big: then payload that
// ends up here would have to be copied.
std::size_t CourseSession::scratch_read_bytes() const {
  const std::size_t room = kScratchBytes - end_;
  if (recent_content_bytes_ <= kSmallContentBytes) return room;
  const std::uint64_t content = use_ == Use::store ? 0 : content_left_;
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(room, content + trailing_left_ + course::kChunkHeadBytes - unread().size()));
}

std::span<std::byte> CourseSession::direct_target() const {
  if (phase_ != Phase::content || use_ != Use::store || slab_.is_empty()) return {};
  const std::span<std::byte> rest = slab_.bytes().subspan(slab_used_);
  return rest.first(static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), content_left_)));
}

void CourseSession::on_bytes(std::size_t count, Instant now) {
  if (has_ended_) return;
  pace_.on_bytes(count);
  const std::size_t direct = std::min(count, direct_target().size());
  end_ += count - direct;
  SHOAL_CHECK(end_ <= scratch_.size());
  if (direct > 0) accept_into_slab(direct);
  advance(now);
}

void CourseSession::on_input_ended(Instant now) {
  input_ended_ = true;
  advance(now);
}

void CourseSession::on_connection_lost() {
  if (!has_ended_) fail(SessionFailure::reset);
}

void CourseSession::on_deadline(Instant now) {
  const auto deadline = next_deadline();
  if (!deadline || now < *deadline) return;
  if (!is_inside_message_) {
    fail(SessionFailure::no_answer);
  } else if (!pace_.is_kept(now)) {
    fail(SessionFailure::stalled);
  }
}

void CourseSession::on_buffer_available(Instant now) {
  if (!is_blocked_ || has_ended_) return;
  if (use_ == Use::store && buffers_.available() == 0) return;
  is_blocked_ = false;
  pace_.restart(now);
  advance(now);
  if (is_blocked_ || has_ended_ || !is_read_stopped_) return;
  is_read_stopped_ = false;
  actions_.push_back(seam::ResumeReading{conn_});
}

std::optional<Instant> CourseSession::next_deadline() const {
  if (has_ended_ || is_blocked_) return std::nullopt;
  if (is_inside_message_) return pace_.deadline();
  if (asked_.empty()) return std::nullopt;
  return awaiting_since_ + options_.answer_timeout;
}

std::vector<base::PieceIndex> CourseSession::unanswered() const {
  std::vector<base::PieceIndex> pieces;
  pieces.reserve(asked_.size());
  for (const Asked& asked : asked_) pieces.push_back(asked.piece);
  return pieces;
}

void CourseSession::advance(Instant now) {
  bool goes_on = true;
  while (goes_on && !has_ended_) {
    switch (phase_) {
      case Phase::head:
        goes_on = take_head(now);
        break;
      case Phase::content:
        goes_on = take_content();
        break;
      case Phase::trailing:
        goes_on = take_trailing(now);
        break;
    }
  }
  report_payload();
  if (input_ended_ && !is_blocked_ && !has_ended_) fail(SessionFailure::closed);
}

bool CourseSession::take_head(Instant now) {
  if (unread().empty()) return false;
  if (asked_.empty()) {
    fail(SessionFailure::unsolicited);
    return false;
  }
  if (!is_inside_message_) {
    is_inside_message_ = true;
    pace_.restart(now);
  }
  const auto header = course::parse_header(unread());
  if (!header) return false;
  if (header->version != course::kVersion) {
    fail(SessionFailure::bad_version);
  } else if (header->type == static_cast<std::uint8_t>(MessageType::chunk)) {
    return take_chunk_head(*header);
  } else if (header->type == static_cast<std::uint8_t>(MessageType::error)) {
    return take_error(*header, now);
  } else {
    fail(SessionFailure::bad_type);
  }
  return false;
}

bool CourseSession::take_chunk_head(const Header& header) {
  // Judged before anything is waited for (4.6).
  const std::uint64_t longest = std::uint64_t{course::kChunkHeadBytes} + options_.chunk_bytes_max + kPaddingBytesMax;
  if (header.message_bytes() < course::kChunkHeadBytes || header.message_bytes() > longest) {
    fail(SessionFailure::bad_length);
    return false;
  }
  if (unread().size() < course::kChunkHeadBytes) return false;
  const auto head = course::parse_chunk_head(
      header, unread().subspan(course::kHeaderBytes, course::kChunkHeadBytes - course::kHeaderBytes));
  if (!head) {
    fail(SessionFailure::overrun);
    return false;
  }
  if (head->trailing_bytes > kSurplusBytesMax) {
    fail(SessionFailure::bad_length);
    return false;
  }
  begin_ += course::kChunkHeadBytes;
  note_welcome(header);
  const Asked& asked = asked_.front();
  use_ = head->hash == asked.hash ? Use::store : Use::wrong;
  content_left_ = head->content_bytes;
  recent_content_bytes_ = head->content_bytes;
  trailing_left_ = head->trailing_bytes;
  phase_ = Phase::content;
  if (use_ == Use::store) events_.push_back(AnswerBegan{asked.piece, head->content_bytes});
  return true;
}

bool CourseSession::take_error(const Header& header, Instant now) {
  if (header.message_bytes() < course::kErrorBytes || header.length_dwords > course::kRequestDwordsMax) {
    fail(SessionFailure::bad_length);
    return false;
  }
  const auto message_bytes = static_cast<std::size_t>(header.message_bytes());
  if (unread().size() < message_bytes) return false;
  const auto code =
      course::parse_error_body(unread().subspan(course::kHeaderBytes, message_bytes - course::kHeaderBytes));
  begin_ += message_bytes;
  note_welcome(header);
  AnswerRefused refused{asked_.front().piece, std::nullopt};
  if (code) refused.code = *code;
  finish_answer(refused, MessageType::error, code ? to_string(*code) : "unknown error code", now);
  return true;
}

bool CourseSession::take_content() {
  while (content_left_ > 0) {
    const auto available = static_cast<std::size_t>(std::min<std::uint64_t>(unread().size(), content_left_));
    // Content that is still missing is read straight into the slab.
    if (available == 0) return false;
    if (use_ != Use::store) {
      begin_ += available;
      content_left_ -= available;
      if (use_ == Use::discard) payload_bytes_ += available;
      continue;
    }
    if (!has_slab()) {
      is_blocked_ = true;
      return false;
    }
    const std::span<std::byte> target = direct_target();
    const std::size_t count = std::min(available, target.size());
    std::memcpy(target.data(), unread().data(), count);
    begin_ += count;
    accept_into_slab(count);
  }
  phase_ = Phase::trailing;
  return true;
}

bool CourseSession::take_trailing(Instant now) {
  const auto available = static_cast<std::size_t>(std::min<std::uint64_t>(unread().size(), trailing_left_));
  begin_ += available;
  trailing_left_ -= available;
  if (trailing_left_ > 0) return false;
  const base::PieceIndex piece = asked_.front().piece;
  if (use_ == Use::wrong) {
    finish_answer(WrongAnswerReceived{piece}, MessageType::chunk, "a hash nobody asked for", now);
  } else {
    finish_answer(AnswerReceived{piece}, MessageType::chunk, "", now);
  }
  return true;
}

bool CourseSession::has_slab() {
  if (!slab_.is_empty()) return true;
  auto buffer = buffers_.take();
  if (!buffer) return false;
  slab_ = std::move(*buffer);
  slab_used_ = 0;
  return true;
}

void CourseSession::accept_into_slab(std::size_t count) {
  slab_used_ += count;
  content_left_ -= count;
  payload_bytes_ += count;
  if (slab_used_ < slab_.bytes().size() && content_left_ > 0) return;
  report_payload();
  events_.push_back(BlockArrived{asked_.front().piece, std::move(slab_), slab_used_});
  slab_ = base::Buffer();
  slab_used_ = 0;
}

void CourseSession::note_welcome(const Header& header) {
  if (is_pipelining_ || !options_.offers_pipelining || (header.reserved & course::kPipeliningBit) == 0) return;
  is_pipelining_ = true;
  events_.push_back(PipeliningWelcomed{});
}

void CourseSession::finish_answer(SessionEvent event, MessageType type, std::string_view remark, Instant now) {
  report_payload();
  std::string detail = chunk_name(asked_.front().piece);
  if (!remark.empty()) detail.append(": ").append(remark);
  actions_.push_back(seam::Tell{seam::MessageTrace{.direction = seam::MessageDirection::received,
                                                   .remote = options_.remote,
                                                   .message = std::string(to_string(type)),
                                                   .detail = std::move(detail)}});
  asked_.pop_front();
  events_.push_back(std::move(event));
  ++answers_;
  phase_ = Phase::head;
  use_ = Use::store;
  is_inside_message_ = false;
  awaiting_since_ = now;
}

void CourseSession::report_payload() {
  if (payload_bytes_ == 0) return;
  events_.push_back(PayloadArrived{asked_.front().piece, std::exchange(payload_bytes_, 0)});
}

void CourseSession::fail(SessionFailure failure) {
  report_payload();
  has_ended_ = true;
  slab_ = base::Buffer();
  events_.push_back(SessionEnded{failure});
}

}  // namespace shoal::swarm
