"""The counterparts' codec against the golden bytes of the protocol page. Needs no program under test."""

import socket
import struct
import unittest

from interop.counterparts import protocol
from support.course import hello_course
from support.processes import ProcessCase

HASHES = [
    "0ff54d8f53a4b321b098b601a70d7408b0422f70",
    "a3d76ad55d4869e3b68d1d0192e25fa9bc597488",
    "2760d5064db17df3b62683f06d2a14eb15ec7926",
]
ALICE, BOB = ("127.0.0.1", 8001), ("127.0.0.1", 8002)
OWNERS = [(ALICE,), (ALICE, BOB), (BOB,)]

HELLO = protocol.FileInfo(
    b"hello.txt",
    tuple(protocol.ChunkRecord(bytes.fromhex(one), peers) for one, peers in zip(HASHES, OWNERS)),
)

GOLDEN = {
    "discover_tracker": "01000000 00000002",
    "tracker_info": "01010000 00000006  7f000001 1f40 0007 747261636b657200",
    "get_file_info": "01020000 00000002",
    "file_info": """
        01030000 00000020  0003 0009 68656c6c6f2e747874 000000
        0ff54d8f53a4b321b098b601a70d7408b0422f70 0001 0000  7f000001 1f41 0000
        a3d76ad55d4869e3b68d1d0192e25fa9bc597488 0002 0000  7f000001 1f41 0000  7f000001 1f42 0000
        2760d5064db17df3b62683f06d2a14eb15ec7926 0001 0000  7f000001 1f42 0000""",
    "get_chunk": "01040000 00000007  0ff54d8f53a4b321b098b601a70d7408b0422f70",
    "chunk": "01050000 0000000b  0ff54d8f53a4b321b098b601a70d7408b0422f70 0000000a 48656c6c6f2c20424954 0000",
    "error": "01060000 00000003  0002 0000",
}
GOLDEN = {name: bytes.fromhex(text) for name, text in GOLDEN.items()}

VALUES = {
    "discover_tracker": None,
    "tracker_info": protocol.TrackerInfo("127.0.0.1", 8000, b"tracker"),
    "get_file_info": None,
    "file_info": HELLO,
    "get_chunk": bytes.fromhex(HASHES[0]),
    "chunk": protocol.Chunk(bytes.fromhex(HASHES[0]), b"Hello, BIT"),
    "error": protocol.CHUNK_NOT_FOUND,
}

ENCODED = {
    "discover_tracker": protocol.encode_discover_tracker(),
    "tracker_info": protocol.encode_tracker_info(VALUES["tracker_info"]),
    "get_file_info": protocol.encode_get_file_info(),
    "file_info": protocol.encode_file_info(HELLO),
    "get_chunk": protocol.encode_get_chunk(VALUES["get_chunk"]),
    "chunk": protocol.encode_chunk(VALUES["chunk"]),
    "error": protocol.encode_error(protocol.CHUNK_NOT_FOUND),
}


