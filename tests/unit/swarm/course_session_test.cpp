#include "swarm/course_session.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string>

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;
using base::Bytes;
using base::Instant;
using base::PieceIndex;

base::Sha1Hash hash_of(std::string_view content) {
  return base::sha1(base::view_of(content));
}

Bytes chunk_as(const base::Sha1Hash& hash, std::string_view content, std::uint16_t reserved = 0) {
  const auto frame = course::encode_chunk_frame(hash, static_cast<std::uint32_t>(content.size()), reserved);
  Bytes message = frame.head;
  const base::ByteView view = base::view_of(content);
  message.insert(message.end(), view.begin(), view.end());
  message.resize(message.size() + frame.padding_bytes);
  return message;
}
Bytes chunk(std::string_view content, std::uint16_t reserved = 0) {
  return chunk_as(hash_of(content), content, reserved);
}
Bytes join(const Bytes& first, const Bytes& second) {
  Bytes both = first;
  both.insert(both.end(), second.begin(), second.end());
  return both;
}
Bytes header(std::uint8_t version, std::uint8_t type, std::uint32_t dwords) {
  return base::ByteWriter().u8(version).u8(type).u16(0).u32(dwords).take();
}
std::string long_text(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

// Drives one session and writes down what it tells.
class CourseSessionTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kSlabBytes = 32 * 1024;

  void ask(std::uint32_t piece, std::string_view content) {
    session_.request(PieceIndex(piece), hash_of(content), now_);
    take();
  }
  // Gives the bytes as reads of at most `read_bytes_max`; returns how many were taken.
  std::size_t receive(base::ByteView bytes, std::size_t read_bytes_max = 1 << 20) {
    std::size_t given = 0;
    while (given < bytes.size() && !session_.has_ended()) {
      const seam::ReadTargets targets = session_.next_read();
      if (targets.size_bytes() == 0) break;
      std::size_t count = 0;
      for (const std::span<std::byte> span : targets.spans) {
        const std::size_t part = std::min({span.size(), bytes.size() - given - count, read_bytes_max - count});
        if (part > 0) std::memcpy(span.data(), bytes.data() + given + count, part);
        count += part;
      }
      given += count;
      session_.on_bytes(count, now_);
      take();
    }
    return given;
  }
  void take() {
    for (SessionEvent& event : session_.take_events()) {
      if (auto* block = std::get_if<BlockArrived>(&event)) {
        content_[block->piece] += base::text_of(base::ByteView(block->buffer.bytes()).first(block->count));
        if (keeps_buffers_) kept_.push_back(std::move(block->buffer));
      } else if (const auto* began = std::get_if<AnswerBegan>(&event)) {
        log_ += "began " + std::to_string(began->piece.value) + " " + std::to_string(began->size_bytes) + "; ";
      } else if (const auto* received = std::get_if<AnswerReceived>(&event)) {
        log_ += "received " + std::to_string(received->piece.value) + "; ";
      } else if (const auto* refused = std::get_if<AnswerRefused>(&event)) {
        log_ +=
            "refused " + std::to_string(refused->piece.value) + (refused->code ? "" : " with an unknown code") + "; ";
      } else if (const auto* wrong = std::get_if<WrongAnswerReceived>(&event)) {
        log_ += "wrong " + std::to_string(wrong->piece.value) + "; ";
      } else if (const auto* payload = std::get_if<PayloadArrived>(&event)) {
        payload_ += payload->bytes;
      } else if (std::holds_alternative<PipeliningWelcomed>(event)) {
        log_ += "welcomed; ";
      } else if (const auto* ended = std::get_if<SessionEnded>(&event)) {
        failure_ = ended->failure;
      }
    }
    for (seam::Action& action : session_.take_actions()) {
      if (const auto* send = std::get_if<seam::Send>(&action)) sent_.push_back(send->bytes);
      if (std::holds_alternative<seam::ResumeReading>(action)) ++resumes_;
    }
  }
  void pass(base::Duration duration) {
    now_ += duration;
    session_.on_deadline(now_);
    take();
  }

  base::BufferPool pool_{kSlabBytes, 4};
  Instant now_{};
  CourseSession session_{seam::ConnId(1), CourseSessionOptions{.chunk_bytes_max = 1 << 20}, pool_};
  bool keeps_buffers_ = false;
  std::vector<base::Buffer> kept_;
  std::map<PieceIndex, std::string> content_;
  std::string log_;
  std::vector<Bytes> sent_;
  std::uint64_t payload_ = 0;
  int resumes_ = 0;
  std::optional<SessionFailure> failure_;
};

