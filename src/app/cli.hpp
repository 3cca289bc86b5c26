// The command line: one CLI11 app, with one function per subcommand that declares its options and, when chosen, runs.
#pragma once

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config_files.hpp"
#include "app/exit_code.hpp"
#include "base/time.hpp"

namespace shoal::app {

// What every subcommand understands.
struct CommonOptions {
  std::string directory = ".";
  bool is_json = false;
  bool is_quiet = false;
  bool is_verbose = false;
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();  // the program: made before it parses

  [[nodiscard]] CourseFolder folder() const { return {directory}; }
  [[nodiscard]] base::Duration has_run() const { return std::chrono::steady_clock::now() - begun; }
};

// What the chosen subcommand does; main() runs it after parsing.
struct Chosen {
  std::function<ExitCode()> run;
};

void add_common_options(CLI::App& command, CommonOptions& options);
// --json, --quiet and --verbose, without the course directory.
void add_output_options(CLI::App& command, CommonOptions& options);

// Each adds itself below `course`, and sets `chosen` when the user picked it.
void add_split_command(CLI::App& course, Chosen& chosen);
void add_merge_command(CLI::App& course, Chosen& chosen);
void add_check_command(CLI::App& course, Chosen& chosen);
void add_peer_command(CLI::App& course, Chosen& chosen);
void add_tracker_command(CLI::App& course, Chosen& chosen);
void add_client_command(CLI::App& course, Chosen& chosen);

// The verbs.
void add_share_command(CLI::App& app, Chosen& chosen);
void add_get_command(CLI::App& app, Chosen& chosen);
void add_list_command(CLI::App& app, Chosen& chosen);
void add_swarm_tracker_command(CLI::App& app, Chosen& chosen);
void add_make_command(CLI::App& app, Chosen& chosen);
void add_verify_command(CLI::App& app, Chosen& chosen);
void add_inspect_command(CLI::App& app, Chosen& chosen);

// The whole program: parses, runs, gives the exit code.
[[nodiscard]] int run_program(int count, char** arguments);

// Prints the line on stderr (on stdout as an event with --json) and gives the code back, so that a command can
// `return fail(...)`.
ExitCode fail(const CommonOptions& options, ExitCode code, const std::string& message);
// A result a script may read: on stdout.
void print_result(const std::string& line);
// Logging of a server: stderr, with time; quiet keeps warnings only.
void set_up_log(const CommonOptions& options);

// For options: a number from least to most, which CLI::Range would also say of "nan".
[[nodiscard]] CLI::Validator number_in(double least, double most);
// $VARIABLE, or else `below_home` in the user's home (XDG base directories); nothing when neither is an absolute path.
[[nodiscard]] std::optional<std::filesystem::path> user_folder(const char* variable, const char* below_home);
[[nodiscard]] CLI::Validator port_number();

// "512K", "2M", "1G", "1000": a number of bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace shoal::app
