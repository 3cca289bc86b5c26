#include "swarm/metadata_exchange.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace shoal::swarm {
namespace {

using base::Bytes;
using base::Instant;

constexpr int kRoundsCounted = 6;  // more time, or longer pauses, are not given after these
constexpr int kTimeGrowth = 4;     // of a try, from one round to the next

std::uint32_t pieces_of(std::uint32_t bytes) {
  return (bytes - 1) / wire::kMetadataPieceBytes + 1;
}
std::uint32_t size_of(std::uint32_t piece, std::uint32_t bytes) {
  return std::min(wire::kMetadataPieceBytes, bytes - piece * wire::kMetadataPieceBytes);
}

struct Try {
  Instant began{};
  Instant heard{};                 // when a piece last came, or was asked for in vain
  std::optional<Instant> brought;  // when a piece last came
  std::vector<Bytes> pieces;
  std::size_t arrived = 0;
  std::uint32_t next_piece = 0;       // those before it were asked for
  std::vector<std::uint32_t> asked;   // and have not come
  std::vector<std::uint32_t> to_ask;  // again
};

struct Peer {
  std::uint32_t bytes = 0;  // as it claims
  int rounds = 0;           // tries it has lost
  int refusals = 0;
  std::uint64_t place = 0;  // in the queue
  Instant ready_at{};       // not to be tried before
  std::optional<Try> attempt;

  [[nodiscard]] bool is_small() const { return bytes <= kSmallMetadataBytes; }
  [[nodiscard]] bool is_hopeful(Instant now) const {
    const bool is_first = rounds == 0;
    if (!attempt) return is_first;
    return now < attempt->brought.value_or(attempt->began) + kMetadataPatience && (is_first || attempt->brought);
  }
  [[nodiscard]] Instant overdue_at() const { return attempt->heard + kMetadataPatience; }
  [[nodiscard]] Instant time_is_up_at() const {
    base::Duration time = kMetadataPatience;
    for (int round = 0; round < std::min(rounds, kRoundsCounted); ++round) time *= kTimeGrowth;
    return attempt->began + time;
  }
};

}  // namespace

class MetadataExchange::Impl {
 public:
  Impl(base::Sha1Hash info_hash, std::optional<Bytes> info) : info_hash_(info_hash), info_(std::move(info)) {}

  void add_peer(SourceId id, std::uint32_t bytes, Instant now) {
    if (info_ || bytes == 0 || bytes > kMetadataBytesMax) return;
    const auto known = peers_.find(id);
    if (known == peers_.end()) {
      if (peers_.size() == kMetadataPeersMax) return;
      peers_.emplace(id, Peer{.bytes = bytes, .place = ++places_, .ready_at = now});
    } else if (known->second.bytes != bytes) {  // what it said before was wrong, or this is
      lose(known->second, now);
      known->second.bytes = bytes;
    }
    run_tries(now);
  }

  void remove_peer(SourceId id, Instant now) {
    peers_.erase(id);
    given_.erase(id);
    run_tries(now);
  }

  void on_piece(SourceId id, const wire::MetadataPiece& piece, Instant now) {
    const auto known = peers_.find(id);
    if (known == peers_.end() || !known->second.attempt) return;
    Peer& peer = known->second;
    Try& attempt = *peer.attempt;
    if (piece.piece >= attempt.next_piece || !attempt.pieces[piece.piece].empty()) return;
    if (piece.total_bytes != peer.bytes || piece.bytes.size() != size_of(piece.piece, peer.bytes)) {
      convict(id, now);
      return;
    }
    attempt.pieces[piece.piece] = piece.bytes;
    ++attempt.arrived;
    attempt.heard = now;
    attempt.brought = now;
    std::erase(attempt.asked, piece.piece);
    std::erase(attempt.to_ask, piece.piece);
    if (attempt.arrived == attempt.pieces.size()) check(id, now);
  }

  void on_refused(SourceId id, std::uint32_t piece, Instant now) {
    const auto known = peers_.find(id);
    if (known == peers_.end() || !known->second.attempt) return;
    Peer& peer = known->second;
    if (std::ranges::find(peer.attempt->asked, piece) == peer.attempt->asked.end()) return;
    lose(peer, now);
    peer.ready_at = now + kMetadataPatience * (1 << std::min(peer.refusals, kRoundsCounted));
    ++peer.refusals;
    run_tries(now);
  }

