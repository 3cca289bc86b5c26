// A whole peer with clients that send whatever they like, however it is split, do not read their answers, end, break
// and stay silent. A framer of the test's own is given each read too, so it is known what every client must hear, byte
// for byte and in which order, and how many requests are waiting.
//
// The input: a byte for the options, then steps, each a byte (see Step) and what belongs to it.
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "course/framer.hpp"
#include "course/request_check.hpp"
#include "fuzz/input.hpp"
#include "roles/course_peer.hpp"
#include "support/server_script.hpp"
#include "swarm/course_server.hpp"

namespace shoal::roles {
namespace {

using course::ErrorCode;
using course::MessageType;

constexpr std::uint32_t kConnectionsMax = 3;
constexpr std::uint32_t kRequestsQueuedMax = 4;
constexpr std::size_t kClients = 4;  // one too many
constexpr std::size_t kStreamBytesMax = 64 * 1024;
constexpr base::Duration kMessageTimeout = std::chrono::seconds(2);

enum class Step : std::uint8_t {
  accept,      // which client, if it has no connection
  send_bytes,  // which client, count, bytes
  send_again,  // which client, times, count, bytes
  send_get,    // which client, reserved, which piece
  look_up,     // which of the questions to the library
  drain,       // which client has heard everything that was sent
  end_input,   // which client
  lose,        // which client
  pass_time,   // tenths of a second
};
constexpr std::size_t kSteps = 9;

// Names are hashes of nothing: the peer's library, not the machine, verifies.
base::Sha1Hash name_of(std::uint8_t piece) {
  base::Sha1Hash hash;
  hash.bytes.fill(static_cast<std::byte>(piece));
  return hash;
}

// Pieces of 0, 1, 4 and 1001 bytes, one too big for a CHUNK, and nothing else.
seam::ReadablePiecePtr library_piece(const base::Sha1Hash& hash) {
  constexpr std::array<std::size_t, 4> kSizes = {0, 1, 4, 1001};
  const auto piece = std::to_integer<std::size_t>(hash.bytes[0]);
  if (hash != name_of(static_cast<std::uint8_t>(piece)) || piece > kSizes.size()) return nullptr;
  if (piece == kSizes.size()) return std::make_shared<testing::HugePiece>(std::uint64_t{1} << 32);
  return std::make_shared<testing::MemoryPiece>(std::string(kSizes[piece], static_cast<char>('a' + piece)));
}

base::Bytes answer_to(const course::Frame& frame, bool welcomes_pipelining) {
  if (!frame) return course::encode_error(ErrorCode::invalid_message_format);
  const auto type = course::check_message(frame->header, frame->body);
  if (!type) return course::encode_error(ErrorCode::invalid_message_format);
  if (*type != MessageType::get_chunk) return course::encode_error(ErrorCode::invalid_request);
  const auto hash = base::Sha1Hash::from_bytes(frame->body.first(base::Sha1Hash::kSize));
  const auto reserved = static_cast<std::uint16_t>(welcomes_pipelining ? frame->header.reserved & 1 : 0);
  const auto piece = library_piece(hash);
  if (!piece || piece->size_bytes() > 0xffffffff) return course::encode_error(ErrorCode::chunk_not_found, reserved);
  const auto chunk = course::encode_chunk_frame(hash, static_cast<std::uint32_t>(piece->size_bytes()), reserved);
  return testing::bytes_of(seam::SendPiece{{}, chunk.head, piece, chunk.padding_bytes});
}

// One client's end of its connection.
struct Client {
  seam::ConnId conn;
  fuzz::Unread unread;
  course::RequestFramer framer;
  std::vector<base::Bytes> answers;  // all it must hear
  std::size_t heard = 0;
  std::size_t undrained = 0;
  bool is_reading = true;      // the machine gave room when it was last asked
  bool has_ended = false;      // the client sends no more
  bool is_input_over = false;  // and the machine knows, or has had enough
  std::optional<base::Instant> deadline;

  [[nodiscard]] std::size_t waiting() const { return answers.size() - heard; }
  [[nodiscard]] bool is_read() const { return !is_input_over && waiting() < kRequestsQueuedMax; }
};

class World {
 public:
  explicit World(std::uint8_t options) : welcomes_pipelining_((options & 1) != 0) {
    machine_ = make_course_peer({.welcomes_pipelining = welcomes_pipelining_,
                                 .connections_max = kConnectionsMax,
                                 .requests_queued_max = kRequestsQueuedMax,
                                 .message_timeout = kMessageTimeout});
    machine_->start(now_);
  }

