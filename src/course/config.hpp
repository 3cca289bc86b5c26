// peers.ini and file.ini (course-protocol section 2): reading what people and old programs write, writing what old
// programs read. Text in, values out; who reads the files and which path an error names is the caller's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.hpp"
#include "base/sha1.hpp"
#include "course/ini.hpp"
#include "course/messages.hpp"

namespace shoal::course {

struct NamedPeer {
  std::string name;
  base::Endpoint endpoint;
  friend bool operator==(const NamedPeer&, const NamedPeer&) = default;
};

// peers.ini. Names are section names, exactly as written; one that is_peer_name() refuses is an error.
struct PeersConfig {
  std::optional<base::Endpoint> tracker;
  std::vector<NamedPeer> peers;  // in file order, without the tracker

  [[nodiscard]] const NamedPeer* find(std::string_view name) const;
};

// file.ini. `owners` is empty when there is no [chunks_peers] (what a client writes beside its result, 4.23).
struct FileConfig {
  std::string filename;  // a safe base name
  std::vector<base::Sha1Hash> chunks;
  std::vector<std::vector<std::string>> owners;  // one list for each chunk, or no list at all
  std::vector<std::size_t> owner_lines = {};     // where these lists stand in the parsed text, for errors; or empty
};

// Unknown sections of file.ini and unknown keys of both are passed over. In file.ini, chunks may stand in any order but
// none may lack; a chunk may have no owner (an empty list).
[[nodiscard]] Configured<PeersConfig> parse_peers_ini(std::string_view text);
[[nodiscard]] Configured<FileConfig> parse_file_ini(std::string_view text);

// Byte for byte what the course's programs write. Without owners there is no [chunks_peers], except for an empty file.
// A line break in the file name (which may come from a tracker) is written as '_': it cannot be part of a value.
[[nodiscard]] std::string encode_peers_ini(const PeersConfig& peers);
[[nodiscard]] std::string encode_file_ini(const FileConfig& file);
// A peer's name is a section, a folder and an item of a list: no path, comma, bracket, line break or blanks around it,
// and not `tracker`.
[[nodiscard]] bool is_peer_name(std::string_view name);
// Whether file.ini gives this base name back as it is: no line breaks inside, no blanks around it.
[[nodiscard]] bool fits_file_ini(std::string_view filename);

// 127.0.0.1:8000 for the tracker, 8001 for the first peer, and so on.
[[nodiscard]] PeersConfig default_peers(const std::vector<std::string>& names);

// The FILE_INFO the two files describe together. An owner that peers.ini lacks is an error that names the chunk; so is
// a file.ini with chunks but without owners. Both errors are about file.ini.
[[nodiscard]] Configured<FileInfo> make_file_info(const FileConfig& file, const PeersConfig& peers);

// Which of `peers` own chunk `index` (from 0) of `count`, as the course cuts a file: with two peers the first third is
// the first's, the second third both's, the last the second's. Generalised to n peers: 2n-1 equal parts that belong to
// 1, 1+2, 2, 2+3, 3, ... for n >= 2; one peer owns all.
[[nodiscard]] std::vector<std::size_t> owners_of_chunk(std::uint32_t index, std::uint32_t count, std::size_t peers);

// The smallest chunk size with which a file of this size has at most 65,535 chunks.
[[nodiscard]] std::uint64_t smallest_chunk_size(std::uint64_t file_bytes);

}  // namespace shoal::course
