#include "course/config.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "golden/course_golden.hpp"
#include "unit/course/seeds.hpp"

namespace shoal::course {
namespace {

using base::Endpoint;
using base::Sha1Hash;

constexpr std::string_view kHash0 = "0ff54d8f53a4b321b098b601a70d7408b0422f70";
constexpr std::string_view kHash1 = "a3d76ad55d4869e3b68d1d0192e25fa9bc597488";

using Names = std::vector<std::string>;

Endpoint endpoint(std::string_view text) {
  return *Endpoint::parse(text);
}

std::string peers_error(std::string_view text) {
  const auto peers = parse_peers_ini(text);
  return peers ? "no error" : peers.error().describe("peers.ini");
}

std::string file_error(std::string_view text) {
  const auto file = parse_file_ini(text);
  return file ? "no error" : file.error().describe("file.ini");
}

// A file.ini with two chunks, the first line of [chunks] is 5, of [chunks_peers] 8.
std::string file_ini(std::string_view chunks_peers) {
  return "[description]\nfilename = f\nchunks_count = 2\n[chunks]\n0 = " + std::string(kHash0) +
         "\n1 = " + std::string(kHash1) + "\n[chunks_peers]\n" + std::string(chunks_peers);
}

// [description] and what follows; [chunks] begins at line 4.
std::string file_ini(std::string_view filename, std::string_view count, std::string_view rest) {
  return "[description]\nfilename = " + std::string(filename) + "\nchunks_count = " + std::string(count) + "\n" +
         std::string(rest);
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result(text);
  for (std::size_t at = 0; (at = result.find(from, at)) != std::string::npos; at += to.size()) {
    result.replace(at, from.size(), to);
  }
  return result;
}

// --- peers.ini ---

TEST(PeersIni, ReadsTheDefaultFile) {
  const auto peers = parse_peers_ini(golden::kPeersIni);
  ASSERT_TRUE(peers);
  EXPECT_EQ(peers->tracker, endpoint("127.0.0.1:8000"));
  EXPECT_EQ(peers->peers,
            (std::vector<NamedPeer>{{"alice", endpoint("127.0.0.1:8001")}, {"bob", endpoint("127.0.0.1:8002")}}));
}

TEST(PeersIni, WritesTheDefaultFileByteForByte) {
  EXPECT_EQ(encode_peers_ini(default_peers({"alice", "bob"})), golden::kPeersIni);
}

TEST(PeersIni, ReadsWhatPeopleWrite) {
  const auto peers = parse_peers_ini(
      "\xEF\xBB\xBF# my machines\r\n[carol]\r\nIP_ADDRESS: 192.168.1.7\r\nport_number:9001\r\nnote = fast\r\n; none");
  ASSERT_TRUE(peers);
  EXPECT_FALSE(peers->tracker);
  ASSERT_EQ(peers->peers.size(), 1u);
  EXPECT_EQ(peers->peers[0], (NamedPeer{"carol", endpoint("192.168.1.7:9001")}));
}

TEST(PeersIni, FindsAPeerByItsExactName) {
  const auto peers = parse_peers_ini(golden::kPeersIni);
  ASSERT_TRUE(peers);
  ASSERT_NE(peers->find("bob"), nullptr);
  EXPECT_EQ(peers->find("bob")->endpoint, endpoint("127.0.0.1:8002"));
  EXPECT_EQ(peers->find("Bob"), nullptr);
  EXPECT_EQ(peers->find("tracker"), nullptr);
}

TEST(PeersIni, TheTrackerMayListenEverywhere) {
  EXPECT_EQ(parse_peers_ini("[tracker]\nip_address = 0.0.0.0\nport_number = 8000\n")->tracker,
            endpoint("0.0.0.0:8000"));
}

TEST(PeersIni, RefusesASectionThatLacksAKey) {
  EXPECT_EQ(peers_error("\n[alice]\nport_number = 1\n"), "peers.ini:2: alice.ip_address: is missing from this section");
  EXPECT_EQ(peers_error("[alice]\nip_address = 1.2.3.4\n"),
            "peers.ini:1: alice.port_number: is missing from this section");
}

TEST(PeersIni, RefusesWhatIsNoAddress) {
  for (const std::string address : {"", "1.2.3", "1.2.3.256", "1.2.3.4.5", "localhost", "1.2.3.4:80"}) {
    EXPECT_EQ(peers_error("[alice]\nip_address = " + address + "\nport_number = 1\n"),
              "peers.ini:2: alice.ip_address: '" + address + "' is not an IPv4 address such as 192.168.1.10");
  }
}

TEST(PeersIni, RefusesWhatIsNoPort) {
  for (const std::string port : {"", "0", "65536", "-1", "+1", "80a", "8 0", "0x50"}) {
    EXPECT_EQ(peers_error("[alice]\nip_address = 1.2.3.4\nport_number = " + port + "\n"),
              "peers.ini:3: alice.port_number: '" + port + "' is not a port number (1-65535)");
  }
}

TEST(PeersIni, RefusesANameThatCannotBeAFolderOrAListItem) {
  for (const std::string name : {"../x", "a,b", " a", "..", "a\\b"}) {
    EXPECT_EQ(
        peers_error("[" + name + "]\nip_address = 1.2.3.4\nport_number = 1\n"),
        "peers.ini:1: " + name + ": cannot be a peer's name (no path, comma or bracket in it, no blanks around it)");
  }
  EXPECT_FALSE(is_peer_name("tracker"));
  EXPECT_FALSE(is_peer_name(""));
  EXPECT_FALSE(is_peer_name("a]"));
  EXPECT_FALSE(is_peer_name("a\nb"));
  EXPECT_TRUE(is_peer_name("alice the 2nd"));
}

TEST(PeersIni, RefusesAPeerThatIsThereTwice) {
  EXPECT_EQ(peers_error(std::string(golden::kPeersIni) + "[alice]\n"),
            "peers.ini:13: alice: this section is there already, at line 5");
}

// --- file.ini ---

TEST(FileIni, ReadsTheGoldenFile) {
  const auto file = parse_file_ini(golden::kFileIni);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->filename, "hello.txt");
  ASSERT_EQ(file->chunks.size(), 3u);
  EXPECT_EQ(file->chunks[0].to_hex(), kHash0);
  EXPECT_EQ(file->chunks[1].to_hex(), kHash1);
  EXPECT_EQ(file->owners, (std::vector<Names>{{"alice"}, {"alice", "bob"}, {"bob"}}));
}

TEST(FileIni, WritesTheGoldenFileByteForByte) {
  FileConfig file{.filename = "hello.txt", .chunks = {}, .owners = {}};
  for (std::size_t at = 0; at < golden::kFileContent.size(); at += golden::kChunkSize) {
    file.chunks.push_back(base::sha1(base::view_of(golden::kFileContent.substr(at, golden::kChunkSize))));
    Names owners;
    for (const std::size_t peer : owners_of_chunk(static_cast<std::uint32_t>(file.owners.size()), 3, 2)) {
      owners.push_back(peer == 0 ? "alice" : "bob");
    }
    file.owners.push_back(owners);
  }
  EXPECT_EQ(encode_file_ini(file), golden::kFileIni);
}

TEST(FileIni, ReadsItHoweverItIsWritten) {
  const std::string text = replaced(replaced(golden::kFileIni, " = ", ":"), "alice, bob", "alice ,bob");
  const std::string odd = "\xEF\xBB\xBF; a comment\r\n" + replaced(text, "\n", "\r\n# another\r\n");
  const auto file = parse_file_ini(odd);
  ASSERT_TRUE(file) << file.error().describe("file.ini");
  EXPECT_EQ(encode_file_ini(*file), golden::kFileIni);
}

TEST(FileIni, ReadsHashesOfEitherCaseAndWritesLowerCase) {
  std::string text(golden::kFileIni);
  const std::size_t at = text.find(kHash1);
  std::ranges::transform(text.substr(at, 40), text.begin() + static_cast<std::ptrdiff_t>(at),
                         [](char digit) { return static_cast<char>(std::toupper(digit)); });
  ASSERT_NE(text, golden::kFileIni);
  EXPECT_EQ(encode_file_ini(*parse_file_ini(text)), golden::kFileIni);
}

TEST(FileIni, ChunksMayStandInAnyOrder) {
  const auto file = parse_file_ini(file_ini("1 = bob\n0 = alice\n"));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->owners, (std::vector<Names>{{"alice"}, {"bob"}}));
  EXPECT_EQ(file->owner_lines, (std::vector<std::size_t>{9, 8}));
}

