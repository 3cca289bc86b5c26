#include "net/runner.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <fstream>

#include "unit/net/fake_machine.hpp"
#include "unit/net/fake_piece.hpp"
#include "unit/support/descriptor_limit.hpp"

namespace shoal::net {
namespace {

using namespace std::chrono_literals;

// Sends back what arrives.
void echo(FakeMachine& machine, seam::Event& event) {
  if (const auto* arrived = std::get_if<seam::BytesArrived>(&event)) {
    machine.want(seam::Send{.conn = arrived->conn, .bytes = bytes_of(machine.received[arrived->conn])});
    machine.received[arrived->conn].clear();
  }
  if (const auto* ended = std::get_if<seam::InputEnded>(&event)) machine.want(seam::Close{ended->conn});
}

base::Endpoint listen(Runner& runner) {
  const auto listening = runner.listen_tcp(kAnyLoopbackPort);
  EXPECT_TRUE(listening.has_value());
  return listening.value_or(base::Endpoint{});
}

TEST(Runner, GivesTheRealPortItListensOn) {
  Runner runner({});
  const auto listening = runner.listen_tcp(kAnyLoopbackPort);
  ASSERT_TRUE(listening.has_value());
  EXPECT_EQ(listening->address, base::Ipv4Address::loopback());
  EXPECT_NE(listening->port, 0);
}

TEST(Runner, SaysWhichAddressIsInUse) {
  Runner first({});
  const base::Endpoint taken = listen(first);
  Runner second({});
  const auto listening = second.listen_tcp(taken);
  ASSERT_FALSE(listening.has_value());
  EXPECT_EQ(listening.error().kind, NetFailureKind::address_in_use);
  EXPECT_NE(listening.error().message.find(taken.to_string()), std::string::npos);
}

TEST(Runner, SaysWhichAddressIsNotOfThisHost) {
  Runner runner({});
  const auto listening = runner.listen_tcp({.address = *base::Ipv4Address::parse("192.0.2.1"), .port = 0});
  ASSERT_FALSE(listening.has_value());
  EXPECT_EQ(listening.error().kind, NetFailureKind::address_not_here);
}

TEST(Runner, TellsBothEndsOfAnAcceptedConnection) {
  Runner runner({});
  const auto listening = runner.listen_tcp({.address = {}, .port = 0});  // 0.0.0.0
  ASSERT_TRUE(listening.has_value());
  FakeMachine machine;
  std::optional<seam::Accepted> accepted;
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (const auto* happened = std::get_if<seam::Accepted>(&event)) {
      accepted = *happened;
      self.finish();
    }
  };
  RunnerThread thread(runner, machine);
  const Counterpart counterpart({.address = base::Ipv4Address::loopback(), .port = listening->port});
  thread.wait();
  ASSERT_TRUE(accepted.has_value());
  EXPECT_EQ(accepted->local, (base::Endpoint{.address = base::Ipv4Address::loopback(), .port = listening->port}));
  EXPECT_EQ(accepted->remote, local_endpoint_of(counterpart.fd()));
  EXPECT_EQ(accepted->conn.value % 2, 0u);
}

TEST(Runner, CarriesBytesBothWays) {
  Runner runner({});
  const base::Endpoint listening = listen(runner);
  FakeMachine machine;
  machine.on_any = echo;
  RunnerThread thread(runner, machine);
  Counterpart counterpart(listening);
  for (const std::string& text : {std::string("hello"), noise(100'000)}) {
    counterpart.send(text);
    EXPECT_TRUE(counterpart.receive(text.size()) == text);
  }
}

TEST(Runner, AnswersACounterpartThatEndedItsOutput) {
  Runner runner({});
  const base::Endpoint listening = listen(runner);
  FakeMachine machine;
  machine.on_any = echo;
  RunnerThread thread(runner, machine);
  Counterpart counterpart(listening);
  counterpart.send("last words");
  counterpart.end_output();
  EXPECT_EQ(counterpart.receive(10), "last words");
  EXPECT_TRUE(counterpart.sees_end());
}

TEST(Runner, SendsAPieceAndSaysWhenEverythingIsHandedOver) {
  Runner runner({});
  const base::Endpoint listening = listen(runner);
  const std::string content = noise(8'000'000);
  const auto piece = std::make_shared<FilePiece>(content);
  FakeMachine machine;
  std::atomic<int> drained = 0;
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (const auto* accepted = std::get_if<seam::Accepted>(&event)) {
      for (int i = 0; i < 2; ++i) {
        self.want(seam::SendPiece{
            .conn = accepted->conn, .header = bytes_of("headhead"), .piece = piece, .padding_bytes = 2});
      }
      self.want(seam::ShutdownSend{accepted->conn});
    }
    if (std::holds_alternative<seam::OutputDrained>(event)) ++drained;
  };
  RunnerThread thread(runner, machine);
  Counterpart counterpart(listening);
  const std::string message = "headhead" + content + std::string(2, '\0');
  EXPECT_TRUE(counterpart.receive(2 * message.size()) == message + message);
  EXPECT_TRUE(counterpart.sees_end());
  thread.stop();
  EXPECT_EQ(drained, 1);
}

TEST(Runner, StopsReadingWithoutRoomAndGoesOnAfterResume) {
  Runner runner({});
  const base::Endpoint listening = listen(runner);
  FakeMachine machine;
  machine.read_bytes = 0;
  bool is_resumed = false;
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (const auto* accepted = std::get_if<seam::Accepted>(&event)) {
      self.deadline = self.now + 50ms;
      self.received[accepted->conn] = "";
    }
    if (std::holds_alternative<seam::DeadlineReached>(event)) {
      EXPECT_EQ(self.received.begin()->second, "");
      self.deadline.reset();
      self.read_bytes = 4;
      is_resumed = true;
      self.want(seam::ResumeReading{self.received.begin()->first});
    }
    if (std::holds_alternative<seam::BytesArrived>(event) && self.received.begin()->second.size() == 12) self.finish();
  };
  RunnerThread thread(runner, machine);
  const Counterpart counterpart(listening);
  counterpart.send("twelve bytes");
  thread.wait();
  EXPECT_TRUE(is_resumed);
  EXPECT_EQ(machine.received.begin()->second, "twelve bytes");
}

TEST(Runner, WakesAMachineThatStopsReadingUntilATime) {
  Runner runner({});
  const base::Endpoint listening = listen(runner);
  FakeMachine machine;
  machine.read_bytes = 0;
  machine.on_next_read = [](FakeMachine& self, seam::ConnId conn) {
    if (self.read_bytes > 0) return;
    self.deadline = self.now + 30ms;  // there was none before, and no event comes that the runner asks again after
    self.received[conn] = "";
  };
  machine.on_any = [](FakeMachine& self, seam::Event& event) {
    if (std::holds_alternative<seam::DeadlineReached>(event)) {
      self.deadline.reset();
      self.read_bytes = 64;
      self.want(seam::ResumeReading{self.received.begin()->first});
    }
    echo(self, event);
  };
  RunnerThread thread(runner, machine);
  Counterpart counterpart(listening);
  counterpart.send("hello");
  EXPECT_EQ(counterpart.receive(5), "hello");
}

TEST(Runner, ReportsADialThatWasAnswered) {
  const CounterpartListener listener;
  Runner runner({});
  FakeMachine machine;
  machine.on_start = [&](FakeMachine& self) {
    self.want(seam::Dial{.conn = seam::ConnId{1}, .remote = listener.endpoint()});
  };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (const auto* connected = std::get_if<seam::Connected>(&event)) {
      EXPECT_EQ(connected->remote, listener.endpoint());
      self.want(seam::Send{.conn = connected->conn, .bytes = bytes_of("ask")});
    }
    if (const auto* arrived = std::get_if<seam::BytesArrived>(&event)) self.finish(self.received[arrived->conn]);
  };
  RunnerThread thread(runner, machine);
  Counterpart counterpart = listener.accept();
  EXPECT_EQ(counterpart.receive(3), "ask");
  counterpart.send("answer");
  EXPECT_TRUE(counterpart.sees_end());
  EXPECT_EQ(thread.wait().message, "answer");
}

TEST(Runner, ReportsARefusedDial) {
  base::Endpoint nobody;
  {
    const CounterpartListener gone;
    nobody = gone.endpoint();
  }
  Runner runner({});
  FakeMachine machine;
  machine.on_start = [&](FakeMachine& self) { self.want(seam::Dial{.conn = seam::ConnId{1}, .remote = nobody}); };
  std::optional<seam::NetError> error;
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (const auto* failed = std::get_if<seam::ConnectFailed>(&event)) error = failed->error;
    self.finish();
  };
  (void)runner.run(machine);
  EXPECT_EQ(error, seam::NetError::refused);
}

TEST(Runner, ReportsAReset) {
  Runner runner({});
  const base::Endpoint listening = listen(runner);
  FakeMachine machine;
  std::optional<seam::NetError> error;
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (const auto* lost = std::get_if<seam::ConnectionLost>(&event)) {
      error = lost->error;
      self.finish();
    }
  };
  RunnerThread thread(runner, machine);
  {
    const Counterpart counterpart(listening);
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(counterpart.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  thread.wait();
  EXPECT_EQ(error, seam::NetError::reset);
}

TEST(Runner, SaysNothingOfAConnectionAfterClose) {
  Runner runner({});
  const base::Endpoint listening = listen(runner);
  FakeMachine machine;
  bool is_closed = false;
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (const auto* accepted = std::get_if<seam::Accepted>(&event)) {
      self.want(seam::Send{.conn = accepted->conn, .bytes = bytes_of("bye")});
      self.want(seam::Close{accepted->conn});  // in one go with what would say OutputDrained
      is_closed = true;
      return;
    }
    EXPECT_TRUE(is_closed);
    EXPECT_TRUE(std::holds_alternative<seam::StopRequested>(event)) << event.index();
  };
  RunnerThread thread(runner, machine);
  Counterpart counterpart(listening);
  counterpart.send("unheard");
  EXPECT_EQ(counterpart.receive(3), "bye");
  EXPECT_TRUE(counterpart.sees_end());
}

TEST(Runner, SaysADeadlineIsReachedOnlyWhenItIs) {
  Runner runner({});
  FakeMachine machine;
  std::vector<base::Instant> reached;
  machine.on_start = [&](FakeMachine& self) { self.deadline = self.now + 30ms; };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    ASSERT_TRUE(std::holds_alternative<seam::DeadlineReached>(event));
    EXPECT_GE(self.now, *self.deadline);
    reached.push_back(self.now);
    self.deadline = self.now + 10ms;
    if (reached.size() == 3) self.finish();
  };
  (void)runner.run(machine);
  EXPECT_EQ(reached.size(), 3u);
}

TEST(Runner, HandsTracesToTheListener) {
  std::vector<std::string> notes;
  Runner runner({.on_trace = [&](const seam::Trace& trace, base::Instant) {
    if (const auto* note = std::get_if<seam::NoteTrace>(&trace)) notes.push_back(note->text);
  }});
  FakeMachine machine;
  machine.on_start = [](FakeMachine& self) {
    self.want(seam::Tell{seam::NoteTrace{.level = seam::NoteTrace::Level::info, .text = "one"}});
    self.finish("two");
    self.want(seam::Tell{seam::NoteTrace{.level = seam::NoteTrace::Level::info, .text = "after the end"}});
  };
  EXPECT_EQ(runner.run(machine).message, "two");
  EXPECT_EQ(notes, std::vector<std::string>{"one"});
}

TEST(Runner, EndsWhenItIsAskedToStop) {
  Runner runner({});
  FakeMachine machine;
  RunnerThread thread(runner, machine);
  EXPECT_EQ(thread.stop().message, "stopped");
}

// Does not end when it is asked to.
class StubbornMachine final : public seam::Machine {
 public:
  std::atomic<int> stops = 0;
  void start(base::Instant) override {}
  void on_event(seam::Event&& event, base::Instant) override {
    if (std::holds_alternative<seam::StopRequested>(event)) ++stops;
  }
  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId) override { return {}; }
  [[nodiscard]] std::optional<base::Instant> next_deadline() const override { return std::nullopt; }
  [[nodiscard]] seam::Actions take_actions() override { return {}; }
};

TEST(Runner, EndsAtOnceWhenItIsAskedToStopTwice) {
  Runner runner({});
  StubbornMachine machine;
  RunnerThread thread(runner, machine);
  runner.request_stop();
  runner.request_stop();
  EXPECT_EQ(thread.wait().result, seam::Finish::Result::interrupted);
  EXPECT_EQ(machine.stops, 1);
}

TEST(Runner, TakesATerminationSignalAsARequestToStop) {
  Runner runner({.stops_on_signals = true});
  FakeMachine machine;
  machine.on_start = [](FakeMachine&) { std::raise(SIGTERM); };
  EXPECT_EQ(runner.run(machine).message, "stopped");
}

// Is told again, while it ends, that its terminal was closed.
class HungUpMachine final : public seam::Machine {
 public:
  void start(base::Instant) override { std::raise(SIGHUP); }
  void on_event(seam::Event&& event, base::Instant now) override {
    if (std::holds_alternative<seam::StopRequested>(event)) {
      std::raise(SIGHUP);
      deadline_ = now + std::chrono::milliseconds(50);
    } else if (std::holds_alternative<seam::DeadlineReached>(event) && std::exchange(deadline_, {})) {
      actions_.emplace_back(
          seam::Finish{.result = seam::Finish::Result::done, .message = "", .missing = {}, .path = {}});
    }
  }
  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId) override { return {}; }
  [[nodiscard]] std::optional<base::Instant> next_deadline() const override { return deadline_; }
  [[nodiscard]] seam::Actions take_actions() override { return std::exchange(actions_, {}); }

 private:
  std::optional<base::Instant> deadline_;
  seam::Actions actions_;
};

TEST(Runner, EndsInOrderHoweverOftenItsTerminalIsClosed) {
  std::signal(SIGHUP, SIG_DFL);  // also where the tests run under nohup
  Runner runner({.stops_on_signals = true});
  HungUpMachine machine;
  EXPECT_EQ(runner.run(machine).result, seam::Finish::Result::done);
  std::signal(SIGHUP, SIG_DFL);
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(Runner, HoldsThousandsOfIdleConnectionsCheaply) {
  constexpr std::size_t kConnections = 4000;
  Runner runner({});  // raises the limit of open files
  if (raise_open_files_limit() < 2 * kConnections + 700) GTEST_SKIP() << "too few open files allowed";
  const base::Endpoint listening = listen(runner);
  FakeMachine machine;
  std::atomic<std::size_t> accepted = 0;
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (std::holds_alternative<seam::Accepted>(event)) {
      ++accepted;
      accepted.notify_one();
    }
    echo(self, event);
  };
  std::vector<Counterpart> counterparts;
  counterparts.reserve(kConnections);
  const std::size_t resident_before = resident_bytes();
  RunnerThread thread(runner, machine);
  for (std::size_t i = 0; i < kConnections; ++i) {
    counterparts.emplace_back(listening);
    ASSERT_TRUE(counterparts.back().is_connected());
  }
  for (std::size_t seen = accepted; seen < kConnections; seen = accepted) accepted.wait(seen);
  const std::size_t resident_after = resident_bytes();
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
  EXPECT_LT(resident_after - resident_before, kConnections * 2048);
#else
  (void)resident_before, (void)resident_after;
#endif
  for (const std::size_t which : {std::size_t{0}, kConnections / 2, kConnections - 1}) {
    counterparts[which].send("still there?");
    EXPECT_EQ(counterparts[which].receive(12), "still there?");
  }
  thread.stop();
  EXPECT_TRUE(counterparts[1].sees_end());
}

TEST(Runner, ClosesNewConnectionsThatWouldTakeOneOfTheKeptDescriptors) {
  constexpr std::size_t kForOthers = 100;
  constexpr std::size_t kConnections = 80;  // of two descriptors each, as both ends are here
  Runner runner({});
  const base::Endpoint listening = listen(runner);
  FakeMachine machine;
  machine.on_any = echo;
  const shoal::testing::DescriptorLimit few(2 * (shoal::testing::next_descriptor() + kForOthers));
  std::vector<Counterpart> counterparts;
  counterparts.reserve(kConnections);
  RunnerThread thread(runner, machine);
  for (std::size_t i = 0; i < kConnections; ++i) {
    counterparts.emplace_back(listening);
    ASSERT_TRUE(counterparts.back().is_connected());
  }
  EXPECT_TRUE(counterparts.back().sees_end());
  counterparts.front().send("still there?");
  EXPECT_EQ(counterparts.front().receive(12), "still there?");
}

}  // namespace
}  // namespace shoal::net
