// The golden bytes of the course protocol (docs/protocol/course.md): hello.txt holds `Hello, BITE! 0123456789abc`, cut
// in chunks of 10 bytes. Tests of every module that speaks the protocol compare with these; they are written out by
// hand and never computed by the code under test.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "golden/hex.hpp"

namespace shoal::golden {

// Blanks are only for the eye.
inline constexpr std::string_view kDiscoverTracker = "01000000 00000002";
inline constexpr std::string_view kTrackerInfo = "01010000 00000006  7f000001 1f40 0007 747261636b657200";
inline constexpr std::string_view kGetFileInfo = "01020000 00000002";
inline constexpr std::string_view kFileInfo =
    "01030000 00000020  0003 0009 68656c6c6f2e747874 000000"
    "0ff54d8f53a4b321b098b601a70d7408b0422f70 0001 0000  7f000001 1f41 0000"
    "a3d76ad55d4869e3b68d1d0192e25fa9bc597488 0002 0000  7f000001 1f41 0000  7f000001 1f42 0000"
    "2760d5064db17df3b62683f06d2a14eb15ec7926 0001 0000  7f000001 1f42 0000";
inline constexpr std::string_view kGetChunk = "01040000 00000007  0ff54d8f53a4b321b098b601a70d7408b0422f70";
inline constexpr std::string_view kChunk =
    "01050000 0000000b  0ff54d8f53a4b321b098b601a70d7408b0422f70 0000000a 48656c6c6f2c20424954 0000";
inline constexpr std::string_view kErrorChunkNotFound = "01060000 00000003  0002 0000";

inline constexpr std::string_view kFileName = "hello.txt";
inline constexpr std::string_view kFileContent = "Hello, BITE! 0123456789abc";
inline constexpr std::size_t kChunkSize = 10;

inline constexpr std::string_view kPeersIni =
    "[tracker]\n"
    "ip_address = 127.0.0.1\n"
    "port_number = 8000\n"
    "\n"
    "[alice]\n"
    "ip_address = 127.0.0.1\n"
    "port_number = 8001\n"
    "\n"
    "[bob]\n"
    "ip_address = 127.0.0.1\n"
    "port_number = 8002\n"
    "\n";
inline constexpr std::string_view kFileIni =
    "[description]\n"
    "filename = hello.txt\n"
    "chunks_count = 3\n"
    "\n"
    "[chunks]\n"
    "0 = 0ff54d8f53a4b321b098b601a70d7408b0422f70\n"
    "1 = a3d76ad55d4869e3b68d1d0192e25fa9bc597488\n"
    "2 = 2760d5064db17df3b62683f06d2a14eb15ec7926\n"
    "\n"
    "[chunks_peers]\n"
    "0 = alice\n"
    "1 = alice, bob\n"
    "2 = bob\n"
    "\n";

}  // namespace shoal::golden
