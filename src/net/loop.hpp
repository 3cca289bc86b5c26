// What the parts of net share: Asio's types in the forms used here, and the way up to the machine. Everything runs on
// the one thread that runs the io_context. A completion handler never holds a pointer into a table: it names a
// connection or socket by its id, and finds it gone when it is gone.
#pragma once

#include <chrono>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include "seam/machine.hpp"

namespace shoal::net {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using Executor = asio::io_context::executor_type;
// Any socket: Asio tells when it is ready, the system calls are our own.
using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
using SteadyClock = std::chrono::steady_clock;
using Timer = asio::basic_waitable_timer<SteadyClock, asio::wait_traits<SteadyClock>, Executor>;

// The machine as the rest of net sees it.
class EventSink {
 public:
  virtual ~EventSink() = default;

  // Only outside of deliver(): the spans are valid until the next one.
  [[nodiscard]] virtual seam::ReadTargets next_read(seam::ConnId conn) = 0;
  // Hands the event to the machine and carries out what it wants; from inside an action, the event waits for its turn.
  // Anything may have been closed when this returns.
  virtual void deliver(seam::Event&& event) = 0;
  // For whoever listens to traces at debug level.
  virtual void note(std::string text) = 0;
};

}  // namespace shoal::net
