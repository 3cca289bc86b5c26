#include "swarm/course_server.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/check.hpp"
#include "course/request_check.hpp"

namespace shoal::swarm {
namespace {

using course::ErrorCode;
using course::MessageType;

constexpr std::string_view kMalformed = "malformed";  // in traces, for what has no name

seam::Tell trace(seam::MessageDirection direction, base::Endpoint remote, std::string_view message,
                 std::string detail) {
  return {seam::MessageTrace{.direction = direction,
                             .is_datagram = false,
                             .remote = remote,
                             .message = std::string(message),
                             .detail = std::move(detail)}};
}

// What distinguishes a message of ours, from its own bytes.
std::string describe(MessageType type, const Answer& answer) {
  base::ByteReader reader(answer.head);
  reader.skip(course::kHeaderBytes);
  if (type == MessageType::error) return std::string(course::to_string(static_cast<ErrorCode>(reader.u16())));
  if (type == MessageType::chunk) {
    const std::string hash = base::Sha1Hash::from_bytes(reader.take(base::Sha1Hash::kSize)).to_hex();
    return hash + ", " + std::to_string(reader.u32()) + " bytes";
  }
  return std::to_string(answer.head.size() + (answer.rest ? answer.rest->size_bytes() : 0)) + " bytes";
}

// A GET_CHUNK gets CHUNK or ERROR 2 and nothing else (4.12), also for content that CHUNK has no room for.
Answer make_chunk_answer(const base::Sha1Hash& hash, const seam::ReadablePiecePtr& piece, std::uint16_t reserved) {
  const std::uint64_t size = piece ? piece->size_bytes() : 0;
  if (!piece || size > std::numeric_limits<std::uint32_t>::max()) {
    return {.head = course::encode_error(ErrorCode::chunk_not_found, reserved), .rest = nullptr};
  }
  course::ChunkFrame frame = course::encode_chunk_frame(hash, static_cast<std::uint32_t>(size), reserved);
  return {.head = std::move(frame.head), .rest = size > 0 ? piece : nullptr, .padding_bytes = frame.padding_bytes};
}

}  // namespace

CourseServer::CourseServer(const CourseServerOptions& options, seam::ConnId conn, base::Endpoint remote)
    : options_(&options), conn_(conn), remote_(remote) {}

void CourseServer::on_bytes(base::ByteView bytes, base::Instant now, seam::Actions& actions) {
  if (is_input_ended_) return;
  framer_.feed(bytes);
  advance(now, actions);
}

void CourseServer::on_input_ended(base::Instant now, seam::Actions& actions) {
  is_input_ended_ = true;
  advance(now, actions);
}

void CourseServer::on_output_drained(base::Instant now, seam::Actions& actions) {
  unsent_answers_ = 0;
  advance(now, actions);
}

void CourseServer::on_deadline(base::Instant now, seam::Actions& actions) {
  if (!deadline_ || now < *deadline_) return;
  actions.emplace_back(seam::Tell{seam::NoteTrace{.level = seam::NoteTrace::Level::debug,
                                                  .text = remote_.to_string() + " stopped inside a request"}});
  // Some begin with a message that is too short and wait for the ERROR: the connection lives on (4.10).
  framer_.drop_everything();
  deadline_.reset();
  enqueue_error(course::ErrorCode::invalid_message_format);
  advance(now, actions);
}

void CourseServer::on_piece_looked_up(RequestNumber number, const seam::ReadablePiecePtr& piece, base::Instant now,
                                      seam::Actions& actions) {
  const Queued* asked = find(number);
  if (asked == nullptr) return;
  on_answer_ready(number, make_chunk_answer(asked->hash, piece, asked->reserved), now, actions);
}

void CourseServer::on_answer_ready(RequestNumber number, Answer answer, base::Instant now, seam::Actions& actions) {
  Queued* asked = find(number);
  if (asked == nullptr) return;
  SHOAL_CHECK(asked->stage == Stage::asked);
  asked->stage = Stage::answered;
  asked->answer = std::move(answer);
  advance(now, actions);
}

void CourseServer::stop() {
  is_input_ended_ = true;
  deadline_.reset();
  framer_.drop_everything();
  first_number_ += queue_.size();
  queue_ = std::vector<Queued>();
}

std::optional<CourseServer::Question> CourseServer::take_question() {
  std::size_t ahead = 0;
  for (std::size_t index = 0; index < queue_.size() && ahead < kQuestionsAheadMax; ++index) {
    Queued& queued = queue_[index];
    if (queued.stage == Stage::waiting) {
      queued.stage = Stage::asked;
      return Question{RequestNumber(first_number_ + index), queued.hash};
    }
    ++ahead;
  }
  return std::nullopt;
}

bool CourseServer::begin_read() {
  is_reading_paused_ = !wants_input();
  return !is_reading_paused_;
}

// Goes as far as it can: takes requests while the queue has room, sends answers while the runner has.
void CourseServer::advance(base::Instant now, seam::Actions& actions) {
  bool is_request_left = true;
  while (is_request_left) {
    take_requests(actions);
    const bool was_full = !has_room();
    send_answers(actions);
    is_request_left = was_full && has_room();
  }
  set_deadline(now);
  if (is_reading_paused_ && wants_input()) {
    is_reading_paused_ = false;
    actions.emplace_back(seam::ResumeReading{conn_});
  }
  SHOAL_AUDIT_CHECK(queue_.size() <= options_->requests_queued_max);
  SHOAL_AUDIT_CHECK(unsent_answers_ <= kUnsentAnswersMax);
}

void CourseServer::take_requests(seam::Actions& actions) {
  while (has_room()) {
    const auto frame = framer_.next();
    if (!frame) {
      // The rest of what has begun never comes.
      if (is_input_ended_ && framer_.is_inside_message()) {
        enqueue(std::unexpected(course::ParseError::truncated), actions);
        framer_.drop_everything();
      }
      // An idle connection keeps no buffer.
      if (!framer_.is_inside_message()) framer_ = course::RequestFramer();
      return;
    }
    deadline_.reset();
    enqueue(*frame, actions);
  }
}

void CourseServer::enqueue(const course::Frame& frame, seam::Actions& actions) {
  const auto type = frame ? course::check_message(frame->header, frame->body) : std::unexpected(frame.error());
  if (!type) {
    actions.emplace_back(
        trace(seam::MessageDirection::received, remote_, kMalformed, std::string(course::to_string(type.error()))));
    return enqueue_error(ErrorCode::invalid_message_format);
  }
  Queued queued;
  if (*type == MessageType::get_chunk) queued.hash = *course::parse_get_chunk_body(frame->body);
  actions.emplace_back(trace(seam::MessageDirection::received, remote_, course::to_string(*type),
                             *type == MessageType::get_chunk ? queued.hash.to_hex() : ""));
  if (*type != options_->serves) return enqueue_error(ErrorCode::invalid_request);
  if (options_->welcomes_pipelining) queued.reserved = frame->header.reserved & course::kPipeliningBit;
  queue_.push_back(std::move(queued));
}

void CourseServer::enqueue_error(ErrorCode code) {
  Queued queued;
  queued.stage = Stage::answered;
  queued.answer.head = course::encode_error(code);
  queue_.push_back(std::move(queued));
}

void CourseServer::send_answers(seam::Actions& actions) {
  std::size_t sent = 0;
  while (sent < queue_.size() && queue_[sent].stage == Stage::answered && unsent_answers_ < kUnsentAnswersMax) {
    send(std::move(queue_[sent].answer), actions);
    ++sent;
    ++unsent_answers_;
  }
  first_number_ += sent;
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(sent));
  if (queue_.empty()) queue_ = std::vector<Queued>();
}

void CourseServer::send(Answer answer, seam::Actions& actions) {
  const auto type = static_cast<MessageType>(answer.head.at(1));
  actions.emplace_back(trace(seam::MessageDirection::sent, remote_, course::to_string(type), describe(type, answer)));
  if (answer.rest) {
    actions.emplace_back(seam::SendPiece{.conn = conn_,
                                         .header = std::move(answer.head),
                                         .piece = std::move(answer.rest),
                                         .padding_bytes = answer.padding_bytes});
  } else {
    SHOAL_CHECK(answer.padding_bytes == 0);
    actions.emplace_back(seam::Send{.conn = conn_, .bytes = std::move(answer.head)});
  }
}

// Runs only while the client could finish its request: not while reading is paused, and never between requests (4.7).
void CourseServer::set_deadline(base::Instant now) {
  if (!wants_input() || !framer_.is_inside_message()) {
    deadline_.reset();
  } else if (!deadline_) {
    deadline_ = now + options_->message_timeout;
  }
}

CourseServer::Queued* CourseServer::find(RequestNumber number) {
  if (number.value < first_number_ || number.value - first_number_ >= queue_.size()) return nullptr;
  return &queue_[number.value - first_number_];
}

}  // namespace shoal::swarm
