// shoal get: fetches a share, by name, magnet link, .torrent file or URL, or the only one on this network.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <random>

#include "app/audience.hpp"
#include "app/cli.hpp"
#include "app/serve.hpp"
#include "app/swarm_options.hpp"
#include "app/torrent_files.hpp"
#include "metainfo/magnet.hpp"
#include "net/runner.hpp"
#include "roles/course_client.hpp"
#include "roles/url_fetch.hpp"
#include "storage/single_file_store.hpp"
#include "storage/streaming_store.hpp"
#include "storage/torrent_store.hpp"

namespace shoal::app {
namespace {

namespace fs = std::filesystem;

// 64 MiB on their way from the sockets to the disk, in slabs that stay in a core's cache while they are hashed.
constexpr std::size_t kSlabBytes = 256 * 1024;
constexpr std::size_t kSlabsMax = 256;

// Whoever watches a terminal ends it when it takes too long; a script has nobody who does.
constexpr base::Duration kPatienceUnwatched = std::chrono::minutes(10);

struct GetOptions {
  SwarmOptions swarm;
  std::string what;
  std::string output;
  std::vector<std::string> selected;
  bool is_sequential = false;
  bool to_stdout = false;
  bool seeds = false;
  std::string seed_for;
  std::optional<double> ratio;
  double patience_s = 0;
};

// Where the result goes.
struct Place {
  fs::path folder;
  std::optional<std::string> name;
};

Read<Place> choose_place(const GetOptions& options) {
  std::error_code error;
  if (options.output.empty()) return Place{.folder = ".", .name = {}};
  const fs::path output(options.output);
  if (options.output.ends_with('/') || fs::is_directory(output, error)) {
    if (fs::is_directory(output, error)) return Place{.folder = output, .name = {}};
    return std::unexpected(fmt::format("--output {}: there is no such folder; make it first", options.output));
  }
  const fs::path parent = output.has_parent_path() ? output.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, error)) {
    return std::unexpected(
        fmt::format("--output {}: there is no folder {}; make it first", options.output, parent.string()));
  }
  return Place{.folder = parent, .name = output.filename().string()};
}

// What is known of the share before the first peer is met.
struct Wanted {
  std::optional<metainfo::Torrent> torrent;
  metainfo::Magnet magnet;                       // of a link
  std::vector<base::Endpoint> trackers;          // Shoal trackers of this network
  std::optional<base::Endpoint> course_tracker;  // nothing but the course protocol is spoken there
};

ExitCode end_with(const GetOptions& options, const seam::Finish& finish) {
  return fail(options.swarm.common, exit_code_of(finish.result), finish.message);
}

std::optional<metainfo::Torrent> parse_or_say(const GetOptions& options, base::ByteView bytes, ExitCode& code) {
  auto torrent = metainfo::parse_torrent(bytes);
  if (torrent) return std::move(*torrent);
  code = fail(options.swarm.common, ExitCode::usage,
              fmt::format("{}: {}", options.what.empty() ? "the share" : options.what, torrent.error().describe()));
  return std::nullopt;
}

// nothing: `code` says how it ended.
std::optional<Wanted> fetch_url(const GetOptions& options, ExitCode& code) {
  roles::UrlFetch fetch({.fetch = seam::FetchId(1),
                         .url = options.what,
                         .reply_bytes_max = metainfo::kTorrentBytesMax,
                         .timeout = std::chrono::seconds(60)});
  net::Runner runner({.pool_threads = 1, .stops_on_signals = true});
  const seam::Finish finish = runner.run(fetch);
  if (finish.result != seam::Finish::Result::done) {
    code = end_with(options, finish);
    return std::nullopt;
  }
  Wanted wanted;
  wanted.torrent = parse_or_say(options, fetch.body(), code);
  if (!wanted.torrent) return std::nullopt;
  return wanted;
}

std::optional<Wanted> read_torrent_file(const GetOptions& options, ExitCode& code) {
  auto torrent = read_torrent(options.what);
  if (!torrent) {
    code = fail(options.swarm.common, ExitCode::usage, torrent.error());
    return std::nullopt;
  }
  Wanted wanted;
  wanted.torrent = std::move(*torrent);
  return wanted;
}

// What earlier downloads to this place were told, where it fits.
std::vector<metainfo::Torrent> find_kept(const Place& place,
                                         const std::function<bool(const metainfo::Torrent&)>& fits) {
  std::vector<metainfo::Torrent> kept;
  for (const fs::path& path : storage::kept_torrents(place.folder, place.name)) {
    auto torrent = read_torrent(path);
    if (torrent && fits(*torrent)) kept.push_back(*std::move(torrent));
  }
  return kept;
}

