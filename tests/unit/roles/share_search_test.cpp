#include "roles/share_search.hpp"

#include <gtest/gtest.h>

#include <map>

#include "course/messages.hpp"
#include "unit/support/swarm_hosts.hpp"

namespace shoal::testing {
namespace {

using roles::ShareSearchOptions;
using Goal = ShareSearchOptions::Goal;
using Result = seam::Finish::Result;

base::Endpoint at(std::string_view text) {
  return base::Endpoint::parse(text).value();
}
base::Bytes bytes(std::string_view text) {
  const base::ByteView view = base::view_of(text);
  return {view.begin(), view.end()};
}

// Trackers as the search meets them: who answers the broadcast, and what each URL gives.
class SearchWorld {
 public:
  struct Answer {
    int status = 200;
    base::Bytes body;
  };

  explicit SearchWorld(ShareSearchOptions options) : search_(roles::make_share_search(std::move(options))) {}

  const seam::Finish& run() {
    search_->start(now_);
    carry_out();
    while (!finish_) {
      if (!events_.empty()) {
        seam::Event event = std::move(events_.front());
        events_.erase(events_.begin());
        feed(std::move(event));
        continue;
      }
      const auto deadline = search_->next_deadline();
      if (!deadline || *deadline - base::Instant{} > 60s) {
        ADD_FAILURE() << "it never ends";
        finish_.emplace();
        break;
      }
      now_ = std::max(now_, *deadline);
      feed(seam::DeadlineReached{});
    }
    return *finish_;
  }
  [[nodiscard]] const roles::ShareSearchResult& result() const { return search_->result(); }
  [[nodiscard]] base::Duration elapsed() const { return now_.time_since_epoch(); }

  std::map<std::string, Answer> web;                               // by URL; others fail
  std::vector<std::pair<base::Endpoint, bool>> answers_broadcast;  // and whether they speak BitTorrent
  std::vector<seam::Fetch> fetches;
  int open_sockets = 0;
  bool is_stopped_by_user = false;

 private:
  void feed(seam::Event event) {
    search_->on_event(std::move(event), now_);
    carry_out();
  }
  void carry_out() {
    for (seam::Actions actions = search_->take_actions(); !actions.empty(); actions = search_->take_actions()) {
      for (seam::Action& action : actions) on(action);
    }
    if (std::exchange(is_stopped_by_user, false)) events_.emplace_back(seam::StopRequested{});
  }
  void on(seam::Action& action) {
    EXPECT_FALSE(finish_) << "an action after Finish";
    if (const auto* fetch = std::get_if<seam::Fetch>(&action)) {
      fetches.push_back(*fetch);
      const auto found = web.find(fetch->url);
      if (found == web.end()) {
        events_.emplace_back(seam::FetchFailed{fetch->fetch, "nobody is there"});
      } else {
        events_.emplace_back(seam::Fetched{fetch->fetch, found->second.status, found->second.body});
      }
    } else if (std::holds_alternative<seam::OpenDatagram>(action)) {
      ++open_sockets;
    } else if (std::holds_alternative<seam::CloseDatagram>(action)) {
      --open_sockets;
    } else if (const auto* sent = std::get_if<seam::SendDatagram>(&action)) {
      for (const auto& [tracker, speaks_bittorrent] : std::exchange(answers_broadcast, {})) {
        const std::uint16_t reserved = speaks_bittorrent ? course::kBitTorrentBit : std::uint16_t{0};
        events_.emplace_back(seam::DatagramArrived{
            sent->socket, {tracker.address, 9000}, {}, course::encode_tracker_info({tracker, "tracker"}, reserved)});
      }
    } else if (auto* finish = std::get_if<seam::Finish>(&action)) {
      finish_ = std::move(*finish);
    }
  }

  std::unique_ptr<roles::ShareSearch> search_;
  base::Instant now_{};
  std::vector<seam::Event> events_;
  std::optional<seam::Finish> finish_;
};

ShareSearchOptions discovering(Goal goal, std::string name = "") {
  ShareSearchOptions options;
  options.interfaces = {{base::Ipv4Address::parse("10.0.0.99").value(), std::nullopt}};
  options.goal = goal;
  options.name = std::move(name);
  return options;
}
ShareSearchOptions naming(std::string_view tracker, Goal goal, std::string name = "") {
  ShareSearchOptions options;
  options.trackers = {at(tracker)};
  options.goal = goal;
  options.name = std::move(name);
  return options;
}

std::string listed(const SharedTorrent& shared, std::string_view name = "data", int seeds = 1) {
  return R"({"name":")" + std::string(name) + R"(","info_hash":")" + shared.torrent.info_hash.to_hex() +
         R"(","size":1000000,"files":1,"seeds":)" + std::to_string(seeds) + R"(,"leechers":2,"magnet":"magnet:?"})";
}
std::string torrent_url(std::string_view tracker, const SharedTorrent& shared) {
  return "http://" + std::string(tracker) + "/shares/" + shared.torrent.info_hash.to_hex() + ".torrent";
}