TEST(FileIni, AFileNameMayHoldAnythingThatIsNoPath) {
  for (const std::string name :
       {"100%.txt", "a = b", "a:b", "a ;b", "#1", "caf\xc3\xa9", "caf\xe9", "[x]", "%(home)s"}) {
    const FileConfig file{.filename = name, .chunks = {}, .owners = {}};
    EXPECT_TRUE(fits_file_ini(name));
    const auto parsed = parse_file_ini(encode_file_ini(file));
    ASSERT_TRUE(parsed) << name;
    EXPECT_EQ(parsed->filename, name);
  }
}

TEST(FileIni, KnowsWhichFileNamesItCannotHold) {
  for (const std::string name : {"a\nb", "a\rb", " a", "a\t", "", "..", "a/b"}) EXPECT_FALSE(fits_file_ini(name));
}

TEST(FileIni, AFileNameWithALineBreakCannotAddLines) {
  const std::string text = encode_file_ini({.filename = "f\n[chunks]\r0 = x", .chunks = {}, .owners = {}});
  EXPECT_TRUE(text.starts_with("[description]\nfilename = f_[chunks]_0 = x\nchunks_count = 0\n")) << text;
}

TEST(FileIni, WithoutOwnersThereIsNoSectionForThem) {
  const FileConfig file{.filename = "f", .chunks = {*Sha1Hash::parse_hex(kHash0)}, .owners = {}};
  const std::string text = encode_file_ini(file);
  EXPECT_EQ(text, "[description]\nfilename = f\nchunks_count = 1\n\n[chunks]\n0 = " + std::string(kHash0) + "\n\n");
  const auto parsed = parse_file_ini(text);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->owners.empty());
}

