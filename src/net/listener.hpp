// The listening TCP socket: the kernel queues connections from the moment it is open; they are accepted, many in a
// turn, once started. Those that would need one of the kept descriptors (storage/descriptors.hpp) are closed at once.
// Belongs to the loop's thread.
#pragma once

#include <expected>
#include <functional>

#include "net/loop.hpp"
#include "net/socket.hpp"

namespace shoal::net {

class Listener {
 public:
  using OnAccepted = std::function<void(UniqueFd socket, base::Endpoint local, base::Endpoint remote)>;

  explicit Listener(asio::io_context& loop);

  [[nodiscard]] std::expected<base::Endpoint, NetFailure> open(base::Endpoint local);
  [[nodiscard]] bool is_open() const { return socket_.is_open(); }
  void start(OnAccepted on_accepted);
  void close();

 private:
  void wait();
  void accept_turn();

  asio::io_context& loop_;
  Descriptor socket_;
  Timer retry_timer_;
  base::Endpoint local_;
  OnAccepted on_accepted_;
};

}  // namespace shoal::net
