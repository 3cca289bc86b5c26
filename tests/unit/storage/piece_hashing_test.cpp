#include "storage/piece_hashing.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "storage_fixture.hpp"

namespace shoal::storage {
namespace {

using testing::make_content;
using testing::TemporaryFolder;
using testing::write_file;

constexpr std::uint32_t kPieceBytes = 1000;

// Files f0, f1, ... on the disk, one behind the other.
class HashPieces : public ::testing::Test {
 protected:
  void add_file(std::size_t bytes, bool is_padding = false) {
    const std::string name = "f" + std::to_string(layout_.files.size());
    layout_.files.push_back(
        {.path = {name}, .offset_bytes = whole_.size(), .size_bytes = bytes, .is_padding = is_padding});
    const base::Bytes content = is_padding ? base::Bytes(bytes) : make_content(bytes, layout_.files.size());
    if (!is_padding) write_file(folder_.path() / name, content);
    whole_.insert(whole_.end(), content.begin(), content.end());
  }
  // Enough that each processor takes two at a time.
  static std::size_t many() { return 40 * std::size_t{std::max(1u, std::thread::hardware_concurrency())}; }

  using Result = std::expected<base::Sha1Hash, std::size_t>;
  std::vector<Result> hashed() {
    metainfo::Manifest manifest;
    layout_.piece_bytes = kPieceBytes;
    layout_.total_bytes = whole_.size();
    manifest.pieces.resize((whole_.size() + kPieceBytes - 1) / kPieceBytes);
    manifest.layout = layout_;
    std::vector<Result> results(manifest.pieces.size());
    std::vector<int> times(manifest.pieces.size());
    std::mutex mutex;
    hash_pieces({.manifest = &manifest,
                 .open = [&](std::size_t file) -> std::optional<UniqueFd> {
                   auto opened =
                       open_plain_file(AT_FDCWD, (folder_.path() / layout_.files[file].path.front()).c_str(), O_RDONLY);
                   return opened ? std::optional(std::move(opened->fd)) : std::nullopt;
                 },
                 .on_hashed =
                     [&](base::PieceIndex piece, const Result& result) {
                       const std::lock_guard guard(mutex);
                       results[piece.value] = result;
                       ++times[piece.value];
                     },
                 .progress = [this](std::uint64_t bytes) { progress_.push_back(bytes); }});
    EXPECT_EQ(times, std::vector(times.size(), 1));
    return results;
  }
  [[nodiscard]] base::Sha1Hash wanted(std::size_t piece) const {
    const base::ByteView rest = base::ByteView(whole_).subspan(piece * kPieceBytes);
    return base::sha1(rest.first(std::min<std::size_t>(kPieceBytes, rest.size())));
  }

  TemporaryFolder folder_;
  metainfo::Layout layout_{.is_folder = true};
  base::Bytes whole_;
  std::vector<std::uint64_t> progress_;
};

TEST_F(HashPieces, EachPieceOnceAndRight) {
  for (std::size_t i = 0; i < many(); ++i) add_file(1 + i * 37 % 2500);
  add_file(1);
  const auto results = hashed();
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i], wanted(i)) << i;
  EXPECT_TRUE(std::ranges::is_sorted(progress_));
  EXPECT_EQ(progress_.back(), whole_.size());
}

TEST_F(HashPieces, FewPiecesAndALastShortOne) {
  add_file(2 * kPieceBytes + 1);
  const auto results = hashed();
  ASSERT_EQ(results.size(), 3u);
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i], wanted(i));
}

TEST_F(HashPieces, AFileThatIsNotThereSpoilsItsOwnPiecesOnly) {
  for (std::size_t i = 0; i < many(); ++i) add_file(kPieceBytes);
  for (std::size_t i = 3; i < many(); i += 4) std::filesystem::remove(folder_.path() / layout_.files[i].path.front());
  // Both of a pair.
  std::filesystem::remove(folder_.path() / layout_.files[2].path.front());
  const auto results = hashed();
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i], i % 4 == 3 || i == 2 ? Result(std::unexpected(i)) : Result(wanted(i))) << i;
  }
}

TEST_F(HashPieces, AFileThatEndsEarlySpoilsThePiecesBehindItsEnd) {
  add_file(many() * kPieceBytes);
  const std::size_t whole_pieces = many() / 2;
  std::filesystem::resize_file(folder_.path() / "f0", whole_pieces * kPieceBytes + 1);
  const auto results = hashed();
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i], i < whole_pieces ? Result(wanted(i)) : Result(std::unexpected(0))) << i;
  }
}

TEST_F(HashPieces, PaddingIsZerosAndIsNotOpened) {
  for (std::size_t i = 0; i < many(); ++i) {
    add_file(600);
    add_file(kPieceBytes - 600, true);
  }
  add_file(0);
  add_file(3 * kPieceBytes, true);
  const auto results = hashed();
  for (std::size_t i = 0; i < results.size(); ++i) EXPECT_EQ(results[i], wanted(i)) << i;
}

TEST_F(HashPieces, NothingToHash) {
  add_file(0);
  EXPECT_TRUE(hashed().empty());
}

}  // namespace
}  // namespace shoal::storage
