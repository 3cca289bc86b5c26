#include "swarm/course_server.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "support/server_script.hpp"

namespace shoal::swarm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::bytes_of;
using testing::from_hex;
using testing::joined;
using testing::to_hex;
using Hex = std::vector<std::string>;

const std::string kError0 = "010600000000000300000000";
const std::string kError1 = "010600000000000300010000";
const std::string kError2 = "010600000000000300020000";
const std::string kError2Welcoming = "010600010000000300020000";

const base::Sha1Hash kHello = *base::Sha1Hash::parse_hex("0ff54d8f53a4b321b098b601a70d7408b0422f70");
const std::string kHelloChunk =
    "010500000000000b0ff54d8f53a4b321b098b601a70d7408b0422f700000000a48656c6c6f2c204249540000";
const base::Sha1Hash kAbsent = base::sha1(base::view_of("nobody has this"));

// A client's talk with one connection, written down. The library answers at once and the runner sends at once unless
// told otherwise.
class Talk {
 public:
  explicit Talk(CourseServerOptions options = {}) : options_(options), server_(options_, seam::ConnId(2), {{1}, 2}) {
    put("Hello, BIT");
  }

  void put(std::string_view content) {
    library[base::sha1(base::view_of(content))] = std::make_shared<testing::MemoryPiece>(content);
  }
  // What the client sends, as one read of the server.
  Talk& says(const base::Bytes& bytes) {
    server_.on_bytes(bytes, now, actions_);
    carry_on();
    return *this;
  }
  Talk& says(std::string_view hex) { return says(from_hex(hex)); }
  Talk& ends() {
    server_.on_input_ended(now, actions_);
    carry_on();
    return *this;
  }
  Talk& waits(base::Duration time) {
    now += time;
    if (server_.deadline() && *server_.deadline() <= now) server_.on_deadline(now, actions_);
    carry_on();
    return *this;
  }
  // The runner's queue became empty.
  Talk& drains() {
    server_.on_output_drained(now, actions_);
    carry_on();
    return *this;
  }
  Talk& looks_up(CourseServer::Question question) {
    const auto found = library.find(question.hash);
    server_.on_piece_looked_up(question.number, found == library.end() ? nullptr : found->second, now, actions_);
    carry_on();
    return *this;
  }
  // The answers since the last call, one string a message.
  Hex hears() { return std::exchange(heard_, {}); }
  CourseServer& server() { return server_; }

  std::map<base::Sha1Hash, seam::ReadablePiecePtr> library;
  base::Instant now;
  bool is_library_quick = true;
  bool is_sending_quick = true;
  std::deque<CourseServer::Question> questions;
  std::vector<seam::MessageTrace> traces;
  int resumes = 0;

 private:
  void carry_on() {
    while (const auto question = server_.take_question()) questions.push_back(*question);
    const seam::Actions actions = std::exchange(actions_, {});
    bool is_sent = false;
    for (const seam::Action& action : actions) {
      if (const auto message = testing::message_of(action)) {
        heard_.push_back(to_hex(message->second));
        is_sent = true;
      }
      if (std::holds_alternative<seam::ResumeReading>(action)) ++resumes;
      const auto* tell = std::get_if<seam::Tell>(&action);
      const auto* message = tell == nullptr ? nullptr : std::get_if<seam::MessageTrace>(&tell->trace);
      if (message != nullptr) traces.push_back(*message);
    }
    if (is_library_quick && !questions.empty()) {
      const auto question = questions.front();
      questions.pop_front();
      looks_up(question);
    }
    if (is_sent && is_sending_quick) drains();
  }

  CourseServerOptions options_;
  CourseServer server_;
  seam::Actions actions_;
  Hex heard_;
};

base::Bytes get_hello(std::uint16_t reserved = 0) {
  return course::encode_get_chunk(kHello, reserved);
}
base::Bytes get_absent(std::uint16_t reserved = 0) {
  return course::encode_get_chunk(kAbsent, reserved);
}

