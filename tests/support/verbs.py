"""Start `shoal share`, `get`, `list` and `tracker`, and compare what came with what was shared.

A test file of these calls `enter_fresh_network`: its shares are found on the usual ports and by nobody else.
"""

import os
import stat
from pathlib import Path

from support import bencode
from support.events import events, wait_event
from support.shoal import DONE, ShoalCase, program

MIB = 1 << 20


def tree(root):
    """{path: (kind, content or target, is executable)} of a folder, or of one file under its name."""
    root = Path(root)
    if not root.is_dir():
        return {"": describe(root)}
    paths = (path for path in root.rglob("*") if path.is_symlink() or path.is_file())
    return {str(path.relative_to(root)): describe(path) for path in paths}


def describe(path):
    if path.is_symlink():
        return "link", os.readlink(path), False
    return "file", path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR)


def leftovers(folder):
    """What a download that is over should not leave behind."""
    return sorted(path.name for path in Path(folder).glob(".*.shoal-*"))


class VerbCase(ShoalCase):
    """`here` is where shares lie, `there` where they are got to."""

    def setUp(self):
        super().setUp()
        self.here = self.root / "here"
        self.there = self.root / "there"
        for folder in (self.here, self.there, self.root / "home"):
            folder.mkdir()

    def verb(self, *arguments, cwd=None):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root / "home"), "LC_ALL": "C"}
        return self.start([program(), *arguments], cwd=cwd or self.there, env=environment)

    def share(self, path, *arguments):
        """A running sharer; what it said of its share is in `shared`."""
        process = self.verb("share", path, "--json", *arguments, cwd=self.here)
        process.shared = wait_event(process, "shared")
        return process

    def tracker(self, *arguments):
        """A running tracker that keeps its state in the test's folder; its address is in `at`."""
        process = self.verb("tracker", *arguments)
        process.at = process.wait_line("listening")
        return process

    def get(self, *arguments, cwd=None):
        return self.verb("get", *arguments, cwd=cwd)

    def got(self, *arguments, cwd=None, wants=DONE, **wait):
        """A get that has ended as wanted."""
        process = self.get(*arguments, cwd=cwd)
        self.assert_exit(process, wants, **wait)
        return process

    def assert_same(self, got, shared):
        """Names, contents, executable bits and links are the same, and nothing else lies beside them."""
        got, shared = Path(got), Path(shared)
        self.assertEqual(got.is_dir(), shared.is_dir())
        left, right = tree(got), tree(shared)
        self.assertEqual(sorted(left), sorted(right))
        for path, file in right.items():
            self.assertTrue(left[path] == file, f"{path} differs")
        self.assertEqual(leftovers(got.parent), [])

    def write(self, name, content, folder=None):
        path = (folder or self.here) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


class Torrent:
    """What a .torrent file says."""

    def __init__(self, path):
        self.path = path
        self.info = bencode.decode(path.read_bytes())["info"]
        self.name = self.info["name"].decode()
        self.piece_bytes = self.info["piece length"]
        pieces = self.info["pieces"]
        self.hashes = [pieces[at : at + 20] for at in range(0, len(pieces), 20)]

    @property
    def files(self):
        """(the names of its path, its size) of each; no names for a file that is no folder's."""
        if "files" not in self.info:
            return [([], self.info["length"])]
        return [([name.decode() for name in file["path"]], file["length"]) for file in self.info["files"]]


def finished(process):
    return events(process, "finished")[-1]


def peer_of(sharer):
    """The options that lead a get to a sharer and nowhere else."""
    return ("--no-local", "--peer", "127.0.0.1:" + sharer.shared["address"].rpartition(":")[2])