  void take(Step step, fuzz::Script& script) {
    if (step == Step::pass_time) return pass(script.pause());
    if (step == Step::look_up) return look_up(script.u8());
    const std::size_t who = script.below(kClients);
    if (step == Step::accept) return accept(who);
    if (!clients_.contains(who)) return;
    Client& client = clients_.at(who);
    switch (step) {
      case Step::send_bytes:
        return send(client, script.bytes(), 1);
      case Step::send_again: {
        const int times = script.u8();
        return send(client, script.bytes(), times);
      }
      case Step::send_get: {
        const std::uint8_t reserved = script.u8();
        return send(client, course::encode_get_chunk(name_of(script.u8()), reserved), 1);
      }
      case Step::drain:
        return drain(client);
      case Step::end_input:
        client.has_ended = true;
        return settle();
      case Step::lose:
        return lose(who);
      case Step::accept:
      case Step::look_up:
      case Step::pass_time:
        return;
    }
  }
  // When the library and the network have caught up, everybody has heard everything, and who ends is let go.
  void end() {
    catch_up();
    for (auto& [who, client] : clients_) {
      SHOAL_CHECK(client.waiting() == 0 && client.unread.is_empty() && !client.has_ended);
      client.has_ended = true;
    }
    settle();
    catch_up();
    SHOAL_CHECK(clients_.empty() && !machine_->next_deadline());
    tell(seam::StopRequested{});
    SHOAL_CHECK(is_finished_);
  }

 private:
  void accept(std::size_t who) {
    if (clients_.contains(who)) return;
    const seam::ConnId conn(next_conn_ += 2);
    const bool is_one_too_many = clients_.size() == kConnectionsMax;
    clients_[who].conn = conn;
    who_[conn] = who;
    tell(seam::Accepted{conn, {base::Ipv4Address::loopback(), 8001}, {base::Ipv4Address::loopback(), 40000}});
    SHOAL_CHECK(clients_.contains(who) != is_one_too_many);
  }
  void send(Client& client, base::ByteView bytes, int times) {
    if (client.has_ended) return;
    for (int i = 0; i < times && client.unread.size_bytes() < kStreamBytesMax; ++i) client.unread.add(bytes);
    settle();
  }
  void look_up(std::size_t which) {
    if (lookups_.empty()) return;
    const auto found = lookups_.begin() + static_cast<std::ptrdiff_t>(which % lookups_.size());
    const seam::LookUpPiece asked = *found;
    lookups_.erase(found);
    tell(seam::PieceLookedUp{asked.lookup, library_piece(asked.hash)});
    settle();
  }
  void drain(Client& client) {
    if (std::exchange(client.undrained, 0) == 0) return;
    tell(seam::OutputDrained{client.conn});
    settle();
  }
  void lose(std::size_t who) {
    const seam::ConnId conn = clients_.at(who).conn;
    who_.erase(conn);
    clients_.erase(who);
    tell(seam::ConnectionLost{conn, seam::NetError::reset});
    settle();
  }
  void pass(base::Duration duration) {
    const base::Instant end = now_ + duration;
    while (machine_->next_deadline() && *machine_->next_deadline() <= end) {
      now_ = std::max(now_, *machine_->next_deadline());
      for (auto& [who, client] : clients_) {
        if (client.deadline && *client.deadline <= now_) drop_unfinished(client);
      }
      tell(seam::DeadlineReached{});
      settle();
      SHOAL_CHECK(!machine_->next_deadline() || *machine_->next_deadline() > now_);
    }
    now_ = end;
  }
  static void end_requests(Client& client) {
    client.is_input_over = true;
    drop_unfinished(client);
  }
  // An unfinished request is malformed.
  static void drop_unfinished(Client& client) {
    client.deadline.reset();
    if (client.framer.is_inside_message()) {
      client.answers.push_back(course::encode_error(ErrorCode::invalid_message_format));
    }
    client.framer.drop_everything();
  }
  void catch_up() {
    for (bool is_more = true; is_more;) {
      is_more = !lookups_.empty();
      look_up(0);
      for (std::size_t who = 0; who < kClients; ++who) {
        if (!clients_.contains(who) || clients_.at(who).undrained == 0) continue;
        is_more = true;
        drain(clients_.at(who));
      }
    }
  }

