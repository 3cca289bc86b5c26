// What a course client says when it could not get everything: which chunks are missing, whom it asked, what each
// answered, and what to do. Used by the course client only. Values in, a Finish out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/strong.hpp"
#include "seam/actions.hpp"

namespace shoal::roles {

struct SourceRecord {
  base::Endpoint endpoint;
  std::string trouble;  // the last thing that went wrong, in words; may be empty
  std::uint32_t pieces_verified = 0;
  std::vector<base::PieceIndex> refused;  // asked for and not given
  std::vector<base::PieceIndex> wrong;    // answered with other bytes
};

struct IncompleteReport {
  std::string name;
  std::uint32_t piece_count = 0;
  std::vector<base::PieceIndex> missing;  // sorted, all indices
  std::span<const SourceRecord> sources;  // pieces in them are first indices of groups
  std::span<const base::PieceIndex> first_of;
};

// `mismatched` when bytes that came for a missing piece were wrong; else `incomplete`, whatever kept the sources from
// it.
[[nodiscard]] seam::Finish make_incomplete_finish(const IncompleteReport& report);

// "3-5, 9". Sorted input. Long lists end in "and 12 more".
[[nodiscard]] std::string describe_ranges(std::span<const base::PieceIndex> pieces);

}  // namespace shoal::roles