// --- One request ---

TEST(CourseServer, AnswersGetChunkWithTheGoldenChunk) {
  EXPECT_EQ(Talk().says("0104000000000007 0ff54d8f53a4b321b098b601a70d7408b0422f70").hears(), Hex{kHelloChunk});
}

TEST(CourseServer, AnswersChunkNotFoundForAChunkThatIsNotThere) {
  EXPECT_EQ(Talk().says(get_absent()).hears(), Hex{kError2});
}

TEST(CourseServer, AnswersChunkNotFoundAfterTheFileIsRemovedAndChunkAfterItIsAdded) {
  Talk talk;
  EXPECT_EQ(talk.says(get_hello()).hears(), Hex{kHelloChunk});
  const auto removed = talk.library.extract(kHello);
  EXPECT_EQ(talk.says(get_hello()).hears(), Hex{kError2});
  talk.put("Hello, BIT");
  EXPECT_EQ(talk.says(get_hello()).hears(), Hex{kHelloChunk});
}

TEST(CourseServer, SendsAChunkOfNoBytesAsAMessageOf32Bytes) {
  Talk talk;
  talk.put("");
  const base::Sha1Hash empty = base::sha1({});
  EXPECT_EQ(talk.says(course::encode_get_chunk(empty)).hears(), Hex{"0105000000000008" + empty.to_hex() + "00000000"});
}

TEST(CourseServer, PadsEveryContentToTheNextDword) {
  for (const std::string content : {"a", "ab", "abc", "abcd", "abcde"}) {
    Talk talk;
    talk.put(content);
    const Hex heard = talk.says(course::encode_get_chunk(base::sha1(base::view_of(content)))).hears();
    ASSERT_EQ(heard.size(), 1u);
    const base::Bytes chunk = from_hex(heard[0]);
    EXPECT_EQ(chunk.size() % 4, 0u) << content;
    EXPECT_EQ(course::parse_header(chunk)->message_bytes(), chunk.size()) << content;
  }
}

TEST(CourseServer, AnswersChunkNotFoundForContentThatIsTooBigForTheMessage) {
  Talk talk;
  talk.library[kAbsent] = std::make_shared<testing::HugePiece>(std::uint64_t{1} << 32);
  EXPECT_EQ(talk.says(get_absent()).hears(), Hex{kError2});
}

TEST(CourseServer, TakesSurplusBehindTheHashForPadding) {
  EXPECT_EQ(Talk().says("0104000000000008" + kHello.to_hex() + "a5a5a5a5").hears(), Hex{kHelloChunk});
}

TEST(CourseServer, IgnoresReservedBitsNobodyKnows) {
  EXPECT_EQ(Talk().says(get_hello(0xfffe)).hears(), Hex{kHelloChunk});
}

// --- Requests that are wrong ---

TEST(CourseServer, AnswersWellFormedMessagesOfOtherTypesWithInvalidRequest) {
  Talk talk;
  talk.says(course::encode_discover_tracker()).says(course::encode_get_file_info());
  talk.says(course::encode_tracker_info({{}, "t"})).says(course::encode_file_info({"f", {}}));
  talk.says(course::encode_chunk_frame(kHello, 0).head).says(course::encode_error(course::ErrorCode::chunk_not_found));
  EXPECT_EQ(talk.hears(), Hex(6, kError1));
}

TEST(CourseServer, ServesGetFileInfoWhenThatIsItsJobAndNothingElse) {
  Talk talk({.serves = course::MessageType::get_file_info});
  talk.is_library_quick = false;
  EXPECT_EQ(talk.says(get_hello()).hears(), Hex{kError1});
  talk.says(course::encode_get_file_info());
  EXPECT_EQ(talk.questions.size(), 1u);
}

