#include "tracker/swarm_share.hpp"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

namespace shoal::tracker {
namespace {

// Azureus-style peer ids (BEP 20) of those who answer course clients on their port.
constexpr std::string_view kShoalPrefix = "-SH";

struct Owner {
  base::Endpoint endpoint;
  std::optional<base::Bitfield> held;  // nothing: everything

  [[nodiscard]] bool has(base::PieceIndex piece) const { return !held || held->test(piece); }
};

// Those on networks inside this host, or the others. A random choice of them when there are too many; sorted.
std::vector<Owner> owners_of(const Share& share, Swarms& swarms, bool is_inside) {
  std::vector<Owner> owners;
  std::vector<const SwarmMember*> others;
  swarms.visit(share.torrent.info_hash, [&](const SwarmMember& member) {
    if (!base::text_of(member.peer_id).starts_with(kShoalPrefix)) return;
    if (swarms.is_internal(member.endpoint.address) != is_inside) return;
    if (member.is_seed() && owners.size() < kOwnersNamedMax)
      owners.push_back({.endpoint = member.endpoint, .held = {}});
    if (!member.held.empty() && !member.is_seed() && others.size() < kOwnersNamedMax) others.push_back(&member);
  });
  for (const SwarmMember* member : others) {
    if (owners.size() == kOwnersNamedMax) break;
    auto held = parse_held(member->held, share.torrent.manifest.piece_count());
    if (held && !held->is_none()) owners.push_back({.endpoint = member->endpoint, .held = std::move(held)});
  }
  std::ranges::sort(owners, {}, &Owner::endpoint);
  return owners;
}

// Each piece begins at another owner, so that a long list is used evenly.
void add_owners(std::vector<base::Endpoint>& peers, const std::vector<Owner>& owners, std::uint32_t piece) {
  std::size_t added = 0;
  for (std::size_t k = 0; k < owners.size() && added < kOwnersMax; ++k) {
    const Owner& owner = owners[(piece + k) % owners.size()];
    if (!owner.has(base::PieceIndex(piece))) continue;
    peers.push_back(owner.endpoint);
    ++added;
  }
}

std::optional<std::uint32_t> take_number(std::string_view& text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

}  // namespace

std::optional<base::Bitfield> parse_held(std::string_view text, std::uint32_t size) {
  base::Bitfield held(size);
  std::uint64_t next = 0;  // each piece is named once: a few ranges cannot cost many pieces' time
  while (!text.empty()) {
    const auto first = take_number(text);
    if (!first || *first < next) return std::nullopt;
    auto last = first;
    if (text.starts_with('-')) {
      text.remove_prefix(1);
      last = take_number(text);
      if (!last || *last < *first) return std::nullopt;
    }
    for (std::uint64_t piece = *first; piece <= *last && piece < size; ++piece) {
      held.set(base::PieceIndex(static_cast<std::uint32_t>(piece)));
    }
    next = std::uint64_t{*last} + 1;
    if (text.empty()) break;
    if (!text.starts_with(',') || text.size() == 1) return std::nullopt;
    text.remove_prefix(1);
  }
  return held;
}

SwarmShare::SwarmShare(const ShareList& shares, Swarms& swarms, ShareProvider* configured,
                       std::optional<std::string> chosen)
    : shares_(shares), swarms_(swarms), configured_(configured), chosen_(std::move(chosen)) {}

const Share* SwarmShare::choose() const {
  if (chosen_) return shares_.find(*chosen_);
  return shares_.newest_for_course(
      [this](const Share& share) { return !swarms_.empty_since(share.torrent.info_hash).has_value(); });
}

std::shared_ptr<const course::FileInfo> SwarmShare::current() {
  const Share* share = choose();
  is_published_ = share != nullptr && is_for_course(*share);
  if (!is_published_) {
    if (configured_ != nullptr) return configured_->current();
    // A well-formed question is always answered (course-protocol 4.12); a file without a name is one nobody takes.
    static const auto kNothing = std::make_shared<const course::FileInfo>();
    return kNothing;
  }
  const base::Sha1Hash& info_hash = share->torrent.info_hash;
  const std::uint64_t generation = swarms_.generation(info_hash);
  const base::Duration validity = kShareValidity + kPieceValidity * share->torrent.manifest.piece_count();
  const bool is_same = told_ != nullptr && made_of_ == info_hash;
  if (is_same && (made_from_ == generation || now_ - made_ < validity)) return told_;
  made_ = now_;
  made_of_ = info_hash;
  made_from_ = generation;
  told_ = std::make_shared<const course::FileInfo>(describe(*share));
  return told_;
}

bool SwarmShare::may_tell(const course::Asker& asker, base::Endpoint peer) const {
  return !is_published_ || swarms_.is_reachable(peer, asker);
}

bool SwarmShare::are_alike(const course::Asker& one, const course::Asker& other) const {
  return !is_published_ || swarms_.are_alike(one, other);
}

course::FileInfo SwarmShare::describe(const Share& share) {
  const metainfo::Manifest& manifest = share.torrent.manifest;
  const std::vector<Owner> outside = owners_of(share, swarms_, false);
  const std::vector<Owner> inside = owners_of(share, swarms_, true);
  course::FileInfo info{.filename = manifest.name, .chunks = {}};
  info.chunks.reserve(manifest.pieces.size());
  for (std::uint32_t i = 0; i < manifest.piece_count(); ++i) {
    course::ChunkRecord record{.hash = manifest.pieces[i], .peers = {}};
    add_owners(record.peers, outside, i);
    add_owners(record.peers, inside, i);
    info.chunks.push_back(std::move(record));
  }
  return info;
}

}  // namespace shoal::tracker
