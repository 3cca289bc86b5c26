// peers.ini and file.ini: whatever is accepted is written so that it reads back the same, and writing is stable. An
// error always says what and, but for what is missing altogether, on which line.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "course/config.hpp"

namespace shoal::course {
namespace {

void check_error(const ConfigError& error, std::string_view text) {
  const auto lines =
      static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return c == '\n' || c == '\r'; }));
  SHOAL_CHECK(error.line <= lines + 1);
  SHOAL_CHECK(!error.message.empty());
  SHOAL_CHECK(error.line > 0 || !error.key.empty());
}

void check_peers(std::string_view text) {
  const auto peers = parse_peers_ini(text);
  if (!peers) return check_error(peers.error(), text);
  const std::string written = encode_peers_ini(*peers);
  const auto again = parse_peers_ini(written);
  SHOAL_CHECK(again && again->tracker == peers->tracker && again->peers == peers->peers);
  SHOAL_CHECK(encode_peers_ini(*again) == written);
}

void check_file(std::string_view text) {
  const auto file = parse_file_ini(text);
  if (!file) return check_error(file.error(), text);
  SHOAL_CHECK(fits_file_ini(file->filename));
  SHOAL_CHECK(file->chunks.size() <= kChunksMax && file->owner_lines.size() == file->owners.size());
  const std::string written = encode_file_ini(*file);
  const auto again = parse_file_ini(written);
  SHOAL_CHECK(again && again->filename == file->filename && again->chunks == file->chunks);
  SHOAL_CHECK(again->owners == file->owners);
  SHOAL_CHECK(encode_file_ini(*again) == written);
  const auto info = make_file_info(*file, default_peers({"alice", "bob"}));
  if (!info) return check_error(info.error(), text);
  SHOAL_CHECK(info->chunks.size() == file->chunks.size());
}

}  // namespace
}  // namespace shoal::course

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  shoal::course::check_peers(text);
  shoal::course::check_file(text);
  return 0;
}
