// What the simulator's runner does for a machine besides connections and pieces: the web, names, groups, saved state.
#include "sim/host.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;

const base::Ipv4Address kOne = *base::Ipv4Address::parse("10.0.0.1");
const base::Ipv4Address kTwo = *base::Ipv4Address::parse("10.0.0.2");
const base::Ipv4Address kThree = *base::Ipv4Address::parse("10.0.0.3");
const base::Endpoint kGroup = *base::Endpoint::parse("239.192.152.143:6771");

base::Bytes bytes_of(std::string_view text) {
  const base::ByteView view = base::view_of(text);
  return {view.begin(), view.end()};
}

// Wants what a test says, remembers what it hears; answers each connection's first bytes with `answer` and closes.
class Script final : public seam::Machine {
 public:
  struct Log {
    std::vector<std::string> events;
    base::Instant last{};
  };

  Script(seam::Actions wanted, Log& log, std::string answer = {})
      : actions_(std::move(wanted)), log_(log), answer_(std::move(answer)) {}

  void start(base::Instant) override {}
  void on_event(seam::Event&& event, base::Instant now) override {
    log_.last = now;
    if (const auto* fetched = std::get_if<seam::Fetched>(&event)) {
      say(std::to_string(fetched->status) + " " + std::string(base::text_of(fetched->body)));
    } else if (const auto* failed = std::get_if<seam::FetchFailed>(&event)) {
      say(failed->reason);
    } else if (const auto* resolved = std::get_if<seam::NameResolved>(&event)) {
      std::string text = "resolved";
      for (const base::Ipv4Address address : resolved->addresses) text += " " + address.to_string();
      say(text);
    } else if (const auto* datagram = std::get_if<seam::DatagramArrived>(&event)) {
      say(std::to_string(datagram->socket.value) + " heard " + std::string(base::text_of(datagram->bytes)) + " from " +
          datagram->from.to_string());
    } else if (const auto* arrived = std::get_if<seam::BytesArrived>(&event)) {
      say(std::string(base::text_of(base::ByteView(room_).first(arrived->count))));
      if (std::exchange(has_answered_, true)) return;
      actions_.emplace_back(seam::Send{arrived->conn, bytes_of(answer_)});
      actions_.emplace_back(seam::Close{arrived->conn});
    }
  }
  seam::ReadTargets next_read(seam::ConnId) override { return {{std::span(room_)}}; }
  std::optional<base::Instant> next_deadline() const override { return std::nullopt; }
  seam::Actions take_actions() override { return std::exchange(actions_, {}); }

 private:
  void say(std::string text) { log_.events.push_back(std::move(text)); }

  seam::Actions actions_;
  Log& log_;
  std::string answer_;
  bool has_answered_ = false;
  std::array<std::byte, 4096> room_{};
};

class SimHostTest : public testing::Test {
 protected:
  SimHostTest() {
    for (SimHost* host : {&one_, &two_, &three_}) host->web = &web_;
  }

  template <typename... Wanted>
  static seam::Actions want(Wanted... wanted) {
    seam::Actions actions;
    (actions.emplace_back(std::move(wanted)), ...);
    return actions;
  }
  void boot(SimHost& host, seam::Actions wanted, Script::Log& log, std::string answer = {}) {
    host.crash();
    host.boot(std::make_unique<Script>(std::move(wanted), log, std::move(answer)));
  }
  void run() {
    while (!queue_.is_empty()) queue_.step();
  }
  // What the first host hears when it wants this.
  std::vector<std::string> heard(seam::Actions wanted) {
    boot(one_, std::move(wanted), log_);
    run();
    return log_.events;
  }

  EventQueue queue_;
  Network network_{queue_, {}, base::Rng(1)};
  Web web_;
  HostOptions options(base::Ipv4Address address) const {
    return {.address = address, .link = {}, .splits_reads = false};
  }
  SimHost one_{queue_, network_, options(kOne), base::Rng(2)};
  SimHost two_{queue_, network_, options(kTwo), base::Rng(3)};
  SimHost three_{queue_, network_, options(kThree), base::Rng(4)};
  Script::Log log_;
};

using Said = std::vector<std::string>;

TEST_F(SimHostTest, FetchesFilesWholeAndByRanges) {
  web_.serve("http://web/", serve_files({{"http://web/file", bytes_of("0123456789")}}, 1e6));
  const auto range = [](std::uint64_t id, std::string value) {
    return seam::Fetch{.fetch = seam::FetchId(id), .url = "http://web/file", .headers = {{"Range", std::move(value)}}};
  };
  EXPECT_EQ(heard(want(seam::Fetch{.fetch = seam::FetchId(1), .url = "http://web/file"})), Said{"200 0123456789"});
  log_.events.clear();
  EXPECT_EQ(heard(want(range(2, "bytes=2-4"))), Said{"206 234"});
  log_.events.clear();
  EXPECT_EQ(heard(want(range(3, "bytes=8-99"))), Said{"206 89"});
  log_.events.clear();
  EXPECT_EQ(heard(want(range(4, "bytes=10-11"))), Said{"416 "});
  log_.events.clear();
  EXPECT_EQ(heard(want(seam::Fetch{.fetch = seam::FetchId(5), .url = "http://web/other"})), Said{"404 "});
}

