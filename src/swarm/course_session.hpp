// The client's side of one open connection to a course peer: asks for pieces by hash, takes the answers apart while
// they arrive, and hands payload out in slabs of the pool. Bytes in, events out; it opens and closes nothing.
//
// Called by roles/ (course_client), which dials, owns the session, carries its actions out and closes the connection
// after SessionEnded.
//
// Always holds: answers are taken in the order of the requests; payload is handed out only under the hash that was
// asked; one request is outstanding until the peer welcomed more on this connection (course-protocol section 5); the
// session holds at most one slab; every awaited answer and every message that has begun has a deadline, except while it
// is this side that has stopped reading.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/endpoint.hpp"
#include "base/sha1.hpp"
#include "base/strong.hpp"
#include "base/time.hpp"
#include "course/messages.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "seam/machine.hpp"
#include "swarm/pace_guard.hpp"

namespace shoal::swarm {

struct CourseSessionOptions {
  base::Endpoint remote{};
  bool offers_pipelining = true;
  std::uint32_t chunk_bytes_max = 256u << 20;  // content of one CHUNK
  base::Duration answer_timeout = std::chrono::seconds(10);
  base::Duration stall_timeout = std::chrono::seconds(10);
};

// Outstanding requests of a connection whose peer welcomes several.
inline constexpr std::uint32_t kPipelineMax = 64;
// Room for headers, and for many answers at once when pieces are tiny.
inline constexpr std::size_t kScratchBytes = 64 * 1024;
// Content up to this size is read through the scratch and copied: cheaper than a read of its own for each.
inline constexpr std::uint64_t kSmallContentBytes = 16 * 1024;
// A CHUNK may be this much longer than its content, for surplus that counts as padding. One that is even longer has a
// length of the wrong byte order, whose end would never come.
inline constexpr std::uint64_t kSurplusBytesMax = 64 * 1024;

enum class SessionFailure : std::uint8_t {
  bad_version,
  bad_type,     // neither CHUNK nor ERROR
  bad_length,   // msg_length too small for its type, above the limit, or far beyond the content
  overrun,      // chunk_content_length points past the end of the message
  unsolicited,  // bytes nobody asked for
  closed,       // the other side ended the connection
  reset,        // broken
  no_answer,    // silent after a request
  stalled,      // a message came to a halt, or nearly
};
// For a user: "sent a message of an impossible length".
[[nodiscard]] std::string_view describe(SessionFailure failure);

// --- What a session tells ---
struct AnswerBegan {  // the head of a CHUNK with the right hash
  base::PieceIndex piece;
  std::uint64_t size_bytes = 0;
};
struct PayloadArrived {  // for rates; also for payload that is discarded
  base::PieceIndex piece;
  std::uint64_t bytes = 0;
};
struct BlockArrived {  // the next `count` bytes of the piece
  base::PieceIndex piece;
  base::Buffer buffer;
  std::size_t count = 0;
};
struct AnswerReceived {  // the whole CHUNK
  base::PieceIndex piece;
};
struct AnswerRefused {  // an ERROR; nothing for a code the protocol does not know
  base::PieceIndex piece;
  std::optional<course::ErrorCode> code;
};
struct WrongAnswerReceived {  // a CHUNK of another hash, whole
  base::PieceIndex piece;
};
struct PipeliningWelcomed {};
struct SessionEnded {  // the last event
  SessionFailure failure = SessionFailure::closed;
};
using SessionEvent = std::variant<AnswerBegan, PayloadArrived, BlockArrived, AnswerReceived, AnswerRefused,
                                  WrongAnswerReceived, PipeliningWelcomed, SessionEnded>;

class CourseSession {
 public:
  // The pool must outlive the session.
  CourseSession(seam::ConnId conn, CourseSessionOptions options, base::BufferPool& buffers);

