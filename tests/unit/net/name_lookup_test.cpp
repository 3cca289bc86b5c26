#include "net/name_lookup.hpp"

#include <gtest/gtest.h>

#include <latch>
#include <mutex>
#include <set>

#include "net/resolve.hpp"
#include "unit/net/fake_machine.hpp"

namespace shoal::net {
namespace {

using namespace std::chrono_literals;

void run_until(asio::io_context& loop, const std::function<bool()>& is_reached) {
  const auto give_up_at = SteadyClock::now() + std::chrono::milliseconds(kGiveUpMilliseconds);
  while (!is_reached() && SteadyClock::now() < give_up_at) {
    loop.restart();
    loop.run_one_for(100ms);
  }
  EXPECT_TRUE(is_reached());
}

TEST(NameLookup, AnswersOnTheLoopAndNeverAtOnce) {
  asio::io_context loop;
  NameLookup names(loop);
  std::optional<IpAddresses> found;
  names.look_up("127.0.0.1", [&](const IpAddresses& addresses) { found = addresses; });
  EXPECT_FALSE(found.has_value());
  run_until(loop, [&] { return found.has_value(); });
  EXPECT_EQ(*found, IpAddresses{asio::ip::make_address("127.0.0.1")});
}

TEST(NameLookup, GivesNothingForANameThatIsNone) {
  EXPECT_TRUE(ask_system("").empty());
  EXPECT_TRUE(ask_system("two words").empty());
  EXPECT_TRUE(ask_system(std::string(70'000, 'x')).empty());
}

TEST(NameLookup, AnswersOthersWhileOneNameServerIsSilent) {
  const auto may_answer = std::make_shared<std::latch>(1);
  asio::io_context loop;
  NameLookup names(loop, [may_answer](const std::string& host) {
    if (host == "slow") may_answer->wait();
    return IpAddresses{asio::ip::make_address("192.0.2.1")};
  });
  int answers = 0;
  bool is_slow_answered = false;
  names.look_up("slow", [&](const IpAddresses&) { is_slow_answered = true; });
  for (int i = 0; i < 100; ++i) names.look_up("fast", [&](const IpAddresses&) { ++answers; });
  run_until(loop, [&] { return answers == 100; });
  EXPECT_FALSE(is_slow_answered);
  may_answer->count_down();
  run_until(loop, [&] { return is_slow_answered; });
}

TEST(NameLookup, StartsFewThreadsHoweverManyAsk) {
  struct Seen {
    std::mutex mutex;
    std::set<std::thread::id> threads;
  };
  const auto seen = std::make_shared<Seen>();
  asio::io_context loop;
  NameLookup names(loop, [seen](const std::string&) {
    const std::lock_guard lock(seen->mutex);
    seen->threads.insert(std::this_thread::get_id());
    return IpAddresses{};
  });
  int answers = 0;
  for (int i = 0; i < 500; ++i) names.look_up("name", [&](const IpAddresses&) { ++answers; });
  run_until(loop, [&] { return answers == 500; });
  EXPECT_LE(seen->threads.size(), kLookupThreadsMax);
}

TEST(NameLookup, AnswersWithNothingWhenTooManyWait) {
  const auto may_answer = std::make_shared<std::latch>(1);
  asio::io_context loop;
  NameLookup names(loop, [may_answer](const std::string&) {
    may_answer->wait();
    return IpAddresses{};
  });
  std::size_t answers = 0;
  for (std::size_t i = 0; i < 2 * kLookupsWaitingMax; ++i)
    names.look_up("name", [&](const IpAddresses&) { ++answers; });
  run_until(loop, [&] { return answers >= kLookupsWaitingMax - kLookupThreadsMax; });
  names.stop();
  may_answer->count_down();
}

TEST(NameLookup, StopsWithoutWaitingForANameServer) {
  const auto may_answer = std::make_shared<std::latch>(1);
  asio::io_context loop;
  bool is_answered = false;
  {
    NameLookup names(loop, [may_answer](const std::string&) {
      may_answer->wait();
      return IpAddresses{};
    });
    names.look_up("slow", [&](const IpAddresses&) { is_answered = true; });
    names.stop();
    names.look_up("late", [&](const IpAddresses&) { is_answered = true; });
  }
  may_answer->count_down();
  loop.run_for(20ms);
  EXPECT_FALSE(is_answered);
}

// What a machine hears for `host`.
std::vector<base::Ipv4Address> resolved_by_runner(const std::string& host) {
  Runner runner({});
  FakeMachine machine;
  std::vector<base::Ipv4Address> found;
  machine.on_start = [&](FakeMachine& self) { self.want(seam::Resolve{.resolve = seam::ResolveId(5), .host = host}); };
  machine.on_any = [&](FakeMachine& self, seam::Event& event) {
    if (const auto* resolved = std::get_if<seam::NameResolved>(&event)) {
      EXPECT_EQ(resolved->resolve, seam::ResolveId(5));
      found = resolved->addresses;
      self.finish();
    }
  };
  (void)runner.run(machine);
  return found;
}

TEST(Resolve, GivesTheIpv4AddressesOfAName) {
  EXPECT_EQ(resolved_by_runner("10.1.2.3"), std::vector{*base::Ipv4Address::parse("10.1.2.3")});
  const auto local = resolved_by_runner("localhost");
  EXPECT_NE(std::ranges::find(local, base::Ipv4Address::loopback()), local.end());
  EXPECT_TRUE(resolved_by_runner("two words").empty());
}

}  // namespace
}  // namespace shoal::net
