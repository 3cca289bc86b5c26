// The search for trackers while hosts of all kinds answer: whole, in two datagrams, again and again, or with nonsense.
// What one sender says must be taken as if it were alone, and no number of senders may exceed the limits.
//
// The input: a byte for the options, then steps, each a byte (see Step) and what belongs to it.
#include <optional>
#include <set>
#include <vector>

#include "discovery/finder.hpp"
#include "fuzz/input.hpp"

namespace shoal::discovery {
namespace {

constexpr base::Ipv4Address kOwn{0x0a000063};
constexpr base::Ipv4Address kOther{0x0a000007};
constexpr std::uint16_t kPort = 9000;
constexpr std::size_t kSenders = 80;  // more than either limit

struct Step {
  enum class Kind : std::uint8_t { datagram, pause, take, stop } kind = Kind::datagram;
  base::Endpoint from;   // of a datagram
  base::ByteView bytes;  // of a datagram
  base::Duration pause{};
};
constexpr std::size_t kKinds = 4;

std::vector<Step> read_steps(fuzz::Script& script) {
  constexpr std::array<base::Ipv4Address, 4> kAddresses = {kOther, base::Ipv4Address::loopback(), kOwn, {}};
  std::vector<Step> steps;
  while (!script.is_over()) {
    Step step{.kind = static_cast<Step::Kind>(script.below(kKinds)), .from = {}, .bytes = {}};
    if (step.kind == Step::Kind::datagram) {
      const std::size_t sender = script.below(kSenders);
      step.from = {kAddresses[sender % kAddresses.size()], static_cast<std::uint16_t>(kPort + sender / 4)};
      step.bytes = script.bytes();
    } else if (step.kind == Step::Kind::pause) {
      step.pause = script.pause() / 16;
    }
    steps.push_back(step);
  }
  return steps;
}

FinderOptions make_options(std::uint8_t options) {
  FinderOptions made{.interfaces = {}, .port = kPort, .asks_for_bittorrent = (options & 4) != 0};
  if ((options & 1) == 0) made.interfaces.push_back({kOwn, base::Ipv4Address{0x0a0000ff}});
  if ((options & 2) == 0) made.interfaces.push_back({base::Ipv4Address::loopback(), std::nullopt});
  return made;
}

// The tracker a whole TRACKER_INFO names, as this sender's listener can reach it; nothing when it names none.
std::optional<base::Endpoint> tracker_in(const Step& step, const FinderOptions& options) {
  const auto header = course::parse_header(step.bytes);
  if (!header || header->version != 1 || header->type != 1 || header->length_dwords <= 2) return std::nullopt;
  if (step.bytes.size() < header->message_bytes()) return std::nullopt;
  const auto info = course::parse_tracker_info_body(
      step.bytes.subspan(course::kHeaderBytes, static_cast<std::size_t>(header->body_bytes())));
  if (!info || info->tracker.port == 0) return std::nullopt;
  base::Endpoint tracker = info->tracker;
  const bool is_ours =
      std::ranges::any_of(options.interfaces, [&](const auto& each) { return each.address == step.from.address; });
  const bool is_foreign = !is_ours && !step.from.address.is_loopback();
  if (tracker.address.is_any() || (tracker.address.is_loopback() && is_foreign)) tracker.address = step.from.address;
  return tracker;
}

class Search {
 public:
  explicit Search(FinderOptions options) : options_(std::move(options)), finder_(options_) {
    finder_.start(now_);
    settle();
  }

  void take(const Step& step) {
    switch (step.kind) {
      case Step::Kind::datagram:
        return hear(step);
      case Step::Kind::pause:
        return pass(step.pause);
      case Step::Kind::take:
        return take_trackers();
      case Step::Kind::stop:
        finder_.stop();
        return settle();
    }
  }
  void end() {
    pass(options_.timeout);
    SHOAL_CHECK(finder_.is_over() && open_.empty());
    take_trackers();
    SHOAL_CHECK(taken_ == found_.size());
  }
  [[nodiscard]] std::set<base::Endpoint> found() const { return {found_.begin(), found_.end()}; }

