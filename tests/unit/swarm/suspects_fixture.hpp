// A picker with suspects.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/swarm/picker_fixture.hpp"

namespace shoal::swarm::test {

class SuspectsTest : public PickerTest {
 protected:
  // Sources 0 and 1 give a half of the piece each.
  void give_together(std::uint32_t piece) {
    const std::vector<base::PieceIndex> among{base::PieceIndex(piece)};
    for (const std::uint32_t source : {0U, 1U}) {
      const auto run = picker_->pick_among(SourceId(source), among, now_);
      ASSERT_TRUE(run.has_value());
      ASSERT_EQ(run->size_bytes, 16 * kBlock);
      ASSERT_EQ(picker_->on_arrived(SourceId(source), *run), run);
    }
    ASSERT_TRUE(picker_->is_whole(base::PieceIndex(piece)));
  }
  // Pieces of two runs; two seeds that are suspects now, and piece 0 was wrong.
  void make_two_suspects(std::uint32_t piece_count) {
    make(piece_count, 32);
    add_seed(0);
    add_seed(1);
    give_together(0);
    ASSERT_EQ(mismatch(0), "");
  }
};

}  // namespace shoal::swarm::test
