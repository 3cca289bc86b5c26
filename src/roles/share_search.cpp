#include "roles/share_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "discovery/finder.hpp"
#include "metainfo/torrent.hpp"
#include "roles/swarm_context.hpp"
#include "wire/http.hpp"

namespace shoal::roles {
namespace {

using base::Endpoint;
using base::Instant;
using Goal = ShareSearchOptions::Goal;
using Result = seam::Finish::Result;
using TrackerFate = seam::TrackerTrace::What;

// After the first answer: all others of a network have come by then, also when one datagram was lost.
constexpr base::Duration kStragglers = std::chrono::milliseconds(400);
constexpr base::Duration kListTimeout = std::chrono::seconds(5);
constexpr base::Duration kTorrentTimeout = std::chrono::seconds(60);
constexpr std::size_t kNamesTold = 10;  // in one message
constexpr int kStatusCreated = 201;

std::uint64_t number_of(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  if (value == nullptr) return 0;
  boost::system::error_code error;
  const auto number = value->to_number<std::uint64_t>(error);
  return error ? 0 : number;
}

std::optional<FoundShare> parse_share(const boost::json::value& value, const Endpoint& tracker) {
  const boost::json::object* object = value.if_object();
  if (object == nullptr) return std::nullopt;
  const boost::json::value* name = object->if_contains("name");
  const boost::json::value* info_hash = object->if_contains("info_hash");
  if (name == nullptr || !name->is_string() || info_hash == nullptr || !info_hash->is_string()) return std::nullopt;
  const auto hash = base::Sha1Hash::parse_hex(std::string_view(info_hash->get_string()));
  if (!hash) return std::nullopt;
  return FoundShare{.name = std::string(name->get_string()),
                    .info_hash = *hash,
                    .size_bytes = number_of(*object, "size"),
                    .files = static_cast<std::uint32_t>(number_of(*object, "files")),
                    .seeds = static_cast<std::uint32_t>(number_of(*object, "seeds")),
                    .leechers = static_cast<std::uint32_t>(number_of(*object, "leechers")),
                    .tracker = tracker};
}

// What GET /shares gave; nothing when that is no list of shares.
std::optional<std::vector<FoundShare>> parse_shares(base::ByteView body, const Endpoint& tracker) {
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(base::text_of(body), error);
  const boost::json::array* list = error ? nullptr : parsed.if_array();
  if (list == nullptr) return std::nullopt;
  std::vector<FoundShare> shares;
  for (const boost::json::value& each : *list) {
    auto share = parse_share(each, tracker);
    if (share && shares.size() < kSharesReadMax) shares.push_back(std::move(*share));
  }
  return shares;
}

class Search final : public ShareSearch {
 public:
  explicit Search(ShareSearchOptions options) : options_(std::move(options)) {}

  void start(Instant now) override {
    if (!options_.trackers.empty()) {
      for (const Endpoint& tracker : options_.trackers) add_tracker(tracker);
    } else {
      discovery::FinderOptions finder{
          .interfaces = {}, .port = options_.discovery_port, .timeout = options_.patience, .asks_for_bittorrent = true};
      for (const LocalInterface& each : options_.interfaces) {
        finder.interfaces.push_back({each.address, each.broadcast});
      }
      finder_.emplace(std::move(finder));
      finder_->start(now);
    }
    advance(now);
  }

  void on_event(seam::Event&& event, Instant now) override {
    if (is_over_) return;
    if (std::holds_alternative<seam::StopRequested>(event)) {
      end({.result = Result::interrupted, .message = "interrupted", .missing = {}, .path = ""});
    } else if (const auto* datagram = std::get_if<seam::DatagramArrived>(&event)) {
      if (finder_) finder_->on_datagram(*datagram, now);
    } else if (std::holds_alternative<seam::DeadlineReached>(event)) {
      if (finder_) finder_->on_deadline(now);
    } else if (auto* fetched = std::get_if<seam::Fetched>(&event)) {
      on_fetched(*fetched);
    } else if (auto* failed = std::get_if<seam::FetchFailed>(&event)) {
      const auto node = questions_.extract(failed->fetch);
      if (!node.empty()) on_failed(node.mapped(), failed->reason);
    }
    advance(now);
  }

