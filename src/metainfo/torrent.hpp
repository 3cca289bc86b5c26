// .torrent files and info dictionaries (BEP 3, 12, 19, 27, 47, 52's v1 side of hybrids): untrusted bytes to a Torrent
// or an error, and a Torrent to bytes. Used by the commands, by the swarm (metadata from peers) and by the tracker.
//
// Always holds of a parsed Torrent: the manifest has a layout; every path is safe (metainfo/paths.hpp), none is
// another's parent, no two are equal; sizes add up without overflow and match the number of piece hashes; `info` are
// the bytes whose SHA-1 is `info_hash`.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/sha1.hpp"
#include "bencode/bencode.hpp"
#include "metainfo/manifest.hpp"

namespace shoal::metainfo {

using InfoHash = base::Sha1Hash;

inline constexpr std::uint64_t kTorrentBytesMax = 64u << 20;  // of a .torrent file or of metadata
inline constexpr std::uint32_t kPieceBytesMin = 1;            // accepted; ours are 16 KiB at least
inline constexpr std::uint32_t kPieceBytesMax = 256u << 20;
inline constexpr std::uint64_t kTotalBytesMax = 1ull << 56;

enum class TorrentError : std::uint8_t {
  not_a_torrent,  // it does not even begin like one
  not_bencode,    // detail: what and where
  missing_key,    // detail: the key, as "info.pieces"
  wrong_type,     // detail: the key
  bad_piece_length,
  bad_pieces,      // not a multiple of 20 bytes, or their number does not fit the sizes
  bad_size,        // negative, or the sum overflows
  bad_path,        // absolute, `..`, empty, over-long, with a NUL or a separator; detail: the path
  duplicate_path,  // two files at one place, or a file where another's folder is; detail: the path
  no_files,
  version_2_only,  // BEP 52 without a v1 side: not spoken yet
  too_big,
};
struct TorrentProblem {
  TorrentError error;
  std::string detail;
  // One line for a user: what is wrong with the torrent, and where in it.
  [[nodiscard]] std::string describe() const;
};

struct Torrent {
  Manifest manifest;
  InfoHash info_hash;
  base::Bytes info;                                     // the info dictionary as its author encoded it
  bool is_private = false;                              // BEP 27
  std::vector<std::vector<std::string>> tracker_tiers;  // BEP 12; of `announce` alone: one tier of one
  std::vector<std::string> web_seeds;                   // BEP 19, url-list
  std::string comment;
  std::string created_by;
  std::optional<std::int64_t> creation_date;  // seconds since 1970
  // Worth telling: paths that differ by case only, and so on. Never empty lines.
  std::vector<std::string> warnings;
};

[[nodiscard]] std::expected<Torrent, TorrentProblem> parse_torrent(base::ByteView bytes);
// An info dictionary alone, as peers send it (BEP 9). The caller checks its hash against what was asked for.
[[nodiscard]] std::expected<Torrent, TorrentProblem> parse_info(base::ByteView info);

// The info dictionary of a manifest with a layout, byte for byte what mktorrent makes of the same plain files without
// times.
[[nodiscard]] base::Bytes encode_info(const Manifest& manifest, bool is_private);
// A whole .torrent; `torrent.info` goes in as it is.
[[nodiscard]] base::Bytes encode_torrent(const Torrent& torrent);
// The keys `announce` and `announce-list` with their values, as a torrent has them; nothing without trackers.
[[nodiscard]] base::Bytes encode_trackers(const std::vector<std::vector<std::string>>& tiers);
// encode_info, hashed: a Torrent without trackers.
[[nodiscard]] Torrent make_torrent(Manifest manifest, bool is_private);

// At least 1,000 pieces where the file allows, a power of two from 16 KiB to 16 MiB.
[[nodiscard]] std::uint32_t choose_piece_bytes(std::uint64_t total_bytes);

}  // namespace shoal::metainfo
