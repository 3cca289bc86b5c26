#include "app/progress.hpp"

#include <fmt/format.h>

#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "app/json_events.hpp"
#include "app/print.hpp"

namespace shoal::app {
namespace {

constexpr base::Duration kRedrawEvery = std::chrono::milliseconds(200);
constexpr base::Duration kLineEvery = std::chrono::seconds(5);  // without a terminal
constexpr std::size_t kSourceLinesMax = 12;
constexpr std::size_t kColumnsUsual = 80;
constexpr std::size_t kNameColumnsMax = 39;
constexpr double kStandstillSeconds = 5;

std::size_t terminal_columns(std::FILE* out) {
  winsize size{};
  const bool is_known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : kColumnsUsual;
}

// A line that wraps would take two rows, and the block could not be erased. Characters count as one column each.
std::string fit(const std::string& line, std::size_t columns) {
  std::size_t shown = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool is_begin = (static_cast<unsigned char>(line[i]) & 0xc0) != 0x80;
    if (is_begin && ++shown >= columns) return line.substr(0, i);
  }
  return line;
}

// A URL would push what its source gave out of a terminal's line: of a longer one its ends.
std::string shorten(const std::string& name) {
  if (name.size() <= kNameColumnsMax) return name;
  constexpr std::size_t kEndBytes = (kNameColumnsMax - 3) / 2;
  return to_utf8(name.substr(0, kEndBytes)) + "..." + to_utf8(name.substr(name.size() - kEndBytes));
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown = to_utf8(text);
  std::ranges::replace_if(shown, [](unsigned char letter) { return letter < 0x20 || letter == 0x7f; }, '?');
  // U+0080 to U+009F are control characters too, two bytes long.
  for (std::size_t at = 0; (at = shown.find('\xc2', at)) != std::string::npos; ++at) {
    if (static_cast<unsigned char>(shown[at + 1]) < 0xa0) shown.replace(at, 2, "?");
  }
  return shown;
}

std::string describe_bytes(double bytes) {
  static constexpr std::array<std::string_view, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes)
                   : fmt::format("{:.{}f} {}", bytes, bytes < 100 ? 1 : 0, kUnits[unit]);
}

