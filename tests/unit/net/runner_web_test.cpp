// What a machine sees of Fetch, and of other runners in the same process.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>

#include <fmt/format.h>

#include "swarm/web_seed.hpp"
#include "unit/net/fake_piece.hpp"
#include "unit/net/web_server.hpp"

namespace shoal::net {
namespace {

using namespace std::chrono_literals;

TEST(RunnerWeb, AnswersAFetch) {
  const WebServer server(
      answer_each([](WebVisitor& visitor, const std::string&) { visitor.answer("not here", "404 Not Found"); }));
  Runner runner({});
  FakeMachine machine;
  std::optional<seam::Fetched> fetched;
  std::optional<seam::FetchFailed> failed;
  machine.on_start = [&](FakeMachine& self) {
    self.want(seam::Fetch{.fetch = seam::FetchId(1), .url = server.url()});
    self.want(seam::Fetch{.fetch = seam::FetchId(2), .url = "no url"});
  };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (const auto* answer = std::get_if<seam::Fetched>(&event)) fetched = *answer;
    if (const auto* answer = std::get_if<seam::FetchFailed>(&event)) failed = *answer;
    if (fetched && failed) self.finish();
  };
  (void)runner.run(machine);
  ASSERT_TRUE(fetched && failed);
  EXPECT_EQ(fetched->fetch, seam::FetchId(1));
  EXPECT_EQ(fetched->status, 404);
  EXPECT_EQ(base::text_of(fetched->body), "not here");
  EXPECT_EQ(failed->fetch, seam::FetchId(2));
}

TEST(RunnerWeb, SaysNothingOfACancelledFetch) {
  const WebServer server(answer_each([](WebVisitor& visitor, const std::string&) { visitor.answer("hello"); }));
  Runner runner({});
  FakeMachine machine;
  std::vector<seam::FetchId> ended;
  machine.on_start = [&](FakeMachine& self) {
    self.want(seam::Fetch{.fetch = seam::FetchId(1), .url = server.url()});
    self.want(seam::CancelFetch{seam::FetchId(1)});
    self.want(seam::Fetch{.fetch = seam::FetchId(2), .url = "no url"});  // its failure waits for its turn
    self.want(seam::CancelFetch{seam::FetchId(2)});
    self.want(seam::CancelFetch{seam::FetchId(9)});
    self.want(seam::Fetch{.fetch = seam::FetchId(3), .url = server.url()});
  };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (const auto* answer = std::get_if<seam::Fetched>(&event)) ended.push_back(answer->fetch);
    if (const auto* answer = std::get_if<seam::FetchFailed>(&event)) ended.push_back(answer->fetch);
    self.finish();
  };
  (void)runner.run(machine);
  EXPECT_EQ(ended, std::vector<seam::FetchId>{seam::FetchId(3)});
}

TEST(RunnerWeb, EndsWithoutWaitingForServersAndNameServers) {
  const WebServer server([](WebVisitor& visitor) { visitor.wait_until_closed(); });
  Runner runner({});
  FakeMachine machine;
  machine.on_start = [&](FakeMachine& self) {
    for (std::uint64_t id = 1; id <= 10; ++id) {
      self.want(seam::Fetch{.fetch = seam::FetchId(id), .url = server.url(), .timeout = 1h});
    }
    self.want(seam::Fetch{.fetch = seam::FetchId(11), .url = "http://host.invalid/", .timeout = 1h});
    self.want(seam::Resolve{.resolve = seam::ResolveId(1), .host = "other.invalid"});
    self.deadline = self.now + 30ms;
  };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (std::holds_alternative<seam::DeadlineReached>(event)) self.finish("done");
  };
  const auto begun = SteadyClock::now();
  EXPECT_EQ(runner.run(machine).message, "done");
  EXPECT_LT(SteadyClock::now() - begun, 1s);
}

// Answers with the range that is asked for, and counts requests.
WebServer::Serve serve_ranges(const std::string& file, std::atomic<int>& asked) {
  return answer_each([&file, &asked](WebVisitor& visitor, const std::string& request) {
    ++asked;
    std::size_t first = 0;
    std::size_t last = 0;
    const std::size_t at = request.find("Range: bytes=");
    ASSERT_NE(at, std::string::npos);
    ASSERT_EQ(std::sscanf(request.c_str() + at, "Range: bytes=%zu-%zu", &first, &last), 2);
    visitor.answer(std::string_view(file).substr(first, last - first + 1), "206 Partial Content",
                   fmt::format("Content-Range: bytes {}-{}/{}\r\n", first, last, file.size()));
  });
}

