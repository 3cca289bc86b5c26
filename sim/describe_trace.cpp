#include "sim/describe_trace.hpp"

#include <fmt/format.h>

#include <array>
#include <variant>

namespace shoal::sim {
namespace {

std::string describe(const seam::MessageTrace& trace) {
  const bool is_sent = trace.direction == seam::MessageDirection::sent;
  return fmt::format("{} {} {} {}", is_sent ? "->" : "<-", trace.remote.to_string(), trace.message, trace.detail);
}

std::string describe(const seam::TrackerTrace& trace) {
  static constexpr std::array kWords{"found", "chosen", "failed"};
  return fmt::format("tracker {} {}: {}", trace.tracker.to_string(), kWords.at(static_cast<std::size_t>(trace.what)),
                     trace.reason);
}

std::string describe(const seam::ManifestTrace& trace) {
  return fmt::format("manifest {}: {} pieces, {} wanted, {} held", trace.name, trace.piece_count, trace.pieces_wanted,
                     trace.pieces_held);
}

std::string describe(const seam::SourceTrace& trace) {
  static constexpr std::array kWords{"connecting", "ready", "waiting to retry", "gone"};
  return fmt::format("source {} {} {}{}", trace.source.to_string(), kWords.at(static_cast<std::size_t>(trace.status)),
                     trace.url, trace.url.empty() || trace.reason.empty() ? trace.reason : ": " + trace.reason);
}

std::string describe(const seam::PieceTrace& trace) {
  static constexpr std::array kWords{"requested", "verified", "refused", "mismatched", "dropped"};
  return fmt::format("piece {} {} {}", trace.piece.value, kWords.at(static_cast<std::size_t>(trace.what)),
                     trace.source.to_string());
}

std::string describe(const seam::PayloadTrace& trace) {
  return fmt::format("payload {} {}", trace.source.to_string(), trace.bytes);
}

std::string describe(const seam::UploadTrace& trace) {
  return fmt::format("upload {} {}", trace.remote.to_string(), trace.bytes);
}

std::string describe(const seam::NoteTrace& trace) {
  return "note " + trace.text;
}

}  // namespace

std::string describe_trace(const seam::Trace& trace) {
  return std::visit([](const auto& concrete) { return describe(concrete); }, trace);
}

}  // namespace shoal::sim