  seam::ReadTargets next_read(seam::ConnId) override { return {}; }
  std::optional<Instant> next_deadline() const override {
    if (is_over_ || !finder_) return std::nullopt;
    return earlier(finder_->next_deadline(), stragglers_until_);
  }
  seam::Actions take_actions() override { return std::exchange(actions_, {}); }
  const ShareSearchResult& result() const override { return result_; }

 private:
  enum class Asked : std::uint8_t { list, torrent, publication };
  struct Question {
    Asked what = Asked::list;
    Endpoint tracker;
  };

  // Goes as far as it can without another answer.
  void advance(Instant now) {
    while (finder_ && !is_over_) {
      const auto found = finder_->take_next();
      if (!found) break;
      if (!stragglers_until_) stragglers_until_ = now + kStragglers;
      if (found->speaks_bittorrent) {
        add_tracker(found->tracker);
      } else {
        result_.course_trackers.push_back(found->tracker);
      }
    }
    const bool has_all = finder_ && (finder_->is_over() || (stragglers_until_ && now >= *stragglers_until_));
    if (has_all) finder_->stop();
    if (finder_) collect(finder_->take_actions());
    if (has_all) finder_.reset();
    if (!is_over_ && !finder_ && questions_.empty()) conclude();
  }

  void add_tracker(const Endpoint& tracker) {
    switch (options_.goal) {
      case Goal::list:
      case Goal::fetch:
        ask({Asked::list, tracker}, {.fetch = {},
                                     .url = url_of(tracker, "/shares"),
                                     .reply_bytes_max = kListBytesMax,
                                     .timeout = kListTimeout});
        break;
      case Goal::publish:
        to_publish_at_.push_back(tracker);
        if (questions_.empty()) publish();
        break;
      case Goal::trackers:
        result_.trackers.push_back(tracker);
        break;
    }
  }

  static std::string url_of(const Endpoint& tracker, std::string_view path) {
    return fmt::format("http://{}{}", tracker.to_string(), path);
  }

  void ask(Question question, seam::Fetch fetch) {
    fetch.fetch = seam::FetchId(++last_fetch_);
    questions_.emplace(fetch.fetch, question);
    actions_.emplace_back(std::move(fetch));
  }

  void publish() {
    const Endpoint tracker = to_publish_at_.front();
    to_publish_at_.pop_front();
    seam::Fetch fetch{.fetch = {},
                      .url = url_of(tracker, "/shares/" + wire::percent_encode(options_.name) + ".torrent"),
                      .method = "PUT",
                      .body = options_.torrent,
                      .headers = {{"Content-Type", "application/x-bittorrent"}},
                      .timeout = kTorrentTimeout};
    if (!options_.token.empty()) fetch.headers.emplace_back("Authorization", "Bearer " + options_.token);
    ask({Asked::publication, tracker}, std::move(fetch));
  }

  void fetch_torrent() {
    result_.chosen = std::move(candidates_.front());
    candidates_.pop_front();
    ask({Asked::torrent, result_.chosen->tracker},
        {.fetch = {},
         .url = url_of(result_.chosen->tracker, "/shares/" + result_.chosen->info_hash.to_hex() + ".torrent"),
         .reply_bytes_max = metainfo::kTorrentBytesMax,
         .timeout = kTorrentTimeout});
  }

  void on_fetched(seam::Fetched& fetched) {
    const auto node = questions_.extract(fetched.fetch);
    if (node.empty()) return;
    const Question& question = node.mapped();
    switch (question.what) {
      case Asked::list:
        return on_list(question, fetched);
      case Asked::torrent:
        return on_torrent(question, fetched);
      case Asked::publication:
        if (fetched.status != kStatusCreated && fetched.status != wire::kHttpOk) return on_refused(question, fetched);
        result_.trackers.push_back(question.tracker);
        result_.published_at = question.tracker;
        result_.published_as = base::text_of(fetched.body).substr(0, base::text_of(fetched.body).find('\n'));
        to_publish_at_.clear();
        finder_end();
        return;
    }
  }

