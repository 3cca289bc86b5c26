#include "metainfo/torrent.hpp"

#include <gtest/gtest.h>

#include "golden/torrent_golden.hpp"

namespace shoal::metainfo {
namespace {

using Path = std::vector<std::string>;

Torrent parsed_torrent(std::string_view bytes) {
  auto torrent = parse_torrent(base::view_of(bytes));
  EXPECT_TRUE(torrent) << torrent.error().describe();
  return torrent ? std::move(*torrent) : Torrent{};
}

// A .torrent with these keys around the golden info dictionary: `before` sorts below "info", `behind` above.
Torrent with(const std::string& before, const std::string& behind = "") {
  return parsed_torrent("d" + before + "4:info" + golden::kHelloInfo + behind + "e");
}

TEST(Torrent, ReadsASingleFile) {
  const Torrent torrent = parsed_torrent(golden::kHelloTorrent);
  EXPECT_EQ(torrent.info_hash.to_hex(), golden::kHelloInfoHash);
  EXPECT_EQ(base::text_of(torrent.info), golden::kHelloInfo);
  EXPECT_FALSE(torrent.is_private);
  EXPECT_EQ(torrent.tracker_tiers, (std::vector<Path>{{"http://127.0.0.1:8000"}}));
  EXPECT_TRUE(torrent.warnings.empty());
  const Manifest& manifest = torrent.manifest;
  EXPECT_EQ(manifest.name, "hello.txt");
  ASSERT_EQ(manifest.piece_count(), 3u);
  EXPECT_EQ(manifest.hash_of(base::PieceIndex(1)).to_hex(), "a3d76ad55d4869e3b68d1d0192e25fa9bc597488");
  ASSERT_TRUE(manifest.layout);
  const Layout wanted{.piece_bytes = 10,
                      .total_bytes = 26,
                      .is_folder = false,
                      .files = {{.path = {"hello.txt"}, .offset_bytes = 0, .size_bytes = 26}}};
  EXPECT_EQ(*manifest.layout, wanted);
  EXPECT_EQ(manifest.size_of(base::PieceIndex(0)), 10u);
  EXPECT_EQ(manifest.size_of(base::PieceIndex(2)), 6u);
  EXPECT_EQ(manifest.offset_of(base::PieceIndex(2)), 20u);
}

TEST(Torrent, ReadsAFolderWithEverythingInIt) {
  const Torrent torrent = parsed_torrent(golden::kBoxTorrent);
  EXPECT_EQ(torrent.info_hash.to_hex(), golden::kBoxInfoHash);
  EXPECT_TRUE(torrent.is_private);
  EXPECT_EQ(torrent.tracker_tiers,
            (std::vector<Path>{{"http://a.example", "udp://b.example:6969"}, {"http://c.example"}}));
  EXPECT_EQ(torrent.web_seeds, (Path{"http://seed.one/d/", "http://seed.two/d/"}));
  EXPECT_EQ(torrent.comment, "odd");
  EXPECT_EQ(torrent.created_by, "shoal");
  EXPECT_EQ(torrent.creation_date, 1700000000);
  EXPECT_EQ(torrent.manifest.name, "box");
  const Layout wanted{.piece_bytes = 16,
                      .total_bytes = 21,
                      .is_folder = true,
                      .files = {
                          {.path = {"bin", "run"}, .offset_bytes = 0, .size_bytes = 10, .is_executable = true},
                          {.path = {".pad", "6"}, .offset_bytes = 10, .size_bytes = 6, .is_padding = true},
                          {.path = {"empty"}, .offset_bytes = 16, .size_bytes = 0},
                          {.path = {"latest"}, .offset_bytes = 16, .size_bytes = 0, .link_target = {"notes", "today"}},
                          {.path = {"notes", "today"}, .offset_bytes = 16, .size_bytes = 5},
                      }};
  EXPECT_EQ(*torrent.manifest.layout, wanted);
}

TEST(Torrent, WritesWhatItReads) {
  for (const std::string& golden : {golden::kHelloTorrent, golden::kBoxTorrent}) {
    const Torrent torrent = parsed_torrent(golden);
    EXPECT_EQ(base::text_of(encode_torrent(torrent)), golden);
    EXPECT_EQ(encode_info(torrent.manifest, torrent.is_private), torrent.info);
    const Torrent made = make_torrent(torrent.manifest, torrent.is_private);
    EXPECT_EQ(made.info_hash, torrent.info_hash);
    EXPECT_EQ(made.manifest, torrent.manifest);
  }
}

TEST(Torrent, WritesOneWebSeedAsEveryProgramReadsIt) {
  Torrent torrent = parsed_torrent(golden::kHelloTorrent);
  torrent.web_seeds = {"http://seed.example/"};
  EXPECT_TRUE(base::text_of(encode_torrent(torrent)).ends_with("8:url-list20:http://seed.example/e"));
  EXPECT_EQ(parsed_torrent(base::text_of(encode_torrent(torrent))).web_seeds, torrent.web_seeds);
}

TEST(Torrent, TheInfoHashIsOfWhatTheAuthorWrote) {
  // A key that nobody knows counts too.
  std::string info = golden::kHelloInfo;
  info.replace(info.size() - 1, 1, "7:x-other4:what" + std::string("e"));
  const auto torrent = parse_info(base::view_of(info));
  ASSERT_TRUE(torrent) << torrent.error().describe();
  EXPECT_EQ(base::text_of(torrent->info), info);
  EXPECT_EQ(torrent->info_hash, base::sha1(base::view_of(info)));
  EXPECT_NE(torrent->info_hash.to_hex(), golden::kHelloInfoHash);
}

TEST(Torrent, ReadsKeysInAnyOrder) {
  const Torrent torrent =
      parsed_torrent("d4:info" + std::string(golden::kHelloInfo) + "7:comment3:odd8:announce21:http://127.0.0.1:8000e");
  EXPECT_EQ(torrent.info_hash.to_hex(), golden::kHelloInfoHash);
  EXPECT_EQ(torrent.comment, "odd");
  EXPECT_EQ(torrent.tracker_tiers, (std::vector<Path>{{"http://127.0.0.1:8000"}}));
  // Within the info dictionary too: what is hashed, and told to others, is what the author wrote.
  const std::string info = "d12:piece lengthi16e4:name1:f6:pieces0:6:lengthi0ee";
  const Torrent other = parsed_torrent("d4:info" + info + "e");
  EXPECT_EQ(other.manifest.name, "f");
  EXPECT_EQ(base::text_of(other.info), info);
  EXPECT_EQ(other.info_hash, base::sha1(base::view_of(info)));
}

TEST(Torrent, ReadsAnInfoDictionaryAlone) {
  const auto torrent = parse_info(base::view_of(golden::kBoxInfo));
  ASSERT_TRUE(torrent);
  EXPECT_EQ(torrent->info_hash.to_hex(), golden::kBoxInfoHash);
  EXPECT_TRUE(torrent->tracker_tiers.empty());
}

TEST(Torrent, AFileWithoutBytesHasNoPieces) {
  const Torrent torrent = parsed_torrent("d4:infod6:lengthi0e4:name1:x12:piece lengthi16384e6:pieces0:ee");
  EXPECT_EQ(torrent.manifest.piece_count(), 0u);
  EXPECT_EQ(torrent.manifest.layout->total_bytes, 0u);
}

TEST(Torrent, ASingleFileMayBeExecutable) {
  const Torrent torrent = parsed_torrent("d4:infod4:attr2:hx6:lengthi0e4:name1:x12:piece lengthi16384e6:pieces0:ee");
  EXPECT_TRUE(torrent.manifest.layout->files.front().is_executable);
  EXPECT_TRUE(base::text_of(encode_info(torrent.manifest, false)).starts_with("d4:attr1:x6:length"));
}

TEST(Torrent, KeepsTheTimesOfFiles) {
  const std::string file = "d6:lengthi0e5:mtimei1700000000e4:name1:x12:piece lengthi16384e6:pieces0:e";
  const Torrent one = parsed_torrent("d4:info" + file + "e");
  EXPECT_EQ(one.manifest.layout->files[0].modified_s, 1'700'000'000);
  EXPECT_EQ(base::text_of(encode_info(one.manifest, false)), file);
  const std::string folder =
      "d5:filesld4:attr1:x6:lengthi0e5:mtimei0e4:pathl1:aeed6:lengthi0e4:pathl1:beee4:name1:x12:piece lengthi16384e"
      "6:pieces0:e";
  const Torrent several = parsed_torrent("d4:info" + folder + "e");
  EXPECT_EQ(several.manifest.layout->files[0].modified_s, 0);
  EXPECT_EQ(several.manifest.layout->files[1].modified_s, std::nullopt);
  EXPECT_EQ(base::text_of(encode_info(several.manifest, false)), folder);
}

TEST(Torrent, ATimeThatNoClockShowsIsNone) {
  for (const std::string time : {"i-1e", "i253402300800e", "i9223372036854775807e", "5:today", "le"}) {
    const Torrent torrent =
        parsed_torrent("d4:infod6:lengthi0e5:mtime" + time + "4:name1:x12:piece lengthi16384e6:pieces0:ee");
    EXPECT_EQ(torrent.manifest.layout->files[0].modified_s, std::nullopt) << time;
  }
}

TEST(Torrent, PrefersNamesThatAreKnownToBeUtf8) {
  const Torrent torrent = parsed_torrent(
      "d4:infod5:filesld6:lengthi0e4:pathl1:ae10:path.utf-8l2:\xc3\xa4"
      "eee4:name1:o10:name.utf-82:\xc3\xb6"
      "12:piece lengthi16384e6:pieces0:ee");
  EXPECT_EQ(torrent.manifest.name, "\xc3\xb6");
  EXPECT_EQ(torrent.manifest.layout->files.front().path, Path{"\xc3\xa4"});
}

TEST(Torrent, ALinkHasNoBytesWhateverItSays) {
  const Torrent torrent = parsed_torrent(
      "d4:infod5:filesld6:lengthi0e4:pathl1:aeed4:attr1:l6:lengthi99e4:pathl1:be12:symlink pathl1:aeed4:attr1:l4:pathl"
      "1:ce12:symlink pathl1:aeee4:name1:d12:piece lengthi16384e6:pieces0:ee");
  EXPECT_EQ(torrent.manifest.layout->total_bytes, 0u);
  EXPECT_EQ(torrent.manifest.layout->files[1].link_target, Path{"a"});
  EXPECT_EQ(torrent.manifest.layout->files[2].link_target, Path{"a"});
}

TEST(Torrent, PaddingFilesMayBearOneName) {
  const Torrent torrent = parsed_torrent(
      "d4:infod5:filesld6:lengthi0e4:pathl1:aeed4:attr1:p6:lengthi0e4:pathl4:.pad1:0eed4:attr1:p6:lengthi0e4:pathl4:."
      "pad1:0eee4:name1:d12:piece lengthi16384e6:pieces0:ee");
  EXPECT_EQ(torrent.manifest.layout->files.size(), 3u);
}

TEST(Torrent, ReadsAHybridByItsFirstVersion) {
  std::string info = golden::kHelloInfo;
  info.insert(1, "9:file treed9:hello.txtd0:d6:lengthi26eeee");
  info.insert(info.find("4:name"), "12:meta versioni2e");
  const auto torrent = parse_info(base::view_of(info));
  ASSERT_TRUE(torrent) << torrent.error().describe();
  EXPECT_EQ(torrent->manifest.piece_count(), 3u);
  EXPECT_EQ(torrent->warnings.size(), 1u);
}

TEST(Torrent, OnlyOneMeansPrivate) {
  const auto is_private = [](const std::string& value) {
    std::string info = golden::kHelloInfo;
    info.insert(info.size() - 1, "7:private" + value);
    return parse_info(base::view_of(info)).value().is_private;
  };
  EXPECT_TRUE(is_private("i1e"));
  EXPECT_FALSE(is_private("i0e"));
  EXPECT_FALSE(is_private("i2e"));
  EXPECT_FALSE(is_private("1:1"));
}

TEST(Torrent, WarnsOfPathsThatDifferOnlyInCase) {
  const Torrent torrent = parsed_torrent(
      "d4:infod5:filesld6:lengthi0e4:pathl5:Notes5:todayeed6:lengthi0e4:pathl5:notes5:TODAYeee4:name1:d12:piece "
      "lengthi16384e6:pieces0:ee");
  ASSERT_EQ(torrent.warnings.size(), 1u);
  EXPECT_NE(torrent.warnings.front().find("Notes/today"), std::string::npos);
}

TEST(Torrent, TheListOfTiersCountsBeforeTheOneTracker) {
  EXPECT_EQ(with("8:announce8:http://x13:announce-listll8:http://yee").tracker_tiers,
            (std::vector<Path>{{"http://y"}}));
  EXPECT_EQ(with("8:announce8:http://x13:announce-listle").tracker_tiers, (std::vector<Path>{{"http://x"}}));
  EXPECT_EQ(with("8:announce8:http://x13:announce-listllee").tracker_tiers, (std::vector<Path>{{"http://x"}}));
}

TEST(Torrent, ReadsTrackersAndWebSeedsInEitherForm) {
  EXPECT_EQ(with("13:announce-listl8:http://x8:http://ye").tracker_tiers,
            (std::vector<Path>{{"http://x"}, {"http://y"}}));
  EXPECT_EQ(with("", "8:url-list8:http://x").web_seeds, Path{"http://x"});
  EXPECT_EQ(with("", "8:url-listl8:http://xe").web_seeds, Path{"http://x"});
  EXPECT_TRUE(with("8:announce0:", "8:url-list0:").web_seeds.empty());
  EXPECT_TRUE(with("8:announce0:", "8:url-list0:").warnings.empty());
}

TEST(Torrent, LeavesOutUrlsThatAreNoneAndSaysSo) {
  const Torrent torrent =
      with("8:announcei1e13:announce-listll8:http://x1:xi5e8:http://xel9:http:// xee", "8:url-listd1:a1:be");
  EXPECT_EQ(torrent.tracker_tiers, (std::vector<Path>{{"http://x"}}));
  EXPECT_TRUE(torrent.web_seeds.empty());
  EXPECT_EQ(torrent.warnings, Path{"4 unusable URLs were left out"});
}

TEST(Torrent, WhatSurroundsTheInfoDictionaryCannotSpoilIt) {
  const Torrent torrent = with("7:commenti1e10:created byle13:creation date3:now");
  EXPECT_EQ(torrent.info_hash.to_hex(), golden::kHelloInfoHash);
  EXPECT_EQ(torrent.comment, "");
  EXPECT_FALSE(torrent.creation_date);
}

TEST(Torrent, ChoosesAThousandPiecesWhereTheFileAllows) {
  constexpr std::uint64_t kKiB = 1024;
  constexpr std::uint64_t kMiB = 1024 * kKiB;
  EXPECT_EQ(choose_piece_bytes(0), 16 * kKiB);
  EXPECT_EQ(choose_piece_bytes(32'000 * kKiB - 1), 16 * kKiB);
  EXPECT_EQ(choose_piece_bytes(32'000 * kKiB), 32 * kKiB);
  EXPECT_EQ(choose_piece_bytes(4096 * kMiB), 4 * kMiB);
  EXPECT_EQ(choose_piece_bytes(16'000 * kMiB), 16 * kMiB);
  EXPECT_EQ(choose_piece_bytes(kTotalBytesMax), 16 * kMiB);
  for (std::uint64_t bytes = 16'000 * kKiB; bytes < 100'000 * kMiB; bytes = bytes * 3 / 2) {
    EXPECT_GE(bytes / choose_piece_bytes(bytes), 1000u) << bytes;
  }
}

}  // namespace
}  // namespace shoal::metainfo