  void on_deadline(Instant now) { run_tries(now); }

  [[nodiscard]] std::optional<Instant> next_deadline() const {
    std::optional<Instant> next;
    const auto at = [&](Instant instant) { next = std::min(next.value_or(instant), instant); };
    for (const bool is_small : {true, false}) {
      const bool is_crowded = next_to_try(is_small, ran_at_).has_value();
      for (const auto& [id, peer] : peers_) {
        if (peer.is_small() != is_small) continue;
        if (!peer.attempt) {
          if (peer.ready_at > ran_at_) at(peer.ready_at);
          continue;
        }
        if (!peer.attempt->asked.empty()) at(peer.overdue_at());
        if (is_crowded) at(peer.time_is_up_at());
      }
      if (is_small && is_crowded && tries_allowed(ran_at_) < kTriesMax) {
        at(*first_try_ + kAnotherTryEvery * (tries_allowed(ran_at_) - kTriesFirst + 1));
      }
    }
    return next;
  }

  std::vector<Ask> take_asks(Instant now) {
    std::vector<Ask> asks;
    for (auto& [id, peer] : peers_) {
      if (!peer.attempt) continue;
      Try& attempt = *peer.attempt;
      if (attempt.asked.empty()) attempt.heard = now;  // it owes nothing yet
      for (const std::uint32_t piece : std::exchange(attempt.to_ask, {})) asks.push_back({id, piece});
      while (attempt.asked.size() < kAskedAtOnce && attempt.next_piece < attempt.pieces.size()) {
        attempt.asked.push_back(attempt.next_piece);
        asks.push_back({id, attempt.next_piece++});
      }
    }
    return asks;
  }

  std::vector<SourceId> take_liars() { return std::exchange(liars_, {}); }
  [[nodiscard]] bool is_hopeful(Instant now) const {
    return std::ranges::any_of(peers_, [now](const auto& entry) { return entry.second.is_hopeful(now); });
  }
  [[nodiscard]] const std::optional<Bytes>& info() const { return info_; }

  std::optional<wire::MetadataPiece> answer(SourceId peer, std::uint32_t piece) {
    if (!info_ || info_->empty()) return std::nullopt;
    const auto bytes = static_cast<std::uint32_t>(info_->size());
    if (piece >= pieces_of(bytes)) return std::nullopt;
    if (given_.size() == kMetadataPeersMax && !given_.contains(peer)) return std::nullopt;
    std::vector<std::uint8_t>& times = given_[peer];
    times.resize(pieces_of(bytes));
    if (times[piece] == kGivenMax) return std::nullopt;
    ++times[piece];
    const auto begin = info_->begin() + static_cast<std::ptrdiff_t>(piece) * wire::kMetadataPieceBytes;
    return wire::MetadataPiece{
        .piece = piece, .total_bytes = bytes, .bytes = Bytes(begin, begin + size_of(piece, bytes))};
  }

 private:
  using Peers = std::map<SourceId, Peer>;

  // Begins tries where there is room, and makes room where somebody waits for one that takes too long.
  void run_tries(Instant now) {
    ran_at_ = now;
    for (const bool is_small : {true, false}) {
      begin_tries(is_small, now);
      for (auto& [id, peer] : peers_) {
        if (!peer.attempt || peer.is_small() != is_small) continue;
        const bool is_overdue = !peer.attempt->asked.empty() && now >= peer.overdue_at();
        if (!is_overdue && now < peer.time_is_up_at()) continue;
        if (next_to_try(is_small, now)) {
          lose(peer, now);
          begin_tries(is_small, now);
        } else if (is_overdue) {
          peer.attempt->to_ask = peer.attempt->asked;
          peer.attempt->heard = now;
        }
      }
    }
  }