  // Reads what there is to read, of everybody, as a runner does.
  void settle() {
    for (bool is_more = true; is_more;) {
      is_more = false;
      for (std::size_t who = 0; who < kClients; ++who) is_more |= clients_.contains(who) && read(clients_.at(who));
    }
    SHOAL_CHECK(lookups_.size() <= next_conn_ / 2 * swarm::CourseServer::kQuestionsAheadMax);
  }
  bool read(Client& client) {
    if (!client.is_reading || (client.unread.is_empty() && !client.has_ended)) return false;
    const seam::ReadTargets targets = machine_->next_read(client.conn);
    client.is_reading = targets.size_bytes() > 0;
    SHOAL_CHECK(client.is_reading == client.is_read());
    if (!client.is_reading) return false;
    if (client.unread.is_empty()) {
      end_requests(client);
      tell(seam::InputEnded{client.conn});
      return true;
    }
    const base::ByteView bytes = client.unread.read_into(targets);
    client.framer.feed(bytes);
    while (const auto frame = client.framer.next()) {
      client.answers.push_back(answer_to(*frame, welcomes_pipelining_));
      client.deadline.reset();
    }
    tell(seam::BytesArrived{client.conn, bytes.size()});
    return true;
  }

  void tell(seam::Event&& event) {
    machine_->on_event(std::move(event), now_);
    for (const seam::Action& action : machine_->take_actions()) carry_out(action);
    std::optional<base::Instant> earliest;
    for (auto& [who, client] : clients_) {
      set_deadline(client);
      if (client.deadline && (!earliest || *client.deadline < *earliest)) earliest = client.deadline;
    }
    SHOAL_CHECK(is_finished_ || machine_->next_deadline() == earliest);
  }
  // It runs while the client is being read and could finish its request.
  void set_deadline(Client& client) const {
    if (!client.is_read() || !client.framer.is_inside_message()) {
      client.deadline.reset();
    } else if (!client.deadline) {
      client.deadline = now_ + kMessageTimeout;
    }
  }
  void carry_out(const seam::Action& action) {
    SHOAL_CHECK(!is_finished_);
    if (const auto message = testing::message_of(action)) {
      Client& client = clients_.at(who_.at(message->first));
      SHOAL_CHECK(client.heard < client.answers.size() && message->second == client.answers[client.heard]);
      ++client.heard;
      SHOAL_CHECK(++client.undrained <= swarm::CourseServer::kUnsentAnswersMax);
    } else if (const auto* close = std::get_if<seam::Close>(&action)) {
      this->close(close->conn);
    } else if (const auto* resume = std::get_if<seam::ResumeReading>(&action)) {
      Client& client = clients_.at(who_.at(resume->conn));
      SHOAL_CHECK(!client.is_reading);
      client.is_reading = true;
    } else if (const auto* lookup = std::get_if<seam::LookUpPiece>(&action)) {
      lookups_.push_back(*lookup);
    } else if (std::holds_alternative<seam::Finish>(action)) {
      is_finished_ = true;
    } else {
      SHOAL_CHECK(std::holds_alternative<seam::Tell>(action));
    }
  }
  // Only one that has ended and heard everything, or one too many.
  void close(seam::ConnId conn) {
    const std::size_t who = who_.at(conn);
    const Client& client = clients_.at(who);
    const bool is_done = client.is_input_over && client.waiting() == 0 && client.undrained == 0;
    SHOAL_CHECK(is_done || (clients_.size() > kConnectionsMax && client.unread.read().empty()));
    who_.erase(conn);
    clients_.erase(who);
  }

  bool welcomes_pipelining_;
  base::Instant now_{};
  std::unique_ptr<seam::Machine> machine_;
  std::map<std::size_t, Client> clients_;
  std::map<seam::ConnId, std::size_t> who_;
  std::uint64_t next_conn_ = 0;
  std::deque<seam::LookUpPiece> lookups_;  // not answered yet
  bool is_finished_ = false;
};

}  // namespace
}  // namespace shoal::roles

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  fuzz::Script script(data, size);
  roles::World world(script.u8());
  while (!script.is_over()) world.take(static_cast<roles::Step>(script.below(roles::kSteps)), script);
  world.end();
  return 0;
}