TEST(FileIni, AnEmptyFileHasNoChunks) {
  const FileConfig file{.filename = "empty", .chunks = {}, .owners = {}};
  EXPECT_EQ(encode_file_ini(file),
            "[description]\nfilename = empty\nchunks_count = 0\n\n[chunks]\n\n[chunks_peers]\n\n");
  EXPECT_TRUE(parse_file_ini(encode_file_ini(file))->chunks.empty());
  EXPECT_TRUE(parse_file_ini("[description]\nfilename = empty\nchunks_count = 0")->chunks.empty());
}

TEST(FileIni, AChunkMayHaveNoOwner) {
  const auto file = parse_file_ini(file_ini("0 =\n1 = bob\n"));
  ASSERT_TRUE(file);
  EXPECT_EQ(file->owners, (std::vector<Names>{{}, {"bob"}}));
}

TEST(FileIni, RefusesAMissingSection) {
  EXPECT_EQ(file_error(""), "file.ini: description: this section is missing");
  EXPECT_EQ(file_error("[chunks]\n"), "file.ini: description: this section is missing");
  EXPECT_EQ(file_error(file_ini("f", "1", "")), "file.ini: chunks: this section is missing");
}

TEST(FileIni, RefusesAMissingKey) {
  EXPECT_EQ(file_error("[description]\nchunks_count = 0\n"),
            "file.ini:1: description.filename: is missing from this section");
  EXPECT_EQ(file_error("[description]\nfilename = f\n"),
            "file.ini:1: description.chunks_count: is missing from this section");
}

TEST(FileIni, RefusesANameThatIsNoPlainFileName) {
  for (const std::string name : {"../x", "/x", "a/b", "a\\b", ".", "..", ""}) {
    EXPECT_EQ(file_error(file_ini(name, "0", "")),
              "file.ini:2: description.filename: '" + name + "' is not a plain file name (no path, 1 to 255 bytes)");
  }
}

TEST(FileIni, RefusesACountThatIsNoNumber) {
  for (const std::string count : {"", "x", "-1", "+1", "1.0", "01", "1 2"}) {
    EXPECT_EQ(file_error(file_ini("f", count, "")),
              "file.ini:3: description.chunks_count: '" + count + "' is not a number");
  }
}

TEST(FileIni, RefusesMoreChunksThanTheProtocolCounts) {
  EXPECT_EQ(file_error(file_ini("f", "65536", "")),
            "file.ini:3: description.chunks_count: 65536 chunks are too many: the protocol counts to 65535; use bigger "
            "chunks");
  EXPECT_EQ(file_error(file_ini("f", "99999999999999999999999", "")).find("file.ini:3: description.chunks_count: 9999"),
            0u);
  std::string chunks = "[chunks]\n";
  for (int i = 0; i < 65536; ++i) chunks += std::to_string(i) + " = " + std::string(kHash0) + "\n";
  EXPECT_EQ(file_error(file_ini("f", "65535", chunks)),
            "file.ini:4: chunks: 65536 chunks are too many: the protocol counts to 65535; use bigger chunks");
}

