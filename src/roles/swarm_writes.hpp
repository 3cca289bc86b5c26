// Pieces of a torrent on their way to the store: blocks come from several sources in any order, a piece is verified
// once all of it is there. Used by SwarmDownload.
//
// Always holds: one write for each begun piece; a piece is completed only after all its blocks came home; after
// give_up() nothing of what was under way is heard of again.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/endpoint.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "swarm/picker.hpp"

namespace shoal::roles {

class SwarmWrites {
 public:
  struct Block {
    swarm::Run part;
    base::Buffer buffer;            // `part` at its front
    std::uint32_t piece_bytes = 0;  // of the whole piece
    base::Endpoint from;
  };
  struct Ended {
    base::PieceIndex piece;
    std::uint32_t piece_bytes = 0;
    base::Endpoint from;  // who brought the last of it
  };

  void store(Block block, seam::Actions& actions);
  // All its bytes were given to store().
  void complete(base::PieceIndex piece, seam::Actions& actions);
  void on_block_stored(seam::BlockStored& event, seam::Actions& actions);
  // The piece whose verification ended; nothing when it was given up before.
  [[nodiscard]] std::optional<Ended> take_ended(seam::WriteId write);
  // The store takes nothing more: gives the pieces under way, sorted. Some of them may turn out to be there.
  [[nodiscard]] std::vector<Ended> give_up();
  // What is stored of the piece is of no use: it will begin anew.
  void abandon(base::PieceIndex piece, seam::Actions& actions);
  // Nothing half-written is to stay.
  void abandon(seam::Actions& actions);
  [[nodiscard]] bool is_idle() const { return writes_.empty(); }

 private:
  struct Write {
    Ended about;
    std::uint32_t blocks_at_store = 0;
    bool is_whole = false;
    bool is_verifying = false;
  };
  void verify_if_home(seam::WriteId id, Write& write, seam::Actions& actions);

  std::unordered_map<seam::WriteId, Write> writes_;
  std::unordered_map<base::PieceIndex, seam::WriteId> write_of_;
  std::uint64_t last_write_ = 0;
};

}  // namespace shoal::roles
