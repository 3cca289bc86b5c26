// The server's side of one connection of the course protocol: cuts what arrives into requests, judges them, and sends
// the answers in the order of the requests (course-protocol 4.5-4.7, 4.10-4.14, 5). A peer's and a tracker's
// connections differ only in the request they serve. Called by the host role (roles/server_connections.hpp) with what
// happened; what to do is appended to `actions`.
//
// The host fetches what an answer needs: it takes questions, and brings each one's answer in any order.
//
// Always holds: at most requests_queued_max requests are queued, of which kQuestionsAheadMax are being fetched or wait
// for their turn; at most kUnsentAnswersMax answers are with the runner. So a client that does not read its answers
// ties up that many pieces and no more. An idle connection holds no memory but the object itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/sha1.hpp"
#include "base/time.hpp"
#include "course/framer.hpp"
#include "course/messages.hpp"
#include "seam/actions.hpp"
#include "seam/ids.hpp"

namespace shoal::swarm {

struct CourseServerOptions {
  course::MessageType serves = course::MessageType::get_chunk;  // other well-formed messages get ERROR 1
  bool welcomes_pipelining = false;                             // section 5, bit 0
  std::uint32_t requests_queued_max = 128;                      // beyond it, reading stops
  base::Duration message_timeout = std::chrono::seconds(10);    // from the first to the last byte of a request
};

// A message that is ready to leave: `head`, then the whole of `rest` (may be null), then zeros.
struct Answer {
  base::Bytes head;
  seam::ReadablePiecePtr rest;
  std::uint32_t padding_bytes = 0;
};

class CourseServer {
 public:
  // Two: while the runner sends one, the next is with it already, and two more are being looked up, so that the
  // socket does not idle between answers.
  static constexpr std::size_t kUnsentAnswersMax = 2;
  static constexpr std::size_t kQuestionsAheadMax = 2;

  // Which request of this connection, from 0.
  using RequestNumber = base::Strong<struct RequestNumberTag, std::uint64_t>;
  struct Question {
    RequestNumber number;
    base::Sha1Hash hash;  // of a GET_CHUNK
  };

  // `options` must outlive the connection.
  CourseServer(const CourseServerOptions& options, seam::ConnId conn, base::Endpoint remote);

  void on_bytes(base::ByteView bytes, base::Instant now, seam::Actions& actions);
  void on_input_ended(base::Instant now, seam::Actions& actions);
  void on_output_drained(base::Instant now, seam::Actions& actions);
  // deadline() has passed: the unfinished request is malformed, and the last one.
  void on_deadline(base::Instant now, seam::Actions& actions);
  // Answers to questions. Late ones, after stop(), are ignored.
  void on_piece_looked_up(RequestNumber number, const seam::ReadablePiecePtr& piece, base::Instant now,
                          seam::Actions& actions);
  void on_answer_ready(RequestNumber number, Answer answer, base::Instant now, seam::Actions& actions);
  // No more requests, no more answers; what the runner has of an answer is still completed.
  void stop();

  // The next request that something has to be fetched for.
  [[nodiscard]] std::optional<Question> take_question();
  // Whether to read now. After a refusal a ResumeReading follows when there is room again.
  [[nodiscard]] bool begin_read();
  [[nodiscard]] std::optional<base::Instant> deadline() const { return deadline_; }
  // Nothing will be asked or answered any more: to be closed.
  [[nodiscard]] bool is_finished() const { return is_input_ended_ && queue_.empty() && unsent_answers_ == 0; }
  [[nodiscard]] std::size_t requests_queued() const { return queue_.size(); }
  [[nodiscard]] base::Endpoint remote() const { return remote_; }

 private:
  enum class Stage : std::uint8_t { waiting, asked, answered };
  struct Queued {
    Stage stage = Stage::waiting;
    std::uint16_t reserved = 0;  // of the answer
    base::Sha1Hash hash;
    Answer answer;
  };

  void advance(base::Instant now, seam::Actions& actions);
  void take_requests(seam::Actions& actions);
  void enqueue(const course::Frame& frame, seam::Actions& actions);
  void enqueue_error(course::ErrorCode code);
  void send_answers(seam::Actions& actions);
  void send(Answer answer, seam::Actions& actions);
  void set_deadline(base::Instant now);
  [[nodiscard]] bool has_room() const { return queue_.size() < options_->requests_queued_max; }
  [[nodiscard]] bool wants_input() const { return !is_input_ended_ && has_room(); }
  [[nodiscard]] Queued* find(RequestNumber number);

  const CourseServerOptions* options_;
  seam::ConnId conn_;
  base::Endpoint remote_;
  course::RequestFramer framer_;
  std::vector<Queued> queue_;       // the front is answered next
  std::uint64_t first_number_ = 0;  // of the front of queue_
  std::optional<base::Instant> deadline_;
  std::uint32_t unsent_answers_ = 0;  // with the runner, not yet with the kernel
  bool is_input_ended_ = false;
  bool is_reading_paused_ = false;
};

// Thousands of idle connections are normal (4.13).
static_assert(sizeof(CourseServer) <= 160);

}  // namespace shoal::swarm
