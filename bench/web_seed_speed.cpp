// How fast one web seed gives on loopback: a file of 4 GiB in ranges of 256 KiB, kFetchesAtOnce at a time, over
// connections that are kept. Hashing and disk are left out. The server is a thread for each connection that sends the
// same bytes again and again. Prints one line.
#include <fmt/format.h>
#include <sys/resource.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "net/runner.hpp"
#include "net/socket.hpp"
#include "swarm/web_seed.hpp"

namespace {

using namespace shoal;

constexpr std::uint64_t kTotalBytes = 4ull << 30;
constexpr std::uint32_t kPieceBytes = 4u << 20;
constexpr std::size_t kRunsAhead = swarm::kFetchesAtOnce;

void serve(net::UniqueFd socket) {
  const std::string body(swarm::kRunBytesMax, 'x');
  std::array<char, 4096> request{};
  // A request comes in one segment, because the next is sent only after the answer.
  while (true) {
    const auto got = ::recv(socket.get(), request.data(), request.size(), 0);
    if (got <= 0) return;
    const std::string_view asked(request.data(), static_cast<std::size_t>(got));
    constexpr std::string_view kRange = "Range: bytes=";
    const std::string_view range = asked.substr(asked.find(kRange) + kRange.size());
    const std::string head =
        fmt::format("HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {}/*\r\n\r\n",
                    body.size(), range.substr(0, range.find('\r')));
    if (::send(socket.get(), head.data(), head.size(), MSG_NOSIGNAL | MSG_MORE) <= 0) return;
    std::string_view rest = body;
    while (!rest.empty()) {
      const auto count = ::send(socket.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(count));
    }
  }
}

// Takes every run of the file from one web seed.
class Taker final : public seam::Machine {
 public:
  explicit Taker(const std::string& url) : seed_({.url = url}, manifest_, buffers_) {}

  void start(base::Instant now) override { ask(now); }
  void on_event(seam::Event&& event, base::Instant now) override {
    SHOAL_CHECK(seed_.on_event(event, now));
    for (const swarm::WebSeedEvent& happened : seed_.take_events()) {
      const auto* run = std::get_if<swarm::RunArrived>(&happened);
      SHOAL_CHECK(run != nullptr);
      arrived_ += run->part.size_bytes;
    }
    ask(now);
  }
  seam::ReadTargets next_read(seam::ConnId) override { return {}; }
  std::optional<base::Instant> next_deadline() const override { return seed_.next_deadline(); }
  seam::Actions take_actions() override {
    seam::Actions actions = seed_.take_actions();
    if (arrived_ == kTotalBytes && !std::exchange(is_finished_, true)) actions.emplace_back(seam::Finish{});
    return actions;
  }

 private:
  static metainfo::Manifest make_manifest() {
    metainfo::Layout layout{.piece_bytes = kPieceBytes, .total_bytes = kTotalBytes};
    layout.files = {{.path = {"file"}, .size_bytes = kTotalBytes}};
    return {.name = "file", .pieces = std::vector<base::Sha1Hash>(kTotalBytes / kPieceBytes), .layout = layout};
  }
  void ask(base::Instant now) {
    while (asked_ < kTotalBytes && seed_.has_room(now)) {
      seed_.request({.piece = base::PieceIndex(static_cast<std::uint32_t>(asked_ / kPieceBytes)),
                     .offset_bytes = static_cast<std::uint32_t>(asked_ % kPieceBytes),
                     .size_bytes = swarm::kRunBytesMax},
                    now);
      asked_ += swarm::kRunBytesMax;
    }
  }

  metainfo::Manifest manifest_ = make_manifest();
  base::BufferPool buffers_{swarm::kRunBytesMax, 4 * kRunsAhead};
  swarm::WebSeed seed_;
  std::uint64_t asked_ = 0;
  std::uint64_t arrived_ = 0;
  bool is_finished_ = false;
};

double own_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main() {
  const net::UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto local = net::bind_socket(listener.get(), {.address = base::Ipv4Address::loopback(), .port = 0});
  if (!local || ::listen(listener.get(), 16) != 0) {
    std::fprintf(stderr, "cannot listen on 127.0.0.1\n");
    return 1;
  }
  std::thread acceptor([&listener] {
    std::vector<std::thread> threads;
    while (true) {
      net::UniqueFd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket.is_open()) break;
      threads.emplace_back([fd = socket.release()] { serve(net::UniqueFd(fd)); });
    }
    for (std::thread& thread : threads) thread.join();
  });

  std::optional<net::Runner> runner(std::in_place, net::RunnerOptions{});
  Taker taker("http://" + local->to_string() + "/file");
  const auto begun = std::chrono::steady_clock::now();
  (void)runner->run(taker);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  const double cpu = own_cpu_seconds();
  runner.reset();
  ::shutdown(listener.get(), SHUT_RDWR);
  acceptor.join();
  std::printf("web seed on loopback: %.0f MB/s, %.2f s of processor for each GB taken\n",
              static_cast<double>(kTotalBytes) / 1e6 / took.count(), cpu / (static_cast<double>(kTotalBytes) / 1e9));
  return 0;
}
