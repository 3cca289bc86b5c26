// The few system calls every part of net needs around a socket: its owner, addresses, and errors in our own words.
#pragma once

#include <sys/socket.h>

#include <expected>
#include <string_view>
#include <utility>

#include <netinet/in.h>

#include "base/endpoint.hpp"
#include "net/failure.hpp"
#include "seam/events.hpp"

namespace shoal::net {

// Owns one file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd();

  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

[[nodiscard]] sockaddr_in sockaddr_of(base::Endpoint endpoint);
// `address` must be IPv4.
[[nodiscard]] base::Endpoint endpoint_of(const sockaddr& address);
[[nodiscard]] base::Endpoint endpoint_of(const sockaddr_in& address);
// The local side of a socket; all zeros when the kernel does not say.
[[nodiscard]] base::Endpoint local_endpoint_of(int socket);

// A new socket: non-blocking, not inherited by other programs. Not open when there are too many.
[[nodiscard]] UniqueFd make_socket(int type);
// True when the kernel took it.
bool set_option(int socket, int level, int name, int value);

[[nodiscard]] seam::NetError net_error_of(int error);
// `tried` is the beginning of the message: "listen on 127.0.0.1:80".
[[nodiscard]] NetFailure failure_of(std::string_view tried, int error);

// Binds; the answer has the real port.
[[nodiscard]] std::expected<base::Endpoint, int> bind_socket(int socket, base::Endpoint local);

// Lets this process have as many open files as it may: one for each connection, and some. Gives the limit.
std::size_t raise_open_files_limit();

}  // namespace shoal::net
