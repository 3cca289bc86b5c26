#include "storage/chunk_directory.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <latch>
#include <thread>

#include "unit/storage/storage_fixture.hpp"

namespace shoal::storage::testing {
namespace {

class ChunkDirectoryTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path path_of(const base::Sha1Hash& hash) const {
    return folder_.path() / "alice" / (hash.to_hex() + ".bin");
  }
  base::Sha1Hash add(base::ByteView content) {
    const base::Sha1Hash hash = base::sha1(content);
    write_file(path_of(hash), content);
    return hash;
  }
  // Verdicts on a file changed a moment ago are not kept: asks until this one is.
  void settle(const base::Sha1Hash& hash) {
    while (!library_.look_up_verified(hash)) library_.look_up(hash);
  }
  static base::Bytes content_of(const seam::ReadablePiece& piece) {
    base::Bytes content(piece.size_bytes());
    EXPECT_EQ(piece.read_at(0, content), content.size());
    return content;
  }

  TemporaryFolder folder_;
  ChunkDirectory library_{folder_.path() / "alice"};
  const base::Bytes content_ = make_content(300'000);
};

TEST_F(ChunkDirectoryTest, FindsNothingWhileItsFolderIsMissingAndServesItOnceItAppears) {
  const base::Sha1Hash hash = base::sha1(content_);
  EXPECT_EQ(library_.look_up_verified(hash), seam::ReadablePiecePtr{});
  EXPECT_EQ(library_.look_up(hash), nullptr);
  add(content_);
  const auto piece = library_.look_up(hash);
  ASSERT_NE(piece, nullptr);
  EXPECT_TRUE(content_of(*piece) == content_);
}

TEST_F(ChunkDirectoryTest, AsksForHashingBeforeItTrustsAFileAndNotAgain) {
  const base::Sha1Hash hash = add(content_);
  EXPECT_FALSE(library_.look_up_verified(hash).has_value());
  settle(hash);
  const auto piece = library_.look_up_verified(hash);
  ASSERT_TRUE(piece && *piece);
  EXPECT_TRUE(content_of(**piece) == content_);
}

TEST_F(ChunkDirectoryTest, GivesADescriptorThatReadsThePiece) {
  const auto piece = library_.look_up(add(content_));
  ASSERT_NE(piece, nullptr);
  base::Bytes read(1000);
  ASSERT_EQ(::pread(piece->file_descriptor(), read.data(), read.size(), static_cast<off_t>(piece->file_offset())),
            1000);
  EXPECT_TRUE(std::ranges::equal(read, base::ByteView(content_).first(1000)));
}

TEST_F(ChunkDirectoryTest, ReadsAcrossTheEndOnlyWhatIsThere) {
  const auto piece = library_.look_up(add(content_));
  ASSERT_NE(piece, nullptr);
  base::Bytes target(100);
  EXPECT_EQ(piece->read_at(content_.size() - 40, target), 40u);
  EXPECT_EQ(piece->read_at(content_.size(), target), 0u);
}

TEST_F(ChunkDirectoryTest, DoesNotGiveAFileThatDoesNotMatchItsName) {
  const base::Sha1Hash hash = base::sha1(content_);
  write_file(path_of(hash), make_content(300'000, 2));
  EXPECT_EQ(library_.look_up(hash), nullptr);
  settle(hash);
  EXPECT_EQ(library_.look_up_verified(hash), seam::ReadablePiecePtr{});
}

TEST_F(ChunkDirectoryTest, NoticesThatAFileWasRemoved) {
  const base::Sha1Hash hash = add(content_);
  settle(hash);
  std::filesystem::remove(path_of(hash));
  EXPECT_EQ(library_.look_up_verified(hash), seam::ReadablePiecePtr{});
  EXPECT_EQ(library_.look_up(hash), nullptr);
}

TEST_F(ChunkDirectoryTest, NoticesThatAFileWasDamagedInPlace) {
  const base::Sha1Hash hash = add(content_);
  settle(hash);
  base::Bytes damaged = content_;
  damaged[1234] ^= std::byte{1};
  const UniqueFd fd(::open(path_of(hash).c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(write_all_at(fd.get(), damaged, 0));
  EXPECT_FALSE(library_.look_up_verified(hash).has_value());
  EXPECT_EQ(library_.look_up(hash), nullptr);
}

TEST_F(ChunkDirectoryTest, NoticesThatAWrongFileWasRepaired) {
  const base::Sha1Hash hash = base::sha1(content_);
  write_file(path_of(hash), base::ByteView(content_).first(1000));  // truncated
  settle(hash);
  add(content_);
  EXPECT_NE(library_.look_up(hash), nullptr);
}

TEST_F(ChunkDirectoryTest, KeepsReadingAPieceThatWasRemovedMeanwhile) {
  const base::Sha1Hash hash = add(content_);
  const auto piece = library_.look_up(hash);
  std::filesystem::remove(path_of(hash));
  ASSERT_NE(piece, nullptr);
  EXPECT_TRUE(content_of(*piece) == content_);
}

TEST_F(ChunkDirectoryTest, ServesAChunkWithoutBytes) {
  const auto piece = library_.look_up(add({}));
  ASSERT_NE(piece, nullptr);
  EXPECT_EQ(piece->size_bytes(), 0u);
}

TEST_F(ChunkDirectoryTest, OpensOnlyPlainFilesOfItsOwn) {
  const base::Sha1Hash hash = base::sha1(content_);
  const std::filesystem::path outside = folder_.path() / "outside";
  write_file(outside, content_);
  std::filesystem::create_directories(folder_.path() / "alice");

  std::filesystem::create_symlink(outside, path_of(hash));
  EXPECT_EQ(library_.look_up(hash), nullptr) << "a link";
  std::filesystem::remove(path_of(hash));
  std::filesystem::create_directory(path_of(hash));
  EXPECT_EQ(library_.look_up(hash), nullptr) << "a folder";
  std::filesystem::remove(path_of(hash));
  ASSERT_EQ(::mkfifo(path_of(hash).c_str(), 0600), 0);
  EXPECT_EQ(library_.look_up(hash), nullptr) << "a pipe";
  EXPECT_EQ(library_.look_up_verified(hash), seam::ReadablePiecePtr{});
}

TEST_F(ChunkDirectoryTest, GivesManyAskersAtOnceTheSamePiece) {
  const base::Bytes big = make_content(8 << 20);
  const base::Sha1Hash hash = add(big);
  constexpr int kAskers = 8;
  std::latch all_ready(kAskers);
  std::atomic<int> found = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kAskers; ++i) {
    threads.emplace_back([&] {
      all_ready.arrive_and_wait();
      const auto piece = library_.look_up(hash);
      if (piece != nullptr && piece->size_bytes() == big.size()) ++found;
    });
  }
  threads.clear();
  EXPECT_EQ(found, kAskers);
}

TEST_F(ChunkDirectoryTest, AnswersEveryAskerWhileTheFileChangesUnderThem) {
  const base::Sha1Hash hash = base::sha1(content_);
  add(content_);
  std::atomic<bool> is_over = false;
  std::vector<std::jthread> askers;
  for (int i = 0; i < 3; ++i) {
    askers.emplace_back([&] {
      while (!is_over) {
        const auto piece = library_.look_up(hash);
        if (piece != nullptr) {
          EXPECT_EQ(piece->size_bytes(), content_.size());
        }
      }
    });
  }
  for (int round = 0; round < 30; ++round) {
    write_file(path_of(hash), base::ByteView(content_).first(1000));
    const std::filesystem::path fresh = folder_.path() / "fresh";
    write_file(fresh, content_);
    std::filesystem::rename(fresh, path_of(hash));
  }
  is_over = true;
  askers.clear();
  EXPECT_NE(library_.look_up(hash), nullptr);
}

}  // namespace
}  // namespace shoal::storage::testing
