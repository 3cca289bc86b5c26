// Everything that listens to the traces of a download: progress for a person, --json for a program, a sequence diagram
// for a reader. Used by `course client`, `get` and `share`.
#pragma once

#include <string>
#include <vector>

#include "app/cli.hpp"
#include "app/exit_code.hpp"
#include "app/json_events.hpp"
#include "app/progress.hpp"
#include "app/sequence_diagram.hpp"
#include "base/endpoint.hpp"
#include "seam/actions.hpp"
#include "seam/trace.hpp"

namespace shoal::app {

struct AudienceOptions {
  CommonOptions common;
  std::string piece_word = "piece";   // what a piece is called in front of a user
  bool is_swarm = false;              // peers come and go, which is no news
  bool is_sharing = false;            // everything is there: only what is given counts
  bool prints_path = true;            // the result is a line on stdout
  std::string sequence_diagram = {};  // a file to write; empty: none
  std::string self_name = "shoal";    // who we are in it
};

class Audience {
 public:
  explicit Audience(AudienceOptions options);

  void name_peer(const base::Endpoint& endpoint, const std::string& name);
  void on_trace(const seam::Trace& trace, base::Instant now);
  void on_tick(base::Instant now);
  // Says how it ended, and gives the exit code.
  ExitCode on_finish(const seam::Finish& finish);

 private:
  AudienceOptions options_;
  Progress progress_;
  SequenceDiagram diagram_;
  JsonEvents json_;
  base::Instant now_{};
};

}  // namespace shoal::app
