// A network in virtual time: hosts with an uplink and a downlink, TCP connections that are byte streams with a window,
// UDP that may be lost, partitions. Bytes travel in quanta; the flows of one uplink take turns, a downlink is a queue.
// Knows nothing of machines: SimHost (host.hpp) is told through HostPort.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/rng.hpp"
#include "seam/events.hpp"
#include "sim/event_queue.hpp"

namespace shoal::sim {

struct LinkOptions {
  double up_bytes_per_s = 12.5e6;
  double down_bytes_per_s = 125e6;
  base::Duration latency = std::chrono::microseconds(200);
};

struct NetworkOptions {
  std::size_t quantum_bytes = 1448;
  std::size_t window_bytes = 256 * 1024;  // of one direction of a connection: under way and unread
  double datagram_loss = 0.0;
};

// One end of a connection.
using EndId = base::Strong<struct EndIdTag, std::uint64_t>;

// What a host hears from the network.
class HostPort {
 public:
  virtual ~HostPort() = default;
  virtual void on_accepted(EndId end, base::Endpoint local, base::Endpoint remote) = 0;
  virtual void on_connected(EndId end, base::Endpoint local, base::Endpoint remote) = 0;
  virtual void on_connect_failed(EndId end, seam::NetError error) = 0;
  virtual void on_readable(EndId end) = 0;  // bytes or the end of input are there
  virtual void on_writable(EndId end) = 0;  // everything handed to write() has left this host
  virtual void on_lost(EndId end) = 0;
  // `to`: where the host heard it, its own address or a group with the port.
  virtual void on_datagram(base::Endpoint to, base::Endpoint from, base::Bytes bytes) = 0;
};

class Network {
 public:
  Network(EventQueue& queue, NetworkOptions options, base::Rng rng);
  ~Network();

  // The port must outlive the network or be removed with set_up(address, false).
  void add_host(base::Ipv4Address address, LinkOptions link, HostPort* port);
  // A host that is down neither hears nor says anything; its connections are lost to it at once and to others when
  // they next try to use them (a reset), or never when it went silently.
  void set_up(base::Ipv4Address address, bool is_up);
  void set_link(base::Ipv4Address address, LinkOptions link);
  // While partitioned, nothing crosses between the two groups; TCP keeps what it has and goes on afterwards.
  void set_partition(std::set<base::Ipv4Address> one_side);
  void listen(base::Endpoint local);
  void bind_datagram(base::Endpoint local);
  // What is sent to `group` reaches this host too, whoever sends it. All hosts share one local network.
  void join_group(base::Ipv4Address host, base::Endpoint group);

  EndId dial(base::Ipv4Address from, base::Endpoint remote);
  void write(EndId end, base::Bytes bytes);
  void shutdown_send(EndId end);
  void close(EndId end);
  // Copies what arrived, at most target.size(); 0: nothing there.
  std::size_t read(EndId end, std::span<std::byte> target);
  [[nodiscard]] std::size_t readable_bytes(EndId end) const;
  [[nodiscard]] bool is_input_ended(EndId end) const;  // and nothing is left to read

  void send_datagram(base::Endpoint from, base::Endpoint to, base::Bytes bytes);

  [[nodiscard]] std::uint64_t payload_bytes_sent(base::Ipv4Address address) const;

 private:
  struct Host;
  struct End;

  End* find(EndId end);
  Host* host_of(base::Ipv4Address address);
  bool is_cut(base::Ipv4Address one, base::Ipv4Address other) const;
  void offer_turn(End& end);
  void transmit(base::Ipv4Address address);
  void finish_transmit(base::Ipv4Address address, EndId id, base::Bytes quantum);
  void carry(EndId to, base::Bytes quantum, base::Duration latency);
  void enter_downlink(EndId to, base::Bytes quantum);
  void deliver(EndId to, base::Bytes quantum);
  void deliver_end(EndId to);
  void lose(EndId end);
  void complete_dial(EndId id, base::Endpoint remote);
  [[nodiscard]] bool can_send(const End& end);

  EventQueue& queue_;
  NetworkOptions options_;
  base::Rng rng_;
  std::map<base::Ipv4Address, std::unique_ptr<Host>> hosts_;
  std::map<EndId, std::unique_ptr<End>> ends_;
  std::set<base::Ipv4Address> one_side_;
  std::set<base::Endpoint> listening_;
  std::set<base::Endpoint> datagram_ports_;
  std::set<std::pair<base::Ipv4Address, base::Endpoint>> group_members_;
  std::uint64_t next_end_ = 1;
  std::uint16_t next_port_ = 40000;
};

}  // namespace shoal::sim
