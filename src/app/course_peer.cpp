// shoal course peer NAME: serves the chunks of DIR/chunks/NAME.
#include <fmt/format.h>

#include <memory>

#include "app/cli.hpp"
#include "app/serve.hpp"
#include "roles/course_peer.hpp"
#include "storage/chunk_directory.hpp"

namespace shoal::app {
namespace {

struct PeerOptions {
  CommonOptions common;
  AddressOptions address;
  std::string name;
  bool refuses_pipelining = false;
};

ExitCode run_peer(const PeerOptions& options) {
  const CourseFolder folder = options.common.folder();
  const auto peers = read_peers(folder);
  if (!peers) return fail(options.common, ExitCode::usage, peers.error());
  const course::NamedPeer* self = peers->find(options.name);
  if (self == nullptr) {
    std::string known;
    for (const course::NamedPeer& peer : peers->peers) known += (known.empty() ? "" : ", ") + peer.name;
    return fail(options.common, ExitCode::usage,
                fmt::format("{}: [{}]: there is no such section; the peers there are: {}", folder.peers_ini().string(),
                            options.name, known.empty() ? "none" : known));
  }
  const auto address = choose_address(options.address, self->endpoint);
  if (!address) return fail(options.common, ExitCode::usage, address.error());
  storage::ChunkDirectory library(folder.chunks_of(options.name));
  return serve(options.common, {.listen = *address, .what = "peer " + options.name, .library = &library},
               [&options](base::Endpoint) {
                 return roles::make_course_peer({.welcomes_pipelining = !options.refuses_pipelining});
               });
}

}  // namespace

void add_peer_command(CLI::App& course, Chosen& chosen) {
  auto options = std::make_shared<PeerOptions>();
  CLI::App* command = course.add_subcommand("peer", "serve the chunks that a peer owns");
  command->add_option("NAME", options->name, "which peer of config/peers.ini to be")->required();
  add_common_options(*command, options->common);
  add_address_options(*command, options->address);
  command->add_flag("--no-pipelining", options->refuses_pipelining, "never welcome several requests at once");
  command->callback([options, &chosen] { chosen.run = [options] { return run_peer(*options); }; });
}

}  // namespace shoal::app