std::optional<Wanted> parse_link(const GetOptions& options, const Place& place, ExitCode& code) {
  auto magnet = metainfo::parse_magnet(options.what);
  if (!magnet) {
    code = fail(options.swarm.common, ExitCode::usage,
                fmt::format("{}: {}", options.what, metainfo::describe(magnet.error())));
    return std::nullopt;
  }
  Wanted wanted;
  wanted.magnet = std::move(*magnet);
  auto kept = find_kept(place, [&](const auto& torrent) { return torrent.info_hash == wanted.magnet.info_hash; });
  if (!kept.empty()) wanted.torrent = std::move(kept.front());
  return wanted;
}

// For when nobody here knows it: what an earlier download to this place was told.
std::optional<metainfo::Torrent> remember(const GetOptions& options, const Place& place) {
  auto kept = find_kept(place, [&options](const metainfo::Torrent& torrent) {
    return options.what.empty() || options.what == torrent.manifest.name ||
           base::Sha1Hash::parse_hex(options.what) == torrent.info_hash;
  });
  if (kept.size() != 1) return std::nullopt;
  return std::move(kept.front());
}

// Rather than the name of a share.
bool is_path(const std::string& what) {
  return what.ends_with(".torrent") || what.find('/') != std::string::npos;
}

// By name, or the only one: what the trackers of this network say.
std::optional<Wanted> search(const GetOptions& options, const Place& place, ExitCode& code) {
  auto search_options = make_search_options(options.swarm, TrackerUrls::name_shoal_trackers);
  if (!search_options) {
    code = fail(options.swarm.common, ExitCode::usage, search_options.error());
    return std::nullopt;
  }
  if (options.swarm.no_local && search_options->trackers.empty()) {
    code =
        fail(options.swarm.common, ExitCode::usage,
             "--no-local: without a magnet link, .torrent file or URL a share is found by asking this network; leave "
             "that out, or name a tracker with --tracker HOST:PORT");
    return std::nullopt;
  }
  search_options->goal = roles::ShareSearchOptions::Goal::fetch;
  search_options->name = options.what;
  auto remembered = remember(options, place);
  if (options.patience_s > 0 && !remembered) search_options->patience = base::from_seconds(options.patience_s);
  const auto search = roles::make_share_search(std::move(*search_options));
  const seam::Finish finish = run_search(options.swarm, *search);
  const roles::ShareSearchResult& result = search->result();
  Wanted wanted;
  if (finish.result == seam::Finish::Result::nothing_found && remembered) {
    print_warnings(options.swarm.common,
                   {fmt::format("no tracker here knows {} now; going on with what was begun in {}",
                                remembered->manifest.name, place.folder.string())});
    wanted.torrent = std::move(remembered);
    return wanted;
  }
  if (finish.result == seam::Finish::Result::nothing_found && options.what.empty() && result.shares.empty() &&
      !result.course_trackers.empty()) {
    wanted.course_tracker = result.course_trackers.front();
    return wanted;
  }
  if (finish.result != seam::Finish::Result::done) {
    const bool is_said = finish.result == seam::Finish::Result::nothing_found && is_path(options.what);
    code = fail(options.swarm.common, exit_code_of(finish.result),
                (is_said ? fmt::format("there is no file {}; ", options.what) : "") + finish.message);
    return std::nullopt;
  }
  wanted.torrent = parse_or_say(options, result.torrent, code);
  if (!wanted.torrent) return std::nullopt;
  wanted.trackers.push_back(result.chosen->tracker);
  return wanted;
}

std::optional<Wanted> find(const GetOptions& options, const Place& place, ExitCode& code) {
  const std::string scheme = scheme_of(options.what);
  if (scheme == "magnet") return parse_link(options, place, code);
  if (scheme == "http" || scheme == "https") return fetch_url(options, code);
  if (options.what.find("://") != std::string::npos) {
    code = fail(options.swarm.common, ExitCode::usage,
                fmt::format("{}: only http:// and https:// URLs can be fetched", options.what));
    return std::nullopt;
  }
  std::error_code error;
  if (is_path(options.what) && fs::exists(options.what, error)) return read_torrent_file(options, code);
  // Another file that bears the name of a share is mostly that share, got before.
  if (fs::is_regular_file(options.what, error) && read_torrent(options.what)) return read_torrent_file(options, code);
  return search(options, place, code);
}