TEST_F(SimHostTest, TakesTheTimeThatTheServerNeeds) {
  web_.serve("http://web/", serve_files({{"http://web/file", base::Bytes(1000)}}, 1000));
  heard(want(seam::Fetch{.fetch = seam::FetchId(1), .url = "http://web/file"}));
  EXPECT_EQ(log_.last - base::Instant{}, 1010ms);
}

TEST_F(SimHostTest, FailsAFetchAsTheRealWebWould) {
  web_.serve("http://web/", serve_files({{"http://web/file", bytes_of("0123456789")}}, 1e6));
  web_.serve("http://web/silent", [](const seam::Fetch&) { return WebReply{.is_silent = true}; });
  web_.serve("http://web/broken", [](const seam::Fetch&) { return WebReply{.failure = "broken"}; });
  const auto fetch = [](std::string url) {
    return seam::Fetch{.fetch = seam::FetchId(1), .url = std::move(url), .reply_bytes_max = 9, .timeout = 7s};
  };
  for (const auto& [url, reason] :
       {std::pair("http://web/file", "longer than 9 bytes"), std::pair("http://web/silent", "no answer in time"),
        std::pair("http://web/broken", "broken"), std::pair("http://elsewhere/", "no such host"),
        std::pair("https://10.0.0.2/", "no such host"), std::pair("http://10.0.0.99/", "no answer in time"),
        std::pair("http://10.0.0.2:9/", "cannot connect")}) {
    Script::Log other;
    boot(two_, {}, other);
    log_.events.clear();
    heard(want(fetch(url)));
    ASSERT_EQ(log_.events.size(), 1u) << url;
    EXPECT_NE(log_.events[0].find(reason), std::string::npos) << log_.events[0];
  }
}

TEST_F(SimHostTest, SaysNothingOfACancelledFetch) {
  web_.serve("http://web/", serve_files({{"http://web/file", bytes_of("x")}}, 1e6));
  EXPECT_EQ(heard(want(seam::Fetch{.fetch = seam::FetchId(1), .url = "http://web/file"},
                       seam::Fetch{.fetch = seam::FetchId(2), .url = "http://10.0.0.2/"},
                       seam::CancelFetch{seam::FetchId(1)}, seam::CancelFetch{seam::FetchId(2)})),
            Said{});
}

TEST_F(SimHostTest, FetchesFromAMachineOverTheNetwork) {
  const auto answer_of_machine = [this](const std::string& answer, seam::Fetch fetch) {
    Script::Log server;
    boot(two_, {}, server, answer);
    two_.listen(8000);
    log_.events.clear();
    fetch.fetch = seam::FetchId(1);
    fetch.url = "http://tracker:8000/announce?x=1";
    heard(want(std::move(fetch)));
    EXPECT_EQ(log_.events.size(), 1u);
    return std::pair(log_.events.empty() ? "" : log_.events[0], server.events.empty() ? "" : server.events[0]);
  };
  web_.name("tracker", {kTwo});
  const auto [whole, request] = answer_of_machine("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npeer", {});
  EXPECT_EQ(whole, "200 peer");
  EXPECT_TRUE(request.starts_with("GET /announce?x=1 HTTP/1.1\r\nHost: tracker:8000\r\n")) << request;
  EXPECT_TRUE(answer_of_machine("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n",
                                {.method = "PUT", .body = bytes_of("body"), .headers = {{"A", "b"}}})
                  .second.ends_with("A: b\r\nContent-Length: 4\r\n\r\nbody"));
  EXPECT_EQ(answer_of_machine("HTTP/1.1 404 Not Found\r\n\r\nto the end", {}).first, "404 to the end");
  EXPECT_TRUE(answer_of_machine("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npeer", {}).first.ends_with("ended early"));
  EXPECT_TRUE(answer_of_machine("HTTP/1.1 200", {}).first.ends_with("ended within its head"));
  EXPECT_TRUE(answer_of_machine("garbage\r\n\r\n", {}).first.ends_with("no HTTP"));
  EXPECT_TRUE(answer_of_machine("HTTP/1.1 200 OK\r\n\r\n" + std::string(11, 'x'), {.reply_bytes_max = 10})
                  .first.ends_with("too long"));
}

