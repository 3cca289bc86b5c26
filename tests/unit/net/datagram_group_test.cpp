// Multicast groups (local peer discovery), and answers of sockets that are bound to every address.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "net/datagram.hpp"
#include "unit/net/fake_machine.hpp"
#include "unit/net/fresh_network.hpp"

namespace shoal::net {
namespace {

using namespace std::chrono_literals;

const base::Ipv4Address kGroup = *base::Ipv4Address::parse("239.192.152.143");
const base::Ipv4Address kOne = *base::Ipv4Address::parse("10.7.0.1");
const base::Ipv4Address kOther = *base::Ipv4Address::parse("10.8.0.1");

// A port that is free now, also for the group.
std::uint16_t free_port() {
  const UniqueFd socket = make_socket(SOCK_DGRAM);
  return bind_socket(socket.get(), {.address = {}, .port = 0}).value_or(base::Endpoint{}).port;
}

using Heard = std::multimap<std::uint32_t, std::string>;  // by socket

// Sends "from N" to the group on each of these sockets, then tells what each heard; ends when nothing came for a while.
Heard talk(const std::vector<seam::OpenDatagram>& sockets, std::size_t expected) {
  Runner runner({});
  FakeMachine machine;
  Heard heard;
  machine.on_start = [&](FakeMachine& self) {
    for (const seam::OpenDatagram& open : sockets) self.want(open);
    for (const seam::OpenDatagram& open : sockets) {
      self.want(seam::SendDatagram{
          .socket = open.socket, .to = *open.group, .bytes = bytes_of("from " + std::to_string(open.socket.value))});
    }
    self.deadline = self.now + std::chrono::milliseconds(kGiveUpMilliseconds);
  };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (std::holds_alternative<seam::DeadlineReached>(event)) return self.finish();
    if (const auto* arrived = std::get_if<seam::DatagramArrived>(&event)) {
      const auto open = std::ranges::find(sockets, arrived->socket, &seam::OpenDatagram::socket);
      EXPECT_EQ(arrived->local, open->local);
      heard.emplace(arrived->socket.value, base::text_of(arrived->bytes));
      // What should not come had the same way to go: it is here by now, or at the next look.
      if (heard.size() >= expected) self.deadline = self.now + 50ms;
    }
  };
  (void)runner.run(machine);
  return heard;
}

TEST(DatagramGroup, IsHeardByEveryProgramOfThisHost) {
  const base::Endpoint group{.address = kGroup, .port = free_port()};
  const Heard heard = talk({{.socket = seam::SocketId(1001), .local = kLoopback, .group = group},
                            {.socket = seam::SocketId(1002), .local = kLoopback, .group = group}},
                           4);
  EXPECT_EQ(heard, (Heard{{1001, "from 1001"}, {1001, "from 1002"}, {1002, "from 1001"}, {1002, "from 1002"}}));
}

TEST(DatagramGroup, SharesItsPortWithProgramsThatKnowOneOptionOnly) {
  for (const int option : {SO_REUSEADDR, SO_REUSEPORT}) {
    const UniqueFd other_program = make_socket(SOCK_DGRAM);
    set_option(other_program.get(), SOL_SOCKET, option, 1);
    const auto bound = bind_socket(other_program.get(), {.address = {}, .port = 0});
    ASSERT_TRUE(bound.has_value());
    const base::Endpoint group{.address = kGroup, .port = bound->port};
    EXPECT_EQ(talk({{.socket = seam::SocketId(1001), .local = kLoopback, .group = group}}, 1),
              (Heard{{1001, "from 1001"}}));
  }
}

TEST(DatagramGroup, StaysOnTheInterfaceOfItsAddressAlsoWithoutAnyRoute) {
  if (!in_fresh_network([] {
        ASSERT_EQ(std::system("ip route flush table main"), 0);
        const base::Endpoint group{.address = kGroup, .port = 6771};
        for (const auto& [address, name] : {std::pair(kOne, "one"), std::pair(kOther, "other")}) {
          const UniqueFd watch = watch_packets();
          const Heard heard = talk({{.socket = seam::SocketId(1001), .local = address, .group = group}}, 1);
          EXPECT_EQ(heard, (Heard{{1001, "from 1001"}}));
          EXPECT_EQ(interfaces_that_sent_udp(watch), std::set<std::string>{name});
        }
      })) {
    GTEST_SKIP() << "needs the right to make networks";
  }
}

TEST(DatagramGroup, HearsOnlyItsOwnInterface) {
  if (!in_fresh_network([] {
        // What is sent on one end of the pair arrives at the other end too, from an address that is our own: the kernel
        // drops that, so that each socket hears what this host itself said at its interface.
        const base::Endpoint group{.address = kGroup, .port = 6771};
        const Heard heard = talk({{.socket = seam::SocketId(1001), .local = kLoopback, .group = group},
                                  {.socket = seam::SocketId(1002), .local = kOne, .group = group},
                                  {.socket = seam::SocketId(1003), .local = kOther, .group = group}},
                                 3);
        EXPECT_EQ(heard, (Heard{{1001, "from 1001"}, {1002, "from 1002"}, {1003, "from 1003"}}));
      })) {
    GTEST_SKIP() << "needs the right to make networks";
  }
}

TEST(DatagramGroup, IsLeftAndJoinedAgain) {
  const base::Endpoint group{.address = kGroup, .port = free_port()};
  Runner runner({});
  FakeMachine machine;
  int heard = 0;
  const seam::OpenDatagram open{.socket = seam::SocketId(1001), .local = kLoopback, .group = group};
  const seam::SendDatagram send{.socket = open.socket, .to = group, .bytes = bytes_of("hello")};
  machine.on_start = [&](FakeMachine& self) {
    self.want(open);
    self.want(seam::CloseDatagram{open.socket});
    self.want(open);
    self.want(send);
    self.deadline = self.now + std::chrono::milliseconds(kGiveUpMilliseconds);
  };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    heard += std::holds_alternative<seam::DatagramArrived>(event) ? 1 : 0;
    self.finish();
  };
  (void)runner.run(machine);
  EXPECT_EQ(heard, 1);
}

