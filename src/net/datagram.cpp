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

// Like sendto(2), from the address `local` unless that is 0.0.0.0.
std::ptrdiff_t send_from(int socket, base::Ipv4Address local, const seam::SendDatagram& datagram) {
  sockaddr_in to = sockaddr_of(datagram.to);
  // sendmsg(2) does not write to what it is given.
  iovec place{.iov_base = const_cast<std::byte*>(datagram.bytes.data()), .iov_len = datagram.bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(in_pktinfo))> control{};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = &place;
  message.msg_iovlen = 1;
  if (!local.is_any()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = htonl(local.value);
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

// Makes `socket` one of the group's, at the interface of `local` and nowhere else. 0, or an errno.
int join(int socket, base::Ipv4Address group, base::Ipv4Address local) {
  // Other programs of this host listen at the same port, some with one of these options and some with the other.
  set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1);
  ip_mreqn membership{};
  membership.imr_multiaddr.s_addr = htonl(group.value);
  membership.imr_address.s_addr = htonl(local.value);
  const bool is_joined = ::setsockopt(socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) == 0 &&
                         ::setsockopt(socket, IPPROTO_IP, IP_MULTICAST_IF, &membership, sizeof membership) == 0 &&
                         // Or it would hear what arrives at interfaces where other sockets joined.
                         set_option(socket, IPPROTO_IP, IP_MULTICAST_ALL, 0) &&
                         set_option(socket, IPPROTO_IP, IP_MULTICAST_TTL, 1) &&
                         set_option(socket, IPPROTO_IP, IP_MULTICAST_LOOP, 1);
  return is_joined ? 0 : errno;
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
  const std::expected<base::Endpoint, int> bound = bind_and_insert(seam::kDiscoverySocket, std::move(socket), local);
  if (!bound) return std::unexpected(failure_of(tried, bound.error()));
  return *bound;
}

std::expected<base::Endpoint, NetFailure> Datagrams::open_tracker(base::Endpoint local) {
  const std::string tried = "answer UDP trackers' clients on " + local.to_string();
  UniqueFd socket = make_socket(SOCK_DGRAM);
  if (!socket.is_open()) return std::unexpected(failure_of(tried, errno));
  set_option(socket.get(), IPPROTO_IP, IP_PKTINFO, 1);
  const std::expected<base::Endpoint, int> bound = bind_and_insert(seam::kTrackerSocket, std::move(socket), local);
  if (!bound) return std::unexpected(failure_of(tried, bound.error()));
  return *bound;
}

std::expected<base::Endpoint, int> Datagrams::bind_and_insert(seam::SocketId id, UniqueFd socket,
                                                              base::Endpoint local) {
  const std::expected<base::Endpoint, int> bound = bind_socket(socket.get(), local);
  return bound ? insert(id, std::move(socket), *bound) : bound;
}

std::expected<base::Endpoint, int> Datagrams::insert(seam::SocketId id, UniqueFd socket, base::Endpoint local) {
  Descriptor descriptor(loop_);
  ErrorCode error;
  if (descriptor.assign(socket.get(), error)) return std::unexpected(error.value());
  (void)socket.release();
  scratch_.resize(kDatagramBytesMax);
  const bool is_new =
      sockets_.emplace(id, std::make_unique<Socket>(Socket{.descriptor = std::move(descriptor), .local = local}))
          .second;
  SHOAL_CHECK(is_new);
  return local;
}

void Datagrams::start() {
  for (const auto& [id, socket] : sockets_) wait(id);
}

void Datagrams::open(const seam::OpenDatagram& open) {
  const std::expected<base::Endpoint, int> opened = open.group ? open_group(open) : open_own(open);
  if (opened) return wait(open.socket);
  const std::string group = open.group ? " in the group " + open.group->to_string() : "";
  sink_.note(fmt::format("no UDP socket on {}{}: {}", open.local.to_string(), group, text_of_error(opened.error())));
}

std::expected<base::Endpoint, int> Datagrams::open_own(const seam::OpenDatagram& open) {
  UniqueFd socket = make_socket(SOCK_DGRAM);
  if (!socket.is_open()) return std::unexpected(errno);
  set_option(socket.get(), SOL_SOCKET, SO_BROADCAST, 1);
  // Where others speak first they are answered from the address they know.
  if (open.port != 0) set_option(socket.get(), IPPROTO_IP, IP_PKTINFO, 1);
  return bind_and_insert(open.socket, std::move(socket), {.address = open.local, .port = open.port});
}

std::expected<base::Endpoint, int> Datagrams::open_group(const seam::OpenDatagram& open) {
  UniqueFd socket = make_socket(SOCK_DGRAM);
  if (!socket.is_open()) return std::unexpected(errno);
  if (const int error = join(socket.get(), open.group->address, open.local); error != 0) return std::unexpected(error);
  // Bound to the group itself: what is sent to the port alone is for others.
  const std::expected<base::Endpoint, int> bound = bind_socket(socket.get(), *open.group);
  if (!bound) return bound;
  return insert(open.socket, std::move(socket), {.address = open.local, .port = bound->port});
}

void Datagrams::send(const seam::SendDatagram& datagram) {
  const auto found = sockets_.find(datagram.socket);
  if (found == sockets_.end()) return;
  Socket& socket = *found->second;
  const base::Ipv4Address from = datagram.to == socket.last_from ? socket.last_local : base::Ipv4Address{};
  if (send_from(socket.descriptor.native_handle(), from, datagram) >= 0) return;
  const int error = errno;
  sink_.note(
      fmt::format("UDP from {} to {}: {}", socket.local.to_string(), datagram.to.to_string(), text_of_error(error)));
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
    found->second->last_from = endpoint_of(from.remote);
    found->second->last_local = from.local;
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
