#include "app/serve.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "app/json_events.hpp"

namespace shoal::app {
namespace {

void log_trace(const CommonOptions& common, JsonEvents& json, const seam::Trace& trace, base::Instant now) {
  if (common.is_json) {
    if (const auto line = json.describe(trace, now)) print_result(*line);
    return;
  }
  if (const auto* message = std::get_if<seam::MessageTrace>(&trace)) {
    const bool is_sent = message->direction == seam::MessageDirection::sent;
    spdlog::debug("{} {} {} {}", is_sent ? "to" : "from", message->remote.to_string(), message->message,
                  to_utf8(message->detail));
  } else if (const auto* note = std::get_if<seam::NoteTrace>(&trace)) {
    const auto level = note->level == seam::NoteTrace::Level::warning ? spdlog::level::warn
                       : note->level == seam::NoteTrace::Level::info  ? spdlog::level::info
                                                                      : spdlog::level::debug;
    spdlog::log(level, "{}", to_utf8(note->text));
  }
}

void announce(const CommonOptions& common, const std::string& what, const base::Endpoint& endpoint) {
  print_result(common.is_json ? json_of_listening(what, endpoint.to_string())
                              : fmt::format("{} {}", what, endpoint.to_string()));
}

ExitCode cannot_listen(const CommonOptions& common, const ServeOptions& options, const net::NetFailure& failure) {
  return fail(common, ExitCode::usage, describe_listen_failure(options.what, failure));
}

}  // namespace

std::string describe_tracker(const std::string& name) {
  return name.empty() || name == course::kDefaultTrackerName ? "tracker" : "tracker " + name;
}

std::string describe_listen_failure(const std::string& what, const net::NetFailure& failure) {
  const bool is_taken = failure.kind == net::NetFailureKind::address_in_use;
  const char* hint = is_taken ? "; another program uses it: stop that one, or give another --port" : "";
  return fmt::format("{}: {}{}", what, failure.message, hint);
}

ExitCode serve(const CommonOptions& common, const ServeOptions& options,
               const std::function<std::unique_ptr<seam::Machine>(base::Endpoint listening)>& make) {
  set_up_log(common);
  JsonEvents json(common.has_run());
  net::Runner runner(
      {.library = options.library,
       .state_folder = options.state_folder,
       .on_trace = [&](const seam::Trace& trace, base::Instant now) { log_trace(common, json, trace, now); },
       .stops_on_signals = true});
  const auto listening = runner.listen_tcp(options.listen);
  if (!listening) return cannot_listen(common, options, listening.error());
  std::optional<base::Endpoint> discovery;
  if (options.discovery_port) {
    const auto opened = runner.open_discovery_socket(base::Ipv4Address{}, *options.discovery_port);
    if (!opened) return cannot_listen(common, options, opened.error());
    discovery = *opened;
  }
  if (options.serves_udp) {
    const auto opened = runner.open_tracker_socket(options.listen.address, listening->port);
    if (!opened) return cannot_listen(common, options, opened.error());
  }
  const std::unique_ptr<seam::Machine> machine = make(*listening);
  announce(common, "listening", {options.announced.value_or(listening->address), listening->port});
  if (discovery) announce(common, "discovery", *discovery);
  const std::string state =
      options.state_folder ? fmt::format(" and keeps its state in {}", options.state_folder->string()) : "";
  spdlog::info("{} listens on {}{}; Ctrl-C ends it", options.what, listening->to_string(), state);
  const seam::Finish finish = runner.run(*machine);
  // Ending a server is how it is meant to end.
  const ExitCode code = exit_code_of(finish.result);
  if (code == ExitCode::done || code == ExitCode::interrupted) return ExitCode::done;
  return fail(common, code, finish.message);
}

void add_address_options(CLI::App& command, AddressOptions& options) {
  command.add_option("--bind", options.bind, "listen on this address instead of the configured one");
  command.add_option("--port", options.port, "listen on this port instead of the configured one (0: any free one)")
      ->check(port_number());
}

Read<base::Endpoint> choose_address(const AddressOptions& options, base::Endpoint configured) {
  base::Endpoint chosen = configured;
  if (!options.bind.empty()) {
    const auto address = base::Ipv4Address::parse(options.bind);
    if (!address) {
      return std::unexpected(fmt::format("--bind {}: not an IPv4 address such as 192.168.1.5", options.bind));
    }
    chosen.address = *address;
  }
  if (options.port) chosen.port = *options.port;
  return chosen;
}

}  // namespace shoal::app
