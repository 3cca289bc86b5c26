#include "sim/network.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace shoal::sim {

struct Network::Host {
  base::Ipv4Address address;
  LinkOptions link;
  HostPort* port = nullptr;
  bool is_up = true;
  bool is_transmitting = false;
  std::deque<EndId> turns;  // ends with something to send, in turn
  base::Instant downlink_free{};
  std::uint64_t payload_sent = 0;
};

struct Network::End {
  EndId id;
  EndId peer;
  base::Endpoint local;
  base::Endpoint remote;
  bool is_open = false;
  bool is_closed = false;  // by its own host
  std::deque<base::Bytes> outgoing;
  std::size_t outgoing_front = 0;
  bool has_turn = false;
  bool wants_end = false;  // shutdown_send or close, once outgoing is empty
  bool end_sent = false;
  std::size_t unacknowledged = 0;  // under way, or unread by the other side
  std::deque<base::Bytes> incoming;
  std::size_t incoming_front = 0;
  std::size_t incoming_bytes = 0;
  bool input_ended = false;
  base::Instant last_arrival{};  // keeps the stream in order when a latency changes
};

Network::Network(EventQueue& queue, NetworkOptions options, base::Rng rng)
    : queue_(queue), options_(options), rng_(std::move(rng)) {}
Network::~Network() = default;

void Network::add_host(base::Ipv4Address address, LinkOptions link, HostPort* port) {
  auto host = std::make_unique<Host>();
  host->address = address;
  host->link = link;
  host->port = port;
  hosts_[address] = std::move(host);
}

Network::Host* Network::host_of(base::Ipv4Address address) {
  const auto found = hosts_.find(address);
  return found == hosts_.end() ? nullptr : found->second.get();
}

Network::End* Network::find(EndId end) {
  const auto found = ends_.find(end);
  return found == ends_.end() ? nullptr : found->second.get();
}

bool Network::is_cut(base::Ipv4Address one, base::Ipv4Address other) const {
  return one_side_.contains(one) != one_side_.contains(other);
}

void Network::set_up(base::Ipv4Address address, bool is_up) {
  Host* host = host_of(address);
  SHOAL_CHECK(host != nullptr);
  host->is_up = is_up;
  if (is_up) return;
  std::vector<std::pair<EndId, EndId>> broken;
  for (const auto& [id, end] : ends_) {
    if (end->local.address == address) broken.emplace_back(id, end->peer);
  }
  for (const auto& [id, peer] : broken) {
    ends_.erase(id);
    queue_.after(host->link.latency, [this, lost = peer] { lose(lost); });
  }
  std::erase_if(listening_, [address](const base::Endpoint& local) { return local.address == address; });
  std::erase_if(datagram_ports_, [address](const base::Endpoint& local) { return local.address == address; });
  std::erase_if(group_members_, [address](const auto& member) { return member.first == address; });
}

void Network::set_link(base::Ipv4Address address, LinkOptions link) {
  host_of(address)->link = link;
}

void Network::set_partition(std::set<base::Ipv4Address> one_side) {
  one_side_ = std::move(one_side);
  for (const auto& [id, end] : ends_) offer_turn(*end);
}

void Network::listen(base::Endpoint local) {
  listening_.insert(local);
}
void Network::bind_datagram(base::Endpoint local) {
  datagram_ports_.insert(local);
}
void Network::join_group(base::Ipv4Address host, base::Endpoint group) {
  group_members_.emplace(host, group);
}

EndId Network::dial(base::Ipv4Address from, base::Endpoint remote) {
  const EndId id{next_end_++};
  auto end = std::make_unique<End>();
  end->id = id;
  end->local = {from, next_port_};
  next_port_ = next_port_ == 65535 ? 40000 : static_cast<std::uint16_t>(next_port_ + 1);
  end->remote = remote;
  ends_[id] = std::move(end);
  Host* target = host_of(remote.address);
  const base::Duration latency =
      host_of(from)->link.latency + (target != nullptr ? target->link.latency : base::Duration{});
  queue_.after(2 * latency, [this, id, remote] { complete_dial(id, remote); });
  return id;
}

