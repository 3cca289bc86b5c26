#include "app/json_events.hpp"

#include <array>
#include <boost/json/src.hpp>
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

// Length of the UTF-8 sequence at the front, 0 when it is not one.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool is_overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool is_outside = (lead == 0xed && second > 0x9f) || (lead == 0xf4 && second > 0x8f);
  return is_overlong || is_outside ? 0 : length;
}

}  // namespace

std::string to_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    text += length == 0 ? std::string_view("\xef\xbf\xbd") : bytes.substr(0, length);
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return text;
}

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
