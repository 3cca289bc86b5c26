#include "sim/odd_peers.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "base/overloaded.hpp"
#include "wire/extensions.hpp"
#include "wire/peer_messages.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::sim {
namespace {

using base::Bytes;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint8_t kMetadataId = 3;
constexpr std::uint8_t kExchangeId = 4;
constexpr base::Duration kTurnEvery = seconds(2);
constexpr int kTurnsPerAnnounce = 10;
constexpr std::uint32_t kDeadNetwork = 0x0ac80000;  // 10.200.x.y
constexpr std::size_t kDeadPerMessage = 300;
constexpr std::size_t kScratchBytes = 4096;

void append(Bytes& target, const Bytes& more) {
  target.insert(target.end(), more.begin(), more.end());
}

wire::PeerId draw_peer_id(base::Rng& rng) {
  wire::PeerId id{};
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<std::byte>(i < 8 ? "-OD0001-"[i] : rng.next() & 0xff);
  return id;
}

Bytes noise(base::Rng& rng, std::size_t count) {
  Bytes bytes(count);
  for (std::byte& each : bytes) each = static_cast<std::byte>(rng.next());
  return bytes;
}

class OddPeer final : public seam::Machine {
 public:
  OddPeer(OddPeerOptions options, base::Rng rng)
      : options_(std::move(options)), rng_(std::move(rng)), id_(draw_peer_id(rng_)) {}

  void start(base::Instant now) override { next_turn_ = now; }

  void on_event(seam::Event&& event, base::Instant now) override {
    std::visit(base::Overloaded{
                   [&](const seam::Connected& connected) { begin(connected.conn, connected.remote); },
                   [&](const seam::Accepted& accepted) { links_[accepted.conn] = {.remote = accepted.remote}; },
                   [&](const seam::BytesArrived& arrived) { on_bytes(arrived.conn, arrived.count); },
                   [&](const seam::InputEnded& ended) { leave(ended.conn); },
                   [&](const seam::ConnectFailed& failed) { links_.erase(failed.conn); },
                   [&](const seam::ConnectionLost& lost) { links_.erase(lost.conn); },
                   [&](const seam::DeadlineReached&) { take_turn(now); },
                   [](const auto&) {},
               },
               event);
  }

  seam::ReadTargets next_read(seam::ConnId) override { return {{std::span(scratch_), {}}}; }
  [[nodiscard]] std::optional<base::Instant> next_deadline() const override { return next_turn_; }
  seam::Actions take_actions() override { return std::exchange(actions_, {}); }

 private:
  struct Link {
    base::Endpoint remote;
    std::optional<base::Endpoint> dialled;
    bool is_greeted = false;  // we have sent our handshake
    bool is_ready = false;    // the other has sent its own
    Bytes inbox = {};
    std::uint8_t exchange_id = 0;  // of the other side
    std::uint8_t metadata_id = 0;
    int answers = 0;
  };

  // --- What it does on its own ---

  void take_turn(base::Instant now) {
    next_turn_ = now + kTurnEvery + milliseconds(rng_.below(1000));
    if (turns_++ % kTurnsPerAnnounce == 0) announce();
    for (const base::Endpoint& target : options_.targets) {
      if (rng_.chance(0.5) || is_connected_to(target)) continue;
      const seam::ConnId conn{next_conn_};
      next_conn_ += 2;
      links_[conn] = {.remote = target, .dialled = target};
      actions_.emplace_back(seam::Dial{conn, target});
    }
    if (options_.oddity != PeerOddity::tells_of_the_dead) return;
    for (const auto& [conn, link] : links_) {
      if (link.exchange_id != 0) tell_of_the_dead(conn, link);
    }
  }

  [[nodiscard]] bool is_connected_to(const base::Endpoint& target) const {
    return std::ranges::any_of(links_, [&](const auto& entry) { return entry.second.dialled == target; });
  }

