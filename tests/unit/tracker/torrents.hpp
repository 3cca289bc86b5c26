// Small torrents for the tracker's tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "metainfo/torrent.hpp"

namespace shoal::tracker {

// A file of `pieces` pieces of 16 KiB, all different from those of other names.
inline metainfo::Torrent make_torrent(const std::string& name, std::uint32_t pieces = 3, bool is_folder = false) {
  constexpr std::uint32_t kPieceBytes = 16 * 1024;
  metainfo::Manifest manifest{.name = name, .pieces = {}, .layout = metainfo::Layout{}};
  for (std::uint32_t i = 0; i < pieces; ++i) {
    manifest.pieces.push_back(base::sha1(base::view_of(name + std::to_string(i))));
  }
  const std::uint64_t total = std::uint64_t{pieces} * kPieceBytes;
  manifest.layout =
      metainfo::Layout{.piece_bytes = kPieceBytes,
                       .total_bytes = total,
                       .is_folder = is_folder,
                       .files = {{.path = {is_folder ? "inside" : name}, .offset_bytes = 0, .size_bytes = total}}};
  return metainfo::make_torrent(std::move(manifest), false);
}

inline base::Bytes torrent_file(const std::string& name, std::uint32_t pieces = 3, bool is_folder = false) {
  return metainfo::encode_torrent(make_torrent(name, pieces, is_folder));
}

// The same content with another comment, of `bytes`.
inline base::Bytes commented_torrent_file(const std::string& name, std::size_t bytes) {
  metainfo::Torrent torrent = make_torrent(name);
  torrent.comment = std::string(bytes, 'c');
  return metainfo::encode_torrent(torrent);
}

}  // namespace shoal::tracker
