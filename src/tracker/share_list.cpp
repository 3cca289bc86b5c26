#include "tracker/share_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "bencode/bencode.hpp"
#include "course/messages.hpp"

namespace shoal::tracker {
namespace {

constexpr std::size_t kSavedFields = 2;  // name, torrent
constexpr const char* kNoRoom = "the torrents of this tracker's shares take all the room it has for them";

// Without a name and an order yet; `torrent` was read from `torrent_file`.
Share make_share(metainfo::Torrent torrent, base::ByteView torrent_file) {
  const auto value = bencode::parse(torrent_file, bencode::Keys::in_any_order);
  SHOAL_CHECK(value && value->dictionary() != nullptr);
  Share share{.name = {}, .torrent = std::move(torrent), .torrent_file = {}};
  base::Bytes file{std::byte{'d'}};
  share.trackers_begin = share.trackers_end = file.size();
  for (const bencode::Entry& entry : *value->dictionary()) {
    const std::string length = fmt::format("{}:", entry.key.size());
    for (const base::ByteView part : {base::view_of(length), base::view_of(entry.key), entry.value.raw}) {
      file.insert(file.end(), part.begin(), part.end());
    }
    if (entry.key < "announce") share.trackers_begin = file.size();
    if (entry.key <= "announce-list") share.trackers_end = file.size();
  }
  file.push_back(std::byte{'e'});
  share.torrent.info = base::Bytes();
  share.torrent_file = std::make_shared<const base::Bytes>(std::move(file));
  return share;
}

}  // namespace

bool is_for_course(const Share& share) {
  const metainfo::Manifest& manifest = share.torrent.manifest;
  return !manifest.layout->is_folder && manifest.pieces.size() <= course::kChunksMax;
}

std::expected<const Share*, std::string> ShareList::publish(base::ByteView torrent_file,
                                                            const ChooseToDrop& choose_to_drop) {
  return add(torrent_file, {}, choose_to_drop);
}

bool ShareList::has_room_for(std::size_t torrent_bytes) const {
  return shares_.size() < kSharesMax && bytes_ + torrent_bytes <= kShareBytesMax;
}

std::expected<const Share*, std::string> ShareList::add(base::ByteView torrent_file, std::string_view name,
                                                        const ChooseToDrop& choose_to_drop) {
  auto torrent = metainfo::parse_torrent(torrent_file);
  if (!torrent) return std::unexpected(torrent.error().describe());
  Share share = make_share(std::move(*torrent), torrent_file);
  if (const Share* same = find_hash(share.torrent.info_hash); same != nullptr) return replace(*same, std::move(share));
  while (!has_room_for(torrent_file.size())) {
    const Share* dropped = choose_to_drop ? choose_to_drop() : nullptr;
    if (dropped == nullptr) break;
    remove(dropped->torrent.info_hash.to_hex());
  }
  if (shares_.size() >= kSharesMax) {
    return std::unexpected(fmt::format("this tracker has {} shares already, which is its limit", kSharesMax));
  }
  if (!has_room_for(torrent_file.size())) {
    return std::unexpected(kNoRoom);
  }
  const std::string& own_name = share.torrent.manifest.name;
  share.name = name.empty() ? own_name : std::string(name);
  for (int number = 2; find_name(share.name) != nullptr; ++number)
    share.name = fmt::format("{} ({})", own_name, number);
  share.order = next_order_++;
  bytes_ += torrent_file.size();
  ++changes_;
  shares_.push_back(std::make_unique<Share>(std::move(share)));
  return shares_.back().get();
}

// With its name and its place among the others. Who has no web seed to name takes none away from who has.
std::expected<const Share*, std::string> ShareList::replace(const Share& known, Share next) {
  const bool would_lose_seeds = next.torrent.web_seeds.empty() && !known.torrent.web_seeds.empty();
  if (would_lose_seeds || *known.torrent_file == *next.torrent_file) return &known;
  const std::uint64_t bytes_of_others = bytes_ - known.torrent_file->size();
  if (bytes_of_others + next.torrent_file->size() > kShareBytesMax) return std::unexpected(kNoRoom);
  Share& share = **std::ranges::find(shares_, &known, [](const auto& one) { return one.get(); });
  next.name = share.name;
  next.order = share.order;
  share = std::move(next);
  bytes_ = bytes_of_others + share.torrent_file->size();
  ++changes_;
  return &share;
}

bool ShareList::remove(std::string_view name) {
  const Share* share = find(name);
  if (share == nullptr) return false;
  bytes_ -= share->torrent_file->size();
  ++changes_;
  shares_.erase(std::ranges::find(shares_, share, [](const auto& one) { return one.get(); }));
  return true;
}

const Share* ShareList::find(std::string_view name) const {
  if (const auto info_hash = base::Sha1Hash::parse_hex(name)) {
    if (const Share* share = find_hash(*info_hash); share != nullptr) return share;
  }
  return find_name(name);
}

const Share* ShareList::find_hash(const metainfo::InfoHash& info_hash) const {
  const auto found = std::ranges::find(shares_, info_hash, [](const auto& share) { return share->torrent.info_hash; });
  return found == shares_.end() ? nullptr : found->get();
}

const Share* ShareList::find_name(std::string_view name) const {
  const auto found = std::ranges::find_if(shares_, [name](const auto& share) { return share->name == name; });
  return found == shares_.end() ? nullptr : found->get();
}

const Share* ShareList::newest() const {
  return shares_.empty() ? nullptr : shares_.back().get();
}

const Share* ShareList::newest_for_course(const std::function<bool(const Share&)>& is_had) const {
  const Share* newest = nullptr;
  for (auto share = shares_.rbegin(); share != shares_.rend(); ++share) {
    if (!is_for_course(**share)) continue;
    if (is_had(**share)) return share->get();
    if (newest == nullptr) newest = share->get();
  }
  return newest;
}

// [[name, torrent], ...], oldest first.
base::Bytes ShareList::save() const {
  bencode::Writer writer;
  writer.begin_list();
  for (const auto& share : shares_) {
    writer.begin_list().string(share->name).string(base::ByteView(*share->torrent_file)).end();
  }
  return writer.end().take();
}

bool ShareList::restore(base::ByteView saved) {
  const auto value = bencode::parse(saved);
  if (!value || value->list() == nullptr) return false;
  const auto is_share = [](const bencode::Value& one) {
    return one.list() != nullptr && one.list()->size() == kSavedFields && (*one.list())[0].string() != nullptr &&
           (*one.list())[1].string() != nullptr;
  };
  if (!std::ranges::all_of(*value->list(), is_share)) return false;
  for (const bencode::Value& one : *value->list()) {
    const bencode::List& fields = *one.list();
    // A torrent that is not taken any more is left out.
    (void)add(base::view_of(*fields[1].string()), *fields[0].string(), {});
  }
  return true;
}

}  // namespace shoal::tracker
