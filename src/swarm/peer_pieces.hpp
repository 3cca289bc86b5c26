// Which pieces a peer says it has, also before anybody here knows how many there are: then what it says is kept, within
// bounds, and judged later. Used by swarm::PeerSession.
//
// Always holds: nothing that it said once is forgotten; a set that comes later adds to what is known.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bitfield.hpp"
#include "base/bytes.hpp"

namespace shoal::swarm {

inline constexpr std::size_t kEarlyHavesMax = 64 * 1024;

class PeerPieces {
 public:
  enum class Verdict : std::uint8_t {
    news,
    nothing_new,
    kept,   // to be judged once the number of pieces is known
    wrong,  // no such piece, a length that does not fit, a spare bit
    too_many,
  };
  [[nodiscard]] Verdict on_have(base::PieceIndex piece);
  [[nodiscard]] Verdict on_bits(base::Bytes bits);
  [[nodiscard]] Verdict on_all();
  [[nodiscard]] Verdict on_none();
  // Now it is known. `news`: there is something to tell.
  [[nodiscard]] Verdict set_piece_count(std::uint32_t piece_count);

  [[nodiscard]] bool is_counted() const { return is_counted_; }
  // Empty before set_piece_count().
  [[nodiscard]] const base::Bitfield& pieces() const { return pieces_; }

 private:
  [[nodiscard]] Verdict add(const base::Bitfield& told);

  bool is_counted_ = false;
  base::Bitfield pieces_;
  // Before that, in this order:
  std::optional<base::Bytes> early_bits_;
  bool is_early_all_ = false;
  std::vector<base::PieceIndex> early_haves_;
};

}  // namespace shoal::swarm