TEST(CourseServer, AnswersVersionsAndTypesItDoesNotKnowWithInvalidMessageFormatAndStaysInStep) {
  for (const char* header : {"00040000", "02040000", "ff040000", "01070000", "01ff0000"}) {
    Talk talk;
    const base::Bytes strange = joined({from_hex(header), from_hex("00000003 a5a5a5a5")});
    EXPECT_EQ(talk.says(joined({strange, get_hello()})).hears(), (Hex{kError0, kHelloChunk})) << header;
  }
}

TEST(CourseServer, AnswersBrokenBodiesWithInvalidMessageFormatAndStaysInStep) {
  for (const char* broken : {"0104000000000002",                                   // GET_CHUNK without a hash
                             "0104000000000006 0ff54d8f53a4b321b098b601a70d7408",  // with 16 bytes of one
                             "0103000000000003 00010000",                          // FILE_INFO that overruns
                             "0101000000000002",                                   // TRACKER_INFO without a body
                             "0105000000000007 0ff54d8f53a4b321b098b601a70d7408b0422f70",
                             "0106000000000003 00090000"}) {  // an error code nobody knows
    EXPECT_EQ(Talk().says(joined({from_hex(broken), get_hello()})).hears(), (Hex{kError0, kHelloChunk})) << broken;
  }
}

TEST(CourseServer, RefusesLengthsThatLieAtOnceInsteadOfWaiting) {
  // 0, 1, over the limit, little-endian, the greatest.
  for (const char* length : {"00000000", "00000001", "00000041", "07000000", "80000000", "ffffffff"}) {
    Talk talk;
    EXPECT_EQ(talk.says("01040000" + std::string(length)).hears(), Hex{kError0}) << length;
    EXPECT_EQ(talk.says(get_hello()).hears(), Hex{kHelloChunk}) << length;
  }
}

TEST(CourseServer, DropsAllThatCameWithAHeaderThatCannotBeFramed) {
  Talk talk;
  talk.says(joined({get_hello(), from_hex("01040000ffffffff"), get_hello(), bytes_of("more of it")}));
  EXPECT_EQ(talk.hears(), (Hex{kHelloChunk, kError0})) << "what stood before is answered, one ERROR for the rest";
  EXPECT_EQ(talk.says(get_hello()).hears(), Hex{kHelloChunk});
}

TEST(CourseServer, FindsItsWayBackAfterGarbage) {
  Talk talk;
  EXPECT_EQ(talk.says(bytes_of("GET / HTTP/1.1\r\nHost: here\r\n\r\n")).hears(), Hex{kError0});
  EXPECT_EQ(talk.says(base::Bytes(1000, std::byte{0xff})).hears(), Hex{kError0});
  EXPECT_EQ(talk.says(get_hello()).hears(), Hex{kHelloChunk});
}

TEST(CourseServer, ServesTheNextRequestAfterAnyError) {
  Talk talk;
  EXPECT_EQ(talk.says("0109000000000002").hears(), Hex{kError0}) << "how one existing client begins";
  EXPECT_EQ(talk.says(get_hello()).hears(), Hex{kHelloChunk});
  EXPECT_EQ(talk.says(course::encode_get_file_info()).says(get_hello()).hears(), (Hex{kError1, kHelloChunk}));
  EXPECT_EQ(talk.says(get_absent()).says(get_hello()).hears(), (Hex{kError2, kHelloChunk}));
  EXPECT_FALSE(talk.server().is_finished());
}

// --- Framing ---

TEST(CourseServer, WaitsForTheRestOfARequestHoweverItIsSplit) {
  const base::Bytes request = get_hello();
  for (std::size_t cut = 1; cut < request.size(); ++cut) {
    const auto middle = request.begin() + static_cast<std::ptrdiff_t>(cut);
    Talk talk;
    EXPECT_EQ(talk.says(base::Bytes(request.begin(), middle)).waits(milliseconds(40)).hears(), Hex{}) << cut;
    EXPECT_EQ(talk.says(base::Bytes(middle, request.end())).hears(), Hex{kHelloChunk}) << cut;
  }
}

