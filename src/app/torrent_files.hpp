// What the commands that work on .torrent files have in common: reading one, its magnet link, where its data lies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli.hpp"
#include "metainfo/magnet.hpp"
#include "metainfo/torrent.hpp"
#include "storage/share_scan.hpp"

namespace shoal::app {

// As a shell takes it for one word.
[[nodiscard]] std::string quote_for_shell(const std::string& text);
// "magnet" of "MAGNET:?xt=...", "https" of a URL; empty when nothing stands before a colon.
[[nodiscard]] std::string scheme_of(std::string_view text);
[[nodiscard]] Read<metainfo::Torrent> read_torrent(const std::filesystem::path& path);
[[nodiscard]] metainfo::Magnet magnet_of(const metainfo::Torrent& torrent);
// The torrent's file, or the folder that holds its files, for a path that is either this or where it lies.
[[nodiscard]] std::filesystem::path find_data(const metainfo::Manifest& manifest, const std::filesystem::path& path);

// Nothing when the text is empty: a size is chosen then. The error names the option.
[[nodiscard]] Read<std::optional<std::uint32_t>> parse_piece_size(const std::string& text);
// What --web-seed said, each once.
[[nodiscard]] Read<std::vector<std::string>> parse_web_seeds(const std::vector<std::string>& texts);
// With all that is in the way, a line each.
ExitCode fail(const CommonOptions& common, const storage::ShareError& error);

// On stderr, one line each; not with --json, where they are part of the event.
void print_warnings(const CommonOptions& common, const std::vector<std::string>& warnings);
// From here on Ctrl-C ends the program with the exit code for it. For commands that leave nothing half done.
void end_on_interrupt();

}  // namespace shoal::app
