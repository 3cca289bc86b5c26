#include "sim/floods.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>

#include "base/overloaded.hpp"
#include "wire/extensions.hpp"
#include "wire/peer_messages.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::sim {
namespace {

using base::Bytes;
using std::chrono::milliseconds;

constexpr base::Duration kBurstEvery = milliseconds(50);
constexpr int kBurstsMax = 400;  // 20 seconds of it
constexpr int kMessagesPerBurst = 100;
constexpr int kDatagramsPerBurst = 20;
constexpr std::size_t kDialsPerBurst = 10;
constexpr std::size_t kConnectionsMax = 400;
constexpr seam::SocketId kSocket{1};

void append(Bytes& target, base::ByteView more) {
  target.insert(target.end(), more.begin(), more.end());
}

class Flooder final : public seam::Machine {
 public:
  Flooder(const FloodOptions& options, base::Rng rng) : options_(options), rng_(std::move(rng)) {}

  void start(base::Instant now) override {
    next_burst_ = now;
    if (options_.flood == Flood::datagrams) actions_.emplace_back(seam::OpenDatagram{.socket = kSocket, .local = {}});
  }

  void on_event(seam::Event&& event, base::Instant now) override {
    std::visit(base::Overloaded{
                   [&](const seam::Connected& connected) { on_connected(connected.conn); },
                   [&](const seam::InputEnded& ended) {
                     actions_.emplace_back(seam::Close{ended.conn});
                     forget(ended.conn);
                   },
                   [&](const seam::OutputDrained& drained) { drained_.insert(drained.conn); },
                   [&](const seam::ConnectFailed& failed) { forget(failed.conn); },
                   [&](const seam::ConnectionLost& lost) { forget(lost.conn); },
                   [&](const seam::DeadlineReached&) { burst(now); },
                   [](const auto&) {},
               },
               event);
  }

  seam::ReadTargets next_read(seam::ConnId) override { return {{std::span(scratch_), {}}}; }
  [[nodiscard]] std::optional<base::Instant> next_deadline() const override {
    return bursts_ == kBurstsMax ? std::nullopt : std::optional(next_burst_);
  }
  seam::Actions take_actions() override { return std::exchange(actions_, {}); }

 private:
  [[nodiscard]] bool is_on_one_connection() const {
    return options_.flood == Flood::requests || options_.flood == Flood::haves || options_.flood == Flood::extended;
  }

  void forget(seam::ConnId conn) {
    conns_.erase(conn);
    drained_.erase(conn);
  }

  void burst(base::Instant now) {
    next_burst_ = now + kBurstEvery;
    ++bursts_;
    if (options_.flood == Flood::datagrams) {
      for (int i = 0; i < kDatagramsPerBurst; ++i) {
        actions_.emplace_back(seam::SendDatagram{kSocket, options_.target, draw_datagram()});
      }
      return;
    }
    const std::size_t wanted = is_on_one_connection() ? 1 : kConnectionsMax;
    for (std::size_t i = 0; i < kDialsPerBurst && conns_.size() < wanted; ++i) {
      const seam::ConnId conn{next_conn_};
      next_conn_ += 2;
      conns_.insert(conn);
      actions_.emplace_back(seam::Dial{conn, options_.target});
    }
    if (!is_on_one_connection()) return;
    // What the link does not carry is not said.
    for (const seam::ConnId conn : std::exchange(drained_, {})) send(conn, draw_messages());
  }

  void send(seam::ConnId conn, Bytes bytes) { actions_.emplace_back(seam::Send{conn, std::move(bytes)}); }

  wire::PeerId draw_id() {
    wire::PeerId id;
    for (std::byte& each : id) each = static_cast<std::byte>(rng_.next());
    return id;
  }

  void on_connected(seam::ConnId conn) {
    switch (options_.flood) {
      case Flood::http:
      case Flood::announces:
        return send(conn, draw_http());
      default:
        break;
    }
    Bytes hello = wire::encode(wire::Handshake{
        .has_extensions = true, .has_fast = true, .info_hash = options_.info_hash, .peer_id = draw_id()});
    if (options_.flood == Flood::half_handshakes) {
      hello.resize(rng_.below(hello.size()));
    } else {
      append(hello, wire::encode(wire::Message{wire::HaveNone{}}));
      append(hello, wire::encode(wire::Message{wire::Interested{}}));
    }
    send(conn, std::move(hello));
  }

