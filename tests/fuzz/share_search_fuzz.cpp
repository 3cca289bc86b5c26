// The lists of shares that trackers of other hosts give, read by a whole search: the first byte says what is looked
// for, the rest is what two trackers give, with a zero byte between them. Whatever they say, the search ends once,
// lists each share once and in order, and asks for torrents by their hash only where they are listed.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/check.hpp"
#include "roles/share_search.hpp"

namespace shoal::roles {
namespace {

using Goal = ShareSearchOptions::Goal;

constexpr std::array<std::string_view, 2> kTrackers{"10.0.0.1:8000", "10.0.0.2:8000"};

ShareSearchOptions options_for(std::uint8_t wanted) {
  ShareSearchOptions options;
  for (const std::string_view tracker : kTrackers) options.trackers.push_back(base::Endpoint::parse(tracker).value());
  options.goal = wanted % 3 == 0 ? Goal::list : Goal::fetch;
  if (wanted % 3 == 2) options.name = "a";
  return options;
}

class World {
 public:
  World(std::uint8_t wanted, std::string_view given)
      : options_(options_for(wanted)), search_(make_share_search(options_)) {
    const std::size_t end = std::min(given.find('\0'), given.size());
    lists_ = {given.substr(0, end), given.substr(std::min(end + 1, given.size()))};
  }

  void play() {
    search_->start({});
    carry_out();
    while (!fetches_.empty()) {
      const seam::Fetch fetch = std::move(fetches_.front());
      fetches_.pop_front();
      answer(fetch);
      carry_out();
    }
    SHOAL_CHECK(finish_.has_value());
    SHOAL_CHECK(finish_->result == seam::Finish::Result::done || !finish_->message.empty());
    if (options_.goal == Goal::list) check_list(search_->result().shares);
  }

 private:
  void answer(const seam::Fetch& fetch) {
    for (std::size_t i = 0; i < kTrackers.size(); ++i) {
      const std::string shares = "http://" + std::string(kTrackers.at(i)) + "/shares";
      if (!fetch.url.starts_with(shares)) continue;
      if (fetch.url == shares) return give(fetch, 200, lists_.at(i));
      // Nobody has the torrent, so that each tracker that lists it is asked.
      check_torrent_url(std::string_view(fetch.url).substr(shares.size()), base::Endpoint::parse(kTrackers.at(i)));
      return give(fetch, 404, "");
    }
    SHOAL_CHECK(false);
  }

  void check_torrent_url(std::string_view path, std::optional<base::Endpoint> tracker) const {
    constexpr std::string_view kEnd = ".torrent";
    SHOAL_CHECK(path.starts_with('/') && path.ends_with(kEnd));
    const auto hash = base::Sha1Hash::parse_hex(path.substr(1, path.size() - 1 - kEnd.size()));
    SHOAL_CHECK(hash && std::ranges::any_of(search_->result().shares, [&](const FoundShare& share) {
                  return share.info_hash == *hash && share.tracker == *tracker;
                }));
  }

  void give(const seam::Fetch& fetch, int status, std::string_view body) {
    const base::ByteView bytes = base::view_of(body);
    search_->on_event(
        seam::Fetched{.fetch = fetch.fetch, .status = status, .body = base::Bytes(bytes.begin(), bytes.end())}, {});
  }

  void carry_out() {
    for (seam::Action& action : search_->take_actions()) {
      SHOAL_CHECK(!finish_);
      if (auto* fetch = std::get_if<seam::Fetch>(&action)) fetches_.push_back(std::move(*fetch));
      if (auto* finish = std::get_if<seam::Finish>(&action)) finish_ = std::move(*finish);
    }
  }

  static void check_list(const std::vector<FoundShare>& shares) {
    SHOAL_CHECK(shares.size() <= kTrackers.size() * kSharesReadMax);
    SHOAL_CHECK(std::ranges::is_sorted(shares, {},
                                       [](const FoundShare& share) { return std::tie(share.name, share.info_hash); }));
    std::set<base::Sha1Hash> seen;
    for (const FoundShare& share : shares) SHOAL_CHECK(seen.insert(share.info_hash).second);
  }

  const ShareSearchOptions options_;
  std::unique_ptr<ShareSearch> search_;
  std::array<std::string_view, 2> lists_;
  std::deque<seam::Fetch> fetches_;
  std::optional<seam::Finish> finish_;
};

}  // namespace
}  // namespace shoal::roles

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  shoal::roles::World(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1}).play();
  return 0;
}
