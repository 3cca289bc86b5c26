// shoal tracker: says which shares exist and who has them, to BitTorrent, Shoal and course clients alike.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "app/cli.hpp"
#include "app/descriptors.hpp"
#include "app/random_seed.hpp"
#include "app/serve.hpp"
#include "app/swarm_options.hpp"
#include "net/interfaces.hpp"
#include "net/state_folder.hpp"
#include "roles/tracker_host.hpp"
#include "storage/folder.hpp"

namespace shoal::app {
namespace {

constexpr std::uint16_t kUsualPort = 8000;
constexpr const char* kStateLock = ".lock";

struct TrackerOptions {
  CommonOptions common;
  AddressOptions address;
  std::string name{course::kDefaultTrackerName};
  std::uint16_t discovery_port = course::kDiscoveryPort;
  bool splits_replies = false;
  std::string course_share;
  std::string course_directory;
  std::string token_file;
  std::string state;
  bool only_published = false;
};

// Where a program of this user keeps what it needs next time (XDG base directories). A tracker on any free port is
// never found there again.
std::optional<std::filesystem::path> usual_state_folder(base::Endpoint address) {
  if (address.port == 0) return std::nullopt;
  const std::filesystem::path base = user_folder("XDG_STATE_HOME", ".local/state").value_or("/var/lib");
  const std::string where = address.address.is_any() ? "" : address.address.to_string() + "-";
  return base / "shoal" / fmt::format("tracker-{}{}", where, address.port);
}

// The folder is no other tracker's while this one runs. One that cannot be written to is told of now rather than when
// there is something to keep.
storage::StoreResult<storage::LockFile> lock_state(const std::filesystem::path& state) {
  const auto folder = storage::Folder::open(state, storage::Folder::Missing::is_created);
  if (!folder) return std::unexpected(folder.error());
  return storage::LockFile::acquire(*folder, kStateLock, state.string());
}

ExitCode cannot_keep_state(const TrackerOptions& options, const seam::StoreError& error) {
  const bool is_in_use = error.kind == seam::StoreErrorKind::in_use;
  const char* hint = !is_in_use              ? ""
                     : options.state.empty() ? "stop that one, give another --port, or "
                                             : "stop that one, or ";
  return fail(options.common, is_in_use ? ExitCode::usage : ExitCode::disk,
              fmt::format("tracker: {}; {}name another folder with --state", error.message, hint));
}

Read<base::Bytes> read_saved(const std::optional<std::filesystem::path>& state, const char* name) {
  if (!state) return base::Bytes();
  auto saved = net::read_state(*state, name);
  if (!saved) return std::unexpected(saved.error());
  return std::move(*saved).value_or(base::Bytes());
}

ExitCode run_tracker(const TrackerOptions& options) {
  const auto address = choose_address(options.address, {base::Ipv4Address{}, kUsualPort});
  if (!address) return fail(options.common, ExitCode::usage, address.error());
  if (options.name.size() > 255) return fail(options.common, ExitCode::usage, "--name: longer than 255 bytes");
  const auto token = read_token(options.token_file);
  if (!token) return fail(options.common, ExitCode::usage, token.error());
  std::unique_ptr<FolderShareProvider> configured;
  if (!options.course_directory.empty()) {
    const CourseFolder folder{options.course_directory};
    auto share = read_file_info(folder);
    if (!share) return fail(options.common, ExitCode::usage, share.error());
    configured = std::make_unique<FolderShareProvider>(folder, std::move(*share));
  }
  const std::optional<std::filesystem::path> state =
      options.state.empty() ? usual_state_folder(*address) : std::filesystem::path(options.state);
  std::optional<storage::StoreResult<storage::LockFile>> lock;
  if (state) lock.emplace(lock_state(*state));
  if (lock && !*lock) return cannot_keep_state(options, lock->error());
  auto saved_shares = read_saved(state, roles::kSharesState);
  if (!saved_shares) return fail(options.common, ExitCode::disk, saved_shares.error());
  auto saved_swarms = read_saved(state, roles::kSwarmsState);
  if (!saved_swarms) return fail(options.common, ExitCode::disk, saved_swarms.error());
  return serve(options.common,
               {.listen = *address,
                .discovery_port = options.discovery_port,
                .serves_udp = true,
                .state_folder = state,
                .what = describe_tracker(options.name)},
               [&](base::Endpoint listening) {
                 roles::TrackerHostOptions host{.name = options.name,
                                                .listening = listening,
                                                .splits_replies = options.splits_replies,
                                                .token = *token,
                                                .saved_shares = std::move(*saved_shares),
                                                .saved_swarms = std::move(*saved_swarms)};
                 if (state) host.saved_swarms_age = net::state_age(*state, roles::kSwarmsState);
                 if (!options.course_share.empty()) host.course_share = options.course_share;
                 host.swarms.serves_unknown = !options.only_published;
                 host.swarms.internal_networks = net::internal_networks();
                 host.swarms.local_networks = net::local_networks(net::local_interfaces());
                 fit_to_descriptors(host, TrackerPlace::alone);
                 return roles::make_tracker_host(std::move(host), configured.get(), base::Rng(random_seed()));
               });
}

}  // namespace

void add_swarm_tracker_command(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<TrackerOptions>();
  CLI::App* command = app.add_subcommand("tracker", "run a tracker: HTTP, UDP and the course protocol on one port");
  add_output_options(*command, options->common);
  command->add_option("--bind", options->address.bind, "listen on this address only");
  command->add_option("--port", options->address.port, "listen on this port, TCP and UDP (0: any free one)")
      ->check(port_number())
      ->default_str(std::to_string(kUsualPort));
  command->add_option("--name", options->name, "the name to answer discovery with")->capture_default_str();
  command->add_option("--discovery-port", options->discovery_port, "the UDP port to be found on")
      ->check(port_number())
      ->capture_default_str();
  command->add_flag("--split-replies", options->splits_replies,
                    "answer discovery with a second datagram that holds the body alone, for old clients");
  command->add_option("--course-share", options->course_share,
                      "the share that course clients get (default: the newest they can)");
  command->add_option("--dir", options->course_directory,
                      "a course directory whose file course clients get while nothing is shared");
  command->add_option("--token-file", options->token_file,
                      "a file with the token that lets others than the local network publish");
  command->add_option("--state", options->state,
                      "the folder for what survives a restart (default: shoal/tracker-PORT in $XDG_STATE_HOME or "
                      "~/.local/state; with --port 0 none)");
  command->add_flag("--only-published", options->only_published, "serve no swarm but those of published shares");
  command->callback([options, &chosen] { chosen.run = [options] { return run_tracker(*options); }; });
}

}  // namespace shoal::app
