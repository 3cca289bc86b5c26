// A client's connection to a peer that sends whatever it likes, however it is split, while the client asks, stops
// wanting pieces, runs out of buffers and lets time pass. A second, plainer reading of the stream says what the session
// must make of it: every block in its place, nothing above what was announced, the right failure at the right byte.
//
// The input: a byte for the options, then steps, each a byte (see Step) and what belongs to it.
#include <deque>
#include <optional>
#include <vector>

#include "fuzz/input.hpp"
#include "swarm/course_session.hpp"

namespace shoal::swarm {
namespace {

using course::MessageType;

constexpr std::uint32_t kChunkBytesMax = 100'000;
constexpr std::size_t kStreamBytesMax = 256 * 1024;  // enough for every limit, and quick
constexpr std::size_t kBuffers = 3;

enum class Step : std::uint8_t {
  send_bytes,    // count, bytes
  send_head,     // reserved, content size (2), surplus dwords: the head of a CHUNK of the piece whose turn it is
  send_payload,  // count (2): so many bytes, each different from its neighbours
  ask,           // which hash
  bring_home,    // the store gives the oldest buffer back
  take_buffer,   // another session takes one
  pass_time,     // tenths of a second
  discard,       // what arrives is of no use any more
  end_input,
  lose_connection,
};
constexpr std::size_t kSteps = 10;

// What the peer has said, as far as it is known: a CHUNK from its head on, an ERROR when it is whole.
struct Answer {
  enum class Kind : std::uint8_t { chunk, wrong, error } kind = Kind::chunk;
  bool is_whole = false;
  std::size_t content_at = 0;  // in the stream
  std::size_t content_bytes = 0;
  std::size_t end = 0;
};

// Reads the stream from the front, message by message.
class Reading {
 public:
  // `may_ask`: the session stands inside an answer, so more may be asked before it gets to what follows.
  void go_on(base::ByteView stream, const std::vector<base::Sha1Hash>& asked, bool may_ask) {
    while (!failure_ && go_on_once(stream, asked, may_ask)) {
    }
  }
  [[nodiscard]] const std::vector<Answer>& answers() const { return answers_; }
  [[nodiscard]] std::size_t whole_answers() const {
    return answers_.size() - (answers_.empty() || answers_.back().is_whole ? 0 : 1);
  }
  [[nodiscard]] std::size_t whole_bytes() const { return whole_answers() == 0 ? 0 : answers_[whole_answers() - 1].end; }
  [[nodiscard]] std::optional<SessionFailure> failure() const { return failure_; }

 private:
  bool go_on_once(base::ByteView stream, const std::vector<base::Sha1Hash>& asked, bool may_ask) {
    if (!answers_.empty() && !answers_.back().is_whole) {
      if (stream.size() < answers_.back().end) return false;
      answers_.back().is_whole = true;
    }
    const std::size_t at = answers_.empty() ? 0 : answers_.back().end;
    if (at == stream.size()) return false;
    if (answers_.size() == asked.size()) return may_ask ? false : fail(SessionFailure::unsolicited);
    if (stream.size() - at < course::kHeaderBytes) return false;
    base::ByteReader reader(stream.subspan(at));
    if (reader.u8() != course::kVersion) return fail(SessionFailure::bad_version);
    const auto type = static_cast<MessageType>(reader.u8());
    reader.skip(2);
    const std::uint64_t bytes = std::uint64_t{reader.u32()} * 4;
    if (type == MessageType::error) return read_error(stream, at, bytes);
    if (type != MessageType::chunk) return fail(SessionFailure::bad_type);
    if (bytes < 32 || bytes > 32 + kChunkBytesMax + 3) return fail(SessionFailure::bad_length);
    if (stream.size() - at < 32) return false;
    const auto hash = base::Sha1Hash::from_bytes(reader.take(base::Sha1Hash::kSize));
    const std::uint32_t content_bytes = reader.u32();
    if (content_bytes > bytes - 32) return fail(SessionFailure::overrun);
    if (bytes - 32 - content_bytes > swarm::kSurplusBytesMax) return fail(SessionFailure::bad_length);
    answers_.push_back({.kind = hash == asked[answers_.size()] ? Answer::Kind::chunk : Answer::Kind::wrong,
                        .content_at = at + 32,
                        .content_bytes = content_bytes,
                        .end = at + static_cast<std::size_t>(bytes)});
    return true;
  }
  bool read_error(base::ByteView stream, std::size_t at, std::uint64_t bytes) {
    if (bytes < 12 || bytes > 256) return fail(SessionFailure::bad_length);
    if (stream.size() - at < bytes) return false;
    answers_.push_back({.kind = Answer::Kind::error,
                        .is_whole = true,
                        .content_at = at + 8,
                        .end = at + static_cast<std::size_t>(bytes)});
    return true;
  }
  bool fail(SessionFailure failure) {
    failure_ = failure;
    return false;
  }