std::string counted(std::uint64_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string describe_time_left(double seconds) {
  const auto whole = static_cast<std::uint64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

void Progress::on_trace(const seam::Trace& trace, base::Instant now) {
  std::visit([this, now](const auto& concrete) { handle(concrete, now); }, trace);
}

void Progress::handle(const seam::MessageTrace& trace, base::Instant) {
  if (!options_.is_verbose) return;
  const bool is_sent = trace.direction == seam::MessageDirection::sent;
  say(fmt::format("{} {} {} {}", is_sent ? "→" : "←", name_of(trace.remote), trace.message, printable(trace.detail)));
}

void Progress::handle(const seam::TrackerTrace& trace, base::Instant) {
  const std::string name = trace.name.empty() ? "" : " " + printable(trace.name);
  const std::string who = fmt::format("tracker{} at {}", name, trace.tracker.to_string());
  switch (trace.what) {
    case seam::TrackerTrace::What::found:
      if (options_.is_verbose) say(fmt::format("found {}", who));
      break;
    case seam::TrackerTrace::What::chosen:
      if (options_.is_swarm && !options_.is_verbose) break;
      say(fmt::format("using {}: {}", who, printable(trace.reason)));
      break;
    case seam::TrackerTrace::What::failed:
      say(fmt::format("{} failed: {}", who, printable(trace.reason)));
      break;
  }
}

void Progress::handle(const seam::ManifestTrace& trace, base::Instant now) {
  file_ = printable(trace.name);
  piece_count_ = trace.piece_count;
  pieces_wanted_ = trace.pieces_wanted;
  pieces_held_ = trace.pieces_held;
  pieces_verified_ = 0;  // what an earlier list brought is held now
  bytes_verified_ = 0;
  begun_ = now;
  last_draw_ = now;
  last_verified_ = now;
  if (options_.is_sharing) return;
  const std::string held = trace.pieces_held > 0 ? fmt::format(", {} of them already here", trace.pieces_held) : "";
  const std::string part = trace.pieces_wanted < trace.piece_count ? fmt::format("{} of ", trace.pieces_wanted) : "";
  say(fmt::format("{}: {}{}{}", file_, part, counted(trace.piece_count, options_.piece_word), held));
}

void Progress::handle(const seam::SourceTrace& trace, base::Instant now) {
  Source& source = sources_[trace.source];
  source.status = trace.status;
  source.reason = printable(trace.reason);
  if (!trace.url.empty()) names_[trace.source] = printable(trace.url);
  const bool is_ended =
      trace.status == seam::SourceStatus::gone || trace.status == seam::SourceStatus::waiting_to_retry;
  if (is_ended && (!options_.is_swarm || options_.is_verbose)) {
    const char* fate = trace.status == seam::SourceStatus::gone ? "given up" : "will try again";
    say(fmt::format("{}: {} ({})", name_of(trace.source), source.reason, fate));
  }
  // Who gave nothing is forgotten: a swarm may see any number of them.
  if (is_ended && options_.is_swarm && source.taken.bytes == 0) sources_.erase(trace.source);
  redraw(now);
}

void Progress::handle(const seam::PieceTrace& trace, base::Instant now) {
  Source& source = sources_[trace.source];
  switch (trace.what) {
    case seam::PieceTrace::What::verified:
      ++source.pieces;
      ++pieces_verified_;
      bytes_verified_ += trace.bytes;
      last_verified_ = now;
      break;
    case seam::PieceTrace::What::refused:
      ++source.refused;
      if (options_.is_verbose)
        say(fmt::format("{} has no {} {}", name_of(trace.source), options_.piece_word, trace.piece.value));
      break;
    case seam::PieceTrace::What::mismatched:
      say(fmt::format("{} sent wrong bytes for {} {}: thrown away", name_of(trace.source), options_.piece_word,
                      trace.piece.value));
      break;
    case seam::PieceTrace::What::requested:
    case seam::PieceTrace::What::dropped:
      break;
  }
  redraw(now);
}

void Progress::handle(const seam::PayloadTrace& trace, base::Instant now) {
  sources_[trace.source].taken.bytes += trace.bytes;
  redraw(now);
}

void Progress::handle(const seam::UploadTrace& trace, base::Instant now) {
  given_.bytes += trace.bytes;
  redraw(now);
}

void Progress::handle(const seam::NoteTrace& trace, base::Instant) {
  if (trace.level == seam::NoteTrace::Level::debug && !options_.is_verbose) return;
  say(printable(trace.text));
}

void Progress::on_finish(const seam::Finish& finish, base::Instant) {
  erase_block();
  if (finish.result != seam::Finish::Result::done) return;
  if (options_.is_sharing) return say(fmt::format("{}: {}", file_, describe_given()));
  std::uint64_t bytes = 0;
  std::size_t givers = 0;
  for (const auto& [endpoint, source] : sources_) {
    bytes += source.taken.bytes;
    if (source.pieces > 0 && ++givers <= kSourceLinesMax) say("  " + source_line(endpoint, source));
  }
  if (givers > kSourceLinesMax) say(fmt::format("  and {} more", givers - kSourceLinesMax));
  if (piece_count_ == 0) return say(fmt::format("{}: an empty file", file_));
  if (pieces_verified_ == 0) return say(fmt::format("{}: every {} was already here", file_, options_.piece_word));
  const double seconds = std::max(base::to_seconds(last_verified_ - begun_), 1e-6);
  say(fmt::format("{}: {} in {:.2f} s ({}/s) from {} {}{}", file_, describe_bytes(static_cast<double>(bytes_verified_)),
                  seconds, describe_bytes(static_cast<double>(bytes_verified_) / seconds), givers,
                  givers == 1 ? "peer" : "peers", given_.bytes > 0 ? ", " + describe_given() : ""));
  if (bytes > bytes_verified_ && options_.is_verbose) {
    say(fmt::format("{} arrived twice or in vain", describe_bytes(static_cast<double>(bytes - bytes_verified_))));
  }
}

void Progress::say(const std::string& line) {
  erase_block();
  print_text(options_.out, line + "\n");
}

void Progress::erase_block() {
  if (block_lines_ == 0) return;
  // To the first column, also when an echoed ^C moved the cursor.
  print_text(options_.out, fmt::format("\r\x1b[{}A\x1b[J", block_lines_));
  block_lines_ = 0;
}

void Progress::Flow::update(double seconds) {
  const double rate = static_cast<double>(bytes - bytes_before) / seconds;
  // Half of what is shown is older than about a second, so that the figures can be read.
  const double weight = std::min(1.0, seconds * 0.7);
  rate_bytes_per_s = bytes_before == 0 ? rate : rate_bytes_per_s * (1 - weight) + rate * weight;
  bytes_before = bytes;
}

void Progress::update_rates(base::Instant now) {
  const double seconds = std::max(base::to_seconds(now - last_draw_), 1e-3);
  for (auto& [endpoint, source] : sources_) source.taken.update(seconds);
  given_.update(seconds);
}

std::string Progress::describe_given() const {
  return fmt::format("{} given", describe_bytes(static_cast<double>(given_.bytes)));
}

double Progress::rate() const {
  double sum = 0;
  for (const auto& [endpoint, source] : sources_) {
    if (source.status == seam::SourceStatus::ready) sum += source.taken.rate_bytes_per_s;
  }
  return sum;
}

std::string Progress::summary(base::Instant now) const {
  const std::string given = fmt::format("{}, {}/s now", describe_given(), describe_bytes(given_.rate_bytes_per_s));
  if (options_.is_sharing) return given;
  const std::uint32_t done = pieces_held_ + pieces_verified_;
  const double share = pieces_wanted_ == 0 ? 1.0 : static_cast<double>(done) / pieces_wanted_;
  std::string text = fmt::format("{:3.0f} %  {} of {}  {}/s", share * 100, done,
                                 counted(pieces_wanted_, options_.piece_word), describe_bytes(rate()));
  if (pieces_verified_ > 0 && done < pieces_wanted_) {
    const double seconds_each = base::to_seconds(now - begun_) / pieces_verified_;
    // Of what stands still, nobody knows when it ends.
    const bool stands_still = base::to_seconds(now - last_verified_) > std::max(kStandstillSeconds, 3 * seconds_each);
    if (!stands_still) text += ", " + describe_time_left(seconds_each * (pieces_wanted_ - done)) + " left";
  }
  if (given_.bytes > 0) text += ";  " + given;
  return text;
}

std::string Progress::source_line(const base::Endpoint& endpoint, const Source& source) const {
  std::string text = fmt::format("{:<21}  {:>5} {:<{}}  {:>10}", shorten(name_of(endpoint)), source.pieces,
                                 options_.piece_word + (source.pieces == 1 ? "" : "s"), options_.piece_word.size() + 1,
                                 describe_bytes(static_cast<double>(source.taken.bytes)));
  if (source.refused > 0) text += fmt::format(", {} it did not have", source.refused);
  return text;
}

std::string Progress::name_of(const base::Endpoint& endpoint) const {
  const auto found = names_.find(endpoint);
  return found != names_.end() ? found->second : endpoint.to_string();
}

// In a swarm only those who give, the fastest first.
std::vector<std::pair<base::Endpoint, const Progress::Source*>> Progress::shown_sources() const {
  std::vector<std::pair<base::Endpoint, const Source*>> shown;
  for (const auto& [endpoint, source] : sources_) {
    if (options_.is_swarm && (source.status != seam::SourceStatus::ready || source.taken.bytes == 0)) continue;
    shown.emplace_back(endpoint, &source);
  }
  if (options_.is_swarm) {
    std::ranges::sort(shown, {},
                      [](const auto& each) { return std::pair(-each.second->taken.rate_bytes_per_s, each.first); });
  }
  return shown;
}

void Progress::redraw(base::Instant now) {
  if (piece_count_ == 0 || now - last_draw_ < (options_.is_terminal ? kRedrawEvery : kLineEvery)) return;
  update_rates(now);
  last_draw_ = now;
  if (!options_.is_terminal) {
    // Once everything is there a line now and then says nothing new.
    const bool is_whole = pieces_held_ + pieces_verified_ >= pieces_wanted_;
    if (!is_whole) print_text(options_.out, summary(now) + "\n");
    return;
  }
  const std::size_t columns = terminal_columns(options_.out);
  std::string block = fit(summary(now), columns) + "\n";
  std::size_t lines = 1;
  for (const auto& [endpoint, shown] : shown_sources()) {
    const Source& source = *shown;
    if (lines > kSourceLinesMax) break;
    static constexpr std::array<std::string_view, 4> kStates{"connecting", "", "waiting to try again", "given up"};
    const std::string state = source.status == seam::SourceStatus::ready
                                  ? describe_bytes(source.taken.rate_bytes_per_s) + "/s"
                                  : std::string(kStates.at(static_cast<std::size_t>(source.status)));
    block += fit(fmt::format("  {}  {}", source_line(endpoint, source), state), columns) + "\n";
    ++lines;
  }
  erase_block();
  print_text(options_.out, block);
  std::fflush(options_.out);
  block_lines_ = lines;
}

}  // namespace shoal::app