TEST(CourseServer, AnswersTwoRequestsInOneReadInTheirOrder) {
  EXPECT_EQ(Talk().says(joined({get_hello(), get_absent()})).hears(), (Hex{kHelloChunk, kError2}));
  EXPECT_EQ(Talk().says(joined({get_absent(), get_hello()})).hears(), (Hex{kError2, kHelloChunk}));
}

TEST(CourseServer, KeepsTheBeginningOfTheNextRequest) {
  Talk talk;
  const base::Bytes both = joined({get_hello(), get_hello()});
  EXPECT_EQ(talk.says(base::Bytes(both.begin(), both.begin() + 33)).hears(), Hex{kHelloChunk});
  EXPECT_EQ(talk.says(base::Bytes(both.begin() + 33, both.end())).hears(), Hex{kHelloChunk});
}

// --- Pipelining ---

TEST(CourseServer, SetsThePipeliningBitOnlyInAnswersToRequestsThatCarriedIt) {
  Talk talk({.welcomes_pipelining = true});
  std::string welcoming = kHelloChunk;
  welcoming.replace(4, 4, "0001");
  EXPECT_EQ(talk.says(joined({get_hello(1), get_hello(), get_absent(0xffff), get_absent()})).hears(),
            (Hex{welcoming, kHelloChunk, kError2Welcoming, kError2}));
  EXPECT_EQ(talk.says("0109000100000002").says("0102000100000002").hears(), (Hex{kError0, kError1}))
      << "only GET_CHUNK makes the offer";
}

TEST(CourseServer, SendsNoPipeliningBitWhenItDoesNotWelcomeIt) {
  EXPECT_EQ(Talk({.welcomes_pipelining = false}).says(joined({get_hello(1), get_absent(1)})).hears(),
            (Hex{kHelloChunk, kError2}));
}

TEST(CourseServer, KeepsTheOrderOfRequestsWhenLookUpsEndInAnother) {
  Talk talk;
  talk.is_library_quick = false;
  talk.says(joined({get_absent(), get_hello()}));
  ASSERT_EQ(talk.questions.size(), 2u);
  EXPECT_EQ(talk.looks_up(talk.questions[1]).hears(), Hex{});
  EXPECT_EQ(talk.looks_up(talk.questions[0]).hears(), (Hex{kError2, kHelloChunk}));
}

TEST(CourseServer, AnswersAnErrorOnlyAfterTheRequestsBeforeIt) {
  Talk talk;
  talk.is_library_quick = false;
  EXPECT_EQ(talk.says(joined({get_hello(), from_hex("0109000000000002")})).hears(), Hex{});
  EXPECT_EQ(talk.looks_up(talk.questions.at(0)).hears(), (Hex{kHelloChunk, kError0}));
}

TEST(CourseServer, LooksUpTheNextWhileOneIsBeingSent) {
  Talk talk;
  talk.is_sending_quick = false;
  talk.says(joined({get_hello(), get_hello(), get_hello(), get_hello(), get_hello()}));
  EXPECT_EQ(talk.hears(), Hex(2, kHelloChunk)) << "one is being sent, the next lies ready with the runner";
  EXPECT_EQ(talk.server().requests_queued(), 3u);
  EXPECT_EQ(talk.drains().hears(), Hex(2, kHelloChunk));
  EXPECT_EQ(talk.drains().hears(), Hex(1, kHelloChunk));
}

TEST(CourseServer, HoldsFewPiecesForAClientThatDoesNotReadItsAnswers) {
  Talk talk;
  talk.is_sending_quick = false;
  const auto piece = talk.library.at(kHello);
  for (int i = 0; i < 50; ++i) talk.says(get_hello());
  talk.library.clear();
  // The two that were sent are the runner's; besides them and `piece`, only what is looked up ahead.
  EXPECT_LE(piece.use_count() - 1, static_cast<long>(CourseServer::kQuestionsAheadMax));
  EXPECT_EQ(talk.hears().size(), CourseServer::kUnsentAnswersMax);
}

