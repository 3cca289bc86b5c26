// What was asked of one peer and is not answered yet, block by block; and what was asked once, is of no use any more,
// and may be answered all the same. Used by swarm::PeerSession.
//
// Always holds: blocks go out in the order in which their runs were added; a block is unsent, awaited, or gone, and a
// run of which every block is gone is gone itself.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/time.hpp"
#include "swarm/run_blocks.hpp"

namespace shoal::swarm {

class AskedRuns {
 public:
  struct Asked {
    Run run;
    BlockSet unsent = 0;
    BlockSet awaited = 0;
    base::Instant sent_at{};      // the oldest of the awaited ones, or before
    std::uint32_t overtaken = 0;  // blocks of later runs that came since
  };
  struct Withdrawn {
    std::vector<Run> parts;                 // all that was withdrawn
    std::vector<wire::BlockRange> awaited;  // the blocks of it that were asked for already
  };

  // At most kRunBlocksMax blocks.
  void add(const Run& run);
  // The next blocks to ask for, as long as fewer than `awaited_max` are awaited then. They are awaited from now on.
  [[nodiscard]] std::vector<wire::BlockRange> take_unsent(std::size_t awaited_max, base::Instant now);
  // The run in which this block is awaited; valid until the next call that is not const.
  [[nodiscard]] const Asked* find_awaited(const wire::BlockRange& block) const;
  // An awaited block was answered. True when nothing of its run is left.
  bool settle(const wire::BlockRange& block);
  // Everything within the range; what is not sent only, or all.
  [[nodiscard]] Withdrawn withdraw(const Run& range);
  [[nodiscard]] Withdrawn withdraw_all();
  [[nodiscard]] Withdrawn withdraw_unsent();
  [[nodiscard]] Withdrawn withdraw_all_but(const wire::BlockRange& block);
  // Of runs asked until `asked_until` of which so many blocks of later ones came before.
  [[nodiscard]] Withdrawn withdraw_overtaken(std::uint32_t blocks, base::Instant asked_until);
  [[nodiscard]] bool has_some_of(const Run& run) const;
  // The block that was asked for first; when none was, the one that will be. Not empty.
  [[nodiscard]] wire::BlockRange first() const;

  [[nodiscard]] bool is_empty() const { return runs_.empty(); }
  [[nodiscard]] std::size_t awaited_blocks() const { return awaited_blocks_; }
  [[nodiscard]] std::size_t unsent_blocks() const { return unsent_blocks_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  void audit() const;

 private:
  [[nodiscard]] static bool is_awaited(const Asked& asked, const wire::BlockRange& block);
  void withdraw_from(Asked& asked, BlockSet blocks, Withdrawn& withdrawn);
  void drop_gone();

  std::deque<Asked> runs_;
  std::size_t awaited_blocks_ = 0;
  std::size_t unsent_blocks_ = 0;
  std::uint64_t bytes_ = 0;  // of both
};

// Answers that may still come to what was withdrawn.
class LateAnswers {
 public:
  static constexpr std::size_t kBlocksMax = 4096;  // then the oldest are forgotten
  static constexpr base::Duration kPatience = std::chrono::seconds(60);

  void expect(const wire::BlockRange& block, base::Instant now);
  // True when it is one of them, which it is no more then.
  [[nodiscard]] bool take(const wire::BlockRange& block, base::Instant now);
  [[nodiscard]] bool is_empty(base::Instant now) const { return blocks_.empty() || blocks_.back().until <= now; }

 private:
  struct Late {
    wire::BlockRange block;
    base::Instant until{};
  };
  std::deque<Late> blocks_;  // in the order of `until`
};

}  // namespace shoal::swarm