TEST(DatagramGroup, SaysWhereItCannotBeJoined) {
  std::string note;
  Runner runner({.on_trace = [&](const seam::Trace& trace, base::Instant) {
    if (const auto* told = std::get_if<seam::NoteTrace>(&trace)) note = told->text;
  }});
  FakeMachine machine;
  machine.on_start = [&](FakeMachine& self) {
    self.want(seam::OpenDatagram{.socket = seam::SocketId(1001),
                                 .local = *base::Ipv4Address::parse("192.0.2.1"),
                                 .group = base::Endpoint{.address = kGroup, .port = 6771}});
    self.finish();
  };
  (void)runner.run(machine);
  EXPECT_NE(note.find("192.0.2.1"), std::string::npos) << note;
  EXPECT_NE(note.find("239.192.152.143:6771"), std::string::npos) << note;
}

// Answers every datagram with "answer".
void answer(FakeMachine& self, seam::Event& event) {
  if (const auto* arrived = std::get_if<seam::DatagramArrived>(&event)) {
    self.want(seam::SendDatagram{.socket = arrived->socket, .to = arrived->from, .bytes = bytes_of("answer")});
  }
}

TEST(TrackerSocket, AnswersFromTheAddressThatWasAsked) {
  Runner runner({});
  const auto local = runner.open_tracker_socket({}, 0);
  ASSERT_TRUE(local.has_value());
  FakeMachine machine;
  machine.on_any = answer;
  RunnerThread thread(runner, machine);
  // 127.0.0.5 is an address of every host, and not the one the kernel would choose.
  const base::Endpoint asked{.address = *base::Ipv4Address::parse("127.0.0.5"), .port = local->port};
  const UniqueFd asker(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = sockaddr_of(asked);
  // A connected socket hears nothing from anybody else.
  ASSERT_EQ(::connect(asker.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::send(asker.get(), "question", 8, 0), 8);
  pollfd readable{.fd = asker.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&readable, 1, kGiveUpMilliseconds), 1);
  std::array<char, 16> reply{};
  EXPECT_EQ(::recv(asker.get(), reply.data(), reply.size(), 0), 6);
}

TEST(TrackerSocket, HasTheNumberOfTheTcpPort) {
  Runner runner({});
  const auto tcp = runner.listen_tcp(kAnyLoopbackPort);
  ASSERT_TRUE(tcp.has_value());
  const auto udp = runner.open_tracker_socket(tcp->address, tcp->port);
  ASSERT_TRUE(udp.has_value()) << udp.error().message;
  EXPECT_EQ(*udp, *tcp);
}

TEST(TrackerSocket, SaysThatItsPortIsTaken) {
  Runner first({});
  const auto taken = first.open_tracker_socket(kLoopback, 0);
  ASSERT_TRUE(taken.has_value());
  Runner second({});
  const auto refused = second.open_tracker_socket(kLoopback, taken->port);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().kind, NetFailureKind::address_in_use);
  EXPECT_NE(refused.error().message.find(taken->to_string()), std::string::npos);
}

}  // namespace
}  // namespace shoal::net
