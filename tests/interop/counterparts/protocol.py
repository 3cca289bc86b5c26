"""The course protocol on the wire: encode, decode and frame messages.

Written from the protocol page alone, so that it can judge another implementation. Everything here is strict about
structure (lengths, types, version) and indifferent to padding and to the reserved field, as the page asks; use
`is_canonical` to ask whether a message is exactly what a careful sender writes.
"""

import hashlib
import socket
import struct
import time
from dataclasses import dataclass, field

VERSION = 1
(DISCOVER_TRACKER, TRACKER_INFO, GET_FILE_INFO, FILE_INFO, GET_CHUNK, CHUNK, ERROR) = range(7)
TYPE_NAMES = ("DISCOVER_TRACKER", "TRACKER_INFO", "GET_FILE_INFO", "FILE_INFO", "GET_CHUNK", "CHUNK", "ERROR")
INVALID_MESSAGE_FORMAT, INVALID_REQUEST, CHUNK_NOT_FOUND = range(3)

HEADER_BYTES = 8
HASH_BYTES = 20
REQUEST_BYTES_MAX = 1024
ANSWER_BYTES_MAX = 256 * 1024 * 1024
PIPELINING_BIT = 1


class Malformed(ValueError):
    """A complete message that breaks the format."""


class Implausible(Malformed):
    """A header whose length cannot be waited for."""


class CutShort(Exception):
    """The stream ended inside a message."""


@dataclass(frozen=True)
class Message:
    msg_type: int
    reserved: int
    body: bytes


@dataclass(frozen=True)
class TrackerInfo:
    ip: str
    port: int
    name: bytes


@dataclass(frozen=True)
class ChunkRecord:
    chunk_hash: bytes
    peers: tuple = ()  # of (ip, port)


@dataclass(frozen=True)
class FileInfo:
    filename: bytes
    chunks: tuple = field(default=())  # of ChunkRecord


@dataclass(frozen=True)
class Chunk:
    chunk_hash: bytes
    content: bytes


# --- encoding ------------------------------------------------------------------------------------------------------


def padding(length, fill=0):
    """The 0-3 bytes that bring `length` to the next dword."""
    return bytes([fill]) * (-length % 4)