  void announce() {
    const wire::AnnounceRequest request{.info_hash = options_.torrent.info_hash,
                                        .peer_id = id_,
                                        .port = options_.listening.port,
                                        .event = wire::AnnounceEvent::started,
                                        .held = {}};
    for (const std::string& url : options_.tracker_urls) {
      actions_.emplace_back(
          seam::Fetch{.fetch = seam::FetchId{next_fetch_++}, .url = url + "?" + wire::encode_announce_query(request)});
    }
  }

  void tell_of_the_dead(seam::ConnId conn, const Link& link) {
    wire::PexMessage message;
    for (std::size_t i = 0; i < kDeadPerMessage; ++i) {
      message.added.push_back({.endpoint = dead_endpoint(rng_), .is_seed = rng_.chance(0.5)});
    }
    send(conn, wire::Extended{link.exchange_id, wire::encode(message)});
  }

  // --- Its connections ---

  void send(seam::ConnId conn, const wire::Message& message) { send_bytes(conn, wire::encode(message)); }
  void send_bytes(seam::ConnId conn, Bytes bytes) { actions_.emplace_back(seam::Send{conn, std::move(bytes)}); }

  void leave(seam::ConnId conn) {
    actions_.emplace_back(seam::Close{conn});
    links_.erase(conn);
  }

  void begin(seam::ConnId conn, base::Endpoint remote) {
    Link& link = links_[conn];
    link.remote = remote;
    greet(conn, link);
  }

  void greet(seam::ConnId conn, Link& link) {
    link.is_greeted = true;
    send_bytes(conn,
               wire::encode(wire::Handshake{
                   .has_extensions = true, .has_fast = true, .info_hash = options_.torrent.info_hash, .peer_id = id_}));
  }

  void on_bytes(seam::ConnId conn, std::size_t count) {
    const auto found = links_.find(conn);
    if (found == links_.end()) return;
    Bytes& inbox = found->second.inbox;
    inbox.insert(inbox.end(), scratch_.begin(), scratch_.begin() + static_cast<std::ptrdiff_t>(count));
    while (links_.contains(conn) && take_one(conn, links_.at(conn))) {
    }
  }

  // True when there may be more to take.
  bool take_one(seam::ConnId conn, Link& link) {
    const base::ByteView unread(link.inbox);
    const auto drop = [&](std::size_t count) {
      link.inbox.erase(link.inbox.begin(), link.inbox.begin() + static_cast<std::ptrdiff_t>(count));
    };
    if (!link.is_ready) {
      if (unread.size() < wire::kHandshakeBytes) return false;
      drop(wire::kHandshakeBytes);
      link.is_ready = true;
      if (!link.is_greeted) greet(conn, link);
      boast(conn);
      return true;
    }
    if (unread.size() < 4) return false;
    const std::uint32_t length = base::ByteReader(unread).u32();
    if (unread.size() < std::size_t{4} + length) return false;
    const auto message = wire::parse_message(length, unread.subspan(4, length));
    drop(std::size_t{4} + length);
    if (message) on_message(conn, link, *message);
    return true;
  }

  // What it says right after the handshakes.
  void boast(seam::ConnId conn) {
    const auto count = static_cast<std::uint32_t>(options_.pieces.size());
    switch (options_.oddity) {
      case PeerOddity::says_noise:
        return send_bytes(conn, noise(rng_, 1 + rng_.below(2000)));
      case PeerOddity::says_too_much: {
        static constexpr std::array<std::uint32_t, 4> kLengths{1u << 20, 0x7fffffff, 0x80000001, 0xffffffff};
        Bytes frame;
        const std::uint32_t length = kLengths.at(rng_.below(kLengths.size()));
        for (int shift = 24; shift >= 0; shift -= 8) frame.push_back(static_cast<std::byte>(length >> shift));
        frame.push_back(static_cast<std::byte>(rng_.below(22)));
        append(frame, noise(rng_, 3000));
        return send_bytes(conn, std::move(frame));
      }
      case PeerOddity::claims_too_much: {
        const std::size_t right = (count + 7) / 8;
        const std::size_t lengths[] = {right + 1, right + 1000, right - std::min<std::size_t>(right, 1), 0};
        if (rng_.chance(0.5)) return send(conn, wire::BitfieldMessage{Bytes(lengths[rng_.below(4)], std::byte{0xff})});
        return send(conn, wire::Have{base::PieceIndex(count + static_cast<std::uint32_t>(rng_.below(1u << 30)))});
      }
      default:
        break;
    }
    send(conn, wire::HaveAll{});
    send(conn, wire::Extended{0, wire::encode(wire::ExtensionHandshake{.metadata_id = kMetadataId,
                                                                       .pex_id = kExchangeId,
                                                                       .listen_port = options_.listening.port,
                                                                       .client = "Odd",
                                                                       .metadata_bytes = claimed_metadata_bytes()})});
    if (options_.oddity != PeerOddity::chokes) send(conn, wire::Unchoke{});
    if (rng_.chance(0.5)) send(conn, wire::Interested{});
  }

