// The golden bytes of torrents: hello.txt of course_golden.hpp in pieces of 10 bytes, and a folder with everything that
// a folder can hold. Written out by hand, the hashes by sha1sum; never computed by the code under test. Tests of every
// module that reads torrents compare with these.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "golden/course_golden.hpp"

namespace shoal::golden {

inline std::string text_from_hex(std::string_view hex) {
  return std::string(base::text_of(from_hex(hex)));
}

inline const std::string kHelloInfo = "d6:lengthi26e4:name9:hello.txt12:piece lengthi10e6:pieces60:" +
                                      text_from_hex(
                                          "0ff54d8f53a4b321b098b601a70d7408b0422f70"
                                          "a3d76ad55d4869e3b68d1d0192e25fa9bc597488"
                                          "2760d5064db17df3b62683f06d2a14eb15ec7926") +
                                      "e";
inline constexpr std::string_view kHelloInfoHash = "6eeb0da37aa5a48d0e4a4b244865ea86c56d34e7";
inline const std::string kHelloTorrent = "d8:announce21:http://127.0.0.1:80004:info" + kHelloInfo + "e";
inline constexpr std::string_view kHelloMagnet =
    "magnet:?xt=urn:btih:6eeb0da37aa5a48d0e4a4b244865ea86c56d34e7&dn=hello.txt&tr=http%3A%2F%2F127.0.0.1%3A8000";

// Pieces of 16 bytes: a script that can be run, zeros up to the next piece, an empty file, a link, and a file.
inline const std::string kBoxInfo =
    "d5:filesl"
    "d4:attr1:x6:lengthi10e4:pathl3:bin3:runee"
    "d4:attr1:p6:lengthi6e4:pathl4:.pad1:6ee"
    "d6:lengthi0e4:pathl5:emptyee"
    "d4:attr1:l6:lengthi0e4:pathl6:lateste12:symlink pathl5:notes5:todayee"
    "d6:lengthi5e4:pathl5:notes5:todayee"
    "e4:name3:box12:piece lengthi16e6:pieces40:" +
    text_from_hex(
        "066ad60a0329f7799adf5f29c72b0f210ea2a92c"
        "3add7b9612102f2a7dbe4ed4fe886e07e847c24d") +
    "7:privatei1ee";
inline constexpr std::string_view kBoxInfoHash = "8a9f05f98ce1eac6567a63037ee98c68b68d61fc";
inline constexpr std::string_view kBoxContent{"#!/bin/sh\n\0\0\0\0\0\0notes", 21};
inline const std::string kBoxTorrent =
    "d8:announce16:http://a.example"
    "13:announce-listll16:http://a.example20:udp://b.example:6969el16:http://c.exampleee"
    "7:comment3:odd10:created by5:shoal13:creation datei1700000000e4:info" +
    kBoxInfo + "8:url-listl18:http://seed.one/d/18:http://seed.two/d/ee";

}  // namespace shoal::golden
