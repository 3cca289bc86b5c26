#include "roles/swarm_links.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace shoal::roles {

SwarmLink& SwarmLinks::add(seam::ConnId conn, base::Endpoint remote, base::Instant now) {
  auto link = std::make_unique<SwarmLink>();
  link->conn = conn;
  link->source = next_source();
  link->remote = remote;
  link->since = now;
  SwarmLink& added = *link;
  SHOAL_CHECK(by_conn_.emplace(conn, &added).second);
  links_.emplace(added.source, std::move(link));
  notes_.emplace(added.source, Notes{});
  return added;
}

SwarmLink* SwarmLinks::find(seam::ConnId conn) const {
  const auto found = by_conn_.find(conn);
  return found == by_conn_.end() ? nullptr : found->second;
}

SwarmLink* SwarmLinks::find(swarm::SourceId source) const {
  const auto found = links_.find(source);
  return found == links_.end() || found->second->is_gone() ? nullptr : found->second.get();
}

SwarmLinks::Counts SwarmLinks::count() const {
  Counts counts;
  for (const auto& [source, link] : links_) {
    if (link->is_gone()) continue;
    if (link->stage == SwarmLink::Stage::unknown) {
      ++counts.unknown;
    } else {
      ++(link->is_dialled ? counts.dialled : counts.accepted);
    }
    if (link->stage == SwarmLink::Stage::dialing) ++counts.dialing;
  }
  return counts;
}

std::size_t SwarmLinks::count_accepted_from(base::Ipv4Address address) const {
  return static_cast<std::size_t>(std::ranges::count_if(links_, [address](const auto& entry) {
    const SwarmLink& link = *entry.second;
    return link.stage == SwarmLink::Stage::open && !link.is_dialled && link.remote.address == address;
  }));
}

void SwarmLinks::touch(SwarmLink& link) {
  if (link.is_gone() || std::exchange(notes_.at(link.source).is_touched, true)) return;
  touched_.push_back(link.source);
}

SwarmLink* SwarmLinks::take_touched() {
  while (!touched_.empty()) {
    SwarmLink* link = find(touched_.front());
    touched_.pop_front();
    if (link == nullptr) continue;
    notes_.at(link->source).is_touched = false;
    return link;
  }
  return nullptr;
}

void SwarmLinks::relist(SwarmLink& link) {
  if (link.is_gone()) return;
  const auto deadline = link.peer     ? link.peer->next_deadline()
                        : link.course ? link.course->next_deadline()
                                      : link.deadline;
  auto& listed = notes_.at(link.source).listed_deadline;
  if (listed == deadline) return;
  if (listed) deadlines_.erase({*listed, link.source});
  if (deadline) deadlines_.insert({*deadline, link.source});
  listed = deadline;
}

std::optional<base::Instant> SwarmLinks::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

SwarmLink* SwarmLinks::take_due(base::Instant now) {
  if (deadlines_.empty() || deadlines_.begin()->first > now) return nullptr;
  SwarmLink* link = find(deadlines_.begin()->second);
  SHOAL_CHECK(link != nullptr);
  deadlines_.erase(deadlines_.begin());
  notes_.at(link->source).listed_deadline.reset();
  return link;
}

void SwarmLinks::forget(SwarmLink& link) {
  SHOAL_CHECK(!link.is_gone());
  const auto& listed = notes_.at(link.source).listed_deadline;
  if (listed) deadlines_.erase({*listed, link.source});
  notes_.erase(link.source);
  by_conn_.erase(link.conn);
  link.stage = SwarmLink::Stage::gone;
  forgotten_.push_back(link.source);
}

void SwarmLinks::sweep() {
  for (const swarm::SourceId source : std::exchange(forgotten_, {})) links_.erase(source);
}

}  // namespace shoal::roles