  void on_list(const Question& question, const seam::Fetched& fetched) {
    auto shares = fetched.status == wire::kHttpOk ? parse_shares(fetched.body, question.tracker) : std::nullopt;
    if (!shares) return on_failed(question, "it does not list shares as a Shoal tracker does");
    tell(TrackerFate::found, question.tracker,
         fmt::format("it lists {} share{}", shares->size(), shares->size() == 1 ? "" : "s"));
    result_.trackers.push_back(question.tracker);
    std::ranges::move(*shares, std::back_inserter(result_.shares));
  }

  void on_torrent(const Question& question, seam::Fetched& fetched) {
    if (fetched.status != wire::kHttpOk) return on_refused(question, fetched);
    const auto torrent = metainfo::parse_torrent(fetched.body);
    if (!torrent || torrent->info_hash != result_.chosen->info_hash) {
      return on_failed(question, "it gave a torrent that is not the one it lists");
    }
    result_.torrent = std::move(fetched.body);
  }

  void on_refused(const Question& question, const seam::Fetched& fetched) {
    std::string_view said = base::text_of(fetched.body);
    said = said.substr(0, std::min<std::size_t>(said.find('\n'), 200));
    if (fetched.status / 100 == 4) is_refused_ = true;
    on_failed(question, fmt::format("it answered with status {}{}{}", fetched.status, said.empty() ? "" : ": ", said));
  }

  void on_failed(const Question& question, const std::string& reason) {
    tell(TrackerFate::failed, question.tracker, reason);
    troubles_ += fmt::format("{}tracker {}: {}", troubles_.empty() ? "" : "; ", question.tracker.to_string(), reason);
    if (question.what == Asked::torrent && !candidates_.empty()) fetch_torrent();
    if (question.what == Asked::publication && !to_publish_at_.empty()) publish();
  }

  // Everybody who was asked has answered, and nobody else will.
  void conclude() {
    if (!result_.torrent.empty() || result_.published_at) {
      return end({.result = Result::done, .message = "", .missing = {}, .path = ""});
    }
    if (options_.goal == Goal::trackers && !result_.trackers.empty()) {
      return end({.result = Result::done, .message = "", .missing = {}, .path = ""});
    }
    if (options_.goal == Goal::publish || options_.goal == Goal::trackers || result_.trackers.empty()) {
      return end_with_nothing(nobody());
    }
    if (result_.chosen) return end_with_nothing(troubles_);  // nobody gives the torrent
    std::ranges::sort(result_.shares, {},
                      [](const FoundShare& share) { return std::tie(share.name, share.info_hash, share.tracker); });
    if (options_.goal == Goal::list) {
      if (result_.shares.empty()) return end_with_nothing("nothing is shared on this network");
      list_each_once();
      return end({.result = Result::done, .message = "", .missing = {}, .path = ""});
    }
    choose();
  }

  // The same tracker may have been found at several addresses, and several trackers may have the same share: then they
  // count the same hosts.
  void list_each_once() {
    std::map<base::Sha1Hash, FoundShare> first;
    for (const FoundShare& share : result_.shares) {
      FoundShare& one = first.emplace(share.info_hash, share).first->second;
      one.seeds = std::max(one.seeds, share.seeds);
      one.leechers = std::max(one.leechers, share.leechers);
    }
    result_.shares.clear();
    for (auto& [info_hash, share] : first) result_.shares.push_back(std::move(share));
    std::ranges::sort(result_.shares, {},
                      [](const FoundShare& share) { return std::tie(share.name, share.info_hash); });
  }

  // The one that is meant, at each tracker that lists it: where most have it first.
  void choose() {
    for (const FoundShare& share : result_.shares) {
      const bool is_meant = options_.name.empty() || share.name == options_.name ||
                            base::Sha1Hash::parse_hex(options_.name) == share.info_hash;
      if (is_meant) candidates_.push_back(share);
    }
    if (candidates_.empty()) {
      return end_with_nothing(result_.shares.empty() ? "nothing is shared on this network"
                                                     : fmt::format("no share is called {}; there are: {}",
                                                                   options_.name, names(result_.shares)));
    }
    if (are_several()) prefer_what_somebody_has();
    if (are_several()) {
      return end_with_nothing(options_.name.empty()
                                  ? "several things are shared on this network, say which: " + names(candidates_)
                                  : "several shares are called " + options_.name + ", say which: " + hashes());
    }
    std::ranges::sort(candidates_, {},
                      [](const FoundShare& share) { return std::pair(-std::int64_t{share.seeds}, share.tracker); });
    fetch_torrent();
  }

