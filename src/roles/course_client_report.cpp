#include "roles/course_client_report.hpp"

#include <algorithm>
#include <unordered_set>

namespace shoal::roles {
namespace {

using base::PieceIndex;
using Result = seam::Finish::Result;

constexpr std::size_t kRangesShownMax = 20;
constexpr std::size_t kSourcesShownMax = 16;

std::string chunks_text(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " chunk" : " chunks");
}

// Those of `pieces` that are still missing, sorted.
std::vector<PieceIndex> keep_missing(const std::vector<PieceIndex>& pieces,
                                     const std::unordered_set<PieceIndex>& missing) {
  std::vector<PieceIndex> kept;
  std::ranges::copy_if(pieces, std::back_inserter(kept), [&](PieceIndex piece) { return missing.contains(piece); });
  std::ranges::sort(kept);
  const auto repeats = std::ranges::unique(kept);
  kept.erase(repeats.begin(), repeats.end());
  return kept;
}

std::string describe_source(const SourceRecord& source, const std::unordered_set<PieceIndex>& missing) {
  std::string text;
  const auto add = [&](const std::string& part) { text.append(text.empty() ? "" : ", ").append(part); };
  if (source.pieces_verified > 0) add("gave " + chunks_text(source.pieces_verified));
  if (const auto refused = keep_missing(source.refused, missing); !refused.empty()) {
    add("did not give " + describe_ranges(refused));
  }
  if (const auto wrong = keep_missing(source.wrong, missing); !wrong.empty()) {
    add("gave wrong bytes for " + describe_ranges(wrong));
  }
  if (!source.trouble.empty()) add(source.trouble);
  if (text.empty()) add("gave nothing");
  return source.endpoint.to_string() + " (" + text + ")";
}

Result judge(std::span<const SourceRecord> sources, const std::unordered_set<PieceIndex>& missing) {
  const bool has_mismatch = std::ranges::any_of(
      sources, [&](const SourceRecord& source) { return !keep_missing(source.wrong, missing).empty(); });
  return has_mismatch ? Result::mismatched : Result::incomplete;
}

}  // namespace

std::string describe_ranges(std::span<const PieceIndex> pieces) {
  std::string text;
  std::size_t ranges = 0;
  for (std::size_t i = 0; i < pieces.size();) {
    if (ranges == kRangesShownMax) return text + " and " + std::to_string(pieces.size() - i) + " more";
    std::size_t last = i;
    while (last + 1 < pieces.size() && pieces[last + 1].value == pieces[last].value + 1) ++last;
    if (ranges > 0) text += ", ";
    text += std::to_string(pieces[i].value);
    if (last > i) text += "-" + std::to_string(pieces[last].value);
    i = last + 1;
    ++ranges;
  }
  return text;
}

seam::Finish make_incomplete_finish(const IncompleteReport& report) {
  std::unordered_set<PieceIndex> missing_groups;
  for (const PieceIndex piece : report.missing) missing_groups.insert(report.first_of[piece.value]);

  std::string message = report.name + " is incomplete: of " + chunks_text(report.piece_count) + ", " +
                        std::to_string(report.missing.size()) +
                        " could not be got: " + describe_ranges(report.missing) + ". ";
  if (report.sources.empty()) {
    message += "Nobody is listed who has them. ";
  } else {
    message += "Asked: ";
    const std::size_t shown = std::min(report.sources.size(), kSourcesShownMax);
    for (std::size_t i = 0; i < shown; ++i) {
      message += (i > 0 ? "; " : "") + describe_source(report.sources[i], missing_groups);
    }
    if (shown < report.sources.size()) message += "; and " + std::to_string(report.sources.size() - shown) + " others";
    message += ". ";
  }
  message += "Start a peer that has these chunks, or name one with --peer, and run this again: what is there is kept.";
  return {.result = judge(report.sources, missing_groups),
          .message = std::move(message),
          .missing = report.missing,
          .path = ""};
}

}  // namespace shoal::roles
