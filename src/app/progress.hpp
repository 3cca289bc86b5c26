// What a person sees of a download, on stderr: on a terminal a block that is redrawn in place (percent, rate, time
// left, one line per source and what it is doing), elsewhere a line now and then. Fed with a client machine's traces.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "seam/actions.hpp"
#include "seam/trace.hpp"

namespace shoal::app {

class Progress {
 public:
  struct Options {
    bool is_terminal = false;
    bool is_verbose = false;
    bool is_swarm = false;    // peers and trackers come and go, which is no news
    bool is_sharing = false;  // everything is there: only what is given counts
    std::string piece_word = "chunk";
    std::FILE* out = stderr;
  };

  explicit Progress(Options options) : options_(options) {}

  void name_source(const base::Endpoint& endpoint, const std::string& name) { names_[endpoint] = name; }
  void on_trace(const seam::Trace& trace, base::Instant now);
  // Time went by: what is shown must not stand still.
  void on_tick(base::Instant now) { redraw(now); }
  void on_finish(const seam::Finish& finish, base::Instant now);

 private:
  // Payload that went one way.
  struct Flow {
    std::uint64_t bytes = 0;
    std::uint64_t bytes_before = 0;  // at the last redraw
    double rate_bytes_per_s = 0.0;

    void update(double seconds);
  };

  struct Source {
    seam::SourceStatus status = seam::SourceStatus::connecting;
    std::string reason;
    Flow taken;
    std::uint32_t pieces = 0;  // verified
    std::uint32_t refused = 0;
  };

  void handle(const seam::MessageTrace& trace, base::Instant now);
  void handle(const seam::TrackerTrace& trace, base::Instant now);
  void handle(const seam::ManifestTrace& trace, base::Instant now);
  void handle(const seam::SourceTrace& trace, base::Instant now);
  void handle(const seam::PieceTrace& trace, base::Instant now);
  void handle(const seam::PayloadTrace& trace, base::Instant now);
  void handle(const seam::UploadTrace& trace, base::Instant now);
  void handle(const seam::NoteTrace& trace, base::Instant now);

  // Prints a line that stays, above the block.
  void say(const std::string& line);
  void redraw(base::Instant now);
  void erase_block();
  void update_rates(base::Instant now);
  [[nodiscard]] std::string summary(base::Instant now) const;
  [[nodiscard]] std::string source_line(const base::Endpoint& endpoint, const Source& source) const;
  [[nodiscard]] std::string name_of(const base::Endpoint& endpoint) const;
  [[nodiscard]] std::string describe_given() const;
  [[nodiscard]] double rate() const;
  [[nodiscard]] std::vector<std::pair<base::Endpoint, const Source*>> shown_sources() const;

  Options options_;
  std::map<base::Endpoint, std::string> names_;
  std::map<base::Endpoint, Source> sources_;
  std::string file_;
  std::uint32_t piece_count_ = 0;
  std::uint32_t pieces_wanted_ = 0;  // of them
  std::uint32_t pieces_held_ = 0;
  std::uint32_t pieces_verified_ = 0;
  std::uint64_t bytes_verified_ = 0;
  Flow given_;
  base::Instant begun_{};
  base::Instant last_verified_{};
  base::Instant last_draw_{};
  std::size_t block_lines_ = 0;
};

// `text` as a terminal may show it: control characters from outside (a file name) must not reach it.
[[nodiscard]] std::string printable(std::string_view text);
// "1.50 GiB", "512 B".
[[nodiscard]] std::string describe_bytes(double bytes);
// "1 file", "2 files".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view word);
// "3 s", "2 min 10 s", "1 h 5 min".
[[nodiscard]] std::string describe_time_left(double seconds);

}  // namespace shoal::app