  [[nodiscard]] bool are_several() const {
    return std::ranges::any_of(
        candidates_, [&](const FoundShare& share) { return share.info_hash != candidates_.front().info_hash; });
  }

  // What is listed may have outlived whoever gave it.
  void prefer_what_somebody_has() {
    std::set<base::Sha1Hash> had;
    for (const FoundShare& share : candidates_) {
      if (share.seeds > 0 || share.leechers > 0) had.insert(share.info_hash);
    }
    if (had.empty()) return;
    std::erase_if(candidates_, [&](const FoundShare& share) { return !had.contains(share.info_hash); });
  }

  template <typename Shares>
  [[nodiscard]] static std::string names(const Shares& shares) {
    std::vector<std::string> all;
    for (const FoundShare& share : shares) {
      if (std::ranges::find(all, share.name) == all.end()) all.push_back(share.name);
    }
    const std::size_t told = std::min(all.size(), kNamesTold);
    return fmt::format("{}{}", fmt::join(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(told), ", "),
                       told < all.size() ? fmt::format(" and {} more", all.size() - told) : "");
  }

  [[nodiscard]] std::string hashes() const {
    std::vector<std::string> all;
    for (const FoundShare& share : candidates_) {
      if (std::ranges::find(all, share.info_hash.to_hex()) == all.end()) all.push_back(share.info_hash.to_hex());
    }
    return fmt::format("{}", fmt::join(all, ", "));
  }

  [[nodiscard]] std::string nobody() const {
    if (!troubles_.empty()) return troubles_;
    if (options_.interfaces.empty()) return "no Shoal tracker was asked: no interface of this host is up";
    std::string text = fmt::format("no Shoal tracker answered on UDP port {}, asked from {}", options_.discovery_port,
                                   describe_addresses(options_.interfaces));
    if (!result_.course_trackers.empty()) {
      return text + fmt::format("; a course tracker did, {}: its file comes with 'shoal get --output FILE'",
                                result_.course_trackers.front().to_string());
    }
    return text + "; share something with 'shoal share', or name a tracker with '--tracker HOST:PORT'";
  }

  void end_with_nothing(std::string message) {
    const bool is_refused = is_refused_ && options_.goal == Goal::publish;
    end({.result = is_refused ? Result::refused : Result::nothing_found,
         .message = std::move(message),
         .missing = {},
         .path = ""});
  }

  void end(seam::Finish finish) {
    is_over_ = true;
    finder_end();
    for (const auto& [fetch, question] : questions_) actions_.emplace_back(seam::CancelFetch{fetch});
    questions_.clear();
    actions_.emplace_back(std::move(finish));
  }

  void finder_end() {
    if (!finder_) return;
    finder_->stop();
    collect(finder_->take_actions());
    finder_.reset();
  }

  void collect(seam::Actions more) {
    actions_.insert(actions_.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }

  void tell(TrackerFate what, const Endpoint& tracker, std::string reason) {
    actions_.emplace_back(
        seam::Tell{seam::TrackerTrace{.what = what, .tracker = tracker, .name = "", .reason = std::move(reason)}});
  }

  const ShareSearchOptions options_;
  std::optional<discovery::Finder> finder_;  // while trackers are looked for
  std::optional<Instant> stragglers_until_;
  std::map<seam::FetchId, Question> questions_;  // not answered yet: at most one for each tracker
  std::deque<Endpoint> to_publish_at_;
  std::deque<FoundShare> candidates_;
  std::string troubles_;
  ShareSearchResult result_;
  seam::Actions actions_;
  std::uint64_t last_fetch_ = 0;
  bool is_refused_ = false;
  bool is_over_ = false;
};

}  // namespace

std::unique_ptr<ShareSearch> make_share_search(ShareSearchOptions options) {
  return std::make_unique<Search>(std::move(options));
}

}  // namespace shoal::roles