// A magnet link or a torrent from elsewhere: trackers of this network may know the swarm, too. False: it was
// interrupted, and `code` says so.
bool add_local_trackers(const GetOptions& options, Wanted& wanted, ExitCode& code) {
  if (!wanted.trackers.empty() || options.swarm.no_local) return true;
  if (wanted.torrent && wanted.torrent->is_private) return true;
  auto search_options = make_search_options(options.swarm);
  if (!search_options) return true;
  search_options->goal = roles::ShareSearchOptions::Goal::trackers;
  search_options->patience = std::chrono::milliseconds(400);
  const auto search = roles::make_share_search(std::move(*search_options));
  const seam::Finish finish = run_search(options.swarm, *search);
  wanted.trackers = search->result().trackers;
  if (finish.result != seam::Finish::Result::interrupted) return true;
  code = end_with(options, finish);
  return false;
}

std::optional<base::Duration> patience_of(const GetOptions& options) {
  if (options.patience_s > 0) return base::from_seconds(options.patience_s);
  if (::isatty(STDERR_FILENO) != 0) return std::nullopt;
  return kPatienceUnwatched;
}

Read<roles::SwarmHostOptions> make_machine_options(const GetOptions& options) {
  auto host = make_host_options(options.swarm);
  if (!host) return host;
  host->selected = options.selected;
  host->is_sequential = options.is_sequential || options.to_stdout;
  host->gives_after_done = options.seeds || !options.seed_for.empty() || options.ratio.has_value();
  const auto gives_for = parse_seconds("--seed-for", options.seed_for);
  if (!gives_for) return std::unexpected(gives_for.error());
  host->gives_for = *gives_for;
  host->gives_until_ratio = options.ratio;
  host->no_source_timeout = patience_of(options);
  host->keeps_what_came = !options.to_stdout;
  return host;
}

// The machine adds the trackers and web seeds that the torrent names.
void add_wanted(const Wanted& wanted, roles::SwarmHostOptions& host) {
  for (const base::Endpoint& tracker : wanted.trackers) host.tracker_tiers.push_back({announce_url(tracker)});
  for (const std::string& url : wanted.magnet.trackers) host.tracker_tiers.push_back({url});
  host.web_seeds.insert(host.web_seeds.end(), wanted.magnet.web_seeds.begin(), wanted.magnet.web_seeds.end());
  host.peers.insert(host.peers.end(), wanted.magnet.peers.begin(), wanted.magnet.peers.end());
  host.torrent = wanted.torrent;
  host.info_hash = wanted.torrent ? wanted.torrent->info_hash : wanted.magnet.info_hash;
}

// Where the bytes go with --stdout. Everything that is printed goes to standard error from here on, so that no event
// and no path gets between them.
Read<int> take_stdout() {
  if (::isatty(STDOUT_FILENO) != 0) {
    return std::unexpected(
        "--stdout: standard output is a terminal, which the bytes would spoil; send it into a file or a pipe");
  }
  const int data = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (data < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
    return std::unexpected("--stdout: standard output or standard error is closed");
  }
  return data;
}

ExitCode run_swarm(const GetOptions& options, roles::SwarmHostOptions host, Place place, int data) {
  if (options.to_stdout) {
    // What is written has to stay somewhere: it is given to others, too.
    std::error_code error;
    place = Place{.folder = fs::temp_directory_path(error), .name = {}};
    if (error) {
      return fail(options.swarm.common, ExitCode::disk,
                  "--stdout: there is no temporary folder; set TMPDIR to a folder that can be written");
    }
  }
  const auto store = storage::TorrentStore::download({.folder = place.folder,
                                                      .name = place.name,
                                                      .info_hash = host.info_hash,
                                                      .selected = options.selected,
                                                      .keeps_journal = host.gives_after_done,
                                                      .is_nameless = options.to_stdout});
  std::optional<storage::StreamingStore> stream;
  if (options.to_stdout) stream.emplace(*store, data);
  Audience audience({.common = options.swarm.common, .is_swarm = true, .prints_path = !options.to_stdout});
  base::BufferPool buffers(kSlabBytes, kSlabsMax);
  net::Runner runner(
      {.store = stream ? static_cast<storage::PieceStore*>(&*stream) : store.get(),
       .library = store.get(),
       .on_trace = [&audience](const seam::Trace& trace, base::Instant now) { audience.on_trace(trace, now); },
       .on_tick = [&audience](base::Instant now) { audience.on_tick(now); },
       .stops_on_signals = true});
  const auto listening = runner.listen_tcp(host.listening);
  if (!listening) {
    return fail(options.swarm.common, ExitCode::usage, describe_listen_failure("get", listening.error()));
  }
  host.listening = *listening;
  const auto machine = roles::make_swarm_host(std::move(host), buffers, base::Rng(std::random_device{}()));
  return audience.on_finish(runner.run(*machine));
}

