"""Peer exchange with aria2, Transmission and libtorrent, both ways.

Of three hosts the middle one is slow both ways. It knows a seed that is fast; the taker knows nobody but the middle
one, from whom alone it would get the file long after the test.
"""

import unittest

from support.course import some_bytes
from support.events import wait_event
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import DONE
from support.swarm_case import SwarmCase, sources
from support.torrent_programs import PROGRAMS, make_torrent

SIZE_BYTES = 3 << 20
SLOW = 8_000  # bytes per second
TAKEN_TIMEOUT_S = 150.0  # in which the middle one could give a third; Transmission tells the first time after 90 s
assert SLOW * TAKEN_TIMEOUT_S < SIZE_BYTES / 2


def setUpModule():
    enter_fresh_network()


class Scene:
    """A torrent, with a tracker that knows one of the three hosts."""

    count = 0

    def __init__(self, case, name):
        Scene.count += 1
        self.case = case
        self.name = name
        self.folder = case.root / f"scene-{Scene.count}"
        (self.folder / "given").mkdir(parents=True)
        self.given = self.folder / "given" / f"lecture-{Scene.count}.bin"
        self.given.write_bytes(some_bytes(SIZE_BYTES, seed=Scene.count))
        self.tracker = case.tracker
        self.torrent = make_torrent(case, self.given, f"http://{self.tracker}/announce", f"scene-{Scene.count}.torrent")
        self.plain = self.torrent.without_tracker()
        self.seed_host, self.middle_host, self.taker_host = (case.lan.add_host() for _ in range(3))
        self.seed = self.middle = self.taker = None

    def share(self, torrent):
        arguments = (torrent.path, "--data", self.given, "--no-local")
        self.seed = self.case.share_on(self.seed_host, *arguments)
        return f"{self.seed_host.ip}:{self.seed.shared['address'].rpartition(':')[2]}"

    def get(self, host, torrent, folder, *arguments):
        output = self.folder / folder
        output.mkdir()
        return self.case.get_on(host, torrent.path, "--no-local", "--output", output, *arguments)

    def run_program(self, host, folder, **switches):
        return PROGRAMS[self.name](self.case, host, self.torrent, self.folder / folder, exchange=True, **switches)

    def assert_taken(self):
        self.case.assert_same(self.folder / "taken" / self.given.name, self.given)


class ByExchange(SwarmCase):
    def setUp(self):
        super().setUp()
        self.tracker = self.tracker_on(self.lan.add_host())

    def test_shoal_tells_them(self):
        scenes = [Scene(self, name) for name in PROGRAMS]
        for scene in scenes:
            # The tracker knows the middle one, and the seed does not know the tracker.
            peer = scene.share(scene.plain)
            slow = ("--limit-down", SLOW, "--limit-up", SLOW, "--peer", peer)
            scene.middle = scene.get(scene.middle_host, scene.torrent, "middle", *slow)
            wait_event(scene.middle, "source", source=peer, status="ready")
        for scene in scenes:
            self.wait_announced(self.tracker, scene.torrent.info_hash, seeds=0, leechers=1)
            scene.taker = scene.run_program(scene.taker_host, "taken")
        for scene in scenes:
            with self.subTest(f"to {scene.name}"):
                scene.taker.wait_complete(TAKEN_TIMEOUT_S)
                scene.assert_taken()

    def test_they_tell_shoal(self):
        scenes = [Scene(self, name) for name in PROGRAMS]
        for scene in scenes:
            # The tracker knows both, and the taker does not know the tracker.
            scene.share(scene.torrent)
            self.wait_announced(self.tracker, scene.torrent.info_hash)
            scene.middle = scene.run_program(scene.middle_host, "middle", limit_down=SLOW, limit_up=SLOW)
        for scene in scenes:
            knows_seed = lambda scene=scene: scene.seed_host.ip in scene.middle.peers()  # noqa: E731
            wait_until(knows_seed, f"{scene.name} knows the seed", TAKEN_TIMEOUT_S)
            peer = f"{scene.middle_host.ip}:{scene.middle.PORT}"
            scene.taker = scene.get(scene.taker_host, scene.plain, "taken", "--peer", peer)
        for scene in scenes:
            with self.subTest(f"by {scene.name}"):
                self.assert_exit(scene.taker, DONE, timeout=TAKEN_TIMEOUT_S)
                scene.assert_taken()
                self.assertIn(scene.seed_host.ip, sources(scene.taker))


if __name__ == "__main__":
    unittest.main()
