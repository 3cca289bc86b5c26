#include "app/audience.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "app/config_files.hpp"
#include "app/print.hpp"

namespace shoal::app {

Audience::Audience(AudienceOptions options)
    : options_(std::move(options)),
      progress_({.is_terminal = isatty(STDERR_FILENO) != 0,
                 .is_verbose = options_.common.is_verbose,
                 .is_swarm = options_.is_swarm,
                 .is_sharing = options_.is_sharing,
                 .piece_word = options_.piece_word}),
      diagram_(options_.self_name),
      json_(options_.common.has_run()) {}

void Audience::name_peer(const base::Endpoint& endpoint, const std::string& name) {
  progress_.name_source(endpoint, name);
  diagram_.name_participant(endpoint, name);
}

void Audience::on_trace(const seam::Trace& trace, base::Instant now) {
  now_ = now;
  if (!options_.sequence_diagram.empty()) diagram_.on_trace(trace);
  if (options_.common.is_json) {
    if (const auto line = json_.describe(trace, now)) print_result(*line);
  } else if (!options_.common.is_quiet) {
    progress_.on_trace(trace, now);
  }
}

void Audience::on_tick(base::Instant now) {
  now_ = now;
  if (!options_.common.is_json && !options_.common.is_quiet) progress_.on_tick(now);
}

ExitCode Audience::on_finish(const seam::Finish& finish) {
  const ExitCode code = exit_code_of(finish.result);
  if (options_.common.is_json) {
    seam::Finish told = finish;
    if (!options_.prints_path) told.path.clear();
    print_result(json_.describe(told, now_));
  } else {
    if (!options_.common.is_quiet) progress_.on_finish(finish, now_);
    if (code != ExitCode::done) {
      print_text(stderr, fmt::format("shoal: {}\n", printable(finish.message)));
    } else if (options_.prints_path) {
      // A script reads the path as it is.
      print_result(isatty(STDOUT_FILENO) != 0 ? printable(finish.path) : finish.path);
    }
  }
  if (options_.sequence_diagram.empty()) return code;
  const auto written = write_text(options_.sequence_diagram, diagram_.render());
  if (written || code != ExitCode::done) return code;
  return fail(options_.common, ExitCode::disk, written.error());
}

}  // namespace shoal::app
