// A client's question to a tracker that accepts, refuses, breaks, stalls and sends whatever it likes, however it is
// split. Each connection's bytes, read at once by the parsers, say what the query must have made of them.
//
// The input: a byte for the options, then steps, each a byte (see Step) and what belongs to it.
#include <optional>

#include "fuzz/input.hpp"
#include "swarm/tracker_query.hpp"

namespace shoal::swarm {
namespace {

using course::MessageType;

enum class Step : std::uint8_t {
  connect,
  fail_to_connect,  // which error
  send_bytes,       // count, bytes
  send_long_bytes,  // count (2), bytes
  send_zeros,       // count (2)
  pass_time,        // tenths of a second
  end_input,
  lose_connection,
};
constexpr std::size_t kSteps = 8;
constexpr std::size_t kStreamBytesMax = 256 * 1024;
constexpr std::size_t kReadBytesMin = 4 * 1024;
// Every try to connect, with a pause behind it, and no try more.
constexpr int kDialsMax = static_cast<int>(kRefusedRetryTime / kRefusedRetryPause) + 1 + kAskTriesMax;

// What the whole stream of one connection says; nothing while more could come.
std::optional<std::expected<course::FileInfo, QueryFailure>> read_at_once(base::ByteView stream, std::uint32_t max) {
  const auto header = course::parse_header(stream);
  if (!header) return std::nullopt;
  const bool is_error = header->type == static_cast<std::uint8_t>(MessageType::error);
  const bool is_file = header->type == 3 || header->type == 5;
  if (header->version != 1 || !(is_error || is_file) || header->length_dwords < 2 ||
      header->message_bytes() > (is_error ? 256 : max)) {
    return std::unexpected(QueryFailure::malformed);
  }
  if (stream.size() < header->message_bytes()) return std::nullopt;
  if (is_error) return std::unexpected(QueryFailure::error_answer);
  auto file = course::parse_file_info_body(stream.subspan(8, static_cast<std::size_t>(header->body_bytes())));
  if (!file) return std::unexpected(QueryFailure::malformed);
  return std::move(*file);
}

class Talk {
 public:
  explicit Talk(std::uint8_t options) : file_info_bytes_max_((options & 1) != 0 ? 1000 : 64u << 20) {
    query_.start(now_);
    settle();
  }

  void take(Step step, fuzz::Script& script) {
    switch (step) {
      case Step::connect:
        if (!conn_ || is_connected_) return;
        is_connected_ = true;
        query_.on_connected(base::Ipv4Address::loopback(), now_);
        return settle();
      case Step::fail_to_connect:
        return fail_to_connect(static_cast<seam::NetError>(script.below(5)));
      case Step::send_bytes:
        return send(script.bytes());
      case Step::send_long_bytes:
        return send(script.long_bytes());
      case Step::send_zeros:
        return send(base::Bytes(script.u16()));
      case Step::pass_time:
        return pass(script.pause());
      case Step::end_input:
        if (!is_connected_) return;
        query_.on_input_ended(now_);
        return settle();
      case Step::lose_connection:
        if (!is_connected_) return;
        forget_connection();
        query_.on_connection_lost(now_);
        return settle();
    }
  }
  // However it stands, patience ends.
  void end() {
    for (int waits = 0; !query_.result(); ++waits) {
      SHOAL_CHECK(waits < 2 * kDialsMax);
      pass(*query_.next_deadline() - now_);
    }
  }

 private:
  void fail_to_connect(seam::NetError error) {
    if (!conn_ || is_connected_) return;
    forget_connection();
    query_.on_connect_failed(error, now_);
    settle();
  }
  void send(base::ByteView bytes) {
    if (!is_connected_ || unread_.size_bytes() + bytes.size() > kStreamBytesMax) return;
    unread_.add(bytes);
    while (is_connected_ && !unread_.is_empty()) {
      const seam::ReadTargets targets = query_.next_read();
      const std::size_t read_before = unread_.read().size();
      SHOAL_CHECK(targets.size_bytes() > 0);
      // Memory grows with what came, not with what was announced, and nothing behind the answer is read.
      SHOAL_CHECK(targets.size_bytes() <= std::max(kReadBytesMin, read_before));
      const auto header = course::parse_header(unread_.read());
      SHOAL_CHECK(!header || read_before + targets.size_bytes() <= header->message_bytes());
      query_.on_bytes(unread_.read_into(targets).size(), now_);
      check_against_reading_at_once();
      settle();
    }
  }
  void check_against_reading_at_once() {
    const auto wanted = read_at_once(unread_.read(), file_info_bytes_max_);
    SHOAL_CHECK(wanted.has_value() == query_.result().has_value());
    if (!wanted) return;
    const auto& result = *query_.result();
    SHOAL_CHECK(wanted->has_value() == result.has_value());
    SHOAL_CHECK(result ? result->file == **wanted && result->local == base::Ipv4Address::loopback()
                       : result.error().failure == wanted->error());
  }
  void pass(base::Duration duration) {
    now_ += duration;
    query_.on_deadline(now_);
    settle();
    SHOAL_CHECK(!query_.next_deadline() || *query_.next_deadline() > now_);
  }
  void forget_connection() {
    conn_.reset();
    is_connected_ = false;
    unread_ = fuzz::Unread();
  }

  // After each call: what is open, and what must follow.
  void settle() {
    for (const seam::Action& action : query_.take_actions()) {
      if (const auto* dial = std::get_if<seam::Dial>(&action)) {
        SHOAL_CHECK(dial->conn.value > last_conn_ && ++dials_ <= kDialsMax);
        if (conn_) {  // asked again while the first is still silent, which stays open
          SHOAL_CHECK(is_connected_ && unread_.read().empty());
          waiting_.push_back(*conn_);
          forget_connection();
        }
        last_conn_ = dial->conn.value;
        conn_ = dial->conn;
      } else if (const auto* send = std::get_if<seam::Send>(&action)) {
        SHOAL_CHECK(is_connected_ && send->conn == conn_ && ++asked_ <= kAskTriesMax);
        SHOAL_CHECK(send->bytes == course::encode_get_file_info());
      } else if (const auto* close = std::get_if<seam::Close>(&action)) {
        if (std::erase(waiting_, close->conn) > 0) continue;
        SHOAL_CHECK(close->conn == conn_);
        forget_connection();
      } else {
        SHOAL_CHECK(std::holds_alternative<seam::Tell>(action));
      }
    }
    SHOAL_CHECK(query_.conn() == conn_);
    if (query_.result()) {
      SHOAL_CHECK(!conn_ && waiting_.empty() && !query_.next_deadline() && query_.next_read().size_bytes() == 0);
      SHOAL_CHECK(*query_.result() || !query_.result()->error().message.empty());
    } else {
      SHOAL_CHECK(query_.next_deadline());
    }
  }

  std::uint32_t file_info_bytes_max_;
  base::Instant now_{};
  ConnIds ids_;
  TrackerQuery query_{{.tracker = {base::Ipv4Address::loopback(), 8000}, .file_info_bytes_max = file_info_bytes_max_},
                      ids_};
  std::optional<seam::ConnId> conn_;
  std::vector<seam::ConnId> waiting_;
  bool is_connected_ = false;
  fuzz::Unread unread_;  // of the connection that is open
  std::uint64_t last_conn_ = 0;
  int dials_ = 0;
  int asked_ = 0;
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