def encode(msg_type, body=b"", reserved=0):
    assert len(body) % 4 == 0, "a body is a whole number of dwords"
    return struct.pack("!BBHI", VERSION, msg_type, reserved, (HEADER_BYTES + len(body)) // 4) + body


def encode_discover_tracker(reserved=0):
    return encode(DISCOVER_TRACKER, reserved=reserved)


def encode_tracker_info(info, reserved=0, fill=0):
    body = socket.inet_aton(info.ip) + struct.pack("!HH", info.port, len(info.name)) + info.name
    return encode(TRACKER_INFO, body + padding(len(body), fill), reserved)


def encode_get_file_info(reserved=0):
    return encode(GET_FILE_INFO, reserved=reserved)


def encode_file_info(info, reserved=0, fill=0, msg_type=FILE_INFO):
    two_bytes = bytes([fill]) * 2
    parts = [struct.pack("!HH", len(info.chunks), len(info.filename)), info.filename]
    parts.append(padding(len(info.filename), fill))
    for record in info.chunks:
        parts.append(record.chunk_hash + struct.pack("!H", len(record.peers)) + two_bytes)
        for ip, port in record.peers:
            parts.append(socket.inet_aton(ip) + struct.pack("!H", port) + two_bytes)
    return encode(msg_type, b"".join(parts), reserved)


def encode_get_chunk(chunk_hash, reserved=0):
    return encode(GET_CHUNK, chunk_hash, reserved)


def encode_chunk(chunk, reserved=0, fill=0):
    body = chunk.chunk_hash + struct.pack("!I", len(chunk.content)) + chunk.content
    return encode(CHUNK, body + padding(len(body), fill), reserved)


def encode_error(code, reserved=0, fill=0):
    return encode(ERROR, struct.pack("!H", code) + bytes([fill]) * 2, reserved)


# --- decoding ------------------------------------------------------------------------------------------------------


class Cursor:
    """Walks over a body; running past its end is malformed."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def skip_padding(self):
        self.take(-self.at % 4)

    def address(self):
        return socket.inet_ntoa(self.take(4)), self.number(2)


def length_in_header(header):
    """Length in bytes that a header of 8 bytes announces."""
    return 4 * struct.unpack_from("!I", header, 4)[0]


def decode(data):
    """One whole message, nothing more and nothing less."""
    if len(data) < HEADER_BYTES:
        raise Malformed(f"a message of {len(data)} bytes")
    version, msg_type, reserved, _ = struct.unpack_from("!BBHI", data)
    if length_in_header(data) != len(data):
        raise Malformed(f"msg_length says {length_in_header(data)} bytes, {len(data)} are there")
    if version != VERSION:
        raise Malformed(f"version {version}")
    if msg_type > ERROR:
        raise Malformed(f"type {msg_type}")
    return Message(msg_type, reserved, data[HEADER_BYTES:])


def parse_empty(body):
    if body:
        raise Malformed("a body where none belongs")


def parse_tracker_info(body):
    cursor = Cursor(body)
    ip, port = cursor.address()
    return TrackerInfo(ip, port, cursor.take(cursor.number(2)))


def parse_file_info(body):
    cursor = Cursor(body)
    count = cursor.number(2)
    filename = cursor.take(cursor.number(2))
    cursor.skip_padding()
    return FileInfo(filename, tuple(parse_chunk_record(cursor) for _ in range(count)))


def parse_chunk_record(cursor):
    chunk_hash = cursor.take(HASH_BYTES)
    count = cursor.number(2)
    cursor.skip_padding()
    peers = []
    for _ in range(count):
        peers.append(cursor.address())
        cursor.skip_padding()
    return ChunkRecord(chunk_hash, tuple(peers))


def parse_get_chunk(body):
    if len(body) != HASH_BYTES:
        raise Malformed(f"GET_CHUNK with a body of {len(body)} bytes")
    return body


def parse_chunk(body):
    cursor = Cursor(body)
    return Chunk(cursor.take(HASH_BYTES), cursor.take(cursor.number(4)))


def parse_error(body):
    return Cursor(body).number(2)


PARSERS = (parse_empty, parse_tracker_info, parse_empty, parse_file_info, parse_get_chunk, parse_chunk, parse_error)


def parse_body(message):
    """The value a message carries; raises Malformed."""
    return PARSERS[message.msg_type](message.body)


def is_canonical(data, reserved=0):
    """Whether a message is byte for byte what the page prescribes: zero padding, no surplus, the given reserved."""
    encoders = (
        lambda _: encode_discover_tracker(reserved),
        lambda value: encode_tracker_info(value, reserved),
        lambda _: encode_get_file_info(reserved),
        lambda value: encode_file_info(value, reserved),
        lambda value: encode_get_chunk(value, reserved),
        lambda value: encode_chunk(value, reserved),
        lambda value: encode_error(value, reserved),
    )
    try:
        message = decode(data)
        return encoders[message.msg_type](parse_body(message)) == data
    except Malformed:
        return False


def sha1(content):
    return hashlib.sha1(content).digest()


# --- framing -------------------------------------------------------------------------------------------------------


class Stream:
    """Whole messages out of a TCP connection, however they were cut on the way."""

    def __init__(self, connection, bytes_max=ANSWER_BYTES_MAX):
        self.connection = connection
        self.bytes_max = bytes_max
        self.buffer = bytearray()

    def next_message(self, timeout=None):
        """The bytes of the next message, or None when the stream ended between two."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            wanted = HEADER_BYTES
            if len(self.buffer) >= HEADER_BYTES:
                wanted = length_in_header(self.buffer)
                if not HEADER_BYTES <= wanted <= self.bytes_max:
                    raise Implausible(f"msg_length says {wanted} bytes")
            if len(self.buffer) >= wanted and len(self.buffer) >= HEADER_BYTES:
                data = bytes(self.buffer[:wanted])
                del self.buffer[:wanted]
                return data
            if not self._receive(deadline):
                return None

    def _receive(self, deadline):
        if deadline is not None:
            self.connection.settimeout(max(0.001, deadline - time.monotonic()))
        data = self.connection.recv(1 << 18)
        if data:
            self.buffer += data
        elif self.buffer:
            raise CutShort(f"the stream ended after {len(self.buffer)} bytes of a message")
        return bool(data)
