// shoal inspect: what a .torrent file or a magnet link says.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>

#include "app/json_events.hpp"
#include "app/print.hpp"
#include "app/progress.hpp"
#include "app/torrent_files.hpp"
#include "metainfo/paths.hpp"

namespace shoal::app {
namespace {

using boost::json::array;
using boost::json::object;
using metainfo::FileEntry;

// Years after this one break clocks and calendars; such a date is shown as the number it is.
constexpr std::int64_t kDateMax = 253402300799;  // the end of the year 9999

struct InspectOptions {
  CommonOptions common;
  std::string what;
};

array strings(const std::vector<std::string>& texts) {
  array list;
  for (const std::string& text : texts) list.emplace_back(to_utf8(text));
  return list;
}

// --- for a program ---

object json_of_file(const FileEntry& file) {
  object json{{"path", to_utf8(metainfo::join_path(file.path))}, {"bytes", file.size_bytes}};
  if (file.is_executable) json["executable"] = true;
  if (file.is_padding) json["padding"] = true;
  if (!file.link_target.empty()) json["link_target"] = to_utf8(metainfo::join_path(file.link_target));
  return json;
}

std::string json_of(const metainfo::Torrent& torrent) {
  const metainfo::Manifest& manifest = torrent.manifest;
  object json{{"event", "torrent"},
              {"name", to_utf8(manifest.name)},
              {"info_hash", torrent.info_hash.to_hex()},
              {"magnet", metainfo::encode_magnet(magnet_of(torrent))},
              {"bytes", manifest.layout->total_bytes},
              {"pieces", manifest.piece_count()},
              {"piece_bytes", manifest.layout->piece_bytes},
              {"private", torrent.is_private},
              {"folder", manifest.layout->is_folder}};
  array tiers;
  for (const auto& tier : torrent.tracker_tiers) tiers.emplace_back(strings(tier));
  json["trackers"] = std::move(tiers);
  json["web_seeds"] = strings(torrent.web_seeds);
  if (!torrent.comment.empty()) json["comment"] = to_utf8(torrent.comment);
  if (!torrent.created_by.empty()) json["created_by"] = to_utf8(torrent.created_by);
  if (torrent.creation_date) json["creation_date"] = *torrent.creation_date;
  array files;
  for (const FileEntry& file : manifest.layout->files) files.emplace_back(json_of_file(file));
  json["files"] = std::move(files);
  json["warnings"] = strings(torrent.warnings);
  return boost::json::serialize(json);
}

std::string json_of(const metainfo::Magnet& magnet) {
  array peers;
  for (const base::Endpoint& peer : magnet.peers) peers.emplace_back(peer.to_string());
  return boost::json::serialize(object{{"event", "magnet"},
                                       {"name", to_utf8(magnet.name)},
                                       {"info_hash", magnet.info_hash.to_hex()},
                                       {"trackers", strings(magnet.trackers)},
                                       {"web_seeds", strings(magnet.web_seeds)},
                                       {"peers", std::move(peers)}});
}

// --- for a person ---

// "label       value", with the label of the first line only.
void add_lines(std::string& text, std::string_view label, const std::vector<std::string>& values) {
  for (const std::string& value : values) {
    text += fmt::format("{:<10}  {}\n", label, printable(value));
    label = "";
  }
}

std::string describe_creation(const metainfo::Torrent& torrent) {
  std::string text;
  if (torrent.creation_date) {
    const bool is_date = *torrent.creation_date >= 0 && *torrent.creation_date <= kDateMax;
    text = is_date
               ? fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(*torrent.creation_date)))
               : fmt::format("{} seconds after 1970", *torrent.creation_date);
  }
  if (!torrent.created_by.empty()) text += fmt::format("{}by {}", text.empty() ? "" : " ", torrent.created_by);
  return text;
}

