#include "storage/share_scan.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "metainfo/paths.hpp"
#include "metainfo/torrent.hpp"
#include "storage_fixture.hpp"

namespace shoal::storage {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;
using testing::write_file;

class ShareScan : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path at(const std::string& path) const { return folder_.path() / path; }
  void file(const std::string& path, std::string_view text = "x") const { write_file(at(path), text); }
  void link(const std::string& path, const std::string& target) const { fs::create_symlink(target, at(path)); }

  [[nodiscard]] ScannedShare scanned(const std::string& path = "box") const {
    auto share = scan_share(at(path), std::nullopt);
    EXPECT_TRUE(share) << share.error().message;
    return share ? std::move(*share) : ScannedShare{};
  }
  // "path" or "path -> target" of each file.
  [[nodiscard]] std::string listed(const std::string& path = "box") const {
    std::string text;
    for (const metainfo::FileEntry& entry : scanned(path).layout.files) {
      text += (text.empty() ? "" : ", ") + metainfo::join_path(entry.path);
      if (!entry.link_target.empty()) text += " -> " + metainfo::join_path(entry.link_target);
    }
    return text;
  }
  void expect_refused(ShareError::Kind kind, const std::string& words, const std::string& path = "box") const {
    const auto share = scan_share(at(path), std::nullopt);
    ASSERT_FALSE(share);
    EXPECT_EQ(share.error().kind, kind);
    EXPECT_NE(share.error().message.find(words), std::string::npos) << share.error().message;
  }

  // "NAME REASON" of each thing in the way, with a reason that is known here.
  [[nodiscard]] std::string details() const {
    const auto share = scan_share(at("box"), std::nullopt);
    if (share) return "";
    std::string text;
    for (const std::string& detail : share.error().details) {
      const std::size_t colon = detail.find(": ");
      text += (text.empty() ? "" : ", ") + fs::path(detail.substr(0, colon)).filename().native();
      for (const std::string reason : {"an empty folder", "a pipe", "to nothing", "not below", "leads to itself"}) {
        if (detail.find(reason, colon) != std::string::npos) text += " " + reason;
      }
    }
    return text;
  }

  TemporaryFolder folder_;
};

TEST_F(ShareScan, OneFileIsAShareOfItsName) {
  file("film.mkv", "content");
  const ScannedShare share = scanned("film.mkv");
  EXPECT_EQ(share.name, "film.mkv");
  EXPECT_FALSE(share.layout.is_folder);
  EXPECT_EQ(share.layout.total_bytes, 7u);
  ASSERT_EQ(share.layout.files.size(), 1u);
  EXPECT_EQ(share.layout.files.front().path, std::vector<std::string>{"film.mkv"});
  EXPECT_EQ(share.versions.front().size_bytes, 7u);
}

TEST_F(ShareScan, FilesOfAFolderComeInTheOrderOfTheirPathsBytes) {
  for (const std::string path :
       {"box/b", "box/a/x", "box/a-b/y", "box/a.c", "box/Z/z", "box/.hidden", "box/\xc3\xa4"}) {
    file(path);
  }
  EXPECT_EQ(listed(), ".hidden, Z/z, a-b/y, a.c, a/x, b, \xc3\xa4");
}

TEST_F(ShareScan, FilesLieOneBehindTheOther) {
  file("box/a", "12345");
  file("box/b", "");
  file("box/c", "123");
  const metainfo::Layout layout = scanned().layout;
  EXPECT_TRUE(layout.is_folder);
  EXPECT_EQ(layout.total_bytes, 8u);
  EXPECT_EQ(layout.files[1].offset_bytes, 5u);
  EXPECT_EQ(layout.files[1].size_bytes, 0u);
  EXPECT_EQ(layout.files[2].offset_bytes, 5u);
}

TEST_F(ShareScan, FilesThatCanBeRunAreMarked) {
  file("box/run");
  file("box/read");
  fs::permissions(at("box/run"), fs::perms::owner_exec, fs::perm_options::add);
  const metainfo::Layout layout = scanned().layout;
  EXPECT_FALSE(layout.files[0].is_executable);
  EXPECT_TRUE(layout.files[1].is_executable);
  EXPECT_TRUE(scanned("box/run").layout.files.front().is_executable);
}

