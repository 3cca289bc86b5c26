// What every PieceStore does, whatever it stores in. A store takes part with a StoreBench and one line:
//   INSTANTIATE_TEST_SUITE_P(Name, PieceStoreConformance, ::testing::Values(make_bench_function));
// and, when it takes pieces of any size because no manifest tells it theirs, a second line for AnyLayoutConformance.
#pragma once

#include <memory>
#include <thread>

#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {

class StoreBench {
 public:
  virtual ~StoreBench() = default;
  virtual PieceStore& store() = 0;
  // The program ended without finish() and starts again in the same place.
  virtual void restart() = 0;
  // The whole file under its final name, if it is there.
  virtual std::optional<base::Bytes> result(const metainfo::Manifest& manifest) = 0;
  // Its manifests have a layout; then all pieces but the last are of one size.
  [[nodiscard]] virtual bool needs_layout() const { return false; }
};

class PieceStoreConformance : public ::testing::TestWithParam<std::unique_ptr<StoreBench> (*)()> {
 protected:
  void SetUp() override { bench_ = GetParam()(); }

  PieceStore& store() { return bench_->store(); }
  std::vector<seam::HeldPiece> open(const CutFile& file) {
    auto held = store().open(bench_->needs_layout() ? file.with_layout() : file.manifest);
    EXPECT_TRUE(held) << held.error().message;
    return held ? *held : std::vector<seam::HeldPiece>{};
  }
  void expect_finished(const CutFile& file) {
    const auto path = store().finish();
    ASSERT_TRUE(path) << path.error().message;
    EXPECT_TRUE(bench_->result(file.manifest) == file.whole()) << *path;
  }

  std::unique_ptr<StoreBench> bench_;
};

class AnyLayoutConformance : public PieceStoreConformance {};

TEST_P(PieceStoreConformance, HoldsNothingInAFreshPlace) {
  const CutFile file = CutFile::regular(3, 1000, 700);
  EXPECT_TRUE(open(file).empty());
  EXPECT_FALSE(bench_->result(file.manifest));
}

TEST_P(PieceStoreConformance, MakesTheFileFromPiecesInAnyOrder) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    bench_ = GetParam()();
    const CutFile file = CutFile::regular(9, 1000, 700);
    open(file);
    std::vector<std::uint32_t> order = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    base::Rng rng(seed);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
    for (const std::uint32_t piece : order) put(store(), file, piece);
    expect_finished(file);
  }
}

TEST_P(PieceStoreConformance, GivesNoResultBeforeItIsFinished) {
  const CutFile file = CutFile::regular(2, 1000, 700);
  open(file);
  put(store(), file, 0);
  put(store(), file, 1);
  EXPECT_FALSE(bench_->result(file.manifest));
  expect_finished(file);
}

TEST_P(PieceStoreConformance, RefusesBytesThatDoNotMatchAndTakesTheRightOnesLater) {
  const CutFile file = CutFile::regular(3, 1000, 700);
  open(file);
  base::Bytes wrong = file.pieces[1];
  wrong[500] ^= std::byte{1};
  send(store(), seam::WriteId(1), file, 1, wrong);
  EXPECT_EQ(store().complete(seam::WriteId(1)), false);
  for (const std::uint32_t piece : {0u, 1u, 2u}) put(store(), file, piece);
  expect_finished(file);
}

TEST_P(PieceStoreConformance, RefusesAPieceThatIsCompletedTooEarly) {
  const CutFile file = CutFile::regular(2, 1000, 700);
  open(file);
  ASSERT_TRUE(store().begin(seam::WriteId(1), file.places_of(0), 2000));
  ASSERT_TRUE(store().put(seam::WriteId(1), 0, file.pieces[0]));
  EXPECT_EQ(store().complete(seam::WriteId(1)), false);
}

TEST_P(PieceStoreConformance, ForgetsAnAbandonedPiece) {
  const CutFile file = CutFile::regular(3, 1000, 700);
  open(file);
  send(store(), seam::WriteId(1), file, 0, file.pieces[0]);
  store().abandon(seam::WriteId(1));
  bench_->restart();
  EXPECT_TRUE(open(file).empty());
}

TEST_P(PieceStoreConformance, FillsEveryPlaceOfARepeatedPiece) {
  const base::Bytes zeros(1000);
  const CutFile file({zeros, make_content(1000), zeros, zeros, make_content(1000, 2), zeros});
  open(file);
  put(store(), file, 0);
  bench_->restart();
  EXPECT_EQ(open(file), file.held({0, 2, 3, 5}));
  put(store(), file, 1);
  put(store(), file, 4);
  expect_finished(file);
}

TEST_P(PieceStoreConformance, MakesAFileWhosePiecesAreAllTheSame) {
  const CutFile file(std::vector<base::Bytes>(40, make_content(300)));
  open(file);
  put(store(), file, 0);
  expect_finished(file);
}

