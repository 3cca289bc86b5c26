#include "net/datagram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "net/interfaces.hpp"
#include "unit/net/fake_machine.hpp"
#include "unit/net/fresh_network.hpp"

namespace shoal::net {
namespace {

using namespace std::chrono_literals;

// Collects what arrives, as text; ends after `count` datagrams or when it has taken too long.
class Collector {
 public:
  explicit Collector(std::size_t count) {
    machine.on_any = [this, count](FakeMachine& self, seam::Event& event) {
      if (auto* arrived = std::get_if<seam::DatagramArrived>(&event)) arrivals.push_back(std::move(*arrived));
      if (arrivals.size() >= count || std::holds_alternative<seam::DeadlineReached>(event)) self.finish();
    };
  }
  void run(Runner& runner, std::function<void(FakeMachine&)> on_start) {
    machine.on_start = [on_start = std::move(on_start)](FakeMachine& self) {
      self.deadline = self.now + std::chrono::milliseconds(kGiveUpMilliseconds);
      on_start(self);
    };
    (void)runner.run(machine);
  }

  FakeMachine machine;
  std::vector<seam::DatagramArrived> arrivals;
};

std::string text_of(const seam::DatagramArrived& arrived) {
  return std::string(base::text_of(arrived.bytes));
}

TEST(Datagrams, CarryBytesBetweenSockets) {
  Runner runner({});
  const auto local = runner.open_discovery_socket(kLoopback, 0);
  ASSERT_TRUE(local.has_value());
  EXPECT_NE(local->port, 0);
  Collector collector(3);
  const std::string longest = noise(65'507);
  collector.run(runner, [&](FakeMachine& self) {
    self.want(seam::OpenDatagram{.socket = seam::SocketId{1}, .local = kLoopback});
    self.want(seam::SendDatagram{.socket = seam::SocketId{1}, .to = *local, .bytes = bytes_of("hello")});
    self.want(seam::SendDatagram{.socket = seam::SocketId{1}, .to = *local, .bytes = {}});
    self.want(seam::SendDatagram{.socket = seam::SocketId{1}, .to = *local, .bytes = bytes_of(longest)});
  });
  ASSERT_EQ(collector.arrivals.size(), 3u);
  EXPECT_EQ(text_of(collector.arrivals[0]), "hello");
  EXPECT_EQ(collector.arrivals[0].socket, seam::kDiscoverySocket);
  EXPECT_EQ(collector.arrivals[0].from.address, kLoopback);
  EXPECT_EQ(collector.arrivals[0].local, kLoopback);
  EXPECT_EQ(text_of(collector.arrivals[1]), "");
  EXPECT_TRUE(text_of(collector.arrivals[2]) == longest);
}

TEST(Datagrams, AreAnsweredOnTheSocketTheyWereSentFrom) {
  Runner runner({});
  const auto local = runner.open_discovery_socket({}, 0);
  ASSERT_TRUE(local.has_value());
  FakeMachine machine;
  std::string answer;
  machine.on_start = [&](FakeMachine& self) {
    self.want(seam::OpenDatagram{.socket = seam::SocketId{1}, .local = kLoopback});
    self.want(seam::SendDatagram{
        .socket = seam::SocketId{1}, .to = {.address = kLoopback, .port = local->port}, .bytes = bytes_of("question")});
  };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    const auto* arrived = std::get_if<seam::DatagramArrived>(&event);
    ASSERT_NE(arrived, nullptr);
    EXPECT_EQ(arrived->local, kLoopback);
    if (arrived->socket == seam::kDiscoverySocket) {
      self.want(seam::SendDatagram{.socket = arrived->socket, .to = arrived->from, .bytes = bytes_of("answer")});
    } else {
      answer = text_of(*arrived);
      self.finish();
    }
  };
  (void)runner.run(machine);
  EXPECT_EQ(answer, "answer");
}

TEST(Datagrams, ReachThisHostByBroadcastFromTheLoopbackAddress) {
  Runner runner({});
  const auto local = runner.open_discovery_socket({}, 0);
  ASSERT_TRUE(local.has_value());
  Collector collector(1);
  collector.run(runner, [&](FakeMachine& self) {
    self.want(seam::OpenDatagram{.socket = seam::SocketId{1}, .local = kLoopback});
    self.want(seam::SendDatagram{.socket = seam::SocketId{1},
                                 .to = {.address = base::Ipv4Address::limited_broadcast(), .port = local->port},
                                 .bytes = bytes_of("anybody?")});
  });
  ASSERT_EQ(collector.arrivals.size(), 1u);
  EXPECT_EQ(collector.arrivals[0].from.address, kLoopback);
  EXPECT_EQ(collector.arrivals[0].local, kLoopback);
}

TEST(Datagrams, SaysWhyTheDiscoveryPortCannotBeHad) {
  Runner runner({});
  const auto local = runner.open_discovery_socket(*base::Ipv4Address::parse("192.0.2.1"), 0);
  ASSERT_FALSE(local.has_value());
  EXPECT_EQ(local.error().kind, NetFailureKind::address_not_here);
}

TEST(Datagrams, SharesTheDiscoveryPort) {
  Runner first({});
  const auto local = first.open_discovery_socket({}, 0);
  ASSERT_TRUE(local.has_value());
  Runner second({});
  EXPECT_TRUE(second.open_discovery_socket({}, local->port).has_value());
}

TEST(Datagrams, AreLostSilentlyWhereThereIsNoWay) {
  std::vector<std::string> notes;
  Runner runner({.on_trace = [&](const seam::Trace& trace, base::Instant) {
    if (const auto* note = std::get_if<seam::NoteTrace>(&trace)) notes.push_back(note->text);
  }});
  FakeMachine machine;
  const base::Ipv4Address nowhere = *base::Ipv4Address::parse("192.0.2.1");
  machine.on_start = [&](FakeMachine& self) {
    self.want(seam::OpenDatagram{.socket = seam::SocketId{1}, .local = nowhere});
    self.want(seam::SendDatagram{.socket = seam::SocketId{1}, .to = {.address = nowhere, .port = 9}, .bytes = {}});
    self.want(seam::OpenDatagram{.socket = seam::SocketId{2}, .local = kLoopback});
    self.want(seam::SendDatagram{.socket = seam::SocketId{2}, .to = {.address = nowhere, .port = 9}, .bytes = {}});
    self.want(seam::CloseDatagram{seam::SocketId{2}});
    self.want(seam::SendDatagram{.socket = seam::SocketId{2}, .to = {.address = kLoopback, .port = 9}, .bytes = {}});
    self.finish("went on");
  };
  EXPECT_EQ(runner.run(machine).message, "went on");
  EXPECT_GE(notes.size(), 1u);
}

TEST(Interfaces, NameTheLoopbackInterface) {
  bool is_there = false;
  for (const Interface& interface : local_interfaces()) {
    if (interface.address != kLoopback) continue;
    is_there = true;
    EXPECT_TRUE(interface.is_loopback);
    EXPECT_FALSE(interface.broadcast.has_value());
  }
  EXPECT_TRUE(is_there);
}

TEST(Interfaces, NameTheDirectedBroadcast) {
  if (!in_fresh_network([] {
        const std::vector<Interface> found = local_interfaces();
        EXPECT_EQ(found.size(), 3u);
        const auto one = std::ranges::find(found, "one", &Interface::name);
        ASSERT_NE(one, found.end());
        EXPECT_EQ(one->address, base::Ipv4Address::parse("10.7.0.1"));
        EXPECT_EQ(one->broadcast, base::Ipv4Address::parse("10.7.0.255"));
        EXPECT_FALSE(one->is_loopback);
      })) {
    GTEST_SKIP() << "needs the right to make networks";
  }
}

TEST(Datagrams, BroadcastWithoutAnyRouteFromTheInterfaceOfTheirAddress) {
  if (!in_fresh_network([] {
        ASSERT_EQ(std::system("ip route flush table main"), 0);
        Runner runner({});
        const auto discovery = runner.open_discovery_socket({}, 0);
        ASSERT_TRUE(discovery.has_value());
        const UniqueFd watch = watch_packets();
        Collector collector(1);
        collector.run(runner, [&](FakeMachine& self) {
          self.want(seam::OpenDatagram{.socket = seam::SocketId{1}, .local = *base::Ipv4Address::parse("10.7.0.1")});
          self.want(
              seam::SendDatagram{.socket = seam::SocketId{1},
                                 .to = {.address = base::Ipv4Address::limited_broadcast(), .port = discovery->port},
                                 .bytes = bytes_of("anybody?")});
        });
        ASSERT_EQ(collector.arrivals.size(), 1u);
        EXPECT_EQ(collector.arrivals[0].from.address, base::Ipv4Address::parse("10.7.0.1"));
        EXPECT_EQ(collector.arrivals[0].local, base::Ipv4Address::parse("10.7.0.1"));
        EXPECT_EQ(interfaces_that_sent_udp(watch), std::set<std::string>{"one"});
      })) {
    GTEST_SKIP() << "needs the right to make networks";
  }
}

}  // namespace
}  // namespace shoal::net
