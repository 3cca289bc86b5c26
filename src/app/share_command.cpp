// shoal share: offers a file or folder to this network and gives it; the tracker too, when nobody else is one.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <memory>
#include <random>

#include "app/audience.hpp"
#include "app/cli.hpp"
#include "app/hash_cache.hpp"
#include "app/host_and_port.hpp"
#include "app/json_events.hpp"
#include "app/print.hpp"
#include "app/progress.hpp"
#include "app/publishing.hpp"
#include "app/serve.hpp"
#include "app/swarm_options.hpp"
#include "app/torrent_files.hpp"
#include "app/work_progress.hpp"
#include "metainfo/magnet.hpp"
#include "metainfo/urls.hpp"
#include "net/interfaces.hpp"
#include "net/runner.hpp"
#include "storage/share_files.hpp"
#include "storage/share_scan.hpp"
#include "storage/torrent_store.hpp"
#include "swarm/metadata_exchange.hpp"

namespace shoal::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSlabBytes = 256 * 1024;
constexpr std::size_t kSlabsMax = 64;  // a sharer receives nothing but what course sources would bring

struct ShareOptions {
  SwarmOptions swarm;
  std::string path;
  std::string data;
  std::string piece_size;
  std::string token_file;
  std::string token;  // what is in it
  std::string seed_for;
  std::optional<double> ratio;
  bool is_private = false;
  bool rehashes = false;
  bool no_own_tracker = false;
};

// What is given, and from where.
struct Offer {
  metainfo::Torrent torrent;
  std::unique_ptr<storage::TorrentStore> store;
};

// Others can get it from a tracker that lists it, or with its .torrent file.
void warn_of_the_link(const CommonOptions& common, std::uint64_t info_bytes) {
  if (info_bytes <= swarm::kMetadataBytesMax) return;
  print_warnings(
      common, {fmt::format("with the magnet link alone nobody will get it: its description has {}, more "
                           "than the {} that peers tell each other; choose bigger pieces, put files together "
                           "in an archive, or hand on a file that shoal make makes",
                           describe_bytes(static_cast<double>(info_bytes)), describe_bytes(swarm::kMetadataBytesMax))});
}

storage::ShareResult<std::vector<base::Sha1Hash>> hash_or_recall(const ShareOptions& options,
                                                                 const storage::ScannedShare& share) {
  if (!options.rehashes) {
    if (auto known = recall_hashes(share)) return *std::move(known);
  }
  const auto begun_at = std::chrono::system_clock::now();
  WorkProgress progress(options.swarm.common, "hashing " + share.name, share.layout.total_bytes);
  auto hashes = storage::hash_share(share, [&progress](std::uint64_t bytes) { progress.on_done(bytes); });
  progress.finish();
  if (hashes) keep_hashes(share, *hashes, begun_at);
  return hashes;
}

std::optional<Offer> offer_path(const ShareOptions& options, ExitCode& code) {
  const CommonOptions& common = options.swarm.common;
  const auto piece_bytes = parse_piece_size(options.piece_size);
  if (!piece_bytes) {
    code = fail(common, ExitCode::usage, piece_bytes.error());
    return std::nullopt;
  }
  auto scanned = storage::scan_share(options.path, *piece_bytes);
  if (!scanned) {
    code = fail(common, scanned.error());
    return std::nullopt;
  }
  if (options.path.ends_with(".torrent") && read_torrent(options.path)) {
    print_warnings(common, {fmt::format("this shares the file {} itself; to share what it describes, say with --data "
                                        "where that lies",
                                        options.path)});
  }
  // One file is often known to several hosts, who are one swarm only with equal torrents.
  if (scanned->layout.is_folder) storage::keep_times(*scanned);
  const auto info_bytes = storage::check_description(*scanned);
  if (!info_bytes) {
    code = fail(common, info_bytes.error());
    return std::nullopt;
  }
  print_warnings(common, scanned->warnings);
  warn_of_the_link(common, *info_bytes);
  auto hashes = hash_or_recall(options, *scanned);
  if (!hashes) {
    code = fail(common, hashes.error());
    return std::nullopt;
  }
  metainfo::Manifest manifest{
      .name = scanned->name, .pieces = std::move(*hashes), .layout = std::move(scanned->layout)};
  auto store = storage::TorrentStore::serve(manifest, scanned->root, scanned->versions);
  if (!store) {
    code = fail(common, ExitCode::disk, store.error().message);
    return std::nullopt;
  }
  return Offer{.torrent = metainfo::make_torrent(std::move(manifest), options.is_private), .store = std::move(*store)};
}

