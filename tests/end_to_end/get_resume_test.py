"""`shoal get` that is killed at random moments: what it said to have it has, nothing is hashed again, nothing is wrong.

The moments are random: the first line names their seed, SHOAL_TEST_SEED repeats it. SHOAL_KILLS says how many there are
(200 for a long run); the last line what they met.
"""

import hashlib
import os
import random
import signal
import threading
import time
import unittest

from support import bencode
from support.cases import expanded, for_each, themselves
from support.course import some_bytes
from support.disks import SmallDisk
from support.events import events, verified_pieces, wait_event
from support.network import enter_fresh_network
from support.shoal import DONE, program
from support.verbs import MIB, Torrent, VerbCase, leftovers, peer_of

SEED = int(os.environ.get("SHOAL_TEST_SEED", time.time_ns() % 1_000_000))
KILLS = int(os.environ.get("SHOAL_KILLS", 40))
KINDS = ("file", "folder", "selected", "full_disk")
RATE = "6M"
LAST_MOMENT_S = 0.03  # how long after a piece, at most
OPENING_READS_MAX = 400_000  # bytes: libraries, the journal, the torrent; far less than what is held
OPENING_MAX_S = 1.0
NOBODY = ("--no-local", "--peer", "127.0.0.1:1")

FIGURES = {"kills": 0, "restarts": 0, "downloads": 0, "ended before the kill": 0, "pieces kept": 0,
           "most bytes read at a restart": 0, "slowest restart, ms": 0, "stopped by a full disk": 0}


def setUpModule():
    enter_fresh_network()
    print(f"SHOAL_TEST_SEED={SEED} SHOAL_KILLS={KILLS}", flush=True)


def tearDownModule():
    print(", ".join(f"{value} {name}" for name, value in FIGURES.items()), flush=True)


class Download:
    """One share being got to one place, by one process after another."""

    def __init__(self, case, folder, torrent, options=()):
        self.case = case
        self.folder = folder  # as the process calls it
        self.seen = folder  # as the test does
        self.torrent = torrent
        self.options = options
        self.disk = None  # a small one that it lies on
        self.prefix = []
        self.known = set()  # pieces that were told to be verified
        self.held = 0  # of them, as told at a beginning: at least

    def start(self, *options):
        with self.case.prefixed(self.prefix):
            return self.case.get(self.torrent.path, "--json", "--output", f"{self.folder}/", *self.options, *options)

    def is_finished(self):
        return (self.seen / self.torrent.name).exists()

    def bytes_there(self):
        """The share as it lies in the unfinished download; what is missing reads as zeros."""
        part = self.seen / f".{self.torrent.name}.shoal-part"
        side = self.seen / f".{self.torrent.name}.shoal-side"
        aside = side.read_bytes() if side.exists() else b""  # of files that are not selected
        found = bytearray()
        for names, size in self.torrent.files:
            path = part.joinpath(*names)
            content = path.read_bytes() if path.exists() else aside[len(found) :]
            found += content[:size].ljust(size, b"\0")
        return bytes(found)

    def judge(self, process):
        """What must hold of a process that has ended, however it did."""
        fresh = verified_pieces(process)
        self.case.assertEqual(len(fresh), len(set(fresh)), "verified twice")
        self.case.assertEqual(set(fresh) & self.known, set(), "fetched again")
        self.case.assertEqual([e for e in events(process, "piece") if e["status"] == "mismatched"], [])
        for manifest in events(process, "manifest"):
            self.case.assertGreaterEqual(manifest["held"], self.held, "what was told to be there is lost")
            self.held = manifest["held"]
        self.known |= set(fresh)
        self.held += len(fresh)


