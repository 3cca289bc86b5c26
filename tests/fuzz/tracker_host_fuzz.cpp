// A whole tracker with clients of all kinds on its one port: bytes split anywhere, requests that are right, answers
// that nobody reads, ends, losses, silence, and datagrams. Whatever comes, HTTP connections hear whole responses and
// nothing else, course clients whole messages; nobody who asks is kept waiting for ever; limits hold; what was saved
// can be restored and says the same.
//
// The input: a byte for the options, then steps, each a byte (see Step) and what belongs to it.
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "course/messages.hpp"
#include "fuzz/input.hpp"
#include "roles/tracker_host.hpp"
#include "support/server_script.hpp"
#include "unit/tracker/torrents.hpp"

namespace shoal::roles {
namespace {

constexpr std::size_t kClients = 6;
constexpr std::uint32_t kEachMax = 2;  // connections of each kind
constexpr std::size_t kStreamBytesMax = 64 * 1024;
constexpr base::Endpoint kListening{{0xc0a80001}, 8000};
constexpr std::array<base::Endpoint, 3> kRemotes = {
    {{{0xc0a80002}, 40000}, {{0x08080808}, 40000}, {base::Ipv4Address::loopback(), 40000}}};

enum class Step : std::uint8_t {
  accept,        // which client, from where
  send_bytes,    // which client, count, bytes
  send_request,  // which client, which request, what of it
  drain,         // which client has heard everything that was sent
  end_input,     // which client
  lose,          // which client
  datagram,      // from where, count, bytes
  announce,      // from where, port, left: over UDP, with the id that was given last
  discovery,     // from where, count, bytes
  probe_ends,    // which, how
  pass_time,     // tenths of a second
  pass_minutes,
};
constexpr std::size_t kSteps = 12;

std::string with_body(std::string_view line, std::string_view more, std::string_view body) {
  return std::string(line) + " HTTP/1.1\r\nHost: t\r\n" + std::string(more) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string share_name(std::uint8_t detail) {
  return std::string(1, static_cast<char>('a' + detail % 3));
}

// What a client could well say; `detail` varies it.
base::Bytes make_request(std::uint8_t kind, std::uint8_t detail) {
  const std::string name = share_name(detail);
  const auto get = [](std::string_view target) {
    return testing::bytes_of("GET " + std::string(target) + " HTTP/1.1\r\nHost: t\r\n\r\n");
  };
  switch (kind % 12) {
    case 0:
      return course::encode_get_file_info();
    case 1: {
      wire::AnnounceRequest request{.info_hash = tracker::make_torrent(name).info_hash,
                                    .port = detail,
                                    .left = detail % 4u,
                                    .event = static_cast<wire::AnnounceEvent>(detail / 64),
                                    .key = detail % 2u,
                                    .is_compact = detail % 5 != 0,
                                    .held = "0-1"};
      std::ranges::copy(base::view_of("-SH0100-"), request.peer_id.begin());
      return get("/announce?" + wire::encode_announce_query(request));
    }
    case 2: {
      const std::string torrent(base::text_of(tracker::torrent_file(name, 1, detail % 8 == 7)));
      const std::string_view more = detail % 16 > 7 ? "Expect: 100-continue\r\n" : "";
      return testing::bytes_of(with_body("PUT /shares/x.torrent", more, torrent));
    }
    case 3:
      return testing::bytes_of(with_body("DELETE /shares/" + name + ".torrent", "", ""));
    case 4:
      return get("/shares/" + name + ".torrent");
    case 5:
      return get("/shares");
    case 6:
      return get("/metrics");
    case 7:
      return testing::bytes_of("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n");
    case 8:
      return get("/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa");
    case 9:
      return testing::bytes_of("GET / HTTP/1.0\r\n\r\n");
    case 10:
      return testing::bytes_of(with_body("POST /", "", std::string(detail, 'x')));
    default:
      return testing::bytes_of("GET /" + std::string(std::size_t{detail} * 100, 'x'));
  }
}

void check_http_message(const base::Bytes& message) {
  const std::string_view text = base::text_of(message);
  if (text == "HTTP/1.1 100 Continue\r\n\r\n") return;
  const std::size_t end = text.find("\r\n\r\n");
  constexpr std::string_view kField = "\r\nContent-Length: ";
  const std::size_t field = text.find(kField);
  SHOAL_CHECK(text.starts_with("HTTP/1.1 ") && end != std::string_view::npos && field < end);
  const std::size_t body = text.size() - end - 4;
  SHOAL_CHECK(body == 0 || body == std::stoul(std::string(text.substr(field + kField.size(), 20))));
}

void check_course_message(const base::Bytes& message) {
  const auto header = course::parse_header(message);
  SHOAL_CHECK(header && header->message_bytes() == message.size());
  SHOAL_CHECK(header->type == static_cast<std::uint8_t>(course::MessageType::file_info) ||
              header->type == static_cast<std::uint8_t>(course::MessageType::error));
}

struct Client {
  seam::ConnId conn;
  fuzz::Unread unread;
  bool is_reading = true;  // the machine gave room when it was last asked
  bool has_ended = false;
  bool is_end_told = false;
  std::size_t undrained = 0;
};

class World {
 public:
  explicit World(std::uint8_t options) : is_course_only_((options & 1) != 0) {
    machine_ = make_tracker_host({.listening = kListening,
                                  .is_course_only = is_course_only_,
                                  .connections_max = kEachMax,
                                  .http_connections_max = kEachMax,
                                  .silent_connections_max = kEachMax,
                                  .swarms = {.serves_unknown = (options & 2) == 0, .swarms_max = 5, .peers_max = 5}},
                                 &nothing_, base::Rng(options));
    machine_->start(now_);
    carry_out();
  }

  void take(Step step, fuzz::Script& script) {
    switch (step) {
      case Step::datagram:
      case Step::discovery: {
        const base::Endpoint from = kRemotes[script.below(kRemotes.size())];
        const base::ByteView bytes = script.bytes();
        const seam::SocketId socket = step == Step::datagram ? seam::kTrackerSocket : seam::kDiscoverySocket;
        return tell(seam::DatagramArrived{socket, from, kListening.address, base::Bytes(bytes.begin(), bytes.end())});
      }
      case Step::announce:
        return announce(script);
      case Step::probe_ends:
        return end_probe(script);
      case Step::pass_time:
        return pass(script.pause());
      case Step::pass_minutes:
        return pass(std::chrono::minutes(script.u8()));
      default:
        break;
    }
    const std::size_t who = script.below(kClients);
    if (step == Step::accept) return accept(who, kRemotes[script.below(kRemotes.size())]);
    if (!clients_.contains(who)) return;
    Client& client = clients_.at(who);
    if (step == Step::send_bytes) return send(client, script.bytes());
    if (step == Step::send_request) {
      const std::uint8_t kind = script.u8();
      return send(client, make_request(kind, script.u8()));
    }
    if (step == Step::drain) return drain(client);
    if (step == Step::lose) return lose(who);
    client.has_ended = true;
    settle();
  }

  // Whoever is heard out and then silent is let go, unless he may speak the course protocol; then it stops.
  void end() {
    for (bool is_more = true; is_more;) {
      is_more = false;
      for (std::size_t who = 0; who < kClients; ++who) {
        if (!clients_.contains(who) || clients_.at(who).undrained == 0) continue;
        is_more = true;
        drain(clients_.at(who));
      }
    }
    pass(std::chrono::hours(1));
    for (const auto& [who, client] : clients_) SHOAL_CHECK(!is_http(client));
    tell(seam::StopRequested{});
    pass(std::chrono::seconds(3));
    SHOAL_CHECK(is_finished_ && !machine_->next_deadline());
    if (saved_.contains(kSharesState)) restore();
  }

 private:
  struct Nothing final : tracker::ShareProvider {
    std::shared_ptr<const course::FileInfo> current() override { return info; }
    std::shared_ptr<const course::FileInfo> info = std::make_shared<const course::FileInfo>();
  };

  [[nodiscard]] bool is_http(const Client& client) const {
    const base::ByteView read = client.unread.read();
    return !is_course_only_ && !read.empty() && wire::is_http_first_byte(read.front());
  }
  void accept(std::size_t who, base::Endpoint remote) {
    if (clients_.contains(who)) return;
    const seam::ConnId conn(next_conn_ += 2);
    clients_[who].conn = conn;
    who_[conn] = who;
    tell(seam::Accepted{conn, kListening, remote});
  }
  void send(Client& client, base::ByteView bytes) {
    if (client.has_ended || client.unread.size_bytes() > kStreamBytesMax) return;
    client.unread.add(bytes);
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
  }
  void announce(fuzz::Script& script) {
    const base::Endpoint from = kRemotes[script.below(kRemotes.size())];
    wire::UdpAnnounce announce{.connection = last_connection_, .transaction = 1};
    announce.request = {.info_hash = tracker::make_torrent("a").info_hash, .port = script.u16(), .left = script.u8()};
    announce.request.event = static_cast<wire::AnnounceEvent>(announce.request.left % 4);
    tell(seam::DatagramArrived{seam::kTrackerSocket, from, kListening.address, wire::encode(announce)});
  }
  void end_probe(fuzz::Script& script) {
    if (probes_.empty()) return;
    const auto found = probes_.begin() + static_cast<std::ptrdiff_t>(script.below(probes_.size()));
    const seam::Dial dial = *found;
    probes_.erase(found);
    if (script.u8() % 2 == 0) return tell(seam::ConnectFailed{dial.conn, seam::NetError::refused});
    tell(seam::Connected{dial.conn, kListening, dial.remote});
  }
  void pass(base::Duration duration) {
    const base::Instant end = now_ + duration;
    while (machine_->next_deadline() && *machine_->next_deadline() <= end) {
      now_ = std::max(now_, *machine_->next_deadline());
      tell(seam::DeadlineReached{});
      SHOAL_CHECK(!machine_->next_deadline() || *machine_->next_deadline() > now_);
    }
    now_ = end;
  }

  // Reads what there is to read, of everybody, as a runner does.
  void settle() {
    for (bool is_more = true; is_more;) {
      is_more = false;
      for (std::size_t who = 0; who < kClients; ++who) is_more |= clients_.contains(who) && read(clients_.at(who));
    }
  }
  bool read(Client& client) {
    if (!client.is_reading || client.is_end_told || (client.unread.is_empty() && !client.has_ended)) return false;
    const seam::ReadTargets targets = machine_->next_read(client.conn);
    client.is_reading = targets.size_bytes() > 0;
    if (!client.is_reading) return false;
    if (client.unread.is_empty()) {
      client.is_end_told = true;
      tell(seam::InputEnded{client.conn});
      return true;
    }
    tell(seam::BytesArrived{client.conn, client.unread.read_into(targets).size()});
    return true;
  }

  void tell(seam::Event&& event) {
    machine_->on_event(std::move(event), now_);
    carry_out();
  }
  void carry_out() {
    for (seam::Actions actions = machine_->take_actions(); !actions.empty(); actions = machine_->take_actions()) {
      for (const seam::Action& action : actions) carry_out(action);
    }
    std::array<std::size_t, 3> kinds{};
    for (const auto& [who, client] : clients_) {
      ++kinds[client.unread.read().empty() && !is_course_only_ ? 0 : is_http(client) ? 1 : 2];
    }
    for (const std::size_t count : kinds) SHOAL_CHECK(count <= kEachMax);
  }
  void carry_out(const seam::Action& action) {
    SHOAL_CHECK(!is_finished_);
    if (const auto message = testing::message_of(action)) {
      Client& client = clients_.at(who_.at(message->first));
      if (is_http(client)) {
        check_http_message(message->second);
      } else {
        check_course_message(message->second);
      }
      SHOAL_CHECK(++client.undrained <= 2);
    } else if (const auto* close = std::get_if<seam::Close>(&action)) {
      if (close->conn.value % 2 == 1) {
        std::erase_if(probes_, [&](const seam::Dial& dial) { return dial.conn == close->conn; });
        return;
      }
      clients_.erase(who_.at(close->conn));
      who_.erase(close->conn);
    } else if (const auto* resume = std::get_if<seam::ResumeReading>(&action)) {
      Client& client = clients_.at(who_.at(resume->conn));
      SHOAL_CHECK(!client.is_reading);
      client.is_reading = true;
    } else if (const auto* dial = std::get_if<seam::Dial>(&action)) {
      probes_.push_back(*dial);
    } else if (const auto* datagram = std::get_if<seam::SendDatagram>(&action)) {
      if (datagram->socket != seam::kTrackerSocket) return;
      const auto reply = wire::parse_udp_reply(datagram->bytes);
      SHOAL_CHECK(reply);
      if (const auto* connected = std::get_if<wire::UdpConnected>(&*reply)) last_connection_ = connected->connection;
    } else if (const auto* save = std::get_if<seam::SaveState>(&action)) {
      saved_[save->name] = save->bytes;
    } else if (std::holds_alternative<seam::Finish>(action)) {
      is_finished_ = true;
    } else {
      SHOAL_CHECK(std::holds_alternative<seam::Tell>(action));
    }
  }

  // A second life saves, at its end, the shares and swarms of the first.
  void restore() {
    const auto again = make_tracker_host(
        {.listening = kListening, .saved_shares = saved_[kSharesState], .saved_swarms = saved_[kSwarmsState]}, nullptr,
        base::Rng(1));
    again->start(now_);
    SHOAL_CHECK(again->take_actions().empty());  // nothing to warn of
    const seam::ConnId conn(2);
    const base::Bytes request = make_request(5, 0);
    again->on_event(seam::Accepted{conn, kListening, kRemotes[0]}, now_);
    std::ranges::copy(request, again->next_read(conn).spans[0].begin());
    again->on_event(seam::BytesArrived{conn, request.size()}, now_);
    const auto answered = again->take_actions();
    const auto message = testing::message_of(answered.at(0));
    SHOAL_CHECK(message);
    const std::string_view list = base::text_of(message->second);
    for (const char* name : {"a", "b", "c"}) {
      const bool was_saved = base::text_of(saved_[kSharesState]).contains("l1:" + std::string(name));
      SHOAL_CHECK(list.contains("\"name\":\"" + std::string(name) + "\"") == was_saved);
    }
  }

  bool is_course_only_;
  Nothing nothing_;
  std::unique_ptr<seam::Machine> machine_;
  base::Instant now_{};
  std::map<std::size_t, Client> clients_;
  std::map<seam::ConnId, std::size_t> who_;
  std::vector<seam::Dial> probes_;
  std::map<std::string, base::Bytes> saved_;
  std::uint64_t last_connection_ = 0;
  std::uint64_t next_conn_ = 0;
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