std::optional<Offer> offer_torrent(const ShareOptions& options, ExitCode& code) {
  const CommonOptions& common = options.swarm.common;
  auto torrent = read_torrent(options.path);
  if (!torrent) {
    code = fail(common, ExitCode::usage, torrent.error());
    return std::nullopt;
  }
  warn_of_the_link(common, torrent->info.size());
  const fs::path root = find_data(torrent->manifest, options.data);
  auto store = storage::TorrentStore::serve(torrent->manifest, root);  // what changes while it is checked is not given
  WorkProgress progress(common, "checking " + torrent->manifest.name, torrent->manifest.layout->total_bytes);
  const storage::ShareCheck check =
      storage::check_share(torrent->manifest, root, [&progress](std::uint64_t bytes) { progress.on_done(bytes); });
  progress.finish();
  if (!check.is_all_right()) {
    code = fail(common, ExitCode::mismatched,
                fmt::format("{}: {} of {} pieces are there and right; shoal verify {} {} says what is wrong",
                            root.string(), check.right.count(), check.right.size(), quote_for_shell(options.path),
                            quote_for_shell(root.string())));
    return std::nullopt;
  }
  if (!store) {
    code = fail(common, ExitCode::disk, store.error().message);
    return std::nullopt;
  }
  return Offer{.torrent = std::move(*torrent), .store = std::move(*store)};
}

Read<roles::SwarmHostOptions> make_giver_options(const ShareOptions& options) {
  auto host = make_host_options(options.swarm);
  if (!host) return host;
  const auto gives_for = parse_seconds("--seed-for", options.seed_for);
  if (!gives_for) return std::unexpected(gives_for.error());
  host->gives_after_done = true;
  host->gives_for = *gives_for;
  host->gives_until_ratio = options.ratio;
  return host;
}

// The addresses of this host that others on its networks reach.
std::vector<base::Ipv4Address> outward_addresses(base::Ipv4Address listening) {
  if (!listening.is_any()) return {listening};
  std::vector<base::Ipv4Address> addresses = net::outward_addresses(net::local_interfaces());
  if (addresses.empty()) addresses.push_back(base::Ipv4Address::loopback());
  return addresses;
}

// nothing: `code` says how it ended.
std::optional<PublishOptions> make_publish_options(const ShareOptions& options, const Offer& offer, ExitCode& code) {
  const CommonOptions& common = options.swarm.common;
  auto search = make_search_options(options.swarm);
  if (!search) {
    code = fail(common, ExitCode::usage, search.error());
    return std::nullopt;
  }
  search->token = options.token;
  search->goal = roles::ShareSearchOptions::Goal::publish;
  search->name = offer.torrent.manifest.name;
  search->torrent = metainfo::encode_torrent(offer.torrent);
  const bool is_named = !search->trackers.empty();
  // Nobody there is the usual case: an idle network answers within a few milliseconds.
  if (!is_named) search->patience = std::chrono::milliseconds(700);
  const auto bind = base::Ipv4Address::parse(options.swarm.bind).value_or(base::Ipv4Address{});
  return PublishOptions{.search = std::move(*search),
                        .may_be_tracker = !is_named && !options.no_own_tracker,
                        .own = {.bind = bind, .discovery_port = options.swarm.discovery_port}};
}

// nothing: `code` says how it ended.
std::optional<Publication> publish_first(const ShareOptions& options, const Offer& offer,
                                         const PublishOptions& publishing, ExitCode& code) {
  const CommonOptions& common = options.swarm.common;
  // Who made a torrent private and named its trackers wants it known there only (BEP 27).
  const bool has_trackers = !options.swarm.trackers.empty() || !offer.torrent.tracker_tiers.empty();
  const bool keeps_to_them = offer.torrent.is_private && has_trackers;
  if (publishing.search.trackers.empty() && (options.swarm.no_local || keeps_to_them)) return Publication{};
  auto publication = publish(publishing, [&](roles::ShareSearch& search) { return run_search(options.swarm, search); });
  if (!publication) {
    code = fail(common, exit_code_of(publication.error().result), publication.error().message);
    return std::nullopt;
  }
  // Without a tracker others still find us by local peer discovery, given the magnet link.
  if (!publication->trouble.empty() && !common.is_json && !common.is_quiet) {
    print_text(stderr, fmt::format("shoal: no tracker here ({}); others need the magnet link\n", publication->trouble));
  }
  return std::move(*publication);
}

