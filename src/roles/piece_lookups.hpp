// Pieces on their way from the library to those who asked for parts of them: a piece is given in many blocks, so a few
// of those that were looked up last are kept, and nobody asks the library twice for what was asked already. Used by
// SwarmUploads.
//
// Always holds: at most kPiecesKeptMax pieces are kept, none longer than kPieceKeptFor, so that data which changes
// under a running host is noticed.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/sha1.hpp"
#include "base/time.hpp"
#include "roles/server_connections.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "swarm/source_id.hpp"

namespace shoal::roles {

inline constexpr std::size_t kPiecesKeptMax = 32;  // each may be an open file
inline constexpr base::Duration kPieceKeptFor = std::chrono::seconds(5);

class PieceLookups {
 public:
  using Waiter = std::variant<swarm::SourceId, Question>;  // a peer, for its next request; a course client

  // The piece, when it was looked up lately.
  [[nodiscard]] seam::ReadablePiecePtr find(const base::Sha1Hash& hash, base::Instant now);
  // The waiter will be among those on_looked_up() gives.
  void ask(const base::Sha1Hash& hash, Waiter waiter, seam::Actions& actions);
  struct Answered {
    base::Sha1Hash hash;
    std::vector<Waiter> waiters;
  };
  [[nodiscard]] Answered on_looked_up(const seam::PieceLookedUp& event, base::Instant now);

 private:
  struct Kept {
    base::Sha1Hash hash;
    seam::ReadablePiecePtr piece;
    base::Instant looked_up_at;
    base::Instant used_at;
  };

  std::vector<Kept> kept_;
  std::unordered_map<seam::LookupId, Answered> asked_;  // not answered yet
  std::unordered_map<base::Sha1Hash, seam::LookupId> lookup_of_;
  std::uint64_t last_lookup_ = 0;
};

}  // namespace shoal::roles
