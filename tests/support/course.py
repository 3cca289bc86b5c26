"""Course directories for tests: a file, cut in chunks, given to peers, with both configuration files.

`Course` is what the tracker and the peers see. A client that must know nothing gets another directory.
"""

import configparser
import hashlib
import math
import random
from pathlib import Path


def some_bytes(count, seed=1):
    return random.Random(seed).randbytes(count)


def thirds(count):
    """The owners of each chunk by the course's split: first third alice, second both, last bob."""
    owners = []
    for number in range(1, count + 1):
        if number <= math.ceil(count / 3):
            owners.append(("alice",))
        elif number <= math.ceil(2 * count / 3):
            owners.append(("alice", "bob"))
        else:
            owners.append(("bob",))
    return owners


class Course:
    """A course directory; `owners` says who is listed for each chunk, and gets it on disk."""

    def __init__(self, root, content, chunk_bytes, name="lecture.bin", owners=None, pieces=None):
        self.root = Path(root)
        self.name = name
        if pieces is None:
            pieces = [content[at : at + chunk_bytes] for at in range(0, len(content), chunk_bytes)]
        self.pieces = pieces
        self.content = b"".join(pieces)
        self.hashes = [hashlib.sha1(piece).hexdigest() for piece in pieces]
        self.owners = thirds(len(pieces)) if owners is None else owners
        self.addresses = {"tracker": ("127.0.0.1", 8000), "alice": ("127.0.0.1", 8001), "bob": ("127.0.0.1", 8002)}
        for directory in ("config", "files", "chunks"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        (self.root / "files" / name).write_bytes(self.content)
        for peer, piece in {(peer, piece) for piece, names in zip(self.pieces, self.owners) for peer in names}:
            self.give(peer, piece)
        self.write_peers_ini()
        self.write_file_ini()

    def chunk_path(self, peer, piece):
        return self.root / "chunks" / peer / f"{hashlib.sha1(piece).hexdigest()}.bin"

    def give(self, peer, *pieces):
        """Put chunks into a peer's directory."""
        for piece in pieces:
            path = self.chunk_path(peer, piece)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(piece)

    def give_all(self, peer):
        self.give(peer, *self.pieces)

    def take_away(self, peer, piece):
        self.chunk_path(peer, piece).unlink()

    def set_address(self, name, address):
        self.addresses[name] = address
        self.write_peers_ini()

    def write_peers_ini(self):
        lines = []
        for name, (ip, port) in self.addresses.items():
            lines += [f"[{name}]", f"ip_address = {ip}", f"port_number = {port}", ""]
        (self.root / "config" / "peers.ini").write_text("\n".join(lines))

    def write_file_ini(self):
        lines = ["[description]", f"filename = {self.name}", f"chunks_count = {len(self.pieces)}", "", "[chunks]"]
        lines += [f"{number} = {chunk_hash}" for number, chunk_hash in enumerate(self.hashes)]
        lines += ["", "[chunks_peers]"]
        lines += [f"{number} = {', '.join(names)}" for number, names in enumerate(self.owners)]
        (self.root / "config" / "file.ini").write_bytes("\n".join(lines + [""]).encode(errors="surrogateescape"))


def hello_course(root):
    """The example of the protocol page."""
    return Course(root, b"Hello, BITE! 0123456789abc", 10, "hello.txt")


def missing_chunks(course, directory, name="charlie"):
    """Which chunks a client lacks, or has wrong, in course layout."""
    wrong = []
    for piece, chunk_hash in zip(course.pieces, course.hashes):
        path = Path(directory) / "chunks" / name / f"{chunk_hash}.bin"
        if not path.is_file() or path.read_bytes() != piece:
            wrong.append(chunk_hash)
    return wrong


def read_result_ini(directory):
    """(file name, hashes) from the one ini file beside a result, or None when there is none."""
    found = sorted(Path(directory).glob("*.ini"))
    if len(found) != 1:
        return None
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string(found[0].read_text(encoding="utf-8-sig", errors="surrogateescape"))
    count = int(ini["description"]["chunks_count"])
    return ini["description"]["filename"], [ini["chunks"][str(number)] for number in range(count)]