// Where other hosts reach the tracker, whichever network they are on: it may be one on this host, ours or another's.
std::vector<base::Endpoint> tracker_for_others(const Publication& publication) {
  if (!publication.tracker) return {};
  if (!publication.tracker->address.is_loopback()) return {*publication.tracker};
  const base::Ipv4Address bound = publication.own ? publication.own->listening().address : base::Ipv4Address{};
  std::vector<base::Endpoint> trackers;
  for (const base::Ipv4Address address : outward_addresses(bound)) {
    trackers.emplace_back(address, publication.tracker->port);
  }
  return trackers;
}

metainfo::Magnet make_magnet(const ShareOptions& options, const Offer& offer, const Publication& publication,
                             base::Endpoint listening) {
  metainfo::Magnet magnet{.info_hash = offer.torrent.info_hash, .name = offer.torrent.manifest.name};
  for (const base::Endpoint& tracker : tracker_for_others(publication)) {
    magnet.trackers.push_back(announce_url(tracker));
  }
  if (const auto urls = announce_urls(options.swarm)) {
    for (const std::string& url : *urls) {
      if (publication.tracker && url == announce_url(*publication.tracker)) continue;
      if (std::ranges::find(magnet.trackers, url) == magnet.trackers.end()) magnet.trackers.push_back(url);
    }
  }
  for (const auto& tier : offer.torrent.tracker_tiers) {
    for (const std::string& url : tier) {
      if (std::ranges::find(magnet.trackers, url) == magnet.trackers.end()) magnet.trackers.push_back(url);
    }
  }
  magnet.web_seeds = offer.torrent.web_seeds;
  if (!offer.torrent.is_private) {
    for (const base::Ipv4Address address : outward_addresses(listening.address)) {
      magnet.peers.push_back({address, listening.port});
    }
  }
  return magnet;
}

// The tracker as the user named it, or as others reach it when that is on this host; nothing when it was found.
std::string named_tracker(const ShareOptions& options, const Publication& publication) {
  for (const std::string& text : options.swarm.trackers) {
    const auto tracker = parse_host_and_port("--tracker", text);
    if (!tracker || *tracker != publication.tracker) continue;
    return tracker->address.is_loopback() ? tracker_for_others(publication).front().to_string() : text;
  }
  return {};
}

// How others get it: by its name, for somebody else may share something, too. A name that is another share's, that
// cannot be typed, or that `get` would take for an option or a URL, gives way to the info-hash. Who has to name the
// tracker may be on another network than it, and so may others.
std::string command_for_others(const ShareOptions& options, const Offer& offer, const Publication& publication) {
  const std::string& name = offer.torrent.manifest.name;
  const bool is_ours = publication.name == name;
  const bool is_good = is_ours && printable(name) == name && !name.starts_with('-') && scheme_of(name).empty();
  const std::string command = "shoal get " + (is_good ? quote_for_shell(name) : offer.torrent.info_hash.to_hex());
  const std::string tracker = named_tracker(options, publication);
  if (tracker.empty()) return "Others on this network:    " + command;
  return fmt::format("Others, by that tracker:   {} --tracker {}", command, quote_for_shell(tracker));
}

void say_what_is_offered(const ShareOptions& options, const Offer& offer, const Publication& publication,
                         base::Endpoint listening) {
  const CommonOptions& common = options.swarm.common;
  const std::string magnet = metainfo::encode_magnet(make_magnet(options, offer, publication, listening));
  const metainfo::Manifest& manifest = offer.torrent.manifest;
  if (common.is_json) {
    boost::json::object line{{"event", "shared"},
                             {"name", to_utf8(manifest.name)},
                             {"info_hash", offer.torrent.info_hash.to_hex()},
                             {"bytes", manifest.layout->total_bytes},
                             {"pieces", manifest.piece_count()},
                             {"magnet", magnet},
                             {"address", listening.to_string()}};
    if (publication.tracker) line["tracker"] = publication.tracker->to_string();
    line["is_tracker"] = publication.own != nullptr;
    return print_result(boost::json::serialize(line));
  }
  if (!common.is_quiet) {
    const std::string name = printable(manifest.name);
    const std::string role = publication.own ? ", and is this network's tracker" : "";
    print_text(stderr, fmt::format("{}: {}, {}; this host gives it on port {}{}.\n", name,
                                   describe_bytes(static_cast<double>(manifest.layout->total_bytes)),
                                   counted(manifest.piece_count(), "piece"), listening.port, role));
    if (publication.tracker) {
      print_text(stderr, command_for_others(options, offer, publication) + "\n");
    }
    print_text(stderr, "Any BitTorrent program:    the magnet link below\nCtrl-C ends it.\n");
  }
  print_result(magnet);
}

