#include "storage/share_files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <mutex>

#include "golden/torrent_golden.hpp"
#include "metainfo/torrent.hpp"
#include "storage_fixture.hpp"

namespace shoal::storage {
namespace {

namespace fs = std::filesystem;
using State = FileCheck::State;
using testing::make_content;
using testing::TemporaryFolder;
using testing::write_file;

constexpr std::uint32_t kPieceBytes = 16 * 1024;

class ShareFiles : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path at(const std::string& path) const { return folder_.path() / path; }
  void fill(const std::string& path, std::size_t bytes, std::uint64_t seed) const {
    write_file(at(path), make_content(bytes, seed));
  }
  // Three files: the pieces are a's alone, a's with b's and c's, c's alone.
  void make_box() const {
    fill("box/a", kPieceBytes + 100, 1);
    fill("box/b", 50, 2);
    fill("box/c", 2 * kPieceBytes - 150, 3);
  }

  [[nodiscard]] metainfo::Manifest hashed(const std::string& path, std::uint32_t piece_bytes = kPieceBytes) const {
    const auto share = scan_share(at(path), piece_bytes);
    EXPECT_TRUE(share) << share.error().message;
    auto pieces = hash_share(*share);
    EXPECT_TRUE(pieces) << pieces.error().message;
    return {.name = share->name, .pieces = std::move(*pieces), .layout = share->layout};
  }
  [[nodiscard]] ShareCheck checked(const metainfo::Manifest& manifest, const std::string& path) const {
    return check_share(manifest, at(path));
  }
  void overwrite(const std::string& path, std::uint64_t offset) const {
    std::fstream file(at(path), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put('!').put('?');
    ASSERT_TRUE(file.good());
  }

  TemporaryFolder folder_;
};

std::vector<State> states(const ShareCheck& check) {
  std::vector<State> states;
  for (const FileCheck& file : check.files) states.push_back(file.state);
  return states;
}

TEST_F(ShareFiles, HashesTheGoldenFile) {
  write_file(at("hello.txt"), golden::kFileContent);
  auto share = scan_share(at("hello.txt"), 10);
  ASSERT_TRUE(share);
  const auto pieces = hash_share(*share);
  ASSERT_TRUE(pieces);
  const auto torrent = metainfo::make_torrent({.name = share->name, .pieces = *pieces, .layout = share->layout}, false);
  EXPECT_EQ(torrent.info_hash.to_hex(), golden::kHelloInfoHash);
}

TEST_F(ShareFiles, PiecesGoOverTheBordersOfFiles) {
  make_box();
  fill("box/bb", 0, 4);
  std::string whole;
  for (const std::string path : {"box/a", "box/b", "box/c"}) whole += base::text_of(*testing::read_file(at(path)));
  for (const std::uint32_t piece_bytes : {1000u, 16384u, 65536u, 1u << 20}) {
    const metainfo::Manifest manifest = hashed("box", piece_bytes);
    ASSERT_EQ(manifest.pieces.size(), (whole.size() + piece_bytes - 1) / piece_bytes);
    for (std::size_t i = 0; i < manifest.pieces.size(); ++i) {
      EXPECT_EQ(manifest.pieces[i], base::sha1(base::view_of(whole.substr(i * piece_bytes, piece_bytes))));
    }
  }
}

TEST_F(ShareFiles, ManySmallFilesMakeOnePiece) {
  std::string whole;
  for (int i = 100; i < 400; ++i) {
    write_file(at("box/" + std::to_string(i)), std::to_string(i));
    whole += std::to_string(i);
  }
  EXPECT_EQ(hashed("box").pieces, std::vector{base::sha1(base::view_of(whole))});
}

TEST_F(ShareFiles, AnEmptyFileHasNoPieces) {
  write_file(at("empty"), "");
  const metainfo::Manifest manifest = hashed("empty");
  EXPECT_TRUE(manifest.pieces.empty());
  EXPECT_TRUE(checked(manifest, "empty").is_all_right());
}

TEST_F(ShareFiles, TellsHowMuchWasRead) {
  make_box();
  const auto share = scan_share(at("box"), kPieceBytes);
  ASSERT_TRUE(share);
  std::vector<std::uint64_t> told;
  ASSERT_TRUE(hash_share(*share, [&](std::uint64_t bytes) { told.push_back(bytes); }));
  EXPECT_EQ(told.size(), 3u);
  EXPECT_TRUE(std::ranges::is_sorted(told));
  EXPECT_EQ(told.back(), share->layout.total_bytes);
}

TEST_F(ShareFiles, AFileThatChangedSinceTheScanIsNotHashed) {
  for (const bool grows : {true, false}) {
    make_box();
    const auto share = scan_share(at("box"), kPieceBytes);
    ASSERT_TRUE(share);
    fs::resize_file(at("box/b"), grows ? 51 : 49);
    const auto pieces = hash_share(*share);
    ASSERT_FALSE(pieces);
    EXPECT_EQ(pieces.error().kind, ShareError::Kind::changed);
    EXPECT_NE(pieces.error().message.find("box/b"), std::string::npos) << pieces.error().message;
  }
}

TEST_F(ShareFiles, AFileThatChangesAfterItsPiecesWereReadIsFoundAtTheEnd) {
  fill("box/a", 5 * kPieceBytes, 1);
  const auto share = scan_share(at("box"), kPieceBytes);
  ASSERT_TRUE(share);
  const auto pieces = hash_share(*share, [&](std::uint64_t bytes) {
    if (bytes == share->layout.total_bytes) fs::resize_file(at("box/a"), 5 * kPieceBytes + 1);
  });
  ASSERT_FALSE(pieces);
  EXPECT_EQ(pieces.error().kind, ShareError::Kind::changed);
}

TEST_F(ShareFiles, AFileThatGoesAwayIsAnError) {
  make_box();
  const auto share = scan_share(at("box"), kPieceBytes);
  ASSERT_TRUE(share);
  fs::remove(at("box/c"));
  const auto pieces = hash_share(*share);
  ASSERT_FALSE(pieces);
  EXPECT_EQ(pieces.error().kind, ShareError::Kind::unreadable);
}

TEST_F(ShareFiles, WhatIsRightIsFoundRight) {
  make_box();
  fs::create_symlink("c", at("box/link"));
  const metainfo::Manifest manifest = hashed("box");
  const ShareCheck check = checked(manifest, "box");
  EXPECT_TRUE(check.is_all_right());
  EXPECT_EQ(check.right.count(), 3u);
  EXPECT_EQ(check.files[0].pieces, 2u);
  EXPECT_EQ(check.files[1].pieces, 1u);
}

TEST_F(ShareFiles, MoreFilesThanTheManifestsDoNotMatter) {
  make_box();
  const metainfo::Manifest manifest = hashed("box");
  fill("box/more", 10, 9);
  EXPECT_TRUE(checked(manifest, "box").is_all_right());
}

TEST_F(ShareFiles, WrongBytesAreFoundAndTheirFilesToo) {
  make_box();
  const metainfo::Manifest manifest = hashed("box");
  overwrite("box/c", kPieceBytes);
  ShareCheck check = checked(manifest, "box");
  EXPECT_EQ(states(check), (std::vector{State::right, State::right, State::wrong_bytes}));
  EXPECT_EQ(check.files[2].pieces_wrong, 1u);
  EXPECT_EQ(check.files[2].pieces, 2u);
  EXPECT_FALSE(check.right.test(base::PieceIndex(2)));
  EXPECT_EQ(check.right.count(), 2u);
  // Nobody can say whose bytes are wrong in a piece of three.
  overwrite("box/b", 0);
  check = checked(manifest, "box");
  EXPECT_EQ(states(check), std::vector(3, State::wrong_bytes));
  EXPECT_FALSE(check.is_all_right());
}

TEST_F(ShareFiles, AMissingFileIsToBlameForThePiecesItShares) {
  make_box();
  const metainfo::Manifest manifest = hashed("box");
  fs::remove(at("box/b"));
  const ShareCheck check = checked(manifest, "box");
  EXPECT_EQ(states(check), (std::vector{State::right, State::missing, State::right}));
  EXPECT_EQ(check.files[0].pieces_wrong, 1u);
  EXPECT_EQ(check.right.count(), 2u);
}

TEST_F(ShareFiles, AMissingEmptyFileIsFoundToo) {
  make_box();
  write_file(at("box/empty"), "");
  const metainfo::Manifest manifest = hashed("box");
  fs::remove(at("box/empty"));
  const ShareCheck check = checked(manifest, "box");
  EXPECT_TRUE(check.right.is_all());
  EXPECT_FALSE(check.is_all_right());
  EXPECT_EQ(check.files[3].state, State::missing);
}

TEST_F(ShareFiles, ATruncatedFileKeepsThePiecesItHas) {
  make_box();
  const metainfo::Manifest manifest = hashed("box");
  fs::resize_file(at("box/c"), kPieceBytes);
  const ShareCheck check = checked(manifest, "box");
  EXPECT_EQ(states(check), (std::vector{State::right, State::right, State::wrong_size}));
  EXPECT_EQ(check.files[2].size_bytes, kPieceBytes);
  EXPECT_EQ(check.right.count(), 2u);
}

TEST_F(ShareFiles, AFileThatIsTooLongIsWrongThoughItsPiecesAreRight) {
  make_box();
  const metainfo::Manifest manifest = hashed("box");
  fs::resize_file(at("box/c"), 3 * kPieceBytes);
  const ShareCheck check = checked(manifest, "box");
  EXPECT_TRUE(check.right.is_all());
  EXPECT_FALSE(check.is_all_right());
  EXPECT_EQ(check.files[2].state, State::wrong_size);
}

TEST_F(ShareFiles, SomethingElseInAFilesPlaceIsNotRead) {
  make_box();
  const metainfo::Manifest manifest = hashed("box");
  for (const std::string path : {"box/a", "box/b", "box/c"}) fs::rename(at(path), at(path + ".away"));
  fs::create_symlink("a.away", at("box/a"));
  fs::create_directories(at("box/b"));
  ASSERT_EQ(::mkfifo(at("box/c").c_str(), 0600), 0);
  const ShareCheck check = checked(manifest, "box");
  EXPECT_EQ(states(check), std::vector(3, State::wrong_kind));
  EXPECT_TRUE(check.right.is_none());
}

TEST_F(ShareFiles, LinksAreComparedByWhereTheyLead) {
  make_box();
  fs::create_symlink("c", at("box/link"));
  const metainfo::Manifest manifest = hashed("box");
  const auto with_link = [&](const std::string& target) {
    fs::remove(at("box/link"));
    fs::create_symlink(target, at("box/link"));
    return checked(manifest, "box").files.back().state;
  };
  EXPECT_EQ(with_link("./c"), State::right);
  EXPECT_EQ(with_link(fs::canonical(at("box/c")).native()), State::right);
  EXPECT_EQ(with_link("b"), State::wrong_link);
  EXPECT_EQ(with_link("../elsewhere"), State::wrong_link);
  fs::remove(at("box/link"));
  EXPECT_EQ(checked(manifest, "box").files.back().state, State::missing);
  write_file(at("box/link"), "");
  EXPECT_EQ(checked(manifest, "box").files.back().state, State::wrong_kind);
}

TEST_F(ShareFiles, PaddingIsZerosThatAreOnNoDisk) {
  write_file(at("box/bin/run"), golden::kBoxContent.substr(0, 10));
  write_file(at("box/notes/today"), "notes");
  write_file(at("box/empty"), "");
  fs::create_symlink("notes/today", at("box/latest"));
  const auto torrent = metainfo::parse_torrent(base::view_of(golden::kBoxTorrent));
  ASSERT_TRUE(torrent);
  const ShareCheck check = check_share(torrent->manifest, at("box"));
  EXPECT_TRUE(check.is_all_right());
}

TEST_F(ShareFiles, ALongRunOfPaddingIsHashedToo) {
  write_file(at("box/a"), "x");
  const std::size_t zeros = 3'000'000;
  const std::string whole = "x" + std::string(zeros, '\0');
  metainfo::Manifest manifest{
      .name = "box",
      .pieces = {base::sha1(base::view_of(whole))},
      .layout = metainfo::Layout{
          .piece_bytes = 4u << 20,
          .total_bytes = whole.size(),
          .is_folder = true,
          .files = {{.path = {"a"}, .offset_bytes = 0, .size_bytes = 1},
                    {.path = {".pad", "1"}, .offset_bytes = 1, .size_bytes = zeros, .is_padding = true}}}};
  EXPECT_TRUE(check_share(manifest, at("box")).is_all_right());
}

}  // namespace
}  // namespace shoal::storage