@expanded
class Killed(VerbCase):
    def setUp(self):
        super().setUp()
        self.rng = random.Random(SEED)

    def offer(self, kind):
        """A share of the kind, its torrent, and what `get` is told besides."""
        source = random.Random(SEED + 1)
        equal = source.randbytes(64 << 10)  # pieces that are the same come at once
        if kind in ("file", "full_disk"):
            path = self.write("disk.img", source.randbytes(3 * MIB) + equal * 4 + source.randbytes(12_345))
        else:
            files = {f"{n % 3}/{n}": source.randbytes(source.randrange(200_000)) for n in range(30)}
            files |= {"empty": b"", "equal": equal * 5, "big": source.randbytes(MIB)}
            path = bencode.write_files(self.here / "box", files)
        torrent = self.root / "share.torrent"
        make = self.start([program(), "make", path, "--output", torrent, "--piece-size", "16K"])
        self.assert_exit(make, DONE)
        self.sharer = self.share(torrent, "--data", path, "--no-local")
        self.shared = path
        options = ("--select", "big", "--select", "1/*", "--sequential") if kind == "selected" else ()
        return Torrent(torrent), options

    @for_each(**themselves(*KINDS))
    def test_every_piece_counts_once_it_is_told(self, kind):
        torrent, options = self.offer(kind)
        disk = SmallDisk(self, 6 * MIB) if kind == "full_disk" else None
        kills = 0
        while kills < KILLS // len(KINDS):
            download = self.begin(torrent, options, disk)
            while kills < KILLS // len(KINDS) and not download.is_finished():
                self.change_room(disk)
                self.kill_at_a_moment(download)
                kills += 1
                if not download.is_finished():
                    self.look_at_what_is_there(download)
            self.finish(download, kind)

    def begin(self, torrent, options, disk):
        FIGURES["downloads"] += 1
        folder = self.there / str(FIGURES["downloads"])
        download = Download(self, folder, torrent, options)
        if disk is not None:
            download.disk = disk
            download.folder, download.seen, download.prefix = disk.path, disk.seen, disk.prefix
        else:
            folder.mkdir()
        return download

    def change_room(self, disk):
        """Sometimes there is room for all, mostly for a little more."""
        if disk is None:
            return
        self.make_room(disk)
        if self.rng.random() < 0.8:
            disk.fill(self.rng.randrange(0, MIB))

    @staticmethod
    def make_room(disk):
        if disk is not None and (disk.seen / "ballast").exists():
            disk.make_room()

    def kill_at_a_moment(self, download):
        process = download.start(*peer_of(self.sharer), "--limit-down", RATE)
        pieces = self.rng.choice((0, 0, 1, 5, 20, 50))
        if pieces > 0:
            self.wait_pieces(process, pieces)
        threading.Event().wait(self.rng.random() * LAST_MOMENT_S)  # the moment is what varies
        process.signal(signal.SIGKILL)
        code = process.wait()
        self.assertIn(code, (-signal.SIGKILL, DONE), process.story())
        FIGURES["kills"] += 1
        FIGURES["ended before the kill"] += code == DONE
        FIGURES["stopped by a full disk"] += any("waiting for room" in note["text"] for note in events(process, "note"))
        download.judge(process)

    def wait_pieces(self, process, count):
        """Or until there will be no more: the end, or a full disk."""

        def matches(line):
            nonlocal count
            count -= '"verified"' in line
            return count == 0 or "waiting for room" in line or '"finished"' in line

        process.wait_matching(matches, "piece, nor an end")

    def look_at_what_is_there(self, download):
        """The bytes of all that was told are right, and a restart knows them without reading them."""
        found = download.bytes_there()
        size = download.torrent.piece_bytes
        for piece in download.known:
            right = found[piece * size : (piece + 1) * size]
            self.assertEqual(hashlib.sha1(right).digest(), download.torrent.hashes[piece], f"piece {piece}")
        self.make_room(download.disk)
        process = download.start(*NOBODY)
        manifest = wait_event(process, "manifest")
        with open(f"/proc/{process.pid}/io") as io:
            bytes_read = int(io.readline().split()[1])
        process.signal(signal.SIGKILL)
        process.wait()
        download.judge(process)
        self.assertLess(bytes_read, OPENING_READS_MAX, f"{manifest['held']} pieces are there")
        self.assertLess(manifest["seconds"], OPENING_MAX_S)
        FIGURES["restarts"] += 1
        FIGURES["pieces kept"] += manifest["held"]
        FIGURES["most bytes read at a restart"] = max(FIGURES["most bytes read at a restart"], bytes_read)
        FIGURES["slowest restart, ms"] = max(FIGURES["slowest restart, ms"], round(manifest["seconds"] * 1000))

    def finish(self, download, kind):
        """The last run, undisturbed."""
        self.make_room(download.disk)
        was_finished = download.is_finished()
        process = download.start(*peer_of(self.sharer))
        self.assert_exit(process, DONE)
        # What was whole already has no journal any more: pieces that hold unselected bytes, too, cannot be looked at.
        if not (was_finished and kind == "selected"):
            download.judge(process)
        result = download.seen / download.torrent.name
        if kind == "selected":
            self.assert_selected(result)
        else:
            self.assert_same(result, self.shared)
        self.assertEqual(leftovers(download.seen), [])
        if download.disk is not None:
            result.unlink()

    def assert_selected(self, result):
        found = {path.relative_to(result) for path in result.rglob("*") if path.is_file()}
        wanted = {path.relative_to(self.shared) for path in (self.shared / "big", *(self.shared / "1").iterdir())}
        self.assertEqual(found, wanted)
        for path in wanted:
            self.assertTrue((result / path).read_bytes() == (self.shared / path).read_bytes(), path)


