#include "tracker/share_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bencode/bencode.hpp"

namespace shoal::tracker {
namespace {

constexpr std::size_t kCourseChunksMax = 65'535;  // course-protocol section 1: chunks_count has 16 bits

bool is_for_course(const Share& share) {
  const metainfo::Manifest& manifest = share.torrent.manifest;
  return !manifest.layout->is_folder && manifest.pieces.size() <= kCourseChunksMax;
}

}  // namespace

std::expected<const Share*, std::string> ShareList::publish(base::ByteView torrent_file) {
  auto torrent = metainfo::parse_torrent(torrent_file);
  if (!torrent) return std::unexpected(torrent.error().describe());
  const auto same =
      std::ranges::find(shares_, torrent->info_hash, [](const auto& share) { return share->torrent.info_hash; });
  if (same != shares_.end()) return same->get();
  if (shares_.size() >= kSharesMax) {
    return std::unexpected(fmt::format("this tracker has {} shares already, which is its limit", kSharesMax));
  }
  if (bytes_ + torrent_file.size() > kShareBytesMax) {
    return std::unexpected("the torrents of this tracker's shares take all the room it has for them");
  }
  std::string name = torrent->manifest.name;
  for (int number = 2; find(name) != nullptr; ++number) name = fmt::format("{} ({})", torrent->manifest.name, number);
  bytes_ += torrent_file.size();
  shares_.push_back(std::make_unique<Share>(Share{.name = std::move(name),
                                                  .torrent = std::move(*torrent),
                                                  .torrent_file = base::Bytes(torrent_file.begin(), torrent_file.end()),
                                                  .order = next_order_++}));
  return shares_.back().get();
}

bool ShareList::remove(std::string_view name) {
  const Share* share = find(name);
  if (share == nullptr) return false;
  bytes_ -= share->torrent_file.size();
  std::erase_if(shares_, [share](const auto& one) { return one.get() == share; });
  return true;
}

const Share* ShareList::find(std::string_view name) const {
  const auto found = std::ranges::find_if(shares_, [name](const auto& share) { return share->name == name; });
  if (found != shares_.end()) return found->get();
  const auto info_hash = base::Sha1Hash::parse_hex(name);
  if (!info_hash) return nullptr;
  const auto same = std::ranges::find(shares_, *info_hash, [](const auto& share) { return share->torrent.info_hash; });
  return same == shares_.end() ? nullptr : same->get();
}

const Share* ShareList::newest() const {
  return shares_.empty() ? nullptr : shares_.back().get();
}

const Share* ShareList::newest_for_course() const {
  const auto found =
      std::find_if(shares_.rbegin(), shares_.rend(), [](const auto& share) { return is_for_course(*share); });
  return found == shares_.rend() ? nullptr : found->get();
}

// A list of torrents, oldest first: they name themselves.
base::Bytes ShareList::save() const {
  bencode::Writer writer;
  writer.begin_list();
  for (const auto& share : shares_) writer.string(base::ByteView(share->torrent_file));
  return writer.end().take();
}

void ShareList::restore(base::ByteView saved) {
  const auto value = bencode::parse(saved);
  if (!value || value->list() == nullptr) return;
  for (const bencode::Value& one : *value->list()) {
    if (one.string() != nullptr) (void)publish(base::view_of(*one.string()));
  }
}

}  // namespace shoal::tracker
