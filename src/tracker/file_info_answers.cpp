#include "tracker/file_info_answers.hpp"

#include <algorithm>

#include "tracker/visible_share.hpp"

namespace shoal::tracker {

void FileInfoAnswers::on_asked(AskId ask, const course::Asker& asker, base::Instant now, seam::Actions& actions) {
  View& view = view_for(asker, now);
  view.last_asked = now;
  const bool is_waiting = !view.awaited.empty();
  const bool is_current = view.message != nullptr && now < view.known_until;
  if (!is_waiting && !is_current) {
    for (const base::Endpoint& peer : view.peers) {
      if (!probes_.is_known_or_begin(peer, now, actions)) view.awaited.insert(peer);
    }
    if (view.awaited.empty()) settle(view, now);
  }
  if (view.awaited.empty()) {
    answers_.push_back({ask, view.message});
  } else {
    view.askers.push_back(ask);
  }
}

void FileInfoAnswers::on_connected(const seam::Connected& event, base::Instant now, seam::Actions& actions) {
  probes_.on_connected(event.conn, now, actions);
  settle_probed(now);
}

void FileInfoAnswers::on_connect_failed(const seam::ConnectFailed& event, base::Instant now, seam::Actions& actions) {
  probes_.on_connect_failed(event.conn, event.error, now, actions);
  settle_probed(now);
}

void FileInfoAnswers::on_deadline_reached(base::Instant now, seam::Actions& actions) {
  probes_.on_deadline_reached(now, actions);
  settle_probed(now);
}

FileInfoAnswers::View& FileInfoAnswers::view_for(const course::Asker& asker, base::Instant now) {
  auto share = share_.current();
  const auto is_the_one = [&](const std::unique_ptr<View>& view) {
    return view->share == share && view->asker.local == asker.local &&
           view->asker.is_on_this_host() == asker.is_on_this_host() && share_.are_alike(view->asker, asker);
  };
  const auto found = std::ranges::find_if(views_, is_the_one);
  if (found != views_.end()) return **found;

  make_room_for_view(share);
  probes_.forget_old(now);
  auto view = std::make_unique<View>();
  view->asker = asker;
  view->peers = visible_peers(*share, asker, [&](base::Endpoint peer) { return share_.may_tell(asker, peer); });
  view->share = std::move(share);
  views_.push_back(std::move(view));
  return *views_.back();
}

void FileInfoAnswers::make_room_for_view(const std::shared_ptr<const course::FileInfo>& current) {
  std::erase_if(views_,
                [&](const std::unique_ptr<View>& view) { return view->share != current && view->askers.empty(); });
  while (views_.size() >= kViewsMax) {
    const auto by_use = [](const std::unique_ptr<View>& left, const std::unique_ptr<View>& right) {
      return std::pair(!left->askers.empty(), left->last_asked) < std::pair(!right->askers.empty(), right->last_asked);
    };
    const auto oldest = std::ranges::min_element(views_, by_use);
    if (!(*oldest)->askers.empty()) return;
    views_.erase(oldest);
  }
}

// Everything that was awaited is known now: brings the message up to date and answers all who waited.
void FileInfoAnswers::settle(View& view, base::Instant now) {
  std::vector<base::Endpoint> dead;
  view.known_until = base::Instant::max();
  for (const base::Endpoint& peer : view.peers) {
    if (!probes_.accepts(peer)) dead.push_back(peer);
    view.known_until = std::min(view.known_until, probes_.known_until(peer, now));
  }
  if (view.message == nullptr || dead != view.dead) {
    view.message = std::make_shared<const base::Bytes>(
        course::encode_file_info(visible_share(*view.share, view.asker, view.peers, dead)));
    view.dead = std::move(dead);
  }
  for (const AskId& ask : view.askers) answers_.push_back({ask, view.message});
  view.askers = std::vector<AskId>();
}

void FileInfoAnswers::settle_probed(base::Instant now) {
  for (const base::Endpoint& peer : probes_.take_ended()) {
    for (const std::unique_ptr<View>& view : views_) {
      if (view->awaited.erase(peer) > 0 && view->awaited.empty()) settle(*view, now);
    }
  }
}

}  // namespace shoal::tracker
