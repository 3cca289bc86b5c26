#include "discovery/local_peers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace shoal::discovery {
namespace {

using base::Endpoint;
using base::Instant;

seam::SocketId group_socket_of(std::size_t interface) {
  return seam::SocketId(kFirstLocalSocket + static_cast<std::uint32_t>(interface));
}

}  // namespace

LocalPeers::LocalPeers(LocalPeersOptions options, base::Rng rng)
    : options_(std::move(options)), rng_(std::move(rng)), cookie_(fmt::format("{:016x}", rng_.next())) {
  if (options_.interfaces.size() > kLocalInterfacesMax) options_.interfaces.resize(kLocalInterfacesMax);
}

void LocalPeers::start(Instant now) {
  for (std::size_t i = 0; i < options_.interfaces.size(); ++i) {
    actions_.push_back(seam::OpenDatagram{group_socket_of(i), options_.interfaces[i], wire::kLocalDiscoveryGroup});
  }
  searches_ = 0;
  search(now);
}

void LocalPeers::search(Instant now) {
  const base::Bytes message =
      wire::encode(wire::LocalSearch{.port = options_.port, .info_hashes = {options_.info_hash}, .cookie = cookie_});
  for (std::size_t i = 0; i < options_.interfaces.size(); ++i) {
    actions_.push_back(seam::SendDatagram{group_socket_of(i), wire::kLocalDiscoveryGroup, message});
  }
  ++searches_;
  last_search_ = now;
  answer_at_.reset();
  spread_over_ = searchers_.size();
  next_search_ = now + (searches_ < kQuickSearches ? kQuickSearchPause : kSearchEvery) + spread();
}

bool LocalPeers::on_event(const seam::Event& event, Instant now) {
  const auto* datagram = std::get_if<seam::DatagramArrived>(&event);
  if (datagram == nullptr || datagram->socket.value < kFirstLocalSocket ||
      datagram->socket.value >= kFirstLocalSocket + options_.interfaces.size()) {
    return false;
  }
  if (next_search_) on_datagram(*datagram, now);
  return true;
}

void LocalPeers::on_datagram(const seam::DatagramArrived& datagram, Instant now) {
  const auto search = wire::parse_local_search(datagram.bytes);
  if (!search || search->cookie == cookie_ || search->port == 0) return;
  if (std::ranges::find(search->info_hashes, options_.info_hash) == search->info_hashes.end()) return;
  const Endpoint peer{datagram.from.address, search->port};
  if (heard_.size() < kLocalPeersHeardMax && std::ranges::find(heard_, peer) == heard_.end()) heard_.push_back(peer);
  const SearcherName name(peer, search->cookie);
  if (answer_at_ && name != asker_) ++others_heard_;
  if (!is_to_be_answered(name, now) || answer_at_) return;
  answer_at_ = std::max(now, last_search_ + kAnswerPause) + spread();
  asker_ = name;
  others_heard_ = 0;
  on_deadline(now);
}

base::Duration LocalPeers::spread() {
  const std::size_t others = searchers_.size();
  return others < 2 ? base::Duration(0) : base::from_seconds(rng_.unit() * base::to_seconds(kSpread * (others - 1)));
}

bool LocalPeers::is_to_be_answered(const SearcherName& name, Instant now) {
  std::erase_if(searchers_, [&](const auto& each) { return each.second.since + kSearchEvery <= now; });
  const auto known = searchers_.find(name);
  const int answers_max = searchers_.size() > kFewSearchers ? 1 : kAnswersMax;
  if (known != searchers_.end()) return ++known->second.answers <= answers_max;
  if (searchers_.size() == kSearchersMax) return false;
  searchers_.emplace(name, Searcher{.since = now, .answers = 1});
  return true;
}

void LocalPeers::on_deadline(Instant now) {
  if (!next_search_) return;
  if (answer_at_ && now >= *answer_at_) {
    if (others_heard_ < kAnswersEnough) return search(now);
    answer_at_.reset();
  }
  if (now < *next_search_) return;
  if (searchers_.size() <= 2 * std::max<std::size_t>(spread_over_, 1)) return search(now);
  // Many have come since this time was chosen; they chose theirs at the same time.
  spread_over_ = searchers_.size();
  next_search_ = now + spread();
}

void LocalPeers::stop() {
  if (!next_search_) return;
  next_search_.reset();
  answer_at_.reset();
  for (std::size_t i = 0; i < options_.interfaces.size(); ++i) {
    actions_.push_back(seam::CloseDatagram{group_socket_of(i)});
  }
}

}  // namespace shoal::discovery
