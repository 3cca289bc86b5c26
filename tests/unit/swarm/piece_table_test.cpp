#include "swarm/piece_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace shoal::swarm {
namespace {

using State = PieceTable::State;

std::vector<base::PieceIndex> pieces(std::initializer_list<std::uint32_t> values) {
  std::vector<base::PieceIndex> result;
  for (const std::uint32_t value : values) result.emplace_back(value);
  return result;
}

class PieceTableTest : public testing::Test {
 protected:
  // Who could give this piece: "02" are the sources 0 and 2.
  [[nodiscard]] std::string owners(std::uint32_t piece) {
    table_.reclassify_all();
    std::string result;
    for (const SourceSlot owner : plan_.owners(table_.class_of(base::PieceIndex(piece)))) {
      result += std::to_string(owner.value);
    }
    return result;
  }
  [[nodiscard]] std::string all_owners() {
    std::string result;
    for (std::uint32_t piece = 0; piece < table_.piece_count(); ++piece) result += owners(piece) + " ";
    return result;
  }

  Plan plan_;
  PieceTable table_{6, pieces({5}), plan_, base::Rng(1)};
};

TEST_F(PieceTableTest, NamesTheStateOfEachPiece) {
  const SourceSlot source = table_.add_source(pieces({0, 1}));
  EXPECT_EQ(table_.state(base::PieceIndex(5)), State::unwanted);
  EXPECT_EQ(table_.state(base::PieceIndex(0)), State::open);
  table_.reclassify_all();
  table_.request(source, base::PieceIndex(0));
  EXPECT_EQ(table_.state(base::PieceIndex(0)), State::requested);
  table_.begin_verifying(base::PieceIndex(0));
  table_.end_request(source, base::PieceIndex(0));
  EXPECT_EQ(table_.state(base::PieceIndex(0)), State::verifying);
  table_.verify(base::PieceIndex(0));
  EXPECT_EQ(table_.state(base::PieceIndex(0)), State::verified);
  EXPECT_EQ(table_.unverified(), 4u);
}

TEST_F(PieceTableTest, PutsPiecesOfTheSameOwnersIntoOneClass) {
  table_.add_source(pieces({0, 1, 2}));
  table_.add_source(pieces({2, 3}));
  EXPECT_EQ(all_owners(), "0 0 01 1 01  ");  // 4: listed by nobody, so anybody might have it
  EXPECT_EQ(table_.class_of(base::PieceIndex(0)), table_.class_of(base::PieceIndex(1)));
  EXPECT_NE(table_.class_of(base::PieceIndex(2)), table_.class_of(base::PieceIndex(4)));
}

TEST_F(PieceTableTest, AsksUnlistedSourcesOnlyWhenNoListedOneIsLeft) {
  const SourceSlot first = table_.add_source(pieces({0}));
  table_.add_source(pieces({}));
  const SourceSlot third = table_.add_source(pieces({0}));
  EXPECT_EQ(owners(0), "02");
  table_.deny(first, base::PieceIndex(0));
  EXPECT_EQ(owners(0), "2");
  table_.remove_source(third);
  EXPECT_EQ(owners(0), "1");
}

TEST_F(PieceTableTest, PrefersANewListedSourceToUnlistedOnes) {
  table_.add_source(pieces({}));
  EXPECT_EQ(owners(0), "0");
  table_.add_source(pieces({0}));
  EXPECT_EQ(owners(0), "1");
  EXPECT_EQ(owners(1), "01");
}

TEST_F(PieceTableTest, MergesClassesWhenASourceGoes) {
  table_.add_source(pieces({0, 1, 2, 3, 4}));
  const SourceSlot second = table_.add_source(pieces({0, 1}));
  table_.remove_source(second);
  EXPECT_EQ(all_owners(), "0 0 0 0 0  ");
  EXPECT_EQ(table_.class_of(base::PieceIndex(0)), table_.class_of(base::PieceIndex(4)));
}

TEST_F(PieceTableTest, KnowsWhatNobodyCanGive) {
  EXPECT_EQ(table_.hopeless(), 5u);
  const SourceSlot source = table_.add_source(pieces({0}));
  table_.reclassify_all();
  EXPECT_EQ(table_.hopeless(), 0u);
  table_.deny(source, base::PieceIndex(3));
  EXPECT_EQ(table_.hopeless(), 1u);
  table_.remove_source(source);
  table_.reclassify_all();
  EXPECT_EQ(table_.hopeless(), 5u);
}

TEST_F(PieceTableTest, GivesTheLowestOpenPieceOfAClass) {
  const SourceSlot source = table_.add_source(pieces({0, 1, 2, 3, 4}));
  table_.reclassify_all();
  const ClassId group = table_.class_of(base::PieceIndex(0));
  table_.request(source, base::PieceIndex(0));
  table_.reclassify_all();
  table_.request(source, base::PieceIndex(1));
  EXPECT_EQ(table_.lowest_open(group), base::PieceIndex(2));
  table_.end_request(source, base::PieceIndex(0));
  EXPECT_EQ(table_.lowest_open(group), base::PieceIndex(0));
}

TEST_F(PieceTableTest, OffersADoubledPieceToTheOthersOnly) {
  const SourceSlot first = table_.add_source(pieces({0, 1, 2, 3, 4}));
  const SourceSlot second = table_.add_source(pieces({0}));
  plan_.set_ready(first, true);
  plan_.set_ready(second, true);
  table_.reclassify_all();
  table_.request(first, base::PieceIndex(0));
  table_.begin_doubling(base::PieceIndex(0));
  EXPECT_EQ(owners(0), "1");
  EXPECT_EQ(plan_.assigned(second), 1u);
  table_.reclassify_all();
  table_.request(second, base::PieceIndex(0));
  EXPECT_EQ(table_.holders(base::PieceIndex(0)).size(), 2u);
  table_.end_request(first, base::PieceIndex(0));
  EXPECT_EQ(table_.state(base::PieceIndex(0)), State::requested);
  EXPECT_EQ(owners(0), "01");
}

TEST_F(PieceTableTest, ClosesADoubledPieceAgainWhenItArrives) {
  const SourceSlot first = table_.add_source(pieces({0}));
  const SourceSlot second = table_.add_source(pieces({0}));
  plan_.set_ready(second, true);
  table_.reclassify_all();
  table_.request(first, base::PieceIndex(0));
  table_.begin_doubling(base::PieceIndex(0));
  table_.begin_verifying(base::PieceIndex(0));
  table_.end_request(first, base::PieceIndex(0));
  EXPECT_EQ(plan_.pick(second) ? owners(table_.lowest_open(*plan_.pick(second)).value) : "", "01");  // 1..4, not 0
  table_.verify(base::PieceIndex(0));
  EXPECT_EQ(table_.unverified(), 4u);
}

TEST_F(PieceTableTest, ExpectsTheMeanOfTheKnownSizes) {
  EXPECT_FALSE(table_.expected_size(base::PieceIndex(0)));
  table_.set_size(base::PieceIndex(0), 100);
  table_.set_size(base::PieceIndex(1), 300);
  EXPECT_EQ(table_.expected_size(base::PieceIndex(0)), 100);
  EXPECT_EQ(table_.expected_size(base::PieceIndex(2)), 200);
  table_.forget_size(base::PieceIndex(1));
  EXPECT_EQ(table_.expected_size(base::PieceIndex(2)), 100);
}

TEST(PieceTable, AgreesWithAPlainRecordThroughRandomChanges) {
  base::Rng rng(11);
  for (int round = 0; round < 30; ++round) {
    constexpr std::uint32_t kPieces = 40;
    Plan plan;
    PieceTable table(kPieces, {}, plan, rng.fork());
    std::vector<std::vector<bool>> lists, denied;
    std::vector<bool> is_gone;
    for (int change = 0; change < 60; ++change) {
      if (lists.size() < 3 || rng.chance(0.15)) {
        std::vector<base::PieceIndex> listed;
        lists.emplace_back(kPieces);
        denied.emplace_back(kPieces);
        is_gone.push_back(false);
        const double share = rng.unit();
        for (std::uint32_t piece = 0; piece < kPieces; ++piece) {
          if (rng.chance(0.1) ? rng.chance(share) : share > 0.5) listed.emplace_back(piece);
        }
        for (const base::PieceIndex piece : listed) lists.back()[piece.value] = true;
        plan.set_ready(table.add_source(listed), rng.chance(0.7));
      } else if (rng.chance(0.1)) {
        const auto slot = static_cast<std::uint32_t>(rng.below(lists.size()));
        table.remove_source(SourceSlot(slot));
        is_gone[slot] = true;
      } else {
        const auto slot = static_cast<std::uint32_t>(rng.below(lists.size()));
        const auto piece = static_cast<std::uint32_t>(rng.below(kPieces));
        table.deny(SourceSlot(slot), base::PieceIndex(piece));
        denied[slot][piece] = true;
      }
      if (rng.chance(0.5)) continue;
      table.reclassify_all();
      for (std::uint32_t piece = 0; piece < kPieces; ++piece) {
        std::vector<SourceSlot> listed, others;
        for (std::uint32_t slot = 0; slot < lists.size(); ++slot) {
          if (is_gone[slot] || denied[slot][piece]) continue;
          (lists[slot][piece] ? listed : others).emplace_back(slot);
        }
        const auto owners = plan.owners(table.class_of(base::PieceIndex(piece)));
        ASSERT_TRUE(std::ranges::equal(owners, listed.empty() ? others : listed)) << "round " << round;
      }
    }
  }
}

}  // namespace
}  // namespace shoal::swarm
