// Torrents from strangers: whatever is accepted can lead nowhere but into its folder, its sizes and pieces fit each
// other, and what is written of it reads back as the same.
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>

#include "base/check.hpp"
#include "metainfo/paths.hpp"
#include "metainfo/torrent.hpp"
#include "metainfo/urls.hpp"

namespace shoal::metainfo {
namespace {

void check_path(const std::vector<std::string>& path) {
  SHOAL_CHECK(!path.empty() && join_path(path).size() <= kPathBytesMax);
  for (const std::string& component : path) {
    SHOAL_CHECK(!component.empty() && component.size() <= 255 && component != "." && component != "..");
    SHOAL_CHECK(!component.contains('/') && !component.contains('\0'));
  }
}

// No file is where another is, or below it. Found here by looking each one's folders up, not by sorting.
void check_places(const Layout& layout) {
  std::set<std::vector<std::string>> places;
  for (const FileEntry& file : layout.files) {
    if (!file.is_padding) SHOAL_CHECK(places.insert(file.path).second);
  }
  for (std::vector<std::string> path : places) {
    for (path.pop_back(); !path.empty(); path.pop_back()) SHOAL_CHECK(!places.contains(path));
  }
}

void check_layout(const Manifest& manifest) {
  SHOAL_CHECK(manifest.layout && is_safe_component(manifest.name));
  const Layout& layout = *manifest.layout;
  SHOAL_CHECK(layout.piece_bytes >= kPieceBytesMin && layout.piece_bytes <= kPieceBytesMax);
  SHOAL_CHECK(!layout.files.empty() && layout.total_bytes <= kTotalBytesMax);
  SHOAL_CHECK(layout.is_folder || (layout.files.size() == 1 && layout.files.front().path.front() == manifest.name));
  std::uint64_t offset = 0;
  for (const FileEntry& file : layout.files) {
    check_path(file.path);
    if (!file.link_target.empty()) check_path(file.link_target);
    SHOAL_CHECK(file.offset_bytes == offset && (file.link_target.empty() || file.size_bytes == 0));
    SHOAL_CHECK(!file.modified_s || (*file.modified_s >= 0 && *file.modified_s <= kModifiedMax));
    offset += file.size_bytes;
  }
  SHOAL_CHECK(offset == layout.total_bytes);
  std::uint64_t piece_bytes = 0;
  for (std::uint32_t piece = 0; piece < manifest.piece_count(); ++piece) {
    SHOAL_CHECK(manifest.size_of(base::PieceIndex(piece)) > 0);
    piece_bytes += manifest.size_of(base::PieceIndex(piece));
  }
  SHOAL_CHECK(piece_bytes == layout.total_bytes);
  check_places(layout);
}

void check_urls(const Torrent& torrent) {
  std::size_t trackers = 0;
  for (const auto& tier : torrent.tracker_tiers) {
    SHOAL_CHECK(!tier.empty());
    for (const std::string& url : tier) SHOAL_CHECK(is_usable_url(url));
    trackers += tier.size();
  }
  for (const std::string& url : torrent.web_seeds) SHOAL_CHECK(is_usable_url(url));
  SHOAL_CHECK(trackers <= kTrackersMax && torrent.web_seeds.size() <= kWebSeedsMax);
}

void check(const std::expected<Torrent, TorrentProblem>& torrent) {
  if (!torrent) {
    SHOAL_CHECK(!torrent.error().describe().empty());
    return;
  }
  SHOAL_CHECK(torrent->info_hash == base::sha1(torrent->info));
  check_layout(torrent->manifest);
  check_urls(*torrent);
  // Another program may have written more into it than is understood here, so only the meaning must come back.
  const auto made = parse_info(encode_info(torrent->manifest, torrent->is_private));
  SHOAL_CHECK(made && made->manifest == torrent->manifest && made->is_private == torrent->is_private);
  const auto again = parse_torrent(encode_torrent(*torrent));
  SHOAL_CHECK(again && again->info_hash == torrent->info_hash && again->manifest == torrent->manifest);
  SHOAL_CHECK(again->tracker_tiers == torrent->tracker_tiers && again->web_seeds == torrent->web_seeds);
  SHOAL_CHECK(again->comment == torrent->comment && again->creation_date == torrent->creation_date);
}

}  // namespace
}  // namespace shoal::metainfo

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  shoal::metainfo::check(shoal::metainfo::parse_torrent(input));
  shoal::metainfo::check(shoal::metainfo::parse_info(input));
  return 0;
}
