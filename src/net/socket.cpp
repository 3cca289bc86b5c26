#include "net/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include <fmt/format.h>

#include "base/check.hpp"

namespace shoal::net {

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

sockaddr_in sockaddr_of(base::Endpoint endpoint) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(endpoint.address.value);
  address.sin_port = htons(endpoint.port);
  return address;
}

base::Endpoint endpoint_of(const sockaddr_in& address) {
  return {.address = {ntohl(address.sin_addr.s_addr)}, .port = ntohs(address.sin_port)};
}

base::Endpoint endpoint_of(const sockaddr& address) {
  SHOAL_CHECK(address.sa_family == AF_INET);
  sockaddr_in ipv4{};
  std::memcpy(&ipv4, &address, sizeof ipv4);
  return endpoint_of(ipv4);
}

base::Endpoint local_endpoint_of(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return endpoint_of(address);
}

UniqueFd make_socket(int type) {
  return UniqueFd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

bool set_option(int socket, int level, int name, int value) {
  return ::setsockopt(socket, level, name, &value, sizeof value) == 0;
}

seam::NetError net_error_of(int error) {
  switch (error) {
    case ECONNREFUSED:
      return seam::NetError::refused;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
      return seam::NetError::unreachable;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
      return seam::NetError::reset;
    case ETIMEDOUT:
      return seam::NetError::timed_out;
    default:
      return seam::NetError::other;
  }
}

NetFailure failure_of(std::string_view tried, int error) {
  NetFailureKind kind = NetFailureKind::other;
  if (error == EADDRINUSE) kind = NetFailureKind::address_in_use;
  if (error == EADDRNOTAVAIL) kind = NetFailureKind::address_not_here;
  if (error == EACCES || error == EPERM) kind = NetFailureKind::permission_denied;
  return {.kind = kind, .message = fmt::format("{}: {}", tried, std::generic_category().message(error))};
}

std::expected<base::Endpoint, int> bind_socket(int socket, base::Endpoint local) {
  const sockaddr_in address = sockaddr_of(local);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return std::unexpected(errno);
  return local_endpoint_of(socket);
}

std::size_t raise_open_files_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    rlimit raised = limit;
    raised.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

}  // namespace shoal::net