  Bytes draw_messages() {
    Bytes bytes;
    for (int i = 0; i < kMessagesPerBurst; ++i) append(bytes, wire::encode(draw_message()));
    return bytes;
  }

  wire::Message draw_message() {
    const base::PieceIndex piece(static_cast<std::uint32_t>(rng_.below(options_.piece_count + 2)));
    if (options_.flood == Flood::haves) return wire::Have{piece};
    if (options_.flood == Flood::requests) {
      const auto offset = static_cast<std::uint32_t>(rng_.below(4)) * wire::kBlockBytes;
      return wire::Request{{.piece = piece, .offset_bytes = offset, .size_bytes = wire::kBlockBytes}};
    }
    const auto id = static_cast<std::uint8_t>(rng_.below(4));
    if (id == wire::kOurMetadataId) {
      const auto number = static_cast<std::uint32_t>(rng_.below(3));
      return wire::Extended{id, wire::encode(wire::MetadataMessage{wire::MetadataRequest{number}})};
    }
    return wire::Extended{id, draw_noise(rng_.below(200))};
  }

  Bytes draw_noise(std::size_t count) {
    Bytes bytes(count);
    for (std::byte& each : bytes) each = static_cast<std::byte>(rng_.next());
    return bytes;
  }

  wire::AnnounceRequest draw_announce() {
    return {.info_hash = options_.info_hash,
            .peer_id = draw_id(),
            .port = static_cast<std::uint16_t>(1 + rng_.below(65'535)),
            .left = rng_.below(2),
            .event = static_cast<wire::AnnounceEvent>(rng_.below(4)),
            .peers_wanted = 200,
            .tracker_id = {},
            .held = {}};
  }

  Bytes draw_datagram() {
    const auto transaction = static_cast<std::uint32_t>(rng_.next());
    switch (rng_.below(3)) {
      case 0:
        return wire::encode(wire::UdpRequest{wire::UdpConnect{transaction}});
      case 1:
        return wire::encode(wire::UdpRequest{
            wire::UdpAnnounce{.connection = rng_.next(), .transaction = transaction, .request = draw_announce()}});
      default:
        return draw_noise(rng_.below(200));
    }
  }

  Bytes draw_http() {
    std::string text = "GET /announce?" + wire::encode_announce_query(draw_announce()) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    if (options_.flood == Flood::http) {
      switch (rng_.below(4)) {
        case 0:
          text.resize(rng_.below(text.size()));  // the rest never comes
          break;
        case 1:
          text = "GET /" + std::string(rng_.below(20'000), 'a');
          break;
        case 2:
          text = "PUT /shares/x.torrent HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
          break;
        default:
          break;
      }
    }
    const base::ByteView bytes = base::view_of(text);
    return {bytes.begin(), bytes.end()};
  }

  FloodOptions options_;
  base::Rng rng_;
  std::set<seam::ConnId> conns_;
  std::set<seam::ConnId> drained_;  // what was said there has left
  std::array<std::byte, 16 * 1024> scratch_{};
  std::uint64_t next_conn_ = 1;
  int bursts_ = 0;
  base::Instant next_burst_{};
  seam::Actions actions_;
};

}  // namespace

std::string_view to_string(Flood flood) {
  static constexpr std::array<std::string_view, kFloods> kNames{"half_handshakes", "peers", "requests",  "haves",
                                                                "extended",        "http",  "datagrams", "announces"};
  return kNames.at(static_cast<std::size_t>(flood));
}

bool is_at_tracker(Flood flood) {
  return flood == Flood::http || flood == Flood::datagrams || flood == Flood::announces;
}

std::unique_ptr<seam::Machine> make_flood(const FloodOptions& options, base::Rng rng) {
  return std::make_unique<Flooder>(options, std::move(rng));
}

}  // namespace shoal::sim
