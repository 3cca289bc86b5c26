// Decides which FILE_INFO each asker of a tracker gets, and when: at once when everything is known, else as soon as the
// peers of the share were probed. Called by the tracker role; probing happens through `actions`.
//
// A "view" is a share as askers of one kind see it: those that reached this host at one address, from this host or from
// another, and may be told of the same peers. Its encoded message is kept and made again only when a peer's state
// changes, so that thousands of requests cost next to nothing.
//
// Always holds: every ask is answered once, within about the probe timeout; at most kViewsMax views are kept besides
// those that somebody waits for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "course/asker.hpp"
#include "course/messages.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "seam/ids.hpp"
#include "tracker/peer_probes.hpp"
#include "tracker/share_provider.hpp"

namespace shoal::tracker {

// Which request of which connection.
struct AskId {
  seam::ConnId conn;
  std::uint64_t request = 0;
  friend bool operator==(const AskId&, const AskId&) = default;
};

struct FileInfoAnswer {
  AskId ask;
  std::shared_ptr<const base::Bytes> message;  // a whole FILE_INFO
};

class FileInfoAnswers {
 public:
  static constexpr std::size_t kViewsMax = 8;

  // `share` must outlive this.
  FileInfoAnswers(ShareProvider& share, PeerProbesOptions options) : share_(share), probes_(options) {}

  void on_asked(AskId ask, const course::Asker& asker, base::Instant now, seam::Actions& actions);
  void on_connected(const seam::Connected& event, base::Instant now, seam::Actions& actions);
  void on_connect_failed(const seam::ConnectFailed& event, base::Instant now, seam::Actions& actions);
  void on_deadline_reached(base::Instant now, seam::Actions& actions);

  [[nodiscard]] std::optional<base::Instant> next_deadline() const { return probes_.next_deadline(); }
  // What can be answered now.
  [[nodiscard]] std::vector<FileInfoAnswer> take_answers() { return std::exchange(answers_, {}); }
  [[nodiscard]] std::size_t views_kept() const { return views_.size(); }

 private:
  struct View {
    std::shared_ptr<const course::FileInfo> share;
    course::Asker asker;                         // one that sees the share like this
    std::vector<base::Endpoint> peers;           // sorted
    std::unordered_set<base::Endpoint> awaited;  // peers whose probe the askers wait for
    std::vector<AskId> askers;                   // empty when nothing is awaited
    std::vector<base::Endpoint> dead;            // sorted; what `message` leaves out
    std::shared_ptr<const base::Bytes> message;  // null before the first answer
    base::Instant known_until;                   // `message` may be sent until then
    base::Instant last_asked;
  };

  View& view_for(const course::Asker& asker, base::Instant now);
  void make_room_for_view(const std::shared_ptr<const course::FileInfo>& current);
  void settle(View& view, base::Instant now);
  void settle_probed(base::Instant now);

  ShareProvider& share_;
  PeerProbes probes_;
  std::vector<std::unique_ptr<View>> views_;
  std::vector<FileInfoAnswer> answers_;
};

}  // namespace shoal::tracker
