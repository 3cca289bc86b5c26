#include "app/cli.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "app/json_events.hpp"
#include "app/print.hpp"
#include "app/progress.hpp"
#include "base/endpoint.hpp"

namespace shoal::app {

void add_common_options(CLI::App& command, CommonOptions& options) {
  command.add_option("--dir", options.directory, "the course directory")->capture_default_str();
  add_output_options(command, options);
}

void add_output_options(CLI::App& command, CommonOptions& options) {
  command.add_flag("--json", options.is_json, "one JSON event per line on stdout");
  command.add_flag("--quiet", options.is_quiet, "say nothing but errors and results");
  command.add_flag("--verbose", options.is_verbose, "say more, message by message");
}

ExitCode fail(const CommonOptions& options, ExitCode code, const std::string& message) {
  if (options.is_json) {
    print_result(json_of_error(message, static_cast<int>(code)));
  } else {
    print_text(stderr, fmt::format("shoal: {}\n", printable(message)));
  }
  return code;
}

void print_result(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void set_up_log(const CommonOptions& options) {
  auto logger = std::make_shared<spdlog::logger>("shoal", std::make_shared<spdlog::sinks::stderr_sink_st>());
  logger->set_pattern("%H:%M:%S.%e %l: %v");
  logger->set_level(options.is_quiet     ? spdlog::level::warn
                    : options.is_verbose ? spdlog::level::debug
                                         : spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

std::optional<std::filesystem::path> user_folder(const char* variable, const char* below_home) {
  const char* folder = std::getenv(variable);
  if (folder != nullptr && *folder == '/') return folder;
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home == '/') return std::filesystem::path(home) / below_home;
  return std::nullopt;
}

CLI::Validator number_in(double least, double most) {
  const auto check = [least, most](const std::string& text) {
    double number = 0;
    const bool is_in = CLI::detail::lexical_cast(text, number) && number >= least && number <= most;
    return is_in ? std::string() : fmt::format("{} is not a number from {} to {}", text, least, most);
  };
  return CLI::Validator(check, "");
}

CLI::Validator port_number() {
  const auto check = [](const std::string& text) {
    return base::parse_port(text) ? std::string() : text + " is not a port from 0 to 65535";
  };
  return CLI::Validator(check, "");
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.ends_with("iB")) unit.remove_suffix(2);
  int shift = 0;
  if (unit == "K" || unit == "k") shift = 10;
  if (unit == "M" || unit == "m") shift = 20;
  if (unit == "G" || unit == "g") shift = 30;
  if (!unit.empty() && shift == 0) return std::nullopt;
  if (number > (UINT64_MAX >> shift)) return std::nullopt;
  return number << shift;
}

namespace {

// What stands where a command should; nothing when none was given.
std::string unknown_command(const CLI::App& app, const CLI::App& course) {
  const bool is_of_course = app.got_subcommand(&course);
  const CLI::App& chosen = is_of_course ? course : app;
  const std::vector<std::string> left = chosen.remaining();
  if (left.empty() || left.front().starts_with('-')) return {};
  return (is_of_course ? "course " : "") + left.front();
}

}  // namespace

int run_program(int count, char** arguments) {
  // A reader of our output that goes away is an error of that write, not our end.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("Shoal moves big files to many machines: whoever has a piece gives it to whoever lacks it.", "shoal");
  app.require_subcommand(1);
  app.set_version_flag("--version", "shoal " SHOAL_VERSION);
  Chosen chosen;
  add_make_command(app, chosen);
  add_verify_command(app, chosen);
  add_inspect_command(app, chosen);
  CLI::App* course = app.add_subcommand("course", "the course system, role by role");
  course->require_subcommand(1);
  add_split_command(*course, chosen);
  add_peer_command(*course, chosen);
  add_tracker_command(*course, chosen);
  add_client_command(*course, chosen);
  add_merge_command(*course, chosen);
  add_check_command(*course, chosen);
  add_share_command(app, chosen);
  add_get_command(app, chosen);
  add_list_command(app, chosen);
  add_swarm_tracker_command(app, chosen);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    const bool is_help = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success);
    // Else what is wrong with it would be told as something that is missing.
    if (error.get_name() == "RequiredError" && !unknown_command(app, *course).empty()) {
      print_text(stderr, fmt::format("shoal {}: there is no such command\nRun with --help for more information.\n",
                                     printable(unknown_command(app, *course))));
      return static_cast<int>(ExitCode::usage);
    }
    app.exit(error);
    return static_cast<int>(is_help ? ExitCode::done : ExitCode::usage);
  }
  return static_cast<int>(chosen.run());
}

}  // namespace shoal::app