// What was asked for and no course client does: it takes the whole file as fast as it can, gives nothing, and ends when
// the peers that the tracker names have no more.
std::string beyond_the_course(const GetOptions& options) {
  const SwarmOptions& swarm = options.swarm;
  const std::pair<const char*, bool> asked[] = {{"--select", !options.selected.empty()},
                                                {"--sequential", options.is_sequential},
                                                {"--stdout", options.to_stdout},
                                                {"--seed", options.seeds},
                                                {"--seed-for", !options.seed_for.empty()},
                                                {"--ratio", options.ratio.has_value()},
                                                {"--patience", options.patience_s > 0},
                                                {"--port", swarm.port != 0},
                                                {"--limit-down", !swarm.limit_down.empty()},
                                                {"--limit-up", !swarm.limit_up.empty()},
                                                {"--web-seed", !swarm.web_seeds.empty()}};
  std::string names;
  for (const auto& [name, is_asked] : asked) {
    if (is_asked) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  }
  return names;
}

// The only thing on this network is a course tracker: its file is what there is to get.
ExitCode run_course(const GetOptions& options, base::Endpoint tracker, std::vector<base::Endpoint> peers,
                    const Place& place) {
  const auto refuse = [&](const std::string& why) {
    return fail(options.swarm.common, ExitCode::usage,
                fmt::format("the only tracker here, {}, speaks the course protocol; {}", tracker.to_string(), why));
  };
  if (const std::string beyond = beyond_the_course(options); !beyond.empty()) {
    return refuse(fmt::format("its file cannot be had with {}; leave that out", beyond));
  }
  if (!place.name) return refuse("say where its file goes with --output FILE");
  storage::SingleFileStore store(place.folder / *place.name);
  Audience audience({.common = options.swarm.common, .piece_word = "chunk"});
  base::BufferPool buffers(kSlabBytes, kSlabsMax);
  roles::CourseClientOptions client;
  client.tracker = tracker;
  client.extra_peers = std::move(peers);
  const auto machine = roles::make_course_client(std::move(client), buffers, base::Rng(std::random_device{}()));
  net::Runner runner(
      {.store = &store,
       .on_trace = [&audience](const seam::Trace& trace, base::Instant now) { audience.on_trace(trace, now); },
       .on_tick = [&audience](base::Instant now) { audience.on_tick(now); },
       .stops_on_signals = true});
  return audience.on_finish(runner.run(*machine));
}

// What is wrong with the options is told before anybody is asked.
ExitCode run_get(const GetOptions& options) {
  const CommonOptions& common = options.swarm.common;
  auto host = make_machine_options(options);
  if (!host) return fail(common, ExitCode::usage, host.error());
  auto place = choose_place(options);
  if (!place) return fail(common, ExitCode::usage, place.error());
  Read<int> data = -1;
  if (options.to_stdout) data = take_stdout();
  if (!data) return fail(common, ExitCode::usage, data.error());
  ExitCode code = ExitCode::done;
  auto wanted = find(options, *place, code);
  if (!wanted) return code;
  if (wanted->course_tracker) return run_course(options, *wanted->course_tracker, std::move(host->peers), *place);
  if (!add_local_trackers(options, *wanted, code)) return code;
  add_wanted(*wanted, *host);
  return run_swarm(options, std::move(*host), std::move(*place), *data);
}

}  // namespace

void add_get_command(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<GetOptions>();
  CLI::App* command = app.add_subcommand("get", "fetch a share: by name, magnet link, .torrent file or URL");
  command->add_option("what", options->what, "what to get; nothing: the only share on this network");
  add_swarm_options(*command, options->swarm);
  command->add_option("--output", options->output, "the file or folder to make, or the folder to put it in");
  command->add_option("--select", options->selected, "only files that match, e.g. '*.iso' or 'docs/**'")
      ->allow_extra_args(false);
  command->add_flag("--sequential", options->is_sequential, "from the beginning to the end");
  command
      ->add_flag("--stdout", options->to_stdout,
                 "write the one file to standard output, in order; TMPDIR needs room for it")
      ->excludes("--output");
  command->add_flag("--seed", options->seeds, "go on giving when done, until Ctrl-C");
  command->add_option("--seed-for", options->seed_for, "go on giving for this time, e.g. 10m");
  command->add_option("--ratio", options->ratio, "go on giving until this times the size was given")
      ->check(number_in(0, 1e6));
  command
      ->add_option("--patience", options->patience_s,
                   fmt::format("seconds without anybody to get it from; then give up (default: never on a terminal, "
                               "else {})",
                               std::chrono::duration_cast<std::chrono::seconds>(kPatienceUnwatched).count()))
      ->check(number_in(0.1, 1e9));
  command->callback([options, &chosen] { chosen.run = [options] { return run_get(*options); }; });
}

}  // namespace shoal::app