  std::vector<Answer> answers_;
  std::optional<SessionFailure> failure_;
};

bool is_about_bytes(SessionFailure failure) {
  return failure <= SessionFailure::unsolicited;
}

class Talk {
 public:
  explicit Talk(std::uint8_t options)
      : offers_pipelining_((options & 1) != 0),
        discards_at_once_((options & 2) != 0),
        pool_(kBufferBytes[(options >> 2) % kBufferBytes.size()], kBuffers) {}

  void take(Step step, fuzz::Script& script) {
    switch (step) {
      case Step::send_bytes:
        return send(script.bytes());
      case Step::send_head:
        return send(head(script));
      case Step::send_payload:
        return send(payload(script.u16()));
      case Step::ask:
        return ask(script.u8());
      case Step::bring_home:
        return bring_home();
      case Step::take_buffer:
        if (auto buffer = pool_.take()) away_.push_back(std::move(*buffer));
        return offer_buffer();
      case Step::pass_time:
        return pass(script.pause());
      case Step::discard:
        return discard();
      case Step::end_input:
        has_peer_ended_ = true;
        return read();
      case Step::lose_connection:
        session_.on_connection_lost();
        return settle();
    }
  }
  // Once every buffer is home, nothing may be left waiting.
  void end() {
    while (!away_.empty()) bring_home();
    SHOAL_CHECK(failure_ || !session_.waits_for_buffer());
    SHOAL_CHECK(failure_ || (unread_.is_empty() && !has_peer_ended_));
    // Silence ends a session that has asked; each deadline is a later one.
    for (int waits = 0; session_.next_deadline(); ++waits) {
      SHOAL_CHECK(waits < 3);
      pass(*session_.next_deadline() - now_);
    }
    SHOAL_CHECK(failure_ || session_.outstanding() == 0);
  }

 private:
  static constexpr std::array<std::size_t, 4> kBufferBytes = {32 * 1024, 1000, 64, 1};

  [[nodiscard]] base::PieceIndex current() const { return base::PieceIndex(static_cast<std::uint32_t>(answered_)); }