TEST(FileIni, TakesAsManyChunksAsTheProtocolCounts) {
  FileConfig file{.filename = "big", .chunks = {}, .owners = {}};
  file.chunks.assign(kChunksMax, *Sha1Hash::parse_hex(kHash0));
  file.owners.assign(kChunksMax, {"alice", "bob"});
  const auto parsed = parse_file_ini(encode_file_ini(file));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->chunks, file.chunks);
  EXPECT_EQ(parsed->owners, file.owners);
}

TEST(FileIni, RefusesChunkKeysThatAreNoNumbers) {
  for (const std::string key : {"x", "-1", "00", "0x1", "1.5"}) {
    EXPECT_EQ(file_error(file_ini("f", "1", "[chunks]\n" + key + " = " + std::string(kHash0) + "\n")),
              "file.ini:5: chunks." + key + ": is not a chunk number: they are 0, 1, 2, and so on");
  }
}

TEST(FileIni, RefusesChunkNumbersWithAGap) {
  const std::string hash(kHash0);
  EXPECT_EQ(file_error(file_ini("f", "2", "[chunks]\n0 = " + hash + "\n2 = " + hash + "\n")),
            "file.ini:4: chunks.1: is missing, though a later chunk is there");
  EXPECT_EQ(file_error(file_ini("f", "1", "[chunks]\n1 = " + hash + "\n")),
            "file.ini:4: chunks.0: is missing, though a later chunk is there");
  EXPECT_EQ(file_error(file_ini("f", "1", "[chunks]\n99999999999999999999 = " + hash + "\n")),
            "file.ini:4: chunks.0: is missing, though a later chunk is there");
}

TEST(FileIni, RefusesACountThatDoesNotMatchTheChunks) {
  const std::string chunks = "[chunks]\n0 = " + std::string(kHash0) + "\n";
  EXPECT_EQ(file_error(file_ini("f", "2", chunks)),
            "file.ini:4: chunks: has 1 chunks, but description.chunks_count is 2");
  EXPECT_EQ(file_error(file_ini("f", "0", chunks)),
            "file.ini:4: chunks: has 1 chunks, but description.chunks_count is 0");
}

TEST(FileIni, RefusesWhatIsNoHash) {
  for (const std::string hash : {"", "0ff5", "zzf54d8f53a4b321b098b601a70d7408b0422f70"}) {
    EXPECT_EQ(file_error(file_ini("f", "1", "[chunks]\n0 = " + hash + "\n")),
              "file.ini:5: chunks.0: not a SHA-1 hash (40 hexadecimal digits)");
  }
}

TEST(FileIni, RefusesOwnersThatDoNotMatchTheChunks) {
  EXPECT_EQ(file_error(file_ini("0 = alice\n")), "file.ini:7: chunks_peers: has lists for 1 chunks, but there are 2");
  EXPECT_EQ(file_error(file_ini("0 = alice\n1 = bob\n2 = bob\n")),
            "file.ini:7: chunks_peers: has lists for 3 chunks, but there are 2");
  EXPECT_EQ(file_error(file_ini("0 = alice\n2 = bob\n")),
            "file.ini:7: chunks_peers.1: is missing, though a later chunk is there");
}

TEST(FileIni, RefusesAListWithAnEmptyName) {
  for (const std::string list : {"alice,", ",bob", "alice, ,bob", ","}) {
    EXPECT_EQ(file_error(file_ini("0 = alice\n1 = " + list + "\n")),
              "file.ini:9: chunks_peers.1: '" + list + "' is not a list of peers such as 'alice, bob'");
  }
}

// --- Both together ---

TEST(MakeFileInfo, GivesTheGoldenFileInfo) {
  const auto info = make_file_info(*parse_file_ini(golden::kFileIni), *parse_peers_ini(golden::kPeersIni));
  ASSERT_TRUE(info);
  EXPECT_EQ(golden::to_hex(encode_file_info(*info)), golden::plain(golden::kFileInfo));
}

TEST(MakeFileInfo, NamesTheChunkWhoseOwnerIsUnknown) {
  const auto info =
      make_file_info(*parse_file_ini(file_ini("0 = alice\n1 = alice, Bob\n")), *parse_peers_ini(golden::kPeersIni));
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().describe("file.ini"), "file.ini:9: chunks_peers.1: peers.ini has no section [Bob]");
}

