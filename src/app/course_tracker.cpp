// shoal course tracker: says who owns what, over TCP, and where it is, over UDP.
#include <fmt/format.h>

#include <memory>

#include "app/cli.hpp"
#include "app/serve.hpp"
#include "roles/course_tracker.hpp"

namespace shoal::app {
namespace {

struct TrackerOptions {
  CommonOptions common;
  AddressOptions address;
  std::string name{course::kDefaultTrackerName};
  std::uint16_t discovery_port = course::kDiscoveryPort;
  bool splits_replies = false;
};

ExitCode run_tracker(const TrackerOptions& options) {
  const CourseFolder folder = options.common.folder();
  const auto peers = read_peers(folder);
  if (!peers) return fail(options.common, ExitCode::usage, peers.error());
  if (!peers->tracker) {
    return fail(options.common, ExitCode::usage,
                fmt::format("{}: [tracker]: the section is missing; it needs ip_address and port_number",
                            folder.peers_ini().string()));
  }
  const auto address = choose_address(options.address, *peers->tracker);
  if (!address) return fail(options.common, ExitCode::usage, address.error());
  // Found by broadcast from other hosts, a tracker has to be reachable from them (4.16), whatever peers.ini calls it.
  base::Endpoint listen = *address;
  if (options.address.bind.empty() && listen.address.is_loopback()) listen.address = {};
  if (options.name.size() > 255) {
    return fail(options.common, ExitCode::usage, "--name: longer than 255 bytes");
  }
  auto share = read_file_info(folder);
  if (!share) return fail(options.common, ExitCode::usage, share.error());
  FolderShareProvider provider(folder, std::move(*share));
  return serve(options.common,
               {.listen = listen,
                .announced = address->address,
                .discovery_port = options.discovery_port,
                .what = describe_tracker(options.name)},
               [&options, &provider](base::Endpoint listening) {
                 return roles::make_course_tracker(
                     {.name = options.name, .listening = listening, .splits_replies = options.splits_replies},
                     provider);
               });
}

}  // namespace

void add_tracker_command(CLI::App& course, Chosen& chosen) {
  auto options = std::make_shared<TrackerOptions>();
  CLI::App* command = course.add_subcommand("tracker", "say who owns what, and be found by broadcast");
  add_common_options(*command, options->common);
  add_address_options(*command, options->address);
  command->add_option("--name", options->name, "the name to answer discovery with")->capture_default_str();
  command->add_option("--discovery-port", options->discovery_port, "the UDP port to be found on")
      ->check(port_number())
      ->capture_default_str();
  command->add_flag("--split-replies", options->splits_replies,
                    "answer discovery with a second datagram that holds the body alone, for old clients");
  command->callback([options, &chosen] { chosen.run = [options] { return run_tracker(*options); }; });
}

}  // namespace shoal::app