// Reads nothing before a second has passed, then answers.
class LateReader final : public seam::Machine {
 public:
  void start(base::Instant) override {}
  void on_event(seam::Event&& event, base::Instant now) override {
    now_ = now;
    if (std::holds_alternative<seam::DeadlineReached>(event)) {
      is_awake_ = true;
      wakes_at_.reset();
      actions_.emplace_back(seam::ResumeReading{conn_});
    } else if (std::holds_alternative<seam::BytesArrived>(event)) {
      actions_.emplace_back(seam::Send{conn_, bytes_of("HTTP/1.1 200 OK\r\n\r\nlate")});
      actions_.emplace_back(seam::Close{conn_});
    }
  }
  seam::ReadTargets next_read(seam::ConnId conn) override {
    if (is_awake_) return {{std::span(room_)}};
    conn_ = conn;
    wakes_at_ = now_ + 1s;
    return {};
  }
  std::optional<base::Instant> next_deadline() const override { return wakes_at_; }
  seam::Actions take_actions() override { return std::exchange(actions_, {}); }

 private:
  seam::Actions actions_;
  seam::ConnId conn_;
  base::Instant now_{};
  std::optional<base::Instant> wakes_at_;
  bool is_awake_ = false;
  std::array<std::byte, 4096> room_{};
};

TEST_F(SimHostTest, WakesAMachineThatStopsReadingUntilATime) {
  two_.boot(std::make_unique<LateReader>());
  two_.listen(8000);
  EXPECT_EQ(heard(want(seam::Fetch{.fetch = seam::FetchId(1), .url = "http://10.0.0.2:8000/"})), Said{"200 late"});
}

TEST_F(SimHostTest, ResolvesTheNamesOfTheWorld) {
  web_.name("two.hosts", {kOne, kTwo});
  const auto resolve = [](std::string host) {
    return seam::Resolve{.resolve = seam::ResolveId(1), .host = std::move(host)};
  };
  EXPECT_EQ(heard(want(resolve("two.hosts"), resolve("10.9.9.9"), resolve("unknown"))),
            (Said{"resolved 10.0.0.1 10.0.0.2", "resolved 10.9.9.9", "resolved"}));
}

TEST_F(SimHostTest, CarriesWhatIsSentToAGroupToAllItsMembers) {
  const auto join = [](base::Ipv4Address local) {
    return seam::OpenDatagram{.socket = seam::SocketId(1001), .local = local, .group = kGroup};
  };
  Script::Log member;
  Script::Log stranger;
  boot(two_, want(join(kTwo)), member);
  boot(three_, {}, stranger);
  const seam::SendDatagram hello{.socket = seam::SocketId(1001), .to = kGroup, .bytes = bytes_of("hello")};
  heard(want(join(kOne), hello));
  EXPECT_EQ(log_.events, Said{"1001 heard hello from 10.0.0.1:6771"});
  EXPECT_EQ(member.events, Said{"1001 heard hello from 10.0.0.1:6771"});
  EXPECT_TRUE(stranger.events.empty());

  network_.set_partition({kTwo});
  heard(want(join(kOne), hello));
  EXPECT_EQ(member.events.size(), 1u);
  heard(want(join(base::Ipv4Address::loopback()), hello));
  EXPECT_EQ(log_.events.size(), 2u);
}

TEST_F(SimHostTest, HasASocketForEachOfItsPurposes) {
  Script::Log other;
  boot(two_, {}, other);
  two_.bind_discovery(9000);
  two_.bind_tracker(8000);
  const auto say = [](std::string text, std::uint16_t port) {
    return seam::SendDatagram{.socket = seam::SocketId(5), .to = {kTwo, port}, .bytes = bytes_of(text)};
  };
  heard(want(seam::OpenDatagram{.socket = seam::SocketId(5), .local = kOne}, say("find", 9000), say("announce", 8000),
             say("nobody", 7000), seam::CloseDatagram{seam::SocketId(5)}, say("late", 8000)));
  EXPECT_EQ(other.events, (Said{"0 heard find from 10.0.0.1:50000", "1 heard announce from 10.0.0.1:50000"}));
}

TEST_F(SimHostTest, KeepsSavedStateThroughACrashUnlessItWasNotOnDiskYet) {
  const auto save = [](std::string_view text) { return seam::SaveState{.name = "shares", .bytes = bytes_of(text)}; };
  EXPECT_TRUE(one_.saved_state("shares").empty());
  boot(one_, want(save("first"), save("second")), log_);
  run();
  EXPECT_EQ(one_.saved_state("shares"), bytes_of("second"));
  one_.crash();
  EXPECT_EQ(one_.saved_state("shares"), bytes_of("second"));
  boot(one_, want(save("third")), log_);
  one_.crash();
  run();
  EXPECT_EQ(one_.saved_state("shares"), bytes_of("second"));
}

TEST_F(SimHostTest, KeepsWhatWasSavedJustBeforeTheEnd) {
  boot(one_, want(seam::SaveState{.name = "shares", .bytes = bytes_of("last")}, seam::Finish{}), log_);
  run();
  EXPECT_EQ(one_.saved_state("shares"), bytes_of("last"));
}

}  // namespace
}  // namespace shoal::sim
