// The floor of this machine: one process sends a file over loopback with sendfile, another receives it, hashes it with
// SHA-1 and writes it, with as many threads (and connections) as there are cores. No protocol, nothing verified before
// sending. Prints one line for each run, "seconds 0.912", so that a script can compare a program with it in one go.
//
//   limit_probe SOURCE TARGET [RUNS]
//
// SOURCE is sent, TARGET is written and removed again. Both should lie where the program to compare with works, and
// SOURCE should be in the page cache.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/check.hpp"
#include "base/sha1.hpp"

namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// An odd number of bytes per thread would measure the same; equal parts keep the threads level.
std::vector<Range> split_evenly(std::uint64_t size_bytes, unsigned parts) {
  std::vector<Range> ranges;
  for (unsigned part = 0; part < parts; ++part) {
    ranges.push_back({size_bytes * part / parts, size_bytes * (part + 1) / parts});
  }
  return ranges;
}

std::uint64_t size_of(const std::string& path) {
  struct stat status{};
  SHOAL_CHECK(stat(path.c_str(), &status) == 0);
  return static_cast<std::uint64_t>(status.st_size);
}

void send_range(int listener, const std::string& path, Range range) {
  const int connection = accept(listener, nullptr, nullptr);
  SHOAL_CHECK(connection >= 0);
  const int file = open(path.c_str(), O_RDONLY);
  SHOAL_CHECK(file >= 0);
  // The receiver says which range it wants, because connections are accepted in any order.
  SHOAL_CHECK(recv(connection, &range, sizeof range, MSG_WAITALL) == sizeof range);
  off_t offset = static_cast<off_t>(range.begin);
  while (static_cast<std::uint64_t>(offset) < range.end) {
    const ssize_t sent = sendfile(connection, file, &offset, range.end - static_cast<std::uint64_t>(offset));
    SHOAL_CHECK(sent > 0);
  }
  close(file);
  close(connection);
}

void receive_range(sockaddr_in address, int output, Range range) {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  SHOAL_CHECK(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  SHOAL_CHECK(send(connection, &range, sizeof range, 0) == sizeof range);
  std::vector<std::byte> buffer(kReadBytes);
  shoal::base::Sha1Hasher hasher;
  for (std::uint64_t offset = range.begin; offset < range.end;) {
    const ssize_t count = recv(connection, buffer.data(), buffer.size(), MSG_WAITALL);
    SHOAL_CHECK(count > 0);
    const shoal::base::ByteView part(buffer.data(), static_cast<std::size_t>(count));
    hasher.update(part);
    SHOAL_CHECK(pwrite(output, part.data(), part.size(), static_cast<off_t>(offset)) == count);
    offset += part.size();
  }
  static_cast<void>(hasher.finish());
  close(connection);
}

double run_once(const std::string& source, const std::string& target, unsigned threads) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  SHOAL_CHECK(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
  SHOAL_CHECK(listen(listener, 16) == 0);
  SHOAL_CHECK(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const std::vector<Range> ranges = split_evenly(size_of(source), threads);

  const pid_t sender = fork();
  SHOAL_CHECK(sender >= 0);
  if (sender == 0) {
    std::vector<std::thread> workers;
    for (const Range& range : ranges) workers.emplace_back(send_range, listener, source, range);
    for (std::thread& worker : workers) worker.join();
    _exit(0);
  }
  unlink(target.c_str());
  const int output = open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  SHOAL_CHECK(output >= 0);

  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> workers;
  for (const Range& range : ranges) workers.emplace_back(receive_range, address, output, range);
  for (std::thread& worker : workers) worker.join();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

  close(output);
  close(listener);
  waitpid(sender, nullptr, 0);
  unlink(target.c_str());
  return elapsed.count();
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: limit_probe SOURCE TARGET [RUNS]\n");
    return 2;
  }
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  const int runs = count > 3 ? std::atoi(arguments[3]) : 1;
  for (int run = 0; run < runs; ++run) {
    std::printf("seconds %.3f\n", run_once(arguments[1], arguments[2], threads));
    std::fflush(stdout);
  }
  return 0;
}
