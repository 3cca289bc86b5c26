// A machine decides, without I/O, clock or threads: events in, actions out. Whole hosts (roles/) are machines; net/ and
// sim/ each have a runner for them. One thread calls everything, in this order after each event: take_actions() until
// it gives nothing, then next_deadline(); next_read(conn) just before each read, and next_deadline() again when that
// gave nothing: the machine may want to be woken for that connection alone.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "base/time.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"

namespace shoal::seam {

// Where the next bytes of a connection go: the rest of a payload first, then room for the header behind it, so that one
// readv takes both. Unused spans are empty; all empty: stop reading until ResumeReading.
struct ReadTargets {
  std::array<std::span<std::byte>, 2> spans;

  [[nodiscard]] std::size_t size_bytes() const { return spans[0].size() + spans[1].size(); }
};

class Machine {
 public:
  virtual ~Machine() = default;

  // What the machine does on its own at the beginning (a client dials or discovers). Called once, first.
  virtual void start(base::Instant now) = 0;
  // Takes the event: a buffer in it goes home to its pool.
  virtual void on_event(Event&& event, base::Instant now) = 0;
  // Valid until the next call of on_event.
  [[nodiscard]] virtual ReadTargets next_read(ConnId conn) = 0;
  // When to send DeadlineReached at the latest.
  [[nodiscard]] virtual std::optional<base::Instant> next_deadline() const = 0;
  [[nodiscard]] virtual Actions take_actions() = 0;
};

}  // namespace shoal::seam
