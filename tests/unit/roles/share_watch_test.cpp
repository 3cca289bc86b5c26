#include "roles/share_watch.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace shoal::roles {
namespace {

using namespace std::chrono_literals;
using Result = seam::Finish::Result;

const base::Sha1Hash kShare = base::sha1(base::view_of("a share"));

// A tracker as the watch meets it.
struct World {
  explicit World(ShareWatchOptions options = {}, std::uint64_t seed = 1, bool refuses = false)
      : refuses_announces(refuses), watch(with_names(options), base::Rng(seed)) {
    watch.start(now);
    carry_out();
  }
  static ShareWatchOptions with_names(ShareWatchOptions options) {
    options.tracker = base::Endpoint::parse("10.0.0.1:8000").value();
    options.info_hash = kShare;
    options.port = 7000;
    return options;
  }

  void run_until(base::Duration time) {
    const base::Instant until = base::Instant{} + time;
    while (!finish && watch.next_deadline() && *watch.next_deadline() <= until) {
      now = std::max(now, *watch.next_deadline());
      feed(seam::DeadlineReached{});
    }
    now = std::max(now, until);
  }
  void feed(seam::Event event) {
    watch.on_event(std::move(event), now);
    carry_out();
  }
  void carry_out() {
    for (seam::Actions actions = watch.take_actions(); !actions.empty(); actions = watch.take_actions()) {
      for (seam::Action& action : actions) {
        EXPECT_FALSE(finish) << "an action after Finish";
        if (auto* fetch = std::get_if<seam::Fetch>(&action)) on(std::move(*fetch));
        if (std::holds_alternative<seam::CancelFetch>(action)) --open;
        if (auto* ended = std::get_if<seam::Finish>(&action)) finish = std::move(*ended);
      }
    }
  }
  void on(seam::Fetch fetch) {
    fetches.push_back(fetch);
    ++open;
    if (is_mute) return;
    --open;
    const bool is_announce = fetch.url.find("/announce?") != std::string::npos;
    if (!is_there || (is_announce && refuses_announces)) {
      watch.on_event(seam::FetchFailed{fetch.fetch, "refused"}, now);
    } else if (is_announce) {
      watch.on_event(seam::Fetched{fetch.fetch, 200, wire::encode_http_announce_reply({.interval_s = 120}, {})}, now);
    } else {
      watch.on_event(seam::Fetched{fetch.fetch, is_listed ? 200 : 404, {}}, now);
    }
  }
  std::vector<wire::AnnounceEvent> announced() const {
    std::vector<wire::AnnounceEvent> events;
    for (const seam::Fetch& fetch : fetches) {
      const std::size_t at = fetch.url.find("/announce?");
      if (at == std::string::npos) continue;
      const auto request = wire::parse_announce_query(fetch.url.substr(at + 10));
      EXPECT_TRUE(request && request->info_hash == kShare && request->port == 7000 && request->left == 0);
      events.push_back(request->event);
    }
    return events;
  }

  bool is_there = true;
  bool is_listed = true;
  bool is_mute = false;
  bool refuses_announces = false;
  int open = 0;
  base::Instant now{};
  ShareWatch watch;
  std::vector<seam::Fetch> fetches;
  std::optional<seam::Finish> finish;
};

TEST(ShareWatch, LooksNowAndThenWhileTheShareIsListed) {
  World world;
  world.run_until(10min);
  EXPECT_FALSE(world.finish);
  EXPECT_EQ(world.fetches.size(), 10min / kWatchEvery);
  EXPECT_EQ(world.fetches.front().method, "HEAD");
  EXPECT_EQ(world.fetches.front().url, "http://10.0.0.1:8000/shares/" + kShare.to_hex() + ".torrent");
  EXPECT_TRUE(world.announced().empty()) << "the share's host does that";
}

TEST(ShareWatch, EndsSoonWhenTheTrackerIsGone) {
  World world;
  world.run_until(1min);
  world.is_there = false;
  world.run_until(1min + kWatchEvery + kWatchAgain + 3s);
  ASSERT_TRUE(world.finish);
  EXPECT_EQ(world.finish->result, Result::nothing_found);
  EXPECT_NE(world.finish->message.find("10.0.0.1:8000"), std::string::npos);
}

TEST(ShareWatch, EndsWhenTheTrackerHasForgottenTheShare) {
  World world;
  world.is_listed = false;
  world.run_until(kWatchEvery + 3s);
  ASSERT_TRUE(world.finish);
  EXPECT_EQ(world.finish->result, Result::nothing_found);
}

TEST(ShareWatch, BearsWithATrackerThatMissesOneQuestion) {
  World world;
  for (int i = 1; i <= 20; ++i) {
    world.is_there = false;
    world.run_until(kWatchEvery * i + kWatchAgain * (i - 1));
    world.is_there = true;
    world.run_until((kWatchEvery + kWatchAgain) * i);
  }
  world.run_until(10min);
  EXPECT_FALSE(world.finish);
}

// What the first of them does about it the others have to see.
TEST(ShareWatch, ThoseWhoWatchTheSameTrackerDoNotEndAtTheSameTime) {
  std::set<base::Duration> ends;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    World world({}, seed);
    world.is_there = false;
    base::Duration time = 0s;
    for (; !world.finish && time < 1min; time += 1ms) world.run_until(time);
    ASSERT_TRUE(world.finish);
    ends.insert(time);
  }
  EXPECT_EQ(ends.size(), 20u);
  EXPECT_LT(*ends.begin(), kWatchEvery + kWatchAgain + 1s);
  EXPECT_GT(*ends.rbegin(), kWatchEvery + kWatchAgain + 2s);
}

TEST(ShareWatch, AnnouncesAndTakesItsLeaveWhereNobodyElseDoes) {
  World world({.announces = true});
  world.run_until(5min);
  using Event = wire::AnnounceEvent;
  EXPECT_EQ(world.announced(), (std::vector{Event::started, Event::none, Event::none}));
  world.feed(seam::StopRequested{});
  EXPECT_EQ(world.announced().back(), Event::stopped);
  ASSERT_TRUE(world.finish);
  EXPECT_EQ(world.finish->result, Result::interrupted);
}

TEST(ShareWatch, BeginsToAnnounceAgainUntilItIsHeard) {
  World world({.announces = true}, 1, true);
  world.run_until(kWatchEvery * 3);
  EXPECT_EQ(world.announced(), std::vector(4, wire::AnnounceEvent::started));
  world.refuses_announces = false;
  world.run_until(1min);
  EXPECT_EQ(world.announced().size(), 5u);
}

TEST(ShareWatch, EndsAtOnceWhenItIsStopped) {
  World world;
  world.is_mute = true;
  world.run_until(kWatchEvery);
  EXPECT_EQ(world.open, 1);
  world.feed(seam::StopRequested{});
  ASSERT_TRUE(world.finish);
  EXPECT_EQ(world.finish->result, Result::interrupted);
  EXPECT_EQ(world.open, 0);
}

TEST(ShareWatch, DoesNotWaitLongForATrackerThatDoesNotHearItsLeave) {
  World world({.announces = true});
  world.is_mute = true;
  world.feed(seam::StopRequested{});
  EXPECT_FALSE(world.finish);
  world.run_until(kWatchStopPatience);
  ASSERT_TRUE(world.finish);
  EXPECT_EQ(world.finish->result, Result::interrupted);
  EXPECT_EQ(world.open, 0);
}

}  // namespace
}  // namespace shoal::roles