TEST(CourseServer, StopsReadingWhenItsQueueIsFullAndResumesWhenThereIsRoom) {
  Talk talk({.requests_queued_max = 4});
  talk.is_sending_quick = false;
  EXPECT_TRUE(talk.server().begin_read());
  base::Bytes many;
  for (int i = 0; i < 20; ++i) many = joined({many, get_hello()});
  talk.says(many);
  EXPECT_EQ(talk.server().requests_queued(), 4u);
  EXPECT_FALSE(talk.server().begin_read());
  Hex heard = talk.hears();
  while (heard.size() < 20) {
    const Hex more = talk.drains().hears();
    ASSERT_FALSE(more.empty());
    heard.insert(heard.end(), more.begin(), more.end());
    EXPECT_LE(talk.server().requests_queued(), 4u);
  }
  EXPECT_EQ(heard, Hex(20, kHelloChunk));
  EXPECT_EQ(talk.resumes, 1) << "said once";
  EXPECT_TRUE(talk.server().begin_read());
}

TEST(CourseServer, DoesNotReadMoreBeforeItTookWhatItHasRead) {
  Talk talk({.requests_queued_max = 2});
  talk.is_library_quick = false;
  talk.says(joined({get_hello(), get_hello(), get_hello(), get_hello()}));
  for (int answered = 0; answered < 2; ++answered) {
    EXPECT_FALSE(talk.server().begin_read()) << answered;
    const auto question = talk.questions.front();
    talk.questions.pop_front();
    talk.looks_up(question);
  }
  EXPECT_EQ(talk.resumes, 0);
  talk.looks_up(talk.questions.front());
  EXPECT_EQ(talk.resumes, 1);
}

TEST(CourseServer, BoundsTheErrorsThatAwaitAClientThatSendsRubbishAndReadsNothing) {
  Talk talk({.requests_queued_max = 4});
  talk.is_sending_quick = false;
  int reads = 0;
  while (talk.server().begin_read()) {
    talk.says("0109000000000002");
    ASSERT_LT(++reads, 100);
  }
  EXPECT_EQ(talk.hears().size(), CourseServer::kUnsentAnswersMax);
}

// --- Ends ---

TEST(CourseServer, AnswersAHalfClosedClientAndIsFinishedOnlyThen) {
  Talk talk;
  talk.is_library_quick = false;
  talk.is_sending_quick = false;
  talk.says(joined({get_hello(), get_absent()})).ends();
  EXPECT_FALSE(talk.server().is_finished());
  talk.looks_up(talk.questions.at(0)).looks_up(talk.questions.at(1));
  EXPECT_EQ(talk.hears(), (Hex{kHelloChunk, kError2}));
  EXPECT_FALSE(talk.server().is_finished()) << "the answers are not out yet";
  EXPECT_TRUE(talk.drains().server().is_finished());
}

TEST(CourseServer, IsFinishedWhenAnIdleClientEnds) {
  EXPECT_TRUE(Talk().ends().server().is_finished());
  EXPECT_TRUE(Talk().says(get_hello()).ends().server().is_finished());
}

TEST(CourseServer, AnswersEveryPrefixOfARequestThatEndsThereWithInvalidMessageFormat) {
  const base::Bytes request = get_hello();
  for (std::size_t size = 1; size < request.size(); ++size) {
    Talk talk;
    talk.says(base::Bytes(request.begin(), request.begin() + static_cast<std::ptrdiff_t>(size))).ends();
    EXPECT_EQ(talk.hears(), Hex{kError0}) << size << " bytes";
    EXPECT_TRUE(talk.server().is_finished());
  }
}

TEST(CourseServer, HasNoDeadlineBetweenRequests) {
  Talk talk;
  EXPECT_EQ(talk.server().deadline(), std::nullopt);
  talk.says(get_hello());
  EXPECT_EQ(talk.server().deadline(), std::nullopt);
  EXPECT_EQ(talk.waits(std::chrono::hours(100)).says(get_hello()).hears(), Hex(2, kHelloChunk));
}