void Network::complete_dial(EndId id, base::Endpoint remote) {
  End* end = find(id);
  if (end == nullptr) return;
  Host* caller = host_of(end->local.address);
  Host* target = host_of(remote.address);
  // A host that is not there, is down or is cut off says nothing: the dialler's own deadline has to end this.
  if (target == nullptr || !target->is_up || is_cut(end->local.address, remote.address)) return;
  if (!listening_.contains(remote)) {
    ends_.erase(id);
    caller->port->on_connect_failed(id, seam::NetError::refused);
    return;
  }
  const EndId other{next_end_++};
  auto accepted = std::make_unique<End>();
  accepted->id = other;
  accepted->peer = id;
  accepted->local = remote;
  accepted->remote = end->local;
  accepted->is_open = true;
  end->peer = other;
  end->is_open = true;
  const base::Endpoint local = end->local;
  ends_[other] = std::move(accepted);
  target->port->on_accepted(other, remote, local);
  caller->port->on_connected(id, local, remote);
}

bool Network::can_send(const End& end) {
  if (!end.is_open || end.end_sent) return false;
  const bool has_bytes = !end.outgoing.empty();
  if (has_bytes && end.unacknowledged >= options_.window_bytes) return false;
  if (!has_bytes && !end.wants_end) return false;
  return !is_cut(end.local.address, end.remote.address);
}

void Network::write(EndId id, base::Bytes bytes) {
  End* end = find(id);
  if (end == nullptr || bytes.empty() || end->wants_end) return;
  end->outgoing.push_back(std::move(bytes));
  offer_turn(*end);
}

void Network::shutdown_send(EndId id) {
  End* end = find(id);
  if (end == nullptr) return;
  end->wants_end = true;
  offer_turn(*end);
}

void Network::close(EndId id) {
  End* end = find(id);
  if (end == nullptr) return;
  if (!end->is_open) {
    ends_.erase(id);
    return;
  }
  end->is_closed = true;
  end->incoming.clear();
  end->incoming_front = 0;
  if (End* peer = find(end->peer)) {
    peer->unacknowledged -= std::min(peer->unacknowledged, end->incoming_bytes);
  }
  end->incoming_bytes = 0;
  shutdown_send(id);
}

void Network::offer_turn(End& end) {
  if (end.has_turn || !can_send(end)) return;
  end.has_turn = true;
  Host* host = host_of(end.local.address);
  host->turns.push_back(end.id);
  if (host->is_transmitting || !host->is_up) return;
  host->is_transmitting = true;
  transmit(host->address);
}

void Network::transmit(base::Ipv4Address address) {
  Host* host = host_of(address);
  while (host->is_up && !host->turns.empty()) {
    const EndId id = host->turns.front();
    host->turns.pop_front();
    End* end = find(id);
    if (end == nullptr) continue;
    end->has_turn = false;
    if (!can_send(*end)) continue;
    base::Bytes quantum;
    while (!end->outgoing.empty() && quantum.size() < options_.quantum_bytes) {
      const base::Bytes& front = end->outgoing.front();
      const std::size_t count = std::min(options_.quantum_bytes - quantum.size(), front.size() - end->outgoing_front);
      quantum.insert(quantum.end(), front.begin() + static_cast<std::ptrdiff_t>(end->outgoing_front),
                     front.begin() + static_cast<std::ptrdiff_t>(end->outgoing_front + count));
      end->outgoing_front += count;
      if (end->outgoing_front == front.size()) {
        end->outgoing.pop_front();
        end->outgoing_front = 0;
      }
    }
    end->unacknowledged += quantum.size();
    host->payload_sent += quantum.size();
    const auto duration = base::from_seconds(static_cast<double>(quantum.size()) / host->link.up_bytes_per_s);
    queue_.after(duration, [this, address, id, quantum = std::move(quantum)]() mutable {
      finish_transmit(address, id, std::move(quantum));
    });
    return;
  }
  host->is_transmitting = false;
}

void Network::finish_transmit(base::Ipv4Address address, EndId id, base::Bytes quantum) {
  Host* host = host_of(address);
  if (End* end = find(id)) {
    const bool was_last = end->outgoing.empty();
    if (!quantum.empty()) carry(end->peer, std::move(quantum), host->link.latency);
    if (was_last && end->wants_end && !end->end_sent) {
      end->end_sent = true;
      carry(end->peer, {}, host->link.latency);
    }
    offer_turn(*end);
    if (was_last && !end->is_closed) host->port->on_writable(id);
  }
  transmit(address);
}