TEST(RunnerWeb, TakesAWholeFileFromAWebSeedOverAFewConnections) {
  constexpr std::uint32_t kPieceBytes = 1u << 20;
  const std::string file = noise(5 * kPieceBytes + 12'345);
  std::atomic<int> asked = 0;
  const WebServer server(serve_ranges(file, asked));
  metainfo::Layout layout{.piece_bytes = kPieceBytes, .total_bytes = file.size()};
  layout.files = {{.path = {"file"}, .size_bytes = file.size()}};
  const metainfo::Manifest manifest{.name = "file", .pieces = std::vector<base::Sha1Hash>(6), .layout = layout};
  base::BufferPool buffers(swarm::kRunBytesMax, 16);
  swarm::WebSeed seed({.url = server.url("/file")}, manifest, buffers);

  Runner runner({});
  FakeMachine machine;
  std::string taken(file.size(), '\0');
  std::uint64_t asked_bytes = 0;
  std::uint64_t taken_bytes = 0;
  const auto ask = [&](FakeMachine& self) {
    while (asked_bytes < file.size() && seed.has_room(self.now)) {
      const swarm::Run run{.piece = base::PieceIndex(static_cast<std::uint32_t>(asked_bytes / kPieceBytes)),
                           .offset_bytes = static_cast<std::uint32_t>(asked_bytes % kPieceBytes),
                           .size_bytes = static_cast<std::uint32_t>(
                               std::min<std::uint64_t>(swarm::kRunBytesMax, file.size() - asked_bytes))};
      seed.request(run, self.now);
      asked_bytes += run.size_bytes;
    }
    for (seam::Action& action : seed.take_actions()) self.want(std::move(action));
  };
  machine.on_start = ask;
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    seed.on_event(event, self.now);
    for (const swarm::WebSeedEvent& happened : seed.take_events()) {
      const auto* run = std::get_if<swarm::RunArrived>(&happened);
      if (run == nullptr) return self.finish("a run did not come");
      const base::ByteView bytes = base::ByteView(run->buffer.bytes()).first(run->part.size_bytes);
      taken.replace(manifest.offset_of(run->part.piece) + run->part.offset_bytes, bytes.size(), base::text_of(bytes));
      taken_bytes += bytes.size();
    }
    if (taken_bytes == file.size()) return self.finish();
    ask(self);
  };
  EXPECT_EQ(runner.run(machine).message, "");
  EXPECT_TRUE(taken == file);
  EXPECT_LE(asked, 21) << "a range for each run at most";
  EXPECT_LE(server.connections(), static_cast<int>(swarm::kFetchesAtOnce));
}

TEST(RunnerWeb, SendsPartsOfAPiece) {
  const std::string content = noise(3'000'000);
  const auto piece = std::make_shared<FilePiece>(content);
  Runner runner({});
  const auto listening = runner.listen_tcp(kAnyLoopbackPort);
  ASSERT_TRUE(listening.has_value());
  FakeMachine machine;
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    const auto* accepted = std::get_if<seam::Accepted>(&event);
    if (accepted == nullptr) return;
    const auto part = [&](std::uint64_t offset, std::optional<std::uint64_t> count) {
      self.want(seam::SendPiece{.conn = accepted->conn,
                                .header = bytes_of("head"),
                                .piece = piece,
                                .offset_bytes = offset,
                                .count_bytes = count});
    };
    part(16'384, 16'384);      // fits one write
    part(1'000'001, 500'000);  // straight from the file
    part(2'999'990, {});       // to the end
    part(3'000'000, 0);        // nothing of it
    self.want(seam::ShutdownSend{accepted->conn});
  };
  RunnerThread thread(runner, machine);
  Counterpart counterpart(*listening);
  const std::string expected = "head" + content.substr(16'384, 16'384) + "head" + content.substr(1'000'001, 500'000) +
                               "head" + content.substr(2'999'990) + "head";
  EXPECT_TRUE(counterpart.receive(expected.size()) == expected);
  EXPECT_TRUE(counterpart.sees_end());
}

TEST(RunnerWeb, RunsTwiceInOneProcess) {
  // One serves what the other asks it for, each on its own thread, with its own pool, timers and sockets.
  constexpr int kRounds = 200;
  Runner server({});
  const auto listening = server.listen_tcp(kAnyLoopbackPort);
  ASSERT_TRUE(listening.has_value());
  FakeMachine echo;
  echo.on_any = [](FakeMachine& self, seam::Event& event) {
    if (const auto* arrived = std::get_if<seam::BytesArrived>(&event)) {
      self.want(seam::Send{.conn = arrived->conn, .bytes = bytes_of(std::exchange(self.received[arrived->conn], {}))});
    }
  };
  RunnerThread server_thread(server, echo);

  Runner client({});
  FakeMachine asker;
  const seam::ConnId conn{1};
  int rounds = 0;
  asker.on_start = [&](FakeMachine& self) { self.want(seam::Dial{.conn = conn, .remote = *listening}); };
  asker.on_any = [&](FakeMachine& self, seam::Event& event) {
    const bool is_next = std::holds_alternative<seam::Connected>(event) ||
                         (std::holds_alternative<seam::BytesArrived>(event) && self.received[conn] == "question");
    if (!is_next) return;
    self.received[conn].clear();
    if (++rounds > kRounds) return self.finish();
    self.want(seam::Send{.conn = conn, .bytes = bytes_of("question")});
  };
  (void)client.run(asker);
  EXPECT_EQ(rounds, kRounds + 1);
  EXPECT_EQ(server_thread.stop().message, "stopped");
}

}  // namespace
}  // namespace shoal::net