TEST_F(ShareScan, TimesOfFilesAreKeptWhenAskedFor) {
  file("box/a");
  link("box/b", "a");
  const auto time = fs::file_time_type::clock::from_sys(std::chrono::sys_seconds(std::chrono::seconds(1'000'000'000)));
  fs::last_write_time(at("box/a"), time + std::chrono::milliseconds(700));
  ScannedShare share = scanned();
  EXPECT_EQ(share.layout.files[0].modified_s, std::nullopt);
  keep_times(share);
  EXPECT_EQ(share.layout.files[0].modified_s, 1'000'000'000);
  EXPECT_EQ(share.layout.files[1].modified_s, std::nullopt);
}

TEST_F(ShareScan, TheNameIsTheLastComponentHoweverThePathIsWritten) {
  file("box/in/a");
  EXPECT_EQ(scanned("box/").name, "box");
  EXPECT_EQ(scanned("box/in/..").name, "box");
  EXPECT_EQ(scanned("box/in/.").name, "in");
  link("alias", "box");
  EXPECT_EQ(scanned("alias").name, "alias");
  EXPECT_EQ(listed("alias"), "in/a");
  link("alias.txt", "box/in/a");
  EXPECT_EQ(scanned("alias.txt").name, "alias.txt");
  const auto root = scan_share("/", std::nullopt);
  ASSERT_FALSE(root);
  EXPECT_EQ(root.error().kind, ShareError::Kind::unfit);
}

TEST_F(ShareScan, LinksWithinTheShareStayLinks) {
  file("box/notes/today");
  link("box/latest", "notes/today");
  link("box/notes/here", "./today");
  link("box/notes/there", "../latest");
  link("box/folder", "notes");
  link("box/absolute", fs::canonical(at("box/notes/today")).native());
  EXPECT_EQ(
      listed(),
      "absolute -> notes/today, folder -> notes, latest -> notes/today, notes/here -> notes/today, notes/there -> "
      "latest, notes/today");
}

TEST_F(ShareScan, ALinkByWayOfAnotherLinkKeepsItsMeaning) {
  // Read as text, deep/../x would be "x".
  file("box/x", "wrong");
  file("box/a/x", "right");
  fs::create_directories(at("box/a/b"));
  file("box/a/b/y");
  link("box/deep", "a/b");
  link("box/result", "deep/../x");
  EXPECT_EQ(listed(), "a/b/y, a/x, deep -> a/b, result -> a/x, x");
}

TEST_F(ShareScan, ALinkOutOfTheShareIsRefused) {
  file("box/a");
  file("secret");
  for (const std::string target : {"../secret", "/etc/passwd", "../box-beside", "..", "."}) {
    fs::create_directories(at("box-beside"));
    link("box/out", target);
    expect_refused(ShareError::Kind::unfit, "box/out: it is a link to " + target);
    fs::remove(at("box/out"));
  }
  // Out and in again is in.
  link("box/out", "../box/a");
  EXPECT_EQ(listed(), "a, out -> a");
}

TEST_F(ShareScan, ALinkThatLeavesByWayOfALinkIsRefused) {
  file("outside/file");
  file("box/a");
  link("box/b", "c");
  link("box/c", "../outside/file");
  expect_refused(ShareError::Kind::unfit, "which is not below");
}

TEST_F(ShareScan, ALinkToNothingIsRefused) {
  file("box/a");
  link("box/b", "missing");
  expect_refused(ShareError::Kind::unfit, "a link to nothing");
  fs::remove(at("box/b"));
}

TEST_F(ShareScan, ALinkToItselfIsRefusedAsSuch) {
  file("box/a");
  link("box/c", "c");
  expect_refused(ShareError::Kind::unfit, "leads to itself");
  fs::remove(at("box/c"));
  link("box/d", "e");
  link("box/e", "d");
  EXPECT_EQ(details(), "d leads to itself, e leads to itself");
}

TEST_F(ShareScan, ALinkToTheFolderItselfIsRefusedAsSuch) {
  file("box/in/a");
  link("box/in/up", "..");
  expect_refused(ShareError::Kind::unfit, "box/in/up: it is a link to .., which is " + at("box").native() + " itself");
}

TEST_F(ShareScan, AllThatIsInTheWayIsToldAtOnce) {
  file("box/a");
  file("secret");
  fs::create_directories(at("box/empty"));
  ASSERT_EQ(::mkfifo(at("box/in-the-middle").c_str(), 0600), 0);
  link("box/empty-link", "empty");
  link("box/nothing", "missing");
  link("box/outside", "../secret");
  link("box/pipe-link", "in-the-middle");
  link("box/self", "self");
  expect_refused(ShareError::Kind::unfit, "5 things in it are in the way");
  EXPECT_EQ(details(),
            "empty-link an empty folder, in-the-middle a pipe, nothing to nothing, outside not below, self leads to "
            "itself");
}

TEST_F(ShareScan, OfManyThingsInTheWayTenAreToldAndCounted) {
  file("box/a");
  for (int i = 10; i < 23; ++i) link("box/b" + std::to_string(i), "missing");
  const auto share = scan_share(at("box"), std::nullopt);
  ASSERT_FALSE(share);
  ASSERT_EQ(share.error().details.size(), 11u);
  EXPECT_TRUE(share.error().details[9].starts_with(at("box/b19").native() + ": it is a link to nothing"));
  EXPECT_EQ(share.error().details.back(), "and 3 more");
}

TEST_F(ShareScan, ALinkToAnEmptyFolderIsRefused) {
  file("box/a");
  fs::create_directories(at("box/empty"));
  link("box/b", "empty");
  expect_refused(ShareError::Kind::unfit, "empty folder");
}

TEST_F(ShareScan, EmptyFoldersAreLeftOutAndTold) {
  file("box/a");
  fs::create_directories(at("box/empty/inside"));
  EXPECT_EQ(listed(), "a");
  ASSERT_EQ(scanned().warnings.size(), 1u);
  EXPECT_NE(scanned().warnings.front().find("2 empty folders"), std::string::npos);
}

TEST_F(ShareScan, AFolderWithoutFilesIsRefused) {
  fs::create_directories(at("box/empty"));
  expect_refused(ShareError::Kind::unfit, "no file in it");
}

TEST_F(ShareScan, PipesSocketsAndDevicesAreRefused) {
  file("box/a");
  ASSERT_EQ(::mkfifo(at("box/pipe").c_str(), 0600), 0);
  expect_refused(ShareError::Kind::unfit, "box/pipe");
  expect_refused(ShareError::Kind::unfit, "neither a file nor a folder", "box/pipe");
  fs::remove(at("box/pipe"));
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  at("box/s").native().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  expect_refused(ShareError::Kind::unfit, "box/s");
  const auto device = scan_share("/dev/null", std::nullopt);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().kind, ShareError::Kind::unfit);
}

TEST_F(ShareScan, WhatIsNotThereOrCannotBeReadIsAnErrorThatNamesIt) {
  expect_refused(ShareError::Kind::unreadable, "nothing-here: No such file", "nothing-here");
}

TEST_F(ShareScan, APathThatIsTooLongIsRefused) {
  std::string path = "box";
  while (path.size() < metainfo::kPathBytesMax + 10) path += "/" + std::string(200, 'd');
  // The whole path is longer than the system takes at once.
  UniqueFd folder(::open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY));
  for (const fs::path& part : fs::path(path)) {
    ASSERT_EQ(::mkdirat(folder.get(), part.c_str(), 0700), 0);
    folder = UniqueFd(::openat(folder.get(), part.c_str(), O_RDONLY | O_DIRECTORY));
  }
  expect_refused(ShareError::Kind::unfit, "longer than");
}

TEST_F(ShareScan, NamesThatAreNotUtf8AreSharedAndTold) {
  file("box/\xff");
  EXPECT_EQ(listed(), "\xff");
  EXPECT_EQ(scanned().warnings.size(), 1u);
}

TEST_F(ShareScan, PiecesHaveTheSizeAskedForOrAFittingOne) {
  file("box/a");
  fs::resize_file(at("box/a"), 64u << 20);
  EXPECT_EQ(scanned().layout.piece_bytes, metainfo::choose_piece_bytes(64u << 20));
  EXPECT_EQ(scan_share(at("box"), 1u << 20)->layout.piece_bytes, 1u << 20);
}

TEST_F(ShareScan, MorePiecesThanATorrentHoldsAreRefused) {
  file("sparse");
  fs::resize_file(at("sparse"), 16384 * (kSharePiecesMax + 1));
  EXPECT_TRUE(scan_share(at("sparse"), 32768));
  const auto share = scan_share(at("sparse"), 16384);
  ASSERT_FALSE(share);
  EXPECT_EQ(share.error().kind, ShareError::Kind::unfit);
  EXPECT_NE(share.error().message.find("choose bigger pieces"), std::string::npos);
}

TEST_F(ShareScan, TheSizeOfTheDescriptionIsKnownBeforehand) {
  file("box/a", std::string(100'000, 'a'));
  file("box/deep/b", "b");
  ScannedShare share = scanned();
  keep_times(share);
  const metainfo::Torrent torrent = metainfo::make_torrent(
      {.name = share.name, .pieces = std::vector<base::Sha1Hash>(7), .layout = share.layout}, true);
  EXPECT_EQ(check_description(share), torrent.info.size());
}

TEST_F(ShareScan, RefusesMoreThanATorrentCanSayBeforeAnythingIsHashed) {
  struct Case {
    std::uint32_t files;
    std::size_t name_bytes;
  };
  for (const Case& one : {Case{420'000, 1}, Case{320'000, 200}}) {
    ScannedShare share{.root = "box", .name = "box", .layout = {}, .versions = {}, .warnings = {}};
    share.layout.is_folder = true;
    share.layout.piece_bytes = 16384;
    for (std::uint32_t i = 0; i < one.files; ++i) {
      share.layout.files.push_back({.path = {std::string(one.name_bytes, 'd'), std::to_string(i)}});
    }
    const auto checked = check_description(share);
    ASSERT_FALSE(checked) << one.files;
    EXPECT_EQ(checked.error().kind, ShareError::Kind::unfit);
    for (const std::string_view word : {"cannot share box", "files in 0 pieces", "archive"}) {
      EXPECT_NE(checked.error().message.find(word), std::string::npos) << checked.error().message;
    }
  }
}

}  // namespace
}  // namespace shoal::storage