  void begin_tries(bool is_small, Instant now) {
    auto under_way = static_cast<std::size_t>(std::ranges::count_if(
        peers_, [&](const auto& entry) { return entry.second.attempt && entry.second.is_small() == is_small; }));
    while (const auto id = next_to_try(is_small, now)) {
      if (!first_try_) first_try_ = now;
      if (under_way >= (is_small ? tries_allowed(now) : 1)) return;
      Peer& peer = peers_.at(*id);
      peer.attempt = Try{.began = now, .heard = now, .pieces = std::vector<Bytes>(pieces_of(peer.bytes))};
      ++under_way;
    }
  }

  [[nodiscard]] std::size_t tries_allowed(Instant now) const {
    if (!first_try_) return kTriesFirst;
    return std::min(kTriesMax, kTriesFirst + static_cast<std::size_t>((now - *first_try_) / kAnotherTryEvery));
  }

  // Who of this size has waited longest.
  [[nodiscard]] std::optional<SourceId> next_to_try(bool is_small, Instant now) const {
    std::optional<SourceId> next;
    std::uint64_t place = 0;
    for (const auto& [id, peer] : peers_) {
      if (peer.attempt || peer.is_small() != is_small || peer.ready_at > now) continue;
      if (next && place < peer.place) continue;
      next = id;
      place = peer.place;
    }
    return next;
  }

  // To the end of the queue.
  void lose(Peer& peer, Instant now) {
    peer.attempt.reset();
    ++peer.rounds;
    peer.place = ++places_;
    peer.ready_at = std::max(peer.ready_at, now);
  }

  void check(SourceId id, Instant now) {
    const std::vector<Bytes>& pieces = peers_.at(id).attempt->pieces;
    base::Sha1Hasher hasher;
    for (const Bytes& piece : pieces) hasher.update(piece);
    if (hasher.finish() != info_hash_) {
      convict(id, now);
      return;
    }
    Bytes whole;
    whole.reserve(peers_.at(id).bytes);
    for (const Bytes& piece : pieces) whole.insert(whole.end(), piece.begin(), piece.end());
    info_ = std::move(whole);
    peers_.clear();
  }

  void convict(SourceId id, Instant now) {
    peers_.erase(id);
    liars_.push_back(id);
    run_tries(now);
  }

  base::Sha1Hash info_hash_;
  std::optional<Bytes> info_;
  Peers peers_;
  std::uint64_t places_ = 0;
  std::optional<Instant> first_try_;
  Instant ran_at_{};
  std::vector<SourceId> liars_;
  std::map<SourceId, std::vector<std::uint8_t>> given_;  // how often each piece was
};

MetadataExchange::MetadataExchange(base::Sha1Hash info_hash) : impl_(std::make_unique<Impl>(info_hash, std::nullopt)) {}
MetadataExchange::MetadataExchange(base::Sha1Hash info_hash, Bytes info)
    : impl_(std::make_unique<Impl>(info_hash, std::move(info))) {}
MetadataExchange::~MetadataExchange() = default;

void MetadataExchange::add_peer(SourceId peer, std::uint32_t metadata_bytes, Instant now) {
  impl_->add_peer(peer, metadata_bytes, now);
}
void MetadataExchange::remove_peer(SourceId peer, Instant now) {
  impl_->remove_peer(peer, now);
}
void MetadataExchange::on_piece(SourceId peer, const wire::MetadataPiece& piece, Instant now) {
  impl_->on_piece(peer, piece, now);
}
void MetadataExchange::on_refused(SourceId peer, std::uint32_t piece, Instant now) {
  impl_->on_refused(peer, piece, now);
}
void MetadataExchange::on_deadline(Instant now) {
  impl_->on_deadline(now);
}
std::optional<Instant> MetadataExchange::next_deadline() const {
  return impl_->next_deadline();
}
std::vector<MetadataExchange::Ask> MetadataExchange::take_asks(Instant now) {
  return impl_->take_asks(now);
}
std::vector<SourceId> MetadataExchange::take_liars() {
  return impl_->take_liars();
}
bool MetadataExchange::is_hopeful(Instant now) const {
  return impl_->is_hopeful(now);
}
const std::optional<Bytes>& MetadataExchange::info() const {
  return impl_->info();
}
std::optional<wire::MetadataPiece> MetadataExchange::answer(SourceId peer, std::uint32_t piece) {
  return impl_->answer(peer, piece);
}

}  // namespace shoal::swarm
