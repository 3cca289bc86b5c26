// Every TCP connection the machine knows: carries out its TCP actions, and reads into the places the machine names.
// A connection costs a few hundred bytes and no buffer, so thousands may sit idle. Reading is by readiness: a wake-up
// reads until the kernel has nothing more or the turn is over, then the others have theirs.
//
// Always holds: a connection is in the table from Dial or Accepted until Close, ConnectFailed or ConnectionLost.
// Belongs to the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "net/closing.hpp"
#include "net/loop.hpp"
#include "net/send_queue.hpp"
#include "net/socket.hpp"
#include "seam/actions.hpp"

namespace shoal::net {

// For one connection in one turn of the loop.
inline constexpr std::size_t kReadBytesPerTurn = 2u << 20;
inline constexpr int kReadsPerTurn = 16;

class Connections {
 public:
  Connections(asio::io_context& loop, EventSink& sink);

  void accept(UniqueFd socket, base::Endpoint local, base::Endpoint remote);

  // The actions of the same names. Those on connections that are gone do nothing.
  void dial(const seam::Dial& dial);
  void send(seam::ConnId conn, OutgoingMessage message);
  void shutdown_send(seam::ConnId conn);
  void close(seam::ConnId conn);
  void resume_reading(seam::ConnId conn);
  [[nodiscard]] bool is_drained(seam::ConnId conn);

  // The run ends. Closes everything; is_quiet() tells when that is done.
  void close_all();
  void close_now();
  [[nodiscard]] bool is_quiet() const { return connections_.empty() && closing_.is_empty(); }

 private:
  enum class Reading : std::uint8_t { not_yet, active, paused, ended };
  struct Connection {
    explicit Connection(Descriptor descriptor) : socket(std::move(descriptor)) {}

    Descriptor socket;
    SendQueue queue;
    base::Endpoint dialled;  // all zeros for an accepted one
    Reading reading = Reading::not_yet;
    bool is_send_waiting = false;  // for room, or for its next turn
    bool is_fin_wanted = false;

    [[nodiscard]] bool is_dialled() const { return dialled.port != 0; }
  };

  // The connection now in the table, or null when Asio cannot watch the socket.
  Connection* insert(seam::ConnId conn, UniqueFd socket);
  [[nodiscard]] Connection* find(seam::ConnId conn);
  void fail_dial(seam::ConnId conn, int error);
  void on_dial_ready(seam::ConnId conn);

  void wait_for_input(seam::ConnId conn, Connection& connection);
  void read_turn(seam::ConnId conn);
  void send_turn(seam::ConnId conn);
  // True when the queue is empty now.
  bool flush(seam::ConnId conn, Connection& connection);
  void lose(seam::ConnId conn, int error);

  asio::io_context& loop_;
  EventSink& sink_;
  std::vector<std::byte> scratch_;
  boost::unordered_flat_map<seam::ConnId, std::unique_ptr<Connection>, std::hash<seam::ConnId>> connections_;
  ClosingConnections closing_;
  std::uint64_t next_accepted_id_ = 2;
};

}  // namespace shoal::net