TEST(CourseServer, AnswersAClientThatStopsInsideARequestAndServesItsNext) {
  Talk talk({.message_timeout = seconds(60)});
  talk.says("01040000");
  EXPECT_EQ(talk.waits(seconds(59)).hears(), Hex{});
  EXPECT_EQ(talk.waits(seconds(1)).hears(), Hex{kError0});
  EXPECT_FALSE(talk.server().is_finished());
  EXPECT_EQ(talk.says(get_hello()).hears(), Hex{kHelloChunk});
}

TEST(CourseServer, DoesNotMoveTheDeadlineForAClientThatDribbles) {
  Talk talk({.message_timeout = seconds(60)});
  for (int i = 0; i < 5; ++i) talk.says("01").waits(seconds(12));
  EXPECT_EQ(talk.hears(), Hex{kError0});
}

TEST(CourseServer, GivesEachRequestItsOwnDeadline) {
  Talk talk({.message_timeout = seconds(60)});
  const base::Bytes request = get_hello();
  const base::Bytes head(request.begin(), request.begin() + 8);
  const base::Bytes body(request.begin() + 8, request.end());
  talk.says(head);
  // Each read ends one request and begins the next.
  for (int i = 0; i < 5; ++i) EXPECT_EQ(talk.waits(seconds(40)).says(joined({body, head})).hears(), Hex{kHelloChunk});
  EXPECT_FALSE(talk.server().is_finished());
}

TEST(CourseServer, DoesNotBlameAClientThatItDoesNotRead) {
  Talk talk({.requests_queued_max = 2, .message_timeout = seconds(60)});
  talk.is_library_quick = false;
  const base::Bytes half = from_hex("01040000");
  talk.says(joined({get_hello(), get_absent(), half}));
  EXPECT_EQ(talk.server().deadline(), std::nullopt) << "reading is stopped: the client could not go on";
  const auto first = talk.questions.at(0);
  EXPECT_EQ(talk.looks_up(first).hears(), Hex{kHelloChunk});
  EXPECT_EQ(talk.server().deadline(), talk.now + seconds(60));
}

TEST(CourseServer, AnswersNothingMoreOnceStopped) {
  Talk talk;
  talk.is_library_quick = false;
  talk.is_sending_quick = false;
  talk.says(joined({get_hello(), get_hello(), get_hello()}));
  talk.looks_up(talk.questions.at(0));
  EXPECT_EQ(talk.hears(), Hex{kHelloChunk});
  talk.server().stop();
  talk.looks_up(talk.questions.at(1)).says(get_hello());
  EXPECT_EQ(talk.hears(), Hex{});
  EXPECT_FALSE(talk.server().is_finished()) << "the first answer has begun";
  EXPECT_TRUE(talk.drains().server().is_finished());
}

// --- What it says about itself ---

TEST(CourseServer, TracesEveryMessageInBothDirections) {
  Talk talk;
  talk.says(get_hello()).says(get_absent()).says("0109000000000002");
  std::vector<std::string> lines;
  for (const seam::MessageTrace& trace : talk.traces) {
    const bool is_sent = trace.direction == seam::MessageDirection::sent;
    lines.push_back((is_sent ? "> " : "< ") + trace.message + ' ' + trace.detail);
    EXPECT_EQ(trace.remote, (base::Endpoint{{1}, 2}));
    EXPECT_FALSE(trace.is_datagram);
  }
  EXPECT_EQ(lines,
            (std::vector<std::string>{"< GET_CHUNK " + kHello.to_hex(), "> CHUNK " + kHello.to_hex() + ", 10 bytes",
                                      "< GET_CHUNK " + kAbsent.to_hex(), "> ERROR CHUNK_NOT_FOUND",
                                      "< malformed " + std::string(course::to_string(course::ParseError::bad_type)),
                                      "> ERROR INVALID_MESSAGE_FORMAT"}));
}

}  // namespace
}  // namespace shoal::swarm
