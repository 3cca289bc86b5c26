#include "course/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <unordered_map>

#include "base/check.hpp"

namespace shoal::course {
namespace {

constexpr std::string_view kTrackerSection = "tracker";
constexpr std::uint16_t kFirstDefaultPort = 8000;

std::unexpected<ConfigError> wrong(std::size_t line, std::string key, std::string message) {
  return std::unexpected(ConfigError{line, std::move(key), std::move(message)});
}

std::string key_of(const IniSection& section, std::string_view key) {
  return fmt::format("{}.{}", section.name, key);
}

// A decimal number without sign or leading zeros; one that does not fit is the biggest there is.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  if (text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} ? number : std::numeric_limits<std::uint64_t>::max();
}

Configured<const IniEntry*> require(const IniSection& section, std::string_view key) {
  const IniEntry* entry = section.find(key);
  if (entry == nullptr) return wrong(section.line, key_of(section, key), "is missing from this section");
  return entry;
}

Configured<const IniSection*> require(const Ini& ini, std::string_view name) {
  const IniSection* section = ini.find(name);
  if (section == nullptr) return wrong(0, std::string(name), "this section is missing");
  return section;
}

std::unexpected<ConfigError> too_many_chunks(std::size_t line, std::string key, std::string_view count) {
  return wrong(line, std::move(key),
               fmt::format("{} chunks are too many: the protocol counts to {}; use bigger chunks", count, kChunksMax));
}

Configured<base::Endpoint> parse_endpoint(const IniSection& section) {
  const auto address_entry = require(section, "ip_address");
  if (!address_entry) return std::unexpected(address_entry.error());
  const auto port_entry = require(section, "port_number");
  if (!port_entry) return std::unexpected(port_entry.error());
  const IniEntry& address_text = **address_entry;
  const IniEntry& port_text = **port_entry;
  const auto address = base::Ipv4Address::parse(address_text.value);
  if (!address) {
    return wrong(address_text.line, key_of(section, address_text.key),
                 fmt::format("'{}' is not an IPv4 address such as 192.168.1.10", address_text.value));
  }
  const auto port = base::parse_port(port_text.value);
  if (!port || *port == 0) {
    return wrong(port_text.line, key_of(section, port_text.key),
                 fmt::format("'{}' is not a port number (1-65535)", port_text.value));
  }
  return base::Endpoint{*address, *port};
}

// The entries of a section whose keys are 0, 1, 2, ... in that order; a gap is an error.
Configured<std::vector<const IniEntry*>> numbered_entries(const IniSection& section) {
  const std::size_t count = section.entries.size();
  if (count > kChunksMax) return too_many_chunks(section.line, section.name, std::to_string(count));
  std::vector<const IniEntry*> in_order(count, nullptr);
  for (const IniEntry& entry : section.entries) {
    const auto number = parse_number(entry.key);
    if (!number) {
      return wrong(entry.line, key_of(section, entry.key), "is not a chunk number: they are 0, 1, 2, and so on");
    }
    if (*number < count) in_order[*number] = &entry;
  }
  // Keys are unique, so one that was too big to have a place left another place empty.
  const auto gap = std::ranges::find(in_order, nullptr);
  if (gap != in_order.end()) {
    return wrong(section.line, key_of(section, std::to_string(gap - in_order.begin())),
                 "is missing, though a later chunk is there");
  }
  return in_order;
}

Configured<std::string> parse_filename(const IniSection& description) {
  const auto entry = require(description, "filename");
  if (!entry) return std::unexpected(entry.error());
  const std::string& name = (*entry)->value;
  if (safe_file_name(name) != name) {
    return wrong((*entry)->line, key_of(description, "filename"),
                 fmt::format("'{}' is not a plain file name (no path, 1 to 255 bytes)", name));
  }
  return name;
}

Configured<std::size_t> parse_chunks_count(const IniSection& description) {
  const auto entry = require(description, "chunks_count");
  if (!entry) return std::unexpected(entry.error());
  const IniEntry& text = **entry;
  const auto count = parse_number(text.value);
  if (!count) {
    return wrong(text.line, key_of(description, text.key), fmt::format("'{}' is not a number", text.value));
  }
  if (*count > kChunksMax) return too_many_chunks(text.line, key_of(description, text.key), text.value);
  return static_cast<std::size_t>(*count);
}

Configured<std::vector<base::Sha1Hash>> parse_chunks(const Ini& ini, std::size_t chunks_count) {
  std::vector<base::Sha1Hash> chunks;
  if (chunks_count == 0 && ini.find("chunks") == nullptr) return chunks;
  const auto section = require(ini, "chunks");
  if (!section) return std::unexpected(section.error());
  const auto entries = numbered_entries(**section);
  if (!entries) return std::unexpected(entries.error());
  if (entries->size() != chunks_count) {
    return wrong((*section)->line, "chunks",
                 fmt::format("has {} chunks, but description.chunks_count is {}", entries->size(), chunks_count));
  }
  chunks.reserve(chunks_count);
  for (const IniEntry* entry : *entries) {
    const auto hash = base::Sha1Hash::parse_hex(entry->value);
    if (!hash) {
      return wrong(entry->line, key_of(**section, entry->key), "not a SHA-1 hash (40 hexadecimal digits)");
    }
    chunks.push_back(*hash);
  }
  return chunks;
}

// "alice, bob" or "alice,bob"; nothing when a name between commas is empty.
std::optional<std::vector<std::string>> parse_names(std::string_view list) {
  std::vector<std::string> names;
  if (list.empty()) return names;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t comma = std::min(list.find(',', begin), list.size());
    const std::string_view name = trim_blanks(list.substr(begin, comma - begin));
    if (name.empty()) return std::nullopt;
    names.emplace_back(name);
    begin = comma + 1;
  }
  return names;
}

