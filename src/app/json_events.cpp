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

// Describes traces; what stands for a web seed is told as its URL.
class Describer {
 public:
  Describer(const std::map<base::Endpoint, std::string>& web_seeds, base::Instant now)
      : web_seeds_(web_seeds), now_(now) {}

  std::optional<object> operator()(const seam::TrackerTrace& trace) const {
    object line = event(word(trace.what, kTrackerEvents), now_);
    line["tracker"] = trace.tracker.to_string();
    line["name"] = to_utf8(trace.name);
    line["reason"] = to_utf8(trace.reason);
    return line;
  }

  std::optional<object> operator()(const seam::ManifestTrace& trace) const {
    object line = event("manifest", now_);
    line["file"] = to_utf8(trace.name);
    line["pieces"] = trace.piece_count;
    line["wanted"] = trace.pieces_wanted;
    line["held"] = trace.pieces_held;
    return line;
  }

  std::optional<object> operator()(const seam::SourceTrace& trace) const {
    object line = event("source", now_);
    line["source"] = name_of(trace.source);
    line["status"] = word(trace.status, kSourceStates);
    if (!trace.reason.empty()) line["reason"] = to_utf8(trace.reason);
    return line;
  }

  std::optional<object> operator()(const seam::PieceTrace& trace) const {
    if (trace.what == seam::PieceTrace::What::requested) return std::nullopt;
    object line = event("piece", now_);
    line["status"] = word(trace.what, kPieceEvents);
    line["piece"] = trace.piece.value;
    line["source"] = name_of(trace.source);
    line["bytes"] = trace.bytes;
    return line;
  }

  std::optional<object> operator()(const seam::NoteTrace& trace) const {
    if (trace.level == seam::NoteTrace::Level::debug) return std::nullopt;
    object line = event("note", now_);
    line["level"] = word(trace.level, kNoteLevels);
    line["text"] = to_utf8(trace.text);
    return line;
  }

  std::optional<object> operator()(const seam::MessageTrace&) const { return std::nullopt; }
  std::optional<object> operator()(const seam::PayloadTrace&) const { return std::nullopt; }
  std::optional<object> operator()(const seam::UploadTrace&) const { return std::nullopt; }

 private:
  [[nodiscard]] std::string name_of(const base::Endpoint& source) const {
    const auto web_seed = web_seeds_.find(source);
    return web_seed != web_seeds_.end() ? to_utf8(web_seed->second) : source.to_string();
  }

  const std::map<base::Endpoint, std::string>& web_seeds_;
  const base::Instant now_;
};

}  // namespace

std::optional<std::string> JsonEvents::describe(const seam::Trace& trace, base::Instant now) {
  const auto* source = std::get_if<seam::SourceTrace>(&trace);
  if (source != nullptr && !source->url.empty()) web_seeds_[source->source] = source->url;
  const std::optional<object> line = std::visit(Describer(web_seeds_, now + begun_after_), trace);
  if (!line) return std::nullopt;
  return boost::json::serialize(*line);
}

std::string JsonEvents::describe(const seam::Finish& finish, base::Instant now) const {
  const ExitCode code = exit_code_of(finish.result);
  object line = event("finished", now + begun_after_);
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
