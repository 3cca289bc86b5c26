// Connections the machine is done with, on their way out without a reset: what is queued is sent, then FIN, then what
// still arrives is discarded until the other side has finished too. Closing a socket with unread input, or before an
// answer that is on its way, would make the kernel send a reset, which destroys what the other side has not read yet.
// Belongs to the loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "net/loop.hpp"
#include "net/send_queue.hpp"

namespace shoal::net {

// Beyond it, or an eighth of the descriptors for others (storage/descriptors.hpp), the one that has waited longest is
// closed as it is.
inline constexpr std::size_t kClosingMax = 4096;

// How long a closing connection may take.
struct ClosingPatience {
  base::Duration sending;  // without a byte taken by the other side
  base::Duration quiet;    // after FIN, without a byte from the other side
  base::Duration total;
};
inline constexpr ClosingPatience kPatienceWhileRunning{
    .sending = std::chrono::seconds(10), .quiet = std::chrono::seconds(1), .total = std::chrono::seconds(60)};
// A user waits: nobody gets more than a second, and who does not answer a FIN within a fifth of one will not.
inline constexpr ClosingPatience kPatienceAtEnd{
    .sending = std::chrono::seconds(1), .quiet = std::chrono::milliseconds(200), .total = std::chrono::seconds(1)};

class ClosingConnections {
 public:
  // `scratch` is what a SendQueue copies through.
  ClosingConnections(asio::io_context& loop, std::span<std::byte> scratch);

  // waits_for_end false: closed at once when everything is sent and nothing unread is there.
  void add(Descriptor socket, SendQueue queue, bool waits_for_end);
  // The run ends: shortens the patience with these and all that come. Messages not begun are not sent any more.
  void hurry();
  void close_now();

  [[nodiscard]] bool is_empty() const { return connections_.empty(); }

 private:
  using Key = std::uint64_t;
  struct Closing {
    Descriptor socket;
    SendQueue queue;
    bool waits_for_end = true;
    bool is_fin_sent = false;
    SteadyClock::time_point progress_deadline{};
    SteadyClock::time_point final_deadline{};
  };
  enum class Step : std::uint8_t { again, wait_for_input, wait_for_room, over };

  void turn(Key key);
  [[nodiscard]] Step step(Closing& connection);
  [[nodiscard]] Step discard_input(Closing& connection);
  void wait(Key key, Closing& connection, asio::posix::descriptor_base::wait_type readiness);
  void note_progress(Closing& connection) const;
  void start_sweeping();
  void sweep();

  asio::io_context& loop_;
  std::span<std::byte> scratch_;
  std::map<Key, Closing> connections_;  // in the order of their coming
  Key next_key_ = 0;
  ClosingPatience patience_ = kPatienceWhileRunning;
  Timer sweep_timer_;
  bool is_sweeping_ = false;
};

}  // namespace shoal::net