class KilledWhileGiving(VerbCase):
    def test_who_was_complete_gives_on_at_once(self):
        content = some_bytes(20 * MIB)
        sharer = self.share(self.write("disk.img", content), "--no-local")
        what = (sharer.shared["magnet"], "--no-local", "--seed", "--json")
        for held in (0, sharer.shared["pieces"], sharer.shared["pieces"]):
            process = self.get(*what)
            self.assertEqual(wait_event(process, "manifest")["held"], held)
            if held == 0:
                wait_event(process, "note", text="disk.img is complete; giving it to others")
            else:
                with open(f"/proc/{process.pid}/io") as io:
                    self.assertLess(int(io.readline().split()[1]), OPENING_READS_MAX)
            process.signal(signal.SIGKILL)
            process.wait()
        self.assertTrue((self.there / "disk.img").read_bytes() == content)


@expanded
class WithoutTheSharer(VerbCase):
    """Whoever began once needs nobody to tell what the share is."""

    def setUp(self):
        super().setUp()
        self.disk = self.write("disk.img", some_bytes(3 * MIB))
        self.sharer = self.share(self.disk)
        self.ways = {"name": "disk.img", "hash": self.sharer.shared["info_hash"],
                     "magnet": self.sharer.shared["magnet"], "nothing": ()}

    def end_killed(self, process):
        process.signal(signal.SIGKILL)
        process.wait()

    @for_each(**themselves("name", "hash", "magnet", "nothing"))
    def test_who_was_complete_gives_again(self, way):
        what = as_arguments(self.ways[way])
        first = self.get(*what, "--seed", "--json")
        wait_event(first, "note", text="disk.img is complete; giving it to others")
        self.end_killed(first)
        self.end_killed(self.sharer)
        second = self.get(*what, "--seed", "--json", "--patience", "60")
        manifest = wait_event(second, "manifest")
        self.assertEqual(manifest["held"], self.sharer.shared["pieces"])
        other = self.there / "other"
        other.mkdir()
        self.got(self.ways["magnet"], cwd=other)
        self.assert_same(other / "disk.img", self.disk)

    @for_each(**themselves("name", "nothing"))
    def test_who_had_begun_goes_on(self, way):
        what = as_arguments(self.ways[way])
        first = self.get(*what, "--json", "--limit-down", "1M")
        wait_event(first, "piece", status="verified")
        self.end_killed(first)
        self.end_killed(self.sharer)
        again = self.share(self.disk, "--no-local")
        second = self.got(*what, *peer_of(again)[1:])
        self.assertIn("going on with what was begun", second.story())
        self.assert_same(self.there / "disk.img", self.disk)
        self.assertEqual(leftovers(self.there), [])


def as_arguments(what):
    return (what,) if isinstance(what, str) else what


if __name__ == "__main__":
    unittest.main()