  // Requires outstanding() < request_max().
  void request(base::PieceIndex piece, const base::Sha1Hash& hash, base::Instant now);
  // The rest of the answer that is arriving now is of no use, when it is this piece's: it is read and dropped.
  void discard(base::PieceIndex piece);

  [[nodiscard]] seam::ReadTargets next_read();
  void on_bytes(std::size_t count, base::Instant now);
  void on_input_ended(base::Instant now);
  void on_connection_lost();
  void on_deadline(base::Instant now);
  // Goes on when it waited for a buffer and needs to wait no longer; else does nothing.
  void on_buffer_available(base::Instant now);

  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] std::vector<SessionEvent> take_events() { return std::exchange(events_, {}); }
  [[nodiscard]] seam::Actions take_actions() { return std::exchange(actions_, {}); }

  [[nodiscard]] std::uint32_t request_max() const { return is_pipelining_ ? kPipelineMax : 1; }
  [[nodiscard]] std::size_t outstanding() const { return asked_.size(); }
  [[nodiscard]] bool is_pipelining() const { return is_pipelining_; }
  [[nodiscard]] bool waits_for_buffer() const { return is_blocked_; }
  [[nodiscard]] bool has_ended() const { return has_ended_; }
  // What was asked and is not answered yet, in order.
  [[nodiscard]] std::vector<base::PieceIndex> unanswered() const;
  // CHUNKs and ERRORs that arrived whole.
  [[nodiscard]] std::uint64_t answers() const { return answers_; }

 private:
  struct Asked {
    base::PieceIndex piece;
    base::Sha1Hash hash;
  };
  enum class Phase : std::uint8_t { head, content, trailing };
  enum class Use : std::uint8_t { store, discard, wrong };  // what becomes of the content that arrives

  [[nodiscard]] base::ByteView unread() const { return {scratch_.data() + begin_, end_ - begin_}; }
  // The rest of the slab, up to the end of the content; empty when payload goes elsewhere or there is no slab.
  [[nodiscard]] std::span<std::byte> direct_target() const;
  [[nodiscard]] std::size_t scratch_read_bytes() const;
  // Takes apart what is in the scratch, as far as it goes. Each take_* is true when there may be more to take.
  void advance(base::Instant now);
  [[nodiscard]] bool take_head(base::Instant now);
  [[nodiscard]] bool take_chunk_head(const course::Header& header);
  [[nodiscard]] bool take_error(const course::Header& header, base::Instant now);
  [[nodiscard]] bool take_content();
  [[nodiscard]] bool take_trailing(base::Instant now);
  [[nodiscard]] bool has_slab();
  void accept_into_slab(std::size_t count);
  void note_welcome(const course::Header& header);
  void finish_answer(SessionEvent event, course::MessageType type, std::string_view remark, base::Instant now);
  void report_payload();
  void fail(SessionFailure failure);

  seam::ConnId conn_;
  CourseSessionOptions options_;
  base::BufferPool& buffers_;

  std::deque<Asked> asked_;  // at most kPipelineMax
  bool is_pipelining_ = false;
  bool has_ended_ = false;
  bool input_ended_ = false;
  bool is_blocked_ = false;       // no buffer was free
  bool is_read_stopped_ = false;  // next_read() gave nothing
  bool is_inside_message_ = false;
  std::uint64_t answers_ = 0;

  base::Bytes scratch_;  // allocated when first read into
  std::size_t begin_ = 0;
  std::size_t end_ = 0;

  Phase phase_ = Phase::head;
  Use use_ = Use::store;
  std::uint64_t content_left_ = 0;
  std::uint64_t trailing_left_ = 0;
  std::uint64_t recent_content_bytes_ = 0;  // of the latest CHUNK: how the next will look
  std::uint64_t payload_bytes_ = 0;         // arrived and not reported yet
  base::Buffer slab_;
  std::size_t slab_used_ = 0;

  base::Instant awaiting_since_{};
  PaceGuard pace_;

  std::vector<SessionEvent> events_;
  seam::Actions actions_;
};

}  // namespace shoal::swarm
