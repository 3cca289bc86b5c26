// What an announcer makes of trackers of all kinds: answers that are none, in any order and at any time, datagrams of
// strangers, names with any addresses. It must keep to one question per tracker, take peers within its limits, come to
// rest between its deadlines, and end in time with nothing open.
//
// The input: a byte that chooses the tiers, then steps, each a byte (see Step) and what belongs to it.
#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "fuzz/input.hpp"
#include "swarm/announcer.hpp"

namespace shoal::swarm {
namespace {

using base::Endpoint;
using base::Instant;

enum class Step : std::uint8_t {
  http_answer,
  http_failure,
  datagram,
  fitting_datagram,  // with the transaction that is under way
  connected,
  resolved,
  pause,
  long_pause,
  completed,
  announce_soon,
  add_tracker,
};
constexpr std::size_t kSteps = 11;

std::vector<std::vector<std::string>> make_tiers(std::uint8_t choice) {
  std::vector<std::vector<std::string>> tiers;
  if ((choice & 1) != 0) tiers.push_back({"http://a/announce", "http://b/announce?c", "udp://10.0.0.1:1/x"});
  if ((choice & 2) != 0) tiers.push_back({"udp://10.0.0.2:2", "udp://name:3/path?query"});
  if ((choice & 4) != 0) tiers.push_back({"https://127.0.0.1:4/"});
  if ((choice & 8) != 0) tiers.push_back({"udp://127.0.0.1:5", "udp://255.255.255.255:1"});
  return tiers;
}

class World {
 public:
  explicit World(std::uint8_t choice)
      : announcer_({.info_hash = base::sha1({}), .port = 6881, .tiers = make_tiers(choice)}, base::Rng(choice)) {
    announcer_.start({.left = static_cast<std::uint64_t>(choice >> 7)}, now_);
    settle();
  }

  void take(Step step, fuzz::Script& script) {
    switch (step) {
      case Step::http_answer: {
        const int status = script.u8() % 2 == 0 ? 200 : 404;
        if (const auto fetch = take_one(fetches_, script)) {
          const base::ByteView body = script.long_bytes();
          hear(seam::Fetched{.fetch = *fetch, .status = status, .body = base::Bytes(body.begin(), body.end())});
        }
        return;
      }
      case Step::http_failure:
        if (const auto fetch = take_one(fetches_, script)) hear(seam::FetchFailed{.fetch = *fetch, .reason = "no"});
        return;
      case Step::datagram:
        return datagram(script.long_bytes(), script.u8());
      case Step::fitting_datagram:
        return fitting_datagram(script);
      case Step::connected:
        if (!asked_.empty()) {
          const auto& [tracker, transaction] = asked_.back();
          hear_from(tracker, base::ByteWriter().u32(0).u32(transaction).u64(script.u8()).take());
        }
        return;
      case Step::resolved:
        return resolve(script);
      case Step::pause:
        return pass(script.pause());
      case Step::long_pause:
        return pass(script.pause() * 100);
      case Step::completed:
        announcer_.on_status({.left = 0});
        announcer_.on_completed(now_);
        return settle();
      case Step::announce_soon:
        announcer_.announce_soon(static_cast<AnnounceReason>(script.u8() % 2), now_);
        return settle();
      case Step::add_tracker:
        announcer_.add_tracker(std::string(base::text_of(script.bytes())), now_);
        return settle();
    }
  }

  void end() {
    announcer_.stop(now_);
    settle();
    pass(kStopPatience);
    SHOAL_CHECK(announcer_.is_stopped() && !is_socket_open_ && fetches_.empty());
    SHOAL_CHECK(!announcer_.next_deadline());
  }