void Network::carry(EndId to, base::Bytes quantum, base::Duration latency) {
  End* end = find(to);
  if (end == nullptr) return;
  const Host* target = host_of(end->local.address);
  const base::Instant arrival = std::max(end->last_arrival, queue_.now() + latency + target->link.latency);
  end->last_arrival = arrival;
  queue_.at(arrival, [this, to, quantum = std::move(quantum)]() mutable { enter_downlink(to, std::move(quantum)); });
}

void Network::enter_downlink(EndId to, base::Bytes quantum) {
  End* end = find(to);
  if (end == nullptr) return;
  Host* host = host_of(end->local.address);
  const auto duration = base::from_seconds(static_cast<double>(quantum.size()) / host->link.down_bytes_per_s);
  host->downlink_free = std::max(host->downlink_free, queue_.now()) + duration;
  queue_.at(host->downlink_free, [this, to, quantum = std::move(quantum)]() mutable {
    if (quantum.empty()) {
      deliver_end(to);
    } else {
      deliver(to, std::move(quantum));
    }
  });
}

void Network::deliver(EndId to, base::Bytes quantum) {
  End* end = find(to);
  if (end == nullptr) return;
  if (end->is_closed) {  // discarded; the sender's window opens
    if (End* peer = find(end->peer)) {
      peer->unacknowledged -= std::min(peer->unacknowledged, quantum.size());
      offer_turn(*peer);
    }
    return;
  }
  end->incoming_bytes += quantum.size();
  end->incoming.push_back(std::move(quantum));
  host_of(end->local.address)->port->on_readable(to);
}

void Network::deliver_end(EndId to) {
  End* end = find(to);
  if (end == nullptr) return;
  end->input_ended = true;
  if (end->is_closed) {
    if (end->end_sent) ends_.erase(to);
    return;
  }
  host_of(end->local.address)->port->on_readable(to);
}

void Network::lose(EndId id) {
  End* end = find(id);
  if (end == nullptr) return;
  Host* host = host_of(end->local.address);
  const bool tell = !end->is_closed;
  ends_.erase(id);
  if (tell) host->port->on_lost(id);
}

std::size_t Network::read(EndId id, std::span<std::byte> target) {
  End* end = find(id);
  if (end == nullptr) return 0;
  std::size_t count = 0;
  while (count < target.size() && !end->incoming.empty()) {
    const base::Bytes& front = end->incoming.front();
    const std::size_t part = std::min(target.size() - count, front.size() - end->incoming_front);
    std::memcpy(target.data() + count, front.data() + end->incoming_front, part);
    count += part;
    end->incoming_front += part;
    if (end->incoming_front == front.size()) {
      end->incoming.pop_front();
      end->incoming_front = 0;
    }
  }
  end->incoming_bytes -= count;
  End* peer = find(end->peer);
  if (count > 0 && peer != nullptr) {
    peer->unacknowledged -= std::min(peer->unacknowledged, count);
    offer_turn(*peer);
  }
  return count;
}

std::size_t Network::readable_bytes(EndId id) const {
  const auto found = ends_.find(id);
  return found == ends_.end() ? 0 : found->second->incoming_bytes;
}

bool Network::is_input_ended(EndId id) const {
  const auto found = ends_.find(id);
  return found != ends_.end() && found->second->input_ended && found->second->incoming_bytes == 0;
}

void Network::send_datagram(base::Endpoint from, base::Endpoint to, base::Bytes bytes) {
  for (const auto& [address, host] : hosts_) {
    const bool is_target = to.address == base::Ipv4Address::limited_broadcast() || to.address == address;
    const bool is_member = group_members_.contains({address, to});
    const bool is_heard = is_member || (is_target && datagram_ports_.contains({address, to.port}));
    if (!is_heard || !host->is_up || is_cut(from.address, address)) continue;
    if (rng_.chance(options_.datagram_loss)) continue;
    const base::Duration latency = host->link.latency + host_of(from.address)->link.latency;
    const base::Endpoint heard_at = is_member ? to : base::Endpoint{address, to.port};
    queue_.after(latency, [this, target_address = address, heard_at, from, bytes] {
      Host* target = host_of(target_address);
      if (target->is_up) target->port->on_datagram(heard_at, from, bytes);
    });
  }
}

std::uint64_t Network::payload_bytes_sent(base::Ipv4Address address) const {
  return hosts_.at(address)->payload_sent;
}

}  // namespace shoal::sim
