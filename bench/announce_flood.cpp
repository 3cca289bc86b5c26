// Announces to a tracker as fast as it answers, over loopback: what bench/tracker_load measures with. Prints
// "announces <count> <seconds>".
//
//   announce_flood keep|close|udp PORT SECONDS CLIENTS HASHES
//
// keep: HTTP, one connection for each client as long as the tracker keeps it; close: one for each announce; udp:
// BEP 15. Each client waits for its answer before it announces again. HASHES is a file of info-hashes in hex, one a
// line.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "wire/tracker_messages.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using namespace shoal;

constexpr std::size_t kPeers = 20'000;  // that announce, each in its turn
constexpr std::uint32_t kHostsMax = 8;  // 127.0.0.1 and on: a connection for each announce takes many local ports

struct Client {
  int socket = -1;
  std::string answer;
  std::size_t peer = 0;
  std::uint64_t connection = 0;
};

std::vector<base::Sha1Hash> read_hashes(const char* path) {
  std::vector<base::Sha1Hash> hashes;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) hashes.push_back(base::Sha1Hash::parse_hex(line).value());
  return hashes;
}

wire::AnnounceRequest request_of(std::size_t peer, const std::vector<base::Sha1Hash>& hashes) {
  wire::AnnounceRequest request{.info_hash = hashes[peer % hashes.size()],
                                .port = static_cast<std::uint16_t>(1024 + peer),
                                .left = peer % 4 == 0 ? 0u : 1000u,
                                .key = static_cast<std::uint32_t>(peer + 1),
                                .peers_wanted = 50};
  const std::string id = fmt::format("-XX0001-{:012}", peer);
  std::ranges::copy(base::view_of(id), request.peer_id.begin());
  return request;
}

class Flood {
 public:
  Flood(std::string kind, std::uint16_t port, std::vector<base::Sha1Hash> hashes)
      : kind_(std::move(kind)), port_(port), epoll_(::epoll_create1(0)) {
    for (std::size_t peer = 0; peer < kPeers; ++peer) {
      const wire::AnnounceRequest request = request_of(peer, hashes);
      requests_.push_back(request);
      texts_.push_back("GET /announce?" + wire::encode_announce_query(request) + " HTTP/1.1\r\nHost: t\r\n" +
                       (kind_ == "close" ? "Connection: close\r\n\r\n" : "Connection: keep-alive\r\n\r\n"));
    }
  }

  void run(std::size_t clients, double seconds) {
    clients_.resize(clients);
    for (std::size_t i = 0; i < clients; ++i) begin(i);
    const Clock::time_point begin = Clock::now();
    const Clock::time_point end =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    std::vector<epoll_event> events(256);
    while (Clock::now() < end) {
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1000);
      SHOAL_CHECK(count > 0);  // the tracker stopped answering
      for (int i = 0; i < count; ++i) on_ready(static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64));
    }
    fmt::print("announces {} {:.3f}\n", announces_, std::chrono::duration<double>(Clock::now() - begin).count());
  }

 private:
  void begin(std::size_t which) {
    Client& client = clients_[which];
    const bool is_udp = kind_ == "udp";
    client.socket = ::socket(AF_INET, is_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    SHOAL_CHECK(client.socket >= 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port_);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK + next_host_++ % kHostsMax);
    SHOAL_CHECK(::connect(client.socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    const int yes = 1;
    if (!is_udp) ::setsockopt(client.socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    epoll_event wanted{.events = EPOLLIN, .data = {.u64 = which}};
    SHOAL_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.socket, &wanted) == 0);
    client.answer.clear();
    if (is_udp) {
      send(client, wire::encode(wire::UdpRequest(wire::UdpConnect{.transaction = 1})));
    } else {
      announce(client);
    }
  }

  void announce(Client& client) {
    client.peer = next_peer_++ % kPeers;
    if (kind_ != "udp") return send(client, base::view_of(texts_[client.peer]));
    send(client, wire::encode(wire::UdpRequest(wire::UdpAnnounce{
                     .connection = client.connection, .transaction = 2, .request = requests_[client.peer]})));
  }
  static void send(const Client& client, base::ByteView bytes) {
    const auto sent = ::send(client.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    SHOAL_CHECK(sent == static_cast<ssize_t>(bytes.size()));
  }

  void on_ready(std::size_t which) {
    Client& client = clients_[which];
    char buffer[16 * 1024];
    const ssize_t count = ::recv(client.socket, buffer, sizeof buffer, 0);
    if (kind_ == "udp") return on_datagram(client, base::view_of({buffer, static_cast<std::size_t>(count)}));
    if (count <= 0) {
      SHOAL_CHECK(client.answer.empty());
      ::close(client.socket);
      return begin(which);
    }
    client.answer.append(buffer, static_cast<std::size_t>(count));
    if (!is_whole(client.answer)) return;
    SHOAL_CHECK(client.answer.find("5:peers") != std::string::npos);
    client.answer.clear();
    ++announces_;
    if (kind_ == "keep") return announce(client);
    ::close(client.socket);
    begin(which);
  }
  void on_datagram(Client& client, base::ByteView datagram) {
    const auto reply = wire::parse_udp_reply(datagram);
    SHOAL_CHECK(reply && !std::holds_alternative<wire::UdpFailed>(*reply));
    if (const auto* connected = std::get_if<wire::UdpConnected>(&*reply)) {
      client.connection = connected->connection;
    } else {
      ++announces_;
    }
    announce(client);
  }
  static bool is_whole(const std::string& answer) {
    const std::size_t end = answer.find("\r\n\r\n");
    const std::size_t field = answer.find("Content-Length: ");
    if (end == std::string::npos || field == std::string::npos) return false;
    std::size_t body = 0;
    std::from_chars(answer.data() + field + 16, answer.data() + end, body);
    return answer.size() >= end + 4 + body;
  }

  std::string kind_;
  std::uint16_t port_;
  int epoll_;
  std::vector<wire::AnnounceRequest> requests_;
  std::vector<std::string> texts_;
  std::vector<Client> clients_;
  std::size_t next_peer_ = 0;
  std::uint32_t next_host_ = 0;
  std::uint64_t announces_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    fmt::print(stderr, "usage: announce_flood keep|close|udp PORT SECONDS CLIENTS HASHES\n");
    return 2;
  }
  Flood flood(argv[1], static_cast<std::uint16_t>(std::atoi(argv[2])), read_hashes(argv[5]));
  flood.run(static_cast<std::size_t>(std::atoi(argv[4])), std::atof(argv[3]));
}