TEST_P(AnyLayoutConformance, TakesAShorterLastPieceThatAppearsEarlierToo) {
  const base::Bytes shorter = make_content(400);
  const CutFile file({make_content(1000, 2), shorter, make_content(1000, 3), shorter});
  open(file);
  for (const std::uint32_t piece : {1u, 2u, 0u}) put(store(), file, piece);
  expect_finished(file);
}

TEST_P(PieceStoreConformance, HoldsVerifiedPiecesAfterARestart) {
  const CutFile file = CutFile::regular(6, 1000, 700);
  open(file);
  for (const std::uint32_t piece : {5u, 1u, 3u}) put(store(), file, piece);
  send(store(), seam::WriteId(1), file, 0, file.pieces[0]);  // never completed
  bench_->restart();
  EXPECT_EQ(open(file), file.held({1, 3, 5}));
  for (const std::uint32_t piece : {0u, 2u, 4u}) put(store(), file, piece);
  expect_finished(file);
}

TEST_P(AnyLayoutConformance, StartsAfreshForAnotherFile) {
  const CutFile first = CutFile::regular(4, 1000, 700);
  open(first);
  put(store(), first, 1);
  bench_->restart();
  const CutFile second({make_content(500, 11), make_content(500, 12)});
  EXPECT_TRUE(open(second).empty());
  put(store(), second, 1);
  put(store(), second, 0);
  expect_finished(second);
}

// The ways two writers of the same piece can end, the slower one last.
enum class Ending : std::uint8_t { right, wrong, abandoned };

TEST_P(PieceStoreConformance, KeepsAVerifiedPieceWhateverASecondWriterDoes) {
  for (const bool first_begun_wins : {true, false}) {
    for (const Ending ending : {Ending::right, Ending::wrong, Ending::abandoned}) {
      bench_ = GetParam()();
      const CutFile file = CutFile::regular(3, 1000, 700);
      open(file);
      put(store(), file, 0);
      const seam::WriteId winner(first_begun_wins ? 1 : 2);
      const seam::WriteId loser(first_begun_wins ? 2 : 1);
      ASSERT_TRUE(store().begin(seam::WriteId(1), file.places_of(1), 1000));
      ASSERT_TRUE(store().begin(seam::WriteId(2), file.places_of(1), 1000));
      base::Bytes late = file.pieces[1];
      if (ending != Ending::right) std::ranges::fill(late, std::byte{0xee});
      ASSERT_TRUE(store().put(loser, 0, base::ByteView(late).first(300)));
      ASSERT_TRUE(store().put(winner, 0, file.pieces[1]));
      EXPECT_EQ(store().complete(winner), true);
      ASSERT_TRUE(store().put(loser, 300, base::ByteView(late).subspan(300)));
      if (ending == Ending::abandoned) {
        store().abandon(loser);
      } else {
        EXPECT_EQ(store().complete(loser), ending == Ending::right);
      }
      bench_->restart();
      EXPECT_EQ(open(file), file.held({0, 1}));
      put(store(), file, 2);
      expect_finished(file);
    }
  }
}

TEST_P(PieceStoreConformance, SurvivesALieAboutTheSizeOfTheFirstPiece) {
  for (const std::size_t lie : {1u, 400u, 1700u, 50000u}) {
    for (const bool ends_early : {true, false}) {
      bench_ = GetParam()();
      const CutFile file = CutFile::regular(5, 1000, 700);
      open(file);
      send(store(), seam::WriteId(1), file, 2, make_content(lie, 99));
      if (ends_early) {
        EXPECT_EQ(store().complete(seam::WriteId(1)), false);
      }
      for (const std::uint32_t piece : {4u, 0u, 3u, 2u, 1u}) put(store(), file, piece);
      if (!ends_early) {
        EXPECT_EQ(store().complete(seam::WriteId(1)), false);
      }
      expect_finished(file);
    }
  }
}

TEST_P(AnyLayoutConformance, MakesARightFileFromPiecesOfOddSizes) {
  const CutFile file({make_content(1000, 1), make_content(10, 2), make_content(3000, 3), make_content(1000, 4),
                      make_content(999, 5), make_content(2500, 6)});
  open(file);
  for (const std::uint32_t piece : {5u, 3u, 1u}) put(store(), file, piece);
  bench_->restart();
  EXPECT_EQ(open(file), file.held({1, 3, 5}));
  for (const std::uint32_t piece : {4u, 0u, 2u}) put(store(), file, piece);
  expect_finished(file);
}

TEST_P(AnyLayoutConformance, TakesPiecesWithoutBytes) {
  const CutFile file({make_content(1000), base::Bytes{}, make_content(1000, 2), base::Bytes{}});
  open(file);
  for (const std::uint32_t piece : {1u, 0u, 2u}) put(store(), file, piece);
  expect_finished(file);
}

