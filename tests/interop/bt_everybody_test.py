"""One swarm with everybody in it at once: Shoal's sharer and getter, aria2, Transmission, libtorrent, and course
clients, who know nothing of BitTorrent."""

import unittest

from support.course import some_bytes
from support.events import wait_event
from support.network import enter_fresh_network
from support.shoal import DONE
from support.swarm_case import SwarmCase, sources
from support.torrent_programs import PROGRAMS
from support.verbs import MIB, tree

TIMEOUT_S = 60.0


def setUpModule():
    enter_fresh_network()


class Everybody(SwarmCase):
    def test_all_end_with_the_same_file(self):
        given = self.write("lecture.bin", some_bytes(4 * MIB))
        # Slow enough that the others need each other.
        sharer = self.share_on(self.lan.add_host(), given, "--limit-up", "500K")
        magnet = sharer.shared["magnet"]
        folders = {name: self.root / f"got-by-{name}" for name in (*PROGRAMS, "shoal", "course", "python")}
        for folder in folders.values():
            folder.mkdir()

        programs = {name: PROGRAMS[name](self, self.lan.add_host(), magnet, folders[name]) for name in PROGRAMS}
        getter = self.get_on(self.lan.add_host(), "--output", folders["shoal"], "--seed")
        clients = self.start_course_clients(folders)

        wait_event(getter, "piece", status="verified")
        for name, client in clients.items():
            with self.subTest(name):
                self.assert_exit(client, DONE, timeout=TIMEOUT_S)
        for name, program in programs.items():
            with self.subTest(name):
                program.wait_complete(TIMEOUT_S)
        getter.wait_matching(lambda line: "is complete" in line, "end of the download", TIMEOUT_S)
        self.assert_alive(sharer, getter)

        found = {name: self.result_in(folder) for name, folder in folders.items()}
        for name, path in found.items():
            with self.subTest(name):
                self.assertEqual(tree(path), tree(given))  # whoever gives on keeps a journal beside it
        self.assertGreater(len(sources(getter)), 1, "everything came from the sharer")

    def start_course_clients(self, folders):
        """Ours and one that others might have written; both look for a tracker by broadcast, and know no address."""
        ours, python = self.lan.add_host(), self.lan.add_host()
        with self.prefixed(ours.prefix):
            shoals = self.shoal_client(3, folders["course"])
        with self.prefixed(python.prefix):
            counterparts = self.python_client(3, folders["python"], "--bind", python.ip, quirk=("strict", "fragile"))
        return {"course": shoals, "python": counterparts}

    def result_in(self, folder):
        """Course clients make a folder of their own."""
        beside = folder / "chunks" / "charlie"
        return (beside if beside.is_dir() else folder) / "lecture.bin"


if __name__ == "__main__":
    unittest.main()
