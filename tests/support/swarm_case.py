"""Tests of `shoal share`, `get` and `tracker` on the hosts of a LAN, alone and with other programs.

A `Pair` is Shoal and another program with a torrent of their own, where one gives and the other takes.
"""

import filecmp

from support.course import some_bytes
from support.events import events
from support.lan import Lan
from support.processes import wait_until
from support.shoal import DONE
from support.torrent_programs import PROGRAMS, make_torrent, scrape
from support.verbs import VerbCase

TAKEN_TIMEOUT_S = 60.0
ANNOUNCED_TIMEOUT_S = 20.0
TRACKER_PORT = 8000


class SwarmCase(VerbCase):
    def setUp(self):
        super().setUp()
        self.lan = Lan(self)

    def share_on(self, host, path, *arguments):
        with self.prefixed(host.prefix):
            return self.share(path, *arguments)

    def get_on(self, host, *arguments):
        with self.prefixed(host.prefix):
            return self.get("--json", *arguments)

    def tracker_on(self, host, *arguments):
        """Its HOST:PORT."""
        with self.prefixed(host.prefix):
            self.tracker("--state", self.root / f"tracker-{host.ip}", *arguments)
        return f"{host.ip}:{TRACKER_PORT}"

    def wait_announced(self, tracker, info_hash, seeds=1, leechers=0):
        def is_known():
            counts = scrape(tracker, info_hash)
            return counts and counts[0] >= seeds and counts[1] >= leechers

        try:
            wait_until(is_known, f"{tracker} knows of {seeds} + {leechers} with {info_hash}", ANNOUNCED_TIMEOUT_S)
        except AssertionError as error:
            self.fail(f"{error}\n{self.stories()}")


def sources(process):
    """The hosts from which a Shoal process got pieces."""
    pieces = events(process, "piece")
    return {event["source"].rpartition(":")[0] for event in pieces if event["status"] == "verified"}


class Pair:
    """`shoal_gives` says who gives; `tracker` is the URL that the torrent names."""

    count = 0

    def __init__(self, case, name, shoal_gives, tracker=None, size_bytes=1 << 20):
        Pair.count += 1
        self.case = case
        self.name = name
        self.shoal_gives = shoal_gives
        self.label = f"{'shoal' if shoal_gives else name} gives to {name if shoal_gives else 'shoal'}"
        base = case.root / f"pair-{Pair.count}"
        base.mkdir()
        self.given = base / "given" / f"lecture-{Pair.count}.bin"
        self.given.parent.mkdir()
        self.given.write_bytes(some_bytes(size_bytes, seed=Pair.count))
        self.taken = base / "taken" / self.given.name
        self.taken.parent.mkdir()
        self.torrent = make_torrent(case, self.given, tracker, name=f"pair-{Pair.count}.torrent")
        self.program = None
        self.shoal = None

    def start_program(self, what=None, **switches):
        folder = (self.taken if self.shoal_gives else self.given).parent
        self.program = PROGRAMS[self.name](
            self.case, self.case.lan.add_host(), what or self.torrent, folder, **switches
        )

    def start_shoal(self, host, *arguments, what=None):
        if self.shoal_gives:
            self.shoal = self.case.share_on(host, self.torrent.path, "--data", self.given, *arguments)
        else:
            self.shoal = self.case.get_on(host, what or self.torrent.path, "--output", self.taken, *arguments)

    def assert_taken(self):
        if self.shoal_gives:
            self.program.wait_complete(TAKEN_TIMEOUT_S)
        else:
            self.case.assert_exit(self.shoal, DONE, timeout=TAKEN_TIMEOUT_S)
            self.case.assertEqual(sources(self.shoal), {self.program.host.ip})
        self.case.assertTrue(filecmp.cmp(self.taken, self.given, shallow=False), "the files differ")


def make_pairs(case, tracker=None, **options):
    """Every program in both directions."""
    return [Pair(case, name, gives, tracker, **options) for name in PROGRAMS for gives in (True, False)]


def assert_all_taken(case, pairs):
    for pair in pairs:
        with case.subTest(pair.label, tracker=pair.torrent.announce):
            pair.assert_taken()