void add_offer(const Offer& offer, const Publication& publication, roles::SwarmHostOptions& host) {
  host.info_hash = offer.torrent.info_hash;
  host.torrent = offer.torrent;
  const auto& tiers = offer.torrent.tracker_tiers;
  host.tracker_tiers.insert(host.tracker_tiers.end(), tiers.begin(), tiers.end());
  if (!publication.tracker) return;
  const std::vector<std::string> tier{announce_url(*publication.tracker)};
  if (std::ranges::find(host.tracker_tiers, tier) == host.tracker_tiers.end()) host.tracker_tiers.push_back(tier);
}

ExitCode give(const ShareOptions& options, const Offer& offer, roles::SwarmHostOptions host, PublishOptions publishing,
              Publication publication) {
  const CommonOptions& common = options.swarm.common;
  Audience audience({.common = common, .is_swarm = true, .is_sharing = true, .prints_path = false});
  std::unique_ptr<ShareKeeper> keeper;
  base::BufferPool buffers(kSlabBytes, kSlabsMax);
  net::Runner runner(
      {.store = offer.store.get(),
       .library = offer.store.get(),
       .on_trace = [&audience](const seam::Trace& trace, base::Instant now) { audience.on_trace(trace, now); },
       .on_tick =
           [&audience, &keeper](base::Instant now) {
             auto news = keeper->take_news();
             if (news) audience.on_trace(seam::NoteTrace{seam::NoteTrace::Level::info, std::move(*news)}, now);
             audience.on_tick(now);
           },
       .stops_on_signals = true});
  const auto listening = runner.listen_tcp(host.listening);
  if (!listening) return fail(common, ExitCode::usage, describe_listen_failure("share", listening.error()));
  host.listening = *listening;
  say_what_is_offered(options, offer, publication, *listening);
  keeper = std::make_unique<ShareKeeper>(KeeperOptions{.publish = std::move(publishing),
                                                       .info_hash = host.info_hash,
                                                       .peer_id = host.peer_id,
                                                       .port = listening->port},
                                         std::move(publication));
  const auto machine = roles::make_swarm_host(std::move(host), buffers, base::Rng(std::random_device{}()));
  const seam::Finish finish = runner.run(*machine);
  keeper.reset();
  // Ending a share is how it is meant to end.
  if (finish.result == seam::Finish::Result::interrupted) return ExitCode::done;
  return audience.on_finish(finish);
}

ExitCode run_share(ShareOptions options) {
  const CommonOptions& common = options.swarm.common;
  // What is wrong with the options is told before anything is hashed; when that is done the network may be another.
  if (const auto tried = make_giver_options(options); !tried) return fail(common, ExitCode::usage, tried.error());
  auto token = read_token(options.token_file);
  if (!token) return fail(common, ExitCode::usage, token.error());
  options.token = std::move(*token);
  ExitCode code = ExitCode::done;
  const bool is_torrent = !options.data.empty();
  auto offer = is_torrent ? offer_torrent(options, code) : offer_path(options, code);
  if (!offer) return code;
  auto host = make_giver_options(options);
  if (!host) return fail(common, ExitCode::usage, host.error());
  for (const std::string& url : host->web_seeds) {
    metainfo::add_url(offer->torrent.web_seeds, url, metainfo::kWebSeedsMax);
  }
  auto publishing = make_publish_options(options, *offer, code);
  if (!publishing) return code;
  auto publication = publish_first(options, *offer, *publishing, code);
  if (!publication) return code;
  add_offer(*offer, *publication, *host);
  return give(options, *offer, std::move(*host), std::move(*publishing), std::move(*publication));
}

}  // namespace

void add_share_command(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<ShareOptions>();
  CLI::App* command = app.add_subcommand("share", "offer a file or folder to this network, and give it");
  command->add_option("path", options->path, "the file or folder; with --data a .torrent file")->required();
  add_swarm_options(*command, options->swarm);
  command->add_option("--data", options->data, "where the files of the .torrent lie");
  command->add_option("--piece-size", options->piece_size, "a power of two, e.g. 1M (default: chosen from the size)");
  command->add_option("--token-file", options->token_file, "a file with the token that the tracker wants");
  command->add_option("--seed-for", options->seed_for, "end after this time, e.g. 10m or 2h");
  command->add_option("--ratio", options->ratio, "end when this times the size was given")->check(number_in(0, 1e6));
  command->add_flag("--private", options->is_private, "peers from trackers only (BEP 27)");
  command->add_flag("--rehash", options->rehashes, "read all of it, though nothing changed since it was hashed");
  command->add_flag("--no-own-tracker", options->no_own_tracker, "never be the tracker");
  command->callback([options, &chosen] { chosen.run = [options] { return run_share(*options); }; });
}

}  // namespace shoal::app