TEST(ShareSearch, FindsTheOnlyShareOfTheNetworkWithinASecond) {
  const SharedTorrent shared;
  SearchWorld world(discovering(Goal::fetch));
  world.answers_broadcast = {{at("10.0.0.1:8000"), true}};
  world.web["http://10.0.0.1:8000/shares"] = {200, bytes("[" + listed(shared) + "]")};
  world.web[torrent_url("10.0.0.1:8000", shared)] = {200, metainfo::encode_torrent(shared.torrent)};
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.result().torrent, metainfo::encode_torrent(shared.torrent));
  ASSERT_TRUE(world.result().chosen);
  EXPECT_EQ(world.result().chosen->tracker, at("10.0.0.1:8000"));
  EXPECT_EQ(world.result().chosen->leechers, 2u);
  EXPECT_LT(world.elapsed(), 1s);
  EXPECT_EQ(world.open_sockets, 0);
}

TEST(ShareSearch, AsksWhichWhenThereAreSeveral) {
  const SharedTorrent one;
  const SharedTorrent other({.total_bytes = 5'000});
  SearchWorld world(naming("10.0.0.1:8000", Goal::fetch));
  world.web["http://10.0.0.1:8000/shares"] = {200, bytes("[" + listed(one, "a") + "," + listed(other, "b") + "]")};
  const seam::Finish& finish = world.run();
  EXPECT_EQ(finish.result, Result::nothing_found);
  EXPECT_NE(finish.message.find("a, b"), std::string::npos) << finish.message;
}

TEST(ShareSearch, TakesTheOnlyShareThatSomebodyHas) {
  const SharedTorrent gone;
  const SharedTorrent living({.total_bytes = 5'000});
  const auto without = [](std::string text) {
    for (const std::string_view field : {R"("seeds":1)", R"("leechers":2)"}) {
      text.replace(text.find(field) + field.size() - 1, 1, "0");
    }
    return text;
  };
  for (const std::string name : {"", "a"}) {
    const std::string other_name = name.empty() ? "b" : "a";
    ShareSearchOptions options = naming("10.0.0.1:8000", Goal::fetch, name);
    options.trackers.push_back(at("10.0.0.2:8000"));
    SearchWorld world(std::move(options));
    // The second tracker knows it, but not who has it: one that does is enough.
    world.web["http://10.0.0.1:8000/shares"] = {
        200, bytes("[" + without(listed(gone, "a")) + "," + listed(living, other_name) + "]")};
    world.web["http://10.0.0.2:8000/shares"] = {200, bytes("[" + without(listed(living, other_name)) + "]")};
    world.web[torrent_url("10.0.0.1:8000", living)] = {200, metainfo::encode_torrent(living.torrent)};
    EXPECT_EQ(world.run().result, Result::done);
    EXPECT_EQ(world.result().chosen->info_hash, living.torrent.info_hash);
  }
}

TEST(ShareSearch, TakesAShareByItsNameOrItsInfoHash) {
  const SharedTorrent one;
  const SharedTorrent other({.total_bytes = 5'000});
  for (const std::string& name : {std::string("b"), other.torrent.info_hash.to_hex()}) {
    SearchWorld world(naming("10.0.0.1:8000", Goal::fetch, name));
    world.web["http://10.0.0.1:8000/shares"] = {200, bytes("[" + listed(one, "a") + "," + listed(other, "b") + "]")};
    world.web[torrent_url("10.0.0.1:8000", other)] = {200, metainfo::encode_torrent(other.torrent)};
    EXPECT_EQ(world.run().result, Result::done);
    EXPECT_EQ(world.result().chosen->info_hash, other.torrent.info_hash);
  }
}

TEST(ShareSearch, NamesTheSharesThereAreWhenNoneIsCalledSo) {
  const SharedTorrent one;
  SearchWorld world(naming("10.0.0.1:8000", Goal::fetch, "z"));
  world.web["http://10.0.0.1:8000/shares"] = {200, bytes("[" + listed(one, "disk.img") + "]")};
  const seam::Finish& finish = world.run();
  EXPECT_EQ(finish.result, Result::nothing_found);
  EXPECT_NE(finish.message.find("disk.img"), std::string::npos);
}

TEST(ShareSearch, TwoContentsOfOneNameAreToldApartByTheirHash) {
  const SharedTorrent one;
  const SharedTorrent other({.total_bytes = 5'000});
  ShareSearchOptions options = naming("10.0.0.1:8000", Goal::fetch, "a");
  options.trackers.push_back(at("10.0.0.2:8000"));
  SearchWorld world(std::move(options));
  world.web["http://10.0.0.1:8000/shares"] = {200, bytes("[" + listed(one, "a") + "]")};
  world.web["http://10.0.0.2:8000/shares"] = {200, bytes("[" + listed(other, "a") + "]")};
  const seam::Finish& finish = world.run();
  EXPECT_EQ(finish.result, Result::nothing_found);
  EXPECT_NE(finish.message.find(other.torrent.info_hash.to_hex()), std::string::npos);
}

TEST(ShareSearch, TakesTheTorrentFromTheNextTrackerThatListsIt) {
  const SharedTorrent shared;
  ShareSearchOptions options = naming("10.0.0.1:8000", Goal::fetch);
  options.trackers.push_back(at("10.0.0.2:8000"));
  options.trackers.push_back(at("10.0.0.3:8000"));
  SearchWorld world(std::move(options));
  const SharedTorrent other({.total_bytes = 5'000});
  world.web["http://10.0.0.1:8000/shares"] = {200, bytes("[" + listed(shared, "data", 9) + "]")};
  world.web["http://10.0.0.2:8000/shares"] = {200, bytes("[" + listed(shared, "data", 5) + "]")};
  world.web["http://10.0.0.3:8000/shares"] = {200, bytes("[" + listed(shared, "data", 1) + "]")};
  world.web[torrent_url("10.0.0.1:8000", shared)] = {200, metainfo::encode_torrent(other.torrent)};  // not that one
  world.web[torrent_url("10.0.0.2:8000", shared)] = {404, bytes("gone\n")};
  world.web[torrent_url("10.0.0.3:8000", shared)] = {200, metainfo::encode_torrent(shared.torrent)};
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.result().chosen->tracker, at("10.0.0.3:8000"));
}

TEST(ShareSearch, EndsWhenNoTrackerAnswersAndSaysWhatWasTried) {
  ShareSearchOptions options = discovering(Goal::list);
  options.interfaces.push_back({base::Ipv4Address::parse("10.1.0.99").value(), std::nullopt});
  SearchWorld world(std::move(options));
  const seam::Finish& finish = world.run();
  EXPECT_EQ(finish.result, Result::nothing_found);
  EXPECT_NE(finish.message.find("9000"), std::string::npos);
  EXPECT_NE(finish.message.find("asked from 10.0.0.99, 10.1.0.99; "), std::string::npos) << finish.message;
  EXPECT_NE(finish.message.find("shoal share"), std::string::npos);
  EXPECT_LE(world.elapsed(), 3s);
  EXPECT_EQ(world.open_sockets, 0);
}

TEST(ShareSearch, ListsTheSharesOfAllTrackersByName) {
  const SharedTorrent one;
  const SharedTorrent other({.total_bytes = 5'000});
  SearchWorld world(discovering(Goal::list));
  world.answers_broadcast = {{at("10.0.0.1:8000"), true}, {at("10.0.0.2:8000"), true}, {at("10.0.0.3:8000"), false}};
  world.web["http://10.0.0.1:8000/shares"] = {200, bytes("[" + listed(one, "z") + "]")};
  world.web["http://10.0.0.2:8000/shares"] = {200, bytes("[" + listed(other, "b") + "]")};
  EXPECT_EQ(world.run().result, Result::done);
  ASSERT_EQ(world.result().shares.size(), 2u);
  EXPECT_EQ(world.result().shares.at(0).name, "b");
  EXPECT_EQ(world.result().trackers.size(), 2u);
  EXPECT_EQ(world.result().course_trackers, (std::vector{at("10.0.0.3:8000")}));
}

// The tracker of this host answers at each of its addresses; and two trackers may know the same share.
TEST(ShareSearch, ListsAShareOnceHoweverManyTrackersHaveIt) {
  const SharedTorrent one;
  const SharedTorrent other({.total_bytes = 5'000});
  SearchWorld world(discovering(Goal::list));
  world.answers_broadcast = {{at("127.0.0.1:8000"), true}, {at("10.0.0.99:8000"), true}, {at("10.0.0.2:8000"), true}};
  const std::string here = "[" + listed(one, "z", 1) + "," + listed(other, "a", 3) + "]";
  world.web["http://127.0.0.1:8000/shares"] = {200, bytes(here)};
  world.web["http://10.0.0.99:8000/shares"] = {200, bytes(here)};
  world.web["http://10.0.0.2:8000/shares"] = {200, bytes("[" + listed(one, "z (2)", 4) + "]")};
  EXPECT_EQ(world.run().result, Result::done);
  ASSERT_EQ(world.result().shares.size(), 2u);
  EXPECT_EQ(world.result().shares.at(0).name, "a");
  EXPECT_EQ(world.result().shares.at(0).seeds, 3u);
  EXPECT_EQ(world.result().shares.at(1).name, "z");
  EXPECT_EQ(world.result().shares.at(1).seeds, 4u);
}

TEST(ShareSearch, LivesWithListsThatAreNone) {
  for (const std::string_view body :
       {"", "{}", "[1,2]", "[{\"name\":3}]", "[{\"name\":\"a\",\"info_hash\":\"xyz\"}]", "nonsense", "[[[["}) {
    SearchWorld world(naming("10.0.0.1:8000", Goal::fetch));
    world.web["http://10.0.0.1:8000/shares"] = {200, bytes(body)};
    const seam::Finish& finish = world.run();
    EXPECT_EQ(finish.result, Result::nothing_found) << body;
    EXPECT_FALSE(finish.message.empty());
  }
}

TEST(ShareSearch, PublishesAtTheFirstTrackerThatTakesIt) {
  const SharedTorrent shared;
  ShareSearchOptions options = naming("10.0.0.1:8000", Goal::publish, "my file");
  options.trackers.push_back(at("10.0.0.2:8000"));
  options.torrent = metainfo::encode_torrent(shared.torrent);
  options.token = "secret";
  SearchWorld world(std::move(options));
  world.web["http://10.0.0.1:8000/shares/my%20file.torrent"] = {403, bytes("only the local network may do that\n")};
  world.web["http://10.0.0.2:8000/shares/my%20file.torrent"] = {201, bytes("my file (2)\n")};
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.result().published_at, at("10.0.0.2:8000"));
  EXPECT_EQ(world.result().published_as, "my file (2)");
  ASSERT_EQ(world.fetches.size(), 2u);
  EXPECT_EQ(world.fetches.front().method, "PUT");
  EXPECT_EQ(world.fetches.front().headers.back(),
            (std::pair<std::string, std::string>("Authorization", "Bearer secret")));
}

TEST(ShareSearch, SaysWhyATrackerRefusesAShare) {
  ShareSearchOptions options = naming("10.0.0.1:8000", Goal::publish, "f");
  options.torrent = bytes("de");
  SearchWorld world(std::move(options));
  world.web["http://10.0.0.1:8000/shares/f.torrent"] = {403, bytes("only the local network may do that\n")};
  const seam::Finish& finish = world.run();
  EXPECT_EQ(finish.result, Result::refused);
  EXPECT_NE(finish.message.find("only the local network"), std::string::npos);
}

TEST(ShareSearch, FindsTrackersOnlyWhenThatIsAllThatIsWanted) {
  SearchWorld world(discovering(Goal::trackers));
  world.answers_broadcast = {{at("10.0.0.1:8000"), true}};
  EXPECT_EQ(world.run().result, Result::done);
  EXPECT_EQ(world.result().trackers, (std::vector{at("10.0.0.1:8000")}));
  EXPECT_TRUE(world.fetches.empty());
}

TEST(ShareSearch, EndsAtOnceWhenTheUserStopsIt) {
  SearchWorld world(discovering(Goal::list));
  world.is_stopped_by_user = true;
  EXPECT_EQ(world.run().result, Result::interrupted);
  EXPECT_EQ(world.open_sockets, 0);
}

}  // namespace
}  // namespace shoal::testing
