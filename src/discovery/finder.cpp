#include "discovery/finder.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace shoal::discovery {
namespace {

using base::Endpoint;
using base::Instant;
using course::MessageType;

// 0 and 1 are the runner's own (seam/ids.hpp).
seam::SocketId socket_of(std::size_t interface) {
  return seam::SocketId(static_cast<std::uint32_t>(interface + 2));
}

seam::Tell trace(seam::MessageDirection direction, const Endpoint& remote, MessageType type, std::string detail) {
  return {seam::MessageTrace{.direction = direction,
                             .is_datagram = true,
                             .remote = remote,
                             .message = std::string(to_string(type)),
                             .detail = std::move(detail)}};
}

}  // namespace

Finder::Finder(FinderOptions options) : options_(std::move(options)) {
  if (options_.interfaces.size() > kInterfacesMax) options_.interfaces.resize(kInterfacesMax);
}

void Finder::start(Instant now) {
  is_over_ = false;
  announcements_ = 0;
  ends_ = now + options_.timeout;
  for (std::size_t i = 0; i < options_.interfaces.size(); ++i) {
    actions_.push_back(seam::OpenDatagram{socket_of(i), options_.interfaces[i].address});
  }
  announce(now);
  if (options_.interfaces.empty()) stop();
}

void Finder::announce(Instant now) {
  const base::Bytes message =
      course::encode_discover_tracker(options_.asks_for_bittorrent ? course::kBitTorrentBit : 0);
  for (std::size_t i = 0; i < options_.interfaces.size(); ++i) {
    const auto send = [&](base::Ipv4Address address) {
      const Endpoint to{address, options_.port};
      actions_.push_back(seam::SendDatagram{socket_of(i), to, message});
      actions_.push_back(trace(seam::MessageDirection::sent, to, MessageType::discover_tracker,
                               "from " + options_.interfaces[i].address.to_string()));
    };
    send(base::Ipv4Address::limited_broadcast());
    const auto& directed = options_.interfaces[i].broadcast;
    if (directed && *directed != base::Ipv4Address::limited_broadcast()) send(*directed);
  }
  ++announcements_;
  next_announcement_ = now + (announcements_ < kQuickAnnouncements ? kQuickPause : kLaterPause);
}

void Finder::on_datagram(const seam::DatagramArrived& datagram, Instant now) {
  if (is_over_) return;
  const base::ByteView bytes(datagram.bytes);
  // The body that was announced by a datagram of 8 bytes (4.19).
  if (const auto lone = lone_headers_.find(datagram.from); lone != lone_headers_.end()) {
    const course::Header header = lone->second;
    lone_headers_.erase(lone);
    if (bytes.size() == header.body_bytes()) {
      if (auto info = course::parse_tracker_info_body(bytes)) {
        accept(std::move(*info), header.reserved, datagram.from, now);
        return;
      }
    }
  }
  const auto header = course::parse_header(bytes);
  const bool is_tracker_info = header && header->version == course::kVersion &&
                               header->type == static_cast<std::uint8_t>(MessageType::tracker_info) &&
                               header->message_bytes() > course::kHeaderBytes;
  if (!is_tracker_info) return;
  if (bytes.size() == course::kHeaderBytes) {
    if (lone_headers_.size() < kLoneHeadersMax) lone_headers_.emplace(datagram.from, *header);
    return;
  }
  if (bytes.size() < header->message_bytes()) return;
  auto info = course::parse_tracker_info_body(
      bytes.subspan(course::kHeaderBytes, static_cast<std::size_t>(header->body_bytes())));
  if (info) accept(std::move(*info), header->reserved, datagram.from, now);
}

void Finder::accept(course::TrackerInfo info, std::uint16_t reserved, const Endpoint& from, Instant now) {
  actions_.push_back(trace(seam::MessageDirection::received, from, MessageType::tracker_info,
                           "tracker at " + info.tracker.to_string()));
  Endpoint tracker = info.tracker;
  // 127.x names the host that says so. From elsewhere it cannot be meant for us (4.20).
  const bool came_from_elsewhere = !from.address.is_loopback() && !is_our_own(from.address);
  if (tracker.address.is_any() || (tracker.address.is_loopback() && came_from_elsewhere))
    tracker.address = from.address;
  if (tracker.port == 0 || known_.size() == kTrackersMax || !known_.insert(tracker).second) return;
  if (!choice_at_) choice_at_ = now + kCollectTime;
  actions_.push_back(seam::Tell{seam::TrackerTrace{.what = seam::TrackerTrace::What::found,
                                                   .tracker = tracker,
                                                   .name = info.name,
                                                   .reason = "answered from " + from.to_string()}});
  untaken_.push_back({.tracker = tracker,
                      .name = std::move(info.name),
                      .place = known_.size() - 1,
                      .speaks_bittorrent = options_.asks_for_bittorrent && (reserved & course::kBitTorrentBit) != 0});
}

bool Finder::is_our_own(base::Ipv4Address address) const {
  return std::ranges::any_of(options_.interfaces, [&](const auto& each) { return each.address == address; });
}

void Finder::on_deadline(Instant now) {
  if (is_over_) return;
  if (choice_at_ && now >= *choice_at_) is_collecting_ = false;
  if (now >= ends_) {
    stop();
  } else if (now >= next_announcement_) {
    announce(now);
  }
}

void Finder::stop() {
  if (std::exchange(is_over_, true)) return;
  is_collecting_ = false;
  for (std::size_t i = 0; i < options_.interfaces.size(); ++i) {
    actions_.push_back(seam::CloseDatagram{socket_of(i)});
  }
}

std::optional<FoundTracker> Finder::take_next() {
  if (untaken_.empty()) return std::nullopt;
  if (is_collecting_) return std::nullopt;
  FoundTracker next = std::move(untaken_.front());
  untaken_.pop_front();
  return next;
}

std::optional<Instant> Finder::next_deadline() const {
  if (is_over_) return std::nullopt;
  Instant next = std::min(ends_, next_announcement_);
  if (is_collecting_ && choice_at_) next = std::min(next, *choice_at_);
  return next;
}

}  // namespace shoal::discovery
