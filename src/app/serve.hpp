// What the peer and the tracker share: a runner that listens, the lines that say so, and logging of traces.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/cli.hpp"
#include "base/endpoint.hpp"
#include "net/failure.hpp"
#include "net/runner.hpp"

namespace shoal::app {

struct ServeOptions {
  base::Endpoint listen;                        // port 0: any free one
  std::optional<base::Ipv4Address> announced;   // told instead of the address listened on, when that is 0.0.0.0
  std::optional<std::uint16_t> discovery_port;  // a tracker's UDP side
  bool serves_udp = false;                      // BEP 15, on the number of the TCP port
  std::optional<std::filesystem::path> state_folder = {};  // told at the start
  std::string what;                                        // "peer alice", for messages
  storage::PieceLibrary* library = nullptr;
};

// Listens, prints "listening IP:PORT" (and "discovery IP:PORT"), then runs the machine that `make` builds for the
// address it listens on, until Ctrl-C.
ExitCode serve(const CommonOptions& common, const ServeOptions& options,
               const std::function<std::unique_ptr<seam::Machine>(base::Endpoint listening)>& make);

// "tracker NAME", or just "tracker" when it has no name of its own.
[[nodiscard]] std::string describe_tracker(const std::string& name);
// Why a port cannot be listened on, and what to do about it.
[[nodiscard]] std::string describe_listen_failure(const std::string& what, const net::NetFailure& failure);

// --bind and --port where given, else the address of the configuration.
struct AddressOptions {
  std::string bind;
  std::optional<std::uint16_t> port;
};
void add_address_options(CLI::App& command, AddressOptions& options);
[[nodiscard]] Read<base::Endpoint> choose_address(const AddressOptions& options, base::Endpoint configured);

}  // namespace shoal::app
