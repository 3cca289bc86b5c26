// Torrents that must be refused, each for its own reason.
#include <gtest/gtest.h>

#include "golden/torrent_golden.hpp"
#include "metainfo/paths.hpp"
#include "metainfo/torrent.hpp"

namespace shoal::metainfo {
namespace {

std::string string(std::string_view text) {
  return std::to_string(text.size()) + ":" + std::string(text);
}

// An info dictionary of empty files with these paths.
std::string folder(const std::vector<std::vector<std::string>>& paths, const std::string& name = "d") {
  std::string files;
  for (const auto& path : paths) {
    files += "d6:lengthi0e4:pathl";
    for (const std::string& component : path) files += string(component);
    files += "ee";
  }
  return "d5:filesl" + files + "e4:name" + string(name) + "12:piece lengthi16384e6:pieces0:e";
}

// An info dictionary of files with these lengths, and this many piece hashes.
std::string sizes(const std::vector<std::string>& lengths, std::size_t hash_bytes) {
  std::string files;
  int number = 0;
  for (const std::string& length : lengths) {
    files += "d6:length" + length + "4:pathl" + string("f" + std::to_string(number++)) + "ee";
  }
  return "d5:filesl" + files + "e4:name1:d12:piece lengthi16384e6:pieces" + string(std::string(hash_bytes, 'h')) + "e";
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  text.replace(text.find(what), what.size(), with);
  return text;
}

void expect_accepted(const std::string& info) {
  const auto torrent = parse_info(base::view_of(info));
  EXPECT_TRUE(torrent) << torrent.error().describe() << " in " << info.substr(0, 200);
}

void expect_refused(const std::string& info, TorrentError error, const std::string& detail) {
  for (const bool is_alone : {true, false}) {
    const auto torrent =
        is_alone ? parse_info(base::view_of(info)) : parse_torrent(base::view_of("d4:info" + info + "e"));
    ASSERT_FALSE(torrent) << info.substr(0, 200);
    EXPECT_EQ(torrent.error().error, error) << torrent.error().describe();
    EXPECT_EQ(torrent.error().detail, detail);
    EXPECT_FALSE(torrent.error().describe().empty());
  }
}

void expect_torrent_refused(const std::string& bytes, TorrentError error, const std::string& detail) {
  const auto torrent = parse_torrent(base::view_of(bytes));
  ASSERT_FALSE(torrent);
  EXPECT_EQ(torrent.error().error, error);
  EXPECT_EQ(torrent.error().detail, detail);
}

TEST(TorrentRefusal, EveryPrefixIsRefused) {
  for (std::size_t size = 0; size < golden::kBoxTorrent.size(); ++size) {
    const auto torrent = parse_torrent(base::view_of(golden::kBoxTorrent.substr(0, size)));
    ASSERT_FALSE(torrent) << size;
    EXPECT_EQ(torrent.error().error, TorrentError::not_bencode);
  }
}

TEST(TorrentRefusal, WhatDoesNotEvenBeginLikeATorrent) {
  for (const std::string text : {"<html>", "4:spam", "le", "i1e", "PK"}) {
    expect_torrent_refused(text, TorrentError::not_a_torrent, "");
  }
  EXPECT_EQ((TorrentProblem{TorrentError::not_a_torrent, ""}).describe(), "it is not a .torrent file");
}

TEST(TorrentRefusal, WhatIsNotBencoded) {
  expect_torrent_refused("", TorrentError::not_bencode, "it ends inside a value (byte 0)");
  expect_torrent_refused("d4:info<html>", TorrentError::not_bencode, "a byte begins no value (byte 7)");
  expect_torrent_refused(golden::kHelloTorrent + "\n", TorrentError::not_bencode,
                         "something follows its end (byte " + std::to_string(golden::kHelloTorrent.size()) + ")");
}

TEST(TorrentRefusal, WhatIsBiggerThanAnyTorrent) {
  const std::string huge(kTorrentBytesMax + 1, '0');
  expect_torrent_refused(huge, TorrentError::too_big, std::to_string(huge.size()) + " bytes");
}

TEST(TorrentRefusal, MissingKeys) {
  expect_torrent_refused("d8:announce8:http://xe", TorrentError::missing_key, "info");
  const std::string info = "d6:lengthi0e4:name1:x12:piece lengthi16384e6:pieces0:e";
  expect_accepted(info);
  expect_refused(replaced(info, "6:lengthi0e", ""), TorrentError::missing_key, "info.length");
  expect_refused(replaced(info, "4:name1:x", ""), TorrentError::missing_key, "info.name");
  expect_refused(replaced(info, "12:piece lengthi16384e", ""), TorrentError::missing_key, "info.piece length");
  expect_refused(replaced(info, "6:pieces0:", ""), TorrentError::missing_key, "info.pieces");
  const std::string files = folder({{"a"}, {"b"}});
  expect_refused(replaced(files, "4:pathl1:be", ""), TorrentError::missing_key, "info.files[2].path");
  expect_refused(replaced(files, "6:lengthi0e", ""), TorrentError::missing_key, "info.files[1].length");
  expect_refused(replaced(files, "d6:length", "d4:attr1:l6:length"), TorrentError::missing_key,
                 "info.files[1].symlink path");
}

TEST(TorrentRefusal, ValuesOfAWrongType) {
  expect_torrent_refused("d4:info4:infoe", TorrentError::wrong_type, "info");
  const std::string info = "d6:lengthi0e4:name1:x12:piece lengthi16384e6:pieces0:e";
  expect_refused(replaced(info, "6:lengthi0e", "6:length1:0"), TorrentError::wrong_type, "info.length");
  expect_refused(replaced(info, "4:name1:x", "4:namele"), TorrentError::wrong_type, "info.name");
  expect_refused(replaced(info, "lengthi16384e", "length5:16384"), TorrentError::wrong_type, "info.piece length");
  expect_refused(replaced(info, "pieces0:", "piecesle"), TorrentError::wrong_type, "info.pieces");
  const std::string files = folder({{"a"}});
  expect_refused(replaced(files, "d6:lengthi0e4:pathl1:aee", "1:a"), TorrentError::wrong_type, "info.files[1]");
  expect_refused(replaced(files, "ld6:lengthi0e4:pathl1:aeee", "de"), TorrentError::wrong_type, "info.files");
  expect_refused(replaced(files, "l1:ae", "1:a"), TorrentError::wrong_type, "info.files[1].path");
  expect_refused(replaced(files, "l1:ae", "li1ee"), TorrentError::wrong_type, "info.files[1].path");
}

TEST(TorrentRefusal, PieceLengthsThatCannotBe) {
  const auto info = [](const std::string& length) {
    return "d6:lengthi0e4:name1:x12:piece lengthi" + length + "e6:pieces0:e";
  };
  expect_accepted(info("1"));
  expect_accepted(info(std::to_string(kPieceBytesMax)));
  for (const std::string length : {"0", "-16384", "268435457", "4294983680", "9223372036854775807"}) {
    expect_refused(info(length), TorrentError::bad_piece_length, length);
  }
}

TEST(TorrentRefusal, HashesThatDoNotFitTheSizes) {
  expect_accepted(sizes({"i16384e"}, 20));
  expect_accepted(sizes({"i16384e", "i1e"}, 40));
  expect_refused(sizes({"i16384e"}, 0), TorrentError::bad_pieces, "0 hashes for 1 pieces");
  expect_refused(sizes({"i16384e"}, 40), TorrentError::bad_pieces, "2 hashes for 1 pieces");
  expect_refused(sizes({"i16384e", "i1e"}, 20), TorrentError::bad_pieces, "1 hashes for 2 pieces");
  expect_refused(sizes({"i0e"}, 20), TorrentError::bad_pieces, "1 hashes for 0 pieces");
  expect_refused(sizes({"i16384e"}, 21), TorrentError::bad_pieces, "21 bytes of hashes");
  expect_refused(sizes({"i16384e"}, 19), TorrentError::bad_pieces, "19 bytes of hashes");
}

TEST(TorrentRefusal, SizesThatAreNegativeOrOverflow) {
  expect_refused(sizes({"i-1e"}, 0), TorrentError::bad_size, "info.files[1].length");
  expect_refused(sizes({"i9223372036854775807e"}, 0), TorrentError::bad_size, "info.files[1].length");
  // Two's complement would make these 0 or 16384 together.
  expect_refused(sizes({"i9223372036854775807e", "i9223372036854775807e", "i2e"}, 0), TorrentError::bad_size,
                 "info.files[1].length");
  const std::string most = "i" + std::to_string(kTotalBytesMax) + "e";
  expect_refused(sizes({most, "i16384e"}, 20), TorrentError::bad_size, "info.files[2].length");
  expect_refused(sizes({most}, 20), TorrentError::bad_pieces, "1 hashes for 4398046511104 pieces");
}

TEST(TorrentRefusal, PathsThatLeaveTheFolderOrAreNone) {
  using Paths = std::vector<std::vector<std::string>>;
  expect_accepted(folder({{"..."}, {"a", "..b"}, {".hidden"}, {"back\\slash"}, {"~"}}));
  expect_refused(folder({{".."}}), TorrentError::bad_path, "..");
  expect_refused(folder({{"a", "..", "..", "b"}}), TorrentError::bad_path, "a/../../b");
  expect_refused(folder({{"a"}, {"."}}), TorrentError::bad_path, ".");
  expect_refused(folder({{"/etc/passwd"}}), TorrentError::bad_path, "/etc/passwd");
  expect_refused(folder({{"", "etc", "passwd"}}), TorrentError::bad_path, "etc/passwd");
  expect_refused(folder({{"a", ""}}), TorrentError::bad_path, "a/");
  expect_refused(folder({{"a/../../b"}}), TorrentError::bad_path, "a/../../b");
  expect_refused(folder({{std::string("a\0b", 3)}}), TorrentError::bad_path, std::string("a\0b", 3));
  expect_refused(folder(Paths{{}}), TorrentError::bad_path, "");
}

TEST(TorrentRefusal, NamesThatLeaveTheFolderOrAreNone) {
  for (const std::string name : {"", ".", "..", "/", "/etc", "a/b", "../x"}) {
    expect_refused(folder({{"a"}}, name), TorrentError::bad_path, name);
    expect_refused("d6:lengthi0e4:name" + string(name) + "12:piece lengthi16384e6:pieces0:e", TorrentError::bad_path,
                   name);
  }
  expect_refused(folder({{"a"}}, std::string(256, 'n')), TorrentError::bad_path, std::string(256, 'n'));
}

TEST(TorrentRefusal, PathsThatAreTooLong) {
  const std::string most(kComponentBytesMax, 'p');
  expect_accepted(folder({{most}}, most));
  expect_refused(folder({{most + "p"}}), TorrentError::bad_path, most + "p");
  std::vector<std::string> longest(kPathBytesMax / 2, "p");
  longest.back() = "pp";
  expect_accepted(folder({longest}));
  longest.back() = "ppp";
  expect_refused(folder({longest}), TorrentError::bad_path, join_path(longest));
}

TEST(TorrentRefusal, LinksOutOfTheFolder) {
  const auto link_to = [](const std::string& target) {
    return "d5:filesld4:attr1:l6:lengthi0e4:pathl1:ae12:symlink pathl" + target +
           "eee4:name1:d12:piece lengthi16384e6:pieces0:e";
  };
  expect_refused(link_to(""), TorrentError::bad_path, "");
  expect_refused(link_to("2:.."), TorrentError::bad_path, "..");
  expect_refused(link_to("1:b2:..2:..1:c"), TorrentError::bad_path, "b/../../c");
  expect_refused(link_to("11:/etc/passwd"), TorrentError::bad_path, "/etc/passwd");
}

TEST(TorrentRefusal, TwoFilesInOnePlace) {
  expect_refused(folder({{"a"}, {"b"}, {"a"}}), TorrentError::duplicate_path, "a");
  expect_refused(folder({{"a", "b"}, {"x"}, {"a", "b"}}), TorrentError::duplicate_path, "a/b");
}

TEST(TorrentRefusal, AFileWhereAFolderIs) {
  expect_accepted(folder({{"a", "b"}, {"a", "c"}, {"a-b"}, {"ab"}}));
  expect_refused(folder({{"a"}, {"a", "b"}}), TorrentError::duplicate_path, "a/b");
  expect_refused(folder({{"a", "b", "c"}, {"a-"}, {"a", "b"}}), TorrentError::duplicate_path, "a/b/c");
}

TEST(TorrentRefusal, AFileBelowALink) {
  expect_refused(
      "d5:filesld4:attr1:l6:lengthi0e4:pathl1:ae12:symlink pathl1:beed6:lengthi0e4:pathl1:a1:xeee4:name1:d12:piece "
      "lengthi16384e6:pieces0:e",
      TorrentError::duplicate_path, "a/x");
}

TEST(TorrentRefusal, NoFiles) {
  expect_refused(folder({}), TorrentError::no_files, "");
  expect_refused("d5:filesld4:attr1:p6:lengthi0e4:pathl1:aeee4:name1:d12:piece lengthi16384e6:pieces0:e",
                 TorrentError::no_files, "");
  expect_refused("d4:attr1:p6:lengthi0e4:name1:d12:piece lengthi16384e6:pieces0:e", TorrentError::no_files, "");
}

TEST(TorrentRefusal, VersionTwoAlone) {
  expect_refused("d9:file treede12:meta versioni2e4:name1:x12:piece lengthi16384ee", TorrentError::version_2_only, "");
  expect_refused("d12:meta versioni2e4:name1:x12:piece lengthi16384ee", TorrentError::version_2_only, "");
}

}  // namespace
}  // namespace shoal::metainfo
