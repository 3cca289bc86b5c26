// peers.ini and file.ini (course-protocol section 2): reading what people and old programs write, writing what old
// programs read. Text in, values out; who reads the files and which path an error names is the caller's business.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.hpp"
#include "base/sha1.hpp"
#include "course/messages.hpp"

namespace shoal::course {

// What is wrong with an ini file, and where. line 0: the file as a whole (a key is missing).
struct ConfigError {
  std::size_t line = 0;
  std::string key;      // "alice.port_number", "chunks.7"; may be empty
  std::string message;  // what is wrong and what would be right

  // "config/file.ini:12: chunks.7: not a SHA-1 hash (40 hexadecimal digits)"
  [[nodiscard]] std::string describe(std::string_view path) const;
};

template <typename Value>
using Configured = std::expected<Value, ConfigError>;

struct NamedPeer {
  std::string name;
  base::Endpoint endpoint;
  friend bool operator==(const NamedPeer&, const NamedPeer&) = default;
};

// peers.ini. Names are section names, exactly as written.
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
};

[[nodiscard]] Configured<PeersConfig> parse_peers_ini(std::string_view text);
[[nodiscard]] Configured<FileConfig> parse_file_ini(std::string_view text);
[[nodiscard]] std::string encode_peers_ini(const PeersConfig& peers);
[[nodiscard]] std::string encode_file_ini(const FileConfig& file);
// 127.0.0.1:8000 for the tracker, 8001 for the first peer, and so on.
[[nodiscard]] PeersConfig default_peers(const std::vector<std::string>& names);

// The FILE_INFO the two files describe together. An owner that peers.ini lacks is an error that names the chunk.
[[nodiscard]] Configured<FileInfo> make_file_info(const FileConfig& file, const PeersConfig& peers);

// Which of `peers` own chunk `index` (from 0) of `count`, as the course cuts a file: with two peers the first third is
// the first's, the second third both's, the last the second's. Generalised to n peers: 2n-1 equal parts that belong to
// 1, 1+2, 2, 2+3, 3, ... for n >= 2; one peer owns all.
[[nodiscard]] std::vector<std::size_t> owners_of_chunk(std::uint32_t index, std::uint32_t count, std::size_t peers);

// The smallest chunk size with which a file of this size has at most 65,535 chunks.
[[nodiscard]] std::uint64_t smallest_chunk_size(std::uint64_t file_bytes);

}  // namespace shoal::course
