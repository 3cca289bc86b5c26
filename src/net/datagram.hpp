// The UDP sockets of a machine: one for discovery that hears broadcasts, or several of its own to ask from, each bound
// to one local address. A socket that is bound to an address sends its broadcasts from that address's interface only,
// and needs no route for it (Linux chooses the interface by the source address; ip(7) and datagram_test.cpp). The same
// holds for multicasts to a socket's group, and it hears only those that arrive at its own interface.
//
// What is sent to whom a socket heard from last leaves from the address that was asked, also where the socket is bound
// to all of them: who asks compares. Belongs to the loop's thread.
#pragma once

#include <expected>
#include <memory>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "net/loop.hpp"
#include "net/socket.hpp"
#include "seam/actions.hpp"

namespace shoal::net {

class Datagrams {
 public:
  Datagrams(asio::io_context& loop, EventSink& sink);

  // Becomes seam::kDiscoverySocket; may share its port with others who want the same broadcasts.
  [[nodiscard]] std::expected<base::Endpoint, NetFailure> open_discovery(base::Endpoint local);
  // Becomes seam::kTrackerSocket; its port is its own.
  [[nodiscard]] std::expected<base::Endpoint, NetFailure> open_tracker(base::Endpoint local);
  // Datagrams arrive from now on.
  void start();

  // The actions of the same names.
  void open(const seam::OpenDatagram& open);
  void send(const seam::SendDatagram& datagram);
  void close(seam::SocketId socket);
  void close_all() { sockets_.clear(); }

 private:
  struct Socket {
    Descriptor descriptor;
    base::Endpoint local;  // of a group: our address at the interface, and the group's port
    // Of the last datagram that came to a socket bound to all addresses.
    base::Endpoint last_from;
    base::Ipv4Address last_local;
  };

  [[nodiscard]] std::expected<base::Endpoint, int> insert(seam::SocketId id, UniqueFd socket, base::Endpoint local);
  [[nodiscard]] std::expected<base::Endpoint, int> bind_and_insert(seam::SocketId id, UniqueFd socket,
                                                                   base::Endpoint local);
  [[nodiscard]] std::expected<base::Endpoint, int> open_own(const seam::OpenDatagram& open);
  [[nodiscard]] std::expected<base::Endpoint, int> open_group(const seam::OpenDatagram& open);
  void wait(seam::SocketId id);
  void receive_turn(seam::SocketId id);

  asio::io_context& loop_;
  EventSink& sink_;
  boost::unordered_flat_map<seam::SocketId, std::unique_ptr<Socket>, std::hash<seam::SocketId>> sockets_;
  std::vector<std::byte> scratch_;  // where a datagram arrives; allocated with the first socket
};

}  // namespace shoal::net