std::string describe_file(const FileEntry& file) {
  const std::string path = printable(metainfo::join_path(file.path));
  if (!file.link_target.empty()) {
    return fmt::format("{:>12}  {} -> {}\n", "link", path, printable(metainfo::join_path(file.link_target)));
  }
  return fmt::format("{:>12}  {}{}\n", file.size_bytes, path, file.is_executable ? " (executable)" : "");
}

std::string describe(const metainfo::Torrent& torrent) {
  const metainfo::Manifest& manifest = torrent.manifest;
  const metainfo::Layout& layout = *manifest.layout;
  const auto padding = static_cast<std::size_t>(std::ranges::count_if(layout.files, &FileEntry::is_padding));
  std::string text;
  add_lines(text, "name", {manifest.name});
  add_lines(text, "info hash", {torrent.info_hash.to_hex()});
  add_lines(text, "size",
            {fmt::format("{} ({} bytes) in {}", describe_bytes(static_cast<double>(layout.total_bytes)),
                         layout.total_bytes, counted(layout.files.size() - padding, "file"))});
  add_lines(text, "pieces",
            {fmt::format("{} of {}", manifest.piece_count(), describe_bytes(static_cast<double>(layout.piece_bytes)))});
  if (torrent.is_private) add_lines(text, "private", {"yes: peers from its trackers only"});
  std::vector<std::string> tiers;
  tiers.reserve(torrent.tracker_tiers.size());
  for (const auto& tier : torrent.tracker_tiers) tiers.push_back(fmt::format("{}", fmt::join(tier, ", ")));
  add_lines(text, "trackers", tiers);
  add_lines(text, "web seeds", torrent.web_seeds);
  if (const std::string creation = describe_creation(torrent); !creation.empty())
    add_lines(text, "created", {creation});
  if (!torrent.comment.empty()) add_lines(text, "comment", {torrent.comment});
  add_lines(text, "magnet", {metainfo::encode_magnet(magnet_of(torrent))});
  if (!layout.is_folder) return text;
  text += "files\n";
  for (const FileEntry& file : layout.files) {
    if (!file.is_padding) text += describe_file(file);
  }
  return text;
}

std::string describe(const metainfo::Magnet& magnet) {
  std::string text;
  add_lines(text, "name", {magnet.name.empty() ? "not told" : magnet.name});
  add_lines(text, "info hash", {magnet.info_hash.to_hex()});
  add_lines(text, "trackers", magnet.trackers);
  add_lines(text, "web seeds", magnet.web_seeds);
  std::vector<std::string> peers;
  peers.reserve(magnet.peers.size());
  for (const base::Endpoint& peer : magnet.peers) peers.push_back(peer.to_string());
  add_lines(text, "peers", peers);
  return text;
}

template <typename Described>
ExitCode show(const CommonOptions& common, const Described& described) {
  if (common.is_json) {
    print_result(json_of(described));
  } else {
    print_text(stdout, describe(described));
    std::fflush(stdout);
  }
  return ExitCode::done;
}

ExitCode run_inspect(const InspectOptions& options) {
  const CommonOptions& common = options.common;
  if (scheme_of(options.what) == "magnet") {
    const auto magnet = metainfo::parse_magnet(options.what);
    if (magnet) return show(common, *magnet);
    return fail(common, ExitCode::usage,
                fmt::format("not a magnet link that can be used: {}", metainfo::describe(magnet.error())));
  }
  const auto torrent = read_torrent(options.what);
  if (!torrent) return fail(common, ExitCode::usage, torrent.error());
  print_warnings(common, torrent->warnings);
  return show(common, *torrent);
}

}  // namespace

void add_inspect_command(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand("inspect", "show what a .torrent file or a magnet link says");
  command->add_option("WHAT", options->what, "a .torrent file or a magnet link")->required();
  add_output_options(*command, options->common);
  command->callback([options, &chosen] { chosen.run = [options] { return run_inspect(*options); }; });
}

}  // namespace shoal::app