  void ask(std::uint8_t which) {
    if (failure_ || session_.outstanding() == session_.request_max()) return;
    base::Sha1Hash hash;
    hash.bytes.fill(static_cast<std::byte>(which));
    const base::PieceIndex piece(static_cast<std::uint32_t>(asked_.size()));
    asked_.push_back(hash);
    session_.request(piece, hash, now_);
    const seam::Actions actions = session_.take_actions();
    const auto* request = std::get_if<seam::Send>(&actions.at(0));
    const std::uint16_t reserved = offers_pipelining_ ? course::kPipeliningBit : std::uint16_t{0};
    SHOAL_CHECK(request != nullptr && request->bytes == course::encode_get_chunk(hash, reserved));
    settle();
  }
  [[nodiscard]] base::Bytes head(fuzz::Script& script) const {
    const std::uint16_t reserved = script.u8();
    const std::uint32_t content_bytes = script.u16();
    const std::uint32_t surplus_dwords = script.u8();
    const std::size_t turn = reading_.whole_answers();
    const base::Sha1Hash hash = turn < asked_.size() ? asked_[turn] : base::Sha1Hash();
    base::ByteWriter writer;
    writer.u8(course::kVersion).u8(static_cast<std::uint8_t>(MessageType::chunk)).u16(reserved);
    writer.u32(8 + (content_bytes + 3) / 4 + surplus_dwords).append(base::ByteView(hash.bytes)).u32(content_bytes);
    return writer.take();
  }
  static base::Bytes payload(std::size_t count) {
    base::Bytes bytes(count);
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 256);
    return bytes;
  }
  void send(base::ByteView bytes) {
    if (has_peer_ended_ || unread_.size_bytes() + bytes.size() > kStreamBytesMax) return;
    unread_.add(bytes);
    read();
  }
  // Reads as a runner does: while there is something, and until the session gives no room.
  void read() {
    while (is_reading_ && !failure_ && (!unread_.is_empty() || has_peer_ended_)) {
      const seam::ReadTargets targets = session_.next_read();
      is_reading_ = targets.size_bytes() > 0;
      if (!is_reading_) break;
      if (unread_.is_empty()) {
        session_.on_input_ended(now_);
        settle();
        break;
      }
      session_.on_bytes(unread_.read_into(targets).size(), now_);
      settle();
    }
    SHOAL_CHECK(is_reading_ || failure_ || (session_.waits_for_buffer() && pool_.available() == 0));
  }
  void bring_home() {
    if (away_.empty()) return;
    away_.pop_front();
    offer_buffer();
  }
  void discard() {
    if (session_.outstanding() == 0) return;
    session_.discard(current());
    is_discarded_ = has_begun_;
    offer_buffer();
  }
  // Also when there is none: a session is told after every event. Then it must not begin to read.
  void offer_buffer() {
    const bool is_of_use = pool_.available() > 0 || is_discarded_;
    const bool was_reading = is_reading_;
    if (session_.waits_for_buffer()) session_.on_buffer_available(now_);
    settle();
    SHOAL_CHECK(is_of_use || is_reading_ == was_reading);
    read();
  }
  void pass(base::Duration duration) {
    now_ += duration;
    session_.on_deadline(now_);
    settle();
    SHOAL_CHECK(!session_.next_deadline() || *session_.next_deadline() > now_);
  }