  std::uint32_t claimed_metadata_bytes() {
    const auto right = static_cast<std::uint32_t>(options_.torrent.info.size());
    if (options_.oddity != PeerOddity::lies_about_metadata || rng_.chance(0.6)) return right;
    return rng_.chance(0.5) ? static_cast<std::uint32_t>(1 + rng_.below(100'000)) : ~std::uint32_t{0};
  }

  void on_message(seam::ConnId conn, Link& link, const wire::Message& message) {
    if (const auto* extended = std::get_if<wire::Extended>(&message)) return on_extended(conn, link, *extended);
    if (const auto* request = std::get_if<wire::Request>(&message)) answer(conn, link, request->range);
  }

  void on_extended(seam::ConnId conn, Link& link, const wire::Extended& extended) {
    if (extended.id == 0) {
      if (const auto handshake = wire::parse_extension_handshake(extended.payload)) {
        link.exchange_id = handshake->pex_id.value_or(0);
        link.metadata_id = handshake->metadata_id.value_or(0);
      }
      return;
    }
    if (extended.id != kMetadataId) return;
    const auto message = wire::parse_metadata_message(extended.payload);
    const auto* request = message ? std::get_if<wire::MetadataRequest>(&*message) : nullptr;
    if (request != nullptr) answer_metadata(conn, link, request->piece);
  }

  void answer_metadata(seam::ConnId conn, const Link& link, std::uint32_t piece) {
    const Bytes& info = options_.torrent.info;
    const auto total = static_cast<std::uint32_t>(info.size());
    const std::size_t begin = std::size_t{piece} * wire::kMetadataPieceBytes;
    wire::MetadataPiece given{.piece = piece, .total_bytes = total, .bytes = {}};
    if (begin < info.size()) {
      const std::size_t count = std::min<std::size_t>(wire::kMetadataPieceBytes, info.size() - begin);
      given.bytes.assign(info.begin() + static_cast<std::ptrdiff_t>(begin),
                         info.begin() + static_cast<std::ptrdiff_t>(begin + count));
    } else {
      given.bytes.assign(wire::kMetadataPieceBytes, std::byte{7});
    }
    if (options_.oddity == PeerOddity::lies_about_metadata) {
      if (rng_.chance(0.2)) return;
      given.bytes[rng_.below(given.bytes.size())] ^= std::byte{1};
      if (rng_.chance(0.2)) given.bytes.resize(given.bytes.size() / 2);
      if (rng_.chance(0.2)) given.piece += 1 + static_cast<std::uint32_t>(rng_.below(1000));
    }
    send(conn, wire::Extended{link.metadata_id, wire::encode(wire::MetadataMessage{given})});
  }

  // --- Blocks ---

  [[nodiscard]] Bytes right_bytes(const wire::BlockRange& range) const {
    if (range.piece.value >= options_.pieces.size()) return Bytes(range.size_bytes);
    const Bytes& piece = options_.pieces[range.piece.value];
    Bytes bytes(range.size_bytes);
    if (range.offset_bytes >= piece.size()) return bytes;
    const std::size_t count = std::min<std::size_t>(range.size_bytes, piece.size() - range.offset_bytes);
    std::copy_n(piece.begin() + range.offset_bytes, count, bytes.begin());
    return bytes;
  }

  [[nodiscard]] Bytes wrong_bytes(const wire::BlockRange& range) {
    Bytes bytes = right_bytes(range);
    if (!bytes.empty()) bytes[rng_.below(bytes.size())] ^= std::byte{1};
    return bytes;
  }

  void give(seam::ConnId conn, const wire::BlockRange& range, const Bytes& bytes) {
    Bytes message = wire::encode(wire::PieceHead{range});
    append(message, bytes);
    send_bytes(conn, std::move(message));
  }

  void answer(seam::ConnId conn, Link& link, wire::BlockRange range) {
    ++link.answers;
    switch (options_.oddity) {
      case PeerOddity::lies:
        return give(conn, range, rng_.chance(0.5) ? noise(rng_, range.size_bytes) : wrong_bytes(range));
      case PeerOddity::poisons:
        return give(conn, range, rng_.chance(0.125) ? wrong_bytes(range) : right_bytes(range));
      case PeerOddity::poisons_and_goes:
        if (rng_.chance(0.8)) return give(conn, range, right_bytes(range));
        give(conn, range, wrong_bytes(range));
        id_ = draw_peer_id(rng_);
        actions_.emplace_back(seam::ShutdownSend{conn});
        return;
      case PeerOddity::is_silent:
      case PeerOddity::chokes:
        return;
      case PeerOddity::flaps:
        send(conn, wire::Choke{});
        send(conn, wire::Reject{range});
        return send(conn, wire::Unchoke{});
      case PeerOddity::rejects:
        return send(conn, wire::Reject{range});
      case PeerOddity::dribbles:
        if (link.answers > 1) return;
        return give(conn, range, Bytes(range.size_bytes / 2));
      case PeerOddity::misplaces:
        if (rng_.chance(0.5)) {
          range.offset_bytes += wire::kBlockBytes;
        } else {
          ++range.piece.value;
        }
        return give(conn, range, right_bytes(range));
      case PeerOddity::misfits: {
        range.size_bytes = rng_.chance(0.5) ? range.size_bytes + 1 : range.size_bytes - 1;
        return give(conn, range, right_bytes(range));
      }
      default:
        return give(conn, range, right_bytes(range));
    }
  }

  OddPeerOptions options_;
  base::Rng rng_;
  wire::PeerId id_;
  std::map<seam::ConnId, Link> links_;
  std::array<std::byte, kScratchBytes> scratch_{};
  std::uint64_t next_conn_ = 1;
  std::uint64_t next_fetch_ = 1;
  int turns_ = 0;
  base::Instant next_turn_{};
  seam::Actions actions_;
};

}  // namespace

std::string_view to_string(PeerOddity oddity) {
  static constexpr std::array<std::string_view, kPeerOddities> kNames{
      "lies",       "poisons",       "poisons_and_goes", "is_silent",           "chokes",
      "flaps",      "rejects",       "dribbles",         "misplaces",           "misfits",
      "says_noise", "says_too_much", "claims_too_much",  "lies_about_metadata", "tells_of_the_dead"};
  return kNames.at(static_cast<std::size_t>(oddity));
}

bool is_liar(PeerOddity oddity) {
  return oddity == PeerOddity::lies || oddity == PeerOddity::poisons || oddity == PeerOddity::poisons_and_goes;
}

std::unique_ptr<seam::Machine> make_odd_peer(OddPeerOptions options, base::Rng rng) {
  return std::make_unique<OddPeer>(std::move(options), std::move(rng));
}

base::Endpoint dead_endpoint(base::Rng& rng) {
  const auto host = static_cast<std::uint32_t>(rng.below(1u << 16));
  return {{kDeadNetwork + host}, static_cast<std::uint16_t>(1024 + rng.below(60'000))};
}

}  // namespace shoal::sim