Configured<void> parse_owners(const IniSection& section, FileConfig& file) {
  const auto entries = numbered_entries(section);
  if (!entries) return std::unexpected(entries.error());
  if (entries->size() != file.chunks.size()) {
    return wrong(section.line, section.name,
                 fmt::format("has lists for {} chunks, but there are {}", entries->size(), file.chunks.size()));
  }
  for (const IniEntry* entry : *entries) {
    auto names = parse_names(entry->value);
    if (!names) {
      return wrong(entry->line, key_of(section, entry->key),
                   fmt::format("'{}' is not a list of peers such as 'alice, bob'", entry->value));
    }
    file.owners.push_back(std::move(*names));
    file.owner_lines.push_back(entry->line);
  }
  return {};
}

void append_endpoint(std::string& text, std::string_view section, const base::Endpoint& endpoint) {
  text +=
      fmt::format("[{}]\nip_address = {}\nport_number = {}\n\n", section, endpoint.address.to_string(), endpoint.port);
}

}  // namespace

const NamedPeer* PeersConfig::find(std::string_view name) const {
  const auto found = std::ranges::find(peers, name, &NamedPeer::name);
  return found == peers.end() ? nullptr : &*found;
}

Configured<PeersConfig> parse_peers_ini(std::string_view text) {
  const auto ini = parse_ini(text);
  if (!ini) return std::unexpected(ini.error());
  PeersConfig config;
  for (const IniSection& section : ini->sections) {
    const auto endpoint = parse_endpoint(section);
    if (!endpoint) return std::unexpected(endpoint.error());
    if (section.name == kTrackerSection) {
      config.tracker = *endpoint;
    } else if (is_peer_name(section.name)) {
      config.peers.push_back({section.name, *endpoint});
    } else {
      return wrong(section.line, section.name,
                   "cannot be a peer's name (no path, comma or bracket in it, no blanks around it)");
    }
  }
  return config;
}

Configured<FileConfig> parse_file_ini(std::string_view text) {
  const auto ini = parse_ini(text);
  if (!ini) return std::unexpected(ini.error());
  const auto description = require(*ini, "description");
  if (!description) return std::unexpected(description.error());
  auto filename = parse_filename(**description);
  if (!filename) return std::unexpected(filename.error());
  const auto chunks_count = parse_chunks_count(**description);
  if (!chunks_count) return std::unexpected(chunks_count.error());
  auto chunks = parse_chunks(*ini, *chunks_count);
  if (!chunks) return std::unexpected(chunks.error());
  FileConfig file{.filename = std::move(*filename), .chunks = std::move(*chunks), .owners = {}};
  if (const IniSection* section = ini->find("chunks_peers")) {
    const auto parsed = parse_owners(*section, file);
    if (!parsed) return std::unexpected(parsed.error());
  }
  return file;
}

