#include "app/publishing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "app/random_seed.hpp"
#include "roles/share_watch.hpp"
#include "roles/url_fetch.hpp"

namespace shoal::app {
namespace {

constexpr base::Duration kWaitFirst = std::chrono::seconds(3);
constexpr base::Duration kWaitMax = std::chrono::minutes(1);
constexpr base::Duration kTakeBackPatience = std::chrono::seconds(1);

}  // namespace

std::expected<Publication, seam::Finish> publish(const PublishOptions& options, const RunSearch& run) {
  Publication publication;
  const auto search = roles::make_share_search(options.search);
  seam::Finish finish = run(*search);
  if (search->result().published_at) {
    publication.tracker = search->result().published_at;
    publication.name = search->result().published_as;
    return publication;
  }
  if (finish.result == seam::Finish::Result::interrupted || !options.may_be_tracker) return std::unexpected(finish);
  auto own = OwnTracker::start(options.own);
  if (!own) {
    publication.trouble = own.error();
    return publication;
  }
  base::Endpoint ours = (*own)->listening();
  if (ours.address.is_any()) ours.address = base::Ipv4Address::loopback();
  roles::ShareSearchOptions there = options.search;
  there.trackers = {ours};
  const auto again = roles::make_share_search(std::move(there));
  finish = run(*again);
  if (!again->result().published_at) return std::unexpected(finish);
  publication.tracker = ours;
  publication.name = again->result().published_as;
  publication.own = std::move(*own);
  return publication;
}

ShareKeeper::ShareKeeper(KeeperOptions options, Publication publication)
    : options_(std::move(options)), publication_(std::move(publication)) {
  if (publication_.tracker && !publication_.own) thread_ = std::thread([this] { keep(); });
}

ShareKeeper::~ShareKeeper() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
    if (running_ != nullptr) running_->request_stop();
  }
  thread_.join();
  take_back();
}

void ShareKeeper::keep() {
  const RunSearch run_search = [this](roles::ShareSearch& search) { return run(search); };
  base::Duration wait = kWaitFirst;
  bool was_gone = false;  // from then on the share's own host may not know what to announce where, and when
  while (true) {
    roles::ShareWatch watch({.tracker = *publication_.tracker,
                             .info_hash = options_.info_hash,
                             .wait_max = wait,
                             .announces = was_gone,
                             .peer_id = options_.peer_id,
                             .port = options_.port},
                            base::Rng(random_seed()));
    const seam::Finish gone = run(watch);
    if (gone.result == seam::Finish::Result::interrupted) return;
    was_gone = true;
    const base::Endpoint before = *publication_.tracker;
    auto again = publish(options_.publish, run_search);
    if (!again || !again->tracker) {
      // The old one is watched on: it may come back.
      wait = std::min(wait * 2, kWaitMax);
      continue;
    }
    wait = kWaitFirst;
    publication_ = std::move(*again);
    const std::string where = publication_.own ? "this host is the tracker now"
                              : *publication_.tracker == before
                                  ? "it is listed there again"
                                  : "it is listed at " + publication_.tracker->to_string() + " now";
    tell(fmt::format("{}; {}", gone.message, where));
  }
}

seam::Finish ShareKeeper::run(seam::Machine& machine) {
  net::Runner runner({.pool_threads = 1});
  {
    const std::lock_guard lock(mutex_);
    if (is_ending_) return {.result = seam::Finish::Result::interrupted, .message = "", .missing = {}, .path = ""};
    running_ = &runner;
  }
  seam::Finish finish = runner.run(machine);
  const std::lock_guard lock(mutex_);
  running_ = nullptr;
  return finish;
}

void ShareKeeper::tell(std::string news) {
  const std::lock_guard lock(mutex_);
  news_ = std::move(news);
}

std::optional<std::string> ShareKeeper::take_news() {
  const std::lock_guard lock(mutex_);
  return std::exchange(news_, std::nullopt);
}

// Whether that works or not: nobody waits for it.
void ShareKeeper::take_back() const {
  if (publication_.own) return;
  seam::Fetch fetch{.fetch = seam::FetchId(1),
                    .url = fmt::format("http://{}/shares/{}.torrent?if=unused", publication_.tracker->to_string(),
                                       options_.info_hash.to_hex()),
                    .method = "DELETE",
                    .timeout = kTakeBackPatience};
  const std::string& token = options_.publish.search.token;
  if (!token.empty()) fetch.headers.emplace_back("Authorization", "Bearer " + token);
  roles::UrlFetch machine(std::move(fetch));
  net::Runner runner({.pool_threads = 1});
  (void)runner.run(machine);
}

}  // namespace shoal::app