TEST_F(CourseSessionTest, AsksByHashAndOffersPipelining) {
  ask(0, "abc");
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0], course::encode_get_chunk(hash_of("abc"), course::kPipeliningBit));
}

TEST_F(CourseSessionTest, SendsReservedAsZeroWhenItOffersNothing) {
  CourseSession plain(seam::ConnId(3), CourseSessionOptions{.offers_pipelining = false}, pool_);
  plain.request(PieceIndex(0), hash_of("abc"), now_);
  EXPECT_EQ(std::get<seam::Send>(plain.take_actions().at(0)).bytes, course::encode_get_chunk(hash_of("abc")));
}

TEST_F(CourseSessionTest, TakesAnAnswerSplitAtEveryByte) {
  const Bytes message = chunk("Hello, BITE");
  for (std::size_t split = 1; split < message.size(); ++split) {
    CourseSession session(seam::ConnId(1), {}, pool_);
    session.request(PieceIndex(5), hash_of("Hello, BITE"), now_);
    std::string content;
    bool is_received = false;
    for (const auto part : {base::ByteView(message).first(split), base::ByteView(message).subspan(split)}) {
      std::size_t given = 0;
      while (given < part.size()) {
        const auto targets = session.next_read();
        const std::size_t count = std::min(targets.spans[0].size(), part.size() - given);
        ASSERT_GT(count, 0u);
        std::memcpy(targets.spans[0].data(), part.data() + given, count);
        session.on_bytes(count, now_);
        given += count;
        for (SessionEvent& event : session.take_events()) {
          if (auto* block = std::get_if<BlockArrived>(&event)) {
            content += base::text_of(base::ByteView(block->buffer.bytes()).first(block->count));
          }
          if (std::holds_alternative<AnswerReceived>(event)) is_received = true;
        }
      }
    }
    EXPECT_EQ(content, "Hello, BITE") << "split at " << split;
    EXPECT_TRUE(is_received) << "split at " << split;
  }
}