TEST(MakeFileInfo, NeedsToKnowTheOwners) {
  FileConfig file{.filename = "f", .chunks = {*Sha1Hash::parse_hex(kHash0)}, .owners = {}};
  const auto info = make_file_info(file, default_peers({"alice"}));
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().describe("file.ini"),
            "file.ini: chunks_peers: this section is missing; it says which peers have each chunk");
  file.chunks.clear();
  EXPECT_EQ(make_file_info(file, {}), (FileInfo{"f", {}}));
}

// --- How a file is cut ---

TEST(OwnersOfChunk, WithTwoPeersFollowsTheCoursesRule) {
  for (const std::uint32_t n : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 100u, 101u, 65534u, 65535u}) {
    for (std::uint32_t k = 1; k <= n; ++k) {
      const std::vector<std::size_t> expected = k <= (n + 2) / 3       ? std::vector<std::size_t>{0}
                                                : k <= (2 * n + 2) / 3 ? std::vector<std::size_t>{0, 1}
                                                                       : std::vector<std::size_t>{1};
      ASSERT_EQ(owners_of_chunk(k - 1, n, 2), expected) << "chunk " << k << " of " << n;
    }
  }
}

TEST(OwnersOfChunk, OnePeerOwnsEverything) {
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(owners_of_chunk(i, 10, 1), std::vector<std::size_t>{0});
}

TEST(OwnersOfChunk, WithThreePeersNeighboursShare) {
  const std::vector<std::vector<std::size_t>> expected = {{0}, {0, 1}, {1}, {1, 2}, {2}};
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(owners_of_chunk(i, 10, 3), expected[i / 2]);
}

TEST(OwnersOfChunk, EveryPeerOfAnyNumberOwnsSomethingWhenThereAreEnoughChunks) {
  for (std::size_t peers = 1; peers < 40; ++peers) {
    const auto count = static_cast<std::uint32_t>(2 * peers - 1);
    std::vector<bool> owns(peers, false);
    for (std::uint32_t i = 0; i < count; ++i) {
      for (const std::size_t peer : owners_of_chunk(i, count, peers)) owns.at(peer) = true;
    }
    EXPECT_TRUE(std::ranges::all_of(owns, [](bool does) { return does; })) << peers;
  }
}

TEST(SmallestChunkSize, IsTheSmallestThatFits) {
  EXPECT_EQ(smallest_chunk_size(0), 1u);
  EXPECT_EQ(smallest_chunk_size(1), 1u);
  EXPECT_EQ(smallest_chunk_size(65535), 1u);
  EXPECT_EQ(smallest_chunk_size(65536), 2u);
  EXPECT_EQ(smallest_chunk_size(std::uint64_t{65535} * 524288), 524288u);
  EXPECT_EQ(smallest_chunk_size(std::uint64_t{65535} * 524288 + 1), 524289u);
  EXPECT_EQ(smallest_chunk_size(~std::uint64_t{0}), ~std::uint64_t{0} / 65535);  // 2^64-1 is a multiple of 65535
}

// --- Properties ---

TEST(FileIni, WhateverIsWrittenIsReadBack) {
  for (const std::uint64_t seed : draw_seeds(200)) {
    SCOPED_TRACE(repeat_with(seed));
    base::Rng rng(seed);
    FileConfig file{.filename = "", .chunks = {}, .owners = {}};
    do {
      file.filename.assign(1 + rng.below(12), '\0');
      for (char& byte : file.filename) byte = static_cast<char>(rng.below(256));
    } while (!fits_file_ini(file.filename));
    for (std::uint64_t i = rng.below(10); i > 0; --i) {
      file.chunks.push_back(base::sha1(base::view_of(std::to_string(rng.next()))));
      Names owners;
      for (std::uint64_t j = rng.below(4); j > 0; --j) owners.push_back("peer " + std::to_string(rng.below(5)));
      file.owners.push_back(owners);
    }
    const auto parsed = parse_file_ini(encode_file_ini(file));
    ASSERT_TRUE(parsed) << parsed.error().describe("file.ini");
    ASSERT_EQ(parsed->filename, file.filename);
    ASSERT_EQ(parsed->chunks, file.chunks);
    ASSERT_EQ(parsed->owners, file.owners);
  }
}

}  // namespace
}  // namespace shoal::course