 private:
  void hear(const Step& step) {
    const bool was_over = finder_.is_over();
    const std::size_t found_before = found_.size();
    finder_.on_datagram({.socket = seam::SocketId(1),
                         .from = step.from,
                         .local = kOwn,
                         .bytes = base::Bytes(step.bytes.begin(), step.bytes.end())},
                        now_);
    settle();
    SHOAL_CHECK(found_.size() <= found_before + (was_over ? 0 : 1));
    const bool may_be_a_body = senders_of_headers_.erase(step.from) > 0;
    if (step.bytes.size() == course::kHeaderBytes) senders_of_headers_.insert(step.from);
    const auto wanted = tracker_in(step, options_);
    if (!wanted || was_over || may_be_a_body || found_before == kTrackersMax) return;
    SHOAL_CHECK(std::ranges::find(found_, *wanted) != found_.end());
  }
  void pass(base::Duration duration) {
    const base::Instant end = now_ + duration;
    while (finder_.next_deadline() && *finder_.next_deadline() <= end) {
      now_ = std::max(now_, *finder_.next_deadline());
      finder_.on_deadline(now_);
      settle();
      SHOAL_CHECK(!finder_.next_deadline() || *finder_.next_deadline() > now_);
    }
    now_ = end;
  }
  [[nodiscard]] std::size_t announcements_max() const {
    return kQuickAnnouncements + static_cast<std::size_t>(options_.timeout / kLaterPause);
  }
  void take_trackers() {
    while (const auto next = finder_.take_next()) {
      SHOAL_CHECK(taken_ < found_.size() && next->tracker == found_[taken_] && next->place == taken_);
      SHOAL_CHECK(options_.asks_for_bittorrent || !next->speaks_bittorrent);
      ++taken_;
    }
  }
  void settle() {
    for (const seam::Action& action : finder_.take_actions()) {
      if (const auto* open = std::get_if<seam::OpenDatagram>(&action)) {
        SHOAL_CHECK(open->socket != seam::kDiscoverySocket && open_.insert(open->socket).second);
      } else if (const auto* send = std::get_if<seam::SendDatagram>(&action)) {
        SHOAL_CHECK(open_.contains(send->socket) && send->to.port == kPort);
        SHOAL_CHECK(send->bytes == course::encode_discover_tracker(options_.asks_for_bittorrent ? 2 : 0));
        SHOAL_CHECK(++sent_ <= 2 * announcements_max() * options_.interfaces.size());
      } else if (const auto* close = std::get_if<seam::CloseDatagram>(&action)) {
        SHOAL_CHECK(open_.erase(close->socket) == 1);
      } else {
        const auto& trace = std::get<seam::Tell>(action).trace;
        if (const auto* tracker = std::get_if<seam::TrackerTrace>(&trace)) add(*tracker);
      }
    }
    SHOAL_CHECK(finder_.found() == found_.size() && found_.size() <= kTrackersMax);
    SHOAL_CHECK(finder_.is_over() == !finder_.next_deadline() && (!finder_.is_over() || open_.empty()));
  }
  void add(const seam::TrackerTrace& trace) {
    SHOAL_CHECK(trace.what == seam::TrackerTrace::What::found && trace.tracker.port != 0);
    SHOAL_CHECK(std::ranges::find(found_, trace.tracker) == found_.end());
    found_.push_back(trace.tracker);
  }

  FinderOptions options_;
  base::Instant now_{};
  Finder finder_;
  std::set<seam::SocketId> open_;
  std::set<base::Endpoint> senders_of_headers_;  // whose latest datagram was as long as a header
  std::vector<base::Endpoint> found_;
  std::size_t taken_ = 0;
  std::size_t sent_ = 0;
};

std::set<base::Endpoint> search(const FinderOptions& options, const std::vector<Step>& steps,
                                std::optional<base::Endpoint> only = std::nullopt) {
  Search search(options);
  for (const Step& step : steps) {
    if (step.kind != Step::Kind::datagram || !only || step.from == *only) search.take(step);
  }
  search.end();
  return search.found();
}

void check(std::uint8_t option_bits, fuzz::Script& script) {
  const FinderOptions options = make_options(option_bits);
  const std::vector<Step> steps = read_steps(script);
  const std::set<base::Endpoint> together = search(options, steps);
  std::set<base::Endpoint> senders;
  for (const Step& step : steps) {
    if (step.kind == Step::Kind::datagram) senders.insert(step.from);
  }
  // At a limit they are in each other's way.
  if (together.size() == kTrackersMax || senders.size() > kLoneHeadersMax) return;
  std::set<base::Endpoint> alone;
  for (const base::Endpoint& sender : senders) alone.merge(search(options, steps, sender));
  SHOAL_CHECK(together == alone);
}

}  // namespace
}  // namespace shoal::discovery

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  shoal::fuzz::Script script(data, size);
  const std::uint8_t option_bits = script.u8();
  shoal::discovery::check(option_bits, script);
  return 0;
}
