// shoal course client: downloads the file, in one of the course's three steps.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <random>

#include "app/audience.hpp"
#include "app/cli.hpp"
#include "app/host_and_port.hpp"
#include "net/interfaces.hpp"
#include "net/runner.hpp"
#include "roles/course_client.hpp"
#include "storage/chunk_folder_store.hpp"
#include "storage/single_file_store.hpp"

namespace shoal::app {
namespace {

// 64 MiB on their way from the sockets to the disk, in slabs that stay in a core's cache while they are hashed.
constexpr std::size_t kSlabBytes = 256 * 1024;
constexpr std::size_t kSlabsMax = 256;

struct ClientOptions {
  CommonOptions common;
  int step = 1;
  std::string name = "charlie";
  std::string tracker;
  std::vector<std::string> peers;
  std::string bind;
  std::uint16_t discovery_port = course::kDiscoveryPort;
  std::string output;
  std::string sequence_diagram;
  bool no_pipelining = false;
  // A length in the wrong byte order says 512 MiB or more for usual chunks, and is refused by this at once.
  std::string chunk_limit = "256M";
  std::string file_info_limit = "64M";
  double answer_timeout_s = 10;
  double stall_timeout_s = 10;
  double connect_timeout_s = 5;
  double discovery_timeout_s = 3;
};

Read<std::uint32_t> parse_limit(const std::string& option, const std::string& text) {
  const auto size = parse_size(text);
  if (!size || *size < 4096 || *size > UINT32_MAX) {
    return std::unexpected(fmt::format("{} {}: not a size from 4K to under 4G, such as 64M", option, text));
  }
  return static_cast<std::uint32_t>(*size);
}

// Step 3 asks on every interface, or only on --bind's.
Read<std::vector<roles::LocalInterface>> choose_interfaces(const ClientOptions& options) {
  std::vector<roles::LocalInterface> chosen;
  std::optional<base::Ipv4Address> only;
  if (!options.bind.empty()) {
    only = base::Ipv4Address::parse(options.bind);
    if (!only) return std::unexpected(fmt::format("--bind {}: not an IPv4 address", options.bind));
  }
  for (const net::Interface& interface : net::local_interfaces()) {
    if (only && interface.address != *only) continue;
    chosen.push_back({.address = interface.address, .broadcast = interface.broadcast});
  }
  if (chosen.empty() && only) {
    return std::unexpected(fmt::format("--bind {}: no interface of this host that is up has it", options.bind));
  }
  return chosen;
}

Read<void> choose_beginning(const ClientOptions& options, roles::CourseClientOptions& machine) {
  if (options.step != 2 && !options.tracker.empty()) {
    return std::unexpected(fmt::format("--tracker {}: step {} asks no tracker of your choice; use --step 2",
                                       options.tracker, options.step));
  }
  if (options.step == 1) {
    auto info = read_file_info(options.common.folder());
    if (!info) return std::unexpected(info.error());
    machine.file_info = std::move(*info);
  } else if (options.step == 2 && !options.tracker.empty()) {
    const auto tracker = parse_host_and_port("--tracker", options.tracker);
    if (!tracker) return std::unexpected(tracker.error());
    machine.tracker = *tracker;
  } else if (options.step == 2) {
    const CourseFolder folder = options.common.folder();
    const auto peers = read_peers(folder);
    if (!peers) return std::unexpected(peers.error() + " (or give --tracker HOST:PORT)");
    if (!peers->tracker) {
      return std::unexpected(fmt::format("{}: [tracker]: the section is missing (or give --tracker HOST:PORT)",
                                         folder.peers_ini().string()));
    }
    machine.tracker = *peers->tracker;
  } else {
    auto interfaces = choose_interfaces(options);
    if (!interfaces) return std::unexpected(interfaces.error());
    machine.interfaces = std::move(*interfaces);
  }
  return {};
}

Read<roles::CourseClientOptions> make_machine_options(const ClientOptions& options) {
  roles::CourseClientOptions machine;
  if (const auto chosen = choose_beginning(options, machine); !chosen) return std::unexpected(chosen.error());
  for (const std::string& text : options.peers) {
    const auto peer = parse_host_and_port("--peer", text);
    if (!peer) return std::unexpected(peer.error());
    machine.extra_peers.push_back(*peer);
  }
  const auto chunk_limit = parse_limit("--chunk-limit", options.chunk_limit);
  if (!chunk_limit) return std::unexpected(chunk_limit.error());
  const auto file_info_limit = parse_limit("--file-info-limit", options.file_info_limit);
  if (!file_info_limit) return std::unexpected(file_info_limit.error());
  machine.chunk_bytes_max = *chunk_limit;
  machine.file_info_bytes_max = *file_info_limit;
  machine.discovery_port = options.discovery_port;
  machine.offers_pipelining = !options.no_pipelining;
  machine.answer_timeout = base::from_seconds(options.answer_timeout_s);
  machine.stall_timeout = base::from_seconds(options.stall_timeout_s);
  machine.connect_timeout = base::from_seconds(options.connect_timeout_s);
  machine.discovery_timeout = base::from_seconds(options.discovery_timeout_s);
  return machine;
}

std::unique_ptr<storage::PieceStore> make_store(const ClientOptions& options) {
  if (!options.output.empty()) return std::make_unique<storage::SingleFileStore>(options.output);
  return std::make_unique<storage::ChunkFolderStore>(storage::ChunkFolderStoreOptions{
      .directory = options.common.directory,
      .client = options.name,
      .ini_text = [](const metainfo::Manifest& manifest) {
        return course::encode_file_ini({.filename = manifest.name, .chunks = manifest.pieces, .owners = {}});
      }});
}

ExitCode run_client(const ClientOptions& options) {
  const auto machine_options = make_machine_options(options);
  if (!machine_options) return fail(options.common, ExitCode::usage, machine_options.error());
  if (course::safe_file_name(options.name) != options.name) {
    return fail(options.common, ExitCode::usage, fmt::format("--name {}: not a plain name", options.name));
  }
  // Names make output readable; they decide nothing, and step 3 reads no configuration at all.
  std::vector<course::NamedPeer> names;
  if (options.step == 1) {
    if (auto peers = read_peers(options.common.folder())) names = std::move(peers->peers);
  }
  Audience audience({.common = options.common,
                     .piece_word = "chunk",
                     .sequence_diagram = options.sequence_diagram,
                     .self_name = options.name});
  for (const course::NamedPeer& peer : names) audience.name_peer(peer.endpoint, peer.name);
  const std::unique_ptr<storage::PieceStore> store = make_store(options);
  base::BufferPool buffers(kSlabBytes, kSlabsMax);
  const std::unique_ptr<seam::Machine> machine =
      roles::make_course_client(*machine_options, buffers, base::Rng(std::random_device{}()));
  net::Runner runner(
      {.store = store.get(),
       .on_trace = [&audience](const seam::Trace& trace, base::Instant now) { audience.on_trace(trace, now); },
       .on_tick = [&audience](base::Instant now) { audience.on_tick(now); },
       .stops_on_signals = true});
  return audience.on_finish(runner.run(*machine));
}

void add_limits(CLI::App& command, ClientOptions& options) {
  command.add_option("--chunk-limit", options.chunk_limit, "the largest chunk to accept")->capture_default_str();
  command.add_option("--file-info-limit", options.file_info_limit, "the largest list of chunks to accept")
      ->capture_default_str();
  const auto add_seconds = [&command](const char* name, double& target, const char* what) {
    command.add_option(name, target, what)->check(number_in(0.1, 86400))->capture_default_str();
  };
  add_seconds("--answer-timeout", options.answer_timeout_s, "seconds to wait for an answer to begin");
  add_seconds("--stall-timeout", options.stall_timeout_s, "seconds without progress inside an answer");
  add_seconds("--connect-timeout", options.connect_timeout_s, "seconds to wait for a connection");
  add_seconds("--discovery-timeout", options.discovery_timeout_s, "seconds to look for a tracker");
}

}  // namespace

void add_client_command(CLI::App& course, Chosen& chosen) {
  auto options = std::make_shared<ClientOptions>();
  CLI::App* command = course.add_subcommand("client", "download the file from all peers at once");
  add_common_options(*command, options->common);
  command->add_option("--step", options->step, "1: from config/; 2: ask the tracker; 3: find the tracker first")
      ->required()
      ->check(CLI::Range(1, 3));
  command->add_option("--name", options->name, "who to be: the folder below chunks/")->capture_default_str();
  command->add_option("--tracker", options->tracker, "HOST:PORT, in step 2 (default: the one in config/peers.ini)");
  command->add_option("--peer", options->peers, "HOST:PORT of a further peer to ask");
  command->add_option("--bind", options->bind, "discover on the interface with this address only");
  command->add_option("--discovery-port", options->discovery_port, "UDP port, in step 3")
      ->check(port_number())
      ->capture_default_str();
  command->add_option("--output", options->output, "write just this file, instead of the course layout");
  command->add_option("--sequence-diagram", options->sequence_diagram,
                      "write the exchanged messages to this file as a Mermaid diagram");
  command->add_flag("--no-pipelining", options->no_pipelining, "never offer several requests at once");
  add_limits(*command, *options);
  command->callback([options, &chosen] { chosen.run = [options] { return run_client(*options); }; });
}

}  // namespace shoal::app
