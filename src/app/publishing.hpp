// Where a share is listed on this network: at a tracker that is there, or at one of our own when nobody is. Used by
// share_command.cpp, which publishes once and then has a ShareKeeper see to it that the share stays listed.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "app/own_tracker.hpp"
#include "base/endpoint.hpp"
#include "base/sha1.hpp"
#include "net/runner.hpp"
#include "roles/share_search.hpp"
#include "wire/peer_messages.hpp"

namespace shoal::app {

struct PublishOptions {
  roles::ShareSearchOptions search;  // with the goal to publish
  bool may_be_tracker = true;
  OwnTrackerOptions own;
};

struct Publication {
  std::optional<base::Endpoint> tracker;  // nothing: none answered, and we could not be one
  std::string name;                       // that it is listed under there
  std::unique_ptr<OwnTracker> own;        // when that is ours
  std::string trouble;                    // why there is none
};

using RunSearch = std::function<seam::Finish(roles::ShareSearch&)>;
// error: how it ended, for the user.
[[nodiscard]] std::expected<Publication, seam::Finish> publish(const PublishOptions& options, const RunSearch& run);

struct KeeperOptions {
  PublishOptions publish;
  base::Sha1Hash info_hash;
  wire::PeerId peer_id{};  // who gives it, and where
  std::uint16_t port = 0;
};

// Watches the tracker of a publication in a thread of its own. When it is gone, the share is published again, and
// announced there by the keeper: the share's own host knows the first tracker only. At the end the share is taken back,
// unless others have it or are getting it.
class ShareKeeper {
 public:
  ShareKeeper(KeeperOptions options, Publication publication);
  ~ShareKeeper();
  ShareKeeper(const ShareKeeper&) = delete;
  ShareKeeper& operator=(const ShareKeeper&) = delete;

  // What a user should know, once.
  [[nodiscard]] std::optional<std::string> take_news();

 private:
  void keep();
  // Nothing once we are ending.
  [[nodiscard]] seam::Finish run(seam::Machine& machine);
  void tell(std::string news);
  void take_back() const;

  const KeeperOptions options_;
  Publication publication_;  // the thread's while it runs

  std::mutex mutex_;  // of the rest
  std::optional<std::string> news_;
  net::Runner* running_ = nullptr;
  bool is_ending_ = false;

  std::thread thread_;
};

}  // namespace shoal::app
