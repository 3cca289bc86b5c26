"""Bencoding without the program under test, and what a torrent says of files."""

import hashlib
import random

PIECE = 16 << 10


def encode(value):
    """Bencode integers, strings, bytes, lists and dictionaries."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    items = sorted((key.encode() if isinstance(key, str) else key, item) for key, item in value.items())
    return b"d" + b"".join(encode(key) + encode(item) for key, item in items) + b"e"


def decode(data):
    """What bencoded bytes say; the keys of dictionaries become text. Wrong bytes raise."""
    value, end = _decode(data, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes behind the end")
    return value


def _decode(data, at):
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at : at + 1] != b"e":
            item, at = _decode(data, at)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        return {key.decode(errors="surrogateescape"): item for key, item in zip(items[::2], items[1::2])}, at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    if end > len(data):
        raise ValueError("a string goes over the end")
    return data[colon + 1 : end], end


def info_hash(torrent):
    return hashlib.sha1(encode(torrent["info"])).hexdigest()


def piece_hashes(content, piece_bytes):
    pieces = (content[at : at + piece_bytes] for at in range(0, len(content), piece_bytes))
    return b"".join(hashlib.sha1(piece).digest() for piece in pieces)


def plain_files():
    """{path: content} of a folder whose paths sort in different ways by name and by bytes."""
    source = random.Random(7)
    sizes = {
        "b": 3 * PIECE + 17,
        "a/x": PIECE,
        "a-b/y": 1,
        "a.c": 0,
        "Z/deep/er/z": 100_000,
        ".hidden": 5,
        "ä ö/ü": 2 * PIECE - 1,
    }
    return {path: source.randbytes(size) for path, size in sizes.items()}


def write_files(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder
