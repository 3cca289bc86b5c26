// How connections end: seen from the other side, which must never meet a reset where that can be avoided.
#include "net/closing.hpp"

#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include "unit/net/fake_machine.hpp"
#include "unit/net/fake_piece.hpp"
#include "unit/support/descriptor_limit.hpp"

namespace shoal::net {
namespace {

using namespace std::chrono_literals;

class ClosingTest : public ::testing::Test {
 protected:
  ClosingTest() { listening_ = runner_.listen_tcp(kAnyLoopbackPort).value_or(base::Endpoint{}); }

  // What the machine does with each connection it accepts.
  void on_accepted(std::function<void(FakeMachine&, seam::ConnId)> act) {
    machine_.on_any = [act = std::move(act)](FakeMachine& self, seam::Event& event) {
      if (const auto* accepted = std::get_if<seam::Accepted>(&event)) act(self, accepted->conn);
    };
  }

  Runner runner_{{}};
  base::Endpoint listening_;
  FakeMachine machine_;
};

TEST_F(ClosingTest, ClosesWithoutAResetThoughInputIsUnread) {
  machine_.read_bytes = 0;
  on_accepted([](FakeMachine& self, seam::ConnId) { self.deadline = self.now + 50ms; });
  const auto accepted_only = machine_.on_any;
  machine_.on_any = [&](FakeMachine& self, seam::Event& event) {
    accepted_only(self, event);
    if (!std::holds_alternative<seam::DeadlineReached>(event)) return;
    self.deadline.reset();
    self.want(seam::Send{.conn = seam::ConnId{2}, .bytes = bytes_of("enough")});
    self.want(seam::Close{seam::ConnId{2}});
  };
  Counterpart counterpart(listening_);
  counterpart.send(noise(100'000));
  const RunnerThread thread(runner_, machine_);
  EXPECT_EQ(counterpart.receive(6), "enough");
  EXPECT_TRUE(counterpart.sees_end());
  counterpart.send("and more");  // somebody who does not notice at once
  EXPECT_TRUE(counterpart.sees_end());
}

TEST_F(ClosingTest, SendsWhatIsQueuedBeforeItCloses) {
  const std::string content = noise(6'000'000);
  on_accepted([&](FakeMachine& self, seam::ConnId conn) {
    self.want(seam::SendPiece{.conn = conn,
                              .header = bytes_of("headhead"),
                              .piece = std::make_shared<FilePiece>(content),
                              .padding_bytes = 1});
    self.want(seam::Send{.conn = conn, .bytes = bytes_of("end")});
    self.want(seam::Close{conn});
  });
  const RunnerThread thread(runner_, machine_);
  Counterpart counterpart(listening_);
  const std::string expected = "headhead" + content + std::string(1, '\0') + "end";
  EXPECT_TRUE(counterpart.receive(expected.size()) == expected);
  EXPECT_TRUE(counterpart.sees_end());
}

TEST_F(ClosingTest, TheLongestClosingGoesWhenTheyTakeTooManyDescriptors) {
  constexpr std::size_t kConnections = 30;
  const std::string content = noise(16'000'000);
  const auto piece = std::make_shared<FilePiece>(content);
  on_accepted([&](FakeMachine& self, seam::ConnId conn) {
    self.want(seam::SendPiece{.conn = conn, .header = bytes_of("head"), .piece = piece, .padding_bytes = 0});
    self.want(seam::Close{conn});
  });
  // About ten may be closing at once.
  const shoal::testing::DescriptorLimit few(2 * (shoal::testing::next_descriptor() + 70));
  std::vector<Counterpart> counterparts;
  counterparts.reserve(kConnections);
  const RunnerThread thread(runner_, machine_);
  for (std::size_t i = 0; i < kConnections; ++i) counterparts.emplace_back(listening_);
  const std::string expected = "head" + content;
  EXPECT_TRUE(counterparts.back().receive(expected.size()) == expected);
  EXPECT_LT(counterparts.front().receive(expected.size()).size(), expected.size());
}

TEST_F(ClosingTest, CompletesTheMessageUnderWayAtTheEndOfARunAndBeginsNoOther) {
  const std::string content = noise(8'000'000);
  on_accepted([&](FakeMachine& self, seam::ConnId conn) {
    for (int i = 0; i < 2; ++i) {
      self.want(seam::SendPiece{.conn = conn,
                                .header = bytes_of("headhead"),
                                .piece = std::make_shared<FilePiece>(content),
                                .padding_bytes = 0});
    }
    self.deadline = self.now;
  });
  const auto accepted_only = machine_.on_any;
  machine_.on_any = [&](FakeMachine& self, seam::Event& event) {
    accepted_only(self, event);
    if (std::holds_alternative<seam::DeadlineReached>(event)) self.finish();
  };
  const RunnerThread thread(runner_, machine_);
  Counterpart counterpart(listening_, 64 << 10);
  const std::string message = "headhead" + content;
  EXPECT_TRUE(counterpart.receive(message.size()) == message);
  EXPECT_TRUE(counterpart.sees_end());
}

TEST_F(ClosingTest, DoesNotKeepAUserWaitingForIdleConnections) {
  std::vector<Counterpart> counterparts;
  counterparts.reserve(20);
  for (int i = 0; i < 20; ++i) counterparts.emplace_back(listening_);
  int accepted = 0;
  on_accepted([&](FakeMachine& self, seam::ConnId) {
    if (++accepted == 20) self.finish();
  });
  const auto begin = SteadyClock::now();
  (void)runner_.run(machine_);
  EXPECT_LT(SteadyClock::now() - begin, kPatienceAtEnd.total);
  for (Counterpart& counterpart : counterparts) EXPECT_TRUE(counterpart.sees_end());
}

TEST_F(ClosingTest, ReadsTheRestOfAnAnswerBeforeItClosesAConnectionItDialled) {
  const CounterpartListener listener;
  machine_.on_start = [&](FakeMachine& self) {
    self.want(seam::Dial{.conn = seam::ConnId{1}, .remote = listener.endpoint()});
  };
  machine_.on_any = [](FakeMachine& self, seam::Event& event) {
    if (std::holds_alternative<seam::Connected>(event)) {
      self.want(seam::Send{.conn = seam::ConnId{1}, .bytes = bytes_of("ask")});
    }
    if (std::holds_alternative<seam::BytesArrived>(event)) self.finish();  // in the middle of the answer
  };
  RunnerThread thread(runner_, machine_);
  Counterpart counterpart = listener.accept();
  EXPECT_EQ(counterpart.receive(3), "ask");
  counterpart.send("the first part");
  EXPECT_TRUE(counterpart.sees_end());  // it has finished, and still listens
  const std::string rest = noise(1'000'000);
  counterpart.send(rest);
  counterpart.end_output();
  thread.wait();
  int unsent = -1;
  EXPECT_EQ(::ioctl(counterpart.fd(), TIOCOUTQ, &unsent), 0);
  EXPECT_EQ(unsent, 0);
  int error = -1;
  socklen_t size = sizeof error;
  EXPECT_EQ(::getsockopt(counterpart.fd(), SOL_SOCKET, SO_ERROR, &error, &size), 0);
  EXPECT_EQ(error, 0);
}

TEST_F(ClosingTest, GivesUpOnACounterpartThatNeitherReadsNorCloses) {
  on_accepted([](FakeMachine& self, seam::ConnId conn) {
    self.want(seam::SendPiece{.conn = conn,
                              .header = bytes_of("headhead"),
                              .piece = std::make_shared<MemoryPiece>(noise(64'000'000)),
                              .padding_bytes = 0});
    self.finish();
  });
  const Counterpart counterpart(listening_);
  const auto begin = SteadyClock::now();
  (void)runner_.run(machine_);
  const auto taken = SteadyClock::now() - begin;
  EXPECT_GE(taken, kPatienceAtEnd.sending);
  EXPECT_LT(taken, 10 * kPatienceAtEnd.total);
}

}  // namespace
}  // namespace shoal::net