TEST_F(CourseSessionTest, TakesAnAnswerByteByByte) {
  const std::string text = long_text(kSlabBytes + 3);
  ask(0, text);
  receive(chunk(text), 1);
  EXPECT_EQ(content_[PieceIndex(0)], text);
  EXPECT_EQ(log_, "began 0 " + std::to_string(text.size()) + "; received 0; ");
  EXPECT_EQ(payload_, text.size());
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(CourseSessionTest, ReadsPayloadStraightIntoSlabsAndTheNextHeadBehindIt) {
  const std::string text = long_text(3 * kSlabBytes);
  ask(0, text);
  receive(chunk(text));
  EXPECT_EQ(content_[PieceIndex(0)], text);
  ask(1, text);
  const Bytes message = chunk(text);
  receive(base::ByteView(message).first(course::kChunkHeadBytes));
  const auto first = session_.next_read();
  EXPECT_EQ(first.spans[0].size(), kSlabBytes);
  EXPECT_TRUE(first.spans[1].empty());  // payload goes on after this slab
  receive(base::ByteView(message).subspan(course::kChunkHeadBytes, 2 * kSlabBytes));
  const auto last = session_.next_read();
  EXPECT_EQ(last.spans[0].size(), kSlabBytes);
  EXPECT_EQ(last.spans[1].size(), course::kChunkHeadBytes);
  receive(base::ByteView(message).subspan(course::kChunkHeadBytes + 2 * kSlabBytes));
  EXPECT_EQ(content_[PieceIndex(1)], text);
}

TEST_F(CourseSessionTest, KeepsOneRequestOutstandingUntilMoreAreWelcome) {
  ask(0, "a");
  EXPECT_EQ(session_.request_max(), 1u);
  receive(chunk("a"));
  EXPECT_EQ(session_.request_max(), 1u);
  ask(1, "b");
  receive(chunk("b", course::kPipeliningBit));
  EXPECT_EQ(session_.request_max(), kPipelineMax);
  EXPECT_EQ(log_, "began 0 1; received 0; welcomed; began 1 1; received 1; ");
}

TEST_F(CourseSessionTest, DoesNotPipelineWhenItDidNotOffer) {
  CourseSession plain(seam::ConnId(3), CourseSessionOptions{.offers_pipelining = false}, pool_);
  plain.request(PieceIndex(0), hash_of("a"), now_);
  const Bytes message = chunk("a", course::kPipeliningBit);
  std::memcpy(plain.next_read().spans[0].data(), message.data(), message.size());
  plain.on_bytes(message.size(), now_);
  EXPECT_EQ(plain.outstanding(), 0u);
  EXPECT_EQ(plain.request_max(), 1u);
}

TEST_F(CourseSessionTest, TakesManyTinyAnswersInOneRead) {
  base::BufferPool pool(kSlabBytes, kPipelineMax);
  CourseSession session(seam::ConnId(1), {}, pool);
  const auto receive_at_once = [&](const Bytes& bytes) {
    const std::span<std::byte> target = session.next_read().spans[0];
    ASSERT_GE(target.size(), bytes.size());
    std::memcpy(target.data(), bytes.data(), bytes.size());
    session.on_bytes(bytes.size(), now_);
  };
  session.request(PieceIndex(0), hash_of("x"), now_);
  receive_at_once(chunk("x", course::kPipeliningBit));
  EXPECT_FALSE(session.take_events().empty());
  Bytes answers;
  for (std::uint32_t i = 1; i <= kPipelineMax; ++i) {
    session.request(PieceIndex(i), hash_of(std::to_string(i)), now_);
    answers = join(answers, chunk(std::to_string(i), course::kPipeliningBit));
  }
  receive_at_once(answers);
  EXPECT_EQ(session.outstanding(), 0u);
  std::uint32_t received = 0;
  for (const SessionEvent& event : session.take_events()) received += std::holds_alternative<AnswerReceived>(event);
  EXPECT_EQ(received, kPipelineMax);
}

TEST_F(CourseSessionTest, TakesAChunkOfZeroBytes) {
  ask(0, "");
  receive(chunk(""));
  EXPECT_EQ(log_, "began 0 0; received 0; ");
  EXPECT_FALSE(content_.contains(PieceIndex(0)));
}

TEST_F(CourseSessionTest, TreatsSurplusInsideAMessageAsPadding) {
  ask(0, "abcd");
  Bytes message = chunk("abcd");
  message.resize(message.size() + kSurplusBytesMax);
  std::ranges::copy(header(1, 5, static_cast<std::uint32_t>(message.size() / 4)), message.begin());
  receive(message, 5);
  EXPECT_EQ(content_[PieceIndex(0)], "abcd");
  EXPECT_EQ(log_, "began 0 4; received 0; ");
  EXPECT_FALSE(failure_);
}

TEST_F(CourseSessionTest, StopsReadingWithoutAFreeBufferAndResumesWhenOneComesHome) {
  keeps_buffers_ = true;
  const std::string text = long_text(6 * kSlabBytes + 1);
  const Bytes message = chunk(text);
  ask(0, text);
  std::size_t given = receive(message);
  EXPECT_LT(given, message.size());
  EXPECT_EQ(pool_.available(), 0u);
  EXPECT_FALSE(session_.next_deadline()) << "it is our own side that has stopped";
  session_.on_buffer_available(now_);
  take();
  EXPECT_EQ(resumes_, 0);
  while (given < message.size()) {
    kept_.clear();
    session_.on_buffer_available(now_);
    take();
    given += receive(base::ByteView(message).subspan(given));
  }
  EXPECT_GT(resumes_, 0);
  EXPECT_EQ(content_[PieceIndex(0)], text);
}

TEST_F(CourseSessionTest, KeepsTinyAnswersUntilABufferComesHome) {
  ask(0, "x");
  receive(chunk("x", course::kPipeliningBit));
  keeps_buffers_ = true;
  Bytes answers;
  for (std::uint32_t i = 1; i <= 10; ++i) {
    ask(i, std::to_string(i));
    answers = join(answers, chunk(std::to_string(i), course::kPipeliningBit));
  }
  receive(answers);
  EXPECT_TRUE(session_.waits_for_buffer());
  EXPECT_EQ(session_.next_read().size_bytes(), 0u);
  session_.on_input_ended(now_);  // what has arrived still counts
  take();
  EXPECT_FALSE(failure_);
  for (int i = 0; i < 3; ++i) {
    kept_.clear();
    session_.on_buffer_available(now_);
    take();
  }
  for (std::uint32_t i = 1; i <= 10; ++i) EXPECT_EQ(content_[PieceIndex(i)], std::to_string(i));
  EXPECT_EQ(failure_, SessionFailure::closed);
}

TEST_F(CourseSessionTest, DropsTheRestOfAnAnswerThatIsDiscarded) {
  const std::string text = long_text(3 * kSlabBytes);
  const Bytes message = chunk(text);
  ask(0, text);
  receive(base::ByteView(message).first(kSlabBytes + 1000));
  session_.discard(PieceIndex(0));
  EXPECT_EQ(pool_.in_use(), 0u);
  receive(base::ByteView(message).subspan(kSlabBytes + 1000));
  EXPECT_LE(content_[PieceIndex(0)].size(), kSlabBytes);
  EXPECT_EQ(log_, "began 0 " + std::to_string(text.size()) + "; received 0; ");
  ask(1, "next");
  receive(chunk("next"));
  EXPECT_EQ(content_[PieceIndex(1)], "next");
}

TEST_F(CourseSessionTest, ReportsAnErrorAsRefusalAndGoesOn) {
  for (const std::uint16_t code : std::to_array<std::uint16_t>({0, 1, 2, 77})) {
    ask(code, "abc");
    receive(base::ByteWriter().append(header(1, 6, 3)).u16(code).u16(0).take(), 3);
  }
  EXPECT_EQ(log_, "refused 0; refused 1; refused 2; refused 77 with an unknown code; ");
  EXPECT_FALSE(failure_);
}

TEST_F(CourseSessionTest, DrainsAChunkOfAnotherHashAndGoesOn) {
  ask(0, "abc");
  receive(chunk("something else"), 7);
  ask(1, "abc");
  receive(chunk("abc"));
  EXPECT_EQ(log_, "wrong 0; began 1 3; received 1; ");
  EXPECT_EQ(content_[PieceIndex(1)], "abc");
  EXPECT_FALSE(content_.contains(PieceIndex(0)));
}

struct BadAnswer {
  const char* what;
  Bytes bytes;
  SessionFailure failure;
};

TEST_F(CourseSessionTest, EndsAtAMessageThatMakesNoSense) {
  Bytes overrun = chunk("abcd");
  overrun[31] = std::byte{5};
  Bytes byte_swapped = chunk(long_text(1000));  // 258 dwords: 134 MB the other way round
  std::reverse(byte_swapped.begin() + 4, byte_swapped.begin() + 8);
  const auto with_surplus = [](std::uint64_t surplus_bytes) {
    Bytes message = chunk("abcd");
    const auto dwords = static_cast<std::uint32_t>((message.size() + surplus_bytes) / 4);
    std::ranges::copy(header(1, 5, dwords), message.begin());
    return message;
  };
  const std::vector<BadAnswer> cases = {
      {"length 0", header(1, 5, 0), SessionFailure::bad_length},
      {"length 1", header(1, 5, 1), SessionFailure::bad_length},
      {"no room for the CHUNK's own fields", header(1, 5, 7), SessionFailure::bad_length},
      {"length 2^32-1", header(1, 5, 0xffffffff), SessionFailure::bad_length},
      {"little-endian length", header(1, 5, 0x0b000000), SessionFailure::bad_length},
      {"an ERROR without a code", header(1, 6, 2), SessionFailure::bad_length},
      {"an ERROR of a gigabyte", header(1, 6, 1 << 28), SessionFailure::bad_length},
      {"version 0", header(0, 5, 8), SessionFailure::bad_version},
      {"version 2", header(2, 5, 8), SessionFailure::bad_version},
      {"a type of the protocol that is no answer", header(1, 3, 8), SessionFailure::bad_type},
      {"an unknown type", header(1, 7, 8), SessionFailure::bad_type},
      {"content longer than the message", overrun, SessionFailure::overrun},
      {"little-endian length within the limit", byte_swapped, SessionFailure::bad_length},
      {"a little more surplus than is allowed", with_surplus(kSurplusBytesMax + 4), SessionFailure::bad_length},
  };
  for (const BadAnswer& each : cases) {
    CourseSession session(seam::ConnId(1), CourseSessionOptions{.chunk_bytes_max = 256u << 20}, pool_);
    session.request(PieceIndex(0), hash_of("abcd"), now_);
    std::memcpy(session.next_read().spans[0].data(), each.bytes.data(), each.bytes.size());
    session.on_bytes(each.bytes.size(), now_);
    const auto events = session.take_events();
    ASSERT_EQ(events.size(), 1u) << each.what;
    EXPECT_EQ(std::get<SessionEnded>(events[0]).failure, each.failure) << each.what;
    EXPECT_FALSE(session.next_deadline());
    EXPECT_EQ(session.next_read().size_bytes(), 0u);
  }
}

TEST_F(CourseSessionTest, EndsAtBytesNobodyAskedFor) {
  ask(0, "abc");
  receive(join(chunk("abc"), Bytes(4)));
  EXPECT_EQ(log_, "began 0 3; received 0; ");
  EXPECT_EQ(failure_, SessionFailure::unsolicited);
}

TEST_F(CourseSessionTest, EndsWhenThePeerVanishesInsideAChunk) {
  const Bytes message = chunk(long_text(100));
  ask(0, long_text(100));
  receive(base::ByteView(message).first(60));
  session_.on_input_ended(now_);
  take();
  EXPECT_EQ(failure_, SessionFailure::closed);
  EXPECT_EQ(session_.unanswered(), std::vector{PieceIndex(0)});
  EXPECT_EQ(pool_.in_use(), 0u);
}

TEST_F(CourseSessionTest, EndsWhenTheConnectionBreaks) {
  ask(0, "abc");
  session_.on_connection_lost();
  take();
  EXPECT_EQ(failure_, SessionFailure::reset);
}

TEST_F(CourseSessionTest, EndsWhenAnAnswerDoesNotBeginInTime) {
  EXPECT_FALSE(session_.next_deadline()) << "an idle connection has no deadline";
  ask(0, "abc");
  EXPECT_EQ(session_.next_deadline(), now_ + 10s);
  pass(9s);
  EXPECT_FALSE(failure_);
  pass(1s);
  EXPECT_EQ(failure_, SessionFailure::no_answer);
}

TEST_F(CourseSessionTest, EndsWhenAMessageStops) {
  ask(0, "abc");
  receive(base::ByteView(chunk("abc")).first(8));
  pass(10s);
  EXPECT_EQ(failure_, SessionFailure::stalled);
}

TEST_F(CourseSessionTest, EndsWhenAPeerSendsOneBytePerSecond) {
  const std::string text = long_text(1000);
  const Bytes message = chunk(text);
  ask(0, text);
  for (std::size_t i = 0; i < 60 && !failure_; ++i) {
    receive(base::ByteView(message).subspan(i, 1));
    pass(1s);
  }
  EXPECT_EQ(failure_, SessionFailure::stalled);
}

TEST_F(CourseSessionTest, StaysWithASlowPeerThatKeepsThePace) {
  const std::string text = long_text(60'000);
  const Bytes message = chunk(text);
  ask(0, text);
  for (std::size_t at = 0; at < message.size(); at += 1500) {
    receive(base::ByteView(message).subspan(at, std::min<std::size_t>(1500, message.size() - at)));
    pass(1s);
  }
  EXPECT_FALSE(failure_);
  EXPECT_EQ(content_[PieceIndex(0)], text);
}

TEST_F(CourseSessionTest, TellsWhatCrossedTheWire) {
  session_.request(PieceIndex(12), hash_of("abc"), now_);
  const auto actions = session_.take_actions();
  const auto& trace = std::get<seam::MessageTrace>(std::get<seam::Tell>(actions.at(1)).trace);
  EXPECT_EQ(trace.direction, seam::MessageDirection::sent);
  EXPECT_EQ(trace.message, "GET_CHUNK");
  EXPECT_EQ(trace.detail, "chunk 12");
}

}  // namespace
}  // namespace shoal::swarm