 private:
  template <typename Id>
  static std::optional<Id> take_one(std::vector<Id>& ids, fuzz::Script& script) {
    if (ids.empty()) return std::nullopt;
    const auto place = ids.begin() + static_cast<std::ptrdiff_t>(script.below(ids.size()));
    const Id id = *place;
    ids.erase(place);
    return id;
  }
  void datagram(base::ByteView bytes, std::uint8_t sender) {
    constexpr std::array<Endpoint, 4> kSenders = {
        {{{0x0a000001}, 1}, {{0x0a000002}, 2}, {{0x7f000001}, 5}, {{0x0a000003}, 3}}};
    hear_from(kSenders[sender % kSenders.size()], base::Bytes(bytes.begin(), bytes.end()));
  }
  void fitting_datagram(fuzz::Script& script) {
    const std::uint8_t action = script.u8();
    const base::ByteView rest = script.long_bytes();
    if (asked_.empty()) return;
    const auto& [tracker, transaction] = asked_.back();
    hear_from(tracker, base::ByteWriter().u32(action).u32(transaction).append(rest).take());
  }
  void hear_from(Endpoint from, base::Bytes bytes) {
    hear(seam::DatagramArrived{.socket = seam::kAnnouncerSocket, .from = from, .local = {}, .bytes = std::move(bytes)});
  }
  void resolve(fuzz::Script& script) {
    const base::ByteView bytes = script.bytes();
    const auto id = take_one(resolves_, script);
    if (!id) return;
    base::ByteReader reader(bytes);
    std::vector<base::Ipv4Address> addresses;
    while (reader.remaining() >= 4) addresses.push_back({reader.u32()});
    hear(seam::NameResolved{.resolve = *id, .addresses = std::move(addresses)});
  }
  void hear(const seam::Event& event) {
    SHOAL_CHECK(announcer_.on_event(event, now_));
    settle();
  }
  void pass(base::Duration duration) {
    const Instant end = now_ + duration;
    while (announcer_.next_deadline() && *announcer_.next_deadline() <= end) {
      now_ = std::max(now_, *announcer_.next_deadline());
      announcer_.on_deadline(now_);
      settle();
      SHOAL_CHECK(!announcer_.next_deadline() || *announcer_.next_deadline() > now_);
    }
    now_ = end;
  }

  void settle() {
    for (const seam::Action& action : announcer_.take_actions()) {
      if (const auto* fetch = std::get_if<seam::Fetch>(&action)) {
        fetches_.push_back(fetch->fetch);
      } else if (const auto* cancel = std::get_if<seam::CancelFetch>(&action)) {
        SHOAL_CHECK(std::erase(fetches_, cancel->fetch) == 1);
      } else if (const auto* resolve = std::get_if<seam::Resolve>(&action)) {
        resolves_.push_back(resolve->resolve);
      } else if (const auto* send = std::get_if<seam::SendDatagram>(&action)) {
        SHOAL_CHECK(is_socket_open_ && send->bytes.size() >= 16 && send->to.address.value >> 24 < 224);
        asked_.push_back({send->to, base::ByteReader(base::ByteView(send->bytes).subspan(12)).u32()});
      } else if (std::holds_alternative<seam::OpenDatagram>(action)) {
        SHOAL_CHECK(!std::exchange(is_socket_open_, true));
      } else if (std::holds_alternative<seam::CloseDatagram>(action)) {
        SHOAL_CHECK(std::exchange(is_socket_open_, false));
      } else {
        check_text(std::get<seam::Tell>(action).trace);
      }
    }
    const auto trackers = announcer_.trackers();
    SHOAL_CHECK(trackers.size() <= kTrackersMax && fetches_.size() <= trackers.size());
    const auto peers = announcer_.take_peers();
    SHOAL_CHECK(peers.size() <= wire::kAnnouncePeersMax);
    for (const Endpoint& peer : peers) SHOAL_CHECK(peer.port != 0);
  }
  // What goes to a terminal.
  static void check_text(const seam::Trace& trace) {
    const auto is_harmless = [](const std::string& text) {
      return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
    };
    if (const auto* note = std::get_if<seam::NoteTrace>(&trace)) SHOAL_CHECK(is_harmless(note->text));
    if (const auto* tracker = std::get_if<seam::TrackerTrace>(&trace)) {
      SHOAL_CHECK(is_harmless(tracker->name) && is_harmless(tracker->reason));
    }
  }

  Instant now_{};
  Announcer announcer_;
  bool is_socket_open_ = false;
  std::vector<seam::FetchId> fetches_;
  std::vector<seam::ResolveId> resolves_;
  std::vector<std::pair<Endpoint, std::uint32_t>> asked_;  // over UDP: whom, and the transaction
};

}  // namespace
}  // namespace shoal::swarm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  fuzz::Script script(data, size);
  swarm::World world(script.u8());
  while (!script.is_over()) world.take(static_cast<swarm::Step>(script.below(swarm::kSteps)), script);
  world.end();
  return 0;
}
