// shoal make: describes a file or folder in a .torrent file.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <filesystem>
#include <memory>

#include "app/json_events.hpp"
#include "app/print.hpp"
#include "app/progress.hpp"
#include "app/torrent_files.hpp"
#include "app/work_progress.hpp"
#include "metainfo/urls.hpp"
#include "storage/folder.hpp"
#include "storage/share_files.hpp"

namespace shoal::app {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct MakeOptions {
  CommonOptions common;
  std::string path;
  std::string output;
  std::vector<std::string> trackers;
  std::vector<std::string> web_seeds;
  std::string piece_size;
  std::string comment;
  bool is_private = false;
  bool keeps_times = false;
  bool is_forced = false;
};

// "HOST:PORT" of a Shoal tracker, or a URL.
Read<std::string> announce_url_of(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const bool is_host_and_port = text.find('/') == std::string::npos && colon != std::string::npos && colon > 0 &&
                                base::parse_port(text.substr(colon + 1));
  std::string url = is_host_and_port ? "http://" + text + "/announce" : text;
  const bool is_known = url.starts_with("http://") || url.starts_with("https://") || url.starts_with("udp://");
  if (is_known && metainfo::is_usable_url(url)) return url;
  return std::unexpected(fmt::format(
      "--tracker {}: not a URL such as http://host:8000/announce or udp://host:8000, and not HOST:PORT", text));
}

// What stands around the info dictionary; errors before any hashing.
Read<metainfo::Torrent> make_surroundings(const MakeOptions& options) {
  metainfo::Torrent torrent;
  for (const std::string& text : options.trackers) {
    const auto url = announce_url_of(text);
    if (!url) return std::unexpected(url.error());
    const std::vector<std::string> tier{*url};
    if (std::ranges::find(torrent.tracker_tiers, tier) == torrent.tracker_tiers.end()) {
      torrent.tracker_tiers.push_back(tier);
    }
  }
  if (torrent.tracker_tiers.size() > metainfo::kTrackersMax) {
    return std::unexpected(fmt::format("--tracker: at most {} are possible", metainfo::kTrackersMax));
  }
  auto web_seeds = parse_web_seeds(options.web_seeds);
  if (!web_seeds) return std::unexpected(web_seeds.error());
  torrent.web_seeds = std::move(*web_seeds);
  torrent.comment = options.comment;
  torrent.created_by = "Shoal " SHOAL_VERSION;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  torrent.creation_date = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  return torrent;
}

bool is_below(const fs::path& path, const fs::path& folder) {
  std::error_code error;
  const fs::path parent = fs::canonical(path.has_parent_path() ? path.parent_path() : fs::path("."), error);
  if (error) return false;
  const fs::path relative = parent.lexically_relative(fs::canonical(folder, error));
  return !error && !relative.empty() && *relative.begin() != "..";
}

// Why the result cannot go there; known before any hashing.
std::optional<std::string> find_output_problem(const MakeOptions& options, const storage::ScannedShare& share,
                                               const fs::path& output) {
  std::error_code error;
  const fs::file_status status = fs::status(output, error);
  if (fs::is_directory(status)) return fmt::format("--output {}: it is a folder; name a file", output.string());
  if (fs::exists(status) && fs::equivalent(output, share.root, error)) {
    return fmt::format("--output {}: it is what is to be shared; name another file", output.string());
  }
  if (share.layout.is_folder && is_below(output, share.root)) {
    return fmt::format("--output {}: it lies in the folder that is to be shared; put it elsewhere", output.string());
  }
  if (fs::exists(status) && !options.is_forced) {
    return fmt::format("--output {}: it is there already; name another file, or replace it with --force",
                       output.string());
  }
  return std::nullopt;
}

storage::StoreResult<void> write_file(const fs::path& path, base::ByteView bytes) {
  auto folder = storage::Folder::open(path.parent_path(), storage::Folder::Missing::is_an_error);
  if (!folder) return std::unexpected(std::move(folder.error()));
  const std::string name = path.filename().native();
  auto file = storage::TemporaryFile::create(*folder, storage::sibling_name(name, ".shoal-make"));
  if (!file) return std::unexpected(std::move(file.error()));
  if (auto written = file->write(bytes); !written) return std::unexpected(std::move(written.error()));
  if (auto renamed = file->rename_to(name); !renamed) return std::unexpected(std::move(renamed.error()));
  return {};
}

// What was made, and what it took.
struct Made {
  metainfo::Torrent torrent;
  fs::path output;
  std::vector<std::string> warnings;
  double seconds = 0;
};

void report(const CommonOptions& common, const Made& made) {
  const metainfo::Manifest& manifest = made.torrent.manifest;
  const metainfo::Layout& layout = *manifest.layout;
  const std::string magnet = metainfo::encode_magnet(magnet_of(made.torrent));
  if (common.is_json) {
    boost::json::array warnings;
    for (const std::string& warning : made.warnings) warnings.emplace_back(to_utf8(warning));
    return print_result(boost::json::serialize(boost::json::object{{"event", "made"},
                                                                   {"path", to_utf8(made.output.native())},
                                                                   {"name", to_utf8(manifest.name)},
                                                                   {"info_hash", made.torrent.info_hash.to_hex()},
                                                                   {"magnet", magnet},
                                                                   {"bytes", layout.total_bytes},
                                                                   {"files", layout.files.size()},
                                                                   {"pieces", manifest.piece_count()},
                                                                   {"piece_bytes", layout.piece_bytes},
                                                                   {"seconds", made.seconds},
                                                                   {"warnings", std::move(warnings)}}));
  }
  print_warnings(common, made.warnings);
  if (!common.is_quiet) {
    const auto total = static_cast<double>(layout.total_bytes);
    print_text(stderr,
               fmt::format("{}: {} in {}, {} of {}; hashed in {:.2f} s ({}/s)\n", printable(made.output.native()),
                           describe_bytes(total), counted(layout.files.size(), "file"),
                           counted(manifest.piece_count(), "piece"), describe_bytes(layout.piece_bytes), made.seconds,
                           describe_bytes(total / std::max(made.seconds, 1e-6))));
  }
  print_result(made.torrent.info_hash.to_hex());
  print_result(magnet);
}

// The finished torrent; its warnings are what a reader of it would be told.
Read<Made> finish(storage::ScannedShare share, std::vector<base::Sha1Hash> pieces, metainfo::Torrent surroundings,
                  bool is_private) {
  metainfo::Torrent torrent = metainfo::make_torrent(
      {.name = std::move(share.name), .pieces = std::move(pieces), .layout = std::move(share.layout)}, is_private);
  torrent.tracker_tiers = std::move(surroundings.tracker_tiers);
  torrent.web_seeds = std::move(surroundings.web_seeds);
  torrent.comment = std::move(surroundings.comment);
  torrent.created_by = std::move(surroundings.created_by);
  torrent.creation_date = surroundings.creation_date;
  // Nobody gets a torrent from us that we would not take.
  auto read = metainfo::parse_torrent(metainfo::encode_torrent(torrent));
  if (!read) return std::unexpected(read.error().describe());
  Made made{.torrent = std::move(*read), .output = {}, .warnings = std::move(share.warnings)};
  made.warnings.insert(made.warnings.end(), made.torrent.warnings.begin(), made.torrent.warnings.end());
  return made;
}

ExitCode run_make(const MakeOptions& options) {
  const CommonOptions& common = options.common;
  end_on_interrupt();
  const auto piece_bytes = parse_piece_size(options.piece_size);
  if (!piece_bytes) return fail(common, ExitCode::usage, piece_bytes.error());
  auto surroundings = make_surroundings(options);
  if (!surroundings) return fail(common, ExitCode::usage, surroundings.error());
  auto share = storage::scan_share(options.path, *piece_bytes);
  if (!share) return fail(common, share.error());
  if (options.keeps_times) storage::keep_times(*share);
  if (const auto described = storage::check_description(*share); !described) {
    return fail(common, described.error());
  }
  const fs::path output = options.output.empty() ? fs::path(share->name + ".torrent") : fs::path(options.output);
  if (const auto problem = find_output_problem(options, *share, output)) {
    return fail(common, ExitCode::usage, *problem);
  }
  WorkProgress progress(common, "hashing " + share->name, share->layout.total_bytes);
  const Clock::time_point begun = Clock::now();
  auto pieces = storage::hash_share(*share, [&progress](std::uint64_t bytes) { progress.on_done(bytes); });
  progress.finish();
  if (!pieces) return fail(common, pieces.error());
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  auto made = finish(std::move(*share), std::move(*pieces), std::move(*surroundings), options.is_private);
  if (!made) return fail(common, ExitCode::usage, fmt::format("cannot share {}: {}", options.path, made.error()));
  made->output = output;
  made->seconds = seconds;
  if (const auto written = write_file(output, metainfo::encode_torrent(made->torrent)); !written) {
    return fail(common, ExitCode::disk, written.error().message);
  }
  report(common, *made);
  return ExitCode::done;
}

}  // namespace

void add_make_command(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<MakeOptions>();
  CLI::App* command = app.add_subcommand("make", "describe a file or folder in a .torrent file");
  command->add_option("PATH", options->path, "the file or folder")->required();
  command->add_option("--output", options->output, "the .torrent file (default: NAME.torrent)");
  command
      ->add_option("--tracker", options->trackers, "URL of a tracker, or HOST:PORT of a Shoal tracker; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--web-seed", options->web_seeds, "URL of an HTTP server that has it; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--piece-size", options->piece_size, "a power of two, e.g. 1M (default: chosen from the size)");
  command->add_option("--comment", options->comment, "text for whoever reads the torrent");
  command->add_flag("--private", options->is_private, "peers from trackers only (BEP 27)");
  command->add_flag("--times", options->keeps_times,
                    "with the times of the files, as libtorrent keeps them; the info-hash is another one then");
  command->add_flag("--force", options->is_forced, "replace the .torrent file when it is there already");
  add_output_options(*command, options->common);
  command->callback([options, &chosen] { chosen.run = [options] { return run_make(*options); }; });
}

}  // namespace shoal::app
