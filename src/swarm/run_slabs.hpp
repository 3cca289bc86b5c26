// The slabs that one connection fills: payload of a run gathers in one, block by block and in any order, until the run
// is handed over whole or as far as it came. Used by swarm::PeerSession.
//
// Always holds: at most kSlabsMax are held; every block that arrived whole is handed over once, in front of a buffer of
// its own, or said to be lost.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/time.hpp"
#include "swarm/run_blocks.hpp"

namespace shoal::swarm {

struct RunArrived {  // the first `part.size_bytes` of `buffer` are `part`
  Run part;
  base::Buffer buffer;
};

class RunSlabs {
 public:
  static constexpr std::size_t kSlabsMax = 2;

  // The pool must outlive it.
  explicit RunSlabs(base::BufferPool& pool) : pool_(pool) {}

  // Where this block of this run goes. Nothing when the pool is empty: then what is held was handed over, so that it
  // comes home some day.
  [[nodiscard]] std::optional<std::span<std::byte>> room_for(const Run& run, const wire::BlockRange& block,
                                                             base::Instant now);
  // The bytes of this block are in the room it was given.
  void on_block(const Run& run, const wire::BlockRange& block);
  void hand_over(const Run& run);
  void hand_over_all();

  struct HandedOver {
    std::vector<RunArrived> arrived;
    std::vector<Run> lost;  // arrived, but between gaps, and there was no second buffer for it
  };
  [[nodiscard]] HandedOver take_handed_over();

  [[nodiscard]] std::vector<Run> runs() const;
  [[nodiscard]] std::size_t size() const { return slabs_.size(); }
  // When the one that is held longest was taken.
  [[nodiscard]] std::optional<base::Instant> held_since() const;
  [[nodiscard]] std::size_t free_buffers() const { return pool_.available(); }

 private:
  struct Slab {
    Run run;
    BlockSet arrived = 0;
    base::Buffer buffer;
    base::Instant taken_at{};
  };
  void hand_over(Slab slab);

  base::BufferPool& pool_;
  std::vector<Slab> slabs_;  // in the order in which they were taken
  HandedOver handed_over_;
};

}  // namespace shoal::swarm