std::string encode_peers_ini(const PeersConfig& peers) {
  std::string text;
  if (peers.tracker) append_endpoint(text, kTrackerSection, *peers.tracker);
  for (const NamedPeer& peer : peers.peers) append_endpoint(text, peer.name, peer.endpoint);
  return text;
}

std::string encode_file_ini(const FileConfig& file) {
  SHOAL_CHECK(file.chunks.size() <= kChunksMax);
  SHOAL_CHECK(file.owners.empty() || file.owners.size() == file.chunks.size());
  std::string filename = file.filename;
  std::ranges::replace_if(filename, [](char byte) { return byte == '\r' || byte == '\n'; }, '_');
  std::string text =
      fmt::format("[description]\nfilename = {}\nchunks_count = {}\n\n[chunks]\n", filename, file.chunks.size());
  for (std::size_t i = 0; i < file.chunks.size(); ++i) text += fmt::format("{} = {}\n", i, file.chunks[i].to_hex());
  text += '\n';
  if (file.owners.size() != file.chunks.size()) return text;
  text += "[chunks_peers]\n";
  for (std::size_t i = 0; i < file.owners.size(); ++i) {
    text += fmt::format("{} = {}\n", i, fmt::join(file.owners[i], ", "));
  }
  return text + '\n';
}

bool is_peer_name(std::string_view name) {
  return safe_file_name(name) == name && name.find_first_of(",[]\r\n") == std::string_view::npos &&
         trim_blanks(name) == name && name != kTrackerSection;
}

bool fits_file_ini(std::string_view filename) {
  return safe_file_name(filename) == filename && trim_blanks(filename) == filename &&
         filename.find_first_of("\r\n") == std::string_view::npos;
}

PeersConfig default_peers(const std::vector<std::string>& names) {
  SHOAL_CHECK(names.size() <= std::numeric_limits<std::uint16_t>::max() - kFirstDefaultPort);
  PeersConfig config;
  std::uint16_t port = kFirstDefaultPort;
  config.tracker = base::Endpoint{base::Ipv4Address::loopback(), port};
  for (const std::string& name : names) config.peers.push_back({name, {base::Ipv4Address::loopback(), ++port}});
  return config;
}

Configured<FileInfo> make_file_info(const FileConfig& file, const PeersConfig& peers) {
  if (file.owners.size() != file.chunks.size()) {
    return wrong(0, "chunks_peers", "this section is missing; it says which peers have each chunk");
  }
  std::unordered_map<std::string_view, base::Endpoint> endpoints;
  for (const NamedPeer& peer : peers.peers) endpoints.emplace(peer.name, peer.endpoint);
  FileInfo info{.filename = file.filename, .chunks = {}};
  info.chunks.reserve(file.chunks.size());
  for (std::size_t i = 0; i < file.chunks.size(); ++i) {
    ChunkRecord record{.hash = file.chunks[i], .peers = {}};
    for (const std::string& name : file.owners[i]) {
      const auto found = endpoints.find(name);
      if (found == endpoints.end()) {
        return wrong(i < file.owner_lines.size() ? file.owner_lines[i] : 0, fmt::format("chunks_peers.{}", i),
                     fmt::format("peers.ini has no section [{}]", name));
      }
      record.peers.push_back(found->second);
    }
    info.chunks.push_back(std::move(record));
  }
  return info;
}

std::vector<std::size_t> owners_of_chunk(std::uint32_t index, std::uint32_t count, std::size_t peers) {
  SHOAL_CHECK(index < count && peers > 0);
  // Part j (from 1) ends with chunk ceil(j * count / parts), counted from 1: the parts differ by at most one chunk.
  const std::size_t parts = 2 * peers - 1;
  const auto part = static_cast<std::size_t>(std::uint64_t{index} * parts / count);
  const std::size_t first = part / 2;
  if (part % 2 == 0) return {first};
  return {first, first + 1};
}

std::uint64_t smallest_chunk_size(std::uint64_t file_bytes) {
  const std::uint64_t rounded_up = file_bytes / kChunksMax + (file_bytes % kChunksMax == 0 ? 0 : 1);
  return std::max<std::uint64_t>(rounded_up, 1);
}

}  // namespace shoal::course
