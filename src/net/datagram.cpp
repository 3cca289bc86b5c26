#include "net/datagram.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace shoal::net {

namespace {

constexpr std::size_t kDatagramBytesMax = 64u << 10;  // no UDP datagram is longer
constexpr int kReceivesPerTurn = 64;

std::string text_of_error(int error) {
  return std::generic_category().message(error);
}

// The control data that comes with a datagram where it was asked for.
struct ReceivedFrom {
  sockaddr_in remote{};
  base::Ipv4Address local;  // 0.0.0.0 when not told
};

// Like recv(2).
std::ptrdiff_t receive(int socket, std::span<std::byte> target, ReceivedFrom& from) {
  iovec place{.iov_base = target.data(), .iov_len = target.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in_pktinfo))> control{};
  msghdr message{};
  message.msg_name = &from.remote;
  message.msg_namelen = sizeof from.remote;
  message.msg_iov = &place;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const std::ptrdiff_t count = ::recvmsg(socket, &message, 0);
  if (count < 0) return count;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != IPPROTO_IP || header->cmsg_type != IP_PKTINFO) continue;
    in_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(header), sizeof info);
    from.local = {ntohl(info.ipi_spec_dst.s_addr)};
  }
  return count;
}

}  // namespace

Datagrams::Datagrams(asio::io_context& loop, EventSink& sink) : loop_(loop), sink_(sink) {}

std::expected<base::Endpoint, NetFailure> Datagrams::open_discovery(base::Endpoint local) {
  const std::string tried = "wait for discovery on UDP " + local.to_string();
  UniqueFd socket = make_socket(SOCK_DGRAM);
  if (!socket.is_open()) return std::unexpected(failure_of(tried, errno));
  set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  set_option(socket.get(), SOL_SOCKET, SO_BROADCAST, 1);
  set_option(socket.get(), IPPROTO_IP, IP_PKTINFO, 1);
  const std::expected<base::Endpoint, int> bound = insert(seam::kDiscoverySocket, std::move(socket), local);
  if (!bound) return std::unexpected(failure_of(tried, bound.error()));
  return *bound;
}

std::expected<base::Endpoint, int> Datagrams::insert(seam::SocketId id, UniqueFd socket, base::Endpoint local) {
  const std::expected<base::Endpoint, int> bound = bind_socket(socket.get(), local);
  if (!bound) return bound;
  Descriptor descriptor(loop_);
  ErrorCode error;
  if (descriptor.assign(socket.get(), error)) return std::unexpected(error.value());
  (void)socket.release();
  scratch_.resize(kDatagramBytesMax);
  const bool is_new =
      sockets_.emplace(id, std::make_unique<Socket>(Socket{.descriptor = std::move(descriptor), .local = *bound}))
          .second;
  SHOAL_CHECK(is_new);
  return bound;
}

void Datagrams::start() {
  for (const auto& [id, socket] : sockets_) wait(id);
}

void Datagrams::open(const seam::OpenDatagram& open) {
  UniqueFd socket = make_socket(SOCK_DGRAM);
  int error = errno;
  if (socket.is_open()) {
    set_option(socket.get(), SOL_SOCKET, SO_BROADCAST, 1);
    const std::expected<base::Endpoint, int> bound =
        insert(open.socket, std::move(socket), {.address = open.local, .port = 0});
    if (bound) return wait(open.socket);
    error = bound.error();
  }
  sink_.note(fmt::format("no UDP socket on {}: {}", open.local.to_string(), text_of_error(error)));
}

void Datagrams::send(const seam::SendDatagram& datagram) {
  const auto found = sockets_.find(datagram.socket);
  if (found == sockets_.end()) return;
  const sockaddr_in to = sockaddr_of(datagram.to);
  const std::ptrdiff_t sent =
      ::sendto(found->second->descriptor.native_handle(), datagram.bytes.data(), datagram.bytes.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&to), sizeof to);
  if (sent >= 0) return;
  const int error = errno;
  sink_.note(fmt::format("UDP from {} to {}: {}", found->second->local.to_string(), datagram.to.to_string(),
                         text_of_error(error)));
}

void Datagrams::close(seam::SocketId socket) {
  sockets_.erase(socket);
}

void Datagrams::wait(seam::SocketId id) {
  sockets_.at(id)->descriptor.async_wait(Descriptor::wait_read, [this, id](const ErrorCode& error) {
    if (!error) receive_turn(id);
  });
}

void Datagrams::receive_turn(seam::SocketId id) {
  for (int receives = 0; receives < kReceivesPerTurn; ++receives) {
    const auto found = sockets_.find(id);
    if (found == sockets_.end()) return;
    ReceivedFrom from;
    const std::ptrdiff_t count = receive(found->second->descriptor.native_handle(), scratch_, from);
    if (count < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return wait(id);
      continue;  // somebody refused what was sent earlier; the socket is as good as before
    }
    const std::span<const std::byte> bytes = std::span(scratch_).first(static_cast<std::size_t>(count));
    sink_.deliver(seam::DatagramArrived{
        .socket = id,
        .from = endpoint_of(from.remote),
        .local = from.local.is_any() ? found->second->local.address : from.local,
        .bytes = base::Bytes(bytes.begin(), bytes.end()),
    });
  }
  asio::post(loop_, [this, id] { receive_turn(id); });
}

}  // namespace shoal::net
