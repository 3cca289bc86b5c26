#include "app/json_events.hpp"

#include <array>
#include <boost/json.hpp>
#include <variant>

#include "app/exit_code.hpp"

namespace shoal::app {
namespace {

using boost::json::object;

object event(std::string_view name, base::Instant now) {
  return {{"event", name}, {"seconds", base::to_seconds(now.time_since_epoch())}};
}

template <typename Enum, std::size_t Count>
std::string_view word(Enum value, const std::array<std::string_view, Count>& words) {
  return words.at(static_cast<std::size_t>(value));
}

constexpr std::array<std::string_view, 3> kTrackerEvents{"tracker_found", "tracker_chosen", "tracker_failed"};
constexpr std::array<std::string_view, 4> kSourceStates{"connecting", "ready", "waiting_to_retry", "gone"};
constexpr std::array<std::string_view, 5> kPieceEvents{"requested", "verified", "refused", "mismatched", "dropped"};
constexpr std::array<std::string_view, 3> kNoteLevels{"debug", "info", "warning"};

std::optional<object> describe(const seam::TrackerTrace& trace, base::Instant now) {
  object line = event(word(trace.what, kTrackerEvents), now);
  line["tracker"] = trace.tracker.to_string();
  line["name"] = to_utf8(trace.name);
  line["reason"] = to_utf8(trace.reason);
  return line;
}

std::optional<object> describe(const seam::ManifestTrace& trace, base::Instant now) {
  object line = event("manifest", now);
  line["file"] = to_utf8(trace.name);
  line["pieces"] = trace.piece_count;
  line["held"] = trace.pieces_held;
  return line;
}

std::optional<object> describe(const seam::SourceTrace& trace, base::Instant now) {
  object line = event("source", now);
  line["source"] = trace.source.to_string();
  line["status"] = word(trace.status, kSourceStates);
  if (!trace.reason.empty()) line["reason"] = to_utf8(trace.reason);
  return line;
}

std::optional<object> describe(const seam::PieceTrace& trace, base::Instant now) {
  if (trace.what == seam::PieceTrace::What::requested) return std::nullopt;
  object line = event("piece", now);
  line["status"] = word(trace.what, kPieceEvents);
  line["piece"] = trace.piece.value;
  line["source"] = trace.source.to_string();
  line["bytes"] = trace.bytes;
  return line;
}

std::optional<object> describe(const seam::NoteTrace& trace, base::Instant now) {
  if (trace.level == seam::NoteTrace::Level::debug) return std::nullopt;
  object line = event("note", now);
  line["level"] = word(trace.level, kNoteLevels);
  line["text"] = to_utf8(trace.text);
  return line;
}

std::optional<object> describe(const seam::MessageTrace&, base::Instant) {
  return std::nullopt;
}
std::optional<object> describe(const seam::PayloadTrace&, base::Instant) {
  return std::nullopt;
}
std::optional<object> describe(const seam::UploadTrace&, base::Instant) {
  return std::nullopt;
}

}  // namespace

std::optional<std::string> json_of(const seam::Trace& trace, base::Instant now) {
  const std::optional<object> line = std::visit([now](const auto& concrete) { return describe(concrete, now); }, trace);
  if (!line) return std::nullopt;
  return boost::json::serialize(*line);
}

std::string json_of(const seam::Finish& finish, base::Instant now) {
  const ExitCode code = exit_code_of(finish.result);
  object line = event("finished", now);
  line["result"] = name_of(code);
  line["exit_code"] = static_cast<int>(code);
  if (!finish.path.empty()) line["path"] = to_utf8(finish.path);
  if (!finish.message.empty()) line["message"] = to_utf8(finish.message);
  if (!finish.missing.empty()) {
    boost::json::array missing;
    for (const base::PieceIndex piece : finish.missing) missing.emplace_back(piece.value);
    line["missing"] = std::move(missing);
  }
  return boost::json::serialize(line);
}

std::string json_of_error(const std::string& message, int exit_code) {
  return boost::json::serialize(object{{"event", "error"}, {"message", to_utf8(message)}, {"exit_code", exit_code}});
}

std::string json_of_result(std::string_view what, std::string_view path, std::uint64_t bytes, std::uint32_t chunks) {
  return boost::json::serialize(object{{"event", what}, {"path", to_utf8(path)}, {"bytes", bytes}, {"chunks", chunks}});
}

std::string json_of_listening(const std::string& what, const std::string& endpoint) {
  return boost::json::serialize(object{{"event", what}, {"address", endpoint}});
}

}  // namespace shoal::app
