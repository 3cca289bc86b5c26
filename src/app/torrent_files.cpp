#include "app/torrent_files.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "app/print.hpp"
#include "app/progress.hpp"
#include "base/ascii.hpp"
#include "metainfo/paths.hpp"
#include "metainfo/urls.hpp"

namespace shoal::app {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kPieceBytesSmallest = 16 * 1024;  // what others ask for at once

// One byte more than a torrent may have is enough to see that it has too many.
Read<std::string> read_limited(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return std::unexpected(fmt::format("{}: it is a folder", path.string()));
  std::ifstream file(path, std::ios::binary);
  std::string text;
  constexpr std::size_t kBlockBytes = 256 * 1024;
  while (file && text.size() <= metainfo::kTorrentBytesMax) {
    const std::size_t size = text.size();
    text.resize(size + kBlockBytes);
    file.read(text.data() + size, kBlockBytes);
    text.resize(size + static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad()) {
    return std::unexpected(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
  }
  return text;
}

}  // namespace

std::string quote_for_shell(const std::string& text) {
  static constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.,:/@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char letter : text) quoted += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return quoted + "'";
}

std::string scheme_of(std::string_view text) {
  const std::size_t end = text.find(':');
  return base::ascii_lower(text.substr(0, end == std::string_view::npos ? 0 : end));
}

Read<metainfo::Torrent> read_torrent(const fs::path& path) {
  std::error_code error;
  if (path.native().find("://") != std::string::npos && !fs::exists(path, error)) {
    return std::unexpected(
        fmt::format("{}: only files are read here; save it first, or let shoal get {} fetch what it "
                    "describes",
                    path.string(), quote_for_shell(path.native())));
  }
  const auto text = read_limited(path);
  if (!text) return std::unexpected(text.error());
  auto torrent = metainfo::parse_torrent(base::view_of(*text));
  if (!torrent) {
    return std::unexpected(fmt::format("{}: cannot be used: {}", path.string(), torrent.error().describe()));
  }
  return std::move(*torrent);
}

metainfo::Magnet magnet_of(const metainfo::Torrent& torrent) {
  metainfo::Magnet magnet{.info_hash = torrent.info_hash,
                          .name = torrent.manifest.name,
                          .trackers = {},
                          .web_seeds = torrent.web_seeds,
                          .peers = {}};
  for (const auto& tier : torrent.tracker_tiers) {
    magnet.trackers.insert(magnet.trackers.end(), tier.begin(), tier.end());
  }
  return magnet;
}

fs::path find_data(const metainfo::Manifest& manifest, const fs::path& path) {
  std::error_code error;
  const fs::path inside = path / manifest.name;
  if (!manifest.layout->is_folder) return fs::is_directory(path, error) ? inside : path;
  // A folder may hold one of its own name: where the first file lies decides.
  const std::string first = metainfo::join_path(manifest.layout->files.front().path);
  const bool is_here = fs::exists(fs::symlink_status(path / first, error));
  return !is_here && fs::is_directory(inside, error) ? inside : path;
}

Read<std::optional<std::uint32_t>> parse_piece_size(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto size = parse_size(text);
  if (!size || *size < kPieceBytesSmallest || *size > metainfo::kPieceBytesMax || !std::has_single_bit(*size)) {
    return std::unexpected(fmt::format("--piece-size {}: not a power of two from 16K to 256M, such as 1M", text));
  }
  return static_cast<std::uint32_t>(*size);
}

Read<std::vector<std::string>> parse_web_seeds(const std::vector<std::string>& texts) {
  std::vector<std::string> urls;
  for (const std::string& text : texts) {
    const bool is_http = text.starts_with("http://") || text.starts_with("https://");
    if (!is_http || !metainfo::add_url(urls, text, metainfo::kWebSeedsMax)) {
      return std::unexpected(fmt::format("--web-seed {}: not an http:// or https:// URL, or more than {} of them", text,
                                         metainfo::kWebSeedsMax));
    }
  }
  return urls;
}

ExitCode fail(const CommonOptions& common, const storage::ShareError& error) {
  const bool has_changed = error.kind == storage::ShareError::Kind::changed;
  const ExitCode code = has_changed ? ExitCode::mismatched : ExitCode::usage;
  if (common.is_json) {
    std::string message = error.message;
    for (const std::string& detail : error.details) message += "\n" + detail;
    return fail(common, code, message);
  }
  fail(common, code, error.message);
  for (const std::string& detail : error.details) print_text(stderr, fmt::format("  {}\n", printable(detail)));
  return code;
}

void print_warnings(const CommonOptions& common, const std::vector<std::string>& warnings) {
  if (common.is_json || common.is_quiet) return;
  for (const std::string& warning : warnings) print_text(stderr, fmt::format("shoal: {}\n", printable(warning)));
}

void end_on_interrupt() {
  const auto end = [](int) { ::_exit(static_cast<int>(ExitCode::interrupted)); };
  std::signal(SIGINT, end);
  std::signal(SIGTERM, end);
}

}  // namespace shoal::app
