"""`shoal share` and `shoal get` on hosts of a network that leads nowhere else, without an option."""

import os
import signal
import unittest

from support.course import some_bytes
from support.events import verified_pieces
from support.network import enter_fresh_network
from support.processes import wait_until
from support.shoal import DONE
from support.swarm_case import SwarmCase
from support.verbs import MIB, tree

SPREAD_TIMEOUT_S = 30.0
GET_TIMEOUT_S = 40.0


def setUpModule():
    enter_fresh_network()


class TwoHosts(SwarmCase):
    def make_folder(self):
        box = self.here / "box"
        for name, content in {
            "a.bin": some_bytes(MIB + 5),
            "deep/er/b.bin": some_bytes(300_001, 2),
            "empty": b"",
            "tool": b"#!/bin/sh\n",
            "ü/ö.txt": b"text",
        }.items():
            self.write(name, content, box)
        (box / "tool").chmod(0o755)
        (box / "link").symlink_to("deep/er/b.bin")
        return box

    def test_a_folder_is_shared_and_got_without_an_option(self):
        box = self.make_folder()
        sharing, getting = self.lan.add_host(), self.lan.add_host()
        with self.prefixed(sharing.prefix):
            sharer = self.verb("share", "box", cwd=self.here)
            sharer.wait_line(sharer.wait_matching(lambda line: line.startswith("magnet:"), "magnet link").split(" ")[0])
        with self.prefixed(getting.prefix):
            getter = self.verb("get", cwd=self.there)
        self.assert_exit(getter, DONE, timeout=GET_TIMEOUT_S)
        self.assert_same(self.there / "box", box)
        self.assertEqual(os.readlink(self.there / "box" / "link"), "deep/er/b.bin")
        self.assertEqual(getter.stdout, ["./box"])

    def test_a_course_client_gets_what_was_only_ever_shared(self):
        given = self.write("lecture.bin", some_bytes(MIB + 5))
        self.share_on(self.lan.add_host(), given)
        ours, python = self.lan.add_host(), self.lan.add_host()
        homes = {name: self.root / name for name in ("ours", "python")}
        for home in homes.values():
            home.mkdir()
        with self.prefixed(ours.prefix):
            clients = [self.shoal_client(3, homes["ours"])]
        with self.prefixed(python.prefix):
            clients.append(self.python_client(3, homes["python"], "--bind", python.ip, quirk=("strict", "fragile")))
        for client, home in zip(clients, homes.values()):
            self.assert_exit(client, DONE)
            self.assert_same(home / "chunks" / "charlie" / "lecture.bin", given)


class ThreeHosts(SwarmCase):
    def test_the_sharer_goes_once_its_pieces_are_spread(self):
        """It is the tracker, too, and goes without a word; the others have about half each."""
        given = self.write("lecture.bin", some_bytes(3 * MIB))
        sharer = self.share_on(self.lan.add_host(), given)
        pieces = set(range(sharer.shared["pieces"]))
        folders = [self.root / name for name in ("first", "second")]
        getters = []
        for folder in folders:
            folder.mkdir()
            # Slow enough to be caught half-way, and slow to each other, so that each has pieces that the other lacks;
            # they go on giving, as one is done before the other.
            slow = ("--limit-down", "500K", "--limit-up", "100K", "--seed-for", "30s")
            getters.append(self.get_on(self.lan.add_host(), "--output", folder, *slow))

        def spread():
            held = [set(verified_pieces(getter)) for getter in getters]
            return held if held[0] | held[1] == pieces else None

        held = wait_until(spread, "the pieces are spread", SPREAD_TIMEOUT_S)
        sharer.signal(signal.SIGKILL)
        for each in held:
            self.assertLess(len(each), 0.8 * len(pieces), "too late: somebody has nearly everything")
        for getter, folder in zip(getters, folders):
            getter.wait_matching(lambda line: "is complete" in line, "end of the download", GET_TIMEOUT_S)
            self.assertEqual(tree(folder / given.name), tree(given))


if __name__ == "__main__":
    unittest.main()