class Golden(ProcessCase):
    def test_encoding_gives_the_bytes_of_the_page(self):
        self.assertEqual(ENCODED, GOLDEN)

    def test_decoding_gives_the_values_of_the_page(self):
        for name, data in GOLDEN.items():
            with self.subTest(name):
                self.assertEqual(protocol.parse_body(protocol.decode(data)), VALUES[name])
                self.assertTrue(protocol.is_canonical(data))

    def test_every_prefix_of_every_message_is_malformed(self):
        for name, data in GOLDEN.items():
            for count in range(len(data)):
                with self.subTest(name, count=count), self.assertRaises(protocol.Malformed):
                    protocol.decode(data[:count])

    def test_every_shorter_body_under_a_true_length_is_malformed(self):
        for name in ("tracker_info", "file_info", "get_chunk", "chunk", "error"):
            for count in range(8, len(GOLDEN[name]), 4):
                data = GOLDEN[name][:4] + struct.pack("!I", count // 4) + GOLDEN[name][8:count]
                with self.subTest(name, count=count), self.assertRaises(protocol.Malformed):
                    protocol.parse_body(protocol.decode(data))

    def test_the_course_directory_of_the_page_has_its_hashes_and_owners(self):
        course = hello_course(self.root)
        self.assertEqual(course.hashes, HASHES)
        self.assertEqual(course.owners, [("alice",), ("alice", "bob"), ("bob",)])

    def test_a_chunk_without_content_is_32_bytes(self):
        data = protocol.encode_chunk(protocol.Chunk(protocol.sha1(b""), b""))
        self.assertEqual(len(data), 32)
        self.assertEqual(protocol.parse_body(protocol.decode(data)).content, b"")


class Canonical(unittest.TestCase):
    def test_dirty_padding_parses_but_is_not_canonical(self):
        dirty = {
            "tracker_info": protocol.encode_tracker_info(VALUES["tracker_info"], fill=0xA5),
            "file_info": protocol.encode_file_info(HELLO, fill=0xA5),
            "chunk": protocol.encode_chunk(VALUES["chunk"], fill=0xA5),
            "error": protocol.encode_error(2, fill=0xA5),
        }
        for name, data in dirty.items():
            with self.subTest(name):
                self.assertEqual(protocol.parse_body(protocol.decode(data)), VALUES[name])
                self.assertFalse(protocol.is_canonical(data))

    def test_the_reserved_field_is_ignored_but_is_not_canonical(self):
        for name, data in GOLDEN.items():
            noisy = data[:2] + b"\xff\xfe" + data[4:]
            with self.subTest(name):
                self.assertEqual(protocol.parse_body(protocol.decode(noisy)), VALUES[name])
                self.assertFalse(protocol.is_canonical(noisy))

    def test_wrong_version_type_and_length_are_malformed(self):
        good = GOLDEN["get_chunk"]
        for bad in (b"\x02" + good[1:], b"\x01\x07" + good[2:], good + b"\0\0\0\0", good[:7] + b"\x08" + good[8:]):
            with self.subTest(bad.hex()), self.assertRaises(protocol.Malformed):
                protocol.decode(bad)


class Framing(unittest.TestCase):
    def setUp(self):
        self.near, self.far = socket.socketpair()
        self.addCleanup(self.near.close)
        self.addCleanup(self.far.close)
        self.stream = protocol.Stream(self.near, 1 << 20)

    def test_messages_are_found_however_they_are_cut(self):
        everything = b"".join(GOLDEN.values())
        for size in (1, 3, 8, 9, 50, len(everything)):
            for start in range(0, len(everything), size):
                self.far.sendall(everything[start : start + size])
            with self.subTest(size=size):
                self.assertEqual([self.stream.next_message(5) for _ in GOLDEN], list(GOLDEN.values()))

    def test_the_end_between_two_messages_is_an_end(self):
        self.far.sendall(GOLDEN["error"])
        self.far.close()
        self.assertEqual(self.stream.next_message(5), GOLDEN["error"])
        self.assertIsNone(self.stream.next_message(5))

    def test_the_end_inside_a_message_is_told_apart(self):
        self.far.sendall(GOLDEN["chunk"][:20])
        self.far.close()
        with self.assertRaises(protocol.CutShort):
            self.stream.next_message(5)

    def test_a_length_nobody_can_mean_is_refused_at_the_header(self):
        for length in (0, 1, 0xFFFFFFFF, int.from_bytes(struct.pack("<I", 7), "big")):
            stream = protocol.Stream(self.near, 1 << 20)
            self.far.sendall(struct.pack("!BBHI", 1, protocol.GET_CHUNK, 0, length))
            with self.subTest(length=length), self.assertRaises(protocol.Implausible):
                stream.next_message(5)


if __name__ == "__main__":
    unittest.main()