  // After each call: what the session told must agree with the reading.
  void settle() {
    reading_.go_on(unread_.read(), asked_, session_.waits_for_buffer());
    for (SessionEvent& event : session_.take_events()) {
      SHOAL_CHECK(!failure_);
      std::visit([&](auto& each) { on(each); }, event);
    }
    for (const seam::Action& action : session_.take_actions()) {
      if (std::holds_alternative<seam::ResumeReading>(action)) {
        SHOAL_CHECK(!is_reading_);
        is_reading_ = true;
      } else {
        SHOAL_CHECK(std::holds_alternative<seam::Tell>(action));
      }
    }
    SHOAL_CHECK(session_.has_ended() == failure_.has_value());
    SHOAL_CHECK(session_.answers() == answered_);
    const std::vector<base::PieceIndex> unanswered = session_.unanswered();
    SHOAL_CHECK(unanswered.size() == asked_.size() - answered_ && unanswered.size() <= session_.request_max());
    SHOAL_CHECK(unanswered.empty() || unanswered.front() == current());
    const std::size_t held = pool_.in_use() - away_.size();
    SHOAL_CHECK(held <= (failure_ ? 0 : 1));
    if (failure_ || session_.waits_for_buffer()) return;
    SHOAL_CHECK(!reading_.failure() && reading_.whole_answers() == answered_);
    SHOAL_CHECK(unanswered.empty() || session_.next_deadline());
  }
  void on(const AnswerBegan& began) {
    SHOAL_CHECK(!has_begun_ && began.piece == current());
    const Answer& answer = reading_.answers().at(answered_);
    SHOAL_CHECK(answer.kind == Answer::Kind::chunk && answer.content_bytes == began.size_bytes);
    has_begun_ = true;
    if (!discards_at_once_) return;
    session_.discard(began.piece);
    is_discarded_ = true;
  }
  void on(const PayloadArrived& arrived) {
    SHOAL_CHECK(has_begun_ && arrived.piece == current() && arrived.bytes > 0);
    payload_bytes_ += arrived.bytes;
    SHOAL_CHECK(payload_bytes_ <= reading_.answers().at(answered_).content_bytes);
  }
  void on(BlockArrived& block) {
    SHOAL_CHECK(has_begun_ && block.piece == current() && block.count > 0);
    const Answer& answer = reading_.answers().at(answered_);
    SHOAL_CHECK(block.count <= answer.content_bytes - block_bytes_);
    const base::ByteView wanted = unread_.read().subspan(answer.content_at + block_bytes_, block.count);
    SHOAL_CHECK(std::ranges::equal(block.buffer.bytes().first(block.count), wanted));
    block_bytes_ += block.count;
    away_.push_back(std::move(block.buffer));
  }
  void on(const AnswerReceived& received) {
    const Answer& answer = finish(received.piece, Answer::Kind::chunk);
    SHOAL_CHECK(has_begun_ && payload_bytes_ == answer.content_bytes);
    SHOAL_CHECK(is_discarded_ || block_bytes_ == answer.content_bytes);
    begin_next();
  }
  void on(const AnswerRefused& refused) {
    const Answer& answer = finish(refused.piece, Answer::Kind::error);
    SHOAL_CHECK(!has_begun_);
    const std::uint16_t code = base::ByteReader(unread_.read().subspan(answer.content_at)).u16();
    SHOAL_CHECK(refused.code ? static_cast<std::uint16_t>(*refused.code) == code : code > 2);
    begin_next();
  }
  void on(const WrongAnswerReceived& wrong) {
    finish(wrong.piece, Answer::Kind::wrong);
    SHOAL_CHECK(!has_begun_);
    begin_next();
  }
  void on(const PipeliningWelcomed&) {
    SHOAL_CHECK(offers_pipelining_ && !is_welcomed_ && session_.is_pipelining());
    is_welcomed_ = true;
  }
  void on(const SessionEnded& ended) {
    failure_ = ended.failure;
    if (ended.failure == SessionFailure::no_answer || ended.failure == SessionFailure::stalled) {
      const bool is_inside_answer = unread_.read().size() > reading_.whole_bytes();
      SHOAL_CHECK(is_inside_answer == (ended.failure == SessionFailure::stalled));
    }
    if (!is_about_bytes(ended.failure)) return;
    SHOAL_CHECK(reading_.failure() == ended.failure && reading_.whole_answers() == answered_);
  }
  const Answer& finish(base::PieceIndex piece, Answer::Kind kind) {
    SHOAL_CHECK(piece == current());
    const Answer& answer = reading_.answers().at(answered_);
    SHOAL_CHECK(answer.kind == kind && answer.is_whole);
    return answer;
  }
  void begin_next() {
    ++answered_;
    has_begun_ = false;
    is_discarded_ = false;
    payload_bytes_ = 0;
    block_bytes_ = 0;
  }

  bool offers_pipelining_;
  bool discards_at_once_;
  base::Instant now_{};
  base::BufferPool pool_;
  std::deque<base::Buffer> away_;  // at the store, or with other sessions
  CourseSession session_{
      seam::ConnId(1), {.offers_pipelining = offers_pipelining_, .chunk_bytes_max = kChunkBytesMax}, pool_};
  fuzz::Unread unread_;
  bool has_peer_ended_ = false;
  bool is_reading_ = true;

  std::vector<base::Sha1Hash> asked_;  // all of them; a piece's index is its place here
  Reading reading_;
  std::optional<SessionFailure> failure_;
  std::size_t answered_ = 0;
  bool is_welcomed_ = false;
  // Of the answer that is arriving.
  bool has_begun_ = false;
  bool is_discarded_ = false;
  std::uint64_t payload_bytes_ = 0;
  std::size_t block_bytes_ = 0;
};

}  // namespace
}  // namespace shoal::swarm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  fuzz::Script script(data, size);
  swarm::Talk talk(script.u8());
  while (!script.is_over()) talk.take(static_cast<swarm::Step>(script.below(swarm::kSteps)), script);
  talk.end();
  return 0;
}