TEST_P(PieceStoreConformance, MakesAnEmptyFile) {
  const CutFile file(std::vector<base::Bytes>{});
  EXPECT_TRUE(open(file).empty());
  expect_finished(file);
}

TEST_P(PieceStoreConformance, MakesAFileOfOnePiece) {
  const CutFile file({make_content(12345)});
  open(file);
  send(store(), seam::WriteId(1), file, 0, make_content(20000, 7));  // longer, and wrong
  EXPECT_EQ(store().complete(seam::WriteId(1)), false);
  put(store(), file, 0);
  bench_->restart();
  EXPECT_EQ(open(file), file.held({0}));
  expect_finished(file);
}

TEST_P(PieceStoreConformance, TakesDifferentPiecesFromSeveralThreadsAtOnce) {
  const std::uint32_t count = 64;
  CutFile file = CutFile::regular(count, 3000, 100);
  for (std::uint32_t i = 0; i < count; i += 8) file.pieces[i] = file.pieces[8];
  file = CutFile(file.pieces);
  open(file);
  std::vector<std::jthread> threads;
  for (std::uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint32_t i = 0; i < count; ++i) {
        if (i % 4 == t || i % 5 == t) put(store(), file, i, 1 + t * count + i);  // some of them twice
      }
    });
  }
  threads.clear();
  expect_finished(file);
}

// Sources that lie, repeat each other and vanish, and a program that is restarted at any time.
TEST_P(PieceStoreConformance, EndsWithTheRightFileAfterAnyHistory) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    bench_ = GetParam()();
    base::Rng rng(seed);
    std::vector<base::Bytes> parts;
    const std::uint64_t count = 1 + rng.below(12);
    const std::uint64_t usual = 1 + rng.below(600);
    const bool is_odd = rng.chance(0.3) && !bench_->needs_layout();
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint64_t size = i + 1 == count || (is_odd && rng.chance(0.4)) ? rng.below(900) : usual;
      if (bench_->needs_layout()) size = std::clamp<std::uint64_t>(size, 1, usual);
      parts.push_back(make_content(size, rng.chance(0.2) ? 7 : 100 + i));
    }
    const CutFile file(std::move(parts));
    open(file);
    std::vector<bool> is_verified(count);
    struct Writer {
      seam::WriteId id;
      std::uint32_t piece;
      base::Bytes rest;
      bool is_right;
      std::uint64_t sent_bytes = 0;
    };
    std::vector<Writer> writers;
    for (std::uint64_t step = 1; step <= 120; ++step) {
      const std::uint64_t choice = rng.below(10);
      if (choice < 3) {
        const auto piece = static_cast<std::uint32_t>(rng.below(count));
        const bool is_right = rng.chance(0.6);
        base::Bytes bytes = is_right ? file.pieces[piece] : make_content(rng.below(1500), 5000 + step);
        ASSERT_TRUE(store().begin(seam::WriteId(step), file.places_of(piece), bytes.size()));
        writers.push_back({seam::WriteId(step), piece, std::move(bytes), is_right || bytes == file.pieces[piece]});
      } else if (choice < 9 && !writers.empty()) {
        const std::size_t which = rng.below(writers.size());
        Writer& writer = writers[which];
        const std::size_t part = rng.chance(0.5) ? writer.rest.size() : rng.below(writer.rest.size() + 1);
        ASSERT_TRUE(store().put(writer.id, writer.sent_bytes, base::ByteView(writer.rest).first(part)));
        writer.sent_bytes += part;
        writer.rest.erase(writer.rest.begin(), writer.rest.begin() + static_cast<std::ptrdiff_t>(part));
        if (!writer.rest.empty() && !rng.chance(0.1)) continue;
        if (writer.rest.empty()) {
          EXPECT_EQ(store().complete(writer.id), writer.is_right);
          if (writer.is_right) {
            for (const base::PieceIndex place : file.places_of(writer.piece)) is_verified[place.value] = true;
          }
        } else {
          store().abandon(writer.id);
        }
        writers.erase(writers.begin() + static_cast<std::ptrdiff_t>(which));
      } else if (choice == 9 && rng.chance(0.3)) {
        bench_->restart();
        writers.clear();
        std::vector<std::uint32_t> expected;
        for (std::uint32_t i = 0; i < count; ++i) {
          if (is_verified[i]) expected.push_back(i);
        }
        ASSERT_EQ(open(file), file.held(expected));
      }
    }
    for (const Writer& writer : writers) store().abandon(writer.id);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!is_verified[i]) put(store(), file, i);
    }
    expect_finished(file);
    if (HasFailure()) return;
  }
}

}  // namespace shoal::storage::testing
